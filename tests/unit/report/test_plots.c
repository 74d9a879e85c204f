/*
 * Goal: figures are made from what a file holds, and nothing a file holds breaks them. Method: real
 * runs of gnuplot on made-up results; an empty PATH stands for a machine without it.
 */
#include "harness/report/report.h"
#include "tests/unit/record/support.h"
#include "tests/unit/report/report_files.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void need_gnuplot(void)
{
    if (system("gnuplot --version > /dev/null 2>&1") != 0) cr_skip_test("gnuplot is not installed");
}

static struct ryz_plot_result plot(const char *results, const char *other, const char *folder,
                                   const char *plots)
{
    struct ryz_plot_options options = {
        .results_path = results, .other_path = other, .folder = folder, .plots = plots};
    struct ryz_plot_result result;
    struct ryz_error error = {0};
    cr_assert_eq(ryz_report_plots(&options, &result, &error), RYZ_OK, "%s", error.text);
    return result;
}

/* Does folder/name begin with these bytes? */
static bool begins(const char *folder, const char *name, const char *bytes)
{
    char path[640], head[64] = "";
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    if (file == NULL) return false;
    size_t got = fread(head, 1, sizeof head - 1, file);
    fclose(file);
    return got >= strlen(bytes) && memcmp(head, bytes, strlen(bytes)) == 0;
}

static bool is_there(const char *folder, const char *name)
{
    char path[640];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return access(path, F_OK) == 0;
}

static void expect_figure(const char *folder, const char *name)
{
    char png[64], svg[64], gp[64];
    snprintf(png, sizeof png, "%s.png", name);
    snprintf(svg, sizeof svg, "%s.svg", name);
    snprintf(gp, sizeof gp, "%s.gp", name);
    cr_expect(begins(folder, png, "\x89PNG"), "%s", png);
    cr_expect(begins(folder, svg, "<?xml"), "%s", svg);
    cr_expect(begins(folder, gp, "# Made by ryz"), "%s", gp);
}

Test(plots, a_run_gives_distributions_timeline_and_lives, .timeout = 120)
{
    char results[512], folder[512];
    need_gnuplot();
    snprintf(results, sizeof results, "%s", support_path("run.h5"));
    snprintf(folder, sizeof folder, "%s", support_path("plots/deep"));
    report_file_of_a_run(results, NULL);
    struct ryz_plot_result result =
        plot(results, NULL, folder, "cdf timeline gantt heatmap pareto");
    cr_expect_eq(result.made, 3, "a single run has no heat map and no front");
    cr_expect_eq(result.failed, 0);
    expect_figure(folder, "cdf");
    expect_figure(folder, "timeline");
    expect_figure(folder, "gantt");
    cr_expect_not(is_there(folder, "heatmap.gp"));
}

Test(plots, a_sweep_gives_heat_map_and_front, .timeout = 120)
{
    char results[512], folder[512];
    need_gnuplot();
    snprintf(results, sizeof results, "%s", support_path("sweep.h5"));
    snprintf(folder, sizeof folder, "%s", support_path("plots"));
    report_file_of_a_sweep(results, false);
    struct ryz_plot_result result = plot(results, NULL, folder, "heatmap, pareto cdf");
    cr_expect_eq(result.made, 3);
    cr_expect_eq(result.failed, 0);
    expect_figure(folder, "heatmap");
    expect_figure(folder, "pareto");
}

Test(plots, one_axis_is_drawn_as_lines, .timeout = 120)
{
    char results[512], folder[512];
    need_gnuplot();
    snprintf(results, sizeof results, "%s", support_path("sweep.h5"));
    snprintf(folder, sizeof folder, "%s", support_path("plots"));
    report_file_of_a_sweep(results, true);
    struct ryz_plot_result result = plot(results, NULL, folder, "heatmap pareto");
    cr_expect_eq(result.made, 2);
    cr_expect_eq(result.failed, 0);
}

Test(plots, a_second_file_is_laid_over_the_first, .timeout = 120)
{
    char results[512], other[512], folder[512];
    need_gnuplot();
    snprintf(results, sizeof results, "%s", support_path("live.h5"));
    snprintf(other, sizeof other, "%s", support_path("simulated.h5"));
    snprintf(folder, sizeof folder, "%s", support_path("plots"));
    report_file_of_a_run(results, NULL);
    report_file_of_a_run(other, NULL);
    struct ryz_plot_result result = plot(results, other, folder, "cdf");
    cr_expect(result.made == 1 && result.failed == 0);
}

