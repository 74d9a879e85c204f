/*
 * cost_model.c - fits the cost of a step to recorded steps and says how wrong the fit is.
 *
 * Leaves to others: recording steps, and the solver (engine/sched/step_cost.h). The idea: dividing
 * each row by its duration makes the squared residuals relative ones; a fifth of the samples, drawn
 * by seed, is kept from the fit and only used to measure it.
 */
#include "simulators/cost_model.h"

#include "engine/base/rng.h"
#include "engine/base/size.h"
#include "engine/sched/step_cost.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#define SAMPLES_MIN  50u
#define SPLIT_STREAM UINT64_C(0x73706c)
#define TERMS        RYZ_COST_TERMS

_Static_assert(RYZ_COST_TERMS == RYZ_STEP_COST_TERMS, "one shape, one solver");

static enum ryz_status check(const struct ryz_cost_sample *samples, size_t count,
                             struct ryz_error *error)
{
    if (count < SAMPLES_MIN)
        return ryz_fail(error, RYZ_INVALID, "%zu recorded steps; a cost model needs %u", count,
                        SAMPLES_MIN);
    bool differ = false;
    for (size_t i = 0; i < count; i++) {
        const struct ryz_batch_shape *a = &samples[0].shape, *b = &samples[i].shape;
        if (samples[i].duration_ns <= 0)
            return ryz_fail(error, RYZ_INVALID, "recorded step %zu lasts %lld ns", i,
                            (long long)samples[i].duration_ns);
        differ = differ || a->prefill_tokens != b->prefill_tokens ||
                 a->decode_requests != b->decode_requests || a->draft_tokens != b->draft_tokens ||
                 a->context_tokens != b->context_tokens;
    }
    if (!differ)
        return ryz_fail(error, RYZ_INVALID,
                        "all %zu recorded steps have one shape; a cost model needs several", count);
    return RYZ_OK;
}

static double predict(const double c[TERMS], const struct ryz_batch_shape *shape)
{
    double x[TERMS], sum = 0.0;
    ryz_step_cost_terms(shape, x);
    for (int i = 0; i < TERMS; i++) sum += c[i] * x[i];
    return sum;
}

/* Relative residuals favour the typical step; a machine that is now and then interrupted spends
 * more time than that. One factor makes the fitted steps last as long in sum as the recorded. */
static void conserve_time(const struct ryz_cost_sample *samples, const size_t *order, size_t count,
                          double c[TERMS])
{
    double predicted = 0.0, real = 0.0;
    for (size_t i = 0; i < count; i++) {
        predicted += predict(c, &samples[order[i]].shape);
        real += (double)samples[order[i]].duration_ns;
    }
    for (int k = 0; predicted > 0.0 && k < TERMS; k++) c[k] *= real / predicted;
}

/* Least squares of relative residuals over samples[order[0 .. count)]. */
static void fit(const struct ryz_cost_sample *samples, const size_t *order, size_t count,
                double c[TERMS])
{
    struct ryz_normal_equations equations = {0};
    double scale[TERMS] = {0};
    /* Columns of one size keep the four-by-four system well conditioned. */
    for (size_t i = 0; i < count; i++) {
        double x[TERMS], y = (double)samples[order[i]].duration_ns;
        ryz_step_cost_terms(&samples[order[i]].shape, x);
        for (int k = 0; k < TERMS; k++) scale[k] = fmax(scale[k], x[k] / y);
    }
    for (size_t i = 0; i < count; i++) {
        double x[TERMS], y = (double)samples[order[i]].duration_ns;
        ryz_step_cost_terms(&samples[order[i]].shape, x);
        for (int k = 0; k < TERMS; k++) x[k] = scale[k] > 0.0 ? x[k] / y / scale[k] : 0.0;
        ryz_normal_equations_add(&equations, x, 1.0);
    }
    ryz_normal_equations_solve(&equations, c);
    for (int k = 0; k < TERMS; k++) c[k] = scale[k] > 0.0 ? c[k] / scale[k] : 0.0;
    conserve_time(samples, order, count, c);
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Fills the error numbers from the held-out samples; `errors` has room for all of them. */
static void judge(const struct ryz_cost_sample *samples, const size_t *order, size_t count,
                  double *errors, struct ryz_cost_model *model)
{
    double predicted_sum = 0.0, real_sum = 0.0, ratio_sum = 0.0, ratio_squares = 0.0;
    size_t ratios = 0;
    for (size_t i = 0; i < count; i++) {
        double predicted = predict(model->c, &samples[order[i]].shape);
        double real = (double)samples[order[i]].duration_ns;
        errors[i] = fabs(predicted - real) / real;
        predicted_sum += predicted;
        real_sum += real;
        if (predicted <= 0.0) continue;
        ratio_sum += real / predicted;
        ratio_squares += real / predicted * (real / predicted);
        ratios++;
    }
    qsort(errors, count, sizeof errors[0], compare_doubles);
    model->error_p50 = errors[(count - 1) / 2];
    model->error_p90 = errors[(size_t)ceil(0.9 * (double)count) - 1];
    model->bias = predicted_sum / real_sum - 1.0;
    if (ratios < 2) return;
    double n = (double)ratios, mean = ratio_sum / n;
    double variance = (ratio_squares - n * mean * mean) / (n - 1.0);
    model->noise_cv = variance > 0.0 ? sqrt(variance) / mean : 0.0;
}

enum ryz_status ryz_cost_model_fit(const struct ryz_cost_sample *samples, size_t count,
                                   uint64_t seed, struct ryz_cost_model *model,
                                   struct ryz_error *error)
{
    *model = (struct ryz_cost_model){0};
    enum ryz_status status = check(samples, count, error);
    if (status != RYZ_OK) return status;
    size_t *order = calloc(count, sizeof *order);
    double *errors = calloc(count, sizeof *errors);
    if (order == NULL || errors == NULL) {
        free(errors);
        free(order);
        return ryz_fail(error, RYZ_NO_MEMORY, "no memory to fit %zu steps", count);
    }
    struct ryz_rng rng;
    ryz_rng_init(&rng, seed, SPLIT_STREAM);
    for (size_t i = 0; i < count; i++) {
        size_t j = (size_t)ryz_rng_below(&rng, i + 1);
        order[i] = order[j];
        order[j] = i;
    }
    model->held_out = count / 5;
    model->fitted = count - model->held_out;
    fit(samples, order, model->fitted, model->c);
    judge(samples, order + model->fitted, model->held_out, errors, model);
    free(errors);
    free(order);
    return RYZ_OK;
}

static int64_t step_ns(const void *context, const struct ryz_batch_shape *shape)
{
    const struct ryz_cost_model *model = context;
    return ryz_step_cost_round(predict(model->c, shape));
}

struct ryz_cost_source ryz_cost_model_source(const struct ryz_cost_model *model)
{
    return (struct ryz_cost_source){.step_ns = step_ns, .context = model};
}
