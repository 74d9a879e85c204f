/*
 * pools.h - what the evaluator remembers: per target and sweep point the pooled samples or number
 * of its repeats. Private to harness/evaluate.
 */
#ifndef RYZ_HARNESS_EVALUATE_POOLS_H
#define RYZ_HARNESS_EVALUATE_POOLS_H

#include "harness/evaluate/collect.h"
#include "harness/evaluate/evaluator.h"

/* The metrics of a target: METRIC = OP value of OF + PLUS. */
enum ryz_term { RYZ_TERM_METRIC, RYZ_TERM_OF, RYZ_TERM_PLUS, RYZ_TERM_COUNT };

/* One of them with its prefix resolved against the scenario. */
struct ryz_target_scope {
    const char *metric; /* as written; NULL: the target has no such term */
    struct ryz_metric_name name;
    int traffic;      /* -1: all */
    int fault;        /* -1: none */
    bool of_tightest; /* a lag bound in % of the tightest latency target */
    uint32_t values;  /* number of axis values that a point must have */
    char value[RYZ_AXES_MAX][32];
};

/* One term of a target at one point. */
struct ryz_pool {
    struct ryz_samples samples;
    struct ryz_number number;
};

struct ryz_point {
    uint32_t point;
    char label[192];
    uint32_t runs, invalid_runs;
    char invalid_reason[192]; /* of the first invalid run */
    struct ryz_pool *pools;   /* RYZ_TERM_COUNT a target */
};

static inline struct ryz_pool *ryz_point_pool(const struct ryz_point *point, uint32_t target,
                                              uint32_t term)
{
    return &point->pools[(size_t)target * RYZ_TERM_COUNT + term];
}

struct ryz_evaluator {
    const struct ryz_plan *plan;
    struct ryz_target_scope scopes[RYZ_TARGETS_MAX][RYZ_TERM_COUNT];
    double tightest_ns; /* smallest upper bound on a latency; NaN: none */
    bool lag_target;    /* the scenario bounds the lag itself */
    struct ryz_point *points;
    uint32_t point_count;
    char invalid_reason[192];
};

/* Does the target look at this point? Its label is "key=value key=value". */
bool ryz_scope_matches(const struct ryz_target_scope *scope, const char *label);
/* Is `other` the point that a reference looks at when `point` is judged? It has the values that the
 * reference names, and those of `point` on all other axes. Both are numbers in the plan's grid. */
bool ryz_scope_pairs(const struct ryz_plan *plan, const struct ryz_target_scope *reference,
                     uint32_t point, uint32_t other);
/* Unit of a term's number. */
enum ryz_quantity_unit ryz_scope_unit(const struct ryz_target_scope *scope);
/* "bound" of a lag target in ns: its share of the tightest latency, at least 1 ms. */
double ryz_lag_bound_ns(const struct ryz_evaluator *evaluator, double share);
/* Summary rows of a run, into its SUMMARY table. */
RYZ_MUST_USE enum ryz_status ryz_summarise(const struct ryz_plan *plan, struct ryz_run_data *data,
                                           const struct ryz_windows *windows,
                                           struct ryz_error *error);
/* Takes a target's metrics apart and checks prefixes and units; fills scopes[RYZ_TERM_COUNT], which
 * borrow the target's texts. */
RYZ_MUST_USE enum ryz_status ryz_scope_resolve(const struct ryz_plan *plan,
                                               const struct ryz_target_plan *target,
                                               struct ryz_target_scope *scopes,
                                               struct ryz_error *error);

#endif
