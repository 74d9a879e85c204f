/*
 * test_policy_step.c - goal: the order of service, of preemption and of admission is what the
 * file's head says. Method: the policy is pure, so each case is one view and the plan expected of
 * it; every plan also passes the plan check.
 */
#include "engine/base/clock.h"
#include "engine/base/size.h"
#include "engine/sched/policy.h"

#include <criterion/criterion.h>
#include <string.h>

static struct ryz_request_view requests[RYZ_VIEW_MAX];
static struct ryz_sched_view view;
static struct ryz_sched_plan plan;
static uint32_t running_max; /* of the view; 0: batch_requests_max */

/* 1 us a token, whatever kind: makes the chunk lengths easy to see. */
static int64_t us_per_token(const void *context, const struct ryz_batch_shape *shape)
{
    (void)context;
    return RYZ_NS_PER_US * ((int64_t)shape->prefill_tokens + shape->decode_requests);
}

static void make_empty_view(void)
{
    view = (struct ryz_sched_view){
        .requests = requests,
        .kv_blocks_free = 100,
        .limits = {.batch_requests_max = 8,
                   .batch_tokens_max = 64,
                   .prefill_chunk_max = 64,
                   .kv_block_tokens = 4,
                   .kv_blocks = 100,
                   .queue_requests_max = 8,
                   .context_tokens_max = 400,
                   .step_ns_max = RYZ_TIME_NEVER},
        .cost = {.step_ns = us_per_token},
    };
}

static struct ryz_request_view *add(uint32_t prompt, uint32_t decoded, uint32_t computed)
{
    struct ryz_request_view *request = &requests[view.request_count];
    *request = (struct ryz_request_view){.id = 100 + view.request_count,
                                         .slot = view.request_count,
                                         .prompt_tokens = prompt,
                                         .decoded_tokens = decoded,
                                         .computed_tokens = computed};
    view.request_count++;
    return request;
}

/* A running request holds just the blocks it needs, taken from the free ones. */
static void add_running(uint32_t prompt, uint32_t decoded, uint32_t computed)
{
    struct ryz_request_view *request = add(prompt, decoded, computed);
    request->running = true;
    request->kv_blocks = ryz_ceil_div_u32(computed, view.limits.kv_block_tokens);
    request->own_blocks = request->kv_blocks;
    view.kv_blocks_free -= request->kv_blocks;
    view.running_count++;
}

static void step_of(const char *policy)
{
    view.running_max = running_max > 0 ? running_max : view.limits.batch_requests_max;
    ryz_sched_step(ryz_sched_policy_find(policy), &view, &plan);
}

static void step(void)
{
    step_of("fcfs");
}

static void expect_item(uint32_t i, uint32_t view_index, enum ryz_action action, uint32_t tokens)
{
    cr_assert_lt(i, plan.item_count, "item %u of %u", i, plan.item_count);
    cr_assert_eq(plan.items[i].view_index, view_index, "item %u is of request %u", i,
                 plan.items[i].view_index);
    cr_assert_eq(plan.items[i].action, action, "item %u", i);
    cr_assert_eq(plan.items[i].tokens, tokens, "item %u has %u tokens", i, plan.items[i].tokens);
}

TestSuite(fcfs, .init = make_empty_view);

Test(fcfs, an_empty_house_plans_nothing)
{
    step();
    cr_assert_eq(plan.item_count, 0u);
    cr_assert_eq(plan.wake_ns, RYZ_TIME_NEVER);
}

Test(fcfs, decodes_get_their_token_before_a_chunk_is_cut)
{
    view.limits.batch_tokens_max = 10;
    add_running(100, 0, 20);
    add_running(10, 1, 10);
    add_running(10, 5, 14);
    step();
    cr_assert_eq(plan.item_count, 3u);
    expect_item(0, 0, RYZ_ACT_RUN, 8);
    expect_item(1, 1, RYZ_ACT_RUN, 1);
    expect_item(2, 2, RYZ_ACT_RUN, 1);
    cr_assert_not(plan.items[0].samples);
    cr_assert(plan.items[1].samples);
}

