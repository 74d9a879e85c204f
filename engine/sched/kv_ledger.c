/*
 * kv_ledger.c - owners per block, one queue of blocks without owners, an index of full ones.
 *
 *   queue:  end marker <-> free ... free <-> cached (oldest) ... cached (newest) <-> end marker
 *
 * Leaves to others: which request holds which block (request_table.h), hashing (prefix_hash.h), the
 * tensors behind the ids. The free part works as a stack: the block freed last is the one whose
 * memory is still in the processor's caches and mapped. The queue is linked by block number, with a
 * marker at number block_count, so that a cached block leaves the middle in O(1); and since every
 * indexed block enters at the end and every other at the front, no search keeps the two apart.
 */
#include "engine/sched/kv_ledger.h"

#include "engine/base/assert.h"
#include "engine/base/size.h"
#include "engine/sched/kv_host.h"
#include "engine/sched/prefix_ghosts.h"
#include "engine/sched/prefix_index.h"

#include <stdlib.h>

#define UNLINKED UINT32_MAX

struct link {
    uint32_t previous, next; /* UNLINKED in a held block */
};

struct ryz_kv_ledger {
    uint32_t block_count;
    uint32_t free_count;   /* in the queue */
    uint32_t cached_count; /* of them, indexed */
    uint32_t *owners;      /* per block; 0: in the queue */
    uint64_t *hashes;      /* per block; 0: not indexed */
    struct link *links;    /* per block, and the marker of both ends */
    struct ryz_prefix_index index;
    struct ryz_prefix_ghosts ghosts;
    struct ryz_kv_host host;      /* zeroed: no host tier */
    struct ryz_kv_copies *copies; /* of the host tier */
    struct ryz_kv_cache_stats stats;
};

enum ryz_status ryz_kv_ledger_open(uint32_t block_count, struct ryz_kv_ledger **ledger,
                                   struct ryz_error *error)
{
    *ledger = NULL;
    if (block_count == 0 || block_count > RYZ_KV_BLOCKS_MAX)
        return ryz_fail(error, RYZ_INVALID, "a KV pool of %u blocks; allowed are 1 to %u",
                        block_count, RYZ_KV_BLOCKS_MAX);
    struct ryz_kv_ledger *l = calloc(1, sizeof *l);
    if (l == NULL) return ryz_fail(error, RYZ_NO_MEMORY, "no memory for the KV ledger");
    l->owners = calloc(block_count, sizeof *l->owners);
    l->hashes = calloc(block_count, sizeof *l->hashes);
    l->links = calloc((size_t)block_count + 1, sizeof *l->links);
    if (l->owners == NULL || l->hashes == NULL || l->links == NULL ||
        ryz_prefix_index_open(&l->index, block_count, NULL) != RYZ_OK ||
        ryz_prefix_ghosts_open(&l->ghosts, block_count, NULL) != RYZ_OK) {
        ryz_kv_ledger_close(l);
        return ryz_fail(error, RYZ_NO_MEMORY, "no memory for a KV ledger of %u blocks",
                        block_count);
    }
    l->block_count = block_count;
    l->free_count = block_count;
    /* A fresh pool is used front to back. */
    for (uint32_t i = 0; i <= block_count; i++)
        l->links[i] = (struct link){.previous = i == 0 ? block_count : i - 1,
                                    .next = i == block_count ? 0 : i + 1};
    *ledger = l;
    return RYZ_OK;
}

enum ryz_status ryz_kv_ledger_add_host(struct ryz_kv_ledger *ledger, uint32_t host_blocks,
                                       struct ryz_kv_copies *copies, struct ryz_error *error)
{
    RYZ_ASSERT(ledger->host.block_count == 0);
    RYZ_ASSERT(ledger->free_count == ledger->block_count);
    if (host_blocks == 0 || host_blocks > RYZ_KV_BLOCKS_MAX)
        return ryz_fail(error, RYZ_INVALID, "a host tier of %u blocks; allowed are 1 to %u",
                        host_blocks, RYZ_KV_BLOCKS_MAX);
    ledger->copies = copies;
    return ryz_kv_host_open(&ledger->host, host_blocks, error);
}

void ryz_kv_ledger_close(struct ryz_kv_ledger *ledger)
{
    if (ledger == NULL) return;
    ryz_kv_host_close(&ledger->host);
    ryz_prefix_ghosts_close(&ledger->ghosts);
    ryz_prefix_index_close(&ledger->index);
    free(ledger->links);
    free(ledger->hashes);
    free(ledger->owners);
    free(ledger);
}

