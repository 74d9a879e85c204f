/*
 * Goal: the parts cover the range once, on multiples of the grain; a slow worker holds nobody up;
 * bad sizes are refused.
 * Method: each part writes down what it got; tests/threads/base_races.c looks for races.
 */
#include "engine/base/atomic.h"
#include "engine/base/size.h"
#include "engine/base/thread_pool.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

#define PARTS_MAX 256u

struct parts {
    _Atomic uint32_t used;
    size_t begin[PARTS_MAX], end[PARTS_MAX], worker[PARTS_MAX];
};

static void note(void *context, size_t worker, size_t begin, size_t end)
{
    struct parts *parts = context;
    uint32_t i = ryz_add_relaxed(&parts->used, 1);
    if (i >= PARTS_MAX) return;
    parts->begin[i] = begin;
    parts->end[i] = end;
    parts->worker[i] = worker;
}

/* The end of the part that begins at `at`; 0 if there is none, or more than one. */
static size_t part_end(const struct parts *parts, uint32_t used, size_t at)
{
    size_t end = 0;
    for (uint32_t i = 0; i < used; i++) {
        if (parts->begin[i] != at) continue;
        if (end != 0) return 0;
        end = parts->end[i];
    }
    return end;
}

static void expect_cover(const struct parts *parts, size_t count, size_t grain, uint32_t threads)
{
    uint32_t used = ryz_load_relaxed(&parts->used), seen = 0;
    cr_assert_leq(used, PARTS_MAX);
    for (size_t at = 0; at < count; seen++) {
        size_t end = part_end(parts, used, at);
        cr_assert_gt(end, at, "nobody, or two, did what begins at %zu", at);
        cr_assert(end == count || end % grain == 0, "a part ends inside a grain");
        at = end;
    }
    cr_assert_eq(seen, used, "a part past the range");
    for (uint32_t i = 0; i < used; i++) cr_assert_lt(parts->worker[i], threads);
}

Test(thread_pool, parts_cover_the_range_without_gap_or_overlap)
{
    const size_t counts[] = {0, 1, 2, 7, 8, 63, 64, 65, 1000, SIZE_MAX};
    const size_t grains[] = {1, 3, 8, 64, 5000, SIZE_MAX};
    for (uint32_t threads = 1; threads <= 8; threads++) {
        struct ryz_thread_pool *pool = NULL;
        cr_assert_eq(ryz_thread_pool_open(threads, &pool, NULL), RYZ_OK);
        cr_assert_eq(ryz_thread_pool_threads(pool), threads);
        for (size_t c = 0; c < RYZ_COUNT_OF(counts) * RYZ_COUNT_OF(grains); c++) {
            size_t count = counts[c / RYZ_COUNT_OF(grains)];
            size_t grain = grains[c % RYZ_COUNT_OF(grains)];
            struct parts parts = {.used = 0};
            ryz_thread_pool_run(pool, count, grain, note, &parts);
            expect_cover(&parts, count, grain, threads);
        }
        ryz_thread_pool_close(pool);
    }
}

struct stuck {
    _Atomic uint32_t held; /* a worker sits in its part until the others are done */
    _Atomic size_t done;
    size_t count;
};

/* The first part that a worker other than the caller gets ends last. */
static void hold_one(void *context, size_t worker, size_t begin, size_t end)
{
    struct stuck *stuck = context;
    if (worker != 0 && ryz_add_relaxed(&stuck->held, 1) == 0)
        while (ryz_load_acquire(&stuck->done) < stuck->count - (end - begin)) sched_yield();
    ryz_add_acq_rel(&stuck->done, end - begin);
}

Test(thread_pool, the_rest_is_done_while_one_worker_is_held_up, .timeout = 60)
{
    struct ryz_thread_pool *pool = NULL;
    cr_assert_eq(ryz_thread_pool_open(3, &pool, NULL), RYZ_OK);
    for (int round = 0; round < 200; round++) {
        struct stuck stuck = {.count = 1000};
        ryz_thread_pool_run(pool, stuck.count, 1, hold_one, &stuck);
        cr_assert_eq(ryz_load_relaxed(&stuck.done), stuck.count);
    }
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
