/*
 * test_prefix_ghosts.c - goal: exactly the last evictions are remembered, less those that came
 * back. Method: by hand, then a random walk against the history of all evictions.
 */
#include "engine/base/rng.h"
#include "engine/sched/prefix_ghosts.h"

#include <criterion/criterion.h>

static struct ryz_prefix_ghosts ghosts;

Test(prefix_ghosts, the_oldest_gives_way_to_the_newest)
{
    cr_assert_eq(ryz_prefix_ghosts_open(&ghosts, 2, NULL), RYZ_OK);
    ryz_prefix_ghosts_add(&ghosts, 1);
    ryz_prefix_ghosts_add(&ghosts, 2);
    cr_assert(ryz_prefix_ghosts_contain(&ghosts, 1));
    ryz_prefix_ghosts_add(&ghosts, 3);
    cr_assert_not(ryz_prefix_ghosts_contain(&ghosts, 1));
    cr_assert(ryz_prefix_ghosts_contain(&ghosts, 2));
    cr_assert(ryz_prefix_ghosts_contain(&ghosts, 3));
    ryz_prefix_ghosts_close(&ghosts);
}

Test(prefix_ghosts, an_impossible_size_is_refused)
{
    cr_assert_eq(ryz_prefix_ghosts_open(&ghosts, 0, NULL), RYZ_INVALID);
    ryz_prefix_ghosts_close(&ghosts);
}

Test(prefix_ghosts, a_random_walk_agrees_with_the_history)
{
    enum { CAPACITY = 12, HASHES = 20, STEPS = 50000 };
    const uint64_t seed = 2024;
    uint64_t evicted_at[HASHES + 1] = {0}, evictions = 0; /* 0: no ghost */
    struct ryz_rng rng;
    ryz_rng_init(&rng, seed, 0);
    cr_assert_eq(ryz_prefix_ghosts_open(&ghosts, CAPACITY, NULL), RYZ_OK);
    for (uint32_t i = 0; i < STEPS; i++) {
        uint64_t hash = 1 + ryz_rng_below(&rng, HASHES);
        if (ryz_rng_below(&rng, 4) > 0) {
            ryz_prefix_ghosts_add(&ghosts, hash);
            evicted_at[hash] = ++evictions;
        } else {
            ryz_prefix_ghosts_remove(&ghosts, hash);
            evicted_at[hash] = 0;
        }
        for (hash = 1; hash <= HASHES; hash++) {
            bool recent = evicted_at[hash] != 0 && evictions - evicted_at[hash] < CAPACITY;
            cr_assert_eq(ryz_prefix_ghosts_contain(&ghosts, hash), recent, "step %u", i);
        }
    }
    ryz_prefix_ghosts_close(&ghosts);
}
