/* core_rig.c - the hand-driven core of these tests. */
#include "tests/unit/sched/core_rig.h"

#include "engine/base/clock.h"

#include <criterion/criterion.h>

struct ryz_sched_limits rig_limits(void)
{
    return (struct ryz_sched_limits){
        .batch_requests_max = 4,
        .batch_tokens_max = 64,
        .prefill_chunk_max = 64,
        .kv_block_tokens = 4,
        .kv_blocks = 16,
        .queue_requests_max = 8,
        .context_tokens_max = 64,
        .step_ns_max = RYZ_TIME_NEVER,
    };
}

static void log_event(void *context, const struct ryz_event *event)
{
    struct rig *rig = context;
    cr_assert_lt(rig->log_count, (size_t)RIG_EVENTS_MAX);
    rig->log[rig->log_count++] = *event;
}

void rig_open_policy(struct rig *rig, const struct ryz_sched_limits *limits, const char *policy)
{
    struct ryz_error error;
    rig->now_ns = 0;
    rig->log_count = 0;
    rig->config = (struct ryz_core_config){
        .limits = *limits, .policy = policy, .seed = 42, .log = log_event, .log_context = rig};
    cr_assert_eq(ryz_core_open(&rig->config, &rig->core, &error), RYZ_OK, "%s", error.text);
}

void rig_open(struct rig *rig, const struct ryz_sched_limits *limits)
{
    rig_open_policy(rig, limits, "fcfs");
}

void rig_close(struct rig *rig)
{
    ryz_core_close(rig->core);
}

static struct ryz_effect feed(struct rig *rig, struct ryz_event event)
{
    rig->now_ns += RYZ_NS_PER_US;
    event.t_ns = rig->now_ns;
    return ryz_core_feed(rig->core, &event);
}

struct ryz_effect rig_arrive(struct rig *rig, uint64_t id, uint32_t prompt, uint32_t output)
{
    return feed(rig, (struct ryz_event){.kind = RYZ_EV_ARRIVE,
                                        .request_id = id,
                                        .deadline_ns = RYZ_TIME_NEVER,
                                        .prompt_tokens = prompt,
                                        .output_tokens_max = output});
}

struct ryz_effect rig_cancel(struct rig *rig, uint64_t id, uint32_t slot)
{
    return feed(rig, (struct ryz_event){.kind = RYZ_EV_CANCEL, .request_id = id, .slot = slot});
}

struct ryz_effect rig_token(struct rig *rig, uint64_t id, uint32_t slot, bool end)
{
    return feed(rig, (struct ryz_event){.kind = RYZ_EV_TOKEN,
                                        .request_id = id,
                                        .slot = slot,
                                        .flags = end ? RYZ_EVF_END : 0});
}

void rig_step_done(struct rig *rig, int64_t duration_ns, bool failed)
{
    (void)feed(rig, (struct ryz_event){.kind = RYZ_EV_STEP_DONE,
                                       .duration_ns = duration_ns,
                                       .flags = failed ? RYZ_EVF_FAILED : 0});
}

void rig_fault(struct rig *rig, uint32_t permille)
{
    (void)feed(rig, (struct ryz_event){.kind = RYZ_EV_FAULT, .permille = permille});
}

const struct ryz_sched_plan *rig_next(struct rig *rig)
{
    rig->now_ns += RYZ_NS_PER_US;
    return ryz_core_next(rig->core, rig->now_ns);
}

bool rig_step(struct rig *rig)
{
    const struct ryz_sched_plan *plan = rig_next(rig);
    if (plan == NULL) return false;
    rig_step_done(rig, 1000, false);
    for (uint32_t i = 0; i < plan->item_count; i++) {
        const struct ryz_plan_item *item = &plan->items[i];
        if (item->samples) (void)rig_token(rig, item->request_id, item->slot, false);
    }
    return true;
}

uint32_t rig_drain(struct rig *rig, uint32_t limit)
{
    uint32_t steps = 0;
    while (steps < limit && rig_step(rig)) steps++;
    return steps;
}

const struct ryz_plan_item *rig_item(const struct ryz_sched_plan *plan, uint64_t id)
{
    for (uint32_t i = 0; i < plan->item_count; i++) {
        if (plan->items[i].request_id == id) return &plan->items[i];
    }
    return NULL;
}
