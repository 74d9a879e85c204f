/*
 * judge.c - from pooled numbers to verdicts.
 *
 * Of a target that looks at several points the worst one is shown: a miss before an invalid number,
 * that before the smallest margin. Nothing to measure at any point: not applicable, with the
 * reason. A bound is a quantity (judge_at), or a multiple of another metric (judge_against).
 */
#include "harness/evaluate/evaluator.h"

#include "harness/evaluate/pools.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* A target at one point. */
struct finding {
    enum ryz_verdict verdict;
    double want, got, margin;
    char why[192];
};

static const char *op_text(enum ryz_op op)
{
    static const char *const texts[] = {"<=", ">=", "==", "<", ">"};
    return (unsigned)op < 5 ? texts[op] : "?";
}

/* (want - got) / |want| with the sign that makes >= 0 "met"; in absolute terms for want = 0. */
static double margin_of(enum ryz_op op, double want, double got)
{
    double scale = want != 0 ? fabs(want) : 1;
    switch (op) {
    case RYZ_OP_LE:
    case RYZ_OP_LT:
        return (want - got) / scale;
    case RYZ_OP_GE:
    case RYZ_OP_GT:
        return (got - want) / scale;
    case RYZ_OP_EQ:
        break;
    }
    double off = fabs(got - want) / scale;
    return off <= 1e-9 ? 0 : -off;
}

static bool holds(enum ryz_op op, double margin)
{
    return op == RYZ_OP_LT || op == RYZ_OP_GT ? margin > 0 : margin >= 0;
}

static bool is_user_felt(enum ryz_quantity quantity)
{
    return quantity <= RYZ_Q_TOKENS_OUT;
}

static const char *why_nothing(enum ryz_quantity quantity)
{
    switch (quantity) {
    case RYZ_Q_GPU_UTIL:
    case RYZ_Q_GPU_MEM_UTIL:
    case RYZ_Q_GPU_POWER:
        return "no GPU was found on this machine";
    case RYZ_Q_PERPLEXITY:
        return "accuracy was not measured";
    case RYZ_Q_LOSS:
    case RYZ_Q_KL:
    case RYZ_Q_TOP1:
        return "accuracy was not measured against a base, or on one window only";
    case RYZ_Q_QUEUE:
    case RYZ_Q_PREFILL:
    case RYZ_Q_DECODE:
    case RYZ_Q_TRACE_COVERAGE:
        return "no spans were recorded (spans = off, or a foreign server)";
    case RYZ_Q_ITL:
    case RYZ_Q_ICL:
        return "no token times were recorded (tokens = off)";
    case RYZ_Q_RECOVER:
        return "the fault did not happen, or too little traffic came around it";
    case RYZ_Q_MODEL_SIZE:
    case RYZ_Q_MODEL_RATIO:
    case RYZ_Q_MODEL_PARAMS:
    case RYZ_Q_MEMORY_USED:
    case RYZ_Q_MEMORY_LIMIT:
    case RYZ_Q_MEMORY_SCRATCH:
    case RYZ_Q_MEMORY_KV:
        return "the model is not in this process";
    case RYZ_Q_COST_P50:
    case RYZ_Q_COST_P90:
    case RYZ_Q_COST_BIAS:
    case RYZ_Q_COST_SAMPLES:
        return "the run was not simulated";
    default:
        break;
    }
    if (quantity >= RYZ_Q_STEP && quantity <= RYZ_Q_FAILED_STEPS)
        return "the server's steps were not recorded (a foreign server)";
    if (quantity >= RYZ_Q_CPU_UTIL && quantity <= RYZ_Q_GPU_POWER)
        return "the machine was not watched in the measured window";
    return "no request of it was measured";
}

/* "n 512, 95 % between 1.2 s and 1.4 s, at engine.quant=q8_0" */
static void describe(const struct ryz_evaluator *evaluator, const struct ryz_estimate *e,
                     enum ryz_quantity_unit unit, const struct ryz_point *point,
                     struct finding *finding)
{
    char lo[32], hi[32];
    size_t used = (size_t)snprintf(finding->why, sizeof finding->why, "n %zu", e->n);
    if (!isnan(e->lo) && !isnan(e->hi)) {
        ryz_quantity_format(e->lo, ryz_quantity_unit_text(unit), lo, sizeof lo);
        ryz_quantity_format(e->hi, ryz_quantity_unit_text(unit), hi, sizeof hi);
        used += (size_t)snprintf(finding->why + used, sizeof finding->why - used,
                                 ", 95 %% between %s and %s", lo, hi);
    }
    if (evaluator->point_count > 1 && point->label[0] != '\0' && used < sizeof finding->why)
        snprintf(finding->why + used, sizeof finding->why - used, ", at %.100s", point->label);
}

