/*
 * core_admit.c - whether an arrival is taken, and how long it would wait.
 *
 * Leaves to others: the estimate itself (admission.c). Every bound of the queue has its answer
 * here: too long, full (requests, tokens, believed wait), too late.
 */
#include "engine/base/clock.h"
#include "engine/sched/core_internal.h"

/* Waiting requests that are looked at one by one: some 30 us where 256 run at once. Behind a longer
 * queue the answer is not worth more. */
#define COUNT_MAX 1024u

struct ahead {
    const struct ryz_wait_model *model;
    struct ryz_load *load;
};

static void add_ahead(void *context, const struct ryz_wait_entry *entry)
{
    const struct ahead *ahead = context;
    ryz_load_add_waiting(ahead->load, ahead->model, entry->tokens, entry->output_left);
}

/* What goes before a request: all that runs, and the waiting ones that are believed to be started
 * before it; all of them in a very long queue. */
static void load_before(const struct ryz_core *core, const struct ryz_request_view *view,
                        const struct ryz_sched_limits *limits, struct ryz_load *load)
{
    const struct ryz_wait_model *model = &core->waits;
    ryz_load_init(load, model, limits, core->table.running_count);
    for (uint32_t i = 0; i < core->table.running_count; i++) {
        const struct ryz_request_view *other = &core->table.requests[core->table.running[i]].view;
        uint32_t total = other->prompt_tokens + other->decoded_tokens;
        uint32_t left = total - other->computed_tokens;
        ryz_load_add_running(load, model, left > 1 ? left : 0,
                             other->output_tokens_max - other->decoded_tokens);
    }
    uint32_t waiting = ryz_wait_queue_count(&core->queue);
    if (waiting > COUNT_MAX) {
        ryz_load_add_crowd(load, model, waiting, core->waiting_tokens);
        return;
    }
    struct ahead ahead = {.model = model, .load = load};
    struct ryz_wait_newcomer newcomer = {.key = core->policy->key(view),
                                         .service = core->share.service,
                                         .own_service =
                                             ryz_fair_share_on_arrival(&core->share, view->tenant),
                                         .used_share = ryz_wait_used_share(model),
                                         .tenant = view->tenant};
    ryz_wait_queue_before(&core->queue, &newcomer, add_ahead, &ahead);
}

static enum ryz_effect_kind too_late(const struct ryz_core *core,
                                     const struct ryz_request_view *view,
                                     const struct ryz_estimate *estimate)
{
    if (core->limits.admit_late || estimate->first_ns == 0) return RYZ_EFFECT_NONE;
    int64_t first_ns = estimate->first_ns, rest_ns = 0;
    if (view->first_deadline_ns - view->arrived_ns < first_ns) return RYZ_EFFECT_REJECTED_LATE;
    if (view->deadline_ns == RYZ_TIME_NEVER) return RYZ_EFFECT_NONE;
    if (__builtin_mul_overflow(estimate->token_ns, (int64_t)view->output_tokens_max - 1, &rest_ns))
        return RYZ_EFFECT_REJECTED_LATE;
    return view->deadline_ns - view->arrived_ns - first_ns < rest_ns ? RYZ_EFFECT_REJECTED_LATE
                                                                     : RYZ_EFFECT_NONE;
}

static struct ryz_estimate estimate_of(const struct ryz_core *core,
                                       const struct ryz_request_view *view)
{
    struct ryz_load load;
    struct ryz_sched_limits outlook = ryz_batch_control_outlook(&core->batch, &core->limits);
    struct ryz_cost_source cost = ryz_step_cost_source(&core->cost);
    uint32_t tokens = view->prompt_tokens - ryz_core_staged_tokens(core, view);
    load_before(core, view, &outlook, &load);
    return (struct ryz_estimate){
        .first_ns = ryz_wait_estimate_first_ns(&core->waits, &outlook, &cost, &load, view, tokens),
        .token_ns = ryz_wait_estimate_token_ns(&core->waits, &outlook, &cost, &load)};
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
                                      struct ryz_estimate *estimate, uint32_t *instead)
{
    const struct ryz_sched_limits *limits = &core->limits;
    uint64_t tokens = (uint64_t)view->prompt_tokens + view->output_tokens_max;
    uint64_t pool = (uint64_t)ryz_kv_partitions_reach(&core->partitions, view->tenant) *
                    limits->kv_block_tokens;
    *estimate = (struct ryz_estimate){0};
    *instead = 0;
    if (tokens > limits->context_tokens_max || tokens > pool) return RYZ_EFFECT_REJECTED_TOO_LONG;
    struct ryz_order_key key = core->policy->key(view);
    *estimate = estimate_of(core, view);
    bool idle = core->table.running_count + core->table.waiting_count == 0;
    if (!has_room(core, view, &key, choices, instead)) return RYZ_EFFECT_REJECTED_FULL;
    if (limits->queue_wait_ns_max > 0 && !idle && estimate->first_ns > limits->queue_wait_ns_max)
        return RYZ_EFFECT_REJECTED_FULL;
    return too_late(core, view, estimate);
}
