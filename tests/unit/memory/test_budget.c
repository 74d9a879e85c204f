/*
 * test_budget.c - goal: the account adds up, refuses what does not fit with the sum, and remembers
 * its peak; what the kernel writes about limits is read. Method: by hand.
 */
#include "engine/memory/budget.h"
#include "engine/memory/machine.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

#define MIB (UINT64_C(1) << 20)

Test(budget, items_add_up_and_the_peak_stays)
{
    struct ryz_budget budget;
    struct ryz_error error;
    ryz_budget_init(&budget, 100 * MIB);
    cr_assert_eq(ryz_budget_free(&budget), 100 * MIB);
    cr_assert_eq(ryz_budget_reserve(&budget, "weights", 60 * MIB, "", &error), RYZ_OK);
    cr_assert_eq(ryz_budget_reserve(&budget, "KV", 40 * MIB, "", &error), RYZ_OK);
    cr_assert_eq(ryz_budget_free(&budget), 0u);
    ryz_budget_release(&budget, "weights");
    cr_assert_eq(budget.used_bytes, 40 * MIB);
    cr_assert_eq(budget.peak_bytes, 100 * MIB);
    cr_assert_eq(ryz_budget_of(&budget, "KV"), 40 * MIB);
    cr_assert_eq(ryz_budget_of(&budget, "weights"), 0u);
    cr_assert_eq(ryz_budget_free(&budget), 60 * MIB);
}

Test(budget, what_does_not_fit_is_refused_with_the_sum)
{
    struct ryz_budget budget;
    struct ryz_error error;
    ryz_budget_init(&budget, 20 * MIB);
    cr_assert_eq(ryz_budget_reserve(&budget, "weights", 14 * MIB, "", &error), RYZ_OK);
    cr_assert_eq(ryz_budget_reserve(&budget, "activations", 7 * MIB, "lower max_batch", &error),
                 RYZ_NO_MEMORY);
    cr_assert_str_eq(error.text, "weights 14.0 MiB + activations 7.0 MiB = 21.0 MiB, but memory is "
                                 "20.0 MiB; lower max_batch");
    cr_assert_eq(budget.used_bytes, 14 * MIB, "nothing was reserved");
    cr_assert_eq(ryz_budget_reserve(&budget, "activations", 6 * MIB, "", &error), RYZ_OK);
    char text[96];
    ryz_budget_format(&budget, text, sizeof text);
    cr_assert_str_eq(text, "weights 14.0 MiB + activations 6.0 MiB = 20.0 MiB of 20.0 MiB");
    ryz_budget_format(&budget, text, 10);
    cr_assert_str_eq(text, "weights 1", "cut to the capacity");
}

Test(budget, without_a_limit_everything_fits)
{
    struct ryz_budget budget;
    struct ryz_error error;
    ryz_budget_init(&budget, 0);
    cr_assert_eq(ryz_budget_reserve(&budget, "weights", UINT64_C(3) << 30, "", &error), RYZ_OK);
    cr_assert_eq(ryz_budget_free(&budget), UINT64_MAX);
    cr_assert_eq(ryz_budget_reserve(&budget, "KV", UINT64_MAX, "", &error), RYZ_NO_MEMORY);
    char text[96];
    ryz_budget_format(&budget, text, sizeof text);
    cr_assert_str_eq(text, "weights 3.0 GiB");
}

Test(budget, a_name_comes_once, .signal = SIGABRT)
{
    struct ryz_budget budget;
    ryz_budget_init(&budget, 0);
    cr_assert_eq(ryz_budget_reserve(&budget, "KV", 1, "", NULL), RYZ_OK);
    cr_assert_eq(ryz_budget_reserve(&budget, "KV", 1, "", NULL), RYZ_OK);
}

Test(machine, limits_of_cgroups_are_read)
{
    uint64_t bytes = 7;
    cr_assert(ryz_machine_parse_limit("1073741824\n", &bytes));
    cr_assert_eq(bytes, UINT64_C(1) << 30);
    static const char *const none[] = {"max\n",    "",     "9223372036854771712\n",
                                       "12 MiB\n", "-1\n", "99999999999999999999999\n"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        cr_assert_not(ryz_machine_parse_limit(none[i], &bytes), "%s", none[i]);
    char path[16] = "old";
    cr_assert(ryz_machine_parse_cgroup("12:cpu:/x\n0::/a/b\n", path, sizeof path));
    cr_assert_str_eq(path, "/a/b");
    cr_assert(ryz_machine_parse_cgroup("0::/\n", path, sizeof path));
    cr_assert_str_eq(path, "/");
    cr_assert_not(ryz_machine_parse_cgroup("12:memory:/x\n", path, sizeof path));
    cr_assert_not(ryz_machine_parse_cgroup("0::/a/very/long/path/indeed\n", path, sizeof path));
}

Test(machine, this_one_has_some_memory)
{
    uint64_t bytes = 0;
    struct ryz_error error;
    cr_assert_eq(ryz_machine_memory(&bytes, &error), RYZ_OK, "%s", error.text);
    cr_assert_gt(bytes, 16 * MIB);
}
