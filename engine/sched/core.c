/*
 * core.c - opens a core and applies events to it.
 *
 * Leaves to others: refusing impossible events (core_check.c), planning (core_plan.c), order and
 * places (request_table.c), blocks (kv_ledger.c). The one idea: nothing is read here but the state
 * and the event, so the same events give the same state on every machine.
 */
#include "engine/sched/core.h"

#include "engine/base/assert.h"
#include "engine/base/clock.h"
#include "engine/base/hash.h"
#include "engine/base/size.h"
#include "engine/sched/core_internal.h"
#include "engine/sched/policy.h"

#include <stdio.h>
#include <stdlib.h>

#define HEADROOM_DECAY 32u /* each running request that ends takes a part in so many of it */

/* The list of copies, and the host tier that needs it. A plan hands out no block twice: each is
 * the target of one copy at most, and with a host tier the source of one before. */
static enum ryz_status open_copies(struct ryz_core *core, struct ryz_error *error)
{
    uint32_t host_blocks = core->limits.kv_host_blocks;
    struct ryz_kv_copies *copies = &core->copies;
    copies->count_max = core->limits.kv_blocks * (host_blocks > 0 ? 2 : 1);
    copies->entries = malloc(copies->count_max * sizeof *copies->entries);
    if (copies->entries == NULL)
        return ryz_fail(error, RYZ_NO_MEMORY, "no memory for %u block copies", copies->count_max);
    if (host_blocks == 0) return RYZ_OK;
    return ryz_kv_ledger_add_host(core->ledger, host_blocks, copies, error);
}

static enum ryz_status open_partitions(struct ryz_core *core, const struct ryz_core_config *config,
                                       uint32_t slots, struct ryz_error *error)
{
    struct ryz_kv_partitions *partitions = &core->partitions;
    enum ryz_status status = ryz_kv_partitions_init(partitions, core->limits.kv_blocks,
                                                    config->shares, config->share_count, error);
    if (status != RYZ_OK || partitions->count == 0) return status;
    core->queues = calloc(partitions->count, sizeof *core->queues);
    if (core->queues == NULL)
        return ryz_fail(error, RYZ_NO_MEMORY, "no memory for queues of KV partitions");
    for (uint32_t i = 1; i < partitions->count && status == RYZ_OK; i++)
        status = ryz_wait_queue_open(&core->queues[i], slots, false, error);
    return status;
}

static enum ryz_status open_parts(struct ryz_core *core, const struct ryz_core_config *config,
                                  struct ryz_error *error)
{
    const struct ryz_sched_limits *limits = &core->limits;
    uint32_t pool_tokens = limits->kv_blocks * limits->kv_block_tokens; /* checked before */
    uint32_t longest = ryz_min_u32(limits->context_tokens_max, pool_tokens);
    uint32_t slots = limits->queue_requests_max + limits->batch_requests_max;
    enum ryz_status status = ryz_kv_ledger_open(limits->kv_blocks, &core->ledger, error);
    if (status == RYZ_OK)
        status = ryz_wait_queue_open(&core->queue, slots, core->policy->fair, error);
    if (status == RYZ_OK) status = open_partitions(core, config, slots, error);
    if (status != RYZ_OK) return status;
    status = open_copies(core, error);
    if (status != RYZ_OK) return status;
    return ryz_request_table_open(&core->table, slots,
                                  ryz_ceil_div_u32(longest, limits->kv_block_tokens), error);
}

enum ryz_status ryz_core_open(const struct ryz_core_config *config, struct ryz_core **out,
                              struct ryz_error *error)
{
    *out = NULL;
    const char *fault = ryz_core_limits_fault(&config->limits);
    if (fault != NULL) return ryz_fail(error, RYZ_INVALID, "scheduler limits: %s", fault);
    if (config->limits.kv_host_blocks > 0 && !config->prefix_cache)
        return ryz_fail(error, RYZ_INVALID,
                        "%u host blocks keep what the prefix cache evicts, but it is off: "
                        "switch it on, or ask for no host memory",
                        config->limits.kv_host_blocks);
    const struct ryz_sched_policy *policy =
        config->policy == NULL ? NULL : ryz_sched_policy_find(config->policy);
    if (policy == NULL)
        return ryz_fail(error, RYZ_INVALID, "no scheduler is called \"%s\"; there are %s",
                        config->policy == NULL ? "" : config->policy, RYZ_POLICY_NAMES);
    struct ryz_core *core = calloc(1, sizeof *core);
    if (core == NULL) return ryz_fail(error, RYZ_NO_MEMORY, "no memory for a scheduler core");
    core->limits = config->limits;
    core->policy = policy;
    core->seed = config->seed;
    core->log = config->log;
    core->log_context = config->log_context;
    core->last_ns = RYZ_TIME_NONE;
    core->wake_ns = RYZ_TIME_NEVER;
    ryz_core_drafts_init(core);
    ryz_step_cost_init(&core->cost);
    ryz_wait_model_init(&core->waits);
    ryz_batch_control_init(&core->batch);
    enum ryz_status status = open_parts(core, config, error);
    if (status == RYZ_OK) status = ryz_core_prefix_open(core, config->prefix_cache, error);
    if (status != RYZ_OK) {
        ryz_core_close(core);
        return status;
    }
    *out = core;
    return RYZ_OK;
}

