/*
 * step_cost.c - the online fit of the step's duration, and the small solver it shares.
 *
 * Leaves to others: measuring steps and deciding with the result. The idea: each sample adds the
 * outer product of its terms, divided by its duration, to the normal equations; the solution is
 * pulled with a small weight towards the one before, so that what the recent steps do not
 * determine stays as it was.
 */
#include "engine/sched/step_cost.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#define TERMS RYZ_STEP_COST_TERMS

/* A sample's weight halves after about 350 later ones: tens of seconds of serving. */
static const double keep = 0.998;
/* Weight of "as before", against samples of weight about 1. */
static const double inertia = 1e-3;
/* A surprise counts as at most these factors: one stolen time slice must not teach that every step
 * is slow, nor one clock that jumps that every step is short. Short ones are cut harder, for
 * relative residuals weigh them more. */
static const double longer_max = 8.0;
static const double shorter_max = 2.0;
/* So many surprises in a row are no accident: the engine has changed, the sums are void. */
static const uint32_t surprises_max = 16;
/* Durations beyond this factor of the first are cut, so that no input can overflow the sums. */
static const double range_max = 1e6;
/* Typical sizes of the terms, to make the matrix entries comparable. */
static const double scale[TERMS] = {1.0, 64.0, 8.0, 4096.0, 8.0};

void ryz_step_cost_terms(const struct ryz_batch_shape *shape, double x[TERMS])
{
    x[0] = 1.0;
    x[1] = (double)shape->prefill_tokens;
    x[2] = (double)shape->decode_requests;
    x[3] = (double)shape->context_tokens;
    x[4] = (double)shape->draft_tokens;
}

int64_t ryz_step_cost_round(double ns)
{
    if (!(ns > 0.0)) return 0;
    return ns < 0x1.0p62 ? (int64_t)(ns + 0.5) : INT64_C(1) << 62;
}

void ryz_normal_equations_add(struct ryz_normal_equations *equations, const double x[TERMS],
                              double y)
{
    for (int i = 0; i < TERMS; i++) {
        for (int j = 0; j < TERMS; j++) equations->a[i][j] += x[i] * x[j];
        equations->b[i] += x[i] * y;
    }
}

/* Factors the equations of the `count` chosen terms as l l' (Cholesky); false when they are
 * (nearly) dependent. */
static bool factor(const struct ryz_normal_equations *equations, const int chosen[], int count,
                   double l[TERMS][TERMS])
{
    for (int i = 0; i < count; i++) {
        double diagonal = equations->a[chosen[i]][chosen[i]];
        for (int j = 0; j <= i; j++) {
            double sum = equations->a[chosen[i]][chosen[j]];
            for (int k = 0; k < j; k++) sum -= l[i][k] * l[j][k];
            if (i > j) {
                l[i][j] = sum / l[j][j];
                continue;
            }
            /* What is left of the diagonal is the part that the terms before do not explain. */
            if (!(sum > 1e-11 * diagonal)) return false;
            l[i][i] = sqrt(sum);
        }
    }
    return true;
}

/* Solves for the chosen terms, the others zero; false as in factor(). */
static bool solve_chosen(const struct ryz_normal_equations *equations, const int chosen[],
                         int count, double c[TERMS])
{
    double l[TERMS][TERMS] = {{0.0}}, y[TERMS] = {0.0}, z[TERMS] = {0.0};
    if (!factor(equations, chosen, count, l)) return false;
    for (int i = 0; i < count; i++) {
        y[i] = equations->b[chosen[i]];
        for (int k = 0; k < i; k++) y[i] -= l[i][k] * y[k];
        y[i] /= l[i][i];
    }
    for (int i = count - 1; i >= 0; i--) {
        z[i] = y[i];
        for (int k = i + 1; k < count; k++) z[i] -= l[k][i] * z[k];
        z[i] /= l[i][i];
    }
    memset(c, 0, TERMS * sizeof c[0]);
    for (int i = 0; i < count; i++) c[chosen[i]] = z[i];
    return true;
}

