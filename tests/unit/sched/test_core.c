/*
 * test_core.c - goal: the life of a request, its blocks and the counters are as core.h says.
 * Method: a core driven by hand (core_rig.h).
 */
#include "engine/base/clock.h"
#include "tests/unit/sched/core_rig.h"

#include <criterion/criterion.h>
#include <string.h>

static struct rig rig;

static void open_rig(void)
{
    struct ryz_sched_limits limits = rig_limits();
    rig_open(&rig, &limits);
}

static void close_rig(void)
{
    rig_close(&rig);
}

/* Replaces the rig of the fixture by one with other limits. */
static void reopen(const struct ryz_sched_limits *limits)
{
    rig_close(&rig);
    rig_open(&rig, limits);
}

static void expect_empty(void)
{
    struct ryz_core_stats stats = ryz_core_stats(rig.core);
    cr_assert_eq(stats.running, 0u);
    cr_assert_eq(stats.waiting, 0u);
    cr_assert_eq(stats.kv_blocks_used, 0u, "%u blocks leak", stats.kv_blocks_used);
}

TestSuite(core, .init = open_rig, .fini = close_rig);

Test(core, a_request_goes_from_prompt_to_last_token)
{
    struct ryz_effect effect = rig_arrive(&rig, 7, 10, 3);
    cr_assert_eq(effect.kind, RYZ_EFFECT_ADMITTED);
    const struct ryz_sched_plan *plan = rig_next(&rig);
    cr_assert_not_null(plan);
    cr_assert_eq(plan->item_count, 1u);
    cr_assert_eq(plan->items[0].request_id, 7u);
    cr_assert_eq(plan->items[0].slot, effect.slot);
    cr_assert_eq(plan->items[0].tokens, 10u);
    cr_assert(plan->items[0].samples);
    rig_step_done(&rig, 1000, false);
    cr_assert_eq(rig_token(&rig, 7, effect.slot, false).kind, RYZ_EFFECT_NONE);
    plan = rig_next(&rig);
    cr_assert_eq(plan->items[0].tokens, 1u);
    cr_assert_eq(plan->items[0].first_position, 10u);
    rig_step_done(&rig, 1000, false);
    cr_assert_eq(rig_token(&rig, 7, effect.slot, false).kind, RYZ_EFFECT_NONE);
    cr_assert(rig_next(&rig) != NULL);
    rig_step_done(&rig, 1000, false);
    cr_assert_eq(rig_token(&rig, 7, effect.slot, false).kind, RYZ_EFFECT_FINISHED,
                 "output_tokens_max ends it");
    cr_assert_null(rig_next(&rig));
    expect_empty();
    struct ryz_core_stats stats = ryz_core_stats(rig.core);
    cr_assert_eq(stats.arrived, 1u);
    cr_assert_eq(stats.finished, 1u);
    cr_assert_eq(stats.steps, 3u);
    cr_assert_eq(stats.prompt_tokens_computed, 10u);
    cr_assert_eq(stats.tokens_decoded, 3u);
    cr_assert_eq(stats.tokens_recomputed, 0u);
}

Test(core, the_end_flag_ends_a_request_early)
{
    uint32_t slot = rig_arrive(&rig, 7, 10, 30).slot;
    (void)rig_next(&rig);
    rig_step_done(&rig, 1000, false);
    cr_assert_eq(rig_token(&rig, 7, slot, true).kind, RYZ_EFFECT_FINISHED);
    expect_empty();
}

Test(core, blocks_grow_with_the_tokens_and_keep_their_order)
{
    uint32_t slot = rig_arrive(&rig, 1, 7, 6).slot, count = 0, before[2];
    cr_assert_null(ryz_core_blocks(rig.core, slot, &count));
    cr_assert_eq(count, 0u);
    (void)rig_next(&rig);
    const uint32_t *blocks = ryz_core_blocks(rig.core, slot, &count);
    cr_assert_eq(count, 2u, "7 tokens in blocks of 4");
    memcpy(before, blocks, sizeof before);
    cr_assert_neq(before[0], before[1]);
    rig_step_done(&rig, 1000, false);
    (void)rig_token(&rig, 1, slot, false);
    cr_assert(rig_step(&rig)); /* the eighth token */
    cr_assert(rig_step(&rig)); /* the ninth */
    blocks = ryz_core_blocks(rig.core, slot, &count);
    cr_assert_eq(count, 3u);
    cr_assert_eq(memcmp(before, blocks, sizeof before), 0);
}