void ryz_core_close(struct ryz_core *core)
{
    if (core == NULL) return;
    ryz_core_prefix_close(core);
    ryz_request_table_close(&core->table);
    ryz_wait_queue_close(&core->queue);
    for (uint32_t i = 1; core->queues != NULL && i < core->partitions.count; i++)
        ryz_wait_queue_close(&core->queues[i]);
    free(core->queues);
    ryz_kv_ledger_close(core->ledger);
    free(core->copies.entries);
    free(core);
}

uint32_t ryz_core_slot_count(const struct ryz_core *core)
{
    return core->table.slot_count;
}

void ryz_core_release_blocks(struct ryz_core *core, uint32_t slot)
{
    struct ryz_request *request = &core->table.requests[slot];
    if (request->state != RYZ_SLOT_RUNNING) {
        RYZ_ASSERT(request->view.kv_blocks == 0);
        return;
    }
    uint32_t free_before = ryz_kv_ledger_free_count(core->ledger);
    ryz_kv_ledger_release_all(core->ledger, ryz_request_table_blocks(&core->table, slot),
                              request->view.kv_blocks);
    ryz_core_charge(core, slot, free_before);
    request->view.kv_blocks = 0;
}

void ryz_core_charge(struct ryz_core *core, uint32_t slot, uint32_t free_before)
{
    int64_t blocks = (int64_t)free_before - ryz_kv_ledger_free_count(core->ledger);
    if (blocks == 0) return;
    ryz_kv_partitions_charge(&core->partitions, core->table.requests[slot].view.tenant, blocks);
}

void ryz_core_note_decision(struct ryz_core *core, const void *data, size_t size)
{
    core->digest = ryz_hash64_extend(core->digest, data, size);
}

/* A request leaves: blocks, block table and slot are free again. Returns what it has cost. */
static struct ryz_waste end_request(struct ryz_core *core, uint32_t slot)
{
    struct ryz_waste waste = core->table.requests[slot].waste;
    waste.preemptions = core->table.requests[slot].view.preemptions;
    if (core->table.requests[slot].state == RYZ_SLOT_RUNNING)
        core->headroom_permille -= ryz_ceil_div_u32(core->headroom_permille, HEADROOM_DECAY);
    waste.rejected_tokens += core->table.requests[slot].drafts_left;
    if (core->table.requests[slot].token_due) {
        RYZ_ASSERT(core->tokens_due > 0);
        core->tokens_due--;
    }
    ryz_core_release_blocks(core, slot);
    if (core->table.requests[slot].state == RYZ_SLOT_WAITING) ryz_core_dequeue(core, slot);
    ryz_request_table_end(&core->table, slot);
    ryz_core_leave_choices(core, slot);
    return waste;
}

static struct ryz_request_view view_of(const struct ryz_core *core, const struct ryz_event *event)
{
    return (struct ryz_request_view){
        .id = event->request_id,
        .arrived_ns = event->t_ns,
        .first_deadline_ns =
            event->first_deadline_ns != 0 ? event->first_deadline_ns : RYZ_TIME_NEVER,
        .deadline_ns = event->deadline_ns,
        .prompt_tokens = event->prompt_tokens,
        .output_tokens_max = event->output_tokens_max,
        .tenant = event->tenant,
        .partition = core->partitions.number_of[event->tenant],
        .priority = event->priority,
    };
}