Test(plots, words_in_a_file_cannot_become_commands, .timeout = 120)
{
    char results[512], folder[512];
    need_gnuplot();
    snprintf(results, sizeof results, "%s", support_path("run.h5"));
    snprintf(folder, sizeof folder, "%s", support_path("plots"));
    report_file_of_a_run(results,
                         "it's \"quoted\"\n`touch hacked`; system('touch hacked') \\ {/*2 x}");
    struct ryz_plot_result result = plot(results, NULL, folder, "cdf timeline gantt");
    cr_expect(result.made == 3 && result.failed == 0);
    cr_expect_not(is_there(folder, "hacked"));
}

/* Blocks of a data file as gnuplot counts them: rows between two empty lines. */
static long count_blocks(const char *path)
{
    char line[4096];
    long blocks = 0, empty = 2;
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        if (line[0] == '#') continue;
        if (line[0] == '\n') {
            empty++;
            continue;
        }
        blocks += empty >= 2;
        empty = 0;
    }
    fclose(file);
    return blocks;
}

/* The largest block that the script draws, from 0. */
static long largest_index(const char *path)
{
    char line[4096];
    long largest = -1;
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file);
    while (fgets(line, sizeof line, file) != NULL)
        for (char *at = line; (at = strstr(at, "data index ")) != NULL; at++) {
            long index = strtol(at + strlen("data index "), NULL, 10);
            largest = index > largest ? index : largest;
        }
    fclose(file);
    return largest;
}

Test(plots, a_curve_without_points_does_not_shift_the_others)
{
    static const char *const names[] = {"cdf", "timeline", "gantt", "heatmap", "pareto"};
    char results[512], folder[512], script[640], data[640];
    snprintf(results, sizeof results, "%s", support_path("sweep.h5")); /* nothing fails in it */
    snprintf(folder, sizeof folder, "%s", support_path("plots"));
    report_file_of_a_sweep(results, false);
    cr_assert_eq(setenv("PATH", "/nonexistent", 1), 0);
    plot(results, NULL, folder, "cdf timeline gantt heatmap pareto");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(script, sizeof script, "%s/%s.gp", folder, names[i]);
        snprintf(data, sizeof data, "%s/%s.dat", folder, names[i]);
        cr_expect_geq(largest_index(script), 1, "%s", names[i]);
        /* The gantt's last block is of failures, which its script leaves out. */
        cr_expect_leq(largest_index(script) + 1, count_blocks(data), "%s", names[i]);
        cr_expect_geq(largest_index(script) + 2, count_blocks(data), "%s", names[i]);
    }
}

Test(plots, without_gnuplot_the_scripts_are_still_written)
{
    char results[512], folder[512];
    snprintf(results, sizeof results, "%s", support_path("run.h5"));
    snprintf(folder, sizeof folder, "%s", support_path("plots"));
    report_file_of_a_run(results, NULL);
    cr_assert_eq(setenv("PATH", "/nonexistent", 1), 0);
    struct ryz_plot_result result = plot(results, NULL, folder, "cdf gantt");
    cr_expect(result.no_gnuplot);
    cr_expect_eq(result.made, 0);
    cr_expect(is_there(folder, "cdf.gp") && is_there(folder, "cdf.dat"));
    cr_expect(is_there(folder, "gantt.gp"));
}

Test(plots, results_without_runs_or_wishes_give_nothing)
{
    char results[512], folder[512];
    snprintf(results, sizeof results, "%s", support_path("empty.h5"));
    snprintf(folder, sizeof folder, "%s", support_path("plots"));
    report_file_empty(results);
    cr_expect_eq(plot(results, NULL, folder, "cdf timeline gantt heatmap pareto").made, 0);
    cr_expect_eq(plot("/nonexistent.h5", NULL, folder, "none").made, 0);
}

Test(plots, an_unknown_plot_is_named_with_those_there_are)
{
    char results[512];
    snprintf(results, sizeof results, "%s", support_path("run.h5"));
    report_file_of_a_run(results, NULL);
    struct ryz_plot_options options = {
        .results_path = results, .folder = "/nonexistent", .plots = "pie"};
    struct ryz_plot_result result;
    struct ryz_error error = {0};
    cr_expect_eq(ryz_report_plots(&options, &result, &error), RYZ_INVALID);
    cr_expect(strstr(error.text, "pie") != NULL && strstr(error.text, "gantt") != NULL);
}
