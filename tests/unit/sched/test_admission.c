/*
 * test_admission.c - goal: the believed wait follows what is ahead, learns from first tokens, and
 * the core refuses by it. Method: a linear cost whose sums can be done by hand; a core that has
 * learnt from equal steps.
 */
#include "core_rig.h"

#include "engine/base/clock.h"
#include "engine/sched/admission.h"

#include <criterion/criterion.h>

/* 1 ms and 10 us a prompt token, 100 us a stream. */
static int64_t linear(const void *context, const struct ryz_batch_shape *shape)
{
    (void)context;
    return RYZ_NS_PER_MS + 10 * RYZ_NS_PER_US * (int64_t)shape->prefill_tokens +
           100 * RYZ_NS_PER_US * (int64_t)shape->decode_requests;
}

static const struct ryz_cost_source cost = {.step_ns = linear};

static const struct ryz_sched_limits limits = {.batch_requests_max = 4,
                                               .batch_tokens_max = 100,
                                               .prefill_chunk_max = 100,
                                               .kv_block_tokens = 4,
                                               .kv_blocks = 10000,
                                               .queue_requests_max = 100,
                                               .context_tokens_max = 1000,
                                               .step_ns_max = RYZ_TIME_NEVER};

static struct ryz_wait_model model;

static int64_t first_ns(struct ryz_load load, uint32_t prompt)
{
    return ryz_wait_estimate_first_ns(&model, &limits, &cost, &load, prompt);
}

Test(admission, an_idle_engine_takes_what_the_prompt_costs)
{
    ryz_wait_model_init(&model);
    cr_assert_eq(first_ns((struct ryz_load){0}, 100), 2 * RYZ_NS_PER_MS);
    cr_assert_eq(first_ns((struct ryz_load){0}, 200), 4 * RYZ_NS_PER_MS);
    cr_assert_eq(first_ns((struct ryz_load){0}, 50), 1500 * RYZ_NS_PER_US);
}

Test(admission, prompts_ahead_and_streams_beside_add_up)
{
    ryz_wait_model_init(&model);
    int64_t alone = first_ns((struct ryz_load){0}, 100);
    int64_t behind = first_ns((struct ryz_load){.ahead = 1, .ahead_tokens = 100}, 100);
    int64_t beside = first_ns((struct ryz_load){.running = 2}, 98);
    cr_assert_eq(behind, 2 * alone);
    cr_assert_eq(beside, 1200 * RYZ_NS_PER_US + 980 * RYZ_NS_PER_US);
}

Test(admission, where_no_place_is_free_requests_must_end_first)
{
    ryz_wait_model_init(&model);
    struct ryz_load full = {.running = 4};
    cr_assert_eq(first_ns(full, 10), 0, "nothing has ended yet, so nothing is known");
    ryz_wait_model_learn_end(&model, 50, 40);
    int64_t next = first_ns(full, 10);
    /* 40 tokens at 1.4 ms, four at once: one ends every 14 ms and brings a prompt of 50. */
    cr_assert(next > 14 * RYZ_NS_PER_MS && next < 18 * RYZ_NS_PER_MS, "%lld", (long long)next);
    full.ahead = 3;
    int64_t fourth = first_ns(full, 10);
    cr_assert(fourth > 3 * next && fourth < 5 * next, "%lld", (long long)fourth);
}

Test(admission, a_pool_that_holds_fewer_is_full_earlier)
{
    struct ryz_sched_limits small = limits;
    struct ryz_load load = {.running = 2};
    small.kv_blocks = 50; /* 200 tokens: two of 91 */
    ryz_wait_model_init(&model);
    ryz_wait_model_learn_end(&model, 50, 40);
    int64_t wide = ryz_wait_estimate_first_ns(&model, &limits, &cost, &load, 10);
    int64_t narrow = ryz_wait_estimate_first_ns(&model, &small, &cost, &load, 10);
    cr_assert_gt(narrow, 5 * wide);
}

Test(admission, late_first_tokens_raise_the_factor_and_early_ones_lower_it_slowly)
{
    ryz_wait_model_init(&model);
    int64_t before = first_ns((struct ryz_load){0}, 100);
    ryz_wait_model_learn_first(&model, 0, RYZ_NS_PER_S);
    cr_assert_eq(first_ns((struct ryz_load){0}, 100), before, "no estimate, nothing to learn");
    ryz_wait_model_learn_first(&model, 100, 101);
    int64_t after = first_ns((struct ryz_load){0}, 100);
    cr_assert_gt(after, before);
    for (int i = 0; i < 50; i++) ryz_wait_model_learn_first(&model, 100, 99);
    int64_t lower = first_ns((struct ryz_load){0}, 100);
    cr_assert(lower < after && lower > before, "50 early ones do not make up for a late one");
    for (int i = 0; i < 100000; i++) ryz_wait_model_learn_first(&model, 100, 1);
    cr_assert_eq(first_ns((struct ryz_load){0}, 100), before / 2);
}

/* A core whose steps all cost 1 ms. */
static struct rig rig;

