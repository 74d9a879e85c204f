/*
 * cost_model.h - a step's duration as a linear function of its shape, fitted to recorded steps.
 *
 *   ns = c[0] + c[1] * prefill_tokens + c[2] * decode_requests + c[3] * context_tokens,  c >= 0
 *
 * Least squares on relative residuals (so that short steps count too), coefficients clipped at 0 by
 * active set; then one factor makes their sum over the fitted steps what was recorded. The error is
 * measured on held-out steps, never on those it was fitted to.
 */
#ifndef RYZ_SIMULATORS_COST_MODEL_H
#define RYZ_SIMULATORS_COST_MODEL_H

#include "engine/base/status.h"
#include "engine/sched/sched.h"

#include <stddef.h>

#define RYZ_COST_TERMS 5

struct ryz_cost_sample {
    struct ryz_batch_shape shape;
    int64_t duration_ns;
};

struct ryz_cost_model {
    double c[RYZ_COST_TERMS];    /* of the terms of engine/sched/step_cost.h: ns, then ns of each */
    size_t fitted, held_out;     /* samples on each side */
    double error_p50, error_p90; /* |predicted - real| / real on the held-out steps */
    double bias;                 /* sum of predicted / sum of real - 1, held out */
    double noise_cv;             /* spread of real / predicted, held out */
};

/* Fits on a seeded random 4/5 of the samples and tests on the rest. RYZ_INVALID with fewer than 50
 * samples or when all have one shape. */
RYZ_MUST_USE enum ryz_status ryz_cost_model_fit(const struct ryz_cost_sample *samples, size_t count,
                                                uint64_t seed, struct ryz_cost_model *model,
                                                struct ryz_error *error);
/* A cost source over the model (borrowed). */
struct ryz_cost_source ryz_cost_model_source(const struct ryz_cost_model *model);

#endif
