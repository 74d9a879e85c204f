/*
 * test_metrics.c - the exposition text.
 *
 * Goal: every metric of the table appears with HELP and TYPE, values are those that were set, and
 * histograms are cumulative with the right borders. Method: the text is searched line by line;
 * where promtool is installed, it has the last word.
 */
#include "engine/obs/metrics.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct ryz_metrics *open_metrics(void)
{
    struct ryz_metrics *metrics = NULL;
    struct ryz_error error;
    cr_assert_eq(ryz_metrics_open(&metrics, &error), RYZ_OK);
    return metrics;
}

static char *render(const struct ryz_metrics *metrics, const char *model)
{
    size_t length = 0;
    char *text = ryz_metrics_render(metrics, model, &length);
    cr_assert_not_null(text);
    cr_assert_eq(strlen(text), length);
    cr_assert_eq(text[length - 1], '\n', "the last line must end");
    return text;
}

static void assert_line(const char *text, const char *line)
{
    char wanted[512];
    (void)snprintf(wanted, sizeof wanted, "\n%s\n", line);
    cr_assert_not_null(strstr(text, wanted), "no line %s in\n%s", line, text);
}

Test(metrics, every_metric_of_the_table_is_described)
{
    struct ryz_metrics *metrics = open_metrics();
    char *text = render(metrics, "m"), line[512];
    int count = 0;
#define X(name, kind, metric, help)                                                                \
    (void)snprintf(line, sizeof line, "# HELP %s %s\n# TYPE %s ", metric, help, metric);           \
    cr_assert_not_null(strstr(text, line), "%s", line);                                            \
    count++;
    RYZ_METRIC_TABLE(X)
#undef X
    cr_assert_eq(count, RYZ_METRIC_COUNT);
    free(text);
    ryz_metrics_close(metrics);
}

Test(metrics, partitions_have_gauges_with_their_tenants)
{
    struct ryz_metrics *metrics = open_metrics();
    char *text = render(metrics, "m");
    cr_assert_null(strstr(text, "ryz_kv_partition"), "there are none");
    free(text);
    ryz_metrics_name_partition(metrics, 0, "(others)");
    ryz_metrics_name_partition(metrics, 1, "victim");
    ryz_metrics_set_partition(metrics, 0, 7, 0);
    ryz_metrics_set_partition(metrics, 1, 12, 10);
    text = render(metrics, "m");
    assert_line(text, "ryz_kv_partition_blocks_used{model_name=\"m\",tenant=\"(others)\"} 7");
    assert_line(text, "ryz_kv_partition_blocks_used{model_name=\"m\",tenant=\"victim\"} 12");
    assert_line(text, "ryz_kv_partition_blocks_guaranteed{model_name=\"m\",tenant=\"victim\"} 10");
    assert_line(text, "ryz_kv_partition_blocks_borrowed{model_name=\"m\",tenant=\"victim\"} 2");
    free(text);
    ryz_metrics_close(metrics);
}

Test(metrics, counters_add_and_gauges_are_set)
{
    struct ryz_metrics *metrics = open_metrics();
    ryz_metrics_add(metrics, RYZ_METRIC_STEPS, 2);
    ryz_metrics_add(metrics, RYZ_METRIC_STEPS, 3);
    ryz_metrics_set(metrics, RYZ_METRIC_REQUESTS_WAITING, 9);
    ryz_metrics_set(metrics, RYZ_METRIC_REQUESTS_WAITING, -4);
    /* A wrong kind is ignored: it must not spoil another series. */
    ryz_metrics_set(metrics, RYZ_METRIC_STEPS, 100);
    ryz_metrics_add(metrics, RYZ_METRIC_REQUESTS_WAITING, 100);
    ryz_metrics_observe_ns(metrics, RYZ_METRIC_STEPS, 100);
    char *text = render(metrics, "m");
    assert_line(text, "ryz_engine_steps_total{model_name=\"m\"} 5");
    assert_line(text, "ryz_num_requests_waiting{model_name=\"m\"} -4");
    free(text);
    ryz_metrics_close(metrics);
}