/* Out of the queue; the counts with it. */
static void unlink_block(struct ryz_kv_ledger *ledger, uint32_t block)
{
    struct link *link = &ledger->links[block];
    RYZ_ASSERT(link->next != UNLINKED);
    ledger->links[link->previous].next = link->next;
    ledger->links[link->next].previous = link->previous;
    *link = (struct link){UNLINKED, UNLINKED};
    RYZ_ASSERT(ledger->free_count > 0);
    ledger->free_count--;
    if (ledger->hashes[block] == 0) return;
    RYZ_ASSERT(ledger->cached_count > 0);
    ledger->cached_count--;
}

/* Into the queue where its kind belongs; the counts with it. */
static void link_block(struct ryz_kv_ledger *ledger, uint32_t block)
{
    const uint32_t end = ledger->block_count;
    bool cached = ledger->hashes[block] != 0;
    uint32_t previous = cached ? ledger->links[end].previous : end;
    uint32_t next = cached ? end : ledger->links[end].next;
    RYZ_ASSERT(ledger->links[block].next == UNLINKED);
    ledger->links[block] = (struct link){previous, next};
    ledger->links[previous].next = block;
    ledger->links[next].previous = block;
    ledger->free_count++;
    ledger->cached_count += cached ? 1 : 0;
    RYZ_ASSERT(ledger->free_count <= ledger->block_count);
}

void ryz_kv_copies_add(struct ryz_kv_copies *copies, enum ryz_kv_copy_kind kind, uint32_t from,
                       uint32_t to)
{
    RYZ_ASSERT(copies->count < copies->count_max);
    RYZ_ASSERT(kind != RYZ_KV_COPY_WITHIN || from != to);
    copies->entries[copies->count++] = (struct ryz_kv_copy){.from = from, .to = to, .kind = kind};
}

/* The contents of a block go to the host tier. Returns the hash whose contents are lost for it, 0
 * if none are. */
static uint64_t copy_out(struct ryz_kv_ledger *ledger, uint32_t block, uint64_t hash)
{
    uint64_t lost = hash;
    if (ledger->host.block_count == 0) return lost;
    uint32_t to = ryz_kv_host_put(&ledger->host, hash, &lost);
    ledger->stats.host_dropped_blocks += lost != 0 ? 1 : 0;
    if (to == RYZ_KV_HOST_NONE) return lost;
    ryz_kv_copies_add(ledger->copies, RYZ_KV_COPY_OUT, block, to);
    ledger->stats.host_out_blocks++;
    return lost;
}

/* The contents of a cached block, just taken from the queue, leave the pool. */
static void evict(struct ryz_kv_ledger *ledger, uint32_t block)
{
    uint64_t hash = ledger->hashes[block];
    bool removed = ryz_prefix_index_remove(&ledger->index, hash);
    RYZ_ASSERT(removed);
    ledger->hashes[block] = 0;
    ledger->stats.evicted_blocks++;
    uint64_t lost = copy_out(ledger, block, hash);
    if (lost != 0) ryz_prefix_ghosts_add(&ledger->ghosts, lost);
}

bool ryz_kv_ledger_alloc(struct ryz_kv_ledger *ledger, uint32_t count, uint32_t *blocks)
{
    if (count > ledger->free_count) return false;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t block = ledger->links[ledger->block_count].next;
        RYZ_ASSERT(ledger->owners[block] == 0);
        unlink_block(ledger, block);
        if (ledger->hashes[block] != 0) evict(ledger, block);
        ledger->owners[block] = 1;
        blocks[i] = block;
    }
    return true;
}

void ryz_kv_ledger_retain(struct ryz_kv_ledger *ledger, uint32_t block)
{
    RYZ_ASSERT(block < ledger->block_count);
    RYZ_ASSERT(ledger->owners[block] > 0);
    RYZ_ASSERT(ledger->owners[block] < UINT32_MAX);
    ledger->owners[block]++;
}

void ryz_kv_ledger_release(struct ryz_kv_ledger *ledger, uint32_t block)
{
    RYZ_ASSERT(block < ledger->block_count);
    RYZ_ASSERT(ledger->owners[block] > 0);
    if (--ledger->owners[block] == 0) link_block(ledger, block);
}