Test(fcfs, what_the_running_leave_goes_to_the_waiting_in_order)
{
    view.limits.batch_tokens_max = 20;
    add_running(10, 1, 10);
    add(12, 0, 0);
    add(30, 0, 0);
    add(5, 0, 0);
    step();
    cr_assert_eq(plan.item_count, 3u);
    expect_item(0, 0, RYZ_ACT_RUN, 1);
    expect_item(1, 1, RYZ_ACT_RUN, 12);
    expect_item(2, 2, RYZ_ACT_RUN, 7);
    cr_assert(plan.items[1].samples);
    cr_assert_not(plan.items[2].samples);
}

Test(fcfs, a_chunk_is_no_longer_than_the_limit)
{
    view.limits.prefill_chunk_max = 6;
    add_running(40, 0, 6);
    add(9, 0, 0);
    step();
    expect_item(0, 0, RYZ_ACT_RUN, 6);
    expect_item(1, 1, RYZ_ACT_RUN, 6);
}

Test(fcfs, the_last_arrival_gives_its_blocks_to_the_oldest)
{
    view.kv_blocks_free = 7;
    add_running(8, 1, 8); /* needs its third block */
    add_running(12, 2, 13);
    add_running(4, 1, 4);
    cr_assert_eq(view.kv_blocks_free, 0u);
    add(1, 0, 0);
    step();
    cr_assert_eq(plan.item_count, 3u, "nobody is admitted in a step that preempts");
    expect_item(0, 2, RYZ_ACT_PREEMPT, 0);
    expect_item(1, 0, RYZ_ACT_RUN, 1);
    expect_item(2, 1, RYZ_ACT_RUN, 1);
}

Test(fcfs, several_are_preempted_latest_first)
{
    view.kv_blocks_free = view.limits.kv_blocks = 6;
    add_running(40, 0, 16); /* wants 24 tokens, 6 blocks */
    add_running(4, 1, 4);
    add_running(3, 1, 3);
    cr_assert_eq(view.kv_blocks_free, 0u);
    step();
    cr_assert_eq(plan.item_count, 3u);
    expect_item(0, 2, RYZ_ACT_PREEMPT, 0);
    expect_item(1, 1, RYZ_ACT_PREEMPT, 0);
    expect_item(2, 0, RYZ_ACT_RUN, 8);
}

Test(fcfs, the_last_arrival_waits_with_its_blocks_instead_of_preempting_itself)
{
    view.kv_blocks_free = 6;
    add_running(12, 2, 13); /* room in its fourth block */
    add_running(8, 1, 8);   /* needs a third one: there is none */
    cr_assert_eq(view.kv_blocks_free, 0u);
    add(1, 0, 0);
    step();
    cr_assert_eq(plan.item_count, 1u);
    expect_item(0, 0, RYZ_ACT_RUN, 1);
}

Test(fcfs, a_chunk_of_the_last_arrival_is_cut_to_the_blocks_there_are)
{
    view.kv_blocks_free = 7;
    add_running(12, 2, 13);
    add_running(40, 0, 6); /* two more tokens in its second block, four in the free one */
    cr_assert_eq(view.kv_blocks_free, 1u);
    step();
    expect_item(1, 1, RYZ_ACT_RUN, 6);
}

Test(fcfs, a_request_starts_only_if_all_its_tokens_fit)
{
    view.limits.prefill_chunk_max = 8;
    view.kv_blocks_free = 9;
    add(36, 0, 0);
    add(4, 0, 0);
    step();
    cr_assert_eq(plan.item_count, 1u, "what the first still owes is not given to the second");
    expect_item(0, 0, RYZ_ACT_RUN, 8);
}

Test(fcfs, nobody_overtakes_a_request_that_does_not_fit)
{
    view.kv_blocks_free = 10;
    add_running(20, 1, 20);
    add(40, 0, 0);
    add(1, 0, 0);
    step();
    cr_assert_eq(plan.item_count, 1u);
}

