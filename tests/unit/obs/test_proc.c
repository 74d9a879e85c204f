/* test_proc.c - texts of /proc: real ones give the numbers, broken ones give false. */
#include "engine/obs/proc.h"

#include "engine/base/size.h"

#include <criterion/criterion.h>

Test(proc, the_cpu_line_is_summed_without_guests)
{
    struct ryz_proc_cpu cpu = {0};
    cr_assert(ryz_proc_parse_cpu("cpu  100 20 30 400 50 6 7 8 90 9\ncpu0 1 2 3 4\n", &cpu));
    cr_assert_eq(cpu.total, 100 + 20 + 30 + 400 + 50 + 6 + 7 + 8);
    cr_assert_eq(cpu.idle, 450);
    cr_assert_eq(cpu.steal, 8);
    cr_assert(ryz_proc_parse_cpu("cpu 1 2 3 4\n", &cpu), "old kernels end after idle");
    cr_assert_eq(cpu.total, 10);
    cr_assert_eq(cpu.steal, 0);
}

Test(proc, broken_cpu_lines_are_refused)
{
    static const char *const bad[] = {"",
                                      "cpu",
                                      "cpu ",
                                      "cpu  1 2 3\n",
                                      "cpux 1 2 3 4\n",
                                      "cpu0 1 2 3 4\n",
                                      "cpu  a b c d\n",
                                      "cpu  -1 2 3 4\n",
                                      "intr 1 2 3 4 5 6 7 8\n",
                                      "cpu  99999999999999999999999 2 3 4\n"};
    for (size_t i = 0; i < RYZ_COUNT_OF(bad); i++) {
        struct ryz_proc_cpu cpu = {.total = 77};
        cr_assert_not(ryz_proc_parse_cpu(bad[i], &cpu), "%s", bad[i]);
        cr_assert_eq(cpu.total, 77, "%s", bad[i]);
    }
}

Test(proc, a_process_name_with_brackets_and_blanks_does_not_shift_the_fields)
{
    uint64_t ticks = 0;
    cr_assert(ryz_proc_parse_self_ticks(
        "12 (a) R 1 2) S 1 12 12 0 -1 4194304 99 0 0 0 321 45 0 0 20 0 1 0 119272\n", &ticks));
    cr_assert_eq(ticks, 366);
    static const char *const bad[] = {"", "12 (a", "12 (a)", "12 (a) S 1 2 3",
                                      "12 (a) S 1 12 12 0 -1 4194304 99 0 0 0 x 45"};
    for (size_t i = 0; i < RYZ_COUNT_OF(bad); i++)
        cr_assert_not(ryz_proc_parse_self_ticks(bad[i], &ticks), "%s", bad[i]);
    cr_assert_eq(ticks, 366);
}

Test(proc, memory_is_found_by_name_and_given_in_bytes)
{
    uint64_t total = 0, available = 0, pages = 0;
    float load = 0;
    cr_assert(ryz_proc_parse_memory(
        "MemTotal:       24684092 kB\nMemFree:  1 kB\nMemAvailable:   22558180 kB\n", &total,
        &available));
    cr_assert_eq(total, UINT64_C(24684092) * 1024);
    cr_assert_eq(available, UINT64_C(22558180) * 1024);
    cr_assert_not(ryz_proc_parse_memory("MemTotal: 1 kB\n", &total, &available));
    cr_assert_not(
        ryz_proc_parse_memory("xMemTotal: 1 kB\nxMemAvailable: 1 kB\n", &total, &available));
    cr_assert_eq(total, UINT64_C(24684092) * 1024);
    cr_assert(ryz_proc_parse_resident_pages("765 436 408 5 0 123 0\n", &pages));
    cr_assert_eq(pages, 436);
    cr_assert_not(ryz_proc_parse_resident_pages("765", &pages));
    cr_assert(ryz_proc_parse_load("3.78 2.72 1.44 5/110 13776\n", &load));
    cr_assert_float_eq(load, 3.78f, 1e-6);
    cr_assert_not(ryz_proc_parse_load("nan 1 1", &load));
    cr_assert_not(ryz_proc_parse_load("", &load));
}
