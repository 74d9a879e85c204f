/* results.c - `ryz results`: recover, list, compare and plot results files. */
#include "harness/cli/commands.h"
#include "harness/cli/options.h"

#include "engine/base/size.h"
#include "harness/evaluate/compare.h"
#include "harness/record/results_file.h"
#include "harness/record/results_read.h"
#include "harness/report/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(const struct ryz_error *error)
{
    (void)fprintf(stderr, "ryz: %s\n", error->text);
    return RYZ_EXIT_COULD_NOT;
}

/* Live files, then the file to write. */
static int recover(const char *const *paths, uint32_t count)
{
    if (count < 2) {
        (void)fputs("usage: ryz results recover LIVE.h5 [LIVE.h5 ...] OUT.h5\n"
                    "An interrupted run leaves its live files in <output.dir>/.live.\n",
                    stderr);
        return RYZ_EXIT_USAGE;
    }
    struct ryz_error error = {0};
    uint32_t recovered = 0;
    if (ryz_results_recover(paths, count - 1, paths[count - 1], &recovered, &error) != RYZ_OK) {
        return fail(&error);
    }
    printf("%s: %u of %u run(s) recovered\n", paths[count - 1], recovered, count - 1);
    if (recovered < count - 1) (void)fprintf(stderr, "ryz: skipped: %s\n", error.text);
    return RYZ_EXIT_MET;
}

static void print_run(const struct ryz_run_data *data)
{
    printf("run%04u  point %u repeat %u  %s%s%s\n", data->info.run, data->info.point,
           data->info.repeat, data->info.driver, data->info.label[0] != '\0' ? "  " : "",
           data->info.label);
    if (!data->info.complete) puts("         interrupted");
    if (!data->info.valid) printf("         INVALID: %s\n", data->info.invalid_reason);
    for (int table = 0; table < RYZ_TABLE_COUNT; table++) {
        size_t count = data->tables[table].count;
        if (count > 0) printf("         %-14s %zu rows\n", ryz_table_spec(table)->name, count);
    }
}

static int list(const char *path)
{
    struct ryz_results *results = NULL;
    struct ryz_error error = {0};
    if (ryz_results_open(path, &results, &error) != RYZ_OK) return fail(&error);
    const struct ryz_provenance *provenance = ryz_results_provenance(results);
    printf("%s\n%s, commit %s, seed %llu, %s\n", provenance->title, provenance->created_utc,
           provenance->git_commit, (unsigned long long)provenance->seed, provenance->cpu);
    int code = RYZ_EXIT_MET;
    for (uint32_t run = 0; run < ryz_results_run_count(results); run++) {
        struct ryz_run_data data = {0};
        if (ryz_results_read_run(results, run, RYZ_TABLES_ALL, &data, &error) != RYZ_OK) {
            code = fail(&error);
            break;
        }
        print_run(&data);
        ryz_run_data_deinit(&data);
    }
    ryz_results_close(results);
    return code;
}

static enum ryz_status print_comparison(const char *a_path, const char *b_path,
                                        struct ryz_error *error)
{
    struct ryz_results *a = NULL, *b = NULL;
    struct ryz_compare_row *rows = NULL;
    size_t count = 0;
    enum ryz_status status = ryz_results_open(a_path, &a, error);
    if (status == RYZ_OK) status = ryz_results_open(b_path, &b, error);
    if (status == RYZ_OK) {
        status = ryz_evaluate_compare_results(a, 0, b, 0, &rows, &count, error);
    }
    if (status == RYZ_OK) ryz_report_print_compare(stdout, "A", "B", rows, count);
    free(rows);
    ryz_results_close(a);
    ryz_results_close(b);
    return status;
}

/* Two files, and a folder for the overlaid curves if one is wanted. */
static int compare(const char *const *paths, uint32_t count)
{
    struct ryz_error error = {0};
    printf("A: %s\nB: %s\n", paths[0], paths[1]);
    if (print_comparison(paths[0], paths[1], &error) != RYZ_OK) return fail(&error);
    if (count < 3) return RYZ_EXIT_MET;
    struct ryz_plot_options options = {
        .results_path = paths[0], .other_path = paths[1], .folder = paths[2], .plots = "cdf"};
    struct ryz_plot_result plots = {0};
    if (ryz_report_plots(&options, &plots, &error) != RYZ_OK) return fail(&error);
    printf("pictures: %u in %s%s\n", plots.made, paths[2],
           plots.no_gnuplot ? " (gnuplot is not installed)" : "");
    return RYZ_EXIT_MET;
}

static int plot(const char *path, const char *folder)
{
    struct ryz_error error = {0};
    struct ryz_plot_options options = {
        .results_path = path, .folder = folder, .plots = "cdf timeline gantt heatmap pareto"};
    struct ryz_plot_result plots = {0};
    if (ryz_report_plots(&options, &plots, &error) != RYZ_OK) return fail(&error);
    printf("pictures: %u in %s%s\n", plots.made, folder,
           plots.no_gnuplot ? " (gnuplot is not installed)" : "");
    return RYZ_EXIT_MET;
}

int ryz_command_results(int argc, char **argv)
{
    const struct ryz_command_line line = {
        .usage = "ryz results list|recover|compare|plot FILES",
        .about =
            "list FILE.h5                      what a results file holds\n"
            "recover LIVE.h5 [...] OUT.h5      an ordinary file of what an interrupted run had\n"
            "                                  acknowledged (see <output.dir>/.live)\n"
            "compare A.h5 B.h5 [FOLDER]        two results side by side, such as live and\n"
            "                                  simulated; with a folder also their curves\n"
            "plot FILE.h5 FOLDER               all pictures anew",
        .positional_min = 1,
        .positional_max = 66};
    const char *words[66];
    uint32_t count = 0;
    enum ryz_status status = ryz_options_parse(&line, argc, argv, words, &count);
    if (status != RYZ_OK) return status == RYZ_CANCELLED ? RYZ_EXIT_MET : RYZ_EXIT_USAGE;
    if (strcmp(words[0], "recover") == 0) return recover(words + 1, count - 1);
    if (strcmp(words[0], "list") == 0 && count == 2) return list(words[1]);
    if (strcmp(words[0], "compare") == 0 && (count == 3 || count == 4)) {
        return compare(words + 1, count - 1);
    }
    if (strcmp(words[0], "plot") == 0 && count == 3) return plot(words[1], words[2]);
    (void)fprintf(stderr, "usage: %s\n", line.usage);
    return RYZ_EXIT_USAGE;
}
