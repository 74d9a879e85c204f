/*
 * Goal: `ryz check` says where each value comes from, how much there is to run and how long it
 * takes; what it prints is a scenario again, the same one.
 */
#include "engine/base/clock.h"
#include "harness/scenario/check.h"
#include "tests/unit/scenario/support.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

TestSuite(check, .init = support_open, .fini = support_close);

#define SET(...) ((const char *const[]){__VA_ARGS__, NULL})

Test(check, every_value_has_its_origin)
{
    enum ryz_status status = RYZ_INVALID;
    char *printed = support_check("; A title\n" GOOD "[targets]\nttft.p99 = <= 1 s\n",
                                  SET("engine.max_batch=3"), &status);
    cr_assert_eq(status, RYZ_OK, "%s", printed);
    static const char *const lines[] = {
        "; A title\n",
        "\nname             = x                            ; s.ini:3\n",
        "\nmax_batch        = 3                            ; --set engine.max_batch=3\n",
        "\nmax_queue        = 256                          ; default\n",
        "\n[traffic.main]\n",
        "\nconcurrency      = 2                            ; s.ini:9\n",
        "\nttft.p99         = <= 1 s                       ; s.ini:12\n",
        "\n; 1 point x 1 repeat = 1 run\n",
        "\n; traffic lasts at least 0 s in all: closed loops",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        cr_assert_not_null(strstr(printed, lines[i]), "no \"%s\" in:\n%s", lines[i], printed);
    free(printed);
}

Test(check, points_repeats_and_time_are_added_up)
{
    enum ryz_status status = RYZ_INVALID;
    char *printed =
        support_check("[scenario]\nname = x\nschema = 1\nrepeats = 3\n[model]\npath = model.gguf\n"
                      "[traffic.a]\narrival = poisson\nduration = 100 s\n"
                      "[traffic.b]\narrival = constant\nrate = 1 /s\nrequests = 10\n"
                      "start = 5 s\n[sweep]\ntraffic.a.rate = 5/s 10/s\ncooldown = 4 s\n",
                      NULL, &status);
    cr_assert_eq(status, RYZ_OK, "%s", printed);
    cr_assert_not_null(strstr(printed, "\n; 2 points x 3 repeats = 6 runs\n"), "%s", printed);
    /* 6 * 100 s + 5 * 4 s */
    cr_assert_not_null(strstr(printed, "\n; traffic lasts 10 min 20 s in all;"), "%s", printed);
    free(printed);
}

Test(check, the_length_of_traffic_is_that_of_the_longest_stream)
{
    struct ryz_plan *plan = support_plan(
        "[scenario]\nname = x\nschema = 1\n[model]\npath = model.gguf\n"
        "[traffic.a]\narrival = trace\ntrace = trace.csv\nformat = azure\nwindow = 10 s .. 70 s\n"
        "speed = 0.25\n"
        "[traffic.b]\narrival = poisson\nrate = 2 /s\nrequests = 10\nduration = 20 s\n",
        NULL);
    cr_assert_eq(ryz_plan_traffic_ns(plan), 240 * RYZ_NS_PER_S);
    ryz_plan_close(plan);
    plan = support_plan(GOOD, NULL);
    cr_assert_eq(ryz_plan_traffic_ns(plan), RYZ_TIME_NONE);
    ryz_plan_close(plan);
}

static uint64_t digest_of(const char *text, const char *const *overrides)
{
    struct ryz_plan *plan = support_plan(text, overrides);
    uint64_t digest = ryz_plan_digest(plan);
    ryz_plan_close(plan);
    return digest;
}

Test(check, the_digest_depends_on_values_and_not_on_where_they_are_written)
{
    uint64_t digest = digest_of(GOOD, NULL);
    cr_assert_eq(digest_of("; comment\n\n" GOOD, NULL), digest);
    cr_assert_eq(digest_of(GOOD "[engine]\nmax_batch = 16\n", NULL), digest, "the default");
    cr_assert_eq(digest_of(GOOD, SET("engine.max_batch=16")), digest);
    cr_assert_neq(digest_of(GOOD, SET("engine.max_batch=17")), digest);
    cr_assert_neq(digest_of(GOOD, SET("traffic.main.requests=11")), digest);
    cr_assert_neq(digest_of(GOOD, SET("targets.ttft.p99=<= 1 s")), digest);
    cr_assert_neq(digest_of(GOOD, SET("sweep.engine.max_batch=16 17")), digest);
    cr_assert_neq(digest_of(GOOD "[traffic.b]\narrival = closed\nconcurrency = 2\n"
                                 "requests = 10\n",
                            NULL),
                  digest);
}

#define RICH                                                                                       \
    GOOD "slo = ttft<=400ms\n[engine]\nmax_batch_tokens = 64\n[fault.f]\nat = 1 s\nfor = 2 s\n"    \
         "where = engine.decode\ndo = delay 40 ms\nshare = 30 %\n[targets]\nttft.p99 = <= 1 s\n"   \
         "[sweep]\nengine.quant = bf16 q8_0\norder = shuffled\n[output]\nplots = cdf gantt\n"

Test(check, what_is_printed_is_the_same_scenario)
{
    enum ryz_status status = RYZ_INVALID;
    uint64_t digest = digest_of(RICH, NULL);
    char *printed = support_check(RICH, NULL, &status);
    cr_assert_eq(status, RYZ_OK, "%s", printed);
    cr_assert_eq(digest_of(printed, NULL), digest, "%s", printed);
    char *again = support_check(printed, NULL, &status);
    cr_assert_eq(status, RYZ_OK, "%s", again);
    free(again);
    free(printed);
}

Test(check, a_point_prints_as_a_scenario_without_a_sweep)
{
    struct ryz_plan *plan = support_plan(RICH, NULL), *point = NULL;
    char *printed = NULL;
    size_t size = 0;
    cr_assert_eq(ryz_plan_point(plan, 1, &point, NULL, 0, NULL), RYZ_OK);
    FILE *out = open_memstream(&printed, &size);
    ryz_plan_print(point, out);
    cr_assert_eq(fclose(out), 0);
    cr_assert_not_null(strstr(printed, "\nquant            = q8_0 "), "%s", printed);
    cr_assert_null(strstr(printed, "engine.quant"), "%s", printed);
    struct ryz_plan *read = support_plan(printed, NULL);
    cr_assert_str_eq(read->engine.quant, "q8_0");
    cr_assert_eq(ryz_plan_point_count(read), 1);
    ryz_plan_close(read);
    ryz_plan_close(point);
    ryz_plan_close(plan);
    free(printed);
}

Test(check, an_absent_file_is_said_on_one_line)
{
    char *printed = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&printed, &size);
    cr_assert_eq(ryz_plan_check("nowhere.ini", NULL, out), RYZ_NOT_FOUND);
    cr_assert_eq(fclose(out), 0);
    cr_assert_str_eq(printed, "cannot open nowhere.ini: No such file or directory\n");
    free(printed);
}
