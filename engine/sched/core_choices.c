/*
 * core_choices.c - requests that repeat one prompt: the choices of one question.
 *
 * Leaves to others: admitting them (core_admit.c) and their order (core_queue.c). The idea: the
 * choices are a ring of slots, and one of them computes the prompt while the others that wait stand
 * beside the queue, in nobody's way. As soon as one holds the whole prompt they are queued, and
 * start on its blocks; if that one has left before their turn, the next one computes the prompt
 * like any request, so nothing waits for something that does not come.
 */
#include "engine/base/assert.h"
#include "engine/base/size.h"
#include "engine/sched/core_internal.h"

static struct ryz_request *at(const struct ryz_core *core, uint32_t slot)
{
    return &core->table.requests[slot];
}

const char *ryz_core_choice_fault(const struct ryz_core *core, const struct ryz_event *event)
{
    if ((event->flags & RYZ_EVF_CHOICE) == 0)
        return event->permille < RYZ_CHOICES_MAX ? NULL : "more choices than 16";
    if (core->choices_due == 0 || event->slot != core->choices_slot || event->permille != 0)
        return "a choice that was not announced";
    const struct ryz_request_view *first = &at(core, event->slot)->view;
    if (event->prompt_tokens != first->prompt_tokens || event->tenant != first->tenant ||
        event->priority != first->priority || event->output_tokens_max != first->output_tokens_max)
        return "a choice unlike the first one";
    return NULL;
}

void ryz_core_join_choices(struct ryz_core *core, uint32_t slot, uint32_t leader)
{
    RYZ_ASSERT(at(core, slot)->sibling == slot);
    at(core, slot)->sibling = at(core, leader)->sibling;
    at(core, leader)->sibling = slot;
    at(core, slot)->parked = true; /* the leader has just arrived, too */
}

void ryz_core_leave_choices(struct ryz_core *core, uint32_t slot)
{
    uint32_t next = at(core, slot)->sibling, before = next;
    if (next == slot) return;
    while (at(core, before)->sibling != slot) before = at(core, before)->sibling;
    at(core, before)->sibling = next;
    at(core, slot)->sibling = slot;
    ryz_core_settle_choices(core, next);
}

static bool holds_prompt(const struct ryz_request *request)
{
    return request->state == RYZ_SLOT_RUNNING &&
           request->view.computed_tokens >= request->view.prompt_tokens;
}

/* The choice that should compute the prompt for all: the one that does already, or the first of
 * those that wait. RYZ_SLOT_NONE: one has computed it. */
static uint32_t next_to_compute(const struct ryz_core *core, uint32_t slot)
{
    uint32_t next = slot, i = slot;
    do {
        const struct ryz_request *request = at(core, i), *best = at(core, next);
        if (holds_prompt(request)) return RYZ_SLOT_NONE;
        bool runs = request->state == RYZ_SLOT_RUNNING, best_runs = best->state == RYZ_SLOT_RUNNING;
        if (runs != best_runs ? runs : request->arrival < best->arrival) next = i;
        i = request->sibling;
    } while (i != slot);
    return next;
}

void ryz_core_settle_choices(struct ryz_core *core, uint32_t slot)
{
    if (at(core, slot)->sibling == slot && !at(core, slot)->parked) return;
    uint32_t computes = next_to_compute(core, slot), i = slot;
    do {
        if (at(core, i)->state == RYZ_SLOT_WAITING)
            ryz_core_park(core, i, computes != RYZ_SLOT_NONE && i != computes);
        i = at(core, i)->sibling;
    } while (i != slot);
}

uint32_t ryz_core_choices_behind(const struct ryz_core *core, uint32_t slot, uint64_t urgency)
{
    uint32_t i = slot, count = 0;
    do {
        const struct ryz_request *request = at(core, i);
        if (request->state == RYZ_SLOT_RUNNING || request->view.decoded_tokens > 0 ||
            request->view.urgency <= urgency)
            return 0;
        i = request->sibling;
        count++;
    } while (i != slot);
    return count;
}

/* A running choice whose blocks of the prompt `slot` may take over. Where the policy takes places
 * from the less urgent, it must not be one that this step could preempt for `slot`. */
static uint32_t find_source(const struct ryz_core *core, uint32_t slot)
{
    uint64_t urgency = at(core, slot)->view.urgency;
    for (uint32_t i = at(core, slot)->sibling; i != slot; i = at(core, i)->sibling) {
        bool stays = !core->policy->displaces || at(core, i)->view.urgency <= urgency;
        /* What this plan starts from the host tier has no blocks yet. */
        bool loaded = at(core, i)->host_blocks == 0;
        if (holds_prompt(at(core, i)) && stays && loaded) return i;
    }
    return RYZ_SLOT_NONE;
}

uint32_t ryz_core_shared_tokens(const struct ryz_core *core, uint32_t slot, uint32_t *source)
{
    const struct ryz_request_view *view = &at(core, slot)->view;
    *source = find_source(core, slot);
    if (*source == RYZ_SLOT_NONE) return 0;
    return view->decoded_tokens > 0 ? view->prompt_tokens : view->prompt_tokens - 1;
}

uint32_t ryz_core_take_shared(struct ryz_core *core, uint32_t slot)
{
    uint32_t source = RYZ_SLOT_NONE, tokens = ryz_core_shared_tokens(core, slot, &source);
    uint32_t block_tokens = core->limits.kv_block_tokens;
    struct ryz_request *request = at(core, slot);
    RYZ_ASSERT(source != RYZ_SLOT_NONE);
    const uint32_t *theirs = ryz_request_table_blocks(&core->table, source);
    uint32_t *ours = ryz_request_table_blocks(&core->table, slot);
    request->view.kv_blocks = ryz_ceil_div_u32(tokens, block_tokens);
    for (uint32_t i = 0; i < request->view.kv_blocks; i++) {
        ryz_kv_ledger_retain(core->ledger, theirs[i]);
        ours[i] = theirs[i];
    }
    request->published = ryz_min_u32(at(core, source)->published, tokens / block_tokens);
    request->cached_tokens = request->view.computed_tokens = tokens;
    core->stats.prompt_tokens_shared += tokens;
    return tokens;
}

/* The rest of a shared block is written by one of its owners: the others keep theirs as it is. */
void ryz_core_own_block(struct ryz_core *core, uint32_t slot, uint32_t position)
{
    uint32_t block_tokens = core->limits.kv_block_tokens, copy = 0;
    uint32_t *block = ryz_request_table_blocks(&core->table, slot) + position / block_tokens;
    if (position % block_tokens == 0 || ryz_kv_ledger_owners(core->ledger, *block) == 1) return;
    uint32_t free_before = ryz_kv_ledger_free_count(core->ledger);
    bool allocated = ryz_kv_ledger_alloc(core->ledger, 1, &copy);
    RYZ_ASSERT(allocated);
    ryz_core_add_copy(core, RYZ_KV_COPY_WITHIN, *block, copy);
    ryz_kv_ledger_release(core->ledger, *block);
    ryz_core_charge(core, slot, free_before);
    *block = copy;
}

uint32_t ryz_core_shared_blocks_max(const struct ryz_core *core, uint32_t slot)
{
    const struct ryz_request *request = at(core, slot);
    uint32_t found = core->hashes == NULL ? 0 : request->published;
    if (request->sibling == slot) return found;
    uint32_t prompt = ryz_min_u32(request->view.kv_blocks,
                                  request->view.prompt_tokens / core->limits.kv_block_tokens);
    return found > prompt ? found : prompt;
}
