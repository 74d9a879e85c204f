/*
 * test_step_cost.c - goal: the online fit learns what steps cost, follows changes, keeps what it
 * knew of terms that are no longer seen, and never explodes. Method: synthetic steps from known
 * coefficients.
 */
#include "engine/base/rng.h"
#include "engine/sched/step_cost.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static const double truth[RYZ_STEP_COST_TERMS] = {400e3, 9e3, 60e3,
                                                  12.0}; /* ns: a small model on two cores */

static struct ryz_batch_shape random_shape(struct ryz_rng *rng)
{
    struct ryz_batch_shape shape = {.decode_requests = (uint32_t)ryz_rng_below(rng, 33)};
    if (ryz_rng_below(rng, 3) == 0) shape.prefill_tokens = 2 + (uint32_t)ryz_rng_below(rng, 255);
    if (shape.prefill_tokens + shape.decode_requests == 0) shape.decode_requests = 1;
    if (ryz_rng_below(rng, 2) == 0) shape.draft_tokens = (uint32_t)ryz_rng_below(rng, 33);
    shape.context_tokens =
        ryz_rng_below(rng, 1 + 1024 * (uint64_t)(shape.prefill_tokens + shape.decode_requests));
    return shape;
}

static double cost_of(const double c[RYZ_STEP_COST_TERMS], const struct ryz_batch_shape *shape)
{
    double x[RYZ_STEP_COST_TERMS], sum = 0.0;
    ryz_step_cost_terms(shape, x);
    for (int i = 0; i < RYZ_STEP_COST_TERMS; i++) sum += c[i] * x[i];
    return sum;
}

/* Uniform noise of +- width. */
static void learn(struct ryz_step_cost *cost, struct ryz_rng *rng,
                  const double c[RYZ_STEP_COST_TERMS], int steps, double width)
{
    for (int i = 0; i < steps; i++) {
        struct ryz_batch_shape shape = random_shape(rng);
        double noise = 1.0 + width * (2.0 * ryz_rng_unit(rng) - 1.0);
        ryz_step_cost_learn(cost, &shape, (int64_t)(cost_of(c, &shape) * noise));
    }
}

/* Mean relative error over fresh shapes. */
static double error_of(const struct ryz_step_cost *cost, struct ryz_rng *rng,
                       const double c[RYZ_STEP_COST_TERMS])
{
    double sum = 0.0;
    for (int i = 0; i < 500; i++) {
        struct ryz_batch_shape shape = random_shape(rng);
        double real = cost_of(c, &shape);
        sum += fabs((double)ryz_step_cost_predict(cost, &shape) - real) / real;
    }
    return sum / 500.0;
}

Test(step_cost, has_no_opinion_before_it_has_seen_enough)
{
    struct ryz_step_cost cost;
    struct ryz_batch_shape shape = {.decode_requests = 4, .context_tokens = 400};
    ryz_step_cost_init(&cost);
    for (uint32_t i = 0; i < RYZ_STEP_COST_SAMPLES_MIN; i++) {
        cr_assert_eq(ryz_step_cost_predict(&cost, &shape), 0);
        ryz_step_cost_learn(&cost, &shape, 1000000);
    }
    cr_assert_gt(ryz_step_cost_predict(&cost, &shape), 990000);
    cr_assert_lt(ryz_step_cost_predict(&cost, &shape), 1010000);
}

Test(step_cost, learns_known_coefficients_from_noisy_steps)
{
    struct ryz_step_cost cost;
    struct ryz_rng rng;
    ryz_rng_init(&rng, 7, 0);
    ryz_step_cost_init(&cost);
    learn(&cost, &rng, truth, 1000, 0.1);
    cr_assert_lt(error_of(&cost, &rng, truth), 0.02);
}

