/*
 * kv_host.h - which block of host memory keeps the contents of which hash: ids and hashes only.
 *
 * Blocks that the pool gives up go here (put) until their beginning is asked for again, and are
 * then moved back: a hash is in the pool or here, never in both, so the two tiers add up. A full
 * tier drops what came first. A block that a plan has promised to somebody is not dropped before it
 * was removed, which happens in the same plan.
 *
 *    FREE --put--> KEPT --promise--> PROMISED --remove--> FREE
 *                  KEPT --remove--> FREE, or --put--> KEPT (dropped for another hash)
 */
#ifndef RYZ_SCHED_KV_HOST_H
#define RYZ_SCHED_KV_HOST_H

#include "engine/base/status.h"
#include "engine/sched/prefix_index.h"

#include <stdbool.h>
#include <stdint.h>

#define RYZ_KV_HOST_NONE UINT32_MAX

/* Treat fields as private. Zeroed: no tier, nothing is found in it. */
struct ryz_kv_host {
    struct ryz_prefix_index index;    /* hash -> block */
    uint64_t *hashes;                 /* [block_count]; 0: free */
    struct ryz_kv_host_link *links;   /* [block_count + 1], the last one marks both ends */
    uint32_t block_count, used_count; /* used: kept or promised */
};

/* A tier of 1 to 2^26 blocks, all free. */
RYZ_MUST_USE enum ryz_status ryz_kv_host_open(struct ryz_kv_host *host, uint32_t block_count,
                                              struct ryz_error *error);
/* Of a zeroed tier too. */
void ryz_kv_host_close(struct ryz_kv_host *host);

/* The block that keeps `hash` (never 0), or RYZ_KV_HOST_NONE. */
uint32_t ryz_kv_host_find(const struct ryz_kv_host *host, uint64_t hash);
/* The block that keeps `hash`, which is not here, from now on; *dropped: the hash that gave way to
 * it, 0 if none did. RYZ_KV_HOST_NONE where every block is promised: *dropped is then `hash`. */
uint32_t ryz_kv_host_put(struct ryz_kv_host *host, uint64_t hash, uint64_t *dropped);
/* A block is not dropped until it is removed; promising twice changes nothing. */
void ryz_kv_host_promise(struct ryz_kv_host *host, uint32_t block);
/* A block's contents have gone elsewhere: it is free. */
void ryz_kv_host_remove(struct ryz_kv_host *host, uint32_t block);
/* The hash that a block keeps, 0: it is free. */
uint64_t ryz_kv_host_hash(const struct ryz_kv_host *host, uint32_t block);
/* Neither dropped before nor after: asserted where a promise must have been kept. */
bool ryz_kv_host_is_promised(const struct ryz_kv_host *host, uint32_t block);

#endif
