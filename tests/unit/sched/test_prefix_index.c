/*
 * test_prefix_index.c - goal: what was put is found, what was removed is not, however entries crowd
 * together. Method: by hand, then a random walk on a nearly full table against a plain array.
 */
#include "engine/base/rng.h"
#include "engine/base/size.h"
#include "engine/sched/prefix_index.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

static struct ryz_prefix_index index_under_test;

static struct ryz_prefix_index *open_index(uint32_t count_max)
{
    cr_assert_eq(ryz_prefix_index_open(&index_under_test, count_max, NULL), RYZ_OK);
    return &index_under_test;
}

Test(prefix_index, finds_what_was_put_and_nothing_else)
{
    struct ryz_prefix_index *index = open_index(4);
    cr_assert_eq(ryz_prefix_index_find(index, 7), RYZ_PREFIX_NONE);
    ryz_prefix_index_put(index, 7, 70);
    ryz_prefix_index_put(index, UINT64_MAX, 80);
    cr_assert_eq(ryz_prefix_index_find(index, 7), 70u);
    cr_assert_eq(ryz_prefix_index_find(index, UINT64_MAX), 80u);
    cr_assert_eq(ryz_prefix_index_find(index, 8), RYZ_PREFIX_NONE);
    cr_assert(ryz_prefix_index_remove(index, 7));
    cr_assert_not(ryz_prefix_index_remove(index, 7));
    cr_assert_eq(ryz_prefix_index_find(index, 7), RYZ_PREFIX_NONE);
    ryz_prefix_index_close(index);
}

Test(prefix_index, a_second_put_replaces_the_first)
{
    struct ryz_prefix_index *index = open_index(1);
    ryz_prefix_index_put(index, 7, 70);
    ryz_prefix_index_put(index, 7, 71);
    cr_assert_eq(ryz_prefix_index_find(index, 7), 71u);
    cr_assert_eq(index->count, 1u);
    ryz_prefix_index_close(index);
}

Test(prefix_index, an_impossible_size_is_refused)
{
    struct ryz_error error;
    cr_assert_eq(ryz_prefix_index_open(&index_under_test, 0, &error), RYZ_INVALID);
    cr_assert_not_null(strstr(error.text, "0 hashes"));
    cr_assert_eq(ryz_prefix_index_open(&index_under_test, UINT32_MAX, &error), RYZ_INVALID);
    ryz_prefix_index_close(&index_under_test);
}

Test(prefix_index, one_hash_too_many_is_a_bug, .signal = SIGABRT)
{
    struct ryz_prefix_index *index = open_index(1);
    ryz_prefix_index_put(index, 1, 1);
    ryz_prefix_index_put(index, 2, 2);
}

/* The i-th hash whose home is `home`: the multiplier's inverse times a number with these top bits.
 */
static uint64_t crowded(uint32_t home, uint32_t bits, uint64_t i)
{
    const uint64_t multiplier = UINT64_C(0x9e3779b97f4a7c15);
    uint64_t inverse = multiplier; /* Newton: each step doubles the correct bits */
    for (int k = 0; k < 6; k++) inverse *= 2 - multiplier * inverse;
    return ((uint64_t)home << (64 - bits) | (i + 1)) * inverse;
}

Test(prefix_index, a_random_walk_on_a_crowded_table_agrees_with_an_array)
{
    enum { KEYS = 48, PUT_MAX = 32, BITS = 6, STEPS = 200000 };
    const uint64_t seed = 2024;
    struct ryz_prefix_index *index = open_index(PUT_MAX);
    cr_assert_eq(index->mask, (UINT32_C(1) << BITS) - 1);
    uint64_t hashes[KEYS];
    uint32_t values[KEYS], count = 0, full = 0;
    /* Three homes, one of them at the table's end. */
    const uint32_t homes[] = {3, 7, 62};
    for (uint32_t i = 0; i < KEYS; i++) {
        hashes[i] = crowded(homes[i % RYZ_COUNT_OF(homes)], BITS, i);
        values[i] = RYZ_PREFIX_NONE;
    }
    struct ryz_rng rng;
    ryz_rng_init(&rng, seed, 0);
    for (uint32_t i = 0; i < STEPS; i++) {
        uint32_t key = (uint32_t)ryz_rng_below(&rng, KEYS);
        bool present = values[key] != RYZ_PREFIX_NONE;
        if (ryz_rng_below(&rng, 5) < 2) {
            cr_assert_eq(ryz_prefix_index_remove(index, hashes[key]), present, "step %u", i);
            if (present) count--;
            values[key] = RYZ_PREFIX_NONE;
        } else if (present || count < PUT_MAX) {
            ryz_prefix_index_put(index, hashes[key], i);
            if (!present) count++;
            values[key] = i;
        }
        full += count == PUT_MAX ? 1 : 0;
        cr_assert_eq(index->count, count, "step %u", i);
        for (uint32_t k = i % 7; k < KEYS; k += 7)
            cr_assert_eq(ryz_prefix_index_find(index, hashes[k]), values[k], "step %u", i);
    }
    cr_assert_gt(full, STEPS / 20u, "the walk must have met a full table");
    ryz_prefix_index_close(index);
}
