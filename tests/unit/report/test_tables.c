/* Goal: tables on the terminal say what the rows say. Method: reading what was printed. */
#include "harness/record/results_read.h"
#include "harness/report/report.h"
#include "tests/unit/record/support.h"
#include "tests/unit/report/report_files.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *printed;
static size_t printed_bytes;

static FILE *begin(void)
{
    FILE *out = open_memstream(&printed, &printed_bytes);
    cr_assert_not_null(out);
    return out;
}

static void expect_line(const char *first, const char *second)
{
    const char *line = strstr(printed, first);
    cr_assert_not_null(line, "no \"%s\" in:\n%s", first, printed);
    const char *end = strchr(line, '\n');
    const char *found = strstr(line, second);
    cr_expect(found != NULL && found < end, "no \"%s\" beside \"%s\" in:\n%s", second, first,
              printed);
}

Test(tables, verdicts_are_words_and_numbers_have_units)
{
    struct ryz_target_row rows[] = {{.name = "ttft.p90",
                                     .op = "<=",
                                     .want = 250e6,
                                     .got = 88.5e6,
                                     .unit = "ns",
                                     .margin = 0.646,
                                     .verdict = 1},
                                    {.name = "e2e.p99",
                                     .op = "<=",
                                     .want = 8e9,
                                     .got = (double)INFINITY,
                                     .unit = "ns",
                                     .margin = -(double)INFINITY,
                                     .verdict = 0},
                                    {.name = "gpu.mem.util",
                                     .op = ">=",
                                     .want = 0.8,
                                     .got = (double)NAN,
                                     .unit = "1",
                                     .margin = (double)NAN,
                                     .verdict = -1,
                                     .why = "no GPU"},
                                    {.name = "tpot.p99",
                                     .op = "<=",
                                     .want = 60e6,
                                     .got = 5e6,
                                     .unit = "ns",
                                     .margin = 0.9,
                                     .verdict = -2,
                                     .why = "too few"}};
    FILE *out = begin();
    ryz_report_print_targets(out, rows, 4);
    fclose(out);
    expect_line("ttft.p90", "<= 250 ms");
    expect_line("ttft.p90", "88.5 ms");
    expect_line("ttft.p90", "+64.6 %");
    expect_line("MISSED", "failed");
    expect_line("not applicable", "no GPU");
    expect_line("INVALID", "too few");
    cr_expect_null(strchr(printed, '\033'), "colours belong on terminals only");
    free(printed);
}

Test(tables, a_run_is_shown_by_its_latencies_and_numbers)
{
    char path[512];
    struct ryz_results *results = NULL;
    struct ryz_run_data data;
    snprintf(path, sizeof path, "%s", support_path("run.h5"));
    report_file_of_a_run(path, NULL);
    cr_assert_eq(ryz_results_open(path, &results, NULL), RYZ_OK);
    cr_assert_eq(ryz_results_read_run(results, 0, RYZ_TABLE_BIT(RYZ_TABLE_SUMMARY), &data, NULL),
                 RYZ_OK);
    FILE *out = begin();
    ryz_report_print_run(out, &data);
    fclose(out);
    expect_line("  ttft ", "ms");
    expect_line("interactive.e2e", "ms");
    expect_line("goodput.ratio", "%");
    expect_line("throughput.out_tok", "/s");
    cr_expect_null(strstr(printed, "preemptions"), "zeros are left out");
    cr_expect_not_null(strstr(printed, "  lost "), "but not where 0 is the news");
    free(printed);
    ryz_run_data_deinit(&data);
    ryz_results_close(results);
}

Test(tables, an_invalid_run_says_so_and_why)
{
    struct ryz_run_data data = {0};
    ryz_run_data_invalidate(&data, "the recorder dropped 3 rows");
    FILE *out = begin();
    ryz_report_print_run(out, &data);
    fclose(out);
    expect_line("run0000", "INVALID");
    cr_expect_not_null(strstr(printed, "the recorder dropped 3 rows"));
    free(printed);
}

Test(tables, a_sweep_is_a_line_a_point_with_its_values)
{
    char path[512];
    struct ryz_error error = {0};
    size_t lines = 0;
    snprintf(path, sizeof path, "%s", support_path("sweep.h5"));
    report_file_of_a_sweep(path, false);
    FILE *out = begin();
    cr_assert_eq(ryz_report_print_sweep(out, path, &error), RYZ_OK, "%s", error.text);
    fclose(out);
    for (const char *at = printed; (at = strchr(at, '\n')) != NULL; at++) lines++;
    cr_expect_eq(lines, 8, "an empty line, the head and six points");
    expect_line("quant", "max_batch");
    expect_line("q8_0", "7.44 MiB");
    free(printed);
}

Test(tables, a_comparison_shows_both_sides_and_the_ratio)
{
    struct ryz_compare_row rows[] = {{.metric = "ttft.p50",
                                      .unit = "ns",
                                      .a = 100e6,
                                      .b = 110e6,
                                      .ratio = 1.1,
                                      .lo = 1.05,
                                      .hi = 1.15},
                                     {.metric = "errors",
                                      .unit = "1",
                                      .a = 0,
                                      .b = 0.01,
                                      .ratio = (double)NAN,
                                      .lo = (double)NAN,
                                      .hi = (double)NAN}};
    FILE *out = begin();
    ryz_report_print_compare(out, "live", "simulated", rows, 2);
    fclose(out);
    expect_line("metric", "simulated");
    expect_line("ttft.p50", "1.100");
    expect_line("ttft.p50", "1.050 .. 1.150");
    expect_line("errors", "-");
    free(printed);
}