static struct ryz_estimate estimate(const struct ryz_target_scope *scope,
                                    const struct ryz_pool *pool)
{
    if (ryz_quantity_spec(scope->name.quantity)->kind == RYZ_QUANTITY_NUMBER)
        return ryz_number_estimate(&pool->number);
    /* Sorting the pool in place changes no number it stands for. */
    struct ryz_samples samples = pool->samples;
    return ryz_samples_estimate(&samples, scope->name.statistic);
}

/* Makes the verdict INVALID where a number cannot carry one: a run of its point is invalid, or it
 * has too few samples. */
static void distrust(const struct ryz_target_scope *scope, const struct ryz_point *point,
                     const struct ryz_estimate *e, struct finding *f)
{
    size_t needed = ryz_samples_needed(scope->name.statistic);
    if (point->invalid_runs > 0) {
        f->verdict = RYZ_VERDICT_INVALID;
        snprintf(f->why, sizeof f->why, "%s", point->invalid_reason);
    } else if (is_user_felt(scope->name.quantity) && e->n < needed) {
        f->verdict = RYZ_VERDICT_INVALID;
        snprintf(f->why, sizeof f->why, "%zu samples; %s needs %zu", e->n,
                 ryz_statistic_name(scope->name.statistic), needed);
    }
}

static void decide(enum ryz_op op, struct finding *f)
{
    f->margin = margin_of(op, f->want, f->got);
    f->verdict = holds(op, f->margin) ? RYZ_VERDICT_MET : RYZ_VERDICT_MISSED;
}

/* A target with a quantity as its bound. */
static struct finding judge_at(const struct ryz_evaluator *evaluator, uint32_t i,
                               const struct ryz_point *point)
{
    const struct ryz_target_plan *target = &evaluator->plan->targets[i];
    const struct ryz_target_scope *scope = &evaluator->scopes[i][RYZ_TERM_METRIC];
    enum ryz_quantity quantity = scope->name.quantity;
    struct ryz_estimate e = estimate(scope, ryz_point_pool(point, i, RYZ_TERM_METRIC));
    struct finding f = {
        .verdict = RYZ_VERDICT_NOT_APPLICABLE, .want = target->value, .got = e.value};
    if (scope->of_tightest) f.want = ryz_lag_bound_ns(evaluator, target->value);
    if (isnan(e.value)) {
        f.margin = (double)NAN;
        snprintf(f.why, sizeof f.why, "%s", why_nothing(quantity));
        return f;
    }
    decide(target->op, &f);
    describe(evaluator, &e, ryz_quantity_spec(quantity)->unit, point, &f);
    if (quantity == RYZ_Q_LAG && f.verdict == RYZ_VERDICT_MISSED) {
        f.verdict = RYZ_VERDICT_INVALID;
        snprintf(f.why, sizeof f.why, "the generator sent late: it was measured, not the server");
    }
    distrust(scope, point, &e, &f);
    return f;
}

/* ---- bounds that are multiples of another metric ---- */

/* The point where a reference is looked up when `point` is judged; NULL: there was no such run. */
static const struct ryz_point *partner(const struct ryz_evaluator *evaluator,
                                       const struct ryz_target_scope *reference,
                                       const struct ryz_point *point)
{
    for (uint32_t p = 0; p < evaluator->point_count; p++)
        if (ryz_scope_pairs(evaluator->plan, reference, point->point, evaluator->points[p].point))
            return &evaluator->points[p];
    return NULL;
}

/* One number of such a target. */
struct operand {
    const struct ryz_target_scope *scope; /* metric NULL: the target has none, its value is 0 */
    const struct ryz_point *point;
    struct ryz_estimate e;
};

/* False, with the reason in f->why, where there is no such number. */
static bool look_up(uint32_t target, uint32_t term, const struct ryz_point *point,
                    struct operand *operand, struct finding *f)
{
    const struct ryz_target_scope *scope = operand->scope;
    if (scope->metric == NULL) return true;
    operand->point = point;
    if (point == NULL) {
        snprintf(f->why, sizeof f->why, "%s: no run at such a point", scope->metric);
        return false;
    }
    operand->e = estimate(scope, ryz_point_pool(point, target, term));
    if (isnan(operand->e.value))
        snprintf(f->why, sizeof f->why, "%s: %s", scope->metric, why_nothing(scope->name.quantity));
    return !isnan(operand->e.value);
}

/* "47.5 ms (n 512) against 39.8 ms (n 498) + 21.9 ms, at engine.scheduler=priority" */
static void describe_operands(const struct ryz_evaluator *evaluator, const struct operand *operands,
                              struct finding *f)
{
    static const char *const before[RYZ_TERM_COUNT] = {"", " against ", " + "};
    size_t used = 0;
    for (int t = 0; t < RYZ_TERM_COUNT; t++) {
        char number[32];
        if (operands[t].scope->metric == NULL || used >= sizeof f->why) continue;
        ryz_quantity_format(operands[t].e.value,
                            ryz_quantity_unit_text(ryz_scope_unit(operands[t].scope)), number,
                            sizeof number);
        used += (size_t)snprintf(f->why + used, sizeof f->why - used, "%s%s (n %zu)", before[t],
                                 number, operands[t].e.n);
    }
    const char *label = operands[RYZ_TERM_METRIC].point->label;
    if (evaluator->point_count > 1 && label[0] != '\0' && used < sizeof f->why)
        snprintf(f->why + used, sizeof f->why - used, ", at %.100s", label);
}

