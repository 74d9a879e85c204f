/*
 * test_sim.c - goal: virtual time is exact. Method: schedules small enough to be worked out by
 * hand, every time compared to the nanosecond.
 */
#include "engine/base/clock.h"
#include "tests/unit/simulators/sim_rig.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static struct sim_rig rig;

static void open_rig(void)
{
    struct ryz_sim_config config = sim_rig_config();
    sim_rig_open(&rig, &config);
}

static void close_rig(void)
{
    sim_rig_close(&rig);
}

static void reopen(const struct ryz_sim_config *config)
{
    sim_rig_close(&rig);
    sim_rig_open(&rig, config);
}

static void submit(uint64_t id, int64_t at_ns, uint32_t prompt, uint32_t output)
{
    struct ryz_sim_request request = sim_rig_request(id, at_ns, prompt, output);
    sim_rig_submit(&rig, &request);
}

static void expect_tokens(uint64_t id, const int64_t *times, uint32_t count)
{
    cr_assert_eq(rig.requests[id].tokens, count, "request %lu has %u tokens", id,
                 rig.requests[id].tokens);
    for (uint32_t i = 0; i < count; i++)
        cr_assert_eq(rig.requests[id].token_ns[i], times[i], "request %lu, token %u at %ld", id, i,
                     rig.requests[id].token_ns[i]);
    cr_assert_eq(rig.requests[id].dones, 1u);
    cr_assert_eq(rig.requests[id].status, RYZ_OK);
    cr_assert_eq(rig.requests[id].done_ns, times[count - 1]);
}

TestSuite(sim, .init = open_rig, .fini = close_rig);

Test(sim, an_arrival_joins_the_batch_at_the_next_step)
{
    submit(0, 0, 4, 3);
    submit(1, 500, 6, 2);
    ryz_sim_run(rig.sim, RYZ_TIME_NEVER);
    /* 0: prefill 4 -> 1040. Decode + prefill 6 -> +1160. Two decodes -> +1200. */
    expect_tokens(0, (const int64_t[]){1040, 2200, 3400}, 3);
    expect_tokens(1, (const int64_t[]){2200, 3400}, 2);
    cr_assert_eq(rig.requests[1].admitted_ns, 500);
    cr_assert_eq(rig.step_count, 3u);
    cr_assert_eq(rig.steps[1].t_ns, 1040);
    cr_assert_eq(rig.steps[1].duration_ns, 1160);
    cr_assert_eq(rig.steps[1].run_count, 2u);
    cr_assert_eq(rig.steps[1].shape.prefill_tokens, 6u);
    cr_assert_eq(rig.steps[1].shape.decode_requests, 1u);
    cr_assert_eq(rig.steps[1].shape.context_tokens, 5u + 21u);
    cr_assert_eq(ryz_sim_now_ns(rig.sim), 3400);
}

Test(sim, an_idle_engine_starts_at_the_arrival)
{
    submit(0, 100, 4, 1);
    submit(1, 50000, 4, 1);
    ryz_sim_run(rig.sim, RYZ_TIME_NEVER);
    expect_tokens(0, (const int64_t[]){1140}, 1);
    expect_tokens(1, (const int64_t[]){51040}, 1);
}

Test(sim, arrivals_at_one_time_share_a_step)
{
    submit(0, 7, 4, 1);
    submit(1, 7, 4, 1);
    submit(2, 7, 4, 1);
    ryz_sim_run(rig.sim, RYZ_TIME_NEVER);
    cr_assert_eq(rig.step_count, 1u);
    expect_tokens(2, (const int64_t[]){7 + 1120}, 1);
}

Test(sim, a_long_prompt_goes_in_chunks)
{
    struct ryz_sim_config config = sim_rig_config();
    config.core.limits.prefill_chunk_max = 4;
    reopen(&config);
    submit(0, 0, 10, 2);
    ryz_sim_run(rig.sim, RYZ_TIME_NEVER);
    /* 4, 4, 2 tokens: 1040 + 1040 + 1020, then a decode. */
    expect_tokens(0, (const int64_t[]){3100, 4200}, 2);
}