static void open_taught(struct ryz_sched_limits given)
{
    given.admit_late = false;
    rig_open(&rig, &given);
    for (uint64_t id = 1000; id < 1040; id++) {
        (void)rig_arrive(&rig, id, 4, 4);
        while (rig_step(&rig)) {
        }
    }
}

static struct ryz_effect arrive_due(uint64_t id, int64_t first_ns_from_now,
                                    int64_t last_ns_from_now)
{
    struct ryz_event event = {
        .kind = RYZ_EV_ARRIVE,
        .t_ns = rig.now_ns,
        .request_id = id,
        .deadline_ns = last_ns_from_now > 0 ? rig.now_ns + last_ns_from_now : RYZ_TIME_NEVER,
        .first_deadline_ns = first_ns_from_now > 0 ? rig.now_ns + first_ns_from_now : 0,
        .prompt_tokens = 4,
        .output_tokens_max = 20};
    return ryz_core_feed(rig.core, &event);
}

Test(admission, a_deadline_out_of_reach_is_refused_with_the_estimate)
{
    open_taught(rig_limits());
    struct ryz_effect late = arrive_due(1, 1, 0);
    cr_assert_eq(late.kind, RYZ_EFFECT_REJECTED_LATE);
    cr_assert_gt(late.estimate_ns, 1);
    cr_assert_eq(arrive_due(2, 2 * late.estimate_ns, 0).kind, RYZ_EFFECT_ADMITTED);
    cr_assert_eq(arrive_due(3, 0, 2 * late.estimate_ns).kind, RYZ_EFFECT_REJECTED_LATE,
                 "twenty tokens take longer");
    cr_assert_eq(arrive_due(4, 0, RYZ_NS_PER_S).kind, RYZ_EFFECT_ADMITTED);
    struct ryz_core_stats stats = ryz_core_stats(rig.core);
    cr_assert_eq(stats.rejected_late, 2);
    cr_assert_eq(stats.rejected, 2);
    rig_close(&rig);
}

Test(admission, the_queue_is_bounded_in_tokens_and_in_believed_wait)
{
    struct ryz_sched_limits given = rig_limits();
    given.queue_tokens_max = 10;
    open_taught(given);
    cr_assert_eq(rig_arrive(&rig, 1, 20, 4).kind, RYZ_EFFECT_ADMITTED,
                 "alone, any length is taken");
    cr_assert_eq(rig_arrive(&rig, 2, 1, 4).kind, RYZ_EFFECT_REJECTED_FULL);
    rig_close(&rig);
    given = rig_limits();
    given.queue_wait_ns_max = 1;
    open_taught(given);
    cr_assert_eq(rig_arrive(&rig, 1, 4, 4).kind, RYZ_EFFECT_ADMITTED, "nobody waits");
    struct ryz_effect full = rig_arrive(&rig, 2, 4, 4);
    cr_assert_eq(full.kind, RYZ_EFFECT_REJECTED_FULL);
    cr_assert_gt(full.estimate_ns, 1);
    rig_close(&rig);
}

static struct ryz_effect arrive_of(uint64_t id, uint8_t priority)
{
    struct ryz_event event = {.kind = RYZ_EV_ARRIVE,
                              .t_ns = rig.now_ns,
                              .request_id = id,
                              .deadline_ns = RYZ_TIME_NEVER,
                              .prompt_tokens = 4,
                              .output_tokens_max = 4,
                              .priority = priority};
    return ryz_core_feed(rig.core, &event);
}

Test(admission, a_full_queue_makes_room_for_a_more_urgent_request)
{
    struct ryz_sched_limits given = rig_limits();
    given.queue_requests_max = 2;
    given.admit_late = true;
    rig_open_policy(&rig, &given, "priority");
    cr_assert_eq(arrive_of(1, 1).kind, RYZ_EFFECT_ADMITTED);
    cr_assert_eq(arrive_of(2, 2).kind, RYZ_EFFECT_ADMITTED);
    cr_assert_eq(arrive_of(3, 2).kind, RYZ_EFFECT_REJECTED_FULL, "not for an equal");
    struct ryz_effect urgent = arrive_of(4, 0);
    cr_assert_eq(urgent.kind, RYZ_EFFECT_ADMITTED);
    cr_assert(urgent.displaced);
    cr_assert_eq(urgent.displaced_id, 2, "the least urgent, and of those the last");
    struct ryz_core_stats stats = ryz_core_stats(rig.core);
    cr_assert_eq(stats.waiting, 2);
    cr_assert_eq(stats.rejected, 2);
    cr_assert_eq(rig_drain(&rig, 100) > 0, true);
    stats = ryz_core_stats(rig.core);
    cr_assert_eq(stats.finished, 2);
    cr_assert_eq(stats.finished + stats.rejected, stats.arrived);
    rig_close(&rig);
}

Test(admission, nobody_gives_way_in_an_order_without_classes)
{
    struct ryz_sched_limits given = rig_limits();
    given.queue_requests_max = 1;
    rig_open(&rig, &given);
    cr_assert_eq(arrive_of(1, 7).kind, RYZ_EFFECT_ADMITTED);
    cr_assert_eq(arrive_of(2, 0).kind, RYZ_EFFECT_REJECTED_FULL);
    rig_close(&rig);
}
