/*
 * test_admission.c - goal: the believed wait follows what is ahead, learns from first tokens, and
 * the core refuses by it. Method: a linear cost whose sums can be done by hand; a core that has
 * learnt from equal steps.
 */
#include "core_rig.h"

#include "engine/base/clock.h"
#include "engine/sched/admission.h"

#include <criterion/criterion.h>

/* 1 ms and 10 us a prompt token, 100 us a stream. */
static int64_t linear(const void *context, const struct ryz_batch_shape *shape)
{
    (void)context;
    return RYZ_NS_PER_MS + 10 * RYZ_NS_PER_US * (int64_t)shape->prefill_tokens +
           100 * RYZ_NS_PER_US * (int64_t)shape->decode_requests;
}

static const struct ryz_cost_source cost = {.step_ns = linear};

static const struct ryz_sched_limits limits = {.batch_requests_max = 4,
                                               .batch_tokens_max = 100,
                                               .prefill_chunk_max = 100,
                                               .kv_block_tokens = 4,
                                               .kv_blocks = 10000,
                                               .queue_requests_max = 100,
                                               .context_tokens_max = 1000,
                                               .step_ns_max = RYZ_TIME_NEVER};

static struct ryz_wait_model model;

static struct ryz_load load;

static const struct ryz_request_view newcomer = {.prompt_tokens = 100, .output_tokens_max = 40};

static int64_t first_ns(uint32_t tokens)
{
    return ryz_wait_estimate_first_ns(&model, &limits, &cost, &load, &newcomer, tokens);
}

static void begin_load(uint32_t running)
{
    ryz_load_init(&load, &model, &limits, running);
}

/* Four that run, with so much output to come. */
static void fill_places(const uint32_t left[4])
{
    begin_load(4);
    for (uint32_t i = 0; i < 4; i++) ryz_load_add_running(&load, &model, 0, left[i]);
}

static void start_some(void)
{
    ryz_wait_model_init(&model);
    for (int i = 0; i < 4; i++) ryz_wait_model_learn_start(&model, 50, 40);
}

static void end_one(uint32_t used, int64_t believed_ns, int64_t actual_ns)
{
    struct ryz_request_view ended = {
        .prompt_tokens = 50, .output_tokens_max = 40, .decoded_tokens = used};
    ryz_wait_model_learn_end(&model, &ended, believed_ns, actual_ns);
}

Test(admission, an_idle_engine_takes_what_the_prompt_costs)
{
    ryz_wait_model_init(&model);
    begin_load(0);
    cr_assert_eq(first_ns(100), 2 * RYZ_NS_PER_MS);
    cr_assert_eq(first_ns(200), 4 * RYZ_NS_PER_MS);
    cr_assert_eq(first_ns(50), 1500 * RYZ_NS_PER_US);
}

Test(admission, prompts_ahead_and_streams_beside_add_up)
{
    ryz_wait_model_init(&model);
    begin_load(0);
    int64_t alone = first_ns(100);
    ryz_load_add_waiting(&load, &model, 100, 40);
    int64_t behind = first_ns(100);
    begin_load(2);
    ryz_load_add_running(&load, &model, 0, 10);
    ryz_load_add_running(&load, &model, 0, 10);
    int64_t beside = first_ns(98);
    cr_assert_eq(behind, 2 * alone);
    cr_assert_eq(beside, 1200 * RYZ_NS_PER_US + 980 * RYZ_NS_PER_US);
}

/* A step of four streams takes 1.4 ms; a prompt of 50 adds 0.5 ms to one in ten of them. */
static void expect_steps(int64_t ns, double steps)
{
    double expected = steps * 1.45e6 + 1.4e6 + 0.1e6;
    cr_assert((double)ns > 0.95 * expected && (double)ns < 1.05 * expected, "%lld, not %g",
              (long long)ns, expected);
}

Test(admission, where_no_place_is_free_the_one_that_is_nearest_its_end_makes_room)
{
    start_some();
    fill_places((const uint32_t[]){40, 10, 30, 20});
    expect_steps(first_ns(10), 10);
    /* Those ahead take the places that are free after 10, 20 and 30 steps. */
    for (int i = 0; i < 3; i++) ryz_load_add_waiting(&load, &model, 50, 40);
    expect_steps(first_ns(10), 40);
    ryz_load_add_waiting(&load, &model, 50, 40);
    expect_steps(first_ns(10), 50);
}

