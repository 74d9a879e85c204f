/*
 * evaluator.c - takes runs in: flags, validity, pools of what targets need. Verdicts are in
 * judge.c, the summary table in summary.c.
 */
#include "harness/evaluate/evaluator.h"

#include "engine/base/clock.h"
#include "harness/evaluate/pools.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LAG_SHARE    0.05
#define LAG_FLOOR_NS ((double)RYZ_NS_PER_MS)

double ryz_lag_bound_ns(const struct ryz_evaluator *evaluator, double share)
{
    double bound = share * evaluator->tightest_ns;
    return isnan(bound) || bound < LAG_FLOOR_NS ? LAG_FLOOR_NS : bound;
}

/* Upper bounds on what a user feels: what the generator's lag is measured against. */
static void note_latency_target(struct ryz_evaluator *evaluator,
                                const struct ryz_target_plan *target,
                                const struct ryz_target_scope *scope)
{
    const struct ryz_quantity_spec *spec = ryz_quantity_spec(scope->name.quantity);
    bool upper = target->op == RYZ_OP_LE || target->op == RYZ_OP_LT;
    if (target->of[0] != '\0') return; /* its bound is known after the runs only */
    if (scope->name.quantity == RYZ_Q_LAG) {
        evaluator->lag_target = true;
        return;
    }
    if (spec->unit != RYZ_QUNIT_NS || !upper || scope->name.quantity > RYZ_Q_NORMALISED) return;
    if (isnan(evaluator->tightest_ns) || target->value < evaluator->tightest_ns)
        evaluator->tightest_ns = target->value;
}

enum ryz_status ryz_evaluator_open(const struct ryz_plan *plan, struct ryz_evaluator **out,
                                   struct ryz_error *error)
{
    *out = NULL;
    struct ryz_evaluator *evaluator = calloc(1, sizeof *evaluator);
    if (evaluator == NULL) return ryz_fail(error, RYZ_NO_MEMORY, "no memory for the evaluation");
    evaluator->plan = plan;
    evaluator->tightest_ns = (double)NAN;
    for (uint32_t i = 0; i < plan->target_count; i++) {
        enum ryz_status status =
            ryz_scope_resolve(plan, &plan->targets[i], evaluator->scopes[i], error);
        if (status != RYZ_OK) {
            ryz_evaluator_close(evaluator);
            return status;
        }
        note_latency_target(evaluator, &plan->targets[i], &evaluator->scopes[i][RYZ_TERM_METRIC]);
    }
    *out = evaluator;
    return RYZ_OK;
}

void ryz_evaluator_close(struct ryz_evaluator *evaluator)
{
    if (evaluator == NULL) return;
    for (uint32_t p = 0; p < evaluator->point_count; p++) {
        struct ryz_pool *pools = evaluator->points[p].pools;
        for (size_t i = 0; i < (size_t)evaluator->plan->target_count * RYZ_TERM_COUNT; i++)
            ryz_samples_free(&pools[i].samples);
        free(pools);
    }
    free(evaluator->points);
    free(evaluator);
}

static struct ryz_point *find_point(struct ryz_evaluator *evaluator,
                                    const struct ryz_run_info *info, struct ryz_error *error)
{
    for (uint32_t p = 0; p < evaluator->point_count; p++)
        if (evaluator->points[p].point == info->point) return &evaluator->points[p];
    size_t count = evaluator->point_count + 1u;
    struct ryz_point *grown = realloc(evaluator->points, count * sizeof *grown);
    struct ryz_pool *pools =
        calloc((size_t)evaluator->plan->target_count * RYZ_TERM_COUNT + 1u, sizeof *pools);
    if (grown != NULL) evaluator->points = grown;
    if (grown == NULL || pools == NULL) {
        free(pools);
        ryz_fail(error, RYZ_NO_MEMORY, "no memory for a point of the sweep");
        return NULL;
    }
    struct ryz_point *point = &grown[evaluator->point_count++];
    *point = (struct ryz_point){.point = info->point, .pools = pools};
    snprintf(point->label, sizeof point->label, "%s", info->label);
    return point;
}

/* ---- validity ---- */

/* Lag of open traffic only: in a closed loop the server sets the pace. */
static enum ryz_status lag_p99(const struct ryz_plan *plan, const struct ryz_view *all,
                               double *lag_ns, struct ryz_error *error)
{
    struct ryz_samples samples = {0};
    for (uint32_t t = 0; t < plan->traffic_count; t++) {
        struct ryz_view view = *all;
        view.traffic = (int)t;
        if (plan->traffic[t].arrival != RYZ_ARRIVAL_CLOSED)
            ryz_collect_samples(&view, RYZ_Q_LAG, &samples);
    }
    bool no_memory = samples.no_memory;
    *lag_ns = ryz_samples_estimate(&samples, RYZ_STAT_P99).value;
    ryz_samples_free(&samples);
    return no_memory ? ryz_fail(error, RYZ_NO_MEMORY, "no memory for the generator's lag") : RYZ_OK;
}

