/*
 * kv_partitions.h - how much of the KV pool each tenant is sure to get, and what it holds.
 *
 *   pool  |=== guaranteed a ===|=== guaranteed b ===|====== nobody's guarantee ======|
 *            held by a | lent     held by b            who comes first
 *
 * What a tenant does not use of its guarantee is lent to whoever comes first, and taken back when
 * it is needed: policy_step.c says from whom. Blocks that are only cached belong to nobody. The
 * guarantee is of room, not of contents or places.
 *
 * Accounting only: which blocks these are is the ledger's (kv_ledger.h), and the charge is what its
 * free_count falls by, so blocks that requests share are charged once. Tenants share none
 * (prefix_hash.h), so no charge is ever split.
 */
#ifndef RYZ_SCHED_KV_PARTITIONS_H
#define RYZ_SCHED_KV_PARTITIONS_H

#include "engine/base/status.h"
#include "engine/sched/sched.h"

/* Fields may be read. The sum of held_blocks is what the ledger counts as used. */
struct ryz_kv_partitions {
    uint32_t count; /* 0: there are none; else the shares and, as number 0, everybody else */
    uint32_t pool_blocks;
    struct ryz_kv_partition of[RYZ_KV_PARTITIONS_MAX]; /* [count) */
    uint8_t number_of[RYZ_TENANTS_MAX];                /* of a tenant's partition */
};

/* Partitions 1 .. share_count of an empty pool in the order of `shares`, and 0 for everybody else,
 * guaranteed nothing; share_count 0: none. INVALID: too many, one tenant twice, shares of nothing
 * or of more than the pool. */
RYZ_MUST_USE enum ryz_status ryz_kv_partitions_init(struct ryz_kv_partitions *partitions,
                                                    uint32_t pool_blocks,
                                                    const struct ryz_kv_share *shares,
                                                    uint32_t share_count, struct ryz_error *error);

/* Charges a tenant for what the ledger's free blocks have become fewer or, below 0, more. */
void ryz_kv_partitions_charge(struct ryz_kv_partitions *partitions, uint16_t tenant,
                              int64_t blocks);
/* Blocks that a tenant gets in the end, whoever else is there: the pool but for others' guarantees.
 */
uint32_t ryz_kv_partitions_reach(const struct ryz_kv_partitions *partitions, uint16_t tenant);
/* Blocks of guarantees that others hold now. */
uint32_t ryz_kv_partitions_lent(const struct ryz_kv_partitions *partitions);

#endif
