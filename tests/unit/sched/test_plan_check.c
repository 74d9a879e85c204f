/*
 * test_plan_check.c - goal: every way in which a plan can be wrong is noticed. Method: a good plan,
 * spoilt in one place at a time.
 */
#include "engine/base/clock.h"
#include "engine/base/size.h"
#include "engine/sched/plan_check.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

static struct ryz_request_view requests[4];
static struct ryz_sched_view view;
static struct ryz_sched_plan plan;

/* Two running (a decode; one with 4 of 10 tokens), two waiting. The plan preempts nobody. */
static void make_good_plan(void)
{
    requests[0] = (struct ryz_request_view){.id = 10,
                                            .slot = 0,
                                            .prompt_tokens = 7,
                                            .decoded_tokens = 2,
                                            .computed_tokens = 8,
                                            .kv_blocks = 2,
                                            .own_blocks = 2,
                                            .running = true};
    requests[1] = (struct ryz_request_view){.id = 11,
                                            .slot = 3,
                                            .prompt_tokens = 10,
                                            .computed_tokens = 4,
                                            .kv_blocks = 1,
                                            .own_blocks = 1,
                                            .running = true};
    requests[2] = (struct ryz_request_view){.id = 12, .slot = 1, .prompt_tokens = 5};
    requests[3] = (struct ryz_request_view){.id = 13, .slot = 2, .prompt_tokens = 5};
    view = (struct ryz_sched_view){
        .requests = requests,
        .request_count = 4,
        .running_count = 2,
        .running_max = 3,
        .kv_blocks_free = 5, /* 1 for the decode, 2 for the chunk, 2 for the start */
        .limits = {.batch_requests_max = 3,
                   .batch_tokens_max = 12,
                   .prefill_chunk_max = 6,
                   .kv_block_tokens = 4,
                   .kv_blocks = 7,
                   .queue_requests_max = 8,
                   .context_tokens_max = 64,
                   .step_ns_max = RYZ_TIME_NEVER},
    };
    memset(&plan, 0, sizeof plan);
    plan.items[0] =
        (struct ryz_plan_item){.request_id = 10, .tokens = 1, .first_position = 8, .samples = true};
    plan.items[1] = (struct ryz_plan_item){
        .request_id = 11, .view_index = 1, .slot = 3, .tokens = 5, .first_position = 4};
    plan.items[2] = (struct ryz_plan_item){
        .request_id = 12, .view_index = 2, .slot = 1, .tokens = 5, .samples = true};
    plan.item_count = 3;
    ryz_plan_count(&plan);
}

static void expect_fault(const char *words)
{
    const char *fault = ryz_plan_fault(&view, &plan);
    cr_assert_not_null(fault, "expected \"%s\"", words);
    cr_assert_str_eq(fault, words);
}

TestSuite(plan_check, .init = make_good_plan);

Test(plan_check, a_good_plan_passes_and_its_shape_is_counted)
{
    cr_assert_null(ryz_plan_fault(&view, &plan));
    cr_assert_eq(plan.run_count, 3u);
    cr_assert_eq(plan.shape.decode_requests, 1u);
    cr_assert_eq(plan.shape.prefill_tokens, 10u);
    /* 9; 5+6+7+8+9; 1+2+3+4+5 */
    cr_assert_eq(plan.shape.context_tokens, 9u + 35u + 15u);
}

Test(plan_check, an_index_outside_the_view)
{
    plan.items[2].view_index = 4;
    expect_fault("an item outside the view");
}

Test(plan_check, a_request_that_appears_twice)
{
    plan.items[2] = plan.items[1];
    expect_fault("a request appears twice");
}

Test(plan_check, a_name_that_does_not_fit_the_index)
{
    plan.items[2].request_id = 13;
    expect_fault("an item names another request than its view index");
}

Test(plan_check, a_slot_that_does_not_fit_the_index)
{
    plan.items[2].slot = 2;
    expect_fault("an item names another request than its view index");
}

Test(plan_check, an_action_that_does_not_exist)
{
    plan.items[0].action = (enum ryz_action)7;
    expect_fault("an unknown action");
}

Test(plan_check, a_run_of_nothing)
{
    plan.items[1].tokens = 0;
    expect_fault("a run without tokens");
}

Test(plan_check, a_skipped_position)
{
    plan.items[1].first_position = 5;
    expect_fault("a run that skips positions");
}

