/*
 * Goal: an arena gives zeroed, aligned, disjoint memory and says no instead of wrapping.
 * Method: pieces of random sizes are filled with their number and checked at the end.
 */
#include "engine/base/arena.h"
#include "engine/base/rng.h"
#include "tests/unit/base/support.h"

#include <criterion/criterion.h>
#include <stdbool.h>
#include <string.h>

Test(arena, random_pieces_are_zeroed_aligned_and_disjoint)
{
    enum { PIECES = 500 };
    static unsigned char *pieces[PIECES];
    static size_t sizes[PIECES];
    struct ryz_rng rng;
    struct ryz_arena arena;
    ryz_rng_init(&rng, test_seed("arena"), 0);
    ryz_arena_init(&arena);
    for (size_t i = 0; i < PIECES; i++) {
        bool large = ryz_rng_below(&rng, 20) == 0; /* larger than a chunk */
        sizes[i] = ryz_rng_below(&rng, large ? 300000 : 3000);
        pieces[i] = ryz_arena_alloc(&arena, sizes[i]);
        cr_assert_not_null(pieces[i]);
        cr_assert_eq((uintptr_t)pieces[i] % 64, 0);
        for (size_t k = 0; k < sizes[i]; k++) cr_assert_eq(pieces[i][k], 0);
        memset(pieces[i], (int)(i % 251) + 1, sizes[i]);
    }
    for (size_t i = 0; i < PIECES; i++) {
        for (size_t k = 0; k < sizes[i]; k++) cr_assert_eq(pieces[i][k], i % 251 + 1);
    }
    ryz_arena_deinit(&arena);
}

Test(arena, small_pieces_share_a_chunk_also_after_a_large_one)
{
    struct ryz_arena arena;
    ryz_arena_init(&arena);
    char *first = ryz_arena_alloc(&arena, 1);
    cr_assert_not_null(ryz_arena_alloc(&arena, 1000000));
    char *second = ryz_arena_alloc(&arena, 1);
    cr_assert_eq(second - first, 64, "the half-used chunk was given up");
    ryz_arena_deinit(&arena);
}

Test(arena, pieces_of_no_size_have_addresses_of_their_own)
{
    struct ryz_arena arena;
    ryz_arena_init(&arena);
    void *a = ryz_arena_alloc(&arena, 0), *b = ryz_arena_alloc(&arena, 0);
    cr_assert_not_null(a);
    cr_assert_neq(a, b);
    ryz_arena_deinit(&arena);
}

Test(arena, impossible_sizes_give_null_and_leave_the_arena_usable)
{
    struct ryz_arena arena;
    ryz_arena_init(&arena);
    cr_assert_null(ryz_arena_alloc(&arena, SIZE_MAX));
    cr_assert_null(ryz_arena_alloc(&arena, SIZE_MAX - 200));
    cr_assert_null(ryz_arena_alloc(&arena, SIZE_MAX / 2));
    cr_assert_null(ryz_arena_array(&arena, SIZE_MAX / 2, 3));
    cr_assert_str_eq(ryz_arena_strdup(&arena, "still here"), "still here");
    ryz_arena_deinit(&arena);
}

Test(arena, deinit_may_be_called_twice)
{
    struct ryz_arena arena;
    ryz_arena_init(&arena);
    cr_assert_not_null(ryz_arena_array(&arena, 3, 5));
    ryz_arena_deinit(&arena);
    ryz_arena_deinit(&arena);
}

Test(arena, a_counting_arena_counts_what_another_gives_out)
{
    struct ryz_arena counting, real;
    ryz_arena_init_counting(&counting);
    ryz_arena_init(&real);
    static const size_t sizes[] = {1, 64, 65, 100000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        cr_assert_not_null(ryz_arena_array(&counting, sizes[i], 3));
        cr_assert_not_null(ryz_arena_array(&real, sizes[i], 3));
    }
    cr_assert_eq(counting.bytes, 64u + 192u + 256u + 300032u);
    cr_assert_eq(real.bytes, counting.bytes);
    cr_assert_null(ryz_arena_alloc(&counting, SIZE_MAX - 64), "the sum does not fit");
    ryz_arena_deinit(&counting);
    ryz_arena_deinit(&real);
}
