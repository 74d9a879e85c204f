/*
 * Goal: the simulated drive's prefix cache finds what the prompts share, all of it where memory
 * suffices, and about what a cache of that size can find where it does not.
 * Method: small traces by hand; the public Mooncake trace ($RYZ_DATA) against prefix_bound.h, which
 * knows nothing of the scheduler. Except where a test says otherwise one request runs at a time, so
 * that nobody asks for blocks that are still being computed.
 */
#include "harness/traffic/prefix_bound.h"
#include "tests/unit/drive/fake_target.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONTEXT 16384u
#define BLOCK   16u

static struct fake_target fake; /* its sink only */

static int64_t step_ns(const void *context, const struct ryz_batch_shape *shape)
{
    (void)context;
    return 1000 + (int64_t)shape->prefill_tokens * 10 + (int64_t)shape->decode_requests * 100;
}

static const struct ryz_prompts prompts = {
    .seed = 11, .bos = RYZ_PROMPT_NO_BOS, .ordinary_count = 256};

static struct ryz_traffic_plan trace_plan(const char *path, double scale_tokens)
{
    struct ryz_traffic_plan plan = {.name = "trace",
                                    .arrival = RYZ_ARRIVAL_TRACE,
                                    .format = RYZ_TRACE_MOONCAKE,
                                    .window_end_ns = RYZ_TIME_NEVER,
                                    .speed = 1.0,
                                    .scale_tokens = scale_tokens};
    cr_assert_lt(strlen(path), sizeof plan.trace);
    (void)strcpy(plan.trace, path);
    return plan;
}

static struct ryz_schedule open_schedule(const struct ryz_traffic_plan *plans, uint32_t count)
{
    struct ryz_schedule schedule;
    struct ryz_error error = {.text = ""};
    const struct ryz_schedule_options options = {
        .traffic = plans, .traffic_count = count, .seed = 11, .context_tokens = CONTEXT};
    cr_assert_eq(ryz_schedule_open(&options, &schedule, &error), RYZ_OK, "%s", error.text);
    return schedule;
}

/* Step totals of the drive that ran last. */
static struct ryz_core_stats stats;

static void on_step(void *context, const struct ryz_sim_step *step)
{
    (void)context;
    stats = step->stats;
}

static uint64_t simulate(const struct ryz_schedule *schedule, uint32_t kv_blocks,
                         uint32_t batch_requests, bool prefix_cache)
{
    const struct ryz_sim_config config = {
        .core = {.limits = {.batch_requests_max = batch_requests,
                            .batch_tokens_max = CONTEXT,
                            .prefill_chunk_max = CONTEXT,
                            .kv_block_tokens = BLOCK,
                            .kv_blocks = kv_blocks,
                            .queue_requests_max = 16383,
                            .context_tokens_max = CONTEXT,
                            .step_ns_max = RYZ_TIME_NEVER,
                            .admit_late = true},
                 .policy = "fcfs",
                 .prefix_cache = prefix_cache},
        .world = {.step_ns = step_ns},
    };
    struct ryz_drive_summary summary;
    struct ryz_error error = {.text = ""};
    uint64_t digest = 0;
    fake_open(&fake);
    const struct ryz_drive_options options = {
        .schedule = schedule, .prompts = &prompts, .seed = 3, .sink = fake_sink(&fake)};
    cr_assert_eq(ryz_pacer_simulate(&options, &config, on_step, NULL, &digest, &summary, &error),
                 RYZ_OK, "%s", error.text);
    cr_assert_eq(fake.row_count, schedule->count);
    return digest;
}

/* Four rows a second apart, the last one at the very time of the third. */
static void write_trace(char *path)
{
    static const char text[] =
        "{\"timestamp\": 0, \"input_length\": 1100, \"output_length\": 9, "
        "\"hash_ids\": [1, 2, 3]}\n"
        "{\"timestamp\": 1000, \"input_length\": 1500, \"output_length\": 9, "
        "\"hash_ids\": [1, 2, 4]}\n"
        "{\"timestamp\": 2000, \"input_length\": 1024, \"output_length\": 9, "
        "\"hash_ids\": [1, 2]}\n"
        "{\"timestamp\": 2000, \"input_length\": 600, \"output_length\": 9, "
        "\"hash_ids\": [5, 2]}\n";
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, sizeof text - 1), (ssize_t)(sizeof text - 1));
    (void)close(fd);
}

Test(simulate_prefix, rows_tell_what_was_found)
{
    char path[] = "/tmp/ryz_prefix_XXXXXX";
    write_trace(path);
    struct ryz_traffic_plan plans[] = {trace_plan(path, 1.0), trace_plan(path, 1.0)};
    (void)strcpy(plans[0].tenant, "one");
    (void)strcpy(plans[1].tenant, "two"); /* the same prompts, a minute later */
    plans[1].start_ns = 60 * RYZ_NS_PER_S;
    struct ryz_schedule schedule = open_schedule(plans, 2);
    const uint32_t cached[] = {0, 1024, 1024 - BLOCK, 0};
    uint64_t digest = simulate(&schedule, 4096, 1, true);
    for (uint32_t i = 0; i < 8; i++) {
        cr_assert_eq(fake.rows[i].cached_tok, cached[i % 4], "row %u: %u", i,
                     fake.rows[i].cached_tok);
        cr_assert_eq(fake.rows[i].status, RYZ_REQUEST_OK);
    }
    cr_assert_eq(fake.rows[1].prompt_hash, fake.rows[5].prompt_hash, "equal, but another tenant's");
    cr_assert_eq(digest, simulate(&schedule, 4096, 1, true));
    int64_t first_ns = fake.rows[1].t_first - fake.rows[1].t_sched;
    cr_assert_neq(digest, simulate(&schedule, 4096, 1, false));
    for (uint32_t i = 0; i < 8; i++) cr_assert_eq(fake.rows[i].cached_tok, 0);
    cr_assert_eq(fake.rows[1].t_first - fake.rows[1].t_sched, first_ns + 10 * 1024);
    ryz_schedule_close(&schedule);
    (void)remove(path);
}

