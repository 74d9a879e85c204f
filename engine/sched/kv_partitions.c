/*
 * kv_partitions.c - guarantees, what is held, and whose it is.
 *
 * Shares do not change after init: raising one while its blocks are lent would need a plan of its
 * own.
 */
#include "engine/sched/kv_partitions.h"

#include "engine/base/assert.h"
#include "engine/base/size.h"

enum ryz_status ryz_kv_partitions_init(struct ryz_kv_partitions *partitions, uint32_t pool_blocks,
                                       const struct ryz_kv_share *shares, uint32_t share_count,
                                       struct ryz_error *error)
{
    uint32_t permille = 0;
    *partitions = (struct ryz_kv_partitions){.pool_blocks = pool_blocks};
    if (share_count == 0) return RYZ_OK;
    if (share_count > RYZ_KV_SHARES_MAX)
        return ryz_fail(error, RYZ_INVALID, "%u KV partitions; %u are possible", share_count,
                        (unsigned)RYZ_KV_SHARES_MAX);
    for (uint32_t i = 0; i < share_count; i++) {
        const struct ryz_kv_share *share = &shares[i];
        if (share->tenant >= RYZ_TENANTS_MAX || partitions->number_of[share->tenant] != 0)
            return ryz_fail(error, RYZ_INVALID,
                            "KV partition %u is of tenant %u, which does not exist or has one", i,
                            share->tenant);
        uint32_t blocks = (uint32_t)((uint64_t)pool_blocks * share->permille / 1000);
        if (blocks == 0)
            return ryz_fail(error, RYZ_INVALID,
                            "KV partition %u: %u permille of a pool of %u blocks is no block", i,
                            share->permille, pool_blocks);
        permille += share->permille;
        partitions->number_of[share->tenant] = (uint8_t)(i + 1);
        partitions->of[i + 1].guaranteed_blocks = blocks;
    }
    if (permille > 1000)
        return ryz_fail(error, RYZ_INVALID, "KV partitions of %u %% of the pool together",
                        ryz_ceil_div_u32(permille, 10));
    partitions->count = share_count + 1;
    return RYZ_OK;
}

void ryz_kv_partitions_charge(struct ryz_kv_partitions *partitions, uint16_t tenant, int64_t blocks)
{
    if (partitions->count == 0) return;
    struct ryz_kv_partition *partition = &partitions->of[partitions->number_of[tenant]];
    int64_t held = partition->held_blocks + blocks;
    RYZ_ASSERT(held >= 0);
    RYZ_ASSERT(held <= partitions->pool_blocks);
    partition->held_blocks = (uint32_t)held;
}

uint32_t ryz_kv_partitions_reach(const struct ryz_kv_partitions *partitions, uint16_t tenant)
{
    uint32_t blocks = partitions->pool_blocks;
    for (uint32_t i = 0; i < partitions->count; i++)
        if (i != partitions->number_of[tenant]) blocks -= partitions->of[i].guaranteed_blocks;
    return blocks;
}

uint32_t ryz_kv_partitions_lent(const struct ryz_kv_partitions *partitions)
{
    uint32_t unguaranteed = partitions->pool_blocks, borrowed = 0;
    for (uint32_t i = 0; i < partitions->count; i++) {
        const struct ryz_kv_partition *p = &partitions->of[i];
        unguaranteed -= p->guaranteed_blocks;
        if (p->held_blocks > p->guaranteed_blocks)
            borrowed += p->held_blocks - p->guaranteed_blocks;
    }
    return borrowed > unguaranteed ? borrowed - unguaranteed : 0;
}
