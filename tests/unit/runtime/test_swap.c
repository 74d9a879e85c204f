/*
 * test_swap.c - goal: behind a host tier a preempted request is swapped: it comes back with the
 * keys and values it had, computes next to nothing again, and its answer is the same to the bit; a
 * step that fails loses no copy. Method: two or three requests whose tokens do not fit together,
 * in pools with and without a tier and in one that is large enough; the log of the run is replayed.
 */
#include "engine_fixture.h"

#include "engine/sched/event_log.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define REQUESTS    3u
#define PROMPT      40u
#define WANTED      150u
#define LONG        100u /* a prompt of six full blocks and a part */
#define SMALL       15u  /* blocks; one request wants 12 */
#define HOST_BLOCKS 40u

static struct fixture fixture;
static struct output alone[REQUESTS], swapped[REQUESTS];

static uint64_t block_bytes(const struct ryz_engine_options *options)
{
    open_engine(&fixture, options);
    uint64_t bytes = options->kv_bytes / ryz_engine_core_config(fixture.engine).limits.kv_blocks;
    close_engine(&fixture);
    return bytes;
}

static void submit_all(struct output *out)
{
    for (uint32_t i = 0; i < REQUESTS; i++) {
        uint32_t prompt[PROMPT];
        make_prompt(fixture.engine, 30 + i, prompt, PROMPT);
        output_init(&out[i]);
        struct ryz_generate request = make_request(prompt, PROMPT, WANTED, &out[i]);
        request.ignore_eos = request.wants_logprobs = true;
        submit(&fixture, &request);
    }
    for (uint32_t i = 0; i < REQUESTS; i++) await(&out[i]);
    await_idle(&fixture);
}

static void expect_same(const char *kv_type)
{
    for (uint32_t i = 0; i < REQUESTS; i++) {
        const struct output *a = &alone[i], *b = &swapped[i];
        cr_assert(a->token_count == WANTED && b->token_count == WANTED);
        cr_assert_eq(memcmp(a->tokens, b->tokens, WANTED * sizeof a->tokens[0]), 0, "%s", kv_type);
        cr_assert_eq(memcmp(a->logprobs, b->logprobs, WANTED * sizeof a->logprobs[0]), 0, "%s",
                     kv_type);
    }
}

static struct ryz_engine_options options_of(const char *kv_type)
{
    struct ryz_engine_options options = default_options();
    options.kv_type = kv_type;
    options.prefix_cache = true;
    return options;
}

/* The requests in a pool that is large enough, and in a small one. */
static struct ryz_core_stats run(const char *kv_type, uint32_t host_blocks)
{
    struct ryz_engine_options options = options_of(kv_type);
    uint64_t bytes = block_bytes(&options);
    open_engine(&fixture, &options);
    submit_all(alone);
    cr_assert_eq(ryz_engine_stats(fixture.engine).preempted, 0u);
    close_engine(&fixture);
    options.kv_bytes = SMALL * bytes;
    options.kv_host_bytes = host_blocks * bytes;
    open_engine(&fixture, &options);
    submit_all(swapped);
    struct ryz_core_stats stats = ryz_engine_stats(fixture.engine);
    cr_assert_gt(stats.preempted, 0u);
    expect_same(kv_type);
    return stats;
}

static void expect_replay(const struct ryz_core_stats *live)
{
    struct ryz_core_config config = ryz_engine_core_config(fixture.engine);
    struct ryz_core_stats stats;
    struct ryz_error error = {.text = ""};
    uint64_t digest = 0;
    cr_assert_eq(
        ryz_event_log_replay(&config, fixture.log, fixture.log_count, &digest, &stats, &error),
        RYZ_OK, "%s", error.text);
    cr_assert_eq(digest, ryz_engine_digest(fixture.engine));
    cr_assert_eq(memcmp(&stats, live, sizeof stats), 0);
}

