/*
 * test_kv_partitions.c - goal: guarantees in blocks, what is lent, and which shares are refused.
 * Method: a pool of 10 blocks by hand; any order of requests in tests/property.
 */
#include "engine/base/size.h"
#include "engine/sched/kv_partitions.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <signal.h>
#include <string.h>

/* Tenant 7 has 4 blocks of 10, tenant 0 has 2. */
static struct ryz_kv_partitions open_two(void)
{
    static const struct ryz_kv_share shares[] = {{7, 400}, {0, 299}};
    struct ryz_kv_partitions partitions;
    cr_assert_eq(ryz_kv_partitions_init(&partitions, 10, shares, 2, NULL), RYZ_OK);
    return partitions;
}

Test(kv_partitions, shares_are_rounded_down_to_blocks)
{
    struct ryz_kv_partitions p = open_two();
    cr_assert_eq(p.count, 3u);
    cr_assert_eq(p.number_of[7], 1u);
    cr_assert_eq(p.number_of[0], 2u);
    cr_assert_eq(p.number_of[1], 0u);
    cr_assert_eq(p.of[0].guaranteed_blocks, 0u);
    cr_assert_eq(p.of[1].guaranteed_blocks, 4u);
    cr_assert_eq(p.of[2].guaranteed_blocks, 2u);
}

Test(kv_partitions, a_tenant_reaches_all_but_the_others_guarantees)
{
    struct ryz_kv_partitions p = open_two();
    cr_assert_eq(ryz_kv_partitions_reach(&p, 7), 8u);
    cr_assert_eq(ryz_kv_partitions_reach(&p, 0), 6u);
    cr_assert_eq(ryz_kv_partitions_reach(&p, 200), 4u);
}

Test(kv_partitions, lent_is_what_goes_beyond_guarantees_and_the_rest)
{
    struct ryz_kv_partitions p = open_two();
    ryz_kv_partitions_charge(&p, 3, 3);
    ryz_kv_partitions_charge(&p, 0, 3);
    cr_assert_eq(ryz_kv_partitions_lent(&p), 0u, "4 are nobody's");
    ryz_kv_partitions_charge(&p, 4, 2);
    cr_assert_eq(p.of[0].held_blocks, 5u);
    cr_assert_eq(ryz_kv_partitions_lent(&p), 2u);
    ryz_kv_partitions_charge(&p, 3, -5);
    cr_assert_eq(ryz_kv_partitions_lent(&p), 0u);
}

Test(kv_partitions, without_shares_everybody_reaches_the_pool)
{
    struct ryz_kv_partitions p;
    cr_assert_eq(ryz_kv_partitions_init(&p, 10, NULL, 0, NULL), RYZ_OK);
    ryz_kv_partitions_charge(&p, 3, 10);
    cr_assert_eq(p.count, 0u);
    cr_assert_eq(ryz_kv_partitions_reach(&p, 3), 10u);
    cr_assert_eq(ryz_kv_partitions_lent(&p), 0u);
}

Test(kv_partitions, giving_back_more_than_is_held_is_a_bug, .signal = SIGABRT)
{
    struct ryz_kv_partitions p = open_two();
    ryz_kv_partitions_charge(&p, 7, -1);
}

struct refusal {
    struct ryz_kv_share shares[2];
    uint32_t count;
    char text[24]; /* in the error */
};

ParameterizedTestParameters(kv_partitions, impossible_shares_are_refused)
{
    static struct refusal refusals[] = {
        {{{0, 1}}, RYZ_KV_SHARES_MAX + 1, "16 KV partitions"},
        {{{1, 100}, {1, 100}}, 2, "partition 1 is of tenant"},
        {{{RYZ_TENANTS_MAX, 100}}, 1, "does not exist"},
        {{{1, 100}, {2, 99}}, 2, "no block"},
        {{{1, 600}, {2, 401}}, 2, "101 % of the pool"},
    };
    return cr_make_param_array(struct refusal, refusals, RYZ_COUNT_OF(refusals));
}

ParameterizedTest(struct refusal *refusal, kv_partitions, impossible_shares_are_refused)
{
    struct ryz_kv_partitions partitions;
    struct ryz_error error;
    cr_assert_eq(ryz_kv_partitions_init(&partitions, 10, refusal->shares, refusal->count, &error),
                 RYZ_INVALID);
    cr_assert_not_null(strstr(error.text, refusal->text), "%s", error.text);
}
