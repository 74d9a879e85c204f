/* fair_share.c - see fair_share.h. */
#include "engine/sched/fair_share.h"

#include "engine/base/assert.h"

/* The least counter among the tenants that queue; of the last that left, where nobody does. */
static uint64_t floor_of(const struct ryz_fair_share *share)
{
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < RYZ_TENANTS_MAX; i++)
        if (share->queued[i] > 0 && share->service[i] < least) least = share->service[i];
    return least != UINT64_MAX ? least : share->last_left;
}

uint64_t ryz_fair_share_on_arrival(const struct ryz_fair_share *share, uint16_t tenant)
{
    RYZ_ASSERT(tenant < RYZ_TENANTS_MAX);
    if (share->queued[tenant] > 0) return share->service[tenant];
    uint64_t least = floor_of(share);
    return share->service[tenant] < least ? least : share->service[tenant];
}

void ryz_fair_share_queued(struct ryz_fair_share *share, uint16_t tenant)
{
    share->service[tenant] = ryz_fair_share_on_arrival(share, tenant);
    share->queued[tenant]++;
}

void ryz_fair_share_unqueued(struct ryz_fair_share *share, uint16_t tenant)
{
    RYZ_ASSERT(share->queued[tenant] > 0);
    if (--share->queued[tenant] == 0) share->last_left = share->service[tenant];
}

void ryz_fair_share_charge(struct ryz_fair_share *share, uint16_t tenant, uint32_t prompt_tokens,
                           uint32_t output_tokens)
{
    share->service[tenant] += (uint64_t)RYZ_FAIR_PROMPT_WEIGHT * prompt_tokens +
                              (uint64_t)RYZ_FAIR_OUTPUT_WEIGHT * output_tokens;
}
