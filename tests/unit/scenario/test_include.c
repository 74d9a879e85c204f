/*
 * Goal: included files come first and lose; one level; messages name the right file.
 */
#include "tests/unit/scenario/support.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(include, .init = support_open, .fini = support_close);

#define INCLUDE_BASE                                                                               \
    "[scenario]\nname = x\nschema = 1\ninclude = base.ini\n[model]\npath = model.gguf\n"

Test(include, the_including_file_wins)
{
    support_write("base.ini", "[engine]\nmax_batch = 3\nmax_queue = 7\n[traffic.main]\n"
                              "arrival = closed\nconcurrency = 2\nrequests = 5\n"
                              "[targets]\nttft.p99 = <= 1 s\ntpot.p99 = <= 1 s\n");
    struct ryz_plan *plan = support_plan(INCLUDE_BASE "[engine]\nmax_batch = 4\n[traffic.main]\n"
                                                      "concurrency = 9\n[targets]\n"
                                                      "ttft.p99 = <= 2 s\n",
                                         NULL);
    cr_assert_eq(plan->engine.max_batch, 4);
    cr_assert_eq(plan->engine.max_queue, 7);
    cr_assert_eq(plan->traffic_count, 1);
    cr_assert_eq(plan->traffic[0].concurrency, 9);
    cr_assert_eq(plan->traffic[0].requests, 5);
    cr_assert_eq(plan->target_count, 2);
    cr_assert_str_eq(plan->targets[1].metric, "ttft.p99");
    cr_assert_eq(plan->targets[1].value, 2e9);
    cr_assert_not_null(strstr(plan->source, "include = base.ini"));
    ryz_plan_close(plan);
}

Test(include, later_files_of_the_list_win)
{
    support_write("base.ini", "[engine]\nmax_batch = 3\nmax_queue = 7\n");
    support_write("more.ini", "[engine]\nmax_batch = 5\n");
    struct ryz_plan *plan =
        support_plan("[scenario]\nname = x\nschema = 1\ninclude = base.ini more.ini\n[model]\n"
                     "path = model.gguf\n[traffic.m]\narrival = closed\nconcurrency = 1\n"
                     "requests = 1\n",
                     NULL);
    cr_assert_eq(plan->engine.max_batch, 5);
    cr_assert_eq(plan->engine.max_queue, 7);
    ryz_plan_close(plan);
}

static void expect(const char *text, const char *says)
{
    enum ryz_status status = RYZ_OK;
    char *printed = support_check(text, NULL, &status);
    cr_assert_eq(status, RYZ_INVALID);
    cr_assert_not_null(strstr(printed, says), "%s", printed);
    free(printed);
}

Test(include, mistakes_in_an_included_file_name_it)
{
    support_write("base.ini", "[engine]\n\nmax_bach = 3\nkv: 1\n");
    expect(INCLUDE_BASE, "./base.ini:3: [engine] has no key \"max_bach\"");
    expect(INCLUDE_BASE, "./base.ini:4: a key is followed by");
}

Test(include, one_level_only)
{
    support_write("base.ini", "[scenario]\ninclude = s.ini\n");
    expect(INCLUDE_BASE, "./base.ini:2: an included file cannot include another one");
}

Test(include, absent_files_and_too_many_are_named_at_the_line)
{
    expect(INCLUDE_BASE, "s.ini:4: include: cannot open ./base.ini: No such file");
    support_write("b.ini", "");
    expect("[scenario]\nname = x\nschema = 1\ninclude = b.ini b.ini b.ini b.ini b.ini\n",
           "s.ini:4: include: up to 4 files");
}

Test(include, its_data_paths_are_relative_to_itself)
{
    cr_assert_eq(mkdir("sub", 0700), 0);
    support_write("sub/base.ini", "[model]\npath = m.gguf\n");
    support_write("sub/m.gguf", "GGUF");
    struct ryz_plan *plan = support_plan("[scenario]\nname = x\nschema = 1\n"
                                         "include = sub/base.ini\n[traffic.m]\narrival = closed\n"
                                         "concurrency = 1\nrequests = 1\n",
                                         NULL);
    cr_assert_str_eq(plan->model_path, "./sub/m.gguf");
    ryz_plan_close(plan);
    cr_assert_eq(unlink("sub/base.ini") + unlink("sub/m.gguf"), 0);
}

Test(include, leftovers_of_another_arrival_do_no_harm)
{
    support_write("base.ini", "[traffic.main]\narrival = poisson\nrate = 5 /s\nduration = 1 s\n");
    struct ryz_plan *plan = support_plan(INCLUDE_BASE "[traffic.main]\narrival = closed\n"
                                                      "concurrency = 2\n",
                                         NULL);
    cr_assert_eq(plan->traffic[0].arrival, RYZ_ARRIVAL_CLOSED);
    ryz_plan_close(plan);
}