/* The last of the queue is refused after all, for a more urgent one. */
static void displace_waiting(struct ryz_core *core, struct ryz_effect *effect)
{
    uint32_t queued = ryz_wait_queue_count(&core->queue);
    uint32_t slot = ryz_wait_queue_at(&core->queue, queued - 1)->slot;
    RYZ_ASSERT(core->displacements_due > 0);
    core->displacements_due--;
    effect->displaced = true;
    effect->displaced_slot = slot;
    effect->displaced_id = core->table.requests[slot].view.id;
    uint64_t decision[2] = {effect->displaced_id, RYZ_EFFECT_REJECTED_FULL};
    ryz_core_note_decision(core, decision, sizeof decision);
    core->stats.rejected++;
    effect->waste = end_request(core, slot);
    core->stats.tokens_unused += effect->waste.computed_tokens;
}

static struct ryz_effect arrive(struct ryz_core *core, const struct ryz_event *event)
{
    struct ryz_request_view view = view_of(core, event);
    struct ryz_estimate estimate = {0};
    bool first = (event->flags & RYZ_EVF_CHOICE) == 0;
    enum ryz_effect_kind refused = first ? ryz_core_refusal(core, &view, 1 + event->permille,
                                                            &estimate, &core->displacements_due)
                                         : RYZ_EFFECT_NONE;
    core->stats.arrived++;
    core->choices_due = first ? 0 : core->choices_due - 1;
    if (refused != RYZ_EFFECT_NONE) {
        uint64_t decision[2] = {event->request_id, refused};
        ryz_core_note_decision(core, decision, sizeof decision);
        core->stats.rejected++;
        core->stats.rejected_late += refused == RYZ_EFFECT_REJECTED_LATE;
        ryz_core_give_hashes(core, event->request_id, RYZ_SLOT_NONE);
        return (struct ryz_effect){
            .kind = refused, .slot = RYZ_SLOT_NONE, .estimate_ns = estimate.first_ns};
    }
    struct ryz_effect effect = {.kind = RYZ_EFFECT_ADMITTED, .estimate_ns = estimate.first_ns};
    if (core->displacements_due > 0) displace_waiting(core, &effect);
    uint32_t slot = effect.slot = ryz_request_table_arrive(&core->table);
    RYZ_ASSERT(slot != RYZ_SLOT_NONE);
    struct ryz_request *request = &core->table.requests[slot];
    request->key = core->policy->key(&view);
    RYZ_ASSERT(request->key.first > 0); /* 0 is for the starved */
    request->estimate = estimate;
    ryz_wait_model_learn_start(&core->waits, view.prompt_tokens, view.output_tokens_max);
    request->accept = core->accept;
    view.slot = slot;
    view.urgency = request->key.first;
    request->view = view;
    if (first) {
        ryz_core_give_hashes(core, event->request_id, slot);
        core->choices_due = event->permille;
        core->choices_slot = slot;
    } else {
        ryz_core_copy_hashes(core, event->slot, slot);
        ryz_core_join_choices(core, slot, event->slot);
    }
    ryz_core_enqueue(core, slot);
    return effect;
}

/* Books what one item of the step has computed. */
static void book_item(struct ryz_core *core, const struct ryz_plan_item *item)
{
    struct ryz_request *request = &core->table.requests[item->slot];
    /* 0: it was cancelled meanwhile, and its slot may serve another one. */
    if (request->planned_tokens == 0) return;
    RYZ_ASSERT(request->view.id == item->request_id);
    RYZ_ASSERT(request->view.computed_tokens == item->first_position);
    uint32_t begin = item->first_position, end = begin + item->tokens - item->drafts;
    uint32_t prompt_end = ryz_min_u32(end, request->view.prompt_tokens);
    uint32_t again_end = ryz_min_u32(end, request->computed_high);
    request->waste.computed_tokens += item->tokens;
    if (prompt_end > begin) core->stats.prompt_tokens_computed += prompt_end - begin;
    if (again_end > begin) {
        core->stats.tokens_recomputed += again_end - begin;
        request->waste.recomputed_tokens += again_end - begin;
    }
    if (end > request->computed_high) request->computed_high = end;
    request->view.computed_tokens = end;
    ryz_core_publish(core, item->slot);
    if (end >= request->view.prompt_tokens && begin < request->view.prompt_tokens)
        ryz_core_settle_choices(core, item->slot);
    if (item->samples) {
        request->drafts_planned = request->drafts_left = (uint8_t)item->drafts;
        request->token_due = true;
        core->tokens_due++;
    }
}

