/*
 * test_kv_ledger.c - goal: no block is ever lost or handed out twice, and what is freed last or
 * used last is evicted last. Method: small pools by hand, then a random walk against a model that
 * counts owners; the whole of the prefix cache against a model in
 * tests/property/test_prefix_cache.c.
 */
#include "engine/base/rng.h"
#include "engine/sched/kv_ledger.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

/* Of the tests that abort: reachable, so that no leak checker takes it for lost. */
static struct ryz_kv_ledger *kept;

static struct ryz_kv_ledger *open_pool(uint32_t blocks)
{
    struct ryz_kv_ledger *ledger = NULL;
    cr_assert_eq(ryz_kv_ledger_open(blocks, &ledger, NULL), RYZ_OK);
    return ledger;
}

Test(kv_ledger, gives_all_blocks_asked_for_or_none)
{
    struct ryz_kv_ledger *ledger = open_pool(4);
    uint32_t blocks[4] = {9, 9, 9, 9}, more[2] = {7, 7};
    cr_assert(ryz_kv_ledger_alloc(ledger, 3, blocks));
    cr_assert_not(ryz_kv_ledger_alloc(ledger, 2, more));
    cr_assert_eq(more[0], 7u, "a failed allocation writes nothing");
    cr_assert_eq(ryz_kv_ledger_free_count(ledger), 1u);
    cr_assert(ryz_kv_ledger_alloc(ledger, 1, more));
    cr_assert_eq(ryz_kv_ledger_free_count(ledger), 0u);
    cr_assert(ryz_kv_ledger_alloc(ledger, 0, blocks), "nothing can always be had");
    ryz_kv_ledger_close(ledger);
}

Test(kv_ledger, a_fresh_pool_is_used_front_to_back)
{
    struct ryz_kv_ledger *ledger = open_pool(3);
    uint32_t blocks[3];
    cr_assert(ryz_kv_ledger_alloc(ledger, 3, blocks));
    for (uint32_t i = 0; i < 3; i++) cr_assert_eq(blocks[i], i);
    ryz_kv_ledger_close(ledger);
}

Test(kv_ledger, blocks_given_back_come_in_the_same_order_again)
{
    struct ryz_kv_ledger *ledger = open_pool(8);
    uint32_t first[5], again[5];
    cr_assert(ryz_kv_ledger_alloc(ledger, 5, first));
    ryz_kv_ledger_release_all(ledger, first, 5);
    cr_assert_eq(ryz_kv_ledger_free_count(ledger), 8u);
    cr_assert(ryz_kv_ledger_alloc(ledger, 5, again));
    cr_assert_eq(memcmp(first, again, sizeof first), 0);
    ryz_kv_ledger_close(ledger);
}

Test(kv_ledger, freeing_a_shared_block_keeps_other_holders)
{
    struct ryz_kv_ledger *ledger = open_pool(2);
    uint32_t block;
    cr_assert(ryz_kv_ledger_alloc(ledger, 1, &block));
    ryz_kv_ledger_retain(ledger, block);
    ryz_kv_ledger_retain(ledger, block);
    cr_assert_eq(ryz_kv_ledger_owners(ledger, block), 3u);
    ryz_kv_ledger_release(ledger, block);
    ryz_kv_ledger_release(ledger, block);
    cr_assert_eq(ryz_kv_ledger_free_count(ledger), 1u, "one holder is left");
    ryz_kv_ledger_release(ledger, block);
    cr_assert_eq(ryz_kv_ledger_free_count(ledger), 2u);
    cr_assert_eq(ryz_kv_ledger_owners(ledger, block), 0u);
    ryz_kv_ledger_close(ledger);
}

/* Allocates `count` blocks and publishes them under hashes first_hash, first_hash + 1, ... */
static void fill(struct ryz_kv_ledger *ledger, uint64_t first_hash, uint32_t count,
                 uint32_t *blocks)
{
    cr_assert(ryz_kv_ledger_alloc(ledger, count, blocks));
    for (uint32_t i = 0; i < count; i++)
        cr_assert(ryz_kv_ledger_publish(ledger, blocks[i], first_hash + i));
}

