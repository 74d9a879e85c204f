/*
 * test_kv_partitions.c - goal: whoever takes and gives in whatever order, the pool is never
 * overdrawn, no maximum is passed, a partition below its guarantee is never refused, nobody is
 * refused without a reason, and what is granted the ledger has, prefixes shared or not.
 *
 * Method: 100,000 random operations on random pools and limits; requests of a partition claim
 * blocks of a real ledger by prefixes of their own, and the properties are checked from the limits
 * and a count per partition kept here. RYZ_TEST_SEED sets the seed.
 */
#include "engine/base/rng.h"
#include "engine/sched/kv_ledger.h"
#include "engine/sched/kv_partitions.h"
#include "tests/unit/base/support.h"

#include <criterion/criterion.h>

enum { ROUNDS = 100, ROUND_STEPS = 1000, POOL_MAX = 200, LIVE_MAX = 64, LENGTH = 12 };

struct request {
    uint32_t partition, count, blocks[LENGTH];
};

static struct {
    struct ryz_kv_ledger *ledger;
    struct ryz_kv_partitions partitions;
    struct ryz_kv_partition limits[RYZ_KV_PARTITIONS_MAX]; /* held_blocks is counted here */
    uint32_t count, pool;
    struct request live[LIVE_MAX]; /* [live_count) */
    uint32_t live_count;
    struct ryz_rng rng;
    uint64_t seed, granted, shared, refused_max, refused_guarantee, refused_full;
} t;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            cr_assert_fail("seed %llu, pool of %u: %s", (unsigned long long)t.seed, t.pool,        \
                           #condition);                                                            \
    } while (0)

static uint32_t below(uint32_t bound)
{
    return (uint32_t)ryz_rng_below(&t.rng, bound);
}

/* Whether `count` more blocks for a partition break nobody's promise, from the definitions. */
static bool may_take(uint32_t partition, uint32_t count)
{
    const struct ryz_kv_partition *p = &t.limits[partition];
    uint32_t held = 0, promised = 0;
    for (uint32_t i = 0; i < t.count; i++) {
        const struct ryz_kv_partition *q = &t.limits[i];
        held += q->held_blocks;
        if (i != partition && q->held_blocks < q->guaranteed_blocks)
            promised += q->guaranteed_blocks - q->held_blocks;
    }
    if (p->held_blocks + count > p->max_blocks) {
        t.refused_max++;
        return false;
    }
    if (held + count > t.pool) {
        t.refused_full++;
        return false;
    }
    if (held + count + promised > t.pool) {
        t.refused_guarantee++;
        return false;
    }
    return true;
}

static void start(void)
{
    struct request *request = &t.live[t.live_count];
    uint64_t hashes[LENGTH];
    uint32_t cached, taken;
    request->partition = below(t.count);
    request->count = below(LENGTH + 1);
    /* A few chains per partition, as its tenants' salts would give. */
    uint64_t chain = below(6);
    for (uint32_t i = 0; i < LENGTH; i++)
        hashes[i] = ryz_rng_at(t.seed, (uint64_t)request->partition << 32 | chain, i) | 1;
    uint32_t found = ryz_kv_ledger_match(t.ledger, hashes, request->count, &cached);
    uint32_t charge = request->count - (found - cached);
    struct ryz_kv_partition *p = &t.limits[request->partition];
    bool fits = may_take(request->partition, charge);
    CHECK(ryz_kv_partitions_take(&t.partitions, request->partition, charge) == fits);
    if (!fits) {
        CHECK(p->held_blocks + charge > p->guaranteed_blocks);
        return;
    }
    uint32_t free_before = ryz_kv_ledger_free_count(t.ledger);
    const struct ryz_kv_claim claim = {hashes, LENGTH, LENGTH, request->count};
    CHECK(ryz_kv_ledger_claim(t.ledger, &claim, request->blocks, &taken));
    CHECK(taken == found);
    CHECK(free_before - ryz_kv_ledger_free_count(t.ledger) == charge);
    for (uint32_t i = found; i < request->count; i++)
        (void)ryz_kv_ledger_publish(t.ledger, request->blocks[i], hashes[i]);
    p->held_blocks += charge;
    t.granted++;
    t.shared += found - cached;
    t.live_count++;
}