Test(swap, a_preempted_request_comes_back_with_what_it_had)
{
    struct ryz_core_stats without = run("bf16", 0);
    close_engine(&fixture);
    struct ryz_core_stats with = run("bf16", HOST_BLOCKS);
    expect_replay(&with);
    close_engine(&fixture);
    (void)printf("computed again: %llu tokens in %llu preemptions, with a host tier %llu in %llu\n",
                 (unsigned long long)without.tokens_recomputed,
                 (unsigned long long)without.preempted, (unsigned long long)with.tokens_recomputed,
                 (unsigned long long)with.preempted);
    cr_assert_eq(without.host_in_blocks, 0u);
    cr_assert_gt(with.host_in_blocks, 0u);
    cr_assert_gt(without.tokens_recomputed, 16 * without.preempted);
    cr_assert_lt(with.tokens_recomputed, 16 * with.preempted, "more than the block not yet full");
}

Test(swap, int8_blocks_are_copied_with_their_scales)
{
    struct ryz_core_stats with = run("int8", HOST_BLOCKS);
    close_engine(&fixture);
    cr_assert_gt(with.host_in_blocks, 0u);
}

Test(swap, a_tier_too_small_for_all_changes_no_answer)
{
    struct ryz_core_stats with = run("bf16", 3);
    close_engine(&fixture);
    cr_assert_gt(with.host_dropped_blocks, 0u);
}

static void ask(uint32_t who, struct output *out)
{
    uint32_t prompt[LONG];
    make_prompt(fixture.engine, 30 + who, prompt, LONG);
    output_init(out);
    struct ryz_generate request = make_request(prompt, LONG, 8, out);
    request.ignore_eos = request.wants_logprobs = true;
    submit(&fixture, &request);
    await(out);
    await_idle(&fixture);
}

/* The first request's blocks are in the host when a step fails that copies them in, and the
 * second's out: both are then found and must be what they were. */
Test(swap, a_failed_step_loses_no_copy)
{
    struct ryz_engine_options options = options_of("bf16");
    struct ryz_fault fault = {.name = "test",
                              .point = RYZ_FAULT_ENGINE_STEP,
                              .action = RYZ_FAULT_FAIL,
                              .until_ns = RYZ_TIME_NEVER,
                              .permille = 1000};
    struct ryz_faults *faults = NULL;
    uint64_t bytes = block_bytes(&options);
    options.kv_bytes = SMALL * bytes;
    options.kv_host_bytes = HOST_BLOCKS * bytes;
    open_engine(&fixture, &options);
    for (uint32_t who = 0; who < REQUESTS; who++) ask(who, &alone[who]);
    struct ryz_core_stats before = ryz_engine_stats(fixture.engine);
    cr_assert_eq(ryz_faults_open(&fault, 1, 1, &faults, NULL), RYZ_OK);
    ryz_engine_set_faults(fixture.engine, faults);
    ask(0, &swapped[0]);
    cr_assert_eq(swapped[0].done_event.status, RYZ_FAULT);
    struct ryz_core_stats after = ryz_engine_stats(fixture.engine);
    cr_assert_eq(after.failed_steps, 1u);
    cr_assert_gt(after.host_in_blocks, before.host_in_blocks);
    cr_assert_gt(after.host_out_blocks, before.host_out_blocks);
    ryz_engine_set_faults(fixture.engine, NULL);
    for (uint32_t who = 0; who < REQUESTS; who++) {
        ask(who, &swapped[who]);
        cr_assert_eq(swapped[who].done_event.cached_tokens, (LONG - 1) / 16 * 16);
        cr_assert_eq(memcmp(alone[who].tokens, swapped[who].tokens, 8 * sizeof(uint32_t)), 0);
        cr_assert_eq(memcmp(alone[who].logprobs, swapped[who].logprobs, 8 * sizeof(float)), 0);
    }
    close_engine(&fixture);
    ryz_faults_close(faults);
}

Test(swap, a_tier_that_cannot_be_is_refused)
{
    struct ryz_engine_options options = options_of("bf16");
    struct ryz_engine *engine = NULL;
    struct ryz_error error = {.text = ""};
    options.kv_host_bytes = 10;
    cr_assert_eq(ryz_engine_open(&options, &engine, &error), RYZ_INVALID);
    cr_assert_not_null(strstr(error.text, "hold no KV block"), "%s", error.text);
    options.kv_host_bytes = UINT64_C(4) << 20;
    options.prefix_cache = false;
    cr_assert_eq(ryz_engine_open(&options, &engine, &error), RYZ_INVALID);
    cr_assert_not_null(strstr(error.text, "prefix cache evicts, but it is off"), "%s", error.text);
}
