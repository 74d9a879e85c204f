/*
 * test_admission_of_blocks.c - goal: what the choices of limits.admit and the adapting headroom do
 * to preemptions. Method: one schedule that outgrows its pool (short prompts, long outputs, always
 * a queue), run to its end under each choice; preemptions and recomputed tokens are counted.
 */
#include "engine/base/clock.h"
#include "engine/base/rng.h"
#include "engine/sched/core.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { REQUESTS = 400 };

/* The core's counters after REQUESTS requests of 8 to 40 prompt tokens and up to 120 of output, in
 * a pool for three of the largest. */
static struct ryz_core_stats run(enum ryz_admit admit, bool adapts, uint64_t seed)
{
    struct ryz_core_config config = {.policy = "fcfs",
                                     .limits = {.batch_requests_max = 16,
                                                .batch_tokens_max = 128,
                                                .prefill_chunk_max = 16,
                                                .kv_block_tokens = 4,
                                                .kv_blocks = 128,
                                                .queue_requests_max = REQUESTS,
                                                .context_tokens_max = 160,
                                                .step_ns_max = RYZ_TIME_NEVER,
                                                .admit = admit,
                                                .headroom_adapts = adapts}};
    struct ryz_error error;
    struct ryz_core *core;
    struct ryz_rng rng;
    uint32_t left[REQUESTS];
    int64_t now_ns = 0;
    cr_assert_eq(ryz_core_open(&config, &core, &error), RYZ_OK, "%s", error.text);
    ryz_rng_init(&rng, seed, 0);
    for (uint32_t id = 0; id < REQUESTS; id++) {
        left[id] = 1 + (uint32_t)ryz_rng_below(&rng, 120);
        struct ryz_event arrival = {.kind = RYZ_EV_ARRIVE,
                                    .request_id = id,
                                    .deadline_ns = RYZ_TIME_NEVER,
                                    .prompt_tokens = 8 + (uint32_t)ryz_rng_below(&rng, 33),
                                    .output_tokens_max = 120};
        cr_assert_eq(ryz_core_feed(core, &arrival).kind, RYZ_EFFECT_ADMITTED);
    }
    const struct ryz_sched_plan *plan;
    while ((plan = ryz_core_next(core, now_ns)) != NULL) {
        now_ns += RYZ_NS_PER_MS;
        struct ryz_event done = {
            .t_ns = now_ns, .kind = RYZ_EV_STEP_DONE, .duration_ns = RYZ_NS_PER_MS};
        (void)ryz_core_feed(core, &done);
        for (uint32_t i = 0; i < plan->item_count; i++) {
            const struct ryz_plan_item *item = &plan->items[i];
            if (!item->samples) continue;
            bool last = --left[item->request_id] == 0;
            struct ryz_event token = {.t_ns = now_ns,
                                      .kind = RYZ_EV_TOKEN,
                                      .request_id = item->request_id,
                                      .slot = item->slot,
                                      .flags = last ? RYZ_EVF_END : 0};
            (void)ryz_core_feed(core, &token);
        }
    }
    struct ryz_core_stats stats = ryz_core_stats(core);
    cr_assert_eq(stats.finished, REQUESTS);
    ryz_core_close(core);
    return stats;
}

static struct ryz_core_stats run_and_print(const char *name, enum ryz_admit admit, bool adapts)
{
    struct ryz_core_stats stats = run(admit, adapts, 7);
    (void)fprintf(stderr, "%s: %llu preemptions, %llu tokens computed again, %llu steps\n", name,
                  (unsigned long long)stats.preempted, (unsigned long long)stats.tokens_recomputed,
                  (unsigned long long)stats.steps);
    return stats;
}

Test(admission_of_blocks, whole_never_preempts_and_chunk_most)
{
    struct ryz_core_stats chunk = run_and_print("chunk", RYZ_ADMIT_CHUNK, false);
    struct ryz_core_stats prompt = run_and_print("prompt", RYZ_ADMIT_PROMPT, false);
    struct ryz_core_stats whole = run_and_print("whole", RYZ_ADMIT_WHOLE, false);
    cr_assert_eq(whole.preempted, 0u);
    cr_assert_gt(prompt.preempted, REQUESTS / 4);
    cr_assert_gt(chunk.preempted, prompt.preempted);
}

Test(admission_of_blocks, headroom_that_adapts_ends_thrashing)
{
    for (enum ryz_admit admit = 0; admit < RYZ_ADMIT_COUNT; admit++) {
        if (admit == RYZ_ADMIT_WHOLE) continue;
        struct ryz_core_stats fixed = run_and_print("fixed", admit, false);
        struct ryz_core_stats adapting = run_and_print("adapting", admit, true);
        cr_assert_lt(adapting.preempted * 2, fixed.preempted);
        cr_assert_lt(adapting.tokens_recomputed * 2, fixed.tokens_recomputed);
        cr_assert_leq(adapting.steps, fixed.steps * 110 / 100);
    }
}
