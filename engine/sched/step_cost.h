/*
 * step_cost.h - what the scheduler believes a step costs, learnt from the steps it saw.
 *
 *   ns = c[0] + c[1] * prefill_tokens + c[2] * decode_requests + c[3] * context_tokens
 *             + c[4] * draft_tokens,  c >= 0
 *
 * The recursive least squares of relative residuals with exponential forgetting, kept as the normal
 * equations (a 5 x 5 matrix and a vector) instead of a covariance: they cannot wind up when one
 * kind of step stops coming, and terms that are no longer seen keep their last value. A function of
 * the samples in their order, in doubles without contraction, so a replay believes the same.
 */
#ifndef RYZ_SCHED_STEP_COST_H
#define RYZ_SCHED_STEP_COST_H

#include "engine/sched/sched.h"

#define RYZ_STEP_COST_TERMS 5

/* Before so many samples the fit predicts 0, "no opinion". */
#define RYZ_STEP_COST_SAMPLES_MIN 16u

/* Of a least-squares problem with rows x and targets y: a = sum of x x', b = sum of x y. */
struct ryz_normal_equations {
    double a[RYZ_STEP_COST_TERMS][RYZ_STEP_COST_TERMS];
    double b[RYZ_STEP_COST_TERMS];
};

/* Treat the fields as private. */
struct ryz_step_cost {
    struct ryz_normal_equations sums; /* of all samples, the older the lighter */
    double c[RYZ_STEP_COST_TERMS];    /* per scaled term, in units of reference_ns */
    double reference_ns;              /* the first duration: makes the numbers of order 1 */
    uint64_t samples;
    uint32_t surprises; /* samples in a row that were cut, see step_cost.c */
};

void ryz_step_cost_init(struct ryz_step_cost *cost);
/* Learns from one executed step; a duration <= 0 says nothing and is ignored. */
void ryz_step_cost_learn(struct ryz_step_cost *cost, const struct ryz_batch_shape *shape,
                         int64_t duration_ns);
/* The believed duration; 0 while there are too few samples. Grows with each number of the shape. */
int64_t ryz_step_cost_predict(const struct ryz_step_cost *cost,
                              const struct ryz_batch_shape *shape);
/* The fit as a cost source (borrowed). */
struct ryz_cost_source ryz_step_cost_source(const struct ryz_step_cost *cost);

/* Adds the row x with target y to the equations. */
void ryz_normal_equations_add(struct ryz_normal_equations *equations,
                              const double x[RYZ_STEP_COST_TERMS], double y);
/* Minimises c' a c - 2 b' c over c >= 0 exactly: of the 32 choices of terms held at zero, the
 * best whose solution is not negative. Terms that the matrix cannot tell apart or does not know are
 * zero. Shared with simulators/cost_model. */
void ryz_normal_equations_solve(const struct ryz_normal_equations *equations,
                                double c[RYZ_STEP_COST_TERMS]);
/* {1, prefill_tokens, decode_requests, context_tokens, draft_tokens} as doubles. */
void ryz_step_cost_terms(const struct ryz_batch_shape *shape, double x[RYZ_STEP_COST_TERMS]);
/* The nearest whole nanosecond of ns, within 0 .. 2^62. */
int64_t ryz_step_cost_round(double ns);

#endif
