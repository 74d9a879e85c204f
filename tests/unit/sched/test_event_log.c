/*
 * test_event_log.c - goal: a log replays to the digest of the run that wrote it, a changed decision
 * changes the digest, and no log, however damaged, does worse than RYZ_CORRUPT. Method: the log of
 * a hand-driven run, as it is, altered on purpose, and damaged at random.
 */
#include "engine/base/clock.h"
#include "engine/base/rng.h"
#include "engine/sched/event_log.h"
#include "tests/unit/sched/core_rig.h"

#include <criterion/criterion.h>
#include <string.h>

static struct rig rig;

/* A run with refusals, preemptions, a cancel, a failed step, changed limits and a fault. */
static void record_run(void)
{
    struct ryz_sched_limits limits = rig_limits();
    rig_open(&rig, &limits);
    for (uint64_t id = 1; id <= 9; id++) (void)rig_arrive(&rig, id, 10 + (uint32_t)id, 20);
    (void)rig_arrive(&rig, 50, 100, 100);
    for (int i = 0; i < 12; i++) (void)rig_step(&rig);
    (void)rig_cancel(&rig, 3, 2);
    cr_assert_not_null(rig_next(&rig));
    rig_step_done(&rig, 5000, true);
    (void)ryz_core_feed(
        rig.core,
        &(struct ryz_event){.t_ns = rig.now_ns, .kind = RYZ_EV_LIMITS, .output_tokens_max = 20});
    rig_fault(&rig, 400);
    for (int i = 0; i < 30; i++) (void)rig_step(&rig);
    rig_fault(&rig, 0);
    rig_drain(&rig, 500);
    struct ryz_core_stats stats = ryz_core_stats(rig.core);
    cr_assert_eq(stats.kv_blocks_used, 0u);
    cr_assert_eq(stats.finished, 7u);
    cr_assert_eq(stats.rejected, 2u);
    cr_assert_gt(stats.preempted, 0u);
    cr_assert_gt(stats.kv_alloc_failures, 0u);
}

static void close_rig(void)
{
    rig_close(&rig);
}

static enum ryz_status replay(uint64_t *digest, struct ryz_error *error)
{
    struct ryz_core_stats stats;
    return ryz_event_log_replay(&rig.config, rig.log, rig.log_count, digest, &stats, error);
}

TestSuite(event_log, .init = record_run, .fini = close_rig);

Test(event_log, a_replay_takes_the_same_decisions)
{
    uint64_t digest = 0;
    struct ryz_core_stats stats, live = ryz_core_stats(rig.core);
    size_t logged = rig.log_count;
    cr_assert_eq(ryz_event_log_replay(&rig.config, rig.log, rig.log_count, &digest, &stats, NULL),
                 RYZ_OK);
    cr_assert_eq(digest, ryz_core_digest(rig.core));
    cr_assert_eq(memcmp(&stats, &live, sizeof stats), 0);
    cr_assert_eq(rig.log_count, logged, "a replay does not write to the log it reads");
}

Test(event_log, another_seed_draws_other_failures)
{
    uint64_t digest = 0;
    struct ryz_error error;
    rig.config.seed++;
    enum ryz_status status = replay(&digest, &error);
    cr_assert(status == RYZ_CORRUPT || digest != ryz_core_digest(rig.core));
}

Test(event_log, a_changed_arrival_changes_the_digest)
{
    uint64_t digest = 0;
    rig.log[9].prompt_tokens = 1; /* the refused one: now too long no more, but the queue is full */
    cr_assert_eq(rig.log[9].request_id, 50u);
    rig.log[9].output_tokens_max = 1;
    cr_assert_eq(replay(&digest, NULL), RYZ_OK);
    cr_assert_neq(digest, ryz_core_digest(rig.core));
}

Test(event_log, an_event_that_cannot_be_is_named_by_its_number)
{
    struct ryz_error error;
    uint64_t digest = 0;
    rig.log[5].t_ns = 0;
    cr_assert_eq(replay(&digest, &error), RYZ_CORRUPT);
    cr_assert_not_null(strstr(error.text, "event 5 "), "%s", error.text);
}

Test(event_log, a_bad_configuration_is_not_replayed)
{
    struct ryz_error error;
    uint64_t digest = 0;
    rig.config.limits.kv_blocks = 0;
    cr_assert_eq(replay(&digest, &error), RYZ_INVALID);
}

Test(event_log, an_empty_log_has_the_digest_of_an_idle_core)
{
    uint64_t digest = 1;
    rig.log_count = 0;
    cr_assert_eq(replay(&digest, NULL), RYZ_OK);
    cr_assert_eq(digest, 0u);
}

