/*
 * test_kv_partitions.c - goal: guarantees are kept, maxima hold, the rest goes to who comes first.
 * Method: a pool of 10 blocks by hand; any order of requests in tests/property.
 */
#include "engine/base/size.h"
#include "engine/sched/kv_partitions.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <signal.h>
#include <string.h>

/* Guaranteed 4, 2 and none of 10. */
static struct ryz_kv_partitions open_three(void)
{
    static const struct ryz_kv_partition limits[] = {{4, 10, 0}, {2, 5, 7}, {0, 10, 0}};
    struct ryz_kv_partitions partitions;
    cr_assert_eq(ryz_kv_partitions_init(&partitions, 10, limits, 3, NULL), RYZ_OK);
    return partitions;
}

Test(kv_partitions, a_partition_borrows_what_nobody_is_guaranteed)
{
    struct ryz_kv_partitions p = open_three();
    cr_assert_eq(ryz_kv_partitions_available(&p, 2), 4u);
    cr_assert(ryz_kv_partitions_take(&p, 2, 4));
    cr_assert_eq(ryz_kv_partitions_borrowed(&p, 2), 4u);
    cr_assert_not(ryz_kv_partitions_take(&p, 2, 1), "the free blocks are others' guarantees");
    cr_assert(ryz_kv_partitions_take(&p, 0, 4));
    cr_assert_eq(ryz_kv_partitions_borrowed(&p, 0), 0u);
    cr_assert_not(ryz_kv_partitions_take(&p, 0, 1));
    cr_assert(ryz_kv_partitions_take(&p, 1, 2));
    cr_assert_eq(p.held_blocks, 10u);
    cr_assert_eq(p.reserved_blocks, 0u);
}

Test(kv_partitions, the_maximum_holds_in_an_empty_pool)
{
    struct ryz_kv_partitions p = open_three();
    cr_assert_eq(ryz_kv_partitions_available(&p, 1), 5u);
    cr_assert_not(ryz_kv_partitions_take(&p, 1, 6));
    cr_assert(ryz_kv_partitions_take(&p, 1, 5));
    cr_assert_eq(ryz_kv_partitions_borrowed(&p, 1), 3u);
    cr_assert(ryz_kv_partitions_take(&p, 1, 0));
}

Test(kv_partitions, blocks_given_back_are_reserved_again_up_to_the_guarantee)
{
    struct ryz_kv_partitions p = open_three();
    cr_assert(ryz_kv_partitions_take(&p, 0, 8));
    cr_assert_eq(ryz_kv_partitions_available(&p, 2), 0u);
    ryz_kv_partitions_give(&p, 0, 3);
    cr_assert_eq(ryz_kv_partitions_available(&p, 2), 3u);
    ryz_kv_partitions_give(&p, 0, 3);
    cr_assert_eq(ryz_kv_partitions_available(&p, 2), 4u, "the last two are guaranteed to 0");
}

Test(kv_partitions, giving_back_more_than_is_held_is_a_bug, .signal = SIGABRT)
{
    struct ryz_kv_partitions p = open_three();
    ryz_kv_partitions_give(&p, 1, 1);
}

struct refusal {
    struct ryz_kv_partition limits[2];
    uint32_t count;
    char text[24]; /* in the error */
};

ParameterizedTestParameters(kv_partitions, impossible_limits_are_refused)
{
    static struct refusal refusals[] = {
        {{{0, 1, 0}}, 0, "0 KV partitions"},
        {{{0, 1, 0}}, RYZ_KV_PARTITIONS_MAX + 1, "17 KV partitions"},
        {{{0, 10, 0}, {0, 0, 0}}, 2, "partition 1 may hold"},
        {{{0, 11, 0}, {0, 1, 0}}, 2, "partition 0 may hold"},
        {{{5, 4, 0}}, 1, "guaranteed 5 blocks"},
        {{{6, 10, 0}, {5, 10, 0}}, 2, "guaranteed 11 blocks"},
    };
    return cr_make_param_array(struct refusal, refusals, RYZ_COUNT_OF(refusals));
}

ParameterizedTest(struct refusal *refusal, kv_partitions, impossible_limits_are_refused)
{
    struct ryz_kv_partitions partitions;
    struct ryz_error error;
    cr_assert_eq(ryz_kv_partitions_init(&partitions, 10, refusal->limits, refusal->count, &error),
                 RYZ_INVALID);
    cr_assert_not_null(strstr(error.text, refusal->text), "%s", error.text);
}
