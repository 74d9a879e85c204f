/*
 * core_plan.c - from the state to a plan that has been carried out: view, policy, blocks, digest.
 *
 * Leaves to others: what to run (the policy). The view holds copies of the running requests and of
 * the head of the queue only, so a step costs the same whatever waits behind. Injected failures of
 * KV allocation strike here, after the policy, as they would in a real allocator.
 */
#include "engine/base/assert.h"
#include "engine/base/clock.h"
#include "engine/base/rng.h"
#include "engine/base/size.h"
#include "engine/sched/core_internal.h"
#include "engine/sched/plan_check.h"

#include <stdio.h>

#define RETRY_NS        RYZ_NS_PER_MS /* when injected failures held everything back */
#define PASS_MAX        16u           /* requests of a partition that may pass others in one step */
#define DISPLACE_MAX    16u           /* requests that may take others' places in one step */
#define HEADROOM_STEP   20u  /* permille of the pool, for each step that preempts for blocks */
#define HEADROOM_MAX    500u /* permille: half of the pool serves whatever happens */
#define KV_FAULT_STREAM UINT64_C(0x6b76)

/* Requests that may run: as many as the controller wants, or as do already. */
static uint32_t running_max(const struct ryz_core *core, const struct ryz_sched_limits *limits)
{
    uint32_t running = core->table.running_count, most = limits->batch_requests_max;
    return most > running ? most : ryz_min_u32(running, core->limits.batch_requests_max);
}

/* Waiting requests that the policy may start in this step. */
static uint32_t window_size(const struct ryz_core *core, uint32_t most)
{
    uint32_t running = core->table.running_count;
    uint32_t places = most > running ? most - running : 0;
    if (core->policy->displaces) places = ryz_min_u32(places + DISPLACE_MAX, most);
    return ryz_min_u32(places, core->table.waiting_count);
}

/* Behind the window: the first of each partition that are not in it. Returns the number of requests
 * in the view. */
static uint32_t add_of_partitions(struct ryz_core *core, uint32_t count, uint32_t window)
{
    uint32_t slots[PASS_MAX];
    for (uint32_t p = 1; p < core->partitions.count; p++) {
        uint32_t most = ryz_min_u32(window, PASS_MAX);
        most = ryz_wait_queue_first(&core->queues[p], core->share.service, most, slots);
        for (uint32_t i = 0; i < most && count < RYZ_VIEW_MAX; i++) {
            struct ryz_request *request = &core->table.requests[slots[i]];
            if (request->shown == core->shown) continue;
            core->view[count] = request->view;
            ryz_core_look_up(core, slots[i], &core->view[count++]);
        }
    }
    return count;
}

static struct ryz_sched_view build_view(struct ryz_core *core, int64_t now_ns)
{
    const struct ryz_request_table *table = &core->table;
    struct ryz_sched_limits limits = ryz_batch_control_limits(&core->batch, &core->limits);
    uint32_t most = running_max(core, &limits), window = window_size(core, most), count = 0;
    limits.batch_requests_max = core->limits.batch_requests_max; /* those that run go on */
    RYZ_ASSERT(table->running_count + window <= RYZ_VIEW_MAX);
    for (uint32_t i = 0; i < table->running_count; i++) {
        core->view[count] = table->requests[table->running[i]].view;
        ryz_core_offer_drafts(core, table->running[i], &core->view[count]);
        core->view[count++].own_blocks = ryz_core_own_blocks(core, table->running[i]);
    }
    uint32_t slots[RYZ_BATCH_MAX];
    window = ryz_wait_queue_first(&core->queue, core->share.service, window, slots);
    core->shown++;
    for (uint32_t i = 0; i < window; i++) {
        table->requests[slots[i]].shown = core->shown;
        core->view[count] = table->requests[slots[i]].view;
        ryz_core_look_up(core, slots[i], &core->view[count++]);
    }
    count = add_of_partitions(core, count, window);
    return (struct ryz_sched_view){
        .now_ns = now_ns,
        .requests = core->view,
        .request_count = count,
        .running_count = table->running_count,
        .running_max = most,
        .partitions = core->partitions.count > 0 ? core->partitions.of : NULL,
        .partition_count = core->partitions.count,
        .kv_blocks_free = ryz_kv_ledger_free_count(core->ledger),
        .headroom_permille = core->headroom_permille,
        .limits = limits,
        .cost = ryz_step_cost_source(&core->cost),
        .probe_drafts = ryz_core_probes_drafts(core),
    };
}