Test(step_cost, follows_an_engine_that_becomes_slower)
{
    struct ryz_step_cost cost;
    struct ryz_rng rng;
    double slower[RYZ_STEP_COST_TERMS];
    for (int i = 0; i < RYZ_STEP_COST_TERMS; i++) slower[i] = 2.0 * truth[i];
    ryz_rng_init(&rng, 8, 0);
    ryz_step_cost_init(&cost);
    learn(&cost, &rng, truth, 1000, 0.05);
    cr_assert_gt(error_of(&cost, &rng, slower), 0.4);
    learn(&cost, &rng, slower, 3000, 0.05);
    cr_assert_lt(error_of(&cost, &rng, slower), 0.03);
}

Test(step_cost, follows_an_engine_that_becomes_ten_times_faster)
{
    struct ryz_step_cost cost;
    struct ryz_rng rng;
    double faster[RYZ_STEP_COST_TERMS];
    for (int i = 0; i < RYZ_STEP_COST_TERMS; i++) faster[i] = 0.1 * truth[i];
    ryz_rng_init(&rng, 15, 0);
    ryz_step_cost_init(&cost);
    learn(&cost, &rng, truth, 1000, 0.05);
    learn(&cost, &rng, faster, 200, 0.05);
    double error = error_of(&cost, &rng, faster);
    cr_assert_lt(error, 0.15, "error %g", error);
}

Test(step_cost, keeps_what_it_knew_of_prefill_while_only_decodes_come)
{
    struct ryz_step_cost cost;
    struct ryz_rng rng;
    struct ryz_batch_shape prefill = {.prefill_tokens = 256, .context_tokens = 32896};
    ryz_rng_init(&rng, 9, 0);
    ryz_step_cost_init(&cost);
    learn(&cost, &rng, truth, 500, 0.05);
    for (int i = 0; i < 20000; i++) {
        struct ryz_batch_shape decode = {.decode_requests = 1 + (uint32_t)ryz_rng_below(&rng, 8)};
        decode.context_tokens = decode.decode_requests * (100 + ryz_rng_below(&rng, 100));
        ryz_step_cost_learn(&cost, &decode, (int64_t)cost_of(truth, &decode));
    }
    double believed = (double)ryz_step_cost_predict(&cost, &prefill);
    cr_assert_gt(believed, 0.7 * cost_of(truth, &prefill), "believed %g", believed);
    cr_assert_lt(believed, 1.4 * cost_of(truth, &prefill), "believed %g", believed);
}

Test(step_cost, survives_stolen_time_slices)
{
    struct ryz_step_cost cost;
    struct ryz_rng rng;
    ryz_rng_init(&rng, 10, 0);
    ryz_step_cost_init(&cost);
    for (int i = 0; i < 1000; i++) {
        learn(&cost, &rng, truth, 1, 0.05);
        if (i % 50 != 0) continue;
        struct ryz_batch_shape shape = random_shape(&rng);
        double factor = i % 100 == 0 ? 1000.0 : 0.001; /* and clocks that jump */
        ryz_step_cost_learn(&cost, &shape, (int64_t)(factor * cost_of(truth, &shape)));
    }
    double error = error_of(&cost, &rng, truth);
    cr_assert_lt(error, 0.1, "error %g", error);
}

Test(step_cost, predictions_never_fall_when_the_shape_grows)
{
    struct ryz_step_cost cost;
    struct ryz_rng rng;
    ryz_rng_init(&rng, 11, 0);
    ryz_step_cost_init(&cost);
    /* Durations that have nothing to do with the shapes tempt a fit into negative terms. */
    for (int i = 0; i < 2000; i++) {
        struct ryz_batch_shape shape = random_shape(&rng), more = shape;
        ryz_step_cost_learn(&cost, &shape, 1 + (int64_t)ryz_rng_below(&rng, 1000000));
        more.prefill_tokens += 64;
        more.context_tokens += 4096;
        more.decode_requests += 1;
        cr_assert_geq(ryz_step_cost_predict(&cost, &more), ryz_step_cost_predict(&cost, &shape));
    }
}