/* Cost fit and batch size learn from the step that is done. */
static void learn_step(struct ryz_core *core, int64_t duration_ns)
{
    const struct ryz_request_table *table = &core->table;
    struct ryz_cost_source cost = ryz_step_cost_source(&core->cost);
    uint64_t context = 0;
    ryz_step_cost_learn(&core->cost, &core->plan.shape, duration_ns);
    if (core->limits.itl_target_ns == 0 || table->running_count == 0) return;
    for (uint32_t i = 0; i < table->running_count; i++) {
        const struct ryz_request_view *view = &table->requests[table->running[i]].view;
        context += view->prompt_tokens + view->decoded_tokens;
    }
    struct ryz_batch_step step = {.duration_ns = duration_ns,
                                  .shape = &core->plan.shape,
                                  .running = table->running_count,
                                  .waiting = table->waiting_count,
                                  .context = (double)context / (double)table->running_count};
    ryz_batch_control_learn(&core->batch, &core->limits, &cost, &step);
}

static struct ryz_effect step_done(struct ryz_core *core, const struct ryz_event *event)
{
    bool failed = (event->flags & RYZ_EVF_FAILED) != 0;
    core->step_in_flight = false;
    core->step_failed = failed;
    core->stats.steps++;
    if (failed)
        core->stats.failed_steps++;
    else
        learn_step(core, event->duration_ns);
    for (uint32_t i = 0; i < core->plan.item_count; i++) {
        const struct ryz_plan_item *item = &core->plan.items[i];
        if (item->action != RYZ_ACT_RUN) continue;
        if (!failed) book_item(core, item);
        core->table.requests[item->slot].planned_tokens = 0;
    }
    return (struct ryz_effect){.kind = RYZ_EFFECT_NONE, .slot = RYZ_SLOT_NONE};
}

static void learn_end(struct ryz_core *core, const struct ryz_request *request, int64_t now_ns)
{
    uint32_t gaps = request->view.decoded_tokens - 1;
    int64_t gap_ns = gaps > 0 ? (now_ns - request->first_token_ns) / gaps : 0;
    ryz_wait_model_learn_end(&core->waits, &request->view, request->estimate.token_ns, gap_ns);
}

static struct ryz_effect token(struct ryz_core *core, const struct ryz_event *event)
{
    struct ryz_request *request = &core->table.requests[event->slot];
    struct ryz_effect effect = {.kind = RYZ_EFFECT_NONE, .slot = event->slot};
    if (request->view.id != event->request_id || !request->token_due) return effect;
    RYZ_ASSERT(request->state == RYZ_SLOT_RUNNING);
    bool accepted = (event->flags & RYZ_EVF_ACCEPTED) != 0;
    request->view.decoded_tokens++;
    request->drafts_offered = (uint8_t)event->output_tokens_max;
    if (request->view.decoded_tokens == 1) {
        request->first_token_ns = event->t_ns;
        ryz_wait_model_learn_first(&core->waits, &request->view, request->estimate.first_ns,
                                   event->t_ns - request->view.arrived_ns);
    }
    core->stats.tokens_decoded++;
    ryz_core_add_hash(core, event->slot, event->hash);
    ryz_fair_share_charge(&core->share, request->view.tenant, 0, 1);
    bool last = (event->flags & RYZ_EVF_END) != 0 ||
                request->view.decoded_tokens == request->view.output_tokens_max;
    if (accepted) {
        ryz_core_accept_draft(core, event->slot);
        ryz_core_publish(core, event->slot);
    }
    if (last || !accepted) {
        ryz_core_settle_drafts(core, event->slot, last);
        request->token_due = false;
        core->tokens_due--;
    }
    if (!last) return effect;
    learn_end(core, request, event->t_ns);
    effect.waste = end_request(core, event->slot);
    core->stats.finished++;
    effect.kind = RYZ_EFFECT_FINISHED;
    return effect;
}

static struct ryz_effect cancel(struct ryz_core *core, const struct ryz_event *event)
{
    const struct ryz_request *request = &core->table.requests[event->slot];
    struct ryz_effect effect = {.kind = RYZ_EFFECT_NONE, .slot = event->slot};
    if (request->state == RYZ_SLOT_FREE || request->view.id != event->request_id) return effect;
    /* Who leaves before his first token was due says nothing, who leaves after was late: a request
     * that is ended at its deadline must teach as one that comes after it. */
    int64_t waited_ns = event->t_ns - request->view.arrived_ns;
    if (request->view.decoded_tokens == 0 && waited_ns > request->estimate.first_ns)
        ryz_wait_model_learn_first(&core->waits, &request->view, request->estimate.first_ns,
                                   waited_ns);
    effect.waste = end_request(core, event->slot);
    core->stats.tokens_unused += effect.waste.computed_tokens;
    core->stats.cancelled++;
    effect.kind = RYZ_EFFECT_CANCELLED;
    return effect;
}