Test(core, more_than_the_pool_or_the_context_is_refused_at_once)
{
    cr_assert_eq(rig_arrive(&rig, 1, 60, 4).kind, RYZ_EFFECT_ADMITTED);
    cr_assert_eq(rig_arrive(&rig, 2, 60, 5).kind, RYZ_EFFECT_REJECTED_TOO_LONG);
    cr_assert_eq(rig_arrive(&rig, 3, UINT32_MAX, UINT32_MAX).kind, RYZ_EFFECT_REJECTED_TOO_LONG);
    struct ryz_sched_limits limits = rig_limits();
    limits.context_tokens_max = 1000;
    reopen(&limits);
    cr_assert_eq(rig_arrive(&rig, 1, 60, 4).kind, RYZ_EFFECT_ADMITTED);
    cr_assert_eq(rig_arrive(&rig, 2, 60, 5).kind, RYZ_EFFECT_REJECTED_TOO_LONG);
    cr_assert_eq(ryz_core_stats(rig.core).rejected, 1u);
}

Test(core, a_request_as_long_as_the_pool_finishes)
{
    cr_assert_eq(rig_arrive(&rig, 1, 32, 32).kind, RYZ_EFFECT_ADMITTED);
    cr_assert_eq(rig_arrive(&rig, 2, 40, 24).kind, RYZ_EFFECT_ADMITTED);
    rig_drain(&rig, 500);
    cr_assert_eq(ryz_core_stats(rig.core).finished, 2u);
    expect_empty();
}

Test(core, a_full_queue_refuses_and_a_free_place_admits_again)
{
    for (uint64_t id = 0; id < 8; id++)
        cr_assert_eq(rig_arrive(&rig, id, 4, 1).kind, RYZ_EFFECT_ADMITTED);
    cr_assert_eq(rig_arrive(&rig, 8, 4, 1).kind, RYZ_EFFECT_REJECTED_FULL);
    cr_assert(rig_step(&rig));
    cr_assert_eq(rig_arrive(&rig, 9, 4, 1).kind, RYZ_EFFECT_ADMITTED);
    cr_assert_eq(ryz_core_stats(rig.core).rejected, 1u);
}

Test(core, slots_are_as_many_as_announced)
{
    cr_assert_eq(ryz_core_slot_count(rig.core), 12u);
}

Test(core, a_waiting_request_can_be_cancelled)
{
    uint32_t slot = rig_arrive(&rig, 1, 4, 1).slot;
    cr_assert_eq(rig_cancel(&rig, 1, slot).kind, RYZ_EFFECT_CANCELLED);
    cr_assert_eq(rig_cancel(&rig, 1, slot).kind, RYZ_EFFECT_NONE, "the second one crosses");
    cr_assert_null(rig_next(&rig));
    expect_empty();
}

Test(core, a_cancelled_running_request_frees_its_blocks)
{
    uint32_t slot = rig_arrive(&rig, 1, 20, 10).slot;
    cr_assert(rig_step(&rig));
    cr_assert_eq(ryz_core_stats(rig.core).kv_blocks_used, 5u);
    cr_assert_eq(rig_cancel(&rig, 1, slot).kind, RYZ_EFFECT_CANCELLED);
    expect_empty();
    cr_assert_eq(ryz_core_stats(rig.core).cancelled, 1u);
}

