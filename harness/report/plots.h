/*
 * plots.h - the figures, each made from a results file if it has the data. Private to
 * harness/report.
 */
#ifndef RYZ_HARNESS_REPORT_PLOTS_H
#define RYZ_HARNESS_REPORT_PLOTS_H

#include "harness/record/results_read.h"
#include "harness/report/report.h"

struct ryz_plot_context {
    const struct ryz_results *results;
    const struct ryz_results *other; /* laid over the CDFs; may be NULL */
    const char *folder;
    struct ryz_plot_result *result;
};

/* The run that single-run figures show: the first valid one, else the first. */
uint32_t ryz_plots_choose_run(const struct ryz_results *results);

/* Latency distributions: ttft, tpot, e2e; a curve a traffic, or a point of a sweep. */
RYZ_MUST_USE enum ryz_status ryz_plot_cdf(const struct ryz_plot_context *context,
                                          struct ryz_error *error);
/* ttft, throughput, batch and queue, KV and CPU over the run's time, faults shaded. */
RYZ_MUST_USE enum ryz_status ryz_plot_timeline(const struct ryz_plot_context *context,
                                               struct ryz_error *error);
/* The life of single requests: queue, prefill, decode. */
RYZ_MUST_USE enum ryz_status ryz_plot_gantt(const struct ryz_plot_context *context,
                                            struct ryz_error *error);
/* Throughput and latency over one or two swept axes. */
RYZ_MUST_USE enum ryz_status ryz_plot_heatmap(const struct ryz_plot_context *context,
                                              struct ryz_error *error);
/* What can be had for what: accuracy against size, latency against throughput. */
RYZ_MUST_USE enum ryz_status ryz_plot_pareto(const struct ryz_plot_context *context,
                                             struct ryz_error *error);

#endif
