/*
 * test_batch_control.c - goal: the controller keeps its target with as many requests as it can,
 * follows a world that changes, and does not swing. Method: a world whose steps have a known cost,
 * with noise, and a queue that is never empty unless a test says so; what the policy believes is
 * the truth, a wrong number, or the fit that learns from these very steps.
 */
#include "engine/sched/batch_control.h"

#include "engine/base/clock.h"
#include "engine/base/rng.h"
#include "engine/sched/step_cost.h"

#include <criterion/criterion.h>

#define US RYZ_NS_PER_US

/* A step of b streams costs 1000 + 100 * b us, and 10 us a prompt token: with a block of 16 beside
 * them 18 of them keep 3 ms. */
static int64_t truth(const void *context, const struct ryz_batch_shape *shape)
{
    (void)context;
    return 1000 * US + 100 * US * shape->decode_requests + 10 * US * shape->prefill_tokens;
}

static int64_t four_times_the_truth(const void *context, const struct ryz_batch_shape *shape)
{
    return 4 * truth(context, shape);
}

static int64_t no_opinion(const void *context, const struct ryz_batch_shape *shape)
{
    (void)context, (void)shape;
    return 0;
}

static const struct ryz_cost_source true_cost = {.step_ns = truth};
static const struct ryz_sched_limits limits = {.batch_requests_max = 64,
                                               .kv_block_tokens = 16,
                                               .itl_target_ns = 3000 * US,
                                               .step_ns_max = RYZ_TIME_NEVER};

static struct ryz_batch_control control;

static uint32_t limit(void)
{
    return ryz_batch_control_limits(&control, &limits).batch_requests_max;
}

/* One decode step of `running` streams that took `factor` times the true time. */
static void learn(uint32_t running, uint32_t waiting, double factor,
                  const struct ryz_cost_source *cost)
{
    struct ryz_batch_shape shape = {.decode_requests = running};
    struct ryz_batch_step step = {.duration_ns = (int64_t)(factor * (double)truth(NULL, &shape)),
                                  .shape = &shape,
                                  .running = running,
                                  .waiting = waiting};
    ryz_batch_control_learn(&control, &limits, cost, &step);
}

static void init(void)
{
    ryz_batch_control_init(&control);
}

TestSuite(batch_control, .init = init);

Test(batch_control, rises_one_by_one_to_the_largest_batch_that_keeps_the_target)
{
    cr_assert_eq(limit(), 1);
    for (uint32_t i = 1; i < 18; i++) {
        learn(limit(), 9, 1.0, &true_cost);
        cr_assert_eq(limit(), i + 1);
    }
    for (int i = 0; i < 1000; i++) learn(limit(), 9, 1.0, &true_cost);
    cr_assert_eq(limit(), 18, "it stays: nothing is tried out");
    cr_assert_eq(ryz_batch_control_limits(&control, &limits).step_ns_max, limits.itl_target_ns);
}

Test(batch_control, rises_only_for_requests_that_wait_for_it)
{
    for (int i = 0; i < 10; i++) learn(1, 0, 1.0, &true_cost);
    cr_assert_eq(limit(), 1);
    learn(1, 1, 1.0, &true_cost);
    cr_assert_eq(limit(), 2);
    for (int i = 0; i < 10; i++) learn(1, 5, 1.0, &true_cost);
    cr_assert_eq(limit(), 2, "what they wait for is something else");
    cr_assert_eq(ryz_batch_control_outlook(&control, &limits).batch_requests_max, 18);
}

Test(batch_control, falls_at_once_and_does_not_blame_the_limit_for_the_past)
{
    for (int i = 0; i < 30; i++) learn(limit(), 9, 1.0, &true_cost);
    /* The machine is half as fast, and nobody has told the fit. */
    int steps = 0;
    while (limit() > 8 && steps < 100) {
        learn(limit(), 9, 2.0, &true_cost);
        steps++;
    }
    cr_assert_leq(steps, 12, "%d", steps);
    double factor = control.factor;
    for (int i = 0; i < 50; i++) learn(18, 9, 2.0, &true_cost);
    cr_assert_eq(control.factor, factor, "18 still run, but 8 are what the limit is good for");
}

Test(batch_control, a_target_out_of_reach_serves_one_by_one_and_is_kept_when_it_can_be)
{
    const struct ryz_cost_source slow = {.step_ns = four_times_the_truth};
    for (int i = 0; i < 500; i++) learn(limit(), 9, 4.0, &slow);
    cr_assert_eq(limit(), 1);
    int steps = 0;
    while (limit() < 18 && steps++ < 100) learn(limit(), 9, 1.0, &true_cost);
    cr_assert_lt(steps, 30, "%d: misses that no limit helps against teach nothing", steps);
}