Test(admission, outputs_are_believed_as_long_as_the_ended_ones_were)
{
    start_some();
    fill_places((const uint32_t[]){40, 20, 40, 40});
    expect_steps(first_ns(10), 20);
    for (int i = 0; i < 40; i++) end_one(10, 0, 0);
    fill_places((const uint32_t[]){40, 20, 40, 40});
    cr_assert_float_eq(ryz_wait_used_share(&model), 0.25, 1e-6);
    int64_t ns = first_ns(10); /* 5 steps; a prompt adds 0.5 ms to four in ten of them */
    cr_assert(ns > 5 * 1600000 + 1400000 && ns < 5 * 1600000 + 1600000, "%lld", (long long)ns);
}

Test(admission, a_crowd_ahead_is_shared_out_over_the_places)
{
    start_some();
    fill_places((const uint32_t[]){10, 10, 10, 10});
    ryz_load_add_crowd(&load, &model, 2000, 100000);
    expect_steps(first_ns(10), 10 + 2000 * 40 / 4);
}

Test(admission, a_pool_that_holds_fewer_is_full_earlier)
{
    struct ryz_sched_limits small = limits;
    small.kv_blocks = 50; /* 200 tokens: two of 91 */
    start_some();
    begin_load(2);
    for (int i = 0; i < 2; i++) ryz_load_add_running(&load, &model, 0, 40);
    int64_t wide = first_ns(10);
    ryz_load_init(&load, &model, &small, 2);
    for (int i = 0; i < 2; i++) ryz_load_add_running(&load, &model, 0, 40);
    int64_t narrow = ryz_wait_estimate_first_ns(&model, &small, &cost, &load, &newcomer, 10);
    cr_assert_gt(narrow, 5 * wide);
}

Test(admission, late_first_tokens_raise_the_factor_and_early_ones_lower_it_slowly)
{
    ryz_wait_model_init(&model);
    begin_load(0);
    int64_t before = first_ns(100);
    ryz_wait_model_learn_first(&model, &newcomer, 0, RYZ_NS_PER_S);
    cr_assert_eq(first_ns(100), before, "no estimate, nothing to learn");
    ryz_wait_model_learn_first(&model, &newcomer, 100, 101);
    int64_t after = first_ns(100);
    cr_assert_gt(after, before);
    for (int i = 0; i < 50; i++) ryz_wait_model_learn_first(&model, &newcomer, 100, 99);
    int64_t lower = first_ns(100);
    cr_assert(lower < after && lower > before, "50 early ones do not make up for a late one");
    for (int i = 0; i < 100000; i++) ryz_wait_model_learn_first(&model, &newcomer, 100, 1);
    cr_assert_eq(first_ns(100), before / 2);
}

Test(admission, long_requests_that_come_late_do_not_keep_short_ones_out)
{
    const struct ryz_request_view longer = {.prompt_tokens = 100, .output_tokens_max = 2000};
    ryz_wait_model_init(&model);
    begin_load(0);
    int64_t before = first_ns(100);
    for (int i = 0; i < 10; i++) {
        ryz_wait_model_learn_first(&model, &newcomer, 100, 99);
        ryz_wait_model_learn_first(&model, &longer, 100, 101);
    }
    cr_assert_leq(first_ns(100), before);
    int64_t late = ryz_wait_estimate_first_ns(&model, &limits, &cost, &load, &longer, 100);
    cr_assert_gt(late, 2 * before);
    const struct ryz_request_view unseen = {.prompt_tokens = 10000, .output_tokens_max = 2000};
    int64_t other = ryz_wait_estimate_first_ns(&model, &limits, &cost, &load, &unseen, 100);
    cr_assert(other > before && other < late + before, "a size not seen is believed like all");
}

