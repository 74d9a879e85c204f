/*
 * kv_host.c - one queue of blocks that a put may use, and an index of those that keep something.
 *
 *   queue:  end marker <-> free ... free <-> kept (oldest) ... kept (newest) <-> end marker
 *
 * Leaves to others: the copies (kv_ledger.c orders them), the memory. The queue is the ledger's own
 * idea: free blocks enter at its front, kept ones at its end, promised ones are not in it.
 */
#include "engine/sched/kv_host.h"

#include "engine/base/assert.h"

#include <stdlib.h>

#define UNLINKED UINT32_MAX

struct ryz_kv_host_link {
    uint32_t previous, next; /* UNLINKED in a promised block */
};

enum ryz_status ryz_kv_host_open(struct ryz_kv_host *host, uint32_t block_count,
                                 struct ryz_error *error)
{
    *host = (struct ryz_kv_host){0};
    enum ryz_status status = ryz_prefix_index_open(&host->index, block_count, error);
    if (status != RYZ_OK) return status;
    host->hashes = calloc(block_count, sizeof *host->hashes);
    host->links = calloc((size_t)block_count + 1, sizeof *host->links);
    if (host->hashes == NULL || host->links == NULL) {
        ryz_kv_host_close(host);
        return ryz_fail(error, RYZ_NO_MEMORY, "no memory for a tier of %u host blocks",
                        block_count);
    }
    host->block_count = block_count;
    for (uint32_t i = 0; i <= block_count; i++)
        host->links[i] = (struct ryz_kv_host_link){.previous = i == 0 ? block_count : i - 1,
                                                   .next = i == block_count ? 0 : i + 1};
    return RYZ_OK;
}

void ryz_kv_host_close(struct ryz_kv_host *host)
{
    ryz_prefix_index_close(&host->index);
    free(host->hashes);
    free(host->links);
    *host = (struct ryz_kv_host){0};
}

static void unlink_block(struct ryz_kv_host *host, uint32_t block)
{
    struct ryz_kv_host_link *link = &host->links[block];
    host->links[link->previous].next = link->next;
    host->links[link->next].previous = link->previous;
    *link = (struct ryz_kv_host_link){UNLINKED, UNLINKED};
}

static void link_between(struct ryz_kv_host *host, uint32_t block, uint32_t previous, uint32_t next)
{
    RYZ_ASSERT(host->links[block].next == UNLINKED);
    host->links[block] = (struct ryz_kv_host_link){previous, next};
    host->links[previous].next = block;
    host->links[next].previous = block;
}

uint32_t ryz_kv_host_find(const struct ryz_kv_host *host, uint64_t hash)
{
    _Static_assert(RYZ_KV_HOST_NONE == RYZ_PREFIX_NONE, "the index says none as we do");
    return host->block_count == 0 ? RYZ_KV_HOST_NONE : ryz_prefix_index_find(&host->index, hash);
}

uint32_t ryz_kv_host_put(struct ryz_kv_host *host, uint64_t hash, uint64_t *dropped)
{
    const uint32_t end = host->block_count;
    RYZ_ASSERT(end > 0);
    RYZ_ASSERT(ryz_kv_host_find(host, hash) == RYZ_KV_HOST_NONE);
    uint32_t block = host->links[end].next;
    *dropped = hash;
    if (block == end) return RYZ_KV_HOST_NONE;
    *dropped = host->hashes[block];
    if (*dropped != 0) {
        bool removed = ryz_prefix_index_remove(&host->index, *dropped);
        RYZ_ASSERT(removed);
    } else {
        host->used_count++;
    }
    unlink_block(host, block);
    host->hashes[block] = hash;
    ryz_prefix_index_put(&host->index, hash, block);
    link_between(host, block, host->links[end].previous, end);
    return block;
}

void ryz_kv_host_promise(struct ryz_kv_host *host, uint32_t block)
{
    RYZ_ASSERT(ryz_kv_host_hash(host, block) != 0);
    if (!ryz_kv_host_is_promised(host, block)) unlink_block(host, block);
}

void ryz_kv_host_remove(struct ryz_kv_host *host, uint32_t block)
{
    const uint32_t end = host->block_count;
    bool removed = ryz_prefix_index_remove(&host->index, ryz_kv_host_hash(host, block));
    RYZ_ASSERT(removed);
    if (!ryz_kv_host_is_promised(host, block)) unlink_block(host, block);
    host->hashes[block] = 0;
    link_between(host, block, end, host->links[end].next);
    RYZ_ASSERT(host->used_count > 0);
    host->used_count--;
}

uint64_t ryz_kv_host_hash(const struct ryz_kv_host *host, uint32_t block)
{
    RYZ_ASSERT(block < host->block_count);
    return host->hashes[block];
}

bool ryz_kv_host_is_promised(const struct ryz_kv_host *host, uint32_t block)
{
    RYZ_ASSERT(block < host->block_count);
    return host->links[block].next == UNLINKED;
}