void ryz_normal_equations_solve(const struct ryz_normal_equations *equations, double c[TERMS])
{
    double best = 0.0;  /* of b'c, which is minus the minimum of the chosen terms; none chosen: 0 */
    unsigned known = 0; /* terms that some sample had */
    memset(c, 0, TERMS * sizeof c[0]);
    for (int i = 0; i < TERMS; i++) known |= (equations->a[i][i] > 0.0 ? 1u : 0u) << i;
    /* All terms first: it is the best whenever it is allowed, which is nearly always. */
    for (unsigned mask = known; mask > 0; mask = (mask - 1) & known) {
        int chosen[TERMS], count = 0;
        double candidate[TERMS], value = 0.0;
        bool allowed = true;
        for (int i = 0; i < TERMS; i++) {
            if (mask >> i & 1) chosen[count++] = i;
        }
        if (!solve_chosen(equations, chosen, count, candidate)) continue;
        for (int i = 0; i < TERMS; i++) {
            allowed = allowed && candidate[i] >= 0.0 && isfinite(candidate[i]);
            value += equations->b[i] * candidate[i];
        }
        if (!allowed || !(value > best)) continue;
        best = value;
        memcpy(c, candidate, sizeof candidate);
        if (mask == known) return;
    }
}

void ryz_step_cost_init(struct ryz_step_cost *cost)
{
    memset(cost, 0, sizeof *cost);
}

/* The believed duration in units of reference_ns, whatever the number of samples. */
static double believe(const struct ryz_step_cost *cost, const double x[TERMS])
{
    double sum = 0.0;
    for (int i = 0; i < TERMS; i++) sum += cost->c[i] * (x[i] / scale[i]);
    return sum;
}

/* The duration y, cut to what can be believed of one sample. */
static double cut_surprise(struct ryz_step_cost *cost, const double x[TERMS], double y)
{
    double believed = believe(cost, x);
    if (cost->samples < RYZ_STEP_COST_SAMPLES_MIN || !(believed > 0.0)) return y;
    double cut = fmin(fmax(y, believed / shorter_max), believed * longer_max);
    cost->surprises = cut == y ? 0 : cost->surprises + 1;
    if (cost->surprises < surprises_max) return cut;
    /* The coefficients stay as the belief to start from; with empty sums each sample moves it. */
    memset(&cost->sums, 0, sizeof cost->sums);
    cost->surprises = 0;
    return cut;
}

void ryz_step_cost_learn(struct ryz_step_cost *cost, const struct ryz_batch_shape *shape,
                         int64_t duration_ns)
{
    if (duration_ns <= 0) return;
    if (cost->samples == 0) cost->reference_ns = (double)duration_ns;
    double x[TERMS];
    ryz_step_cost_terms(shape, x);
    double y = fmin(fmax((double)duration_ns / cost->reference_ns, 1.0 / range_max), range_max);
    y = cut_surprise(cost, x, y);
    struct ryz_normal_equations *sums = &cost->sums;
    for (int i = 0; i < TERMS; i++) {
        x[i] = x[i] / scale[i] / y;
        sums->b[i] *= keep;
        for (int j = 0; j < TERMS; j++) sums->a[i][j] *= keep;
    }
    ryz_normal_equations_add(sums, x, 1.0);
    struct ryz_normal_equations anchored = *sums;
    for (int i = 0; i < TERMS; i++) {
        anchored.a[i][i] += inertia;
        anchored.b[i] += inertia * cost->c[i];
    }
    ryz_normal_equations_solve(&anchored, cost->c);
    cost->samples++;
}

int64_t ryz_step_cost_predict(const struct ryz_step_cost *cost, const struct ryz_batch_shape *shape)
{
    if (cost->samples < RYZ_STEP_COST_SAMPLES_MIN) return 0;
    double x[TERMS];
    ryz_step_cost_terms(shape, x);
    return ryz_step_cost_round(believe(cost, x) * cost->reference_ns);
}

static int64_t predict_from(const void *context, const struct ryz_batch_shape *shape)
{
    return ryz_step_cost_predict(context, shape);
}

struct ryz_cost_source ryz_step_cost_source(const struct ryz_step_cost *cost)
{
    return (struct ryz_cost_source){.step_ns = predict_from, .context = cost};
}
