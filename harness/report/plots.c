/* plots.c - which figures are asked for. */
#include "harness/report/plots.h"

#include <string.h>

static const struct {
    const char *name;
    enum ryz_status (*make)(const struct ryz_plot_context *context, struct ryz_error *error);
} plots[] = {
    {"cdf", ryz_plot_cdf},         {"timeline", ryz_plot_timeline}, {"gantt", ryz_plot_gantt},
    {"heatmap", ryz_plot_heatmap}, {"pareto", ryz_plot_pareto},
};
#define PLOTS (sizeof plots / sizeof plots[0])

uint32_t ryz_plots_choose_run(const struct ryz_results *results)
{
    uint32_t runs = ryz_results_run_count(results);
    for (uint32_t r = 0; r < runs; r++) {
        struct ryz_run_data data;
        if (ryz_results_read_run(results, r, 0, &data, NULL) != RYZ_OK) continue;
        bool valid = data.info.valid;
        ryz_run_data_deinit(&data);
        if (valid) return r;
    }
    return 0;
}

static enum ryz_status make_one(const struct ryz_plot_context *context, const char *word,
                                size_t length, struct ryz_error *error)
{
    for (size_t i = 0; i < PLOTS; i++)
        if (strlen(plots[i].name) == length && strncmp(word, plots[i].name, length) == 0)
            return plots[i].make(context, error);
    return ryz_fail(error, RYZ_INVALID,
                    "\"%.*s\" is no plot; there are: cdf timeline gantt heatmap pareto",
                    (int)length, word);
}

enum ryz_status ryz_report_plots(const struct ryz_plot_options *options,
                                 struct ryz_plot_result *result, struct ryz_error *error)
{
    struct ryz_results *results = NULL, *other = NULL;
    *result = (struct ryz_plot_result){0};
    if (strcmp(options->plots, "none") == 0) return RYZ_OK;
    enum ryz_status status = ryz_results_open(options->results_path, &results, error);
    if (status == RYZ_OK && options->other_path != NULL)
        status = ryz_results_open(options->other_path, &other, error);
    struct ryz_plot_context context = {results, other, options->folder, result};
    const char *word = options->plots;
    while (status == RYZ_OK && ryz_results_run_count(results) > 0) {
        word += strspn(word, " \t,");
        size_t length = strcspn(word, " \t,");
        if (length == 0) break;
        status = make_one(&context, word, length, error);
        word += length;
    }
    ryz_results_close(other);
    ryz_results_close(results);
    return status;
}
