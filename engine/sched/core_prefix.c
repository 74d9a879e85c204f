/*
 * core_prefix.c - the prefix cache of a core: whose blocks have which hashes, what a request finds.
 *
 * Leaves to others: the index and the order of eviction (kv_ledger.c), computing hashes (the
 * driver, by prefix_hash.h). The idea: a request's hashes come with it, as events, so the core sees
 * no tokens and a replay finds what the live run found. A block is indexed when the step that
 * filled it is done, and at least a request's last token is computed anew, for its logits.
 */
#include "engine/sched/core_internal.h"

#include "engine/base/assert.h"
#include "engine/base/size.h"

#include <stdlib.h>
#include <string.h>

enum ryz_status ryz_core_prefix_open(struct ryz_core *core, bool wanted, struct ryz_error *error)
{
    size_t entries = 0;
    if (!wanted) return RYZ_OK;
    if (!ryz_mul_size(core->table.slot_count, core->table.table_blocks, &entries))
        return ryz_fail(error, RYZ_NO_MEMORY, "hashes of %u blocks", core->table.table_blocks);
    /* Rows are touched on first use. */
    core->hashes = calloc(entries, sizeof *core->hashes);
    core->staged = calloc(core->table.table_blocks, sizeof *core->staged);
    if (core->hashes == NULL || core->staged == NULL)
        return ryz_fail(error, RYZ_NO_MEMORY, "no memory for hashes of %u requests",
                        core->table.slot_count);
    return RYZ_OK;
}

void ryz_core_prefix_close(struct ryz_core *core)
{
    free(core->hashes);
    free(core->staged);
}

static uint64_t *hashes_of(const struct ryz_core *core, uint32_t slot)
{
    return core->hashes + (size_t)slot * core->table.table_blocks;
}

const char *ryz_core_hashes_fault(const struct ryz_core *core, const struct ryz_event *event)
{
    uint32_t staged =
        core->staged_count > 0 && core->staged_id == event->request_id ? core->staged_count : 0;
    if (core->hashes == NULL) return "hashes without a prefix cache";
    if (event->flags < 1 || event->flags > RYZ_EVENT_HASHES_MAX) return "no hashes, or too many";
    if (staged + event->flags > core->table.table_blocks) return "more hashes than the context has";
    for (uint32_t i = 0; i < event->flags; i++)
        if (ryz_event_hash(event, i) == 0) return "a hash of 0";
    return NULL;
}

void ryz_core_stage_hashes(struct ryz_core *core, const struct ryz_event *event)
{
    if (core->staged_id != event->request_id) core->staged_count = 0;
    core->staged_id = event->request_id;
    for (uint32_t i = 0; i < event->flags; i++)
        core->staged[core->staged_count++] = ryz_event_hash(event, i);
}

/* Staged hashes that are of full blocks of this request's prompt. */
static uint32_t staged_for(const struct ryz_core *core, uint64_t request_id, uint32_t prompt_tokens)
{
    if (core->staged_count == 0 || core->staged_id != request_id) return 0;
    return ryz_min_u32(core->staged_count, prompt_tokens / core->limits.kv_block_tokens);
}

void ryz_core_give_hashes(struct ryz_core *core, uint64_t request_id, uint32_t slot)
{
    if (core->hashes == NULL) return;
    if (slot != RYZ_SLOT_NONE) {
        struct ryz_request *request = &core->table.requests[slot];
        request->hash_count = staged_for(core, request_id, request->view.prompt_tokens);
        memcpy(hashes_of(core, slot), core->staged, request->hash_count * sizeof *core->staged);
    }
    core->staged_count = 0;
}

void ryz_core_copy_hashes(struct ryz_core *core, uint32_t from, uint32_t to)
{
    if (core->hashes == NULL) return;
    uint32_t count = core->table.requests[from].hash_count;
    core->table.requests[to].hash_count = count;
    memcpy(hashes_of(core, to), hashes_of(core, from), count * sizeof *core->hashes);
}

/* Leading blocks of `tokens` tokens that may be found: the last token is computed anew. */
static uint32_t blocks_to_find(const struct ryz_core *core, uint32_t hash_count, uint32_t tokens)
{
    return ryz_min_u32(hash_count, (tokens - 1) / core->limits.kv_block_tokens);
}

uint32_t ryz_core_staged_tokens(const struct ryz_core *core, const struct ryz_request_view *view)
{
    uint32_t count = staged_for(core, view->id, view->prompt_tokens);
    count = blocks_to_find(core, count, view->prompt_tokens);
    if (count == 0) return 0;
    return ryz_kv_ledger_match(core->ledger, core->staged, count, NULL) *
           core->limits.kv_block_tokens;
}

void ryz_core_add_hash(struct ryz_core *core, uint32_t slot, uint64_t hash)
{
    struct ryz_request *request = &core->table.requests[slot];
    uint32_t tokens = request->view.prompt_tokens + request->view.decoded_tokens;
    if (core->hashes == NULL || hash == 0) return;
    /* The hashes must not have a gap: a driver that gave none for the prompt gets no cache. */
    if (tokens != (request->hash_count + 1) * core->limits.kv_block_tokens) return;
    RYZ_ASSERT(request->hash_count < core->table.table_blocks);
    hashes_of(core, slot)[request->hash_count++] = hash;
}

