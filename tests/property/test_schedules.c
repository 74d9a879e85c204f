/*
 * test_schedules.c - goal: whatever comes in whatever order, budgets hold, blocks add up, nobody
 * starves and a log replays to the same decisions. Method: many random schedules (20,000 by
 * default; RYZ_PROPERTY_SCHEDULES sets another number, RYZ_PROPERTY_SEED the first seed) against
 * the book that schedule_model.c keeps.
 */
#include "engine/base/rng.h"
#include "engine/sched/event_log.h"
#include "tests/property/schedule_model.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct model model, other;

static uint64_t setting(const char *name, uint64_t fallback)
{
    const char *text = getenv(name);
    return text == NULL || text[0] == '\0' ? fallback : strtoull(text, NULL, 10);
}

/* The log of the run in `model`, replayed, gives its digest and its counters. */
static void check_replay(void)
{
    struct ryz_core_stats replayed, live = ryz_core_stats(model.core);
    struct ryz_error error;
    uint64_t digest = 0;
    enum ryz_status status =
        ryz_event_log_replay(&model.config, model.log, model.log_count, &digest, &replayed, &error);
    if (status != RYZ_OK || digest != ryz_core_digest(model.core) ||
        memcmp(&replayed, &live, sizeof live) != 0)
        cr_assert_fail("schedule of seed %llu: replay gives %s", (unsigned long long)model.seed,
                       status == RYZ_OK ? "other decisions" : error.text);
}

/* The same schedule with one longer prompt: digests differ exactly if the decisions do. */
static bool check_difference(void)
{
    model_run(&other, model.seed, true);
    bool same_trace = model.trace == other.trace;
    bool same_digest = ryz_core_digest(model.core) == ryz_core_digest(other.core);
    model_close(&other);
    if (same_trace != same_digest)
        cr_assert_fail("schedule of seed %llu: decisions are %s, digests are not",
                       (unsigned long long)model.seed, same_trace ? "the same" : "different");
    return !same_digest;
}

/* Adds the counters of one schedule to those of all. */
static void add_up(struct ryz_core_stats *sum, const struct ryz_core_stats *stats)
{
    sum->finished += stats->finished;
    sum->cancelled += stats->cancelled;
    sum->rejected += stats->rejected;
    sum->rejected_late += stats->rejected_late;
    sum->starved += stats->starved;
    sum->prompt_tokens_cached += stats->prompt_tokens_cached;
    sum->prompt_tokens_shared += stats->prompt_tokens_shared;
    sum->cache_evicted_blocks += stats->cache_evicted_blocks;
    sum->prompt_tokens_host += stats->prompt_tokens_host;
    sum->host_out_blocks += stats->host_out_blocks;
    sum->host_in_blocks += stats->host_in_blocks;
    sum->host_dropped_blocks += stats->host_dropped_blocks;
    sum->preempted += stats->preempted;
    sum->steps += stats->steps;
    sum->failed_steps += stats->failed_steps;
    sum->kv_alloc_failures += stats->kv_alloc_failures;
}

Test(schedules, keep_budgets_blocks_and_everybody_alive)
{
    uint64_t count = setting("RYZ_PROPERTY_SCHEDULES", 20000);
    uint64_t first = setting("RYZ_PROPERTY_SEED", 20260101);
    struct ryz_core_stats sum = {0};
    uint64_t different = 0, compared = 0;
    (void)printf("schedules %llu, first seed %llu\n", (unsigned long long)count,
                 (unsigned long long)first);
    for (uint64_t i = 0; i < count; i++) {
        model_run(&model, first + i, false);
        check_replay();
        if (i % 8 == 0) {
            compared++;
            different += check_difference();
        }
        struct ryz_core_stats stats = ryz_core_stats(model.core);
        add_up(&sum, &stats);
        model_close(&model);
    }
    (void)printf(
        "steps %llu, finished %llu, cancelled %llu, rejected %llu (late %llu), preempted %llu, "
        "starved %llu, tokens found in the cache %llu, blocks evicted %llu, failed steps %llu, "
        "failed allocations %llu, tokens shared by choices %llu, blocks copied %llu\n",
        (unsigned long long)sum.steps, (unsigned long long)sum.finished,
        (unsigned long long)sum.cancelled, (unsigned long long)sum.rejected,
        (unsigned long long)sum.rejected_late, (unsigned long long)sum.preempted,
        (unsigned long long)sum.starved, (unsigned long long)sum.prompt_tokens_cached,
        (unsigned long long)sum.cache_evicted_blocks, (unsigned long long)sum.failed_steps,
        (unsigned long long)sum.kv_alloc_failures, (unsigned long long)sum.prompt_tokens_shared,
        (unsigned long long)model.copies);
    (void)printf("host tier: blocks out %llu, in %llu, dropped %llu, prompt tokens found %llu\n",
                 (unsigned long long)sum.host_out_blocks, (unsigned long long)sum.host_in_blocks,
                 (unsigned long long)sum.host_dropped_blocks,
                 (unsigned long long)sum.prompt_tokens_host);
    /* The schedules must have been worth running: each kind of trouble happened, often. */
    cr_assert_gt(sum.finished, 2 * count);
    cr_assert_gt(sum.cancelled, count / 10);
    cr_assert_gt(sum.rejected, count / 10);
    cr_assert_gt(sum.preempted, count / 10);
    cr_assert_gt(sum.rejected_late, count / 100);
    cr_assert_gt(sum.starved, count / 10);
    cr_assert_gt(model.displaced, count / 100, "%u", model.displaced);
    cr_assert_gt(model.lent, count / 10, "%llu", (unsigned long long)model.lent);
    cr_assert_gt(model.drafts_right, count / 10, "%llu", (unsigned long long)model.drafts_right);
    cr_assert_gt(model.drafts, model.drafts_right + count / 10);
    cr_assert_gt(sum.prompt_tokens_cached, count);
    cr_assert_gt(sum.cache_evicted_blocks, count / 10);
    cr_assert_gt(sum.prompt_tokens_shared, count);
    cr_assert_gt(model.copies, count / 10);
    cr_assert_gt(sum.host_in_blocks, count / 10);
    cr_assert_gt(sum.host_dropped_blocks, count / 10);
    cr_assert_gt(sum.prompt_tokens_host, count / 10);
    cr_assert_gt(sum.failed_steps, count / 10);
    cr_assert_gt(sum.kv_alloc_failures, count / 10);
    cr_assert_gt(different, compared * 2 / 5, "%llu of %llu", (unsigned long long)different,
                 (unsigned long long)compared);
    cr_assert_lt(different, compared, "a refused third request changes nothing");
}