/* fill and release_all: blocks cached, the last to be evicted first. */
static void cache(struct ryz_kv_ledger *ledger, uint64_t first_hash, uint32_t count,
                  uint32_t *blocks)
{
    fill(ledger, first_hash, count, blocks);
    ryz_kv_ledger_release_all(ledger, blocks, count);
}

static uint32_t match(const struct ryz_kv_ledger *ledger, uint64_t first_hash, uint32_t count)
{
    uint64_t hashes[16];
    for (uint32_t i = 0; i < count; i++) hashes[i] = first_hash + i;
    return ryz_kv_ledger_match(ledger, hashes, count, NULL);
}

Test(kv_ledger, a_freed_block_keeps_its_hash_and_counts_as_free)
{
    struct ryz_kv_ledger *ledger = open_pool(4);
    uint32_t blocks[2], cached = 9;
    const uint64_t hashes[] = {10, 11, 12};
    fill(ledger, 10, 2, blocks);
    cr_assert_eq(ryz_kv_ledger_match(ledger, hashes, 3, &cached), 2u, "held blocks are found");
    cr_assert_eq(cached, 0u);
    ryz_kv_ledger_release_all(ledger, blocks, 2);
    cr_assert_eq(ryz_kv_ledger_match(ledger, hashes, 3, &cached), 2u);
    cr_assert_eq(cached, 2u);
    cr_assert_eq(ryz_kv_ledger_free_count(ledger), 4u);
    cr_assert_eq(ryz_kv_ledger_cached_count(ledger), 2u);
    cr_assert_eq(ryz_kv_ledger_hash(ledger, blocks[1]), 11u);
    cr_assert_eq(ryz_kv_ledger_match(ledger, hashes + 2, 1, NULL), 0u);
    ryz_kv_ledger_close(ledger);
}

Test(kv_ledger, a_match_ends_at_the_first_block_missing)
{
    struct ryz_kv_ledger *ledger = open_pool(4);
    uint32_t blocks[3];
    cache(ledger, 10, 1, blocks);
    cache(ledger, 12, 2, blocks);
    cr_assert_eq(match(ledger, 10, 4), 1u);
    cr_assert_eq(match(ledger, 12, 4), 2u);
    cr_assert_eq(match(ledger, 10, 0), 0u);
    ryz_kv_ledger_close(ledger);
}

Test(kv_ledger, blocks_without_a_hash_are_used_before_any_is_evicted)
{
    struct ryz_kv_ledger *ledger = open_pool(6);
    uint32_t plain[2], cached[2], got[4];
    cr_assert(ryz_kv_ledger_alloc(ledger, 2, plain));
    cache(ledger, 10, 2, cached);
    ryz_kv_ledger_release_all(ledger, plain, 2);
    cr_assert(ryz_kv_ledger_alloc(ledger, 4, got));
    cr_assert_eq(got[0], plain[0], "freed last, its memory is the warmest");
    cr_assert_eq(got[1], plain[1]);
    cr_assert_eq(match(ledger, 10, 2), 2u);
    cr_assert_eq(ryz_kv_ledger_cached_count(ledger), 2u);
    ryz_kv_ledger_close(ledger);
}

Test(kv_ledger, the_least_recently_used_block_is_evicted_first)
{
    struct ryz_kv_ledger *ledger = open_pool(4);
    uint32_t first[2], second[2], again[2], got[4];
    cache(ledger, 10, 2, first);
    cache(ledger, 20, 2, second);
    /* The first pair is used again, so the second is older now. */
    cr_assert_eq(ryz_kv_ledger_take(ledger, (const uint64_t[]){10, 11}, 2, again), 2u);
    cr_assert_eq(memcmp(again, first, sizeof first), 0);
    ryz_kv_ledger_release_all(ledger, again, 2);
    const uint32_t order[] = {second[1], second[0], first[1], first[0]};
    for (uint32_t i = 0; i < 4; i++) {
        cr_assert_eq(match(ledger, 20, 2), i == 0 ? 2u : i == 1 ? 1u : 0u);
        cr_assert(ryz_kv_ledger_alloc(ledger, 1, &got[i]));
        cr_assert_eq(got[i], order[i], "allocation %u: an end goes before its beginning", i);
    }
    cr_assert_eq(match(ledger, 10, 2), 0u);
    cr_assert_eq(ryz_kv_ledger_cached_count(ledger), 0u);
    cr_assert_eq(ryz_kv_ledger_hash(ledger, got[0]), 0u, "evicted blocks are plain ones");
    ryz_kv_ledger_close(ledger);
}