Test(event_log, numbers_out_of_range_are_corrupt)
{
    const struct ryz_event arrival = {.kind = RYZ_EV_ARRIVE,
                                      .deadline_ns = RYZ_TIME_NEVER,
                                      .prompt_tokens = 4,
                                      .output_tokens_max = 4};
    const struct ryz_event plan = {.kind = RYZ_EV_PLAN};
    static const struct {
        struct ryz_event event;
        const char *words;
    } cases[] = {
        {{.kind = RYZ_EV_FAULT, .permille = 1001}, "more than 1000"},
        {{.kind = RYZ_EV_STEP_DONE, .duration_ns = -1}, "negative duration"},
        {{.kind = RYZ_EV_LIMITS, .duration_ns = -1}, "step_ns_max"},
        {{.kind = RYZ_EV_LIMITS, .prompt_tokens = RYZ_BATCH_MAX + 1}, "batch_requests_max"},
        {{.kind = RYZ_EV_CANCEL, .slot = 12}, "slot"},
        {{.kind = RYZ_EV_TOKEN, .slot = 12}, "slot"},
        {{.kind = RYZ_EV_ARRIVE, .prompt_tokens = 1}, "no output"},
        {{.kind = RYZ_EV_ARRIVE, .output_tokens_max = 1}, "prompt"},
        {{.kind = RYZ_EV_PLAN}, "in flight"},
        {{.kind = 0}, "unknown kind"},
        {{.kind = RYZ_EV_HASHES, .flags = 1, .hash = 1}, "without a prefix cache"},
        {{.kind = RYZ_EV_HASHES + 1}, "unknown kind"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ryz_error error;
        uint64_t digest = 0;
        rig.log[0] = arrival;
        rig.log[1] = plan;
        rig.log[2] = cases[i].event;
        rig.log_count = 3;
        cr_assert_eq(replay(&digest, &error), RYZ_CORRUPT, "case %zu", i);
        cr_assert_not_null(strstr(error.text, "event 2 "), "case %zu: %s", i, error.text);
        cr_assert_not_null(strstr(error.text, cases[i].words), "case %zu: %s", i, error.text);
    }
}

/* Overwrites one field of one event by something, often by a plausible neighbour. */
static void damage(struct ryz_event *events, size_t count, struct ryz_rng *rng)
{
    struct ryz_event *event = &events[ryz_rng_below(rng, count)];
    static const uint32_t odd[] = {0, 1, 2, 3, 7, 12, 1000, 1001, UINT32_MAX};
    uint32_t value = odd[ryz_rng_below(rng, 9)];
    switch (ryz_rng_below(rng, 9)) {
    case 0:
        event->kind = (uint32_t)ryz_rng_below(rng, 9);
        break;
    case 1:
        event->slot = value;
        break;
    case 2:
        event->request_id = value;
        break;
    case 3:
        event->duration_ns = (int64_t)ryz_rng_u64(rng);
        break;
    case 4:
        event->prompt_tokens = value;
        break;
    case 5:
        event->output_tokens_max = value;
        break;
    case 6:
        event->flags = (uint8_t)value;
        break;
    case 7:
        event->permille = value;
        break;
    default:
        *event = events[ryz_rng_below(rng, count)];
        break;
    }
}

Test(event_log, no_damage_makes_a_replay_abort)
{
    const uint64_t seed = 99;
    static struct ryz_event original[RIG_EVENTS_MAX];
    struct ryz_rng rng;
    int corrupt = 0, fine = 0;
    memcpy(original, rig.log, sizeof original);
    ryz_rng_init(&rng, seed, 0);
    for (int round = 0; round < 3000; round++) {
        struct ryz_error error;
        uint64_t digest = 0;
        memcpy(rig.log, original, rig.log_count * sizeof original[0]);
        for (uint64_t i = 1 + ryz_rng_below(&rng, 4); i > 0; i--)
            damage(rig.log, rig.log_count, &rng);
        enum ryz_status status = replay(&digest, &error);
        cr_assert(status == RYZ_OK || status == RYZ_CORRUPT, "seed %lu, round %d", seed, round);
        corrupt += status == RYZ_CORRUPT;
        fine += status == RYZ_OK;
    }
    cr_assert_gt(corrupt, 1000, "most damage shows");
    cr_assert_gt(fine, 100, "some damage is a possible log");
}

Test(event_log, random_bytes_are_not_a_log)
{
    struct ryz_rng rng;
    ryz_rng_init(&rng, 5, 0);
    for (int round = 0; round < 500; round++) {
        struct ryz_error error;
        uint64_t digest = 0;
        unsigned char *bytes = (unsigned char *)rig.log;
        for (size_t i = 0; i < 64 * sizeof rig.log[0]; i++)
            bytes[i] = (unsigned char)ryz_rng_u64(&rng);
        rig.log_count = 64;
        cr_assert_eq(replay(&digest, &error), RYZ_CORRUPT);
    }
}
