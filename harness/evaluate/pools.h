/*
 * pools.h - what the evaluator remembers: per target and sweep point the pooled samples or number
 * of its repeats. Private to harness/evaluate.
 */
#ifndef RYZ_HARNESS_EVALUATE_POOLS_H
#define RYZ_HARNESS_EVALUATE_POOLS_H

#include "harness/evaluate/collect.h"
#include "harness/evaluate/evaluator.h"

/* A target's metric with its prefix resolved against the scenario. */
struct ryz_target_scope {
    struct ryz_metric_name name;
    int traffic;     /* -1: all */
    int fault;       /* -1: none */
    bool relative;   /* a lag bound in % of the tightest latency target */
    uint32_t values; /* number of axis values that a point must have */
    char value[RYZ_AXES_MAX][32];
};

/* One target at one point. */
struct ryz_pool {
    struct ryz_samples samples;
    struct ryz_number number;
};

struct ryz_point {
    uint32_t point;
    char label[192];
    uint32_t runs, invalid_runs;
    char invalid_reason[192]; /* of the first invalid run */
    struct ryz_pool *pools;   /* one a target */
};

struct ryz_evaluator {
    const struct ryz_plan *plan;
    struct ryz_target_scope scopes[RYZ_TARGETS_MAX];
    double tightest_ns; /* smallest upper bound on a latency; NaN: none */
    bool lag_target;    /* the scenario bounds the lag itself */
    struct ryz_point *points;
    uint32_t point_count;
    char invalid_reason[192];
};

/* Does the target look at this point? Its label is "key=value key=value". */
bool ryz_scope_matches(const struct ryz_target_scope *scope, const char *label);
/* "bound" of a lag target in ns: its share of the tightest latency, at least 1 ms. */
double ryz_lag_bound_ns(const struct ryz_evaluator *evaluator, double share);
/* Summary rows of a run, into its SUMMARY table. */
RYZ_MUST_USE enum ryz_status ryz_summarise(const struct ryz_plan *plan, struct ryz_run_data *data,
                                           const struct ryz_windows *windows,
                                           struct ryz_error *error);
/* Takes a target's metric apart and checks prefix and unit. */
RYZ_MUST_USE enum ryz_status ryz_scope_resolve(const struct ryz_plan *plan,
                                               const struct ryz_target_plan *target,
                                               struct ryz_target_scope *scope,
                                               struct ryz_error *error);

#endif