Test(kv_ledger, a_taken_block_is_shared_with_its_holder)
{
    struct ryz_kv_ledger *ledger = open_pool(3);
    uint32_t mine[2], yours[2];
    fill(ledger, 10, 2, mine);
    cr_assert_eq(ryz_kv_ledger_take(ledger, (const uint64_t[]){10, 99}, 2, yours), 1u);
    cr_assert_eq(yours[0], mine[0]);
    cr_assert_eq(ryz_kv_ledger_owners(ledger, mine[0]), 2u);
    ryz_kv_ledger_release_all(ledger, mine, 2);
    cr_assert_eq(ryz_kv_ledger_free_count(ledger), 2u);
    cr_assert_eq(ryz_kv_ledger_cached_count(ledger), 1u);
    ryz_kv_ledger_close(ledger);
}

Test(kv_ledger, a_copy_of_a_held_block_is_not_indexed)
{
    struct ryz_kv_ledger *ledger = open_pool(3);
    uint32_t original, copy;
    fill(ledger, 10, 1, &original);
    cr_assert(ryz_kv_ledger_alloc(ledger, 1, &copy));
    cr_assert_not(ryz_kv_ledger_publish(ledger, copy, 10));
    cr_assert_eq(ryz_kv_ledger_hash(ledger, copy), 0u);
    ryz_kv_ledger_release(ledger, copy);
    cr_assert_eq(ryz_kv_ledger_cached_count(ledger), 0u, "a copy is not worth keeping");
    cr_assert_eq(match(ledger, 10, 1), 1u);
    ryz_kv_ledger_close(ledger);
}

Test(kv_ledger, a_copy_takes_the_place_of_a_block_that_is_only_cached)
{
    struct ryz_kv_ledger *ledger = open_pool(3);
    uint32_t original, copy, got[2], found;
    fill(ledger, 10, 1, &original);
    cr_assert(ryz_kv_ledger_alloc(ledger, 1, &copy));
    ryz_kv_ledger_release(ledger, original);
    cr_assert(ryz_kv_ledger_publish(ledger, copy, 10));
    cr_assert_eq(ryz_kv_ledger_cached_count(ledger), 0u);
    cr_assert_eq(ryz_kv_ledger_free_count(ledger), 2u);
    cr_assert(ryz_kv_ledger_alloc(ledger, 2, got));
    cr_assert_eq(got[0], original, "the older copy is a free block now");
    cr_assert_eq(ryz_kv_ledger_take(ledger, (const uint64_t[]){10}, 1, &found), 1u);
    cr_assert_eq(found, copy);
    ryz_kv_ledger_close(ledger);
}

Test(kv_ledger, a_claim_takes_what_is_found_and_allocates_the_rest)
{
    struct ryz_kv_ledger *ledger = open_pool(6);
    uint32_t cached[3], got[5], taken = 9;
    const uint64_t hashes[] = {10, 11, 12, 13};
    cache(ledger, 10, 3, cached);
    const struct ryz_kv_claim claim = {hashes, 4, 2, 5};
    cr_assert(ryz_kv_ledger_claim(ledger, &claim, got, &taken));
    cr_assert_eq(taken, 2u, "three are found, two may be taken");
    cr_assert_eq(memcmp(got, cached, 2 * sizeof got[0]), 0);
    for (uint32_t i = 0; i < 5; i++) cr_assert_eq(ryz_kv_ledger_owners(ledger, got[i]), 1u);
    cr_assert_eq(ryz_kv_ledger_free_count(ledger), 1u);
    cr_assert_eq(ryz_kv_ledger_cached_count(ledger), 1u, "hash 12 need not go yet");
    ryz_kv_ledger_close(ledger);
}

Test(kv_ledger, a_claim_takes_no_more_than_it_asks_for)
{
    struct ryz_kv_ledger *ledger = open_pool(4);
    uint32_t cached[3], got[1], taken = 9;
    cache(ledger, 10, 3, cached);
    const struct ryz_kv_claim claim = {(const uint64_t[]){10, 11, 12}, 3, 3, 1};
    cr_assert(ryz_kv_ledger_claim(ledger, &claim, got, &taken));
    cr_assert_eq(taken, 1u);
    cr_assert_eq(ryz_kv_ledger_cached_count(ledger), 2u);
    ryz_kv_ledger_close(ledger);
}

