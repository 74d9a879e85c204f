/*
 * Goal: a quantile is at most one bin above the exact one, for every size of value.
 * Method: random values over the whole range against a sorted array; bins checked for gaps.
 */
#include "engine/base/histogram.h"
#include "engine/base/rng.h"
#include "tests/unit/base/support.h"

#include <criterion/criterion.h>
#include <math.h>

static struct ryz_histogram *open_histogram(void)
{
    struct ryz_histogram *h = NULL;
    cr_assert_eq(ryz_histogram_open(&h, NULL), RYZ_OK);
    return h;
}

Test(histogram, bins_are_ascending_without_gaps)
{
    cr_assert_eq(ryz_histogram_bin_upper(0), 0);
    for (size_t i = 1; i < RYZ_HISTOGRAM_BINS; i++)
        cr_assert_gt(ryz_histogram_bin_upper(i), ryz_histogram_bin_upper(i - 1));
    cr_assert_eq(ryz_histogram_bin_upper(RYZ_HISTOGRAM_BINS - 1),
                 (INT64_C(1) << RYZ_HISTOGRAM_MAX_BITS) - 1);
}

Test(histogram, the_edges_of_each_bin_fall_into_it)
{
    struct ryz_histogram *h = open_histogram();
    for (size_t i = 0; i < RYZ_HISTOGRAM_BINS; i++) {
        ryz_histogram_record(h, ryz_histogram_bin_upper(i));
        ryz_histogram_record(h, i == 0 ? 0 : ryz_histogram_bin_upper(i - 1) + 1);
        cr_assert_eq(ryz_histogram_bin_count(h, i), 2, "bin %zu", i);
    }
    cr_assert_eq(ryz_histogram_count(h), 2 * RYZ_HISTOGRAM_BINS);
    ryz_histogram_close(h);
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

Test(histogram, quantiles_are_exact_to_a_thousandth)
{
    enum { COUNT = 20000 };
    static int64_t values[COUNT];
    struct ryz_rng rng;
    struct ryz_histogram *h = open_histogram();
    ryz_rng_init(&rng, test_seed("histogram"), 0);
    for (size_t i = 0; i < COUNT; i++) {
        values[i] = (int64_t)(ryz_rng_u64(&rng) >> (22 + ryz_rng_below(&rng, 42)));
        ryz_histogram_record(h, values[i]);
    }
    qsort(values, COUNT, sizeof values[0], compare);
    const double qs[] = {0.0, 0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1.0};
    for (size_t i = 0; i < sizeof qs / sizeof qs[0]; i++) {
        double rank = ceil(qs[i] * COUNT);
        int64_t exact = values[rank < 1 ? 0 : (size_t)rank - 1];
        int64_t got = ryz_histogram_quantile(h, qs[i]);
        cr_assert(got >= exact && (double)got <= (double)exact * 1.001 + 0.5,
                  "q %g: %lld against %lld", qs[i], (long long)got, (long long)exact);
    }
    ryz_histogram_close(h);
}

Test(histogram, an_empty_one_has_quantile_zero)
{
    struct ryz_histogram *h = open_histogram();
    cr_assert_eq(ryz_histogram_quantile(h, 0.5), 0);
    ryz_histogram_close(h);
}

Test(histogram, values_outside_the_range_go_to_the_ends)
{
    struct ryz_histogram *h = open_histogram();
    ryz_histogram_record(h, -5);
    ryz_histogram_record(h, INT64_MIN);
    ryz_histogram_record(h, INT64_MAX);
    cr_assert_eq(ryz_histogram_bin_count(h, 0), 2);
    cr_assert_eq(ryz_histogram_bin_count(h, RYZ_HISTOGRAM_BINS - 1), 1);
    cr_assert_eq(ryz_histogram_bin_count(h, RYZ_HISTOGRAM_BINS), 0);
    ryz_histogram_close(h);
}

Test(histogram, odd_fractions_are_clamped)
{
    struct ryz_histogram *h = open_histogram();
    ryz_histogram_record(h, 3);
    ryz_histogram_record(h, 9);
    cr_assert_eq(ryz_histogram_quantile(h, -1.0), 3);
    cr_assert_eq(ryz_histogram_quantile(h, (double)NAN), 3);
    cr_assert_eq(ryz_histogram_quantile(h, 7.0), 9);
    ryz_histogram_close(h);
}

Test(histogram, merging_equals_recording_into_one)
{
    struct ryz_rng rng;
    struct ryz_histogram *a = open_histogram(), *b = open_histogram(), *both = open_histogram();
    ryz_rng_init(&rng, test_seed("merge"), 0);
    for (int i = 0; i < 5000; i++) {
        int64_t value = (int64_t)ryz_rng_below(&rng, 1000000);
        ryz_histogram_record(i % 3 == 0 ? a : b, value);
        ryz_histogram_record(both, value);
    }
    ryz_histogram_merge(a, b);
    cr_assert_eq(ryz_histogram_count(a), ryz_histogram_count(both));
    for (size_t i = 0; i < RYZ_HISTOGRAM_BINS; i++)
        cr_assert_eq(ryz_histogram_bin_count(a, i), ryz_histogram_bin_count(both, i));
    ryz_histogram_close(a);
    ryz_histogram_close(b);
    ryz_histogram_close(both);
}