void ryz_core_look_up(const struct ryz_core *core, uint32_t slot, struct ryz_request_view *view)
{
    uint32_t block_tokens = core->limits.kv_block_tokens, count = 0;
    if (core->hashes != NULL)
        count = blocks_to_find(core, core->table.requests[slot].hash_count,
                               view->prompt_tokens + view->decoded_tokens);
    if (count > 0) {
        view->kv_blocks =
            ryz_kv_ledger_match(core->ledger, hashes_of(core, slot), count, &view->claim_blocks);
        view->computed_tokens = view->kv_blocks * block_tokens;
    }
    uint32_t source, shared = ryz_core_shared_tokens(core, slot, &source);
    if (shared <= view->computed_tokens) return;
    while (core->table.running[view->source++] != source) {
    }
    view->kv_blocks = shared / block_tokens; /* of a last one, a copy will be needed */
    view->claim_blocks = 0;
    view->computed_tokens = shared;
}

/* Counts what was taken from the host tier. */
static void note_host_blocks(struct ryz_core *core, uint32_t slot, uint32_t taken)
{
    struct ryz_request *request = &core->table.requests[slot];
    const uint32_t *blocks = ryz_request_table_blocks(&core->table, slot);
    uint32_t size = core->limits.kv_block_tokens, tokens = 0;
    request->host_blocks = 0;
    for (uint32_t i = 0; i < taken; i++) {
        if ((blocks[i] & RYZ_KV_IN_HOST) == 0) continue;
        request->host_blocks++;
        if ((i + 1) * size <= request->view.prompt_tokens) tokens += size;
    }
    core->stats.prompt_tokens_host += tokens;
    if (request->view.preemptions == 0) request->waste.host_tokens = tokens;
}

uint32_t ryz_core_take_prefix(struct ryz_core *core, uint32_t slot)
{
    struct ryz_request *request = &core->table.requests[slot];
    request->published = 0;
    request->cached_tokens = 0;
    if (core->hashes == NULL) return 0;
    uint32_t tokens = request->view.prompt_tokens + request->view.decoded_tokens;
    uint32_t count = blocks_to_find(core, request->hash_count, tokens);
    if (count == 0) return 0;
    uint64_t missed = ryz_kv_ledger_cache_stats(core->ledger).evicted_missed_blocks;
    uint32_t free_before = ryz_kv_ledger_free_count(core->ledger);
    uint32_t taken = ryz_kv_ledger_take(core->ledger, hashes_of(core, slot), count,
                                        ryz_request_table_blocks(&core->table, slot));
    ryz_core_charge(core, slot, free_before);
    missed = ryz_kv_ledger_cache_stats(core->ledger).evicted_missed_blocks - missed;
    request->waste.missed_tokens += (uint32_t)missed * core->limits.kv_block_tokens;
    note_host_blocks(core, slot, taken);
    request->view.kv_blocks = request->published = taken;
    request->cached_tokens = taken * core->limits.kv_block_tokens;
    request->view.computed_tokens = request->cached_tokens;
    core->stats.cache_lookup_tokens += (uint64_t)count * core->limits.kv_block_tokens;
    core->stats.prompt_tokens_cached +=
        ryz_min_u32(request->cached_tokens, request->view.prompt_tokens);
    return request->cached_tokens;
}

void ryz_core_load_prefix(struct ryz_core *core, uint32_t slot)
{
    struct ryz_request *request = &core->table.requests[slot];
    if (request->host_blocks == 0) return;
    uint32_t free_before = ryz_kv_ledger_free_count(core->ledger);
    ryz_kv_ledger_load(core->ledger, hashes_of(core, slot), request->published,
                       ryz_request_table_blocks(&core->table, slot));
    ryz_core_charge(core, slot, free_before);
    request->host_blocks = 0;
}

void ryz_core_publish(struct ryz_core *core, uint32_t slot)
{
    struct ryz_request *request = &core->table.requests[slot];
    if (core->hashes == NULL) return;
    uint32_t full = ryz_min_u32(request->hash_count,
                                request->view.computed_tokens / core->limits.kv_block_tokens);
    uint32_t *blocks = ryz_request_table_blocks(&core->table, slot);
    uint32_t free_before = ryz_kv_ledger_free_count(core->ledger);
    for (; request->published < full; request->published++) {
        uint32_t own = blocks[request->published];
        const uint64_t *hash = &hashes_of(core, slot)[request->published];
        if (ryz_kv_ledger_publish(core->ledger, own, *hash)) continue;
        /* Somebody computed the same beside us: both use his block from now on. So a published
         * block is the one under its hash, and requests share leading blocks only. */
        blocks[request->published] = ryz_kv_ledger_find(core->ledger, *hash);
        ryz_kv_ledger_retain(core->ledger, blocks[request->published]);
        ryz_kv_ledger_release(core->ledger, own);
    }
    ryz_core_charge(core, slot, free_before);
}

uint32_t ryz_core_own_blocks(const struct ryz_core *core, uint32_t slot)
{
    const struct ryz_request *request = &core->table.requests[slot];
    const uint32_t *blocks = ryz_request_table_blocks(&core->table, slot);
    uint32_t shared = 0, own = ryz_core_shared_blocks_max(core, slot);
    while (shared < own) {
        uint32_t middle = shared + (own - shared) / 2;
        if (ryz_kv_ledger_owners(core->ledger, blocks[middle]) > 1)
            shared = middle + 1;
        else
            own = middle;
    }
    return request->view.kv_blocks - shared;
}

uint32_t ryz_core_shared_blocks(const struct ryz_core *core, uint32_t slot)
{
    RYZ_ASSERT(slot < core->table.slot_count);
    return core->table.requests[slot].view.kv_blocks - ryz_core_own_blocks(core, slot);
}

uint32_t ryz_core_cached_tokens(const struct ryz_core *core, uint32_t slot)
{
    RYZ_ASSERT(slot < core->table.slot_count);
    return core->table.requests[slot].cached_tokens;
}