/* A target with a multiple of another metric as its bound: value OP factor * reference + addend,
 * shown with both sides divided by the reference. */
static struct finding judge_against(const struct ryz_evaluator *evaluator, uint32_t i,
                                    const struct ryz_point *point)
{
    const struct ryz_target_plan *target = &evaluator->plan->targets[i];
    struct finding f = {.verdict = RYZ_VERDICT_NOT_APPLICABLE,
                        .want = target->value,
                        .got = (double)NAN,
                        .margin = (double)NAN};
    struct operand operands[RYZ_TERM_COUNT] = {0};
    for (uint32_t t = 0; t < RYZ_TERM_COUNT; t++) {
        operands[t].scope = &evaluator->scopes[i][t];
        const struct ryz_point *at =
            t == RYZ_TERM_METRIC ? point : partner(evaluator, operands[t].scope, point);
        if (!look_up(i, t, at, &operands[t], &f)) return f;
    }
    double reference = operands[RYZ_TERM_OF].e.value, addend = operands[RYZ_TERM_PLUS].e.value;
    describe_operands(evaluator, operands, &f);
    if (reference > 0 && isfinite(reference) && isfinite(addend)) {
        f.want = target->value + addend / reference;
        f.got = operands[RYZ_TERM_METRIC].e.value / reference;
        decide(target->op, &f);
    } else {
        /* A failed reference would excuse everything, and nothing is a multiple of 0. */
        f.verdict = RYZ_VERDICT_INVALID;
    }
    for (int t = 0; t < RYZ_TERM_COUNT; t++)
        if (operands[t].scope->metric != NULL)
            distrust(operands[t].scope, operands[t].point, &operands[t].e, &f);
    return f;
}

/* Is a worse than b? */
static bool worse(const struct finding *a, const struct finding *b)
{
    static const int rank[] = {1, 3, 0, 2}; /* by verdict + 2: a miss is worst */
    int ra = rank[a->verdict + 2], rb = rank[b->verdict + 2];
    if (ra != rb) return ra < rb;
    return a->margin < b->margin;
}

static struct finding judge_target(const struct ryz_evaluator *evaluator, uint32_t i)
{
    struct finding worst = {.verdict = RYZ_VERDICT_NOT_APPLICABLE,
                            .want = evaluator->plan->targets[i].value,
                            .got = (double)NAN,
                            .margin = (double)NAN};
    const struct ryz_target_scope *scopes = evaluator->scopes[i];
    bool any = false;
    snprintf(worst.why, sizeof worst.why, "no run at such a point");
    for (uint32_t p = 0; p < evaluator->point_count; p++) {
        if (!ryz_scope_matches(&scopes[RYZ_TERM_METRIC], evaluator->points[p].label)) continue;
        struct finding f = scopes[RYZ_TERM_OF].metric != NULL
                               ? judge_against(evaluator, i, &evaluator->points[p])
                               : judge_at(evaluator, i, &evaluator->points[p]);
        if (!any || worse(&f, &worst)) worst = f;
        any = true;
    }
    return worst;
}

void ryz_evaluator_judge(const struct ryz_evaluator *evaluator, struct ryz_target_row *rows)
{
    for (uint32_t i = 0; i < evaluator->plan->target_count; i++) {
        const struct ryz_target_plan *target = &evaluator->plan->targets[i];
        const struct ryz_target_scope *scopes = evaluator->scopes[i];
        enum ryz_quantity_unit unit = scopes[RYZ_TERM_OF].metric != NULL
                                          ? RYZ_QUNIT_RATIO
                                          : ryz_scope_unit(&scopes[RYZ_TERM_METRIC]);
        struct finding f = judge_target(evaluator, i);
        struct ryz_target_row *row = &rows[i];
        *row = (struct ryz_target_row){
            .want = f.want, .got = f.got, .margin = f.margin, .verdict = (int8_t)f.verdict};
        snprintf(row->name, sizeof row->name, "%s", target->metric);
        snprintf(row->op, sizeof row->op, "%s", op_text(target->op));
        snprintf(row->unit, sizeof row->unit, "%s", ryz_quantity_unit_text(unit));
        snprintf(row->why, sizeof row->why, "%s", f.why);
    }
}

int ryz_evaluator_exit_code(const struct ryz_evaluator *evaluator,
                            const struct ryz_target_row *rows, size_t count)
{
    bool invalid = evaluator->invalid_reason[0] != '\0', missed = false;
    for (size_t i = 0; i < count; i++) {
        invalid |= rows[i].verdict == RYZ_VERDICT_INVALID;
        missed |= rows[i].verdict == RYZ_VERDICT_MISSED;
    }
    return invalid ? 3 : missed ? 1 : 0;
}
