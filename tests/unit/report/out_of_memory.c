/*
 * Goal: whatever allocation fails on the way from rows to figures, somebody is told, nothing
 * crashes and nothing leaks. Method: the whole way, again and again, each time with the next
 * allocation failing. A plain program, for the linker sends its allocations through
 * failing_memory.h.
 */
#include "harness/evaluate/compare.h"
#include "harness/evaluate/evaluator.h"
#include "harness/record/recorder.h"
#include "harness/record/results_file.h"
#include "harness/record/results_read.h"
#include "harness/report/report.h"
#include "tests/unit/base/failing_memory.h"
#include "tests/unit/record/support.h"
#include "tests/unit/record/synthetic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct ryz_run_data rows; /* what is recorded; made before anything fails */
static struct ryz_plan plan;
static char live[512], out[512], folder[512];

/* Records a few rows of each kind. */
static enum ryz_status record(struct ryz_error *error)
{
    static const enum ryz_table tables[] = {RYZ_TABLE_REQUESTS, RYZ_TABLE_TOKENS, RYZ_TABLE_SPANS,
                                            RYZ_TABLE_EVENTS, RYZ_TABLE_ENGINE};
    struct ryz_provenance provenance;
    struct ryz_recorder *recorder = NULL;
    synthetic_provenance(&provenance);
    const struct ryz_recorder_options options = {
        .live_path = live, .info = &rows.info, .provenance = &provenance, .ring_rows = 4096};
    enum ryz_status status = ryz_recorder_open(&options, &recorder, error);
    if (status != RYZ_OK) return status;
    for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++) {
        size_t count = 0, bytes = ryz_table_spec(tables[t])->row_bytes;
        const char *from = ryz_run_rows(&rows, tables[t], &count);
        for (size_t i = 0; i < count; i++)
            (void)ryz_recorder_push(recorder, tables[t], from + i * bytes);
    }
    return ryz_recorder_close(recorder, error);
}

static enum ryz_status evaluate(struct ryz_run_data *data, struct ryz_error *error)
{
    struct ryz_evaluator *evaluator = NULL;
    struct ryz_target_row verdicts[RYZ_TARGETS_MAX];
    enum ryz_status status = ryz_evaluator_open(&plan, &evaluator, error);
    if (status == RYZ_OK) status = ryz_evaluator_add(evaluator, &plan, data, error);
    if (status == RYZ_OK) ryz_evaluator_judge(evaluator, verdicts);
    ryz_evaluator_close(evaluator);
    return status;
}

static enum ryz_status keep(struct ryz_run_data *data, const struct ryz_provenance *provenance,
                            struct ryz_error *error)
{
    struct ryz_results_file *file = NULL;
    enum ryz_status status = ryz_results_create(out, provenance, &file, error);
    if (status != RYZ_OK) return status;
    status = ryz_results_add_run(file, data, error);
    if (status == RYZ_OK) return ryz_results_commit(file, true, error);
    ryz_results_discard(file);
    return status;
}

static enum ryz_status look(struct ryz_error *error)
{
    const struct ryz_plot_options options = {
        .results_path = out, .folder = folder, .plots = "cdf timeline gantt heatmap pareto"};
    struct ryz_plot_result plots;
    struct ryz_results *results = NULL;
    struct ryz_compare_row *compared = NULL;
    size_t count = 0;
    enum ryz_status status = ryz_results_open(out, &results, error);
    if (status == RYZ_OK)
        status = ryz_evaluate_compare_results(results, 0, results, 0, &compared, &count, error);
    free(compared);
    ryz_results_close(results);
    if (status == RYZ_OK) status = ryz_report_plots(&options, &plots, error);
    return status;
}

static enum ryz_status whole_way(struct ryz_error *error)
{
    struct ryz_run_data data = {0};
    struct ryz_provenance provenance = {0};
    enum ryz_status status = record(error);
    if (status == RYZ_OK) status = ryz_run_data_open_live(live, &data, &provenance, error);
    if (status == RYZ_OK) status = evaluate(&data, error);
    if (status == RYZ_OK) status = keep(&data, &provenance, error);
    if (status == RYZ_OK) status = look(error);
    ryz_provenance_deinit(&provenance);
    ryz_run_data_deinit(&data);
    return status;
}

static void make_rows(void)
{
    static const struct ryz_target_plan targets[] = {
        {.metric = "ttft.p50", .op = RYZ_OP_LE, .value = 1e9, .unit = "s"},
        {.metric = "trace.coverage", .op = RYZ_OP_EQ, .value = 1, .unit = "%"},
        {.metric = "slow_decode.recover", .op = RYZ_OP_LE, .value = 1e9, .unit = "s"}};
    const struct synthetic options = {.seed = 2,
                                      .requests = 60,
                                      .rate_per_s = 30,
                                      .token_ms = 8,
                                      .fail_share = 0.3,
                                      .fault = true,
                                      .traffics = 2,
                                      .max_batch = 4};
    synthetic_plan(&options, &plan);
    synthetic_run(&options, &rows);
    memcpy(plan.targets, targets, sizeof targets);
    plan.target_count = sizeof targets / sizeof targets[0];
    plan.traffic[1].measure = RYZ_MEASURE_STEADY;
    plan.traffic[1].arrival = RYZ_ARRIVAL_CLOSED;
    plan.traffic[1].concurrency = 2;
    (void)snprintf(live, sizeof live, "%s", support_path("live.h5"));
    (void)snprintf(out, sizeof out, "%s", support_path("results.h5"));
    (void)snprintf(folder, sizeof folder, "%s", support_path("plots"));
    /* gnuplot would take most of the time and has no allocation of ours. */
    (void)setenv("PATH", "/nonexistent", 1);
}

int main(void)
{
    uint32_t n = 0, silent = 0;
    make_rows();
    for (;; n++) {
        struct ryz_error error = {0};
        (void)unlink(live);
        (void)unlink(out);
        failing_memory_arm(n);
        enum ryz_status status = whole_way(&error);
        bool failed = failing_memory_failed();
        failing_memory_arm(UINT32_MAX);
        if (!failed) {
            if (status == RYZ_OK) break;
            (void)fprintf(stderr, "nothing failed, but: %s\n", error.text);
            return 1;
        }
        if (status == RYZ_OK || error.text[0] == '\0') {
            (void)fprintf(stderr, "allocation %u failed and nobody was told\n", n);
            silent++;
        }
    }
    ryz_run_data_deinit(&rows);
    (void)printf("%u allocations failed one by one, %u silently\n", n, silent);
    return n > 100 && silent == 0 ? 0 : 1;
}