static void preempt(struct ryz_core *core, uint32_t slot)
{
    ryz_core_release_blocks(core, slot);
    ryz_request_table_preempt(&core->table, slot);
    core->table.requests[slot].view.computed_tokens = 0;
    core->table.requests[slot].view.preemptions++;
    core->stats.preempted++;
    ryz_core_enqueue(core, slot);
    ryz_core_settle_choices(core, slot);
}

/* Somebody was preempted because another one grew: admissions were too eager. The core lowers it
 * again as requests end, so it settles where few preemptions meet many ends. */
static void raise_headroom(struct ryz_core *core)
{
    core->headroom_permille = ryz_min_u32(core->headroom_permille + HEADROOM_STEP, HEADROOM_MAX);
}

/* One draw of the injected failure. */
static bool allocation_fails(struct ryz_core *core)
{
    if (core->fault_permille == 0) return false;
    uint64_t bits = ryz_rng_at(core->seed, KV_FAULT_STREAM, core->fault_draws++);
    return (bits >> 32) * 1000 >> 32 < core->fault_permille;
}

/* A waiting request gets its place, and what another choice or the prefix cache has of it. */
static void start(struct ryz_core *core, const struct ryz_plan_item *item)
{
    struct ryz_request *request = &core->table.requests[item->slot];
    ryz_core_dequeue(core, item->slot);
    uint32_t source, shared = ryz_core_shared_tokens(core, item->slot, &source);
    ryz_request_table_start(&core->table, item->slot);
    uint32_t cached = shared > 0 && shared == item->first_position
                          ? ryz_core_take_shared(core, item->slot)
                          : ryz_core_take_prefix(core, item->slot);
    RYZ_ASSERT(cached == item->first_position);
    if (request->view.preemptions > 0) return;
    cached = ryz_min_u32(cached, request->view.prompt_tokens);
    ryz_fair_share_charge(&core->share, request->view.tenant, request->view.prompt_tokens - cached,
                          0);
}

static uint32_t blocks_after(const struct ryz_core *core, const struct ryz_plan_item *item)
{
    return ryz_ceil_div_u32(item->first_position + item->tokens, core->limits.kv_block_tokens);
}

/* Applies the items in order, but for new blocks, and closes the gaps that injected failures leave:
 * such a request stays as it was. */
static void carry_out(struct ryz_core *core)
{
    struct ryz_sched_plan *plan = &core->plan;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < plan->item_count; i++) {
        const struct ryz_plan_item *item = &plan->items[i];
        const struct ryz_request *request = &core->table.requests[item->slot];
        if (item->action == RYZ_ACT_PREEMPT) {
            preempt(core, item->slot);
        } else {
            bool grows = blocks_after(core, item) > request->view.kv_blocks;
            if (grows && allocation_fails(core)) {
                core->stats.kv_alloc_failures++;
                continue;
            }
            if (request->state == RYZ_SLOT_WAITING) start(core, item);
        }
        if (kept != i) plan->items[kept] = *item;
        kept++;
    }
    if (kept == plan->item_count) return;
    plan->item_count = kept;
    ryz_plan_count(plan);
}

/* Gives the runs their new blocks, after all have taken what the cache has: no allocation evicts
 * what a later one of this plan was promised. */
