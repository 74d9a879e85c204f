/*
 * test_matrix.c - goal: output does not depend on how it was computed, greedy (the even requests)
 * or sampled (the odd ones). Method: the same requests on engines of every combination of threads,
 * chunk, batch, pool (large; so small that requests are preempted and blocks evicted), prefix cache
 * (with the small pool also over a host tier, so that preempted requests are swapped), order of
 * service, speculation and type of the KV cache (of the second type, a part of the cells); tokens
 * and log-probabilities are compared to the bit with those of requests that ran alone, in one
 * chunk, on one thread, with the same type.
 */
#include "engine_fixture.h"

#include "engine/base/size.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define REQUESTS 7u
#define WANTED   24u
#define LONGEST  150u

#define HOST_BLOCKS 24u

/* Sanitizers make a cell several times as slow; there it is memory that is looked at, not bits. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STRIDE 7u
#else
#define STRIDE 1u
#endif

/* One way to compute. */
struct cell {
    uint32_t threads, chunk, batch, pool_blocks; /* 0: the fixture's pool */
    uint32_t host_blocks;
    bool prefix_cache;
    const char *policy, *kv_type, *speculate;
};

static struct fixture fixture;
static struct output alone[REQUESTS], mixed[REQUESTS];
static uint64_t preempted, found, evicted, swapped_in; /* over all cells: each must happen */
static uint64_t verified[2], accepted[2];              /* by lookup, by the draft model */

/* Lengths around blocks and chunks; the odd ones begin like the first. */
static uint32_t make_one(uint32_t i, uint32_t *prompt)
{
    static const uint32_t lengths[REQUESTS] = {64, 65, 1, 150, 16, 97, 64};
    make_prompt(fixture.engine, i % 2 == 0 ? 1 : 50 + i, prompt, lengths[i]);
    if (i % 2 != 0) make_prompt(fixture.engine, 1, prompt, ryz_min_u32(48, lengths[i]));
    return lengths[i];
}

static void submit_all(struct output *out, bool wait)
{
    for (uint32_t i = 0; i < REQUESTS; i++) {
        uint32_t prompt[LONGEST], length = make_one(i, prompt);
        output_init(&out[i]);
        struct ryz_generate request = make_request(prompt, length, WANTED, &out[i]);
        request.ignore_eos = request.wants_logprobs = true;
        if (i % 2 != 0)
            request.sampling = (struct ryz_sampling){
                .temperature = 0.8f, .top_p = 0.95f, .min_p = 0.02f, .seed = 70 + i};
        request.priority = (uint8_t)(i % 3);
        submit(&fixture, &request);
        if (wait) await(&out[i]);
    }
    for (uint32_t i = 0; i < REQUESTS; i++) await(&out[i]);
}

static void compute(const struct cell *cell, struct output *out, bool wait)
{
    struct ryz_engine_options options = default_options();
    options.threads = cell->threads;
    options.limits.prefill_chunk_max = cell->chunk;
    options.limits.batch_tokens_max = cell->chunk + cell->batch;
    options.limits.batch_requests_max = cell->batch;
    options.prefix_cache = cell->prefix_cache;
    options.policy = cell->policy;
    options.kv_type = cell->kv_type;
    options.speculate = cell->speculate;
    options.draft_model =
        strcmp(cell->speculate, "draft") == 0 ? RYZ_SOURCE_DIR "/models/ryz-tiny-draft.gguf" : NULL;
    if (cell->pool_blocks > 0) {
        open_engine(&fixture, &options);
        uint64_t blocks = ryz_engine_core_config(fixture.engine).limits.kv_blocks;
        close_engine(&fixture);
        uint64_t block_bytes = options.kv_bytes / blocks;
        options.kv_bytes = cell->pool_blocks * block_bytes;
        options.kv_host_bytes = cell->host_blocks * block_bytes;
    }
    open_engine(&fixture, &options);
    submit_all(out, wait);
    /* Once more, over what was evicted to the host, if it is not there already. */
    if (cell->host_blocks > 0) submit_all(out, wait);
    await_idle(&fixture);
    struct ryz_core_stats stats = ryz_engine_stats(fixture.engine);
    cr_assert_eq(stats.kv_blocks_used, 0);
    preempted += stats.preempted;
    found += stats.prompt_tokens_cached;
    evicted += stats.cache_evicted_blocks;
    swapped_in += stats.host_in_blocks;
    cr_assert(cell->host_blocks > 0 || stats.host_out_blocks == 0);
    for (uint32_t i = 0; i < RYZ_DRAFT_MAX; i++) {
        verified[options.draft_model != NULL] += stats.drafts_verified[i];
        accepted[options.draft_model != NULL] += stats.drafts_accepted[i];
    }
    close_engine(&fixture);
}