Test(fcfs, admissions_leave_room_for_the_running_to_grow)
{
    view.kv_blocks_free = 8;
    add_running(10, 1, 10);
    add(20, 0, 0); /* 5 blocks of the 5 free, but 1 % of 100 stays */
    step();
    cr_assert_eq(plan.item_count, 1u);
    view.kv_blocks_free = 6;
    step();
    cr_assert_eq(plan.item_count, 2u);
}

Test(fcfs, headroom_that_the_core_has_learnt_is_kept_free_too)
{
    add_running(10, 1, 10);
    add(20, 0, 0); /* 5 blocks; one of the 97 free is the running one's own to come */
    view.headroom_permille = 910; /* and 92 stay free with the policy's own hundredth */
    step();
    cr_assert_eq(plan.item_count, 2u);
    view.headroom_permille = 920;
    step();
    cr_assert_eq(plan.item_count, 1u);
    cr_assert_not(plan.short_of_blocks);
}

Test(fcfs, whole_outputs_are_counted_where_that_is_wanted)
{
    view.limits.admit = RYZ_ADMIT_WHOLE;
    view.kv_blocks_free = 12;
    add_running(8, 1, 8);
    requests[0].output_tokens_max = 13;   /* 20 tokens are stored at most: 3 blocks more */
    add(20, 0, 0)->output_tokens_max = 9; /* 28: 7 blocks of the 10 - 3 */
    step();
    cr_assert_eq(plan.item_count, 2u, "and no hundredth stays free");
    requests[1].output_tokens_max = 10;
    step();
    cr_assert_eq(plan.item_count, 1u);
}

Test(fcfs, a_first_chunk_is_enough_where_that_is_wanted)
{
    view.limits.admit = RYZ_ADMIT_CHUNK;
    view.limits.prefill_chunk_max = 8;
    view.limits.kv_blocks = 12;
    view.kv_blocks_free = 4;
    add(36, 0, 0);
    add(4, 0, 0);
    add(8, 0, 0);
    step();
    cr_assert_eq(plan.item_count, 2u, "2 and 1 of 4 blocks; the third asks for 2");
    expect_item(0, 0, RYZ_ACT_RUN, 8);
    expect_item(1, 1, RYZ_ACT_RUN, 4);
}

Test(fcfs, a_preemption_for_blocks_is_told)
{
    view.kv_blocks_free = 5;
    add_running(8, 1, 8);
    add_running(9, 1, 9);
    step();
    cr_assert(plan.short_of_blocks);
}

Test(fcfs, a_lone_request_may_take_the_whole_pool)
{
    view.limits.kv_blocks = view.kv_blocks_free = 100;
    view.limits.batch_tokens_max = view.limits.prefill_chunk_max = 1000;
    add(400, 0, 0);
    step();
    expect_item(0, 0, RYZ_ACT_RUN, 400);
}

Test(fcfs, a_chunk_shrinks_to_the_believed_length_of_a_step)
{
    view.limits.step_ns_max = 20 * RYZ_NS_PER_US;
    add_running(10, 1, 10);
    add_running(10, 1, 10);
    add_running(60, 0, 10);
    step();
    expect_item(2, 2, RYZ_ACT_RUN, 18);
    cr_assert_eq(us_per_token(NULL, &plan.shape), view.limits.step_ns_max);
}

Test(fcfs, decodes_behind_a_chunk_count_in_its_step_time)
{
    view.limits.step_ns_max = 20 * RYZ_NS_PER_US;
    add_running(60, 0, 10);
    add_running(10, 1, 10);
    add_running(10, 1, 10);
    step();
    expect_item(0, 0, RYZ_ACT_RUN, 18);
    cr_assert_eq(plan.item_count, 3u);
}