static void end(uint32_t i)
{
    struct request *request = &t.live[i];
    uint32_t free_before = ryz_kv_ledger_free_count(t.ledger);
    ryz_kv_ledger_release_all(t.ledger, request->blocks, request->count);
    uint32_t freed = ryz_kv_ledger_free_count(t.ledger) - free_before;
    ryz_kv_partitions_give(&t.partitions, request->partition, freed);
    t.limits[request->partition].held_blocks -= freed;
    *request = t.live[--t.live_count];
}

static void compare(void)
{
    uint32_t held = 0;
    for (uint32_t i = 0; i < t.count; i++) {
        const struct ryz_kv_partition *p = &t.limits[i];
        held += p->held_blocks;
        CHECK(t.partitions.of[i].held_blocks == p->held_blocks);
        CHECK(p->held_blocks <= p->max_blocks);
        if (p->held_blocks < p->guaranteed_blocks)
            CHECK(ryz_kv_partitions_available(&t.partitions, i) >=
                  p->guaranteed_blocks - p->held_blocks);
        CHECK(ryz_kv_partitions_available(&t.partitions, i) <= ryz_kv_ledger_free_count(t.ledger));
    }
    CHECK(held <= t.pool);
    CHECK(t.partitions.held_blocks == held);
    CHECK(ryz_kv_ledger_free_count(t.ledger) == t.pool - held);
}

static void draw_limits(void)
{
    t.pool = 1 + below(POOL_MAX);
    t.count = 1 + below(RYZ_KV_PARTITIONS_MAX);
    uint32_t left = t.pool;
    for (uint32_t i = 0; i < t.count; i++) {
        uint32_t guaranteed = below(3) == 0 ? 0 : below(left / 2 + 1);
        uint32_t room = t.pool - guaranteed;
        uint32_t max = below(2) == 0 ? t.pool : guaranteed + below(room + 1);
        left -= guaranteed;
        t.limits[i] = (struct ryz_kv_partition){guaranteed, max > 0 ? max : 1, 0};
    }
    cr_assert_eq(ryz_kv_partitions_init(&t.partitions, t.pool, t.limits, t.count, NULL), RYZ_OK);
}

Test(kv_partitions, keep_every_promise_in_any_order)
{
    t.seed = test_seed("kv_partitions");
    ryz_rng_init(&t.rng, t.seed, 0);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        draw_limits();
        cr_assert_eq(ryz_kv_ledger_open(t.pool, &t.ledger, NULL), RYZ_OK);
        for (uint32_t i = 0; i < ROUND_STEPS; i++) {
            bool room = t.live_count < LIVE_MAX;
            if (t.live_count == 0 || (room && below(5) < 3))
                start();
            else
                end(below(t.live_count));
            compare();
        }
        while (t.live_count > 0) end(0);
        compare();
        CHECK(t.partitions.held_blocks == 0);
        ryz_kv_ledger_close(t.ledger);
    }
    (void)fprintf(stderr,
                  "granted %" PRIu64 ", blocks shared %" PRIu64 "; refused for a maximum %" PRIu64
                  ", others' guarantees %" PRIu64 ", a full pool %" PRIu64 "\n",
                  t.granted, t.shared, t.refused_max, t.refused_guarantee, t.refused_full);
    cr_assert_gt(t.granted, 10000u);
    cr_assert_gt(t.shared, 10000u);
    cr_assert_gt(t.refused_max, 500u);
    cr_assert_gt(t.refused_guarantee, 500u);
    cr_assert_gt(t.refused_full, 500u);
}
