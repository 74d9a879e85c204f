/*
 * Goal: the host tier keeps what was put last, finds it, drops what came first and never what was
 * promised; the ledger above it moves a hash between the tiers with the copies in an order in which
 * nothing is read that was overwritten. Method: tiers of two or three blocks; the copies by hand.
 * Random walks: tests/property/test_prefix_cache.c.
 */
#include "engine/sched/kv_host.h"
#include "engine/sched/kv_ledger.h"

#include <criterion/criterion.h>

static struct ryz_kv_host host;

static void open_tier(uint32_t blocks)
{
    cr_assert_eq(ryz_kv_host_open(&host, blocks, NULL), RYZ_OK);
}

static uint32_t put(uint64_t hash, uint64_t expected_drop)
{
    uint64_t dropped = 99;
    uint32_t block = ryz_kv_host_put(&host, hash, &dropped);
    cr_assert_eq(dropped, expected_drop, "%llu", (unsigned long long)dropped);
    return block;
}

Test(kv_host, without_a_tier_nothing_is_found)
{
    struct ryz_kv_host none = {0};
    cr_assert_eq(ryz_kv_host_find(&none, 1), RYZ_KV_HOST_NONE);
    ryz_kv_host_close(&none);
}

Test(kv_host, a_full_tier_drops_what_came_first)
{
    open_tier(2);
    uint32_t first = put(10, 0), second = put(11, 0);
    cr_assert(first < 2 && second < 2 && first != second);
    cr_assert_eq(host.used_count, 2u);
    cr_assert_eq(put(12, 10), first);
    cr_assert_eq(ryz_kv_host_find(&host, 10), RYZ_KV_HOST_NONE);
    cr_assert_eq(ryz_kv_host_find(&host, 11), second);
    cr_assert_eq(ryz_kv_host_hash(&host, first), 12u);
    cr_assert_eq(host.used_count, 2u);
    ryz_kv_host_close(&host);
}

Test(kv_host, what_was_promised_stays_until_it_is_removed)
{
    open_tier(2);
    uint32_t first = put(10, 0);
    (void)put(11, 0);
    ryz_kv_host_promise(&host, first);
    ryz_kv_host_promise(&host, first);
    (void)put(12, 11); /* the younger one goes */
    cr_assert_eq(ryz_kv_host_find(&host, 10), first);
    ryz_kv_host_promise(&host, ryz_kv_host_find(&host, 12));
    cr_assert_eq(put(13, 13), RYZ_KV_HOST_NONE, "all are promised");
    ryz_kv_host_remove(&host, first);
    cr_assert_eq(ryz_kv_host_find(&host, 10), RYZ_KV_HOST_NONE);
    cr_assert_eq(host.used_count, 1u);
    cr_assert_eq(put(13, 0), first);
    ryz_kv_host_close(&host);
}

Test(kv_host, a_free_block_is_used_before_anything_is_dropped)
{
    open_tier(3);
    (void)put(10, 0);
    uint32_t second = put(11, 0);
    (void)put(12, 0);
    ryz_kv_host_remove(&host, second);
    cr_assert_eq(put(13, 0), second);
    (void)put(14, 10);
    ryz_kv_host_close(&host);
}

Test(kv_host, a_tier_of_no_blocks_is_refused)
{
    struct ryz_error error = {0};
    cr_assert_eq(ryz_kv_host_open(&host, 0, &error), RYZ_INVALID);
    cr_assert_neq(error.text[0], '\0');
}

/* ---- with the ledger ---- */

static struct ryz_kv_ledger *ledger;
static struct ryz_kv_copy entries[16];
static struct ryz_kv_copies copies;

static void open_both(uint32_t blocks, uint32_t host_blocks)
{
    copies = (struct ryz_kv_copies){entries, 0, 16};
    cr_assert_eq(ryz_kv_ledger_open(blocks, &ledger, NULL), RYZ_OK);
    cr_assert_eq(ryz_kv_ledger_add_host(ledger, host_blocks, &copies, NULL), RYZ_OK);
}

/* One block that holds `hash` and that nobody owns. */
static uint32_t cache(uint64_t hash)
{
    uint32_t block = 0;
    cr_assert(ryz_kv_ledger_alloc(ledger, 1, &block));
    cr_assert(ryz_kv_ledger_publish(ledger, block, hash));
    ryz_kv_ledger_release(ledger, block);
    return block;
}

static void assert_copy(uint32_t i, enum ryz_kv_copy_kind kind, uint32_t from, uint32_t to)
{
    cr_assert_lt(i, copies.count);
    cr_assert(entries[i].kind == kind && entries[i].from == from && entries[i].to == to,
              "copy %u is %d from %u to %u", i, entries[i].kind, entries[i].from, entries[i].to);
}