Test(kv_ledger, a_claim_refused_changes_nothing)
{
    struct ryz_kv_ledger *ledger = open_pool(4);
    uint32_t held, older[1], cached[2], got[4] = {7, 7, 7, 7}, taken = 9;
    cache(ledger, 20, 1, older);
    cr_assert(ryz_kv_ledger_alloc(ledger, 1, &held));
    cache(ledger, 10, 2, cached);
    /* Three blocks are free, but two of them are what is found: room for one more, not two. */
    struct ryz_kv_claim claim = {(const uint64_t[]){10, 11}, 2, 2, 4};
    cr_assert_not(ryz_kv_ledger_claim(ledger, &claim, got, &taken));
    cr_assert_eq(got[0], 7u);
    cr_assert_eq(taken, 9u);
    cr_assert_eq(ryz_kv_ledger_free_count(ledger), 3u);
    cr_assert_eq(ryz_kv_ledger_cached_count(ledger), 3u);
    claim.block_count = 3;
    cr_assert(ryz_kv_ledger_claim(ledger, &claim, got, &taken));
    cr_assert_eq(taken, 2u);
    cr_assert_eq(got[2], older[0]);
    ryz_kv_ledger_close(ledger);
}

Test(kv_ledger, a_claim_does_not_evict_what_it_finds)
{
    struct ryz_kv_ledger *ledger = open_pool(3);
    uint32_t found[1], other[2], got[3], taken;
    cache(ledger, 10, 1, found); /* the oldest, first to be evicted */
    cache(ledger, 20, 2, other);
    const struct ryz_kv_claim claim = {(const uint64_t[]){10}, 1, 1, 3};
    cr_assert(ryz_kv_ledger_claim(ledger, &claim, got, &taken));
    cr_assert_eq(got[0], found[0]);
    cr_assert_eq(got[1], other[1]);
    cr_assert_eq(got[2], other[0]);
    ryz_kv_ledger_close(ledger);
}

Test(kv_ledger, counts_lookups_hits_and_evictions)
{
    struct ryz_kv_ledger *ledger = open_pool(4);
    uint32_t blocks[4], taken;
    const uint64_t hashes[] = {10, 11, 12, 13};
    cache(ledger, 10, 3, blocks);
    (void)ryz_kv_ledger_match(ledger, hashes, 4, NULL);
    struct ryz_kv_cache_stats stats = ryz_kv_ledger_cache_stats(ledger);
    cr_assert_eq(stats.lookups, 0u, "a match is no lookup");
    cr_assert_eq(ryz_kv_ledger_take(ledger, hashes, 2, blocks), 2u);
    ryz_kv_ledger_release_all(ledger, blocks, 2);
    struct ryz_kv_claim claim = {hashes, 4, 4, 5};
    cr_assert_not(ryz_kv_ledger_claim(ledger, &claim, blocks, &taken));
    stats = ryz_kv_ledger_cache_stats(ledger);
    cr_assert_eq(stats.lookups, 1u, "a claim refused comes again and is counted then");
    claim = (struct ryz_kv_claim){hashes, 4, 2, 4}; /* evicts hash 12 */
    cr_assert(ryz_kv_ledger_claim(ledger, &claim, blocks, &taken));
    stats = ryz_kv_ledger_cache_stats(ledger);
    cr_assert_eq(stats.lookups, 2u);
    cr_assert_eq(stats.lookup_blocks, 4u, "what may not be taken is not asked for");
    cr_assert_eq(stats.hit_blocks, 4u);
    cr_assert_eq(stats.evicted_blocks, 1u);
    cr_assert_eq(stats.evicted_missed_blocks, 0u);
    ryz_kv_ledger_close(ledger);
}

