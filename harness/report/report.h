/*
 * report.h - results for people: tables on a terminal, plots as PNG and SVG.
 *
 * Plots are made by gnuplot from files that stay beside them (.gp and .dat), so that a reader can
 * change a figure without ryz. Without gnuplot the files are still written, and the report says so.
 */
#ifndef RYZ_HARNESS_REPORT_REPORT_H
#define RYZ_HARNESS_REPORT_REPORT_H

#include "engine/base/status.h"
#include "harness/record/run_data.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* A run's summary: latencies as a table of percentiles, then the other numbers. The data needs its
 * SUMMARY table. */
void ryz_report_print_run(FILE *out, const struct ryz_run_data *data);
/* The verdicts, one line a target. */
void ryz_report_print_targets(FILE *out, const struct ryz_target_row *rows, size_t count);
/* Two results side by side. `a` and `b` head the columns. */
void ryz_report_print_compare(FILE *out, const char *a, const char *b,
                              const struct ryz_compare_row *rows, size_t count);
/* One number as a person reads it, "12.3 ms" or "98.5 %"; unit as in the tables: ns, s-1, 1, byte,
 * count, plain. */
void ryz_report_format(double value, const char *unit, char *text, size_t capacity);

struct ryz_plot_options {
    const char *results_path; /* results file to plot */
    const char *other_path;   /* a second one to lay over the CDFs (e.g. simulated); may be NULL */
    const char *folder;       /* where files go; made if absent */
    const char *plots;        /* words of: cdf timeline gantt heatmap pareto, or "none" */
};

struct ryz_plot_result {
    bool no_gnuplot; /* it is not installed: only .gp and .dat files were written */
    uint32_t made;   /* figures */
    uint32_t failed; /* gnuplot refused; its words are in <figure>.log */
};

/* Makes the figures. A plot the results have no data for is left out: it is no failure. */
RYZ_MUST_USE enum ryz_status ryz_report_plots(const struct ryz_plot_options *options,
                                              struct ryz_plot_result *result,
                                              struct ryz_error *error);
/* A table of the sweep's points with their main numbers, for the terminal. */
RYZ_MUST_USE enum ryz_status ryz_report_print_sweep(FILE *out, const char *results_path,
                                                    struct ryz_error *error);

#endif