Test(admission, the_time_between_tokens_has_a_factor_of_its_own)
{
    start_some();
    begin_load(0);
    int64_t before = ryz_wait_estimate_token_ns(&model, &limits, &cost, &load);
    cr_assert_eq(before, 1100 * RYZ_NS_PER_US);
    for (int i = 0; i < 20; i++) ryz_wait_model_learn_first(&model, &newcomer, 100, 101);
    cr_assert_eq(ryz_wait_estimate_token_ns(&model, &limits, &cost, &load), before);
    end_one(10, 100, 101);
    cr_assert_gt(ryz_wait_estimate_token_ns(&model, &limits, &cost, &load), before);
}

/* A core whose steps all cost 1 ms. */
static struct rig rig;

static void open_taught(struct ryz_sched_limits given)
{
    given.admit_late = false;
    rig_open(&rig, &given);
    for (uint64_t id = 1000; id < 1040; id++) {
        (void)rig_arrive(&rig, id, 4, 4);
        while (rig_step(&rig)) {
        }
    }
}

static struct ryz_effect arrive_due(uint64_t id, int64_t first_ns_from_now,
                                    int64_t last_ns_from_now)
{
    struct ryz_event event = {
        .kind = RYZ_EV_ARRIVE,
        .t_ns = rig.now_ns,
        .request_id = id,
        .deadline_ns = last_ns_from_now > 0 ? rig.now_ns + last_ns_from_now : RYZ_TIME_NEVER,
        .first_deadline_ns = first_ns_from_now > 0 ? rig.now_ns + first_ns_from_now : 0,
        .prompt_tokens = 4,
        .output_tokens_max = 20};
    return ryz_core_feed(rig.core, &event);
}

Test(admission, a_deadline_out_of_reach_is_refused_with_the_estimate)
{
    open_taught(rig_limits());
    struct ryz_effect late = arrive_due(1, 1, 0);
    cr_assert_eq(late.kind, RYZ_EFFECT_REJECTED_LATE);
    cr_assert_gt(late.estimate_ns, 1);
    cr_assert_eq(arrive_due(2, 2 * late.estimate_ns, 0).kind, RYZ_EFFECT_ADMITTED);
    cr_assert_eq(arrive_due(3, 0, 2 * late.estimate_ns).kind, RYZ_EFFECT_REJECTED_LATE,
                 "twenty tokens take longer");
    cr_assert_eq(arrive_due(4, 0, RYZ_NS_PER_S).kind, RYZ_EFFECT_ADMITTED);
    struct ryz_core_stats stats = ryz_core_stats(rig.core);
    cr_assert_eq(stats.rejected_late, 2);
    cr_assert_eq(stats.rejected, 2);
    rig_close(&rig);
}

Test(admission, before_anything_has_ended_what_was_asked_for_is_believed)
{
    struct ryz_sched_limits given = rig_limits();
    given.kv_blocks = 1000;
    given.context_tokens_max = 1000;
    given.admit_late = false;
    rig_open(&rig, &given);
    for (uint64_t id = 0; id < 4; id++) (void)rig_arrive(&rig, id, 4, 500);
    for (int i = 0; i < 100; i++) cr_assert(rig_step(&rig)); /* 1 us a step, and 5 us between */
    cr_assert_eq(ryz_core_stats(rig.core).finished, 0);
    cr_assert_eq(arrive_due(10, 50 * RYZ_NS_PER_US, 0).kind, RYZ_EFFECT_REJECTED_LATE,
                 "nobody makes room for 400 steps");
    cr_assert_eq(arrive_due(11, 10 * RYZ_NS_PER_MS, 0).kind, RYZ_EFFECT_ADMITTED);
    rig_close(&rig);
}

static struct ryz_effect arrive_from(uint64_t id, uint16_t tenant)
{
    struct ryz_event event = {.kind = RYZ_EV_ARRIVE,
                              .t_ns = rig.now_ns,
                              .request_id = id,
                              .deadline_ns = RYZ_TIME_NEVER,
                              .prompt_tokens = 4,
                              .output_tokens_max = 50,
                              .tenant = tenant};
    return ryz_core_feed(rig.core, &event);
}