Test(core, a_token_that_crosses_a_cancel_is_ignored)
{
    uint32_t a = rig_arrive(&rig, 1, 4, 10).slot, b = rig_arrive(&rig, 2, 4, 10).slot;
    cr_assert_not_null(rig_next(&rig));
    cr_assert_eq(rig_cancel(&rig, 1, a).kind, RYZ_EFFECT_CANCELLED);
    rig_step_done(&rig, 1000, false);
    cr_assert_eq(rig_cancel(&rig, 2, b).kind, RYZ_EFFECT_CANCELLED);
    cr_assert_eq(rig_token(&rig, 1, a, false).kind, RYZ_EFFECT_NONE);
    cr_assert_eq(rig_token(&rig, 2, b, true).kind, RYZ_EFFECT_NONE);
    cr_assert_eq(ryz_core_stats(rig.core).tokens_decoded, 0u);
    cr_assert_null(rig_next(&rig));
    expect_empty();
}

Test(core, a_slot_reused_during_a_step_gets_nothing_of_its_old_request)
{
    uint32_t slot = rig_arrive(&rig, 1, 4, 10).slot;
    cr_assert_not_null(rig_next(&rig));
    (void)rig_cancel(&rig, 1, slot);
    cr_assert_eq(rig_arrive(&rig, 2, 6, 10).slot, slot);
    rig_step_done(&rig, 1000, false);
    cr_assert_eq(rig_token(&rig, 1, slot, false).kind, RYZ_EFFECT_NONE);
    const struct ryz_sched_plan *plan = rig_next(&rig);
    cr_assert_not_null(plan);
    cr_assert_eq(plan->items[0].request_id, 2u);
    cr_assert_eq(plan->items[0].tokens, 6u);
    cr_assert_eq(plan->items[0].first_position, 0u);
}

Test(core, a_failed_step_is_planned_again)
{
    uint32_t slot = rig_arrive(&rig, 1, 10, 2).slot;
    cr_assert_not_null(rig_next(&rig));
    rig_step_done(&rig, 1000, true);
    const struct ryz_sched_plan *plan = rig_next(&rig);
    cr_assert_not_null(plan);
    cr_assert_eq(plan->items[0].tokens, 10u);
    cr_assert_eq(plan->items[0].first_position, 0u);
    rig_step_done(&rig, 1000, false);
    (void)rig_token(&rig, 1, slot, true);
    struct ryz_core_stats stats = ryz_core_stats(rig.core);
    cr_assert_eq(stats.failed_steps, 1u);
    cr_assert_eq(stats.steps, 2u);
    cr_assert_eq(stats.prompt_tokens_computed, 10u);
    expect_empty();
}

Test(core, a_preempted_request_computes_again_and_finishes)
{
    /* Two requests that each end at 40 tokens do not fit into 64 together. */
    (void)rig_arrive(&rig, 1, 20, 20);
    (void)rig_arrive(&rig, 2, 20, 20);
    rig_drain(&rig, 200);
    struct ryz_core_stats stats = ryz_core_stats(rig.core);
    cr_assert_eq(stats.finished, 2u);
    cr_assert_gt(stats.preempted, 0u);
    cr_assert_gt(stats.tokens_recomputed, 20u);
    cr_assert_eq(stats.tokens_decoded, 40u);
    expect_empty();
}

/* Steps until request `id` ends; the effect of its end. */
static struct ryz_effect run_to_end_of(uint64_t id)
{
    for (;;) {
        const struct ryz_sched_plan *plan = rig_next(&rig);
        struct ryz_effect end = {.kind = RYZ_EFFECT_NONE};
        cr_assert_not_null(plan);
        rig_step_done(&rig, 1000, false);
        for (uint32_t i = 0; i < plan->item_count; i++) {
            const struct ryz_plan_item *item = &plan->items[i];
            if (!item->samples) continue;
            struct ryz_effect effect = rig_token(&rig, item->request_id, item->slot, false);
            if (item->request_id == id) end = effect;
        }
        if (end.kind == RYZ_EFFECT_FINISHED) return end;
    }
}

