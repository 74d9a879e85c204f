/*
 * test_choices.c - goal: choices of one prompt share its blocks, are admitted together, and never
 * wait for one of them that is gone. Method: a core driven by hand (core_rig.h), blocks of 4
 * tokens.
 */
#include "engine/base/clock.h"
#include "engine/base/size.h"
#include "engine/sched/event_log.h"
#include "tests/unit/sched/core_rig.h"

#include <criterion/criterion.h>

static struct rig rig;
static struct ryz_effect effects[RYZ_CHOICES_MAX];

static void open_rig(void)
{
    struct ryz_sched_limits limits = rig_limits();
    rig_open(&rig, &limits);
}

static void close_rig(void)
{
    rig_close(&rig);
}

static void reopen(const struct ryz_sched_limits *limits, const char *policy)
{
    rig_close(&rig);
    rig_open_policy(&rig, limits, policy);
}

TestSuite(choices, .init = open_rig, .fini = close_rig);

/* Feeds the arrivals of ids first .. first + count - 1 until one is refused; how many were taken.
 */
static uint32_t arrive(uint64_t first, uint32_t count, uint32_t prompt, uint8_t priority)
{
    uint32_t taken = 0;
    struct ryz_event event = {.kind = RYZ_EV_ARRIVE,
                              .deadline_ns = RYZ_TIME_NEVER,
                              .prompt_tokens = prompt,
                              .output_tokens_max = 8,
                              .permille = count - 1,
                              .priority = priority};
    rig.now_ns += RYZ_NS_PER_US;
    event.t_ns = rig.now_ns;
    for (; taken < count; taken++) {
        event.request_id = first + taken;
        effects[taken] = ryz_core_feed(rig.core, &event);
        if (effects[taken].kind != RYZ_EFFECT_ADMITTED) break;
        event.permille = 0;
        event.flags = RYZ_EVF_CHOICE;
        event.slot = effects[0].slot;
    }
    return taken;
}

static const uint32_t *blocks_of(uint32_t choice, uint32_t expected)
{
    uint32_t count = 0;
    const uint32_t *blocks = ryz_core_blocks(rig.core, effects[choice].slot, &count);
    cr_assert_eq(count, expected, "choice %u holds %u blocks", choice, count);
    return blocks;
}

Test(choices, start_on_the_blocks_of_the_first_and_copy_the_one_they_write)
{
    cr_assert_eq(arrive(1, 3, 10, 0), 3u);
    const struct ryz_sched_plan *plan = rig_next(&rig);
    cr_assert_eq(plan->item_count, 1u, "one computes the prompt");
    rig_step_done(&rig, 1000, false);
    (void)rig_token(&rig, 1, effects[0].slot, false);
    plan = rig_next(&rig);
    cr_assert_eq(plan->run_count, 3u);
    for (uint64_t id = 2; id <= 3; id++) {
        const struct ryz_plan_item *item = rig_item(plan, id);
        cr_assert(item->first_position == 9 && item->tokens == 1 && item->samples);
    }
    const uint32_t *a = blocks_of(0, 3), *b = blocks_of(1, 3), *c = blocks_of(2, 3);
    cr_assert(a[0] == b[0] && b[0] == c[0] && a[1] == b[1] && b[1] == c[1]);
    cr_assert(a[2] != b[2] && b[2] != c[2] && a[2] != c[2]);
    uint32_t copies = 0;
    const struct ryz_kv_copy *copy = ryz_core_copies(rig.core, &copies);
    cr_assert_eq(copies, 2u, "three owners of a block that is not full");
    cr_assert(copy[0].kind == RYZ_KV_COPY_WITHIN && copy[0].from == copy[1].from);
    struct ryz_core_stats stats = ryz_core_stats(rig.core);
    cr_assert_eq(stats.kv_blocks_used, 2u + 3u);
    cr_assert_eq(stats.prompt_tokens_shared, 18u);
    rig_step_done(&rig, 1000, false);
    cr_assert_eq(ryz_core_stats(rig.core).prompt_tokens_computed, 12u);
}

