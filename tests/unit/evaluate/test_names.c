/* Goal: metric names mean what scenarios.md says. Method: a table of names and of mistakes. */
#include "harness/evaluate/quantities.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void expect_name(const char *text, const char *prefix, enum ryz_quantity quantity,
                        enum ryz_statistic statistic)
{
    struct ryz_metric_name name;
    struct ryz_error error = {0};
    cr_assert_eq(ryz_metric_name_parse(text, &name, &error), RYZ_OK, "%s: %s", text, error.text);
    cr_expect_str_eq(name.prefix, prefix, "%s", text);
    cr_expect_eq(name.quantity, quantity, "%s", text);
    cr_expect_eq(name.statistic, statistic, "%s", text);
}

Test(names, prefix_quantity_and_statistic_are_told_apart)
{
    expect_name("ttft.p99", "", RYZ_Q_TTFT, RYZ_STAT_P99);
    expect_name("interactive.ttft.p99", "interactive", RYZ_Q_TTFT, RYZ_STAT_P99);
    expect_name("q8_0.model.ratio", "q8_0", RYZ_Q_MODEL_RATIO, RYZ_STAT_NONE);
    expect_name("q8_0.8.interactive.e2e.p90", "q8_0.8.interactive", RYZ_Q_E2E, RYZ_STAT_P90);
    expect_name("errors", "", RYZ_Q_ERRORS, RYZ_STAT_NONE);
    expect_name("harness.lag.p99", "", RYZ_Q_LAG, RYZ_STAT_P99);
    expect_name("throughput.out_tok", "", RYZ_Q_THROUGHPUT_OUT, RYZ_STAT_NONE);
    expect_name("batch.mean", "", RYZ_Q_BATCH, RYZ_STAT_MEAN);
    expect_name("batch.goodput.ratio", "batch", RYZ_Q_GOODPUT_RATIO, RYZ_STAT_NONE);
    expect_name("batch.batch.tokens.max", "batch", RYZ_Q_BATCH_TOKENS, RYZ_STAT_MAX);
    expect_name("cost.error.p50", "", RYZ_Q_COST_P50, RYZ_STAT_NONE);
    expect_name("gpu.mem.util", "", RYZ_Q_GPU_MEM_UTIL, RYZ_STAT_MEAN);
    expect_name("kv.util.max", "", RYZ_Q_KV_UTIL, RYZ_STAT_MAX);
    expect_name("ttft.count", "", RYZ_Q_TTFT, RYZ_STAT_COUNT);
    expect_name("kill_worker.recover", "kill_worker", RYZ_Q_RECOVER, RYZ_STAT_NONE);
}

static void expect_mistake(const char *text, const char *hint)
{
    struct ryz_metric_name name;
    struct ryz_error error = {0};
    cr_expect_eq(ryz_metric_name_parse(text, &name, &error), RYZ_INVALID, "%s", text);
    cr_expect(strstr(error.text, hint) != NULL, "%s: \"%s\"", text, error.text);
}

Test(names, mistakes_are_answered_with_the_next_step)
{
    expect_mistake("ttft", "needs a statistic");
    expect_mistake("interactive.tpot", "needs a statistic");
    expect_mistake("tftt.p99", "did you mean \"ttft.p90\"");
    expect_mistake("main.goodput.ration", "did you mean \"goodput.ratio\"");
    expect_mistake("errors.p99", "has no statistics");
    expect_mistake("ttft.p42", "did you mean");
    expect_mistake("p99", "did you mean");
    expect_mistake("", "did you mean");
    expect_mistake(
        "a_traffic_with_a_name_that_is_longer_than_any_traffic_may_have_in_here.ttft.p50",
        "too long");
}

Test(names, every_quantity_can_be_named_in_a_target)
{
    for (int q = 0; q < RYZ_QUANTITY_COUNT; q++) {
        const struct ryz_quantity_spec *spec = ryz_quantity_spec((enum ryz_quantity)q);
        struct ryz_metric_name name;
        char text[96];
        bool samples = spec->kind == RYZ_QUANTITY_SAMPLES;
        snprintf(text, sizeof text, "x.%s%s", spec->name, samples ? ".p75" : "");
        cr_assert_eq(ryz_metric_name_parse(text, &name, NULL), RYZ_OK, "%s", text);
        cr_expect_eq(name.quantity, (enum ryz_quantity)q, "%s", text);
        cr_expect_str_eq(name.prefix, "x", "%s", text);
        cr_expect(spec->formula[0] != '\0' && spec->meaning[0] != '\0');
        cr_expect_lt(strlen(spec->formula), 200);
    }
}

static void expect_format(double value, const char *unit, const char *want)
{
    char text[32];
    ryz_quantity_format(value, unit, text, sizeof text);
    cr_expect_str_eq(text, want);
}

Test(names, numbers_are_written_as_people_read_them)
{
    expect_format(12345678, "ns", "12.3 ms");
    expect_format(250e6, "ns", "250 ms");
    expect_format(999.96e3, "ns", "1.00 ms");
    expect_format(1.5e9, "ns", "1.50 s");
    expect_format(90e9, "ns", "1.50 min");
    expect_format(0, "ns", "0 ns");
    expect_format((double)INFINITY, "ns", "failed");
    expect_format((double)NAN, "ns", "-");
    expect_format(0.9849, "1", "98.5 %");
    expect_format(1, "1", "100 %");
    expect_format(0.00012, "1", "0.012 %");
    expect_format(1.88, "1", "1.88 x");
    expect_format(137.2, "s-1", "137 /s");
    expect_format(15.0 * 1024 * 1024, "byte", "15 MiB");
    expect_format(456, "count", "456");
    expect_format(1234567, "count", "1234567");
    expect_format(3.14159, "plain", "3.14");
}

Test(names, explanations_come_for_quantities_metrics_and_all)
{
    char *text = NULL;
    size_t size = 0;
    struct ryz_error error = {0};
    FILE *out = open_memstream(&text, &size);
    cr_assert_eq(ryz_quantity_explain("ttft.p99", out, &error), RYZ_OK);
    cr_assert_eq(ryz_quantity_explain("goodput.ratio", out, &error), RYZ_OK);
    cr_assert_eq(ryz_quantity_explain(NULL, out, &error), RYZ_OK);
    cr_expect_eq(ryz_quantity_explain("nonsense", out, &error), RYZ_INVALID);
    fclose(out);
    cr_expect(strstr(text, "t_first - t_sched") != NULL);
    cr_expect(strstr(text, "accuracy.kl") != NULL);
    free(text);
}