Test(plan_check, tokens_that_do_not_exist_yet)
{
    plan.items[0].tokens = 2;
    expect_fault("a run beyond the request's tokens");
}

Test(plan_check, logits_that_are_forgotten)
{
    plan.items[0].samples = false;
    expect_fault("logits wanted of the wrong token");
}

Test(plan_check, logits_in_the_middle_of_a_prompt)
{
    plan.items[1].samples = true;
    expect_fault("logits wanted of the wrong token");
}

Test(plan_check, a_chunk_that_is_too_long)
{
    view.limits.prefill_chunk_max = 4;
    expect_fault("a chunk beyond prefill_chunk_max");
}

Test(plan_check, too_many_tokens)
{
    view.limits.batch_tokens_max = 10;
    expect_fault("more tokens than batch_tokens_max");
}

Test(plan_check, too_many_runs)
{
    view.limits.batch_requests_max = 2;
    expect_fault("more runs than batch_requests_max");
}

Test(plan_check, too_many_running_requests)
{
    plan.items[1] = plan.items[2];
    plan.item_count = 2;
    ryz_plan_count(&plan);
    cr_assert_null(ryz_plan_fault(&view, &plan));
    view.running_max = 2;
    expect_fault("more running requests than running_max");
}

Test(plan_check, too_many_blocks)
{
    view.kv_blocks_free = 4;
    expect_fault("more KV blocks than are free");
}

Test(plan_check, a_preemption_pays_for_the_blocks_of_others)
{
    plan.items[2] = plan.items[0];
    plan.items[0] = plan.items[1];
    plan.items[0].action = RYZ_ACT_PREEMPT;
    plan.items[0].tokens = 0;
    plan.items[1] = plan.items[2];
    plan.item_count = 2;
    ryz_plan_count(&plan);
    view.kv_blocks_free = 0;
    cr_assert_null(ryz_plan_fault(&view, &plan));
    plan.items[0].tokens = 1;
    expect_fault("a preempted request computes");
}

Test(plan_check, a_start_on_the_blocks_of_one_that_is_preempted)
{
    plan.items[1].action = RYZ_ACT_PREEMPT;
    plan.items[1].tokens = 0;
    struct ryz_plan_item first = plan.items[0];
    plan.items[0] = plan.items[1];
    plan.items[1] = first;
    ryz_plan_count(&plan);
    requests[2].source = 1; /* the first of the view stays */
    cr_assert_null(ryz_plan_fault(&view, &plan));
    requests[2].source = 2;
    expect_fault("a start on the blocks of one that is preempted");
}

Test(plan_check, a_preemption_that_comes_late)
{
    plan.items[1].action = RYZ_ACT_PREEMPT;
    plan.items[1].tokens = 0;
    expect_fault("a preemption after a run");
}

Test(plan_check, a_preemption_of_somebody_who_waits)
{
    plan.items[0] = plan.items[2];
    plan.items[0].action = RYZ_ACT_PREEMPT;
    expect_fault("a waiting request is preempted");
}

Test(plan_check, a_wrong_count)
{
    plan.run_count = 2;
    expect_fault("run_count is not the number of runs");
}

static void bad_step(const void *tunables, const struct ryz_sched_view *v, struct ryz_sched_plan *p)
{
    (void)tunables;
    (void)v;
    p->items[p->item_count++] = (struct ryz_plan_item){.request_id = 10, .tokens = 5};
}

Test(plan_check, a_policy_that_plans_nonsense_is_stopped, .signal = SIGABRT)
{
    const struct ryz_sched_policy policy = {.name = "bad", .step = bad_step};
    ryz_sched_step(&policy, &view, &plan);
}

Test(policies, are_found_by_name_and_only_by_name)
{
    uint32_t count = 0;
    for (; ryz_sched_policy_name(count) != NULL; count++) {
        const struct ryz_sched_policy *policy = ryz_sched_policy_find(ryz_sched_policy_name(count));
        cr_assert_not_null(policy);
        cr_assert_str_eq(policy->name, ryz_sched_policy_name(count));
    }
    cr_assert_geq(count, 1u);
    cr_assert_not_null(ryz_sched_policy_find("fcfs"));
    cr_assert_null(ryz_sched_policy_find("FCFS"));
    cr_assert_null(ryz_sched_policy_find(""));
}