static void expect_same(const struct cell *cell)
{
    for (uint32_t i = 0; i < REQUESTS; i++) {
        const struct output *a = &alone[i], *b = &mixed[i];
        bool same = a->token_count == WANTED && b->token_count == WANTED &&
                    memcmp(a->tokens, b->tokens, WANTED * sizeof a->tokens[0]) == 0 &&
                    memcmp(a->logprobs, b->logprobs, WANTED * sizeof a->logprobs[0]) == 0;
        cr_assert(same,
                  "request %u differs with %u threads, chunks of %u, batches of %u, %u blocks, "
                  "cache %d, %u host blocks, %s, %s, speculation %s",
                  i, cell->threads, cell->chunk, cell->batch, cell->pool_blocks, cell->prefix_cache,
                  cell->host_blocks, cell->policy, cell->kv_type, cell->speculate);
    }
}

/* Every `stride`-th cell of one KV type. */
static void walk(const char *kv_type, uint32_t stride)
{
    static const uint32_t threads[] = {1, 2}, chunks[] = {7, 64}, batches[] = {1, 3, 8};
    static const uint32_t pools[] = {0, 14};
    static const char *const policies[] = {"fcfs", "tiered"};
    static const char *const speculations[] = {"off", "lookup", "draft"};
    const struct cell reference = {.threads = 1,
                                   .chunk = 256,
                                   .batch = 1,
                                   .policy = "fcfs",
                                   .kv_type = kv_type,
                                   .speculate = "off"};
    compute(&reference, alone, true);
    const uint32_t sizes[] = {RYZ_COUNT_OF(threads),
                              RYZ_COUNT_OF(chunks),
                              RYZ_COUNT_OF(batches),
                              RYZ_COUNT_OF(pools),
                              3,
                              RYZ_COUNT_OF(policies),
                              RYZ_COUNT_OF(speculations)};
    uint32_t cells = 1;
    preempted = found = evicted = swapped_in = 0;
    memset(verified, 0, sizeof verified);
    memset(accepted, 0, sizeof accepted);
    for (size_t k = 0; k < RYZ_COUNT_OF(sizes); k++) cells *= sizes[k];
    for (uint32_t c = 0; c < cells; c += stride) {
        uint32_t at[RYZ_COUNT_OF(sizes)], rest = c;
        for (size_t k = 0; k < RYZ_COUNT_OF(sizes); k++) {
            at[k] = rest % sizes[k];
            rest /= sizes[k];
        }
        const struct cell cell = {.threads = threads[at[0]],
                                  .chunk = chunks[at[1]],
                                  .batch = batches[at[2]],
                                  .pool_blocks = pools[at[3]],
                                  .host_blocks = at[4] == 2 ? HOST_BLOCKS : 0,
                                  .prefix_cache = at[4] > 0,
                                  .policy = policies[at[5]],
                                  .speculate = speculations[at[6]],
                                  .kv_type = kv_type};
        if (cell.host_blocks > 0 && cell.pool_blocks == 0) continue; /* nothing is evicted */
        compute(&cell, mixed, false);
        expect_same(&cell);
    }
    (void)printf(
        "matrix, %s: every %u of %u cells, %llu preemptions, %llu tokens found, %llu blocks "
        "evicted, %llu copied back, %llu of %llu proposals from the text right, %llu of %llu of "
        "the draft\n",
        kv_type, stride, cells, (unsigned long long)preempted, (unsigned long long)found,
        (unsigned long long)evicted, (unsigned long long)swapped_in,
        (unsigned long long)accepted[0], (unsigned long long)verified[0],
        (unsigned long long)accepted[1], (unsigned long long)verified[1]);
    cr_assert_gt(preempted, 0);
    cr_assert_gt(found, 0);
    cr_assert_gt(evicted, 0);
    cr_assert_gt(swapped_in, 0);
    for (uint32_t i = 0; i < 2; i++) {
        cr_assert_gt(accepted[i], 0);
        cr_assert_gt(verified[i], accepted[i]);
    }
}

Test(matrix, output_is_the_same_however_it_was_computed, .timeout = 600)
{
    walk("bf16", STRIDE);
}

Test(matrix, and_so_it_is_with_an_int8_kv_cache, .timeout = 600)
{
    walk("int8", 5 * STRIDE);
}
