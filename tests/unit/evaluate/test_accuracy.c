/* Goal: accuracy numbers are the published formulas. Method: tokens with known sums. */
#include "tests/unit/evaluate/support_rows.h"
#include "tests/unit/record/synthetic.h"

#include <criterion/criterion.h>
#include <math.h>

static struct ryz_estimate measure(struct ryz_run_data *data, enum ryz_quantity quantity)
{
    struct ryz_plan plan;
    rows_plan(&plan);
    return rows_measure(&plan, data, quantity, RYZ_STAT_NONE);
}

static void score(struct ryz_run_data *data, uint32_t window, double logprob, double base)
{
    struct ryz_accuracy_row row = {.window = window,
                                   .logprob = logprob,
                                   .base_logprob = base,
                                   .kl = isnan(base) ? (double)NAN : 0.25,
                                   .top1 = isnan(base) ? -1 : 1};
    cr_assert_eq(ryz_run_data_add(data, RYZ_TABLE_ACCURACY, &row, NULL), RYZ_OK);
}

Test(accuracy, perplexity_is_the_exponential_of_the_mean_loss)
{
    struct ryz_run_data data = {0};
    score(&data, 0, log(0.5), (double)NAN);
    score(&data, 1, log(0.125), (double)NAN);
    cr_expect_float_eq(measure(&data, RYZ_Q_PERPLEXITY).value, 4, 1e-12);
    cr_expect(isnan(measure(&data, RYZ_Q_LOSS).value), "there is no base");
    cr_expect(isnan(measure(&data, RYZ_Q_KL).value));
    cr_expect(isnan(measure(&data, RYZ_Q_TOP1).value));
    ryz_run_data_deinit(&data);
}

Test(accuracy, the_same_loss_in_every_window_leaves_no_doubt)
{
    struct ryz_run_data data = {0};
    for (uint32_t i = 0; i < 40; i++) score(&data, i / 10, -2.0 - 0.01, -2.0);
    struct ryz_estimate e = measure(&data, RYZ_Q_LOSS);
    cr_expect_float_eq(e.value, expm1(0.01), 1e-12);
    cr_expect_float_eq(e.lo, e.hi, 1e-12);
    cr_expect_eq(measure(&data, RYZ_Q_KL).value, 0.25);
    cr_expect_eq(measure(&data, RYZ_Q_TOP1).value, 1);
    ryz_run_data_deinit(&data);
}

Test(accuracy, the_number_is_the_upper_end_of_the_interval)
{
    struct ryz_run_data data = {0};
    /* Two windows with mean differences 0.00 and 0.02: mean 0.01, standard error 0.01. */
    for (uint32_t i = 0; i < 10; i++) score(&data, 0, -2.0, -2.0);
    for (uint32_t i = 0; i < 10; i++) score(&data, 1, -2.02, -2.0);
    struct ryz_estimate e = measure(&data, RYZ_Q_LOSS);
    cr_expect_eq(e.value, e.hi);
    cr_expect_lt(e.lo, expm1(0.01));
    cr_expect_gt(e.hi, expm1(0.01 + 1.96 * 0.01));
    ryz_run_data_deinit(&data);
}

Test(accuracy, one_window_proves_nothing)
{
    struct ryz_run_data data = {0};
    for (uint32_t i = 0; i < 10; i++) score(&data, 0, -2.1, -2.0);
    cr_expect(isnan(measure(&data, RYZ_Q_LOSS).value));
    ryz_run_data_deinit(&data);
}

Test(accuracy, the_interval_holds_the_true_loss_about_as_often_as_it_says)
{
    size_t covered = 0, rounds = 400;
    for (uint64_t r = 0; r < rounds; r++) {
        struct ryz_run_data data = {0};
        synthetic_accuracy(r + 1, 0.01, &data);
        struct ryz_estimate e = measure(&data, RYZ_Q_LOSS);
        covered += e.lo <= expm1(0.01) && expm1(0.01) <= e.hi;
        ryz_run_data_deinit(&data);
    }
    cr_expect_geq(covered, rounds * 92 / 100);
    cr_expect_leq(covered, rounds * 98 / 100);
}
