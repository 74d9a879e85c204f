/*
 * Goal: slices cover the range once, in order, on multiples of the grain; bad sizes are refused.
 * Method: each slice writes down what it got; tests/threads/base_races.c looks for races.
 */
#include "engine/base/size.h"
#include "engine/base/thread_pool.h"

#include <criterion/criterion.h>
#include <string.h>

struct slices {
    size_t begin[8], end[8];
    uint32_t calls[8];
};

static void note(void *context, size_t worker, size_t begin, size_t end)
{
    struct slices *slices = context;
    slices->begin[worker] = begin;
    slices->end[worker] = end;
    slices->calls[worker]++;
}

Test(thread_pool, slices_cut_the_range_without_gap_or_overlap)
{
    const size_t counts[] = {0, 1, 2, 7, 8, 63, 64, 65, 1000, SIZE_MAX};
    const size_t grains[] = {1, 3, 8, 64, 5000, SIZE_MAX};
    for (uint32_t threads = 1; threads <= 8; threads++) {
        struct ryz_thread_pool *pool = NULL;
        cr_assert_eq(ryz_thread_pool_open(threads, &pool, NULL), RYZ_OK);
        cr_assert_eq(ryz_thread_pool_threads(pool), threads);
        for (size_t c = 0; c < RYZ_COUNT_OF(counts) * RYZ_COUNT_OF(grains); c++) {
            size_t count = counts[c / RYZ_COUNT_OF(grains)];
            size_t grain = grains[c % RYZ_COUNT_OF(grains)], at = 0;
            struct slices slices = {.calls = {0}};
            ryz_thread_pool_run(pool, count, grain, note, &slices);
            for (uint32_t i = 0; i < threads; i++) {
                cr_assert_eq(slices.calls[i], 1);
                cr_assert_eq(slices.begin[i], at);
                cr_assert_geq(slices.end[i], slices.begin[i]);
                at = slices.end[i];
                cr_assert(at == count || at % grain == 0, "slice ends inside a grain");
            }
            cr_assert_eq(at, count);
        }
        ryz_thread_pool_close(pool);
    }
}

Test(thread_pool, work_is_shared_evenly)
{
    struct ryz_thread_pool *pool = NULL;
    struct slices slices = {.calls = {0}};
    cr_assert_eq(ryz_thread_pool_open(4, &pool, NULL), RYZ_OK);
    ryz_thread_pool_run(pool, 10, 1, note, &slices);
    for (size_t i = 0; i < 4; i++)
        cr_assert(slices.end[i] - slices.begin[i] == 2 || slices.end[i] - slices.begin[i] == 3);
    ryz_thread_pool_close(pool);
}

Test(thread_pool, thread_counts_outside_the_bounds_are_refused)
{
    struct ryz_thread_pool *pool = NULL;
    struct ryz_error error = {.text = ""};
    cr_assert_eq(ryz_thread_pool_open(0, &pool, &error), RYZ_INVALID);
    cr_assert_eq(ryz_thread_pool_open(257, &pool, &error), RYZ_INVALID);
    cr_assert_null(pool);
    cr_assert_neq(error.text[0], '\0');
    ryz_thread_pool_close(NULL);
}

Test(thread_pool, closing_an_unused_pool_ends)
{
    struct ryz_thread_pool *pool = NULL;
    cr_assert_eq(ryz_thread_pool_open(16, &pool, NULL), RYZ_OK);
    ryz_thread_pool_close(pool);
}