Test(fcfs, the_first_prefill_gets_a_block_however_slow_the_step_is)
{
    view.limits.step_ns_max = 1;
    add_running(10, 1, 10);
    add_running(60, 0, 12);
    add_running(60, 0, 12);
    add(60, 0, 0);
    step();
    cr_assert_eq(plan.item_count, 2u, "and only the first");
    expect_item(0, 0, RYZ_ACT_RUN, 1);
    expect_item(1, 1, RYZ_ACT_RUN, 4);
}

Test(fcfs, a_waiting_prompt_starts_although_the_step_is_slow)
{
    view.limits.step_ns_max = 1;
    add_running(10, 1, 10);
    add(60, 0, 0);
    step();
    expect_item(1, 1, RYZ_ACT_RUN, 4);
}

Test(fcfs, a_budget_below_the_decodes_serves_the_oldest)
{
    view.limits.batch_tokens_max = 2;
    for (int i = 0; i < 4; i++) add_running(10, 1, 10);
    step();
    cr_assert_eq(plan.item_count, 2u);
    expect_item(0, 0, RYZ_ACT_RUN, 1);
    expect_item(1, 1, RYZ_ACT_RUN, 1);
}

Test(fcfs, an_old_prefill_moves_on_although_decodes_fill_the_budget)
{
    view.limits.batch_tokens_max = 4;
    add_running(40, 0, 4);
    for (int i = 0; i < 6; i++) add_running(10, 1, 10);
    step();
    expect_item(0, 0, RYZ_ACT_RUN, 4);
    cr_assert_eq(plan.item_count, 1u);
}

Test(fcfs, lowered_limits_let_the_oldest_run_and_admit_nobody)
{
    view.limits.batch_requests_max = 2;
    for (int i = 0; i < 4; i++) add_running(10, 1, 10);
    add(5, 0, 0);
    step();
    cr_assert_eq(plan.item_count, 2u);
    expect_item(1, 1, RYZ_ACT_RUN, 1);
}

Test(fcfs, a_resumed_request_computes_its_output_again)
{
    add(10, 7, 0);
    step();
    expect_item(0, 0, RYZ_ACT_RUN, 17);
    cr_assert(plan.items[0].samples);
}

static int64_t no_opinion(const void *context, const struct ryz_batch_shape *shape)
{
    (void)context;
    (void)shape;
    return 0;
}

Test(fcfs, a_cost_without_opinion_limits_nothing)
{
    view.limits.step_ns_max = 1;
    view.cost.step_ns = no_opinion;
    add(60, 0, 0);
    step();
    expect_item(0, 0, RYZ_ACT_RUN, 60);
}

Test(fcfs, what_a_preemption_frees_beyond_the_need_is_not_for_newcomers)
{
    view.kv_blocks_free = 5;
    add_running(8, 1, 8); /* needs one block */
    add_running(9, 1, 9); /* gives three */
    cr_assert_eq(view.kv_blocks_free, 0u);
    add(1, 0, 0);
    step();
    cr_assert_eq(plan.item_count, 2u);
    expect_item(0, 1, RYZ_ACT_PREEMPT, 0);
    expect_item(1, 0, RYZ_ACT_RUN, 1);
}

Test(fcfs, a_second_newcomer_leaves_the_first_room_to_grow)
{
    view.kv_blocks_free = 10;
    add(20, 0, 0);
    add(20, 0, 0);
    step();
    cr_assert_eq(plan.item_count, 1u,
                 "5 and 5 of 10 would leave none of the hundredth that stays free");
    view.kv_blocks_free = 11;
    step();
    cr_assert_eq(plan.item_count, 2u);
}

/* 1 us for each position attended to. */
static int64_t us_per_context(const void *context, const struct ryz_batch_shape *shape)
{
    (void)context;
    return RYZ_NS_PER_US * (int64_t)shape->context_tokens;
}