static void allocate(struct ryz_core *core)
{
    for (uint32_t i = 0; i < core->plan.item_count; i++) {
        const struct ryz_plan_item *item = &core->plan.items[i];
        struct ryz_request *request = &core->table.requests[item->slot];
        if (item->action != RYZ_ACT_RUN) continue;
        uint32_t blocks = blocks_after(core, item), held = request->view.kv_blocks;
        request->planned_tokens = item->tokens;
        ryz_core_load_prefix(core, item->slot);
        if (item->first_position < held * core->limits.kv_block_tokens)
            ryz_core_own_block(core, item->slot, item->first_position);
        if (blocks <= held) continue;
        RYZ_ASSERT(blocks <= core->table.table_blocks);
        uint32_t free_before = ryz_kv_ledger_free_count(core->ledger);
        bool allocated = ryz_kv_ledger_alloc(
            core->ledger, blocks - held, ryz_request_table_blocks(&core->table, item->slot) + held);
        RYZ_ASSERT(allocated);
        ryz_core_charge(core, item->slot, free_before);
        request->view.kv_blocks = blocks;
    }
}

void ryz_core_add_copy(struct ryz_core *core, enum ryz_kv_copy_kind kind, uint32_t from,
                       uint32_t to)
{
    ryz_kv_copies_add(&core->copies, kind, from, to);
}

/* The plan as numbers without padding, so that equal plans have equal digests. */
static void note_plan(struct ryz_core *core)
{
    const struct ryz_sched_plan *plan = &core->plan;
    uint64_t words[3 * RYZ_COUNT_OF(plan->items)];
    size_t count = 0;
    if (plan->item_count == 0) return;
    for (uint32_t i = 0; i < plan->item_count; i++) {
        const struct ryz_plan_item *item = &plan->items[i];
        words[count++] = item->request_id;
        words[count++] = (uint64_t)item->slot << 32 | item->tokens;
        words[count++] = (uint64_t)item->first_position << 32 | (uint64_t)item->drafts << 2 |
                         (uint64_t)item->action << 1 | (item->samples ? 1 : 0);
    }
    ryz_core_note_decision(core, words, count * sizeof words[0]);
    for (uint32_t i = 0; i < core->copies.count; i++) {
        const struct ryz_kv_copy *copy = &core->copies.entries[i];
        uint64_t decision[2] = {copy->kind, (uint64_t)copy->from << 32 | copy->to};
        ryz_core_note_decision(core, decision, sizeof decision);
    }
}

const struct ryz_sched_plan *ryz_core_next(struct ryz_core *core, int64_t now_ns)
{
    struct ryz_event event = {.t_ns = now_ns, .kind = RYZ_EV_PLAN};
    const char *fault = ryz_core_event_fault(core, &event);
    if (fault != NULL) {
        (void)fprintf(stderr, "ryz: the scheduler was asked at the wrong time: %s\n", fault);
        ryz_assert_fail("ryz_core_event_fault(core, &event) == NULL", __FILE__, __LINE__);
    }
    core->wake_ns = RYZ_TIME_NEVER;
    core->choices_due = 0;
    core->plan.item_count = 0; /* the last plan's TOKENs are all fed */
    core->copies.count = 0;
    /* With nobody there nothing is decided, and an idle driver that polls must not fill the log. */
    if (core->table.running_count + core->table.waiting_count == 0) return NULL;
    if (core->log != NULL) core->log(core->log_context, &event);
    core->last_ns = now_ns;
    ryz_core_feed_the_starved(core, now_ns);
    struct ryz_sched_view view = build_view(core, now_ns);
    ryz_sched_step(core->policy, &view, &core->plan);
    uint32_t wanted = core->plan.run_count;
    if (core->plan.short_of_blocks && core->limits.headroom_adapts) raise_headroom(core);
    carry_out(core);
    allocate(core);
    note_plan(core);
    ryz_core_note_drafts(core, &core->plan);
    if (core->plan.run_count > 0) {
        core->step_in_flight = true;
        return &core->plan;
    }
    RYZ_ASSERT(core->copies.count == 0); /* only what runs gets blocks */
    core->wake_ns = core->plan.wake_ns;
    if (wanted > 0)
        core->wake_ns = now_ns > RYZ_TIME_NEVER - RETRY_NS ? RYZ_TIME_NEVER : now_ns + RETRY_NS;
    core->plan.item_count = 0;
    return NULL;
}