Test(core, the_end_of_a_request_says_what_it_has_cost)
{
    (void)rig_arrive(&rig, 1, 20, 20);
    (void)rig_arrive(&rig, 2, 20, 20);
    struct ryz_waste first = run_to_end_of(1).waste, second = run_to_end_of(2).waste;
    cr_assert_eq(first.computed_tokens, 39u,
                 "20 of the prompt, and all of the output but the last");
    cr_assert_eq(first.recomputed_tokens, 0u);
    cr_assert_eq(first.preemptions, 0u);
    cr_assert_eq(second.computed_tokens, 39u + second.recomputed_tokens);
    struct ryz_core_stats stats = ryz_core_stats(rig.core);
    cr_assert_eq(second.recomputed_tokens, stats.tokens_recomputed);
    cr_assert_eq(second.preemptions, stats.preempted);
    cr_assert_gt(second.preemptions, 0u);
    cr_assert_eq(stats.tokens_unused, 0u);
}

Test(core, what_a_cancelled_request_has_cost_was_for_nothing)
{
    uint32_t slot = rig_arrive(&rig, 1, 20, 10).slot;
    cr_assert(rig_step(&rig));
    cr_assert(rig_step(&rig));
    struct ryz_effect effect = rig_cancel(&rig, 1, slot);
    cr_assert_eq(effect.waste.computed_tokens, 21u);
    cr_assert_eq(ryz_core_stats(rig.core).tokens_unused, 21u);
    slot = rig_arrive(&rig, 2, 20, 10).slot;
    effect = rig_cancel(&rig, 2, slot);
    cr_assert_eq(effect.waste.computed_tokens, 0u, "the slot's last guest has paid");
}

Test(core, limits_of_zero_are_kept_and_others_change)
{
    for (uint64_t id = 0; id < 4; id++) (void)rig_arrive(&rig, id, 8, 4);
    struct ryz_event event = {
        .t_ns = rig.now_ns, .kind = RYZ_EV_LIMITS, .prompt_tokens = 2, .permille = 3};
    (void)ryz_core_feed(rig.core, &event);
    const struct ryz_sched_plan *plan = rig_next(&rig);
    cr_assert_eq(plan->item_count, 2u, "two requests a step");
    cr_assert_eq(plan->items[0].tokens, 3u, "chunks of three");
    cr_assert_eq(plan->items[1].tokens, 3u);
    rig_step_done(&rig, 1000, false);
    event = (struct ryz_event){.t_ns = rig.now_ns, .kind = RYZ_EV_LIMITS, .output_tokens_max = 4};
    (void)ryz_core_feed(rig.core, &event);
    plan = rig_next(&rig);
    cr_assert_eq(plan->item_count, 2u, "the request limit is as before");
    cr_assert_eq(plan->items[0].tokens + plan->items[1].tokens, 4u);
}

Test(core, injected_failures_hold_everything_back_until_they_end)
{
    uint32_t slot = rig_arrive(&rig, 1, 8, 4).slot;
    rig_fault(&rig, 1000);
    cr_assert_null(rig_next(&rig));
    cr_assert_eq(ryz_core_wake_ns(rig.core), rig.now_ns + RYZ_NS_PER_MS);
    cr_assert_null(rig_next(&rig));
    struct ryz_core_stats stats = ryz_core_stats(rig.core);
    cr_assert_eq(stats.kv_alloc_failures, 2u);
    cr_assert_eq(stats.waiting, 1u);
    cr_assert_eq(stats.kv_blocks_used, 0u);
    rig_fault(&rig, 0);
    const struct ryz_sched_plan *plan = rig_next(&rig);
    cr_assert_not_null(plan);
    cr_assert_eq(plan->items[0].slot, slot);
    cr_assert_eq(ryz_core_wake_ns(rig.core), RYZ_TIME_NEVER);
}

