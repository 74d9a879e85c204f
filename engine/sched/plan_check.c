/*
 * plan_check.c - runs a policy and believes nothing it says.
 *
 * Leaves to others: whether a plan is clever. Every rule here protects something that would go
 * wrong silently later: a block handed out twice, a KV position skipped, a budget overdrawn.
 */
#include "engine/sched/plan_check.h"

#include "engine/base/assert.h"
#include "engine/base/clock.h"
#include "engine/base/size.h"

#include <stdio.h>

/* What the items up to here have used; carried from item to item. */
struct tally {
    uint64_t seen[RYZ_VIEW_MAX / 64]; /* bit per view index */
    uint64_t lost[RYZ_VIEW_MAX / 64]; /* likewise: preempted */
    uint64_t tokens;
    uint64_t drafts; /* of them */
    uint64_t blocks_needed;
    uint64_t own_freed[RYZ_KV_PARTITIONS_MAX]; /* blocks of preempted ones that nobody shares */
    uint32_t preempted[RYZ_KV_PARTITIONS_MAX]; /* requests of each partition */
    uint32_t runs;
    uint32_t started;  /* runs of requests that were waiting */
    uint32_t preempts; /* all of them lead the plan */
};

void ryz_plan_count(struct ryz_sched_plan *plan)
{
    plan->run_count = 0;
    plan->shape = (struct ryz_batch_shape){0};
    RYZ_ASSERT(plan->item_count <= RYZ_COUNT_OF(plan->items));
    for (uint32_t i = 0; i < plan->item_count; i++) {
        const struct ryz_plan_item *item = &plan->items[i];
        if (item->action != RYZ_ACT_RUN) continue;
        plan->run_count++;
        uint32_t known = item->tokens - item->drafts;
        ryz_batch_shape_add(&plan->shape, item->first_position, known);
        ryz_batch_shape_add_drafts(&plan->shape, item->first_position + known, item->drafts);
    }
}

static const char *preempt_fault(const struct ryz_request_view *request,
                                 const struct ryz_plan_item *item, struct tally *tally)
{
    if (!request->running) return "a waiting request is preempted";
    if (tally->runs > 0) return "a preemption after a run";
    if (item->tokens != 0 || item->samples) return "a preempted request computes";
    tally->lost[item->view_index / 64] |= UINT64_C(1) << item->view_index % 64;
    tally->own_freed[request->partition] += request->own_blocks;
    tally->preempted[request->partition]++;
    tally->preempts++;
    return NULL;
}

static const char *run_fault(const struct ryz_sched_view *view,
                             const struct ryz_request_view *request,
                             const struct ryz_plan_item *item, struct tally *tally)
{
    uint64_t total = (uint64_t)request->prompt_tokens + request->decoded_tokens;
    uint64_t end = (uint64_t)request->computed_tokens + item->tokens;
    if (item->tokens <= item->drafts) return "a run without tokens";
    uint32_t known = item->tokens - item->drafts;
    if (known > 1 && known > view->limits.prefill_chunk_max)
        return "a chunk beyond prefill_chunk_max";
    if (item->first_position != request->computed_tokens) return "a run that skips positions";
    if (end - item->drafts > total) return "a run beyond the request's tokens";
    if (item->samples != (end - item->drafts == total)) return "logits wanted of the wrong token";
    if (item->drafts > request->draft_tokens) return "more proposals than there are";
    if (item->drafts > 0 && (known > 1 || !item->samples)) return "proposals beside a prompt";
    uint32_t blocks = ryz_ceil_div_u32((uint32_t)end, view->limits.kv_block_tokens);
    if (blocks > request->kv_blocks) tally->blocks_needed += blocks - request->kv_blocks;
    tally->tokens += item->tokens;
    tally->drafts += item->drafts;
    tally->runs++;
    if (!request->running) {
        uint32_t source = request->source > 0 ? request->source - 1 : item->view_index;
        if (tally->lost[source / 64] >> source % 64 & 1)
            return "a start on the blocks of one that is preempted";
        tally->started++;
        tally->blocks_needed +=
            tally->preempted[request->partition] > 0 ? request->kv_blocks : request->claim_blocks;
    }
    return NULL;
}