Test(fcfs, a_preempted_decode_leaves_its_token_and_its_time_to_others)
{
    view.kv_blocks_free = 8;
    view.limits.prefill_chunk_max = 4;
    view.limits.batch_tokens_max = 7;
    add_running(40, 0, 8);  /* needs a third block for its 4 tokens */
    add_running(20, 0, 9);  /* its third block has room for 3 */
    add_running(11, 1, 11); /* a decode: preempted */
    cr_assert_eq(view.kv_blocks_free, 0u);
    step();
    cr_assert_eq(plan.item_count, 3u);
    expect_item(0, 2, RYZ_ACT_PREEMPT, 0);
    expect_item(1, 0, RYZ_ACT_RUN, 4);
    expect_item(2, 1, RYZ_ACT_RUN, 3);
    /* 9 + 10 + 11 + 12 positions for the first, 10 + 11 + 12 for the second, none for the third. */
    view.cost.step_ns = us_per_context;
    view.limits.step_ns_max = (42 + 33) * RYZ_NS_PER_US;
    step();
    expect_item(2, 1, RYZ_ACT_RUN, 3);
}

/* The words that scenarios and help know are the policies there are. */
Test(policy, every_name_is_a_policy_and_every_policy_has_a_name)
{
    char names[] = RYZ_POLICY_NAMES, *rest = names;
    uint32_t count = 0;
    for (char *name = NULL; (name = strtok_r(rest, " ", &rest)) != NULL; count++) {
        cr_assert_not_null(ryz_sched_policy_find(name), "%s", name);
        cr_assert_str_eq(ryz_sched_policy_name(count), name);
    }
    cr_assert_null(ryz_sched_policy_name(count));
}

Test(policy, every_word_for_admission_is_known)
{
    char names[] = RYZ_ADMIT_NAMES, *rest = names;
    enum ryz_admit admit = RYZ_ADMIT_COUNT;
    unsigned count = 0;
    for (char *name = NULL; (name = strtok_r(rest, " ", &rest)) != NULL; count++) {
        cr_assert(ryz_admit_parse(name, &admit), "%s", name);
        cr_assert_eq((unsigned)admit, count);
    }
    cr_assert_eq(count, (unsigned)RYZ_ADMIT_COUNT);
    cr_assert_not(ryz_admit_parse("all", &admit));
}

/* ---- classes ---- */

static struct ryz_request_view *add_running_of(uint64_t urgency, uint32_t prompt, uint32_t decoded)
{
    add_running(prompt, decoded, prompt + decoded - 1);
    struct ryz_request_view *request = &requests[view.request_count - 1];
    request->urgency = urgency;
    return request;
}

Test(policy_step, an_urgent_request_takes_the_place_of_the_last_of_the_running)
{
    make_empty_view();
    view.limits.batch_requests_max = 2;
    add_running_of(1, 8, 4);
    add_running_of(3, 8, 4);
    add(10, 0, 0)->urgency = 2;
    step_of("priority");
    expect_item(0, 1, RYZ_ACT_PREEMPT, 0);
    expect_item(1, 0, RYZ_ACT_RUN, 1);
    expect_item(2, 2, RYZ_ACT_RUN, 10);
    cr_assert_eq(plan.item_count, 3);
}

Test(policy_step, a_controller_stops_starts_and_nothing_else)
{
    make_empty_view();
    for (int i = 0; i < 3; i++) add_running_of(2, 8, 4);
    add(10, 0, 0)->urgency = 2;
    running_max = 3;
    step_of("priority");
    cr_assert_eq(plan.item_count, 3, "all that run go on, nobody is started");
    running_max = 4;
    step_of("priority");
    cr_assert_eq(plan.item_count, 4);
    requests[3].urgency = 1;
    running_max = 3;
    step_of("priority");
    expect_item(0, 2, RYZ_ACT_PREEMPT, 0);
    cr_assert_eq(plan.item_count, 4, "an urgent one takes one place, whatever the limit was");
}