Test(choices, leave_a_full_last_block_to_the_one_that_wrote_it)
{
    cr_assert_eq(arrive(1, 2, 8, 0), 2u);
    cr_assert(rig_step(&rig));
    uint32_t full = blocks_of(0, 2)[1];
    cr_assert_not_null(rig_next(&rig));
    cr_assert_eq(blocks_of(0, 3)[1], full);
    cr_assert_neq(blocks_of(1, 2)[1], full, "its last token is computed anew");
    cr_assert_eq(blocks_of(1, 2)[0], blocks_of(0, 3)[0]);
}

Test(choices, of_a_prompt_of_one_token_share_nothing)
{
    cr_assert_eq(arrive(1, 2, 1, 0), 2u);
    cr_assert(rig_step(&rig));
    const struct ryz_sched_plan *plan = rig_next(&rig);
    cr_assert_eq(rig_item(plan, 2)->first_position, 0u);
    cr_assert_eq(ryz_core_stats(rig.core).prompt_tokens_shared, 0u);
}

Test(choices, that_wait_stand_in_nobodys_way)
{
    struct ryz_sched_limits limits = rig_limits();
    limits.prefill_chunk_max = 4;
    reopen(&limits, "fcfs");
    cr_assert_eq(arrive(1, 4, 12, 0), 4u);
    (void)rig_arrive(&rig, 9, 3, 2);
    const struct ryz_sched_plan *plan = rig_next(&rig);
    cr_assert_not_null(rig_item(plan, 9), "who came later is started beside the first choice");
    cr_assert_null(rig_item(plan, 2));
    cr_assert_eq(ryz_core_stats(rig.core).waiting, 3u);
}

Test(choices, do_not_wait_for_one_that_is_gone)
{
    struct ryz_sched_limits limits = rig_limits();
    limits.prefill_chunk_max = 4;
    reopen(&limits, "fcfs");
    cr_assert_eq(arrive(1, 3, 12, 0), 3u);
    cr_assert(rig_step(&rig));
    (void)rig_cancel(&rig, 1, effects[0].slot);
    const struct ryz_sched_plan *plan = rig_next(&rig);
    cr_assert_eq(rig_item(plan, 2)->first_position, 0u, "the next one computes the prompt");
    cr_assert_null(rig_item(plan, 3));
    rig_step_done(&rig, 1000, false);
    (void)rig_cancel(&rig, 2, effects[1].slot);
    cr_assert_eq(rig_item(rig_next(&rig), 3)->first_position, 0u);
    rig_step_done(&rig, 1000, false);
    cr_assert_geq(rig_drain(&rig, 100), 9u);
    cr_assert_eq(ryz_core_stats(rig.core).finished, 1u);
}

Test(choices, start_on_any_that_has_the_prompt)
{
    struct ryz_sched_limits limits = rig_limits();
    limits.batch_requests_max = 2;
    reopen(&limits, "fcfs");
    cr_assert_eq(arrive(1, 3, 9, 0), 3u);
    cr_assert(rig_step(&rig) && rig_step(&rig));
    (void)rig_cancel(&rig, 1, effects[0].slot);
    const struct ryz_sched_plan *plan = rig_next(&rig);
    cr_assert_eq(rig_item(plan, 3)->first_position, 8u);
    cr_assert_eq(blocks_of(2, 3)[1], blocks_of(1, 3)[1]);
}

Test(choices, of_one_that_keeps_running_give_their_own_blocks_only)
{
    struct ryz_sched_limits limits = rig_limits();
    limits.kv_blocks = 3 + 3 + 3;
    limits.context_tokens_max = 28;
    reopen(&limits, "fcfs");
    cr_assert_eq(arrive(1, 2, 14, 0), 2u);
    cr_assert(rig_step(&rig) && rig_step(&rig));
    cr_assert_eq(ryz_core_stats(rig.core).kv_blocks_used, 3u + 2u);
    (void)rig_drain(&rig, 100);
    struct ryz_core_stats stats = ryz_core_stats(rig.core);
    cr_assert(stats.finished == 2 && stats.preempted == 0, "22 tokens each, 12 of them shared");
}

