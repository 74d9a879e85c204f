/*
 * core_check.c - what a core refuses to believe.
 *
 * The same checks serve two callers: the live driver, whose impossible event is a bug and aborts,
 * and the replay of a log from outside, whose impossible event is reported. So they must cover
 * everything that core.c asserts later.
 */
#include "engine/base/clock.h"
#include "engine/sched/core_internal.h"

#include <stddef.h>

/* Slots are allocated at open; a million waiting requests is beyond any use. */
#define QUEUE_REQUESTS_MAX (UINT32_C(1) << 20)

const char *ryz_core_limits_fault(const struct ryz_sched_limits *limits)
{
    if (limits->batch_requests_max == 0 || limits->batch_requests_max > RYZ_BATCH_MAX)
        return "batch_requests_max must be 1 to 256";
    if (limits->batch_tokens_max == 0) return "batch_tokens_max must be at least 1";
    if (limits->prefill_chunk_max == 0) return "prefill_chunk_max must be at least 1";
    if (limits->kv_block_tokens == 0) return "kv_block_tokens must be at least 1";
    if (limits->kv_blocks == 0 || limits->kv_blocks > RYZ_KV_BLOCKS_MAX)
        return "kv_blocks must be 1 to 67108864";
    if ((uint64_t)limits->kv_blocks * limits->kv_block_tokens > UINT32_MAX)
        return "the KV pool must hold fewer than 2^32 tokens";
    if (limits->kv_host_blocks > RYZ_KV_BLOCKS_MAX) return "kv_host_blocks must be 0 to 67108864";
    if (limits->queue_requests_max == 0 || limits->queue_requests_max > QUEUE_REQUESTS_MAX)
        return "queue_requests_max must be 1 to 1048576";
    if (limits->context_tokens_max < 2) return "context_tokens_max must be at least 2";
    if (limits->step_ns_max <= 0) return "step_ns_max must be positive";
    if (limits->itl_target_ns < 0) return "itl_target_ns must not be negative";
    if (limits->queue_wait_ns_max < 0) return "queue_wait_ns_max must not be negative";
    if ((unsigned)limits->admit >= RYZ_ADMIT_COUNT) return "admit must be 0, 1 or 2";
    if (limits->draft_tokens_max > RYZ_DRAFT_MAX) return "draft_tokens_max must be 0 to 8";
    if (limits->starve_ns < 0) return "starve_ns must not be negative";
    return NULL;
}

struct ryz_sched_limits ryz_core_limits_after(const struct ryz_sched_limits *limits,
                                              const struct ryz_event *event)
{
    struct ryz_sched_limits after = *limits;
    if (event->prompt_tokens != 0) after.batch_requests_max = event->prompt_tokens;
    if (event->output_tokens_max != 0) after.batch_tokens_max = event->output_tokens_max;
    if (event->permille != 0) after.prefill_chunk_max = event->permille;
    if (event->duration_ns != 0) after.step_ns_max = event->duration_ns;
    return after;
}

/* Whether the last plan sampled a token of this request, which has ended since. */
static bool was_sampled(const struct ryz_core *core, const struct ryz_event *event)
{
    for (uint32_t i = 0; i < core->plan.item_count; i++) {
        const struct ryz_plan_item *item = &core->plan.items[i];
        if (item->slot == event->slot && item->request_id == event->request_id)
            return item->action == RYZ_ACT_RUN && item->samples;
    }
    return false;
}

static const char *token_fault(const struct ryz_core *core, const struct ryz_event *event)
{
    if (event->slot >= core->table.slot_count) return "a token for a slot that does not exist";
    if (core->step_in_flight) return "a token before its step is done";
    if (core->step_failed) return "a token of a failed step";
    if (event->output_tokens_max > RYZ_DRAFT_MAX) return "more proposals than are allowed";
    const struct ryz_request *request = &core->table.requests[event->slot];
    if (request->state != RYZ_SLOT_FREE && request->view.id == event->request_id) {
        if (!request->token_due) return "a token that the last step did not sample";
        bool accepted = (event->flags & RYZ_EVF_ACCEPTED) != 0;
        return accepted && request->drafts_left == 0 ? "a proposal accepted that was not made"
                                                     : NULL;
    }
    return was_sampled(core, event) ? NULL : "a token for a request outside the last plan";
}

static const char *arrive_fault(const struct ryz_core *core, const struct ryz_event *event)
{
    if (event->prompt_tokens == 0) return "an arrival without a prompt";
    if (event->output_tokens_max == 0) return "an arrival that wants no output";
    if (event->deadline_ns < 0 || event->first_deadline_ns < 0) return "a negative deadline";
    if (event->tenant >= RYZ_TENANTS_MAX) return "an arrival of a tenant past the last one";
    return ryz_core_choice_fault(core, event);
}

const char *ryz_core_event_fault(const struct ryz_core *core, const struct ryz_event *event)
{
    struct ryz_sched_limits after;
    if (event->t_ns < 0) return "an event from before the clock began";
    if (event->t_ns < core->last_ns) return "an event from before the last one";
    switch (event->kind) {
    case RYZ_EV_ARRIVE:
        return arrive_fault(core, event);
    case RYZ_EV_PLAN:
        if (core->step_in_flight) return "a plan while a step is in flight";
        return core->tokens_due > 0 ? "a plan while tokens of the last step are due" : NULL;
    case RYZ_EV_STEP_DONE:
        if (!core->step_in_flight) return "a step is done that was not planned";
        return event->duration_ns < 0 ? "a step of negative duration" : NULL;
    case RYZ_EV_TOKEN:
        return token_fault(core, event);
    case RYZ_EV_CANCEL:
        return event->slot < core->table.slot_count ? NULL
                                                    : "a cancel for a slot that does not exist";
    case RYZ_EV_LIMITS:
        after = ryz_core_limits_after(&core->limits, event);
        return ryz_core_limits_fault(&after);
    case RYZ_EV_FAULT:
        return event->permille <= 1000 ? NULL : "a fault of more than 1000 permille";
    case RYZ_EV_HASHES:
        return ryz_core_hashes_fault(core, event);
    default:
        return "an event of unknown kind";
    }
}