static enum ryz_status check_validity(const struct ryz_evaluator *evaluator,
                                      const struct ryz_plan *plan,
                                      const struct ryz_windows *windows, struct ryz_run_data *data,
                                      struct ryz_error *error)
{
    struct ryz_view all = {.data = data, .windows = windows, .traffic = -1};
    struct ryz_number dropped;
    ryz_collect_number(&all, RYZ_Q_HARNESS_DROPPED, &dropped);
    if (dropped.known && dropped.numerator > 0)
        ryz_run_data_invalidate(data, "%.0f arrivals were never sent: the generator was too slow",
                                dropped.numerator);
    for (uint32_t t = 0; t < plan->traffic_count && t < RYZ_PHASES_MAX; t++)
        if (windows->traffic[t].no_steady_state)
            ryz_run_data_invalidate(data,
                                    "traffic %s reached no steady state; let it run longer "
                                    "or set measure = yes",
                                    plan->traffic[t].name);
    if (evaluator->lag_target || isnan(evaluator->tightest_ns)) return RYZ_OK;
    double lag_ns = 0, bound = ryz_lag_bound_ns(evaluator, LAG_SHARE);
    enum ryz_status status = lag_p99(plan, &all, &lag_ns, error);
    if (status != RYZ_OK || !(lag_ns > bound)) return status;
    char got[32], limit[32];
    ryz_quantity_format(lag_ns, "ns", got, sizeof got);
    ryz_quantity_format(bound, "ns", limit, sizeof limit);
    ryz_run_data_invalidate(data,
                            "the generator sent late: harness.lag.p99 is %s, bound %s (5 %% "
                            "of the tightest latency target, at least 1 ms)",
                            got, limit);
    return RYZ_OK;
}

/* ---- one run ---- */

static enum ryz_status pool_term(const struct ryz_evaluator *evaluator,
                                 const struct ryz_windows *windows, const struct ryz_run_data *data,
                                 const struct ryz_target_scope *scope, struct ryz_pool *pool,
                                 struct ryz_error *error)
{
    struct ryz_view view = {.data = data, .windows = windows, .traffic = scope->traffic};
    struct ryz_number number;
    if (scope->fault >= 0) {
        const struct ryz_fault *fault = &evaluator->plan->faults[scope->fault];
        view.fault = fault->name;
        view.fault_kills = fault->action == RYZ_FAULT_KILL;
    }
    if (ryz_quantity_spec(scope->name.quantity)->kind == RYZ_QUANTITY_SAMPLES) {
        ryz_collect_samples(&view, scope->name.quantity, &pool->samples);
        return pool->samples.no_memory
                   ? ryz_fail(error, RYZ_NO_MEMORY, "no memory for the samples of a target")
                   : RYZ_OK;
    }
    ryz_collect_number(&view, scope->name.quantity, &number);
    if (number.no_memory)
        return ryz_fail(error, RYZ_NO_MEMORY, "no memory for the number of a target");
    ryz_number_add(&pool->number, &number);
    return RYZ_OK;
}

static enum ryz_status pool_targets(const struct ryz_evaluator *evaluator,
                                    const struct ryz_windows *windows,
                                    const struct ryz_run_data *data, struct ryz_point *point,
                                    struct ryz_error *error)
{
    enum ryz_status status = RYZ_OK;
    for (uint32_t i = 0; status == RYZ_OK && i < evaluator->plan->target_count; i++) {
        for (uint32_t t = 0; status == RYZ_OK && t < RYZ_TERM_COUNT; t++) {
            const struct ryz_target_scope *scope = &evaluator->scopes[i][t];
            if (scope->metric == NULL || !ryz_scope_matches(scope, point->label)) continue;
            struct ryz_pool *pool = ryz_point_pool(point, i, t);
            status = pool_term(evaluator, windows, data, scope, pool, error);
        }
    }
    return status;
}

enum ryz_status ryz_evaluator_add(struct ryz_evaluator *evaluator,
                                  const struct ryz_plan *point_plan, struct ryz_run_data *data,
                                  struct ryz_error *error)
{
    struct ryz_windows windows;
    ryz_windows_mark(point_plan, data, &windows);
    if (windows.no_memory)
        return ryz_fail(error, RYZ_NO_MEMORY, "no memory to find the measured window");
    enum ryz_status status = check_validity(evaluator, point_plan, &windows, data, error);
    if (status == RYZ_OK) status = ryz_summarise(point_plan, data, &windows, error);
    if (status != RYZ_OK) return status;
    struct ryz_point *point = find_point(evaluator, &data->info, error);
    if (point == NULL) return RYZ_NO_MEMORY;
    point->runs++;
    if (!data->info.valid) {
        point->invalid_runs++;
        if (point->invalid_reason[0] == '\0')
            snprintf(point->invalid_reason, sizeof point->invalid_reason, "%s",
                     data->info.invalid_reason);
        if (evaluator->invalid_reason[0] == '\0')
            snprintf(evaluator->invalid_reason, sizeof evaluator->invalid_reason, "%s",
                     data->info.invalid_reason);
    }
    return pool_targets(evaluator, &windows, data, point, error);
}

const char *ryz_evaluator_invalid_reason(const struct ryz_evaluator *evaluator)
{
    return evaluator->invalid_reason;
}