Test(kv_tiers, an_evicted_block_is_found_and_comes_back_over_a_copy)
{
    uint32_t blocks[2], cached = 0;
    const uint64_t hashes[] = {10, 11};
    open_both(2, 4);
    uint32_t first = cache(10), second = cache(11);
    cr_assert(ryz_kv_ledger_alloc(ledger, 2, blocks)); /* both go out, the older one first */
    cr_assert_eq(copies.count, 2u);
    assert_copy(0, RYZ_KV_COPY_OUT, first, entries[0].to);
    assert_copy(1, RYZ_KV_COPY_OUT, second, entries[1].to);
    cr_assert_eq(ryz_kv_ledger_find(ledger, 10), UINT32_MAX);
    cr_assert_eq(ryz_kv_ledger_host_count(ledger), 2u);
    cr_assert_eq(ryz_kv_ledger_match(ledger, hashes, 2, &cached), 2u);
    cr_assert_eq(cached, 2u, "each will need a block");
    ryz_kv_ledger_release_all(ledger, blocks, 2);
    uint32_t from[2] = {entries[0].to, entries[1].to};
    copies.count = 0;
    cr_assert_eq(ryz_kv_ledger_take(ledger, hashes, 2, blocks), 2u);
    cr_assert_eq(blocks[0], RYZ_KV_IN_HOST | from[0]);
    cr_assert_eq(copies.count, 0u, "not before it is loaded");
    ryz_kv_ledger_load(ledger, hashes, 2, blocks);
    assert_copy(0, RYZ_KV_COPY_IN, from[0], blocks[0]);
    assert_copy(1, RYZ_KV_COPY_IN, from[1], blocks[1]);
    cr_assert_eq(ryz_kv_ledger_find(ledger, 10), blocks[0]);
    cr_assert_eq(ryz_kv_ledger_host_count(ledger), 0u, "a hash is in one place");
    struct ryz_kv_cache_stats stats = ryz_kv_ledger_cache_stats(ledger);
    cr_assert(stats.host_out_blocks == 2 && stats.host_in_blocks == 2);
    cr_assert(stats.hit_blocks == 2 && stats.host_hit_blocks == 2);
    cr_assert(stats.host_dropped_blocks == 0 && stats.evicted_missed_blocks == 0);
    ryz_kv_ledger_close(ledger);
}

Test(kv_tiers, two_change_places_by_way_of_a_tier_that_is_full)
{
    uint32_t blocks[1];
    const uint64_t hash = 10;
    open_both(1, 1);
    (void)cache(10);
    (void)cache(11); /* evicts 10 */
    copies.count = 0;
    cr_assert_eq(ryz_kv_ledger_take(ledger, &hash, 1, blocks), 1u);
    ryz_kv_ledger_load(ledger, &hash, 1, blocks);
    /* 10 was promised, so there is no place for 11: it is lost. */
    cr_assert_eq(copies.count, 1u);
    assert_copy(0, RYZ_KV_COPY_IN, 0, 0);
    cr_assert_eq(ryz_kv_ledger_find(ledger, 10), 0u);
    cr_assert_eq(ryz_kv_ledger_match(ledger, &(const uint64_t){11}, 1, NULL), 0u);
    cr_assert_eq(ryz_kv_ledger_cache_stats(ledger).host_dropped_blocks, 1u);
    ryz_kv_ledger_close(ledger);
    open_both(1, 2);
    (void)cache(10);
    (void)cache(11);
    uint32_t at = entries[0].to;
    copies.count = 0;
    cr_assert_eq(ryz_kv_ledger_take(ledger, &hash, 1, blocks), 1u);
    ryz_kv_ledger_load(ledger, &hash, 1, blocks);
    cr_assert_eq(copies.count, 2u);
    assert_copy(0, RYZ_KV_COPY_OUT, 0, 1 - at); /* 11 leaves the block before 10 gets it */
    assert_copy(1, RYZ_KV_COPY_IN, at, 0);
    ryz_kv_ledger_close(ledger);
}

Test(kv_tiers, two_who_take_one_host_block_share_one_copy)
{
    uint32_t mine[1], yours[1], other[2];
    const uint64_t hash = 10;
    open_both(2, 2);
    (void)cache(10);
    cr_assert(ryz_kv_ledger_alloc(ledger, 2, other));
    ryz_kv_ledger_release_all(ledger, other, 2);
    copies.count = 0;
    cr_assert_eq(ryz_kv_ledger_take(ledger, &hash, 1, mine), 1u);
    cr_assert_eq(ryz_kv_ledger_take(ledger, &hash, 1, yours), 1u);
    ryz_kv_ledger_load(ledger, &hash, 1, mine);
    ryz_kv_ledger_load(ledger, &hash, 1, yours);
    cr_assert_eq(mine[0], yours[0]);
    cr_assert_eq(ryz_kv_ledger_owners(ledger, mine[0]), 2u);
    cr_assert_eq(copies.count, 1u);
    ryz_kv_ledger_close(ledger);
}

Test(kv_tiers, what_is_computed_anew_leaves_the_host)
{
    uint32_t block[2];
    open_both(1, 2);
    (void)cache(10);
    cr_assert(ryz_kv_ledger_alloc(ledger, 1, block));
    cr_assert_eq(ryz_kv_ledger_host_count(ledger), 1u);
    cr_assert(ryz_kv_ledger_publish(ledger, block[0], 10));
    cr_assert_eq(ryz_kv_ledger_host_count(ledger), 0u);
    cr_assert_eq(ryz_kv_ledger_find(ledger, 10), block[0]);
    ryz_kv_ledger_close(ledger);
}

Test(kv_tiers, a_tier_is_refused_where_it_makes_no_sense)
{
    struct ryz_error error = {0};
    cr_assert_eq(ryz_kv_ledger_open(1, &ledger, NULL), RYZ_OK);
    cr_assert_eq(ryz_kv_ledger_add_host(ledger, 0, &copies, &error), RYZ_INVALID);
    cr_assert_eq(ryz_kv_ledger_add_host(ledger, RYZ_KV_BLOCKS_MAX + 1, &copies, &error),
                 RYZ_INVALID);
    cr_assert_neq(error.text[0], '\0');
    ryz_kv_ledger_close(ledger);
}
