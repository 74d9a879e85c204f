/* Goal: two results side by side. Method: hand-made summary rows. */
#include "harness/evaluate/compare.h"

#include <criterion/criterion.h>
#include <math.h>
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