/* Where tenants take turns the noise of one is not the wait of another. */
Test(admission, a_tenant_waits_for_its_turn_and_not_for_the_noise_of_others)
{
    struct ryz_sched_limits given = rig_limits();
    given.kv_blocks = 1000;
    given.queue_requests_max = 64;
    rig_open_policy(&rig, &given, "vtc");
    for (uint64_t id = 0; id < 44; id++) (void)arrive_from(id, 3);
    for (int i = 0; i < 20; i++) cr_assert(rig_step(&rig));
    int64_t victim = arrive_from(100, 7).estimate_ns, noisy = arrive_from(101, 3).estimate_ns;
    cr_assert(victim > 0 && 5 * victim < noisy, "%lld and %lld", (long long)victim,
              (long long)noisy);
    for (uint64_t id = 102; id < 105; id++) (void)arrive_from(id, 7);
    cr_assert_gt(arrive_from(105, 7).estimate_ns, victim, "its own four come before it");
    rig_close(&rig);
}

Test(admission, the_queue_is_bounded_in_tokens_and_in_believed_wait)
{
    struct ryz_sched_limits given = rig_limits();
    given.queue_tokens_max = 10;
    open_taught(given);
    cr_assert_eq(rig_arrive(&rig, 1, 20, 4).kind, RYZ_EFFECT_ADMITTED,
                 "alone, any length is taken");
    cr_assert_eq(rig_arrive(&rig, 2, 1, 4).kind, RYZ_EFFECT_REJECTED_FULL);
    rig_close(&rig);
    given = rig_limits();
    given.queue_wait_ns_max = 1;
    open_taught(given);
    cr_assert_eq(rig_arrive(&rig, 1, 4, 4).kind, RYZ_EFFECT_ADMITTED, "nobody waits");
    struct ryz_effect full = rig_arrive(&rig, 2, 4, 4);
    cr_assert_eq(full.kind, RYZ_EFFECT_REJECTED_FULL);
    cr_assert_gt(full.estimate_ns, 1);
    rig_close(&rig);
}

static struct ryz_effect arrive_of(uint64_t id, uint8_t priority)
{
    struct ryz_event event = {.kind = RYZ_EV_ARRIVE,
                              .t_ns = rig.now_ns,
                              .request_id = id,
                              .deadline_ns = RYZ_TIME_NEVER,
                              .prompt_tokens = 4,
                              .output_tokens_max = 4,
                              .priority = priority};
    return ryz_core_feed(rig.core, &event);
}

Test(admission, a_full_queue_makes_room_for_a_more_urgent_request)
{
    struct ryz_sched_limits given = rig_limits();
    given.queue_requests_max = 2;
    given.admit_late = true;
    rig_open_policy(&rig, &given, "priority");
    cr_assert_eq(arrive_of(1, 1).kind, RYZ_EFFECT_ADMITTED);
    cr_assert_eq(arrive_of(2, 2).kind, RYZ_EFFECT_ADMITTED);
    cr_assert_eq(arrive_of(3, 2).kind, RYZ_EFFECT_REJECTED_FULL, "not for an equal");
    struct ryz_effect urgent = arrive_of(4, 0);
    cr_assert_eq(urgent.kind, RYZ_EFFECT_ADMITTED);
    cr_assert(urgent.displaced);
    cr_assert_eq(urgent.displaced_id, 2, "the least urgent, and of those the last");
    struct ryz_core_stats stats = ryz_core_stats(rig.core);
    cr_assert_eq(stats.waiting, 2);
    cr_assert_eq(stats.rejected, 2);
    cr_assert_eq(rig_drain(&rig, 100) > 0, true);
    stats = ryz_core_stats(rig.core);
    cr_assert_eq(stats.finished, 2);
    cr_assert_eq(stats.finished + stats.rejected, stats.arrived);
    rig_close(&rig);
}

Test(admission, nobody_gives_way_in_an_order_without_classes)
{
    struct ryz_sched_limits given = rig_limits();
    given.queue_requests_max = 1;
    rig_open(&rig, &given);
    cr_assert_eq(arrive_of(1, 7).kind, RYZ_EFFECT_ADMITTED);
    cr_assert_eq(arrive_of(2, 0).kind, RYZ_EFFECT_REJECTED_FULL);
    rig_close(&rig);
}
