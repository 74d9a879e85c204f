/*
 * kv_partitions.c - guarantees, maxima and what is held, with the two sums that decide in O(1).
 *
 * Limits do not change after init: raising a guarantee while its blocks are lent could not be kept.
 */
#include "engine/sched/kv_partitions.h"

#include "engine/base/assert.h"
#include "engine/base/size.h"

enum ryz_status ryz_kv_partitions_init(struct ryz_kv_partitions *partitions, uint32_t pool_blocks,
                                       const struct ryz_kv_partition *limits, uint32_t count,
                                       struct ryz_error *error)
{
    *partitions = (struct ryz_kv_partitions){.pool_blocks = pool_blocks};
    if (count == 0 || count > RYZ_KV_PARTITIONS_MAX)
        return ryz_fail(error, RYZ_INVALID, "%u KV partitions; allowed are 1 to %u", count,
                        (unsigned)RYZ_KV_PARTITIONS_MAX);
    uint64_t guaranteed = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (limits[i].max_blocks == 0 || limits[i].max_blocks > pool_blocks)
            return ryz_fail(error, RYZ_INVALID,
                            "KV partition %u may hold at most %u blocks; allowed are 1 to the "
                            "pool's %u",
                            i, limits[i].max_blocks, pool_blocks);
        if (limits[i].guaranteed_blocks > limits[i].max_blocks)
            return ryz_fail(error, RYZ_INVALID,
                            "KV partition %u is guaranteed %u blocks, but may hold only %u", i,
                            limits[i].guaranteed_blocks, limits[i].max_blocks);
        guaranteed += limits[i].guaranteed_blocks;
        partitions->of[i] = limits[i];
        partitions->of[i].held_blocks = 0;
    }
    if (guaranteed > pool_blocks)
        return ryz_fail(error, RYZ_INVALID,
                        "KV partitions are guaranteed %llu blocks together, the pool has %u",
                        (unsigned long long)guaranteed, pool_blocks);
    partitions->count = count;
    partitions->reserved_blocks = (uint32_t)guaranteed;
    return RYZ_OK;
}

static uint32_t unused_guarantee(const struct ryz_kv_partition *partition)
{
    return partition->guaranteed_blocks -
           ryz_min_u32(partition->guaranteed_blocks, partition->held_blocks);
}

uint32_t ryz_kv_partitions_available(const struct ryz_kv_partitions *partitions, uint32_t partition)
{
    RYZ_ASSERT(partition < partitions->count);
    const struct ryz_kv_partition *p = &partitions->of[partition];
    uint32_t unreserved =
        partitions->pool_blocks - partitions->held_blocks - partitions->reserved_blocks;
    return ryz_min_u32(unreserved + unused_guarantee(p), p->max_blocks - p->held_blocks);
}

/* Sets what a partition holds, and both sums. */
static void hold(struct ryz_kv_partitions *partitions, struct ryz_kv_partition *p,
                 uint32_t held_blocks)
{
    partitions->reserved_blocks -= unused_guarantee(p);
    partitions->held_blocks -= p->held_blocks;
    p->held_blocks = held_blocks;
    partitions->held_blocks += p->held_blocks;
    partitions->reserved_blocks += unused_guarantee(p);
    RYZ_ASSERT(partitions->held_blocks <= partitions->pool_blocks);
    RYZ_ASSERT(partitions->reserved_blocks <= partitions->pool_blocks - partitions->held_blocks);
}

bool ryz_kv_partitions_take(struct ryz_kv_partitions *partitions, uint32_t partition,
                            uint32_t count)
{
    if (count > ryz_kv_partitions_available(partitions, partition)) return false;
    struct ryz_kv_partition *p = &partitions->of[partition];
    hold(partitions, p, p->held_blocks + count);
    return true;
}

void ryz_kv_partitions_give(struct ryz_kv_partitions *partitions, uint32_t partition,
                            uint32_t count)
{
    RYZ_ASSERT(partition < partitions->count);
    struct ryz_kv_partition *p = &partitions->of[partition];
    RYZ_ASSERT(count <= p->held_blocks);
    hold(partitions, p, p->held_blocks - count);
}

uint32_t ryz_kv_partitions_borrowed(const struct ryz_kv_partitions *partitions, uint32_t partition)
{
    RYZ_ASSERT(partition < partitions->count);
    const struct ryz_kv_partition *p = &partitions->of[partition];
    return p->held_blocks - ryz_min_u32(p->held_blocks, p->guaranteed_blocks);
}