Test(metrics, histograms_are_cumulative_and_borders_belong_below)
{
    struct ryz_metrics *metrics = open_metrics();
    ryz_metrics_observe_ns(metrics, RYZ_METRIC_TTFT, -5);      /* counts as 0 */
    ryz_metrics_observe_ns(metrics, RYZ_METRIC_TTFT, 1000000); /* 1 ms, on the border */
    ryz_metrics_observe_ns(metrics, RYZ_METRIC_TTFT, 1000001); /* above it */
    ryz_metrics_observe_ns(metrics, RYZ_METRIC_TTFT, INT64_C(3000) * 1000000000); /* past all */
    char *text = render(metrics, "m");
    assert_line(text, "ryz_time_to_first_token_seconds_bucket{model_name=\"m\",le=\"0.001\"} 2");
    assert_line(text, "ryz_time_to_first_token_seconds_bucket{model_name=\"m\",le=\"0.005\"} 3");
    assert_line(text, "ryz_time_to_first_token_seconds_bucket{model_name=\"m\",le=\"2560\"} 3");
    assert_line(text, "ryz_time_to_first_token_seconds_bucket{model_name=\"m\",le=\"+Inf\"} 4");
    assert_line(text, "ryz_time_to_first_token_seconds_count{model_name=\"m\"} 4");
    assert_line(text, "ryz_time_to_first_token_seconds_sum{model_name=\"m\"} 3000.002000001");
    free(text);
    ryz_metrics_close(metrics);
}

Test(metrics, a_models_name_is_escaped)
{
    struct ryz_metrics *metrics = open_metrics();
    char *text = render(metrics, "a\"b\\c\nd");
    assert_line(text, "ryz_engine_steps_total{model_name=\"a\\\"b\\\\c\\nd\"} 0");
    free(text);
    ryz_metrics_close(metrics);
}

Test(metrics, no_metrics_is_no_error)
{
    ryz_metrics_add(NULL, RYZ_METRIC_STEPS, 1);
    ryz_metrics_set(NULL, RYZ_METRIC_REQUESTS_RUNNING, 1);
    ryz_metrics_observe_ns(NULL, RYZ_METRIC_TTFT, 1);
    char *text = render(NULL, "m");
    assert_line(text, "ryz_engine_steps_total{model_name=\"m\"} 0");
    free(text);
    ryz_metrics_close(NULL);
}

static void *count_up(void *argument)
{
    for (int i = 0; i < 10000; i++) {
        ryz_metrics_add(argument, RYZ_METRIC_STEPS, 1);
        ryz_metrics_observe_ns(argument, RYZ_METRIC_ITL, i * INT64_C(1000));
    }
    return NULL;
}

Test(metrics, no_update_of_four_threads_is_lost)
{
    struct ryz_metrics *metrics = open_metrics();
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, count_up, metrics), 0);
    for (int i = 0; i < 4; i++) (void)pthread_join(threads[i], NULL);
    char *text = render(metrics, "m");
    assert_line(text, "ryz_engine_steps_total{model_name=\"m\"} 40000");
    assert_line(text, "ryz_inter_token_latency_seconds_count{model_name=\"m\"} 40000");
    free(text);
    ryz_metrics_close(metrics);
}

Test(metrics, promtool_finds_nothing_to_complain_about)
{
    if (system("command -v promtool >/dev/null 2>&1") != 0)
        cr_skip_test("promtool is not installed");
    const char *preload = getenv("LD_PRELOAD");
    if (preload != NULL && strstr(preload, "vgpreload") != NULL)
        cr_skip_test("Valgrind would complain about promtool");
    struct ryz_metrics *metrics = open_metrics();
    ryz_metrics_observe_ns(metrics, RYZ_METRIC_TTFT, 1000000);
    char *text = render(metrics, "a \"quoted\" model");
    FILE *promtool = popen("promtool check metrics", "w");
    cr_assert_not_null(promtool);
    cr_assert_eq(fwrite(text, 1, strlen(text), promtool), strlen(text));
    cr_assert_eq(pclose(promtool), 0);
    free(text);
    ryz_metrics_close(metrics);
}
