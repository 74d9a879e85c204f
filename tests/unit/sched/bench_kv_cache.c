/*
 * bench_kv_cache.c - what the block ledger and its prefix cache cost, by the size of the pool.
 *
 * Not a test: it asserts no time. Method: a pool full of cached prompts of 128 blocks (2048 tokens
 * at 16), of which random ones are hashed, looked up, taken and given back, claimed, or evicted by
 * allocations; beside it the same allocations without any cache. Medians of single operations over
 * 128 blocks each; a read of the clock (about 25 ns) is part of them.
 */
#include "engine/base/clock.h"
#include "engine/base/rng.h"
#include "engine/base/size.h"
#include "engine/sched/kv_ledger.h"
#include "engine/sched/prefix_hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { PROMPT_BLOCKS = 128, BLOCK_TOKENS = 16, TIMES = 4001 };

static struct ryz_kv_ledger *ledger;
static uint64_t (*prompts)[PROMPT_BLOCKS]; /* (prompt_count) hashes */
static uint32_t prompt_count;
static struct ryz_rng rng;
static int64_t samples[TIMES];

static int64_t read_clock_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * RYZ_NS_PER_S + now.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void publish_all(const uint32_t *blocks, const uint64_t *hashes)
{
    for (uint32_t i = 0; i < PROMPT_BLOCKS; i++)
        (void)ryz_kv_ledger_publish(ledger, blocks[i], hashes[i]);
}

/* Every operation leaves the pool as full of cached blocks as it found it. */
static int64_t hash_tokens(void)
{
    static uint32_t tokens[PROMPT_BLOCKS * BLOCK_TOKENS];
    static uint64_t hashes[PROMPT_BLOCKS];
    struct ryz_prefix_hash hash;
    tokens[0]++;
    ryz_prefix_hash_init(&hash, 1, 0, BLOCK_TOKENS);
    int64_t begin = read_clock_ns();
    (void)ryz_prefix_hash_extend(&hash, tokens, RYZ_COUNT_OF(tokens), hashes);
    return read_clock_ns() - begin;
}

static int64_t match(void)
{
    const uint64_t *hashes = prompts[ryz_rng_below(&rng, prompt_count)];
    int64_t begin = read_clock_ns();
    (void)ryz_kv_ledger_match(ledger, hashes, PROMPT_BLOCKS, NULL);
    return read_clock_ns() - begin;
}

static int64_t claim_and_release(void)
{
    uint32_t blocks[PROMPT_BLOCKS], taken;
    const struct ryz_kv_claim claim = {prompts[ryz_rng_below(&rng, prompt_count)], PROMPT_BLOCKS,
                                       PROMPT_BLOCKS, PROMPT_BLOCKS};
    int64_t begin = read_clock_ns();
    (void)ryz_kv_ledger_claim(ledger, &claim, blocks, &taken);
    ryz_kv_ledger_release_all(ledger, blocks, PROMPT_BLOCKS);
    return read_clock_ns() - begin;
}

/* Fills the pool again with hashes that were never there. */
static int64_t alloc_with_eviction(void)
{
    uint32_t blocks[PROMPT_BLOCKS];
    uint64_t hashes[PROMPT_BLOCKS];
    int64_t begin = read_clock_ns();
    (void)ryz_kv_ledger_alloc(ledger, PROMPT_BLOCKS, blocks);
    int64_t end = read_clock_ns();
    for (uint32_t i = 0; i < PROMPT_BLOCKS; i++) hashes[i] = ryz_rng_u64(&rng) | 1;
    publish_all(blocks, hashes);
    ryz_kv_ledger_release_all(ledger, blocks, PROMPT_BLOCKS);
    return end - begin;
}

static int64_t publish(void)
{
    uint32_t blocks[PROMPT_BLOCKS];
    uint64_t hashes[PROMPT_BLOCKS];
    (void)ryz_kv_ledger_alloc(ledger, PROMPT_BLOCKS, blocks);
    for (uint32_t i = 0; i < PROMPT_BLOCKS; i++) hashes[i] = ryz_rng_u64(&rng) | 1;
    int64_t begin = read_clock_ns();
    publish_all(blocks, hashes);
    int64_t end = read_clock_ns();
    ryz_kv_ledger_release_all(ledger, blocks, PROMPT_BLOCKS);
    return end - begin;
}

static int64_t alloc_and_release(void)
{
    uint32_t blocks[PROMPT_BLOCKS];
    int64_t begin = read_clock_ns();
    (void)ryz_kv_ledger_alloc(ledger, PROMPT_BLOCKS, blocks);
    ryz_kv_ledger_release_all(ledger, blocks, PROMPT_BLOCKS);
    return read_clock_ns() - begin;
}

static void measure(const char *name, int64_t (*operation)(void))
{
    for (uint32_t i = 0; i < TIMES; i++) samples[i] = operation();
    qsort(samples, TIMES, sizeof samples[0], compare);
    (void)printf("  %-28s p50 %8.2f us  p99 %8.2f us\n", name, (double)samples[TIMES / 2] / 1e3,
                 (double)samples[TIMES * 99 / 100] / 1e3);
}

static void open_pool(uint32_t block_count)
{
    struct ryz_error error;
    if (ryz_kv_ledger_open(block_count, &ledger, &error) == RYZ_OK) return;
    (void)fprintf(stderr, "%s\n", error.text);
    exit(1);
}

static void fill_pool(uint32_t block_count)
{
    uint32_t blocks[PROMPT_BLOCKS];
    prompt_count = block_count / PROMPT_BLOCKS;
    prompts = calloc(prompt_count, sizeof *prompts);
    if (prompts == NULL) exit(1);
    for (uint32_t i = 0; i < prompt_count; i++) {
        for (uint32_t k = 0; k < PROMPT_BLOCKS; k++) prompts[i][k] = ryz_rng_u64(&rng) | 1;
        (void)ryz_kv_ledger_alloc(ledger, PROMPT_BLOCKS, blocks);
        publish_all(blocks, prompts[i]);
        ryz_kv_ledger_release_all(ledger, blocks, PROMPT_BLOCKS);
    }
}

int main(void)
{
    static const uint32_t pools[] = {4096, 65536, 1048576};
    measure("hash of 2048 tokens", hash_tokens);
    for (size_t i = 0; i < RYZ_COUNT_OF(pools); i++) {
        (void)printf("pool of %u blocks, 128 at a time\n", pools[i]);
        ryz_rng_init(&rng, 1, i);
        open_pool(pools[i]);
        measure("alloc, release without cache", alloc_and_release);
        fill_pool(pools[i]);
        measure("match", match);
        measure("claim (all hits), release", claim_and_release);
        measure("alloc with eviction", alloc_with_eviction);
        measure("publish", publish);
        free(prompts);
        ryz_kv_ledger_close(ledger);
    }
    return 0;
}