void ryz_kv_ledger_release_all(struct ryz_kv_ledger *ledger, const uint32_t *blocks, uint32_t count)
{
    for (uint32_t i = count; i > 0; i--) ryz_kv_ledger_release(ledger, blocks[i - 1]);
}

bool ryz_kv_ledger_publish(struct ryz_kv_ledger *ledger, uint32_t block, uint64_t hash)
{
    RYZ_ASSERT(block < ledger->block_count);
    RYZ_ASSERT(ledger->owners[block] > 0);
    RYZ_ASSERT(ledger->hashes[block] == 0);
    uint32_t other = ryz_prefix_index_find(&ledger->index, hash);
    if (other != RYZ_PREFIX_NONE) {
        if (ledger->owners[other] > 0) return false;
        unlink_block(ledger, other);
        ledger->hashes[other] = 0;
        link_block(ledger, other);
    }
    /* Computed although the host tier had it: the end of a prompt, or behind a gap. */
    uint32_t copy = ryz_kv_host_find(&ledger->host, hash);
    if (copy != RYZ_KV_HOST_NONE) ryz_kv_host_remove(&ledger->host, copy);
    ryz_prefix_index_put(&ledger->index, hash, block);
    ryz_prefix_ghosts_remove(&ledger->ghosts, hash);
    ledger->hashes[block] = hash;
    return true;
}

uint32_t ryz_kv_ledger_find(const struct ryz_kv_ledger *ledger, uint64_t hash)
{
    _Static_assert(RYZ_PREFIX_NONE == UINT32_MAX, "what the header says");
    return ryz_prefix_index_find(&ledger->index, hash);
}

uint32_t ryz_kv_ledger_match(const struct ryz_kv_ledger *ledger, const uint64_t *hashes,
                             uint32_t count, uint32_t *cached)
{
    uint32_t found = 0, unowned = 0;
    for (; found < count; found++) {
        uint32_t block = ryz_prefix_index_find(&ledger->index, hashes[found]);
        if (block == RYZ_PREFIX_NONE) {
            if (ryz_kv_host_find(&ledger->host, hashes[found]) == RYZ_KV_HOST_NONE) break;
            unowned++;
        } else {
            unowned += ledger->owners[block] == 0 ? 1 : 0;
        }
    }
    if (cached != NULL) *cached = unowned;
    return found;
}

/* Counts a lookup of `asked` blocks, of which the first `found` were taken. */
static void note_lookup(struct ryz_kv_ledger *ledger, const uint64_t *hashes, uint32_t asked,
                        uint32_t found)
{
    if (asked == 0) return;
    ledger->stats.lookups++;
    ledger->stats.lookup_blocks += asked;
    ledger->stats.hit_blocks += found;
    /* A larger pool would have found on until the first block that was never there (or long ago),
     * which ends the search for it: a new prompt costs one look, however long it is. */
    for (uint32_t i = found; i < asked; i++) {
        if (ryz_prefix_ghosts_contain(&ledger->ghosts, hashes[i]))
            ledger->stats.evicted_missed_blocks++;
        else if (ryz_prefix_index_find(&ledger->index, hashes[i]) == RYZ_PREFIX_NONE &&
                 ryz_kv_host_find(&ledger->host, hashes[i]) == RYZ_KV_HOST_NONE)
            break;
    }
}

static uint32_t take(struct ryz_kv_ledger *ledger, const uint64_t *hashes, uint32_t count,
                     uint32_t *blocks)
{
    uint32_t taken = 0;
    for (; taken < count; taken++) {
        uint32_t block = ryz_prefix_index_find(&ledger->index, hashes[taken]);
        if (block == RYZ_PREFIX_NONE) {
            uint32_t copy = ryz_kv_host_find(&ledger->host, hashes[taken]);
            if (copy == RYZ_KV_HOST_NONE) break;
            ryz_kv_host_promise(&ledger->host, copy);
            ledger->stats.host_hit_blocks++;
            blocks[taken] = RYZ_KV_IN_HOST | copy;
            continue;
        }
        if (ledger->owners[block] == 0) unlink_block(ledger, block);
        RYZ_ASSERT(ledger->owners[block] < UINT32_MAX);
        ledger->owners[block]++;
        blocks[taken] = block;
    }
    return taken;
}

