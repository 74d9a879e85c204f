/*
 * test_kv_ledger.c - goal: no block is ever lost or handed out twice. Method: small pools by hand,
 * then a random walk against a model that counts owners.
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
