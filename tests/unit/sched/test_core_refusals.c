/*
 * test_core_refusals.c - goal: a driver's bug stops the process with a reason, a bad configuration
 * is an error with words. Method: one wrong call each.
 */
#include "engine/base/clock.h"
#include "engine/base/size.h"
#include "tests/unit/sched/core_rig.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

static struct rig rig;

static void open_rig(void)
{
    struct ryz_sched_limits limits = rig_limits();
    rig_open(&rig, &limits);
}

TestSuite(core_refusals, .init = open_rig);

Test(core_refusals, an_event_from_the_past, .signal = SIGABRT)
{
    (void)rig_arrive(&rig, 1, 4, 1);
    rig.now_ns -= 10 * RYZ_NS_PER_US;
    (void)rig_arrive(&rig, 2, 4, 1);
}

Test(core_refusals, a_plan_while_a_step_is_in_flight, .signal = SIGABRT)
{
    (void)rig_arrive(&rig, 1, 4, 1);
    (void)rig_next(&rig);
    (void)rig_next(&rig);
}

Test(core_refusals, a_plan_while_tokens_are_due, .signal = SIGABRT)
{
    (void)rig_arrive(&rig, 1, 4, 1);
    (void)rig_next(&rig);
    rig_step_done(&rig, 1000, false);
    (void)rig_next(&rig);
}

Test(core_refusals, a_step_that_was_not_planned, .signal = SIGABRT)
{
    rig_step_done(&rig, 1000, false);
}

Test(core_refusals, a_token_before_the_step_is_done, .signal = SIGABRT)
{
    uint32_t slot = rig_arrive(&rig, 1, 4, 1).slot;
    (void)rig_next(&rig);
    (void)rig_token(&rig, 1, slot, false);
}

Test(core_refusals, a_second_token_in_one_step, .signal = SIGABRT)
{
    uint32_t slot = rig_arrive(&rig, 1, 4, 5).slot;
    (void)rig_next(&rig);
    rig_step_done(&rig, 1000, false);
    (void)rig_token(&rig, 1, slot, false);
    (void)rig_token(&rig, 1, slot, false);
}

Test(core_refusals, a_token_for_a_request_outside_the_plan, .signal = SIGABRT)
{
    uint32_t slot = rig_arrive(&rig, 1, 4, 5).slot;
    (void)rig_next(&rig);
    rig_step_done(&rig, 1000, false);
    (void)rig_token(&rig, 2, slot, false);
}

Test(core_refusals, a_token_of_a_failed_step, .signal = SIGABRT)
{
    uint32_t slot = rig_arrive(&rig, 1, 4, 5).slot;
    (void)rig_next(&rig);
    rig_step_done(&rig, 1000, true);
    (void)rig_token(&rig, 1, slot, false);
}

Test(core_refusals, an_event_from_before_the_plan, .signal = SIGABRT)
{
    (void)rig_arrive(&rig, 1, 4, 1);
    (void)rig_next(&rig);
    rig.now_ns -= 2 * RYZ_NS_PER_US;
    rig_step_done(&rig, 1000, false);
}

Test(core_refusals, a_token_of_a_failed_step_although_its_request_is_gone, .signal = SIGABRT)
{
    uint32_t slot = rig_arrive(&rig, 1, 4, 5).slot;
    (void)rig_next(&rig);
    rig_step_done(&rig, 1000, true);
    (void)rig_cancel(&rig, 1, slot);
    (void)rig_token(&rig, 1, slot, false);
}

Test(core_refusals, a_token_of_a_chunk_that_sampled_none, .signal = SIGABRT)
{
    uint32_t slot = rig_arrive(&rig, 1, 60, 4).slot;
    (void)ryz_core_feed(
        rig.core, &(struct ryz_event){.t_ns = rig.now_ns, .kind = RYZ_EV_LIMITS, .permille = 10});
    (void)rig_next(&rig);
    rig_step_done(&rig, 1000, false);
    (void)rig_cancel(&rig, 1, slot);
    (void)rig_token(&rig, 1, slot, false);
}

Test(core_refusals, a_slot_that_does_not_exist, .signal = SIGABRT)
{
    (void)rig_cancel(&rig, 1, 12);
}

Test(core_refusals, an_arrival_without_a_prompt, .signal = SIGABRT)
{
    (void)rig_arrive(&rig, 1, 0, 5);
}

Test(core_refusals, a_plan_that_is_fed, .signal = SIGABRT)
{
    (void)ryz_core_feed(rig.core, &(struct ryz_event){.t_ns = 1, .kind = RYZ_EV_PLAN});
}

Test(core_refusals, impossible_limits_are_an_error_that_names_the_limit)
{
    const struct ryz_sched_limits good = rig_limits();
    struct {
        struct ryz_sched_limits limits;
        const char *word;
    } cases[13];
    for (size_t i = 0; i < RYZ_COUNT_OF(cases); i++) cases[i].limits = good;
    cases[0].limits.batch_requests_max = 0, cases[0].word = "batch_requests_max";
    cases[1].limits.batch_requests_max = RYZ_BATCH_MAX + 1, cases[1].word = "batch_requests_max";
    cases[2].limits.batch_tokens_max = 0, cases[2].word = "batch_tokens_max";
    cases[3].limits.prefill_chunk_max = 0, cases[3].word = "prefill_chunk_max";
    cases[4].limits.kv_block_tokens = 0, cases[4].word = "kv_block_tokens";
    cases[5].limits.kv_blocks = 0, cases[5].word = "kv_blocks";
    cases[6].limits.kv_blocks = UINT32_MAX, cases[6].word = "kv_blocks";
    cases[7].limits.kv_block_tokens = UINT32_C(1) << 30, cases[7].word = "2^32";
    cases[8].limits.queue_requests_max = 0, cases[8].word = "queue_requests_max";
    cases[9].limits.queue_requests_max = UINT32_MAX, cases[9].word = "queue_requests_max";
    cases[10].limits.context_tokens_max = 1, cases[10].word = "context_tokens_max";
    cases[11].limits.step_ns_max = 0, cases[11].word = "step_ns_max";
    cases[12].limits.itl_target_ns = -1, cases[12].word = "itl_target_ns";
    for (size_t i = 0; i < RYZ_COUNT_OF(cases); i++) {
        struct ryz_core_config config = {.limits = cases[i].limits, .policy = "fcfs"};
        struct ryz_core *core = NULL;
        struct ryz_error error;
        cr_assert_eq(ryz_core_open(&config, &core, &error), RYZ_INVALID, "case %zu", i);
        cr_assert_null(core);
        cr_assert_not_null(strstr(error.text, cases[i].word), "case %zu: %s", i, error.text);
    }
}

Test(core_refusals, an_unknown_policy_is_an_error_that_names_one)
{
    static const char *const names[] = {"lifo", "", NULL};
    for (size_t i = 0; i < RYZ_COUNT_OF(names); i++) {
        struct ryz_core_config config = {.limits = rig_limits(), .policy = names[i]};
        struct ryz_core *core = NULL;
        struct ryz_error error;
        cr_assert_eq(ryz_core_open(&config, &core, &error), RYZ_INVALID);
        cr_assert_not_null(strstr(error.text, "fcfs"), "%s", error.text);
    }
}
