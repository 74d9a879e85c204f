/*
 * core_admit.c - whether an arrival is taken, and how long it would wait.
 *
 * Leaves to others: the estimate itself (admission.c). Every bound of the queue has its answer
 * here: too long, full (requests, tokens, believed wait), too late.
 */
#include "engine/base/clock.h"
#include "engine/sched/core_internal.h"

#define COUNT_MAX 4096u /* waiting requests that are looked at one by one: some 4 us */

/* What goes before a request with this key: all that runs, and the waiting ones before it. Tenants'
 * turns are not foreseen; in a fair group everybody queued counts, and so it is in a very long
 * queue, where counting would cost more than the answer is worth. */
static struct ryz_load load_before(const struct ryz_core *core, const struct ryz_order_key *key)
{
    struct ryz_load load = {.running = core->table.running_count};
    for (uint32_t i = 0; i < core->table.running_count; i++) {
        const struct ryz_request_view *view = &core->table.requests[core->table.running[i]].view;
        uint32_t total = view->prompt_tokens + view->decoded_tokens;
        if (total > view->computed_tokens + 1) load.prefill_left += total - view->computed_tokens;
    }
    uint32_t waiting = ryz_wait_queue_count(&core->queue);
    if (waiting > COUNT_MAX) {
        load.ahead = waiting;
        load.ahead_tokens = core->waiting_tokens;
        return load;
    }
    for (uint32_t i = 0; i < waiting; i++) {
        const struct ryz_wait_entry *entry = ryz_wait_queue_at(&core->queue, i);
        bool behind = entry->key.first > key->first ||
                      (entry->key.first == key->first && entry->key.second > key->second);
        if (behind) break;
        load.ahead++;
        load.ahead_tokens += entry->tokens;
    }
    return load;
}

static enum ryz_effect_kind too_late(const struct ryz_core *core,
                                     const struct ryz_request_view *view,
                                     const struct ryz_load *load, int64_t first_ns)
{
    struct ryz_sched_limits outlook = ryz_batch_control_outlook(&core->batch, &core->limits);
    struct ryz_cost_source cost = ryz_step_cost_source(&core->cost);
    if (core->limits.admit_late || first_ns == 0) return RYZ_EFFECT_NONE;
    if (view->first_deadline_ns - view->arrived_ns < first_ns) return RYZ_EFFECT_REJECTED_LATE;
    if (view->deadline_ns == RYZ_TIME_NEVER) return RYZ_EFFECT_NONE;
    int64_t rest_ns =
        ryz_wait_estimate_rest_ns(&core->waits, &outlook, &cost, load, view->output_tokens_max);
    return view->deadline_ns - view->arrived_ns - first_ns < rest_ns ? RYZ_EFFECT_REJECTED_LATE
                                                                     : RYZ_EFFECT_NONE;
}

/* Is there room in the queue for so many requests like this one, with the last *instead of the
 * queue gone, at most as many as come? Who gives up a place is of a less urgent class and has no
 * output that would be lost; the choices parked beside the queue come up one by one as the one
 * before them leaves it. */
static bool has_room(const struct ryz_core *core, const struct ryz_request_view *view,
                     const struct ryz_order_key *key, uint32_t choices, uint32_t *instead)
{
    const struct ryz_sched_limits *limits = &core->limits;
    uint64_t tokens = core->waiting_tokens + (uint64_t)choices * view->prompt_tokens;
    uint32_t waiting = core->table.waiting_count, slots = core->table.free_slot_count;
    uint32_t queued = ryz_wait_queue_count(&core->queue), giving = 0;
    for (*instead = 0; *instead <= choices; ++*instead) {
        uint32_t left = waiting - *instead;
        bool full = left + choices > limits->queue_requests_max || slots + *instead < choices;
        /* A prompt longer than the bound is taken when nobody waits, or it never would be. */
        bool heavy = limits->queue_tokens_max > 0 && left > 0 && tokens > limits->queue_tokens_max;
        if (!full && !heavy) return true;
        if (giving == 0 && queued == 0) return false;
        if (giving == 0)
            giving = ryz_core_choices_behind(core, ryz_wait_queue_at(&core->queue, --queued)->slot,
                                             key->first);
        if (giving-- == 0) return false;
        tokens -= ryz_wait_queue_at(&core->queue, queued)->tokens;
    }
    return false;
}

enum ryz_effect_kind ryz_core_refusal(const struct ryz_core *core,
                                      const struct ryz_request_view *view, uint32_t choices,
                                      int64_t *first_ns, uint32_t *instead)
{
    const struct ryz_sched_limits *limits = &core->limits;
    uint64_t tokens = (uint64_t)view->prompt_tokens + view->output_tokens_max;
    uint64_t pool = (uint64_t)ryz_kv_partitions_reach(&core->partitions, view->tenant) *
                    limits->kv_block_tokens;
    *first_ns = 0;
    *instead = 0;
    if (tokens > limits->context_tokens_max || tokens > pool) return RYZ_EFFECT_REJECTED_TOO_LONG;
    struct ryz_order_key key = core->policy->key(view);
    struct ryz_cost_source cost = ryz_step_cost_source(&core->cost);
    struct ryz_load load = load_before(core, &key);
    uint32_t to_compute = view->prompt_tokens - ryz_core_staged_tokens(core, view);
    struct ryz_sched_limits outlook = ryz_batch_control_outlook(&core->batch, limits);
    *first_ns = ryz_wait_estimate_first_ns(&core->waits, &outlook, &cost, &load, to_compute);
    bool idle = core->table.running_count + core->table.waiting_count == 0;
    if (!has_room(core, view, &key, choices, instead)) return RYZ_EFFECT_REJECTED_FULL;
    if (limits->queue_wait_ns_max > 0 && !idle && *first_ns > limits->queue_wait_ns_max)
        return RYZ_EFFECT_REJECTED_FULL;
    return too_late(core, view, &load, *first_ns);
}