Test(sim, a_pool_that_overflows_preempts_and_computes_again)
{
    struct ryz_sim_config config = sim_rig_config();
    config.core.limits.kv_blocks = 4;
    reopen(&config);
    submit(0, 0, 7, 5);
    submit(1, 0, 4, 4);
    ryz_sim_run(rig.sim, RYZ_TIME_NEVER);
    /* Both prefill (11 tokens) -> 1110; both decode -> 2310, the pool is full: request 0 needs its
     * third block and takes request 1's two. It decodes alone until its end at 5610; request 1
     * then computes its 6 tokens again -> 6670 and decodes once. */
    expect_tokens(0, (const int64_t[]){1110, 2310, 3410, 4510, 5610}, 5);
    expect_tokens(1, (const int64_t[]){1110, 2310, 6670, 7770}, 4);
    struct ryz_core_stats stats = ryz_core_stats(ryz_sim_core(rig.sim));
    cr_assert_eq(stats.preempted, 1u);
    cr_assert_eq(stats.tokens_recomputed, 5u, "of six, five were computed before");
    cr_assert_eq(stats.kv_blocks_used, 0u);
    struct ryz_waste waste = rig.requests[1].waste;
    cr_assert_eq(waste.computed_tokens, 4u + 1 + 6 + 1);
    cr_assert_eq(waste.recomputed_tokens, 5u);
    cr_assert_eq(waste.preemptions, 1u);
    waste = rig.requests[0].waste;
    cr_assert_eq(waste.computed_tokens, 7u + 4);
    cr_assert_eq(waste.recomputed_tokens + waste.preemptions, 0u);
}

Test(sim, the_queue_is_served_in_order_of_arrival)
{
    struct ryz_sim_config config = sim_rig_config();
    config.core.limits.batch_requests_max = 1;
    reopen(&config);
    for (uint64_t id = 0; id < 5; id++) submit(4 - id, (int64_t)(4 - id), 2, 1);
    ryz_sim_run(rig.sim, RYZ_TIME_NEVER);
    for (int64_t id = 0; id < 5; id++)
        expect_tokens((uint64_t)id, (const int64_t[]){1020 * (id + 1)}, 1);
}

Test(sim, refusals_are_told_at_the_arrival)
{
    struct ryz_sim_config config = sim_rig_config();
    config.core.limits.queue_requests_max = 1;
    config.core.limits.batch_requests_max = 1;
    reopen(&config);
    submit(0, 0, 4, 2);
    submit(1, 10, 4, 2);
    submit(2, 20, 4, 2);
    submit(3, 30, 60, 5);
    ryz_sim_run(rig.sim, RYZ_TIME_NEVER);
    cr_assert_eq(rig.requests[2].status, RYZ_FULL);
    cr_assert_eq(rig.requests[2].done_ns, 20);
    cr_assert_eq(rig.requests[2].refused, RYZ_EFFECT_REJECTED_FULL);
    cr_assert_eq(rig.requests[3].status, RYZ_INVALID);
    cr_assert_eq(rig.requests[3].refused, RYZ_EFFECT_REJECTED_TOO_LONG);
    cr_assert_eq(rig.requests[1].refused, RYZ_EFFECT_NONE);
    cr_assert_eq(rig.requests[1].status, RYZ_OK);
}

Test(sim, a_timeout_cancels_in_the_middle_of_a_step)
{
    struct ryz_sim_request request = sim_rig_request(0, 100, 4, 9);
    request.timeout_ns = 1500;
    sim_rig_submit(&rig, &request);
    submit(1, 100, 4, 2);
    ryz_sim_run(rig.sim, RYZ_TIME_NEVER);
    cr_assert_eq(rig.requests[0].status, RYZ_TIMEOUT);
    cr_assert_eq(rig.requests[0].done_ns, 1600);
    cr_assert_eq(rig.requests[0].tokens, 1u, "of the step that ended at 1180");
    expect_tokens(1, (const int64_t[]){1180, 2380}, 2);
    cr_assert_eq(ryz_core_stats(ryz_sim_core(rig.sim)).kv_blocks_used, 0u);
}