Test(step_cost, the_wildest_samples_leave_it_finite)
{
    struct ryz_step_cost cost;
    struct ryz_rng rng;
    static const int64_t wild[] = {INT64_MIN, -1, 0, 1, INT64_MAX, 1000, INT64_C(1) << 62};
    ryz_rng_init(&rng, 12, 0);
    ryz_step_cost_init(&cost);
    for (int i = 0; i < 5000; i++) {
        struct ryz_batch_shape shape = {.prefill_tokens = (uint32_t)ryz_rng_u64(&rng),
                                        .decode_requests = (uint32_t)ryz_rng_u64(&rng),
                                        .context_tokens = ryz_rng_u64(&rng)};
        ryz_step_cost_learn(&cost, &shape, wild[ryz_rng_below(&rng, 7)]);
        for (int k = 0; k < RYZ_STEP_COST_TERMS; k++)
            cr_assert(isfinite(cost.c[k]) && cost.c[k] >= 0.0);
        cr_assert_geq(ryz_step_cost_predict(&cost, &shape), 0);
    }
}

Test(step_cost, the_same_samples_give_the_same_bits)
{
    struct ryz_step_cost a, b;
    struct ryz_rng rng_a, rng_b;
    ryz_rng_init(&rng_a, 13, 0);
    ryz_rng_init(&rng_b, 13, 0);
    ryz_step_cost_init(&a);
    ryz_step_cost_init(&b);
    learn(&a, &rng_a, truth, 300, 0.2);
    learn(&b, &rng_b, truth, 300, 0.2);
    cr_assert_eq(memcmp(&a, &b, sizeof a), 0);
}

/* The objective c'ac - 2b'c. */
static double objective(const struct ryz_normal_equations *e, const double c[RYZ_STEP_COST_TERMS])
{
    double sum = 0.0;
    for (int i = 0; i < RYZ_STEP_COST_TERMS; i++) {
        for (int j = 0; j < RYZ_STEP_COST_TERMS; j++) sum += c[i] * e->a[i][j] * c[j];
        sum -= 2.0 * e->b[i] * c[i];
    }
    return sum;
}

Test(normal_equations, no_allowed_neighbour_is_better_than_the_solution)
{
    struct ryz_rng rng;
    int clipped = 0;
    ryz_rng_init(&rng, 14, 0);
    for (int round = 0; round < 500; round++) {
        struct ryz_normal_equations e = {0};
        double c[RYZ_STEP_COST_TERMS];
        for (int i = 0; i < 12; i++) {
            double x[RYZ_STEP_COST_TERMS];
            for (int k = 0; k < RYZ_STEP_COST_TERMS; k++) x[k] = ryz_rng_unit(&rng);
            ryz_normal_equations_add(&e, x, 4.0 * ryz_rng_unit(&rng) - 1.0);
        }
        ryz_normal_equations_solve(&e, c);
        double best = objective(&e, c);
        for (int k = 0; k < RYZ_STEP_COST_TERMS; k++) {
            cr_assert_geq(c[k], 0.0);
            clipped += c[k] == 0.0;
            for (int sign = -1; sign <= 1; sign += 2) {
                double near[RYZ_STEP_COST_TERMS];
                memcpy(near, c, sizeof near);
                near[k] = fmax(0.0, near[k] + sign * 1e-3);
                cr_assert_geq(objective(&e, near), best - 1e-9, "round %d", round);
            }
        }
    }
    cr_assert_gt(clipped, 100, "the bound at zero must have mattered");
}

Test(normal_equations, terms_that_cannot_be_told_apart_share_one_value)
{
    struct ryz_normal_equations e = {0};
    double c[RYZ_STEP_COST_TERMS];
    for (int i = 1; i <= 20; i++) {
        double x[RYZ_STEP_COST_TERMS] = {1.0, (double)i, 2.0 * i, 0.0, 0.0};
        ryz_normal_equations_add(&e, x, 5.0 + 3.0 * i);
    }
    ryz_normal_equations_solve(&e, c);
    cr_assert_float_eq(c[0], 5.0, 1e-6);
    cr_assert_float_eq(c[1] + 2.0 * c[2], 3.0, 1e-6);
    cr_assert_eq(c[3], 0.0);
}