static const char *item_fault(const struct ryz_sched_view *view, const struct ryz_plan_item *item,
                              struct tally *tally)
{
    if (item->view_index >= view->request_count) return "an item outside the view";
    uint32_t partitions = view->partition_count > 0 ? view->partition_count : 1;
    if (view->requests[item->view_index].partition >= partitions)
        return "a request of a partition that does not exist";
    uint64_t bit = UINT64_C(1) << item->view_index % 64;
    if (tally->seen[item->view_index / 64] & bit) return "a request appears twice";
    tally->seen[item->view_index / 64] |= bit;
    const struct ryz_request_view *request = &view->requests[item->view_index];
    if (item->request_id != request->id || item->slot != request->slot)
        return "an item names another request than its view index";
    switch (item->action) {
    case RYZ_ACT_PREEMPT:
        return preempt_fault(request, item, tally);
    case RYZ_ACT_RUN:
        return run_fault(view, request, item, tally);
    }
    return "an unknown action";
}

/* Blocks that the preempted ones leave, who lead the plan. Of a partition where all, or all but
 * one, are preempted, what they shared among themselves is free too. */
static uint64_t blocks_freed(const struct ryz_sched_view *view, const struct ryz_sched_plan *plan,
                             const struct tally *tally)
{
    uint32_t kept[RYZ_KV_PARTITIONS_MAX] = {0};
    uint64_t kept_blocks[RYZ_KV_PARTITIONS_MAX] = {0}, freed = 0;
    if (tally->preempts == 0) return 0;
    for (uint32_t i = 0; i < view->running_count; i++) {
        kept[view->requests[i].partition]++;
        kept_blocks[view->requests[i].partition] += view->requests[i].kv_blocks;
    }
    for (uint32_t i = 0; i < tally->preempts; i++) {
        const struct ryz_request_view *gone = &view->requests[plan->items[i].view_index];
        kept[gone->partition]--;
        kept_blocks[gone->partition] -= gone->kv_blocks;
    }
    for (uint32_t p = 0; p < RYZ_KV_PARTITIONS_MAX; p++) {
        if (tally->preempted[p] == 0) continue; /* among them those that there are not */
        uint64_t held = view->partition_count > 0 ? view->partitions[p].held_blocks
                                                  : view->limits.kv_blocks - view->kv_blocks_free;
        freed += kept[p] <= 1 ? held - kept_blocks[p] : tally->own_freed[p];
    }
    return freed;
}

const char *ryz_plan_fault(const struct ryz_sched_view *view, const struct ryz_sched_plan *plan)
{
    struct tally tally = {0};
    if (view->request_count > RYZ_VIEW_MAX) return "a view that is too large";
    if (plan->item_count > RYZ_COUNT_OF(plan->items)) return "more items than a plan holds";
    for (uint32_t i = 0; i < plan->item_count; i++) {
        const char *fault = item_fault(view, &plan->items[i], &tally);
        if (fault != NULL) return fault;
    }
    if (tally.runs != plan->run_count) return "run_count is not the number of runs";
    if (tally.runs > view->limits.batch_requests_max) return "more runs than batch_requests_max";
    if (tally.tokens > view->limits.batch_tokens_max) return "more tokens than batch_tokens_max";
    if (tally.drafts > RYZ_DRAFT_STEP_MAX) return "more proposals than a step may have";
    if (tally.blocks_needed > view->kv_blocks_free + blocks_freed(view, plan, &tally))
        return "more KV blocks than are free";
    uint32_t running = view->running_count - tally.preempts + tally.started;
    if (tally.started > 0 && running > view->running_max)
        return "more running requests than running_max";
    return NULL;
}

void ryz_sched_step(const struct ryz_sched_policy *policy, const struct ryz_sched_view *view,
                    struct ryz_sched_plan *plan)
{
    /* The items stay as they are: clearing 16 KiB a step would cost more than planning a batch. */
    plan->item_count = 0;
    plan->run_count = 0;
    plan->wake_ns = RYZ_TIME_NEVER;
    plan->short_of_blocks = false;
    policy->step(policy->tunables, view, plan);
    ryz_plan_count(plan);
    const char *fault = ryz_plan_fault(view, plan);
    if (fault != NULL) {
        (void)fprintf(stderr, "ryz: the plan of policy \"%s\" is wrong: %s\n", policy->name, fault);
        ryz_assert_fail("ryz_plan_fault(view, plan) == NULL", __FILE__, __LINE__);
    }
}
