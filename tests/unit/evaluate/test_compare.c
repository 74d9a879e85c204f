/* Goal: two results side by side. Method: hand-made summary rows, in memory and in files. */
#include "harness/evaluate/compare.h"
#include "harness/record/results_file.h"
#include "tests/unit/record/support.h"
#include "tests/unit/record/synthetic.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct ryz_summary_row row(const char *metric, const char *stat, double value)
{
    struct ryz_summary_row r = {.value = value};
    strcpy(r.metric, metric);
    strcpy(r.stat, stat);
    strcpy(r.unit, "ns");
    return r;
}

Test(compare, metrics_of_both_sides_are_paired_by_name_and_statistic)
{
    struct ryz_summary_row a[] = {row("ttft", "p50", 10), row("ttft", "p99", 40),
                                  row("errors", "value", 0), row("only.a", "value", 1)};
    struct ryz_summary_row b[] = {row("errors", "value", 0.5), row("ttft", "p50", 11),
                                  row("ttft", "p99", (double)INFINITY)};
    struct ryz_compare_row *rows = NULL;
    size_t count = 0;
    cr_assert_eq(ryz_evaluate_compare_table(a, 4, b, 3, &rows, &count, NULL), RYZ_OK);
    cr_assert_eq(count, 2);
    cr_expect_str_eq(rows[0].metric, "ttft.p50");
    cr_expect_float_eq(rows[0].ratio, 1.1, 1e-12);
    cr_expect_str_eq(rows[1].metric, "errors");
    cr_expect(isnan(rows[1].ratio), "nothing can be a multiple of 0");
    cr_expect_eq(rows[1].b, 0.5);
    free(rows);
}

Test(compare, nothing_in_common_gives_no_rows)
{
    struct ryz_summary_row a = row("ttft", "p50", 10), b = row("ttft", "p90", 10);
    struct ryz_compare_row *rows = NULL;
    size_t count = 7;
    cr_assert_eq(ryz_evaluate_compare_table(&a, 1, &b, 1, &rows, &count, NULL), RYZ_OK);
    cr_expect_eq(count, 0);
    cr_expect_null(rows);
}

/* A file with runs of point 0 (and one of point 1) whose ttft.p50 are the given numbers. */
static struct ryz_results *file_of(const char *name, const double *medians, size_t count)
{
    char path[512];
    struct ryz_provenance provenance;
    struct ryz_results_file *file = NULL;
    struct ryz_results *results = NULL;
    snprintf(path, sizeof path, "%s", support_path(name));
    synthetic_provenance(&provenance);
    cr_assert_eq(ryz_results_create(path, &provenance, &file, NULL), RYZ_OK);
    for (size_t i = 0; i <= count; i++) {
        struct ryz_run_data data = {.info.point = i == count};
        struct ryz_summary_row one = row("ttft", "p50", i < count ? medians[i] : 1e9);
        cr_assert_eq(ryz_run_data_add(&data, RYZ_TABLE_SUMMARY, &one, NULL), RYZ_OK);
        cr_assert_eq(ryz_results_add_run(file, &data, NULL), RYZ_OK);
        ryz_run_data_deinit(&data);
    }
    cr_assert_eq(ryz_results_commit(file, true, NULL), RYZ_OK);
    cr_assert_eq(ryz_results_open(path, &results, NULL), RYZ_OK);
    return results;
}

Test(compare, repeats_of_a_point_are_averaged_and_their_spread_is_shown)
{
    const double live[] = {90, 110}, simulated[] = {95, 115, 105};
    struct ryz_results *a = file_of("a.h5", live, 2), *b = file_of("b.h5", simulated, 3);
    struct ryz_compare_row *rows = NULL;
    struct ryz_error error = {0};
    size_t count = 0;
    cr_assert_eq(ryz_evaluate_compare_results(a, 0, b, 0, &rows, &count, &error), RYZ_OK, "%s",
                 error.text);
    cr_assert_eq(count, 1);
    cr_expect(rows[0].a == 100 && rows[0].b == 105);
    cr_expect_float_eq(rows[0].ratio, 1.05, 1e-12);
    cr_expect_float_eq(rows[0].lo, 0.95, 1e-12);
    cr_expect_float_eq(rows[0].hi, 1.15, 1e-12);
    free(rows);
    cr_expect_eq(ryz_evaluate_compare_results(a, 0, b, 7, &rows, &count, &error), RYZ_NOT_FOUND);
    cr_expect(strstr(error.text, "point 7") != NULL);
    ryz_results_close(a);
    ryz_results_close(b);
}