Test(sim, a_deadline_cancels_as_a_timeout_does)
{
    struct ryz_sim_request request = sim_rig_request(0, 100, 4, 9);
    request.first_deadline_ns = 200; /* missed, which ends nothing */
    request.deadline_ns = 1600;
    sim_rig_submit(&rig, &request);
    request = sim_rig_request(1, 100, 4, 9);
    request.deadline_ns = 50; /* before it arrives */
    sim_rig_submit(&rig, &request);
    request = sim_rig_request(2, 100, 4, 2);
    request.deadline_ns = 100000;
    sim_rig_submit(&rig, &request);
    ryz_sim_run(rig.sim, RYZ_TIME_NEVER);
    cr_assert_eq(rig.requests[0].status, RYZ_TIMEOUT);
    cr_assert_eq(rig.requests[0].done_ns, 1600);
    cr_assert_eq(rig.requests[0].tokens, 1u);
    cr_assert_eq(rig.requests[1].status, RYZ_TIMEOUT);
    cr_assert_eq(rig.requests[1].done_ns, 100);
    cr_assert_eq(rig.requests[2].status, RYZ_OK);
}

Test(sim, a_token_at_the_instant_of_the_timeout_counts)
{
    struct ryz_sim_request request = sim_rig_request(0, 0, 4, 1);
    request.timeout_ns = 1040;
    sim_rig_submit(&rig, &request);
    ryz_sim_run(rig.sim, RYZ_TIME_NEVER);
    expect_tokens(0, (const int64_t[]){1040}, 1);
}

Test(sim, a_timeout_of_an_earlier_request_spares_the_next_in_its_slot)
{
    struct ryz_sim_request request = sim_rig_request(0, 0, 4, 1);
    request.timeout_ns = 3000;
    sim_rig_submit(&rig, &request);
    submit(1, 2500, 4, 3);
    ryz_sim_run(rig.sim, RYZ_TIME_NEVER);
    cr_assert_eq(rig.requests[0].status, RYZ_OK);
    expect_tokens(1, (const int64_t[]){3540, 4640, 5740}, 3);
}

Test(sim, outputs_may_be_shorter_than_asked_for)
{
    struct ryz_sim_request request = sim_rig_request(0, 0, 4, 2);
    request.output_tokens_max = 50;
    sim_rig_submit(&rig, &request);
    ryz_sim_run(rig.sim, RYZ_TIME_NEVER);
    expect_tokens(0, (const int64_t[]){1040, 2140}, 2);
}

Test(sim, a_closed_loop_submits_from_the_callback)
{
    rig.resubmit = 10;
    rig.next_id = 2;
    submit(0, 0, 4, 2);
    submit(1, 0, 4, 2);
    ryz_sim_run(rig.sim, RYZ_TIME_NEVER);
    for (uint64_t id = 0; id < 12; id++) {
        cr_assert_eq(rig.requests[id].dones, 1u, "request %lu", id);
        cr_assert_eq(rig.requests[id].status, RYZ_OK);
    }
    /* Always two together: 1080 for their prompts, 1200 for the decodes. */
    cr_assert_eq(ryz_sim_now_ns(rig.sim), 6 * 2280);
}

Test(sim, time_stops_where_asked_and_goes_on_from_there)
{
    submit(0, 0, 4, 3);
    ryz_sim_run(rig.sim, 1500);
    cr_assert_eq(ryz_sim_now_ns(rig.sim), 1500);
    cr_assert_eq(rig.requests[0].tokens, 1u);
    struct ryz_sim_request late = sim_rig_request(1, 1499, 4, 1);
    struct ryz_error error;
    cr_assert_eq(ryz_sim_submit(rig.sim, &late, &error), RYZ_INVALID, "the past is over");
    submit(2, 1500, 4, 1);
    ryz_sim_run(rig.sim, 2140);
    cr_assert_eq(rig.requests[0].tokens, 2u, "events at the limit are included");
    ryz_sim_run(rig.sim, RYZ_TIME_NEVER);
    expect_tokens(0, (const int64_t[]){1040, 2140, 3280}, 3);
    expect_tokens(2, (const int64_t[]){3280}, 1);
}