Test(core, a_decode_inside_its_block_needs_no_allocation_and_cannot_fail)
{
    (void)rig_arrive(&rig, 1, 5, 10);
    cr_assert(rig_step(&rig));
    rig_fault(&rig, 1000);
    cr_assert(rig_step(&rig), "token 6");
    cr_assert(rig_step(&rig), "token 7");
    cr_assert(rig_step(&rig), "token 8");
    cr_assert_not(rig_step(&rig), "token 9 needs a block");
}

Test(core, a_request_held_back_keeps_its_place)
{
    struct ryz_sched_limits limits = rig_limits();
    limits.kv_blocks = 64;
    reopen(&limits);
    rig_fault(&rig, 500);
    for (uint64_t id = 0; id < 4; id++) (void)rig_arrive(&rig, id, 6, 10);
    uint32_t partial = 0;
    for (int i = 0; i < 6; i++) {
        const struct ryz_sched_plan *plan = rig_next(&rig);
        if (plan == NULL) continue;
        partial += plan->run_count < 4;
        cr_assert_eq(plan->run_count, plan->item_count);
        cr_assert_eq(plan->shape.prefill_tokens / 6 + plan->shape.decode_requests, plan->run_count,
                     "the shape counts what is left");
        rig_step_done(&rig, 1000, true);
    }
    cr_assert_gt(partial, 0u);
    cr_assert_gt(ryz_core_stats(rig.core).kv_alloc_failures, 0u);
    rig_fault(&rig, 0);
    cr_assert(rig_step(&rig), "all of them run now");
    const struct ryz_sched_plan *plan = rig_next(&rig);
    cr_assert_eq(plan->item_count, 4u);
    for (uint64_t id = 0; id < 4; id++)
        cr_assert_eq(plan->items[id].request_id, id, "in order of arrival, whoever started first");
    rig_step_done(&rig, 1000, true);
    rig_drain(&rig, 200);
    cr_assert_eq(ryz_core_stats(rig.core).finished, 4u);
    expect_empty();
}

Test(core, the_policy_believes_what_steps_cost)
{
    struct ryz_sched_limits limits = rig_limits();
    limits.kv_blocks = 1024;
    limits.context_tokens_max = 4096;
    limits.batch_tokens_max = limits.prefill_chunk_max = 512;
    limits.step_ns_max = 64000; /* at 1 us a token: 64 tokens */
    reopen(&limits);
    (void)rig_arrive(&rig, 1, 4000, 8);
    uint32_t tokens = 0;
    for (int i = 0; i < 40; i++) {
        const struct ryz_sched_plan *plan = rig_next(&rig);
        cr_assert_not_null(plan);
        tokens = plan->items[0].tokens;
        bool samples = plan->items[0].samples;
        rig_step_done(&rig, 1000 * (int64_t)tokens, false);
        if (samples) break;
        if (i == 0) cr_assert_eq(tokens, 512u, "nothing is known yet");
        if (i == 2) /* vary the chunk, or the terms cannot be told apart */
            (void)ryz_core_feed(
                rig.core,
                &(struct ryz_event){.t_ns = rig.now_ns, .kind = RYZ_EV_LIMITS, .permille = 100});
        if (i == 10)
            (void)ryz_core_feed(
                rig.core,
                &(struct ryz_event){.t_ns = rig.now_ns, .kind = RYZ_EV_LIMITS, .permille = 90});
        if (i >= 20) {
            cr_assert_geq(tokens, 58u, "step %d: %u tokens", i, tokens);
            cr_assert_leq(tokens, 70u, "step %d: %u tokens", i, tokens);
        }
    }
}

Test(core, an_idle_poll_is_not_logged)
{
    for (int i = 0; i < 10; i++) cr_assert_null(rig_next(&rig));
    cr_assert_eq(rig.log_count, 0u);
    (void)rig_arrive(&rig, 1, 4, 1);
    cr_assert(rig_step(&rig));
    cr_assert_eq(rig.log_count, 4u);
    static const uint32_t kinds[] = {RYZ_EV_ARRIVE, RYZ_EV_PLAN, RYZ_EV_STEP_DONE, RYZ_EV_TOKEN};
    for (size_t i = 0; i < 4; i++) cr_assert_eq(rig.log[i].kind, kinds[i]);
}

