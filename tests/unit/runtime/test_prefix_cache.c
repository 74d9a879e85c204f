/*
 * test_prefix_cache.c - goal: what is found in the cache changes the work and nothing else: the
 * same tokens and log-probabilities, to the bit. Method: requests that share a beginning, on
 * engines with and without the cache, one after the other, together, and in a pool so small that
 * blocks are evicted and requests preempted.
 */
#include "engine_fixture.h"

#include "engine/base/clock.h"
#include "engine/base/size.h"

#include <criterion/criterion.h>
#include <string.h>

#define PROMPT   100u
#define SHARED   70u
#define REQUESTS 6u
#define WANTED   40u

static struct fixture fixture;
static struct output outputs[2][REQUESTS];

/* Request i has the beginning of all, then tokens of its own; the last repeats the first. */
static void make_shared_prompt(uint32_t i, uint32_t *prompt)
{
    make_prompt(fixture.engine, 1, prompt, PROMPT);
    if (i > 0 && i < REQUESTS - 1)
        make_prompt(fixture.engine, 100 + i, prompt + SHARED, PROMPT - SHARED);
}

static void run(const struct ryz_engine_options *options, bool together, struct output *out)
{
    open_engine(&fixture, options);
    for (uint32_t i = 0; i < REQUESTS; i++) {
        uint32_t prompt[PROMPT];
        make_shared_prompt(i, prompt);
        output_init(&out[i]);
        struct ryz_generate request = make_request(prompt, PROMPT, WANTED, &out[i]);
        request.ignore_eos = request.wants_logprobs = true;
        submit(&fixture, &request);
        if (!together) await(&out[i]);
    }
    for (uint32_t i = 0; i < REQUESTS; i++) await(&out[i]);
    await_idle(&fixture);
}

static void expect_equal_outputs(void)
{
    for (uint32_t i = 0; i < REQUESTS; i++) {
        const struct output *a = &outputs[0][i], *b = &outputs[1][i];
        cr_assert_eq(a->token_count, WANTED);
        cr_assert_eq(b->token_count, WANTED);
        cr_assert_eq(memcmp(a->tokens, b->tokens, WANTED * sizeof a->tokens[0]), 0, "request %u",
                     i);
        cr_assert_eq(memcmp(a->logprobs, b->logprobs, WANTED * sizeof a->logprobs[0]), 0,
                     "request %u", i);
    }
}

static void compare_in(const char *kv_type, uint64_t kv_bytes, uint32_t threads, bool together)
{
    struct ryz_engine_options options = default_options();
    options.kv_type = kv_type;
    options.kv_bytes = kv_bytes;
    options.threads = threads;
    run(&options, together, outputs[0]);
    close_engine(&fixture);
    options.prefix_cache = true;
    run(&options, together, outputs[1]);
    expect_equal_outputs();
}

static void compare(uint64_t kv_bytes, uint32_t threads, bool together)
{
    compare_in("bf16", kv_bytes, threads, together);
}

Test(prefix_cache, a_beginning_is_found_and_the_answer_is_the_same)
{
    compare((uint64_t)4 << 20, 1, false);
    cr_assert_eq(outputs[1][0].done_event.cached_tokens, 0);
    for (uint32_t i = 1; i < REQUESTS - 1; i++)
        cr_assert_eq(outputs[1][i].done_event.cached_tokens, SHARED / 16 * 16, "request %u", i);
    /* The whole prompt is known: all its full blocks are found, the rest is computed. */
    cr_assert_eq(outputs[1][REQUESTS - 1].done_event.cached_tokens, PROMPT / 16 * 16);
    struct ryz_core_stats stats = ryz_engine_stats(fixture.engine);
    cr_assert_eq(stats.prompt_tokens_cached, 4 * 64 + 96);
    cr_assert_eq(stats.prompt_tokens_computed, REQUESTS * PROMPT - stats.prompt_tokens_cached);
    cr_assert_eq(stats.kv_blocks_used, 0);
    cr_assert_gt(stats.kv_blocks_cached, 0);
    for (uint32_t i = 0; i < REQUESTS; i++) {
        const struct ryz_stream_event *done = &outputs[1][i].done_event;
        cr_assert_eq(done->waste.computed_tokens, PROMPT + WANTED - 1 - done->cached_tokens);
        cr_assert_eq(done->waste.recomputed_tokens + done->waste.preemptions, 0);
    }
    close_engine(&fixture);
}