struct ryz_effect ryz_core_feed(struct ryz_core *core, const struct ryz_event *event)
{
    struct ryz_effect none = {.kind = RYZ_EFFECT_NONE, .slot = RYZ_SLOT_NONE};
    const char *fault = event->kind == RYZ_EV_PLAN ? "a PLAN is asked for, not fed"
                                                   : ryz_core_event_fault(core, event);
    if (fault != NULL) {
        (void)fprintf(stderr, "ryz: the scheduler was fed an impossible event: %s\n", fault);
        ryz_assert_fail("ryz_core_event_fault(core, event) == NULL", __FILE__, __LINE__);
    }
    if (core->log != NULL) core->log(core->log_context, event);
    core->last_ns = event->t_ns;
    if (event->kind != RYZ_EV_ARRIVE) core->choices_due = 0;
    switch ((enum ryz_event_kind)event->kind) {
    case RYZ_EV_ARRIVE:
        return arrive(core, event);
    case RYZ_EV_STEP_DONE:
        return step_done(core, event);
    case RYZ_EV_TOKEN:
        return token(core, event);
    case RYZ_EV_CANCEL:
        return cancel(core, event);
    case RYZ_EV_LIMITS:
        core->limits = ryz_core_limits_after(&core->limits, event);
        return none;
    case RYZ_EV_FAULT:
        core->fault_permille = event->permille;
        return none;
    case RYZ_EV_HASHES:
        ryz_core_stage_hashes(core, event);
        return none;
    case RYZ_EV_PLAN:
        break;
    }
    ryz_assert_fail("an event kind that the check let pass", __FILE__, __LINE__);
}

int64_t ryz_core_wake_ns(const struct ryz_core *core)
{
    return core->wake_ns;
}

const uint32_t *ryz_core_blocks(const struct ryz_core *core, uint32_t slot, uint32_t *count)
{
    RYZ_ASSERT(slot < core->table.slot_count);
    *count = 0;
    if (core->table.requests[slot].state != RYZ_SLOT_RUNNING) return NULL;
    *count = core->table.requests[slot].view.kv_blocks;
    return ryz_request_table_blocks(&core->table, slot);
}

const struct ryz_kv_copy *ryz_core_copies(const struct ryz_core *core, uint32_t *count)
{
    *count = core->copies.count;
    return core->copies.entries;
}

const struct ryz_kv_partition *ryz_core_partitions(const struct ryz_core *core, uint32_t *count)
{
    *count = core->partitions.count;
    return core->partitions.of;
}

uint64_t ryz_core_digest(const struct ryz_core *core)
{
    return core->digest;
}

/* Slots of held blocks without a token, yet or for good. Blocks that requests share are full. */
static uint64_t empty_slots(const struct ryz_core *core)
{
    uint64_t empty = 0;
    for (uint32_t i = 0; i < core->table.running_count; i++) {
        const struct ryz_request_view *view = &core->table.requests[core->table.running[i]].view;
        empty += (uint64_t)view->kv_blocks * core->limits.kv_block_tokens - view->computed_tokens;
    }
    return empty;
}

struct ryz_core_stats ryz_core_stats(const struct ryz_core *core)
{
    struct ryz_core_stats stats = core->stats;
    stats.running = core->table.running_count;
    stats.waiting = core->table.waiting_count;
    stats.batch_limit = ryz_batch_control_limits(&core->batch, &core->limits).batch_requests_max;
    stats.kv_blocks_total = ryz_kv_ledger_block_count(core->ledger);
    stats.kv_blocks_used = stats.kv_blocks_total - ryz_kv_ledger_free_count(core->ledger);
    stats.kv_slots = (uint64_t)stats.kv_blocks_used * core->limits.kv_block_tokens;
    stats.kv_slots_empty = empty_slots(core);
    stats.kv_blocks_lent = ryz_kv_partitions_lent(&core->partitions);
    struct ryz_kv_cache_stats cache = ryz_kv_ledger_cache_stats(core->ledger);
    stats.kv_blocks_cached = ryz_kv_ledger_cached_count(core->ledger);
    stats.cache_evicted_blocks = cache.evicted_blocks;
    stats.cache_missed_blocks = cache.evicted_missed_blocks;
    stats.kv_host_blocks_used = ryz_kv_ledger_host_count(core->ledger);
    stats.host_out_blocks = cache.host_out_blocks;
    stats.host_in_blocks = cache.host_in_blocks;
    stats.host_dropped_blocks = cache.host_dropped_blocks;
    return stats;
}
