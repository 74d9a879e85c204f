/*
 * kv_ledger.c - a stack of free block ids and a count of owners per block.
 *
 * Leaves to others: which request holds which block (request_table.h), the tensors behind the ids.
 * The free list is a stack, not a queue: the block freed last is the one whose memory is still in
 * the caches and already mapped. A prefix cache that keeps freed blocks alive will want the oldest
 * first; it changes this file only.
 */
#include "engine/sched/kv_ledger.h"

#include "engine/base/assert.h"

#include <stdlib.h>

struct ryz_kv_ledger {
    uint32_t block_count;
    uint32_t free_count;
    uint32_t *free;   /* [free_count) ids, top of the stack last */
    uint32_t *owners; /* per block; 0: free */
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
    l->free = calloc(block_count, sizeof *l->free);
    l->owners = calloc(block_count, sizeof *l->owners);
    if (l->free == NULL || l->owners == NULL) {
        ryz_kv_ledger_close(l);
        return ryz_fail(error, RYZ_NO_MEMORY, "no memory for a KV ledger of %u blocks",
                        block_count);
    }
    l->block_count = block_count;
    l->free_count = block_count;
    /* Block 0 on top, so that a fresh pool is used front to back. */
    for (uint32_t i = 0; i < block_count; i++) l->free[i] = block_count - 1 - i;
    *ledger = l;
    return RYZ_OK;
}

void ryz_kv_ledger_close(struct ryz_kv_ledger *ledger)
{
    if (ledger == NULL) return;
    free(ledger->owners);
    free(ledger->free);
    free(ledger);
}

bool ryz_kv_ledger_alloc(struct ryz_kv_ledger *ledger, uint32_t count, uint32_t *blocks)
{
    if (count > ledger->free_count) return false;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t block = ledger->free[--ledger->free_count];
        RYZ_ASSERT(ledger->owners[block] == 0);
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
    if (--ledger->owners[block] > 0) return;
    RYZ_ASSERT(ledger->free_count < ledger->block_count);
    ledger->free[ledger->free_count++] = block;
}

void ryz_kv_ledger_release_all(struct ryz_kv_ledger *ledger, const uint32_t *blocks, uint32_t count)
{
    for (uint32_t i = count; i > 0; i--) ryz_kv_ledger_release(ledger, blocks[i - 1]);
}

uint32_t ryz_kv_ledger_free_count(const struct ryz_kv_ledger *ledger)
{
    return ledger->free_count;
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