uint32_t ryz_kv_ledger_take(struct ryz_kv_ledger *ledger, const uint64_t *hashes, uint32_t count,
                            uint32_t *blocks)
{
    uint32_t taken = take(ledger, hashes, count, blocks);
    note_lookup(ledger, hashes, count, taken);
    return taken;
}

/* The contents of a host block move into a new block of the pool, whose id is returned. */
static uint32_t copy_in(struct ryz_kv_ledger *ledger, uint32_t copy, uint64_t hash)
{
    uint32_t block = 0;
    RYZ_ASSERT(ryz_kv_host_hash(&ledger->host, copy) == hash);
    RYZ_ASSERT(ryz_kv_host_is_promised(&ledger->host, copy));
    bool allocated = ryz_kv_ledger_alloc(ledger, 1, &block);
    RYZ_ASSERT(allocated);
    /* Behind the copy that the allocation may have ordered, before one that needs the place. */
    ryz_kv_copies_add(ledger->copies, RYZ_KV_COPY_IN, copy, block);
    ledger->stats.host_in_blocks++;
    ryz_kv_host_remove(&ledger->host, copy);
    ryz_prefix_index_put(&ledger->index, hash, block);
    ledger->hashes[block] = hash;
    return block;
}

void ryz_kv_ledger_load(struct ryz_kv_ledger *ledger, const uint64_t *hashes, uint32_t count,
                        uint32_t *blocks)
{
    for (uint32_t i = 0; i < count; i++) {
        if ((blocks[i] & RYZ_KV_IN_HOST) == 0) continue;
        uint32_t block = ryz_prefix_index_find(&ledger->index, hashes[i]);
        if (block == RYZ_PREFIX_NONE)
            block = copy_in(ledger, blocks[i] & ~RYZ_KV_IN_HOST, hashes[i]);
        else
            ryz_kv_ledger_retain(ledger, block); /* loaded for somebody who took it as well */
        blocks[i] = block;
    }
}

bool ryz_kv_ledger_claim(struct ryz_kv_ledger *ledger, const struct ryz_kv_claim *claim,
                         uint32_t *blocks, uint32_t *taken)
{
    uint32_t asked = ryz_min_u32(claim->hash_count, claim->take_max);
    uint32_t limit = ryz_min_u32(asked, claim->block_count);
    /* The blocks are looked up twice, the second time in warm memory, so that a refusal has
     * touched nothing, the order of the queue included. */
    uint32_t cached, found = ryz_kv_ledger_match(ledger, claim->hashes, limit, &cached);
    if (claim->block_count - found + cached > ledger->free_count) return false;
    uint32_t got = take(ledger, claim->hashes, limit, blocks);
    RYZ_ASSERT(got == found);
    note_lookup(ledger, claim->hashes, asked, found); /* before its own evictions */
    ryz_kv_ledger_load(ledger, claim->hashes, found, blocks);
    bool allocated = ryz_kv_ledger_alloc(ledger, claim->block_count - found, blocks + found);
    RYZ_ASSERT(allocated);
    *taken = found;
    return true;
}

uint32_t ryz_kv_ledger_free_count(const struct ryz_kv_ledger *ledger)
{
    return ledger->free_count;
}

uint32_t ryz_kv_ledger_cached_count(const struct ryz_kv_ledger *ledger)
{
    return ledger->cached_count;
}

uint32_t ryz_kv_ledger_block_count(const struct ryz_kv_ledger *ledger)
{
    return ledger->block_count;
}

uint32_t ryz_kv_ledger_owners(const struct ryz_kv_ledger *ledger, uint32_t block)
{
    RYZ_ASSERT(block < ledger->block_count);
    return ledger->owners[block];
}

uint64_t ryz_kv_ledger_hash(const struct ryz_kv_ledger *ledger, uint32_t block)
{
    RYZ_ASSERT(block < ledger->block_count);
    return ledger->hashes[block];
}

struct ryz_kv_cache_stats ryz_kv_ledger_cache_stats(const struct ryz_kv_ledger *ledger)
{
    return ledger->stats;
}

uint32_t ryz_kv_ledger_host_count(const struct ryz_kv_ledger *ledger)
{
    return ledger->host.used_count;
}

uint64_t ryz_kv_ledger_host_hash(const struct ryz_kv_ledger *ledger, uint32_t host_block)
{
    return ryz_kv_host_hash(&ledger->host, host_block);
}