Test(prefix_cache, requests_that_run_together_share_blocks)
{
    compare((uint64_t)4 << 20, 2, true);
    cr_assert_eq(ryz_engine_stats(fixture.engine).kv_blocks_used, 0);
    close_engine(&fixture);
}

/* What one request quantised is what the next would have. */
Test(prefix_cache, int8_blocks_are_found_like_others)
{
    compare_in("int8", (uint64_t)4 << 20, 1, false);
    cr_assert_eq(outputs[1][REQUESTS - 1].done_event.cached_tokens, PROMPT / 16 * 16);
    close_engine(&fixture);
    compare_in("int8", (uint64_t)4 << 20, 2, true);
    close_engine(&fixture);
}

Test(prefix_cache, evictions_and_preemptions_change_no_answer)
{
    struct ryz_engine_options options = default_options();
    options.prefix_cache = true;
    open_engine(&fixture, &options);
    struct ryz_core_config config = ryz_engine_core_config(fixture.engine);
    close_engine(&fixture);
    /* Room for 16 blocks; the six together want 54, or 34 where they share. */
    uint64_t block_bytes = options.kv_bytes / config.limits.kv_blocks;
    compare(16 * block_bytes, 2, true);
    struct ryz_core_stats stats = ryz_engine_stats(fixture.engine);
    cr_assert_gt(stats.cache_evicted_blocks, 0);
    cr_assert_gt(stats.prompt_tokens_cached, 0);
    close_engine(&fixture);
}

Test(prefix_cache, tenants_do_not_find_each_others_beginnings)
{
    struct ryz_engine_options options = default_options();
    options.prefix_cache = true;
    open_engine(&fixture, &options);
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t prompt[PROMPT];
        make_shared_prompt(0, prompt);
        output_init(&outputs[0][i]);
        struct ryz_generate request = make_request(prompt, PROMPT, 4, &outputs[0][i]);
        request.tenant = i == 1 ? 7 : 0;
        submit(&fixture, &request);
        await(&outputs[0][i]);
    }
    cr_assert_eq(outputs[0][1].done_event.cached_tokens, 0);
    cr_assert_eq(outputs[0][2].done_event.cached_tokens, 96);
    close_engine(&fixture);
}

/* The next turn of a talk begins with the last prompt and its answer. */
Test(prefix_cache, an_answer_is_found_as_the_beginning_of_the_next_turn)
{
    struct ryz_engine_options options = default_options();
    options.prefix_cache = true;
    open_engine(&fixture, &options);
    uint32_t talk[PROMPT + WANTED + 1];
    make_prompt(fixture.engine, 5, talk, PROMPT);
    output_init(&outputs[0][0]);
    struct ryz_generate first = make_request(talk, PROMPT, WANTED, &outputs[0][0]);
    first.ignore_eos = true;
    submit(&fixture, &first);
    await(&outputs[0][0]);
    memcpy(talk + PROMPT, outputs[0][0].tokens, WANTED * sizeof talk[0]);
    talk[PROMPT + WANTED] = talk[0];
    output_init(&outputs[0][1]);
    struct ryz_generate second = make_request(talk, PROMPT + WANTED + 1, 4, &outputs[0][1]);
    submit(&fixture, &second);
    await(&outputs[0][1]);
    /* The last token of the answer was never an input, so its block is not whole. */
    cr_assert_eq(outputs[0][1].done_event.cached_tokens, (PROMPT + WANTED - 1) / 16 * 16);
    close_engine(&fixture);
}