Test(core, every_decision_changes_the_digest)
{
    uint64_t before = ryz_core_digest(rig.core);
    (void)rig_arrive(&rig, 1, 60, 60);
    cr_assert_neq(ryz_core_digest(rig.core), before, "a refusal");
    before = ryz_core_digest(rig.core);
    (void)rig_arrive(&rig, 2, 6, 6);
    cr_assert_eq(ryz_core_digest(rig.core), before, "an arrival decides nothing");
    (void)rig_next(&rig);
    cr_assert_neq(ryz_core_digest(rig.core), before, "a plan");
}

Test(core, slots_without_a_token_are_counted)
{
    (void)rig_arrive(&rig, 1, 9, 8); /* 3 blocks of 4 */
    cr_assert(rig_step(&rig));
    struct ryz_core_stats stats = ryz_core_stats(rig.core);
    cr_assert_eq(stats.kv_slots, 12u);
    cr_assert_eq(stats.kv_slots_empty, 3u);
}

Test(core, a_request_must_fit_beside_the_guarantees_of_other_tenants)
{
    struct ryz_error error;
    struct ryz_core_config config = {.limits = rig_limits(), .policy = "fcfs"};
    config.share_count = 1;
    config.shares[0] = (struct ryz_kv_share){.tenant = 3, .permille = 500};
    struct ryz_core *core = NULL;
    cr_assert_eq(ryz_core_open(&config, &core, &error), RYZ_OK, "%s", error.text);
    struct ryz_event arrival = {.kind = RYZ_EV_ARRIVE,
                                .deadline_ns = RYZ_TIME_NEVER,
                                .prompt_tokens = 30,
                                .output_tokens_max = 3};
    cr_assert_eq(ryz_core_feed(core, &arrival).kind, RYZ_EFFECT_REJECTED_TOO_LONG, "33 of 32");
    arrival.tenant = 3;
    cr_assert_eq(ryz_core_feed(core, &arrival).kind, RYZ_EFFECT_ADMITTED);
    uint32_t count = 0;
    cr_assert_not_null(ryz_core_next(core, 1));
    const struct ryz_kv_partition *of = ryz_core_partitions(core, &count);
    cr_assert_eq(count, 2u);
    cr_assert_eq(of[1].guaranteed_blocks, 8u);
    cr_assert_eq(of[1].held_blocks, 8u);
    ryz_core_close(core);
    config.shares[0].permille = 10;
    cr_assert_eq(ryz_core_open(&config, &core, &error), RYZ_INVALID);
}

/* Guaranteed requests far behind in the queue are seen: the window alone would not show them. */
Test(core, a_guaranteed_request_passes_a_queue_of_others)
{
    struct ryz_error error;
    struct ryz_core_config config = {.limits = rig_limits(), .policy = "fcfs"};
    config.share_count = 1;
    config.shares[0] = (struct ryz_kv_share){.tenant = 3, .permille = 250};
    struct ryz_core *core = NULL;
    cr_assert_eq(ryz_core_open(&config, &core, &error), RYZ_OK, "%s", error.text);
    struct ryz_event arrival = {.kind = RYZ_EV_ARRIVE,
                                .deadline_ns = RYZ_TIME_NEVER,
                                .prompt_tokens = 40,
                                .output_tokens_max = 3};
    for (uint64_t id = 0; id < 6; id++) {
        arrival.request_id = id;
        (void)ryz_core_feed(core, &arrival);
    }
    arrival.request_id = 9;
    arrival.tenant = 3;
    arrival.prompt_tokens = 12;
    (void)ryz_core_feed(core, &arrival);
    const struct ryz_sched_plan *plan = ryz_core_next(core, 1);
    cr_assert_not_null(plan);
    cr_assert_not_null(rig_item(plan, 0));
    cr_assert_null(rig_item(plan, 1));
    cr_assert_not_null(rig_item(plan, 9));
    ryz_core_close(core);
}