Test(sim, impossible_requests_are_refused_with_a_reason)
{
    struct ryz_error error;
    struct ryz_sim_request request = sim_rig_request(1, 0, 0, 1);
    cr_assert_eq(ryz_sim_submit(rig.sim, &request, &error), RYZ_INVALID);
    cr_assert_not_null(strstr(error.text, "prompt 0"), "%s", error.text);
    request = sim_rig_request(1, 0, 4, 0);
    cr_assert_eq(ryz_sim_submit(rig.sim, &request, &error), RYZ_INVALID);
    request = sim_rig_request(1, 0, 4, 2);
    request.output_tokens_max = 1;
    cr_assert_eq(ryz_sim_submit(rig.sim, &request, &error), RYZ_INVALID);
    request = sim_rig_request(1, -1, 4, 2);
    cr_assert_eq(ryz_sim_submit(rig.sim, &request, &error), RYZ_INVALID);
    request = sim_rig_request(1, 0, 4, 2);
    request.timeout_ns = -1;
    cr_assert_eq(ryz_sim_submit(rig.sim, &request, &error), RYZ_INVALID);
    ryz_sim_run(rig.sim, RYZ_TIME_NEVER);
    cr_assert_eq(rig.step_count, 0u);
}

Test(sim, a_world_without_a_price_is_refused)
{
    struct ryz_sim_config config = sim_rig_config();
    struct ryz_sim *sim = NULL;
    struct ryz_error error;
    config.world.step_ns = NULL;
    cr_assert_eq(ryz_sim_open(&config, NULL, &sim, &error), RYZ_INVALID);
    config = sim_rig_config();
    config.noise_cv = -0.1;
    cr_assert_eq(ryz_sim_open(&config, NULL, &sim, &error), RYZ_INVALID);
    config.noise_cv = NAN;
    cr_assert_eq(ryz_sim_open(&config, NULL, &sim, &error), RYZ_INVALID);
    config = sim_rig_config();
    config.core.policy = "none";
    cr_assert_eq(ryz_sim_open(&config, NULL, &sim, &error), RYZ_INVALID);
    cr_assert_null(sim);
}

static int64_t forever(const void *context, const struct ryz_batch_shape *shape)
{
    (void)context;
    (void)shape;
    return RYZ_TIME_NEVER;
}

Test(sim, a_step_without_end_ends_at_the_end_of_time)
{
    struct ryz_sim_config config = sim_rig_config();
    config.world.step_ns = forever;
    reopen(&config);
    submit(0, 5, 4, 1);
    ryz_sim_run(rig.sim, RYZ_TIME_NEVER);
    cr_assert_eq(rig.requests[0].dones, 1u);
    cr_assert_eq(rig.requests[0].done_ns, RYZ_TIME_NEVER - 1);
}

/* Sums for the noise: callbacks of their own, for the rig keeps every step. */
struct spread {
    double sum, squares;
    uint32_t count;
};

static void add_step(void *context, const struct ryz_sim_step *step)
{
    struct spread *spread = context;
    double ratio = (double)step->duration_ns / (double)sim_rig_cost(NULL, &step->shape);
    spread->sum += ratio;
    spread->squares += ratio * ratio;
    spread->count++;
}

Test(sim, noise_has_mean_one_and_the_spread_asked_for)
{
    struct spread spread = {0};
    struct ryz_sim_config config = sim_rig_config();
    struct ryz_sim_callbacks callbacks = {.context = &spread, .step = add_step};
    struct ryz_sim *sim = NULL;
    config.noise_cv = 0.2;
    config.core.limits.queue_requests_max = 20000;
    cr_assert_eq(ryz_sim_open(&config, &callbacks, &sim, NULL), RYZ_OK);
    for (uint64_t id = 0; id < 20000; id++) {
        struct ryz_sim_request request = sim_rig_request(id, (int64_t)id * 5000, 4, 1);
        cr_assert_eq(ryz_sim_submit(sim, &request, NULL), RYZ_OK);
    }
    ryz_sim_run(sim, RYZ_TIME_NEVER);
    double n = spread.count, mean = spread.sum / n;
    double cv = sqrt(spread.squares / n - mean * mean) / mean;
    cr_assert_geq(spread.count, 19000u);
    cr_assert_float_eq(mean, 1.0, 0.01, "mean %g", mean);
    cr_assert_float_eq(cv, 0.2, 0.01, "cv %g", cv);
    ryz_sim_close(sim);
}
