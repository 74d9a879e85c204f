/*
 * Goal: percentiles are exact, intervals and sample sizes are those of the literature. Method: a
 * brute-force definition in integers on random lists; published values.
 */
#include "harness/evaluate/samples.h"

#include "engine/base/rng.h"

#include <criterion/criterion.h>
#include <math.h>

/* Smallest value v such that at least p of the values are <= v; p = permille / 1000. */
static double brute(const double *values, size_t n, uint64_t permille)
{
    double best = (double)INFINITY;
    for (size_t i = 0; i < n; i++) {
        size_t below = 0;
        for (size_t j = 0; j < n; j++) below += values[j] <= values[i];
        if (1000 * below >= permille * n && values[i] < best) best = values[i];
    }
    return best;
}

Test(samples, percentiles_are_the_nearest_rank_on_random_lists)
{
    static const struct {
        enum ryz_statistic statistic;
        uint64_t permille;
    } cases[] = {{RYZ_STAT_P50, 500}, {RYZ_STAT_P75, 750}, {RYZ_STAT_P90, 900},
                 {RYZ_STAT_P95, 950}, {RYZ_STAT_P99, 990}, {RYZ_STAT_P999, 999}};
    struct ryz_rng rng;
    ryz_rng_init(&rng, 11, 0);
    for (size_t n = 1; n <= 220; n++) {
        struct ryz_samples samples = {0};
        double copy[220];
        for (size_t i = 0; i < n; i++) {
            /* Ties and infinities among them. */
            copy[i] =
                ryz_rng_below(&rng, 30) == 0 ? (double)INFINITY : (double)ryz_rng_below(&rng, 100);
            ryz_samples_add(&samples, copy[i]);
        }
        for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
            struct ryz_estimate e = ryz_samples_estimate(&samples, cases[c].statistic);
            cr_assert_eq(e.value, brute(copy, n, cases[c].permille), "n %zu, permille %llu", n,
                         (unsigned long long)cases[c].permille);
            cr_assert_eq(e.n, n);
        }
        ryz_samples_free(&samples);
    }
}

static struct ryz_samples one_to(size_t n)
{
    struct ryz_samples samples = {0};
    for (size_t i = n; i > 0; i--) ryz_samples_add(&samples, (double)i);
    return samples;
}

Test(samples, simple_statistics_are_what_they_say)
{
    struct ryz_samples samples = one_to(5);
    cr_expect_eq(ryz_samples_estimate(&samples, RYZ_STAT_MEAN).value, 3);
    cr_expect_eq(ryz_samples_estimate(&samples, RYZ_STAT_MIN).value, 1);
    cr_expect_eq(ryz_samples_estimate(&samples, RYZ_STAT_MAX).value, 5);
    cr_expect_eq(ryz_samples_estimate(&samples, RYZ_STAT_COUNT).value, 5);
    ryz_samples_add(&samples, (double)INFINITY);
    cr_expect_eq(ryz_samples_estimate(&samples, RYZ_STAT_MEAN).value, (double)INFINITY);
    cr_expect_eq(ryz_samples_estimate(&samples, RYZ_STAT_P50).value, 3);
    ryz_samples_free(&samples);
}

Test(samples, no_samples_give_no_number)
{
    struct ryz_samples none = {0};
    cr_expect(isnan(ryz_samples_estimate(&none, RYZ_STAT_P50).value));
    cr_expect(isnan(ryz_samples_estimate(&none, RYZ_STAT_MEAN).value));
    cr_expect_eq(ryz_samples_estimate(&none, RYZ_STAT_COUNT).value, 0);
}

Test(samples, a_median_of_a_hundred_lies_between_ranks_40_and_61)
{
    struct ryz_samples samples = one_to(100);
    struct ryz_estimate e = ryz_samples_estimate(&samples, RYZ_STAT_P50);
    cr_expect_eq(e.lo, 40);
    cr_expect_eq(e.hi, 61);
    ryz_samples_free(&samples);
}

Test(samples, too_few_samples_have_no_interval)
{
    struct ryz_samples five = one_to(5), ten = one_to(10), many = one_to(200);
    cr_expect(isnan(ryz_samples_estimate(&five, RYZ_STAT_P50).lo));
    struct ryz_estimate e = ryz_samples_estimate(&ten, RYZ_STAT_P50);
    cr_expect_eq(e.lo, 2);
    cr_expect_eq(e.hi, 9);
    cr_expect(isnan(ryz_samples_estimate(&many, RYZ_STAT_P99).hi));
    ryz_samples_free(&five);
    ryz_samples_free(&ten);
    ryz_samples_free(&many);
}

/* Above 2000 samples the normal curve stands for the binomial; the ranks must hardly move. */
Test(samples, intervals_do_not_jump_where_the_approximation_begins)
{
    struct ryz_samples exact = one_to(2000), normal = one_to(2001);
    struct ryz_estimate a = ryz_samples_estimate(&exact, RYZ_STAT_P90);
    struct ryz_estimate b = ryz_samples_estimate(&normal, RYZ_STAT_P90);
    cr_expect_leq(fabs(a.lo - b.lo), 3);
    cr_expect_leq(fabs(a.hi - b.hi), 3);
    ryz_samples_free(&exact);
    ryz_samples_free(&normal);
}

Test(samples, intervals_cover_the_true_percentile_about_as_often_as_they_say)
{
    struct ryz_rng rng;
    size_t covered = 0, rounds = 2000;
    ryz_rng_init(&rng, 5, 0);
    for (size_t r = 0; r < rounds; r++) {
        struct ryz_samples samples = {0};
        for (int i = 0; i < 120; i++) ryz_samples_add(&samples, ryz_rng_unit(&rng));
        struct ryz_estimate e = ryz_samples_estimate(&samples, RYZ_STAT_P90);
        covered += e.lo <= 0.9 && 0.9 <= e.hi;
        ryz_samples_free(&samples);
    }
    cr_expect_geq(covered, rounds * 94 / 100);
    cr_expect_leq(covered, rounds * 99 / 100);
}

Test(samples, percentiles_need_the_sample_sizes_of_mlperf)
{
    cr_expect_eq(ryz_samples_needed(RYZ_STAT_P50), 7);
    cr_expect_eq(ryz_samples_needed(RYZ_STAT_P90), 44);
    cr_expect_eq(ryz_samples_needed(RYZ_STAT_P95), 90);
    cr_expect_eq(ryz_samples_needed(RYZ_STAT_P99), 459);
    cr_expect_eq(ryz_samples_needed(RYZ_STAT_P999), 4603);
    cr_expect_eq(ryz_samples_needed(RYZ_STAT_MEAN), 1);
}

Test(samples, appending_pools_two_lists)
{
    struct ryz_samples a = one_to(3), b = one_to(100);
    ryz_samples_append(&a, &b);
    cr_expect_eq(a.count, 103);
    cr_expect_eq(ryz_samples_estimate(&a, RYZ_STAT_MAX).value, 100);
    ryz_samples_free(&a);
    ryz_samples_free(&b);
}