Test(choices, are_admitted_all_or_none)
{
    cr_assert_eq(arrive(1, 9, 2, 0), 0u, "the queue holds 8");
    cr_assert_eq(effects[0].kind, RYZ_EFFECT_REJECTED_FULL);
    cr_assert_eq(arrive(11, 8, 2, 0), 8u);
    cr_assert_eq(arrive(21, 1, 2, 0), 0u);
    struct ryz_core_stats stats = ryz_core_stats(rig.core);
    cr_assert(stats.waiting == 8 && stats.rejected == 2 && stats.arrived == 10);
}

Test(choices, count_the_prompt_of_each_in_the_queue)
{
    struct ryz_sched_limits limits = rig_limits();
    limits.queue_tokens_max = 20;
    reopen(&limits, "fcfs");
    cr_assert_eq(arrive(1, 1, 4, 0), 1u);
    cr_assert_eq(arrive(2, 3, 6, 0), 0u);
    cr_assert_eq(arrive(5, 2, 8, 0), 2u);
}

Test(choices, take_as_many_places_of_less_urgent_ones_as_they_need)
{
    struct ryz_sched_limits limits = rig_limits();
    reopen(&limits, "priority");
    for (uint64_t id = 1; id <= 7; id++) cr_assert_eq(arrive(id, 1, 2, 2), 1u);
    cr_assert_eq(arrive(11, 3, 2, 1), 3u);
    cr_assert(effects[0].displaced && effects[0].displaced_id == 7);
    cr_assert(effects[1].displaced && effects[1].displaced_id == 6);
    cr_assert_not(effects[2].displaced);
    cr_assert_eq(arrive(21, 6, 2, 2), 0u, "they displace nobody of their own class");
    cr_assert_eq(ryz_core_stats(rig.core).waiting, 8u);
}

Test(choices, keep_their_places_when_one_of_them_runs)
{
    struct ryz_sched_limits limits = rig_limits();
    limits.queue_requests_max = 2;
    limits.batch_requests_max = 1;
    reopen(&limits, "priority");
    cr_assert_eq(arrive(1, 2, 2, 2), 2u);
    cr_assert_eq(arrive(11, 2, 2, 1), 2u, "nothing of the less urgent was begun");
    cr_assert(effects[0].displaced && effects[1].displaced);
    cr_assert(rig_step(&rig));
    cr_assert_eq(arrive(21, 1, 2, 0), 1u);
    cr_assert_eq(arrive(31, 1, 2, 0), 0u, "an answer that was begun is not refused by half");
}

Test(choices, that_nobody_announced_are_refused_by_a_replay)
{
    struct ryz_event events[3] = {0};
    for (uint32_t i = 0; i < RYZ_COUNT_OF(events); i++)
        events[i] = (struct ryz_event){.kind = RYZ_EV_ARRIVE,
                                       .request_id = i,
                                       .deadline_ns = RYZ_TIME_NEVER,
                                       .prompt_tokens = 4,
                                       .output_tokens_max = 4,
                                       .flags = i > 0 ? RYZ_EVF_CHOICE : 0};
    events[0].permille = 1;
    cr_assert_eq(ryz_event_log_replay(&rig.config, events, 2, NULL, NULL, NULL), RYZ_OK);
    cr_assert_eq(ryz_event_log_replay(&rig.config, events, 3, NULL, NULL, NULL), RYZ_CORRUPT);
    events[1].prompt_tokens = 5;
    cr_assert_eq(ryz_event_log_replay(&rig.config, events, 2, NULL, NULL, NULL), RYZ_CORRUPT);
    events[1] = events[0];
    events[0].permille = RYZ_CHOICES_MAX;
    cr_assert_eq(ryz_event_log_replay(&rig.config, events, 1, NULL, NULL, NULL), RYZ_CORRUPT);
}