Test(kv_ledger, counts_misses_of_what_was_evicted)
{
    struct ryz_kv_ledger *ledger = open_pool(4);
    uint32_t blocks[4], got[4];
    const uint64_t hashes[] = {10, 11, 12, 13, 99, 10};
    cache(ledger, 10, 4, blocks);
    cr_assert(ryz_kv_ledger_alloc(ledger, 3, got)); /* evicts 13, 12, 11 */
    ryz_kv_ledger_release_all(ledger, got, 3);
    cr_assert_eq(ryz_kv_ledger_take(ledger, hashes, 6, blocks), 1u);
    struct ryz_kv_cache_stats stats = ryz_kv_ledger_cache_stats(ledger);
    cr_assert_eq(stats.evicted_blocks, 3u);
    cr_assert_eq(stats.evicted_missed_blocks, 3u);
    /* Hash 12 comes back: no ghost now, but it does not end the search for the others. */
    fill(ledger, 12, 1, got);
    cr_assert_eq(ryz_kv_ledger_take(ledger, hashes, 6, blocks), 1u);
    stats = ryz_kv_ledger_cache_stats(ledger);
    cr_assert_eq(stats.evicted_missed_blocks, 5u);
    ryz_kv_ledger_close(ledger);
}

Test(kv_ledger, an_impossible_pool_is_refused)
{
    struct ryz_kv_ledger *ledger = NULL;
    struct ryz_error error;
    cr_assert_eq(ryz_kv_ledger_open(0, &ledger, &error), RYZ_INVALID);
    cr_assert_null(ledger);
    cr_assert_not_null(strstr(error.text, "0 blocks"));
    cr_assert_eq(ryz_kv_ledger_open(RYZ_KV_BLOCKS_MAX + 1, &ledger, &error), RYZ_INVALID);
}

Test(kv_ledger, releasing_a_free_block_is_a_bug, .signal = SIGABRT)
{
    kept = open_pool(2);
    ryz_kv_ledger_release(kept, 1);
}

Test(kv_ledger, sharing_a_free_block_is_a_bug, .signal = SIGABRT)
{
    kept = open_pool(2);
    ryz_kv_ledger_retain(kept, 1);
}

Test(kv_ledger, indexing_a_free_block_is_a_bug, .signal = SIGABRT)
{
    kept = open_pool(2);
    (void)ryz_kv_ledger_publish(kept, 1, 10);
}

Test(kv_ledger, indexing_a_block_twice_is_a_bug, .signal = SIGABRT)
{
    uint32_t block;
    kept = open_pool(2);
    fill(kept, 10, 1, &block);
    (void)ryz_kv_ledger_publish(kept, block, 11);
}

Test(kv_ledger, a_random_walk_agrees_with_a_model_of_counts)
{
    enum { BLOCKS = 24, STEPS = 20000 };
    const uint64_t seed = 2024;
    struct ryz_kv_ledger *ledger = open_pool(BLOCKS);
    uint32_t owners[BLOCKS] = {0}, used = 0, full = 0;
    struct ryz_rng rng;
    ryz_rng_init(&rng, seed, 0);
    for (int i = 0; i < STEPS; i++) {
        uint32_t block = (uint32_t)ryz_rng_below(&rng, BLOCKS);
        uint32_t count = (uint32_t)ryz_rng_below(&rng, 6), got[6];
        uint64_t what = ryz_rng_below(&rng, 4);
        if (what == 0) {
            bool fits = count <= BLOCKS - used;
            cr_assert_eq(ryz_kv_ledger_alloc(ledger, count, got), fits, "seed %lu", seed);
            for (uint32_t k = 0; fits && k < count; k++) {
                cr_assert_eq(owners[got[k]], 0u, "seed %lu: block handed out twice", seed);
                owners[got[k]] = 1;
                used++;
            }
            full += fits ? 0 : 1;
        } else if (owners[block] > 0 && what == 1) {
            ryz_kv_ledger_retain(ledger, block);
            owners[block]++;
        } else if (owners[block] > 0) {
            ryz_kv_ledger_release(ledger, block);
            if (--owners[block] == 0) used--;
        }
        cr_assert_eq(ryz_kv_ledger_owners(ledger, block), owners[block], "seed %lu", seed);
        cr_assert_eq(ryz_kv_ledger_free_count(ledger), BLOCKS - used, "seed %lu", seed);
    }
    cr_assert_gt(full, 100u, "the walk must have met an exhausted pool");
    ryz_kv_ledger_close(ledger);
}
