/*
 * kv_partitions.h - how many blocks of one pool each tenant or class may hold: a guarantee, a
 * maximum, and borrowing in between.
 *
 *   pool  |== guaranteed 0 ==|=== guaranteed 1 ===|======== unguaranteed ========|
 *            held  | unused     held                 borrowed by 1 | free
 *                    kept for 0                                      who comes first, up to its max
 *
 * An unused guarantee is kept free, not lent: so a partition below its guarantee is never refused,
 * and nobody's blocks need be taken away for it. Price: those blocks idle. (Blocks that are only
 * cached are free; others may evict them. The guarantee is of room, not of contents.)
 *
 * Accounting only: which blocks these are is the ledger's (kv_ledger.h), and the charge is what its
 * free_count falls by: of a claim, block_count - (found - cached) in the words of
 * ryz_kv_ledger_match. A block is charged once, so partitions must not share blocks: give each its
 * own tenants in prefix_hash.h.
 */
#ifndef RYZ_SCHED_KV_PARTITIONS_H
#define RYZ_SCHED_KV_PARTITIONS_H

#include "engine/base/status.h"

#include <stdbool.h>
#include <stdint.h>

#define RYZ_KV_PARTITIONS_MAX 16

struct ryz_kv_partition {
    uint32_t guaranteed_blocks; /* <= max_blocks; all together <= the pool */
    uint32_t max_blocks;        /* 1 to the pool */
    uint32_t held_blocks;       /* 0 at init */
};

/* Placed by the caller, fields may be read. held_blocks + reserved_blocks <= pool_blocks, always.
 */
struct ryz_kv_partitions {
    struct ryz_kv_partition of[RYZ_KV_PARTITIONS_MAX]; /* [count) */
    uint32_t count;
    uint32_t pool_blocks;
    uint32_t held_blocks;     /* by all */
    uint32_t reserved_blocks; /* unused guarantees of all */
};

/* Partitions 0 .. count - 1 of an empty pool; held_blocks of `partitions` is ignored. INVALID: a
 * bound that the fields name does not hold. */
RYZ_MUST_USE enum ryz_status ryz_kv_partitions_init(struct ryz_kv_partitions *partitions,
                                                    uint32_t pool_blocks,
                                                    const struct ryz_kv_partition *limits,
                                                    uint32_t count, struct ryz_error *error);

/* Blocks that a partition could take now. */
uint32_t ryz_kv_partitions_available(const struct ryz_kv_partitions *partitions,
                                     uint32_t partition);
/* Charges `count` blocks; false, and nothing changed, when that is more than available. */
bool ryz_kv_partitions_take(struct ryz_kv_partitions *partitions, uint32_t partition,
                            uint32_t count);
/* Takes `count` blocks off the charge; more than are held is a bug. */
void ryz_kv_partitions_give(struct ryz_kv_partitions *partitions, uint32_t partition,
                            uint32_t count);
/* Blocks held beyond the guarantee: of whom to ask some back first. */
uint32_t ryz_kv_partitions_borrowed(const struct ryz_kv_partitions *partitions, uint32_t partition);

#endif
