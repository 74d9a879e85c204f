/*
 * points.h - a sweep's points with their main numbers, averaged over repeats. Private to
 * harness/report.
 */
#ifndef RYZ_HARNESS_REPORT_POINTS_H
#define RYZ_HARNESS_REPORT_POINTS_H

#include "harness/record/results_read.h"

#define RYZ_REPORT_AXES_MAX 6u

/* X(field, metric, statistic, heading) */
#define RYZ_POINT_NUMBERS(X)                                                                       \
    X(out_tok_rate, "throughput.out_tok", "value", "tok/s")                                        \
    X(request_rate, "throughput.req", "value", "req/s")                                            \
    X(ttft_p50, "ttft", "p50", "ttft p50")                                                         \
    X(ttft_p90, "ttft", "p90", "ttft p90")                                                         \
    X(tpot_p50, "tpot", "p50", "tpot p50")                                                         \
    X(tpot_p90, "tpot", "p90", "tpot p90")                                                         \
    X(e2e_p90, "e2e", "p90", "e2e p90")                                                            \
    X(goodput, "goodput.ratio", "value", "goodput")                                                \
    X(errors, "errors", "value", "errors")                                                         \
    X(batch, "batch", "mean", "batch")                                                             \
    X(model_size, "model.size", "value", "model")                                                  \
    X(perplexity, "accuracy.perplexity", "value", "perplexity")                                    \
    X(loss, "accuracy.loss", "value", "loss <=")

struct ryz_point_numbers {
    uint32_t point, runs, invalid_runs;
    char label[192];
    char value[RYZ_REPORT_AXES_MAX][32]; /* of the axes */
#define X(field, metric, stat, heading) double field;
    RYZ_POINT_NUMBERS(X) /* NaN: not measured */
#undef X
    double loss_lo, loss_hi; /* interval of the loss */
};

struct ryz_points {
    struct ryz_point_numbers *points; /* (count), from malloc, by point number */
    size_t count;
    uint32_t axis_count;
    char axes[RYZ_REPORT_AXES_MAX][64];
};

RYZ_MUST_USE enum ryz_status ryz_points_read(const struct ryz_results *results,
                                             struct ryz_points *points, struct ryz_error *error);
void ryz_points_free(struct ryz_points *points);
/* An axis' distinct values in the order of the points; returns their number, at most 32. */
uint32_t ryz_points_values(const struct ryz_points *points, uint32_t axis, char values[32][32]);
/* The last word of "engine.max_batch". */
const char *ryz_points_short_key(const char *key);

#endif