Test(batch_control, what_is_no_fault_of_the_batch_costs_half_of_the_target_at_most)
{
    for (int i = 0; i < 30; i++) learn(limit(), 9, 1.0, &true_cost);
    for (int i = 0; i < 1000; i++) learn(limit(), 9, 8.0, &true_cost);
    cr_assert_eq(limit(), 3, "believed at 1.46 ms");
    int steps = 0;
    while (limit() < 18 && steps++ < 2000) learn(limit(), 9, 1.0, &true_cost);
    cr_assert_lt(steps, 300, "%d", steps);
}

Test(batch_control, without_an_opinion_misses_halve)
{
    const struct ryz_cost_source nothing = {.step_ns = no_opinion};
    for (int i = 0; i < 15; i++) learn(limit(), 9, 1.0, &nothing);
    cr_assert_eq(limit(), 16);
    learn(16, 9, 2.0, &nothing);
    cr_assert_eq(limit(), 8);
    for (int i = 0; i < 10; i++) learn(limit(), 9, 9.0, &nothing);
    cr_assert_eq(limit(), 1);
}

Test(batch_control, off_it_changes_nothing)
{
    struct ryz_sched_limits off = limits;
    off.itl_target_ns = 0;
    off.step_ns_max = 77;
    struct ryz_sched_limits now = ryz_batch_control_limits(&control, &off);
    cr_assert_eq(now.batch_requests_max, 64);
    cr_assert_eq(now.step_ns_max, 77);
}

Test(batch_control, the_smaller_of_both_step_lengths_holds)
{
    struct ryz_sched_limits both = limits;
    both.step_ns_max = 2000 * US;
    cr_assert_eq(ryz_batch_control_limits(&control, &both).step_ns_max, 2000 * US);
    both.step_ns_max = 4000 * US;
    cr_assert_eq(ryz_batch_control_limits(&control, &both).step_ns_max, 3000 * US);
}

/* Saturated, with 20 % of noise, on the fit that learns from the steps: the target is kept by 95 of
 * 100; the limit stays in a band below and around what the noise leaves of 18, and turns at most
 * with every tenth step (each one that is too long lowers it a little). */
Test(batch_control, noise_moves_it_little_and_95_of_100_steps_keep_the_target)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct ryz_rng rng;
        struct ryz_step_cost fit;
        struct ryz_cost_source cost = ryz_step_cost_source(&fit);
        uint32_t low = UINT32_MAX, high = 0, kept = 0, count = 0, turns = 0;
        int direction = 0;
        ryz_rng_init(&rng, seed, 3);
        ryz_step_cost_init(&fit);
        init();
        for (int i = 0; i < 4000; i++) {
            uint32_t b = limit();
            /* Now and then somebody ends, or a prompt comes: the fit must tell the terms apart. */
            if (ryz_rng_below(&rng, 10) == 0 && b > 1) b--;
            struct ryz_batch_shape shape = {.decode_requests = b};
            if (ryz_rng_below(&rng, 10) == 0) shape.prefill_tokens = 16;
            double noise = 0.8 + 0.4 * ryz_rng_unit(&rng);
            int64_t ns = (int64_t)(noise * (double)truth(NULL, &shape));
            ryz_step_cost_learn(&fit, &shape, ns);
            struct ryz_batch_step step = {
                .duration_ns = ns, .shape = &shape, .running = b, .waiting = 9};
            uint32_t before = limit();
            ryz_batch_control_learn(&control, &limits, &cost, &step);
            cr_assert(limit() >= 1 && limit() <= limits.batch_requests_max);
            if (i < 500) continue;
            int moved = (limit() > before) - (limit() < before);
            turns += moved != 0 && moved == -direction;
            if (moved != 0) direction = moved;
            if (limit() < low) low = limit();
            if (limit() > high) high = limit();
            kept += ns <= limits.itl_target_ns;
            count++;
        }
        cr_assert_geq(kept * 100, count * 94, "seed %llu: %u of %u", (unsigned long long)seed, kept,
                      count);
        cr_assert(low >= 12 && high <= 20 && high - low <= 7, "seed %llu: %u to %u",
                  (unsigned long long)seed, low, high);
        cr_assert_leq(turns * 100, count * 10, "seed %llu: %u turns in %u steps",
                      (unsigned long long)seed, turns, count);
    }
}