Test(policy_step, nobody_is_displaced_by_an_equal_or_too_often)
{
    make_empty_view();
    view.limits.batch_requests_max = 1;
    add_running_of(2, 8, 4);
    add(10, 0, 0)->urgency = 2;
    step_of("priority");
    cr_assert_eq(plan.item_count, 1);
    expect_item(0, 0, RYZ_ACT_RUN, 1);
    requests[1].urgency = 1;
    requests[0].preemptions = 3;
    step_of("priority");
    cr_assert_eq(plan.item_count, 1);
    requests[0].preemptions = 2;
    step_of("priority");
    expect_item(0, 0, RYZ_ACT_PREEMPT, 0);
    expect_item(1, 1, RYZ_ACT_RUN, 10);
}

Test(policy_step, an_order_without_classes_displaces_nobody)
{
    const char *const policies[] = {"fcfs", "edf", "sjf", "vtc"};
    for (size_t i = 0; i < RYZ_COUNT_OF(policies); i++) {
        make_empty_view();
        view.limits.batch_requests_max = 1;
        add_running_of(2, 8, 4);
        add(10, 0, 0)->urgency = 0; /* not even the starved */
        step_of(policies[i]);
        cr_assert_eq(plan.item_count, 1);
    }
}

Test(policy_step, blocks_are_taken_only_if_they_suffice)
{
    make_empty_view();
    view.kv_blocks_free = view.limits.kv_blocks = 4;
    add_running_of(1, 8, 1);    /* 2 blocks */
    add_running_of(3, 8, 1);    /* 2 blocks */
    add(16, 0, 0)->urgency = 2; /* 4 blocks: the last one's two are not enough */
    step_of("priority");
    for (uint32_t i = 0; i < plan.item_count; i++)
        cr_assert_neq(plan.items[i].view_index, 2, "it cannot be started");
}

Test(policy_step, urgent_prompts_come_before_those_of_the_running)
{
    make_empty_view();
    view.limits.batch_tokens_max = 32;
    add_running(60, 0, 20); /* 40 to go */
    requests[0].urgency = 3;
    add(24, 0, 0)->urgency = 1;
    add(24, 0, 0)->urgency = 3;
    step_of("priority");
    expect_item(0, 1, RYZ_ACT_RUN, 24);
    expect_item(1, 0, RYZ_ACT_RUN, 8);
    cr_assert_eq(plan.item_count, 2);
}

/* ---- partitions ---- */

static struct ryz_kv_partition parts[3];

/* A pool of 20 blocks: partition 1 is guaranteed 8, partition 2 is guaranteed 4. */
static void make_partitions(void)
{
    make_empty_view();
    view.limits.kv_blocks = view.kv_blocks_free = 20;
    parts[0] = (struct ryz_kv_partition){0, 0};
    parts[1] = (struct ryz_kv_partition){8, 0};
    parts[2] = (struct ryz_kv_partition){4, 0};
    view.partitions = parts;
    view.partition_count = 3;
}

static void add_running_in(uint8_t partition, uint32_t prompt, uint32_t decoded, uint32_t computed)
{
    add_running(prompt, decoded, computed);
    requests[view.request_count - 1].partition = partition;
    parts[partition].held_blocks += requests[view.request_count - 1].kv_blocks;
}

TestSuite(partitions, .init = make_partitions);

Test(partitions, growth_within_the_guarantee_takes_from_the_last_borrower)
{
    view.limits.kv_blocks = view.kv_blocks_free = 21;
    add_running_in(0, 32, 1, 32); /* 8, needs a ninth */
    add_running_in(0, 17, 1, 17); /* 5: 9 blocks are nobody's, so 4 are lent */
    add_running_in(1, 24, 1, 24); /* 6, needs a seventh of its 8 */
    add_running_in(2, 5, 1, 5);   /* 2 of 4: last of all, and safe */
    cr_assert_eq(view.kv_blocks_free, 0u);
    step();
    expect_item(0, 1, RYZ_ACT_PREEMPT, 0);
    expect_item(1, 0, RYZ_ACT_RUN, 1);
    expect_item(2, 2, RYZ_ACT_RUN, 1);
    expect_item(3, 3, RYZ_ACT_RUN, 1);
    cr_assert(plan.short_of_blocks);
}

