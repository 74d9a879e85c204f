/*
 * live_replay.c - goal: one scheduler, three drivers. What the live engine did under cancels,
 * deadlines, preemptions and faults, a replay of its log decides again, to the last digest.
 * Method: a busy live engine with too little memory, an injected fault of each kind and an online
 * cost fit that steers the chunks; its log is replayed, then spoilt, to show that the comparison
 * can fail.
 */
#include "engine/base/rng.h"
#include "engine/sched/event_log.h"
#include "tests/unit/runtime/engine_fixture.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define REQUESTS 60

static struct output outputs[REQUESTS];
static struct fixture fixture;

static struct ryz_faults *open_faults(void)
{
    const struct ryz_fault faults[] = {
        {.name = "slow",
         .point = RYZ_FAULT_ENGINE_STEP,
         .action = RYZ_FAULT_DELAY,
         .until_ns = RYZ_TIME_NEVER,
         .permille = 100,
         .value_ns = 2 * RYZ_NS_PER_MS},
        {.name = "flaky",
         .point = RYZ_FAULT_ENGINE_PREFILL,
         .action = RYZ_FAULT_FAIL,
         .until_ns = RYZ_TIME_NEVER,
         .permille = 60},
        {.name = "memory",
         .point = RYZ_FAULT_KV_ALLOC,
         .action = RYZ_FAULT_FAIL,
         .until_ns = RYZ_TIME_NEVER,
         .permille = 300},
    };
    struct ryz_faults *plan = NULL;
    struct ryz_error error = {.text = ""};
    cr_assert_eq(ryz_faults_open(faults, 3, 5, &plan, &error), RYZ_OK, "%s", error.text);
    return plan;
}

/* Requests of all lengths, some with a deadline, a third of them cancelled at some moment. */
static void run_traffic(void)
{
    struct ryz_rng rng;
    uint32_t prompt[120];
    ryz_rng_init(&rng, 42, 0);
    for (uint32_t i = 0; i < REQUESTS; i++) {
        uint32_t length = 10 + (uint32_t)ryz_rng_below(&rng, 110);
        output_init(&outputs[i]);
        make_prompt(fixture.engine, i, prompt, length);
        struct ryz_generate request =
            make_request(prompt, length, 2 + (uint32_t)ryz_rng_below(&rng, 40), &outputs[i]);
        request.priority = (uint8_t)ryz_rng_below(&rng, 3);
        request.ignore_eos = i % 2 == 0;
        if (i % 7 == 0) request.deadline_ns = ryz_clock_now_ns(test_clock()) + 5 * RYZ_NS_PER_MS;
        submit(&fixture, &request);
        struct timespec pause = {.tv_nsec = (long)ryz_rng_below(&rng, 3000000)};
        (void)nanosleep(&pause, NULL);
        if (i % 3 == 0) ryz_engine_cancel(fixture.engine, outputs[ryz_rng_below(&rng, i + 1)].id);
    }
    for (uint32_t i = 0; i < REQUESTS; i++) await(&outputs[i]);
    await_idle(&fixture);
}

static enum ryz_status replay(uint64_t *digest, struct ryz_core_stats *stats)
{
    struct ryz_core_config config = ryz_engine_core_config(fixture.engine);
    struct ryz_error error = {.text = ""};
    enum ryz_status status =
        ryz_event_log_replay(&config, fixture.log, fixture.log_count, digest, stats, &error);
    if (status != RYZ_OK) cr_log_info("%s", error.text);
    return status;
}

Test(twin, a_live_run_replays_to_the_same_digest)
{
    struct ryz_engine_options options = default_options();
    struct ryz_faults *faults = open_faults();
    struct ryz_core_stats live, replayed;
    uint64_t digest = 0;
    options.kv_bytes = UINT64_C(1) << 20;
    options.limits.step_ns_max = 4 * RYZ_NS_PER_MS;
    options.limits.itl_target_ns = 3 * RYZ_NS_PER_MS;
    options.limits.queue_requests_max = 20;
    open_engine(&fixture, &options);
    ryz_engine_set_faults(fixture.engine, faults);
    run_traffic();
    live = ryz_engine_stats(fixture.engine);
    cr_assert_gt(live.finished, 0);
    cr_assert_gt(live.cancelled, 0);
    cr_assert_gt(live.failed_steps, 0);
    cr_assert_gt(live.kv_alloc_failures, 0);
    cr_assert_gt(ryz_fault_hits(faults, 0), 0);

    cr_assert_eq(replay(&digest, &replayed), RYZ_OK);
    cr_assert_eq(digest, ryz_engine_digest(fixture.engine));
    cr_assert_eq(memcmp(&live, &replayed, sizeof live), 0, "the counters differ");

    /* A request that asked for one block more gives other decisions, or an impossible log. */
    struct ryz_event *first = fixture.log;
    while (first->kind != RYZ_EV_ARRIVE) first++;
    first->prompt_tokens += 16;
    enum ryz_status status = replay(&digest, &replayed);
    cr_assert(status == RYZ_CORRUPT || digest != ryz_engine_digest(fixture.engine));
    ryz_engine_set_faults(fixture.engine, NULL);
    ryz_faults_close(faults);
    close_engine(&fixture);
}