/* What the bound finds for the requests that the simulation answered, in the order in which they
 * ran; *differing: how many rows say something else. */
static struct ryz_prefix_bound_result bound_of(const struct ryz_schedule *schedule,
                                               uint32_t kv_blocks, uint32_t *differing)
{
    static uint32_t tokens[CONTEXT];
    struct ryz_prefix_bound *bound = NULL;
    cr_assert_eq(ryz_prefix_bound_open(BLOCK, kv_blocks, &bound, NULL), RYZ_OK);
    *differing = 0;
    for (size_t i = 0; i < schedule->count; i++) {
        const struct ryz_arrival *arrival = &schedule->arrivals[i];
        const struct ryz_request_row *row = &fake.rows[i];
        struct ryz_prompt_parts parts = ryz_schedule_parts(schedule, arrival);
        uint32_t hit_tokens = 0;
        cr_assert_eq(row->id, i + 1);
        cr_assert_eq(row->status, RYZ_REQUEST_OK);
        ryz_prompts_fill_parts(&prompts, &parts, arrival->traffic, arrival->number, tokens,
                               arrival->prompt_tokens);
        const struct ryz_prefix_bound_request request = {.tokens = tokens,
                                                         .prompt_tokens = arrival->prompt_tokens,
                                                         .output_tokens = arrival->output_tokens};
        cr_assert_eq(ryz_prefix_bound_add(bound, &request, &hit_tokens, NULL), RYZ_OK);
        *differing += hit_tokens != row->cached_tok;
    }
    struct ryz_prefix_bound_result result = ryz_prefix_bound_result(bound);
    ryz_prefix_bound_close(bound);
    return result;
}

static struct ryz_schedule open_mooncake(struct ryz_traffic_plan *plan)
{
    const char *data = getenv("RYZ_DATA");
    char path[512];
    if (data == NULL) cr_skip_test("RYZ_DATA is not set: no public traces");
    (void)snprintf(path, sizeof path, "%s/traces/mooncake_fast25_conversation.jsonl", data);
    if (access(path, R_OK) != 0) cr_skip_test("%s is not there", path);
    *plan = trace_plan(path, 0.125);
    return open_schedule(plan, 1);
}

static double share(uint64_t hit_tokens, const struct ryz_prefix_bound_result *bound)
{
    return (double)hit_tokens / (double)bound->prompt_tokens;
}

Test(simulate_prefix, finds_in_mooncake_all_that_an_endless_cache_would)
{
    struct ryz_traffic_plan plan;
    struct ryz_schedule schedule = open_mooncake(&plan);
    uint32_t differing = 0;
    (void)simulate(&schedule, 2000000, 1, true);
    struct ryz_prefix_bound_result bound = bound_of(&schedule, 0, &differing);
    cr_assert_eq(differing, 0);
    cr_assert_eq(stats.prompt_tokens_cached, bound.hit_tokens);
    cr_assert_eq(stats.cache_lookup_tokens, bound.lookup_tokens);
    cr_assert_eq(stats.cache_evicted_blocks, 0);
    /* Of the ids of this trace, 0.366 are repeated. */
    cr_assert(fabs(share(bound.hit_tokens, &bound) - 0.3735) < 0.0001, "%.5f",
              share(bound.hit_tokens, &bound));

    ryz_schedule_close(&schedule);

    /* Many at a time: one that starts beside another of its beginning computes it, too. */
    plan.speed = 10000.0;
    schedule = open_schedule(&plan, 1);
    (void)simulate(&schedule, 2000000, 64, true);
    cr_assert_lt(stats.prompt_tokens_cached, bound.hit_tokens);
    cr_assert_gt((double)stats.prompt_tokens_cached, 0.999 * (double)bound.hit_tokens, "%lu of %lu",
                 (unsigned long)stats.prompt_tokens_cached, (unsigned long)bound.hit_tokens);
    ryz_schedule_close(&schedule);
}

Test(simulate_prefix, is_least_recently_used_where_memory_is_short)
{
    static const struct {
        uint32_t kv_blocks;
        double share; /* found, of all prompt tokens */
    } cases[] = {{2048, 0.0430}, {16384, 0.0893}, {131072, 0.3411}};
    struct ryz_traffic_plan plan;
    struct ryz_schedule schedule = open_mooncake(&plan);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t differing = 0;
        (void)simulate(&schedule, cases[i].kv_blocks, 1, true);
        struct ryz_prefix_bound_result bound = bound_of(&schedule, cases[i].kv_blocks, &differing);
        double found = share(stats.prompt_tokens_cached, &bound);
        cr_assert_eq(differing, 0, "%u rows of %zu, %.5f and %.5f", differing, schedule.count,
                     found, share(bound.hit_tokens, &bound));
        cr_assert(fabs(found - cases[i].share) < 0.0001, "%u blocks: %.5f", cases[i].kv_blocks,
                  found);
        cr_assert_gt(stats.cache_evicted_blocks, 0);
    }
    ryz_schedule_close(&schedule);
}