Test(partitions, growth_beyond_the_guarantee_takes_nothing_from_who_is_within)
{
    add_running_in(0, 48, 1, 48); /* 12, needs a thirteenth */
    add_running_in(1, 26, 1, 26); /* 7 of 8, and room in the last */
    add_running_in(2, 3, 1, 3);   /* 1 of 4, and room in it */
    cr_assert_eq(view.kv_blocks_free, 0u);
    step();
    expect_item(0, 1, RYZ_ACT_RUN, 1);
    expect_item(1, 2, RYZ_ACT_RUN, 1);
    cr_assert_eq(plan.item_count, 2u);
    parts[2].guaranteed_blocks = 0; /* now it borrows */
    step();
    expect_item(0, 2, RYZ_ACT_PREEMPT, 0);
    expect_item(1, 0, RYZ_ACT_RUN, 1);
}

Test(partitions, who_is_within_passes_a_request_that_does_not_fit_and_nobody_else_does)
{
    add_running_in(0, 40, 1, 40); /* 10 */
    add(40, 0, 0);                /* 10: does not fit */
    add(4, 0, 0);                 /* would fit, but is guaranteed nothing */
    add(36, 0, 0)->partition = 1; /* 9 of 8: nor is it, so much */
    add(4, 0, 0)->partition = 1;  /* behind it */
    add(16, 0, 0)->partition = 2; /* 4 of 4 */
    step();
    expect_item(0, 0, RYZ_ACT_RUN, 1);
    expect_item(1, 5, RYZ_ACT_RUN, 16);
    cr_assert_eq(plan.item_count, 2u);
}

Test(partitions, who_is_not_within_passes_nobody_though_it_would_fit)
{
    add_running_in(0, 40, 1, 40);
    add(40, 0, 0);                /* 10 and the 1 owed: does not fit */
    add(20, 0, 0)->partition = 2; /* 5 of 4, and 10 are free */
    step();
    cr_assert_eq(plan.item_count, 1u);
}

Test(partitions, lent_blocks_are_taken_back_for_a_newcomer)
{
    add_running_in(0, 39, 1, 39); /* 10 */
    add_running_in(0, 39, 1, 39); /* 10: 8 are nobody's, 12 are lent */
    add(24, 0, 0)->partition = 1;
    step();
    expect_item(0, 1, RYZ_ACT_PREEMPT, 0);
    expect_item(1, 0, RYZ_ACT_RUN, 1);
    expect_item(2, 2, RYZ_ACT_RUN, 24);
    cr_assert_eq(plan.item_count, 3u);
}

Test(partitions, an_unused_guarantee_is_lent)
{
    add(72, 0, 0); /* 18 of 20 */
    view.limits.batch_tokens_max = view.limits.prefill_chunk_max = 100;
    step();
    expect_item(0, 0, RYZ_ACT_RUN, 72);
}

Test(partitions, a_more_urgent_request_takes_no_place_within_anothers_guarantee)
{
    view.limits.batch_requests_max = 2;
    add_running_in(0, 8, 1, 8);
    add_running_in(1, 8, 1, 8);
    requests[0].urgency = 2;
    requests[1].urgency = 3;
    add(4, 0, 0)->urgency = 1;
    step_of("priority");
    expect_item(0, 0, RYZ_ACT_PREEMPT, 0);
    expect_item(1, 1, RYZ_ACT_RUN, 1);
    expect_item(2, 2, RYZ_ACT_RUN, 4);
}

Test(fcfs, blocks_that_only_the_preempted_share_are_free)
{
    view.limits.kv_blocks = view.kv_blocks_free = 4;
    add_running(4, 1, 4); /* needs a second block */
    add_running(12, 0, 8);
    add_running(12, 0, 8);
    requests[1].kv_blocks = requests[2].kv_blocks = 3; /* the same three */
    requests[1].own_blocks = requests[2].own_blocks = 0;
    view.kv_blocks_free = 0;
    step();
    expect_item(2, 0, RYZ_ACT_RUN, 1);
    cr_assert_eq(plan.item_count, 3u);
}
