/*
 * test_otlp.c - the exporter against a collector in the same process.
 *
 * Goal: spans arrive, once; what cannot be delivered is counted and never waited for; a trace is
 * sampled whole or not at all. Method: a sink that can refuse, lie and be silent. Every span handed
 * in must be in exactly one of the three counts.
 */
#include "engine/obs/otlp.h"

#include "tests/unit/obs/http_sink.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t monotonic(void *context)
{
    struct timespec now;
    (void)context;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * RYZ_NS_PER_S + now.tv_nsec;
}

static const struct ryz_clock test_clock = {.now_ns = monotonic};

static struct ryz_otlp *open_exporter(uint16_t port, const char *path,
                                      const struct ryz_otlp_options *more)
{
    char url[64];
    struct ryz_otlp_options options = *more;
    struct ryz_otlp *otlp = NULL;
    struct ryz_error error = {.text = ""};
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u%s", port, path);
    options.url = url;
    options.service_name = "test";
    options.clock = &test_clock;
    cr_assert_eq(ryz_otlp_open(&options, &otlp, &error), RYZ_OK, "%s", error.text);
    return otlp;
}

/* `count` spans, one trace each. */
static void emit(struct ryz_otlp *otlp, uint64_t count)
{
    struct ryz_span_sink sink = ryz_otlp_sink(otlp);
    for (uint64_t n = 0; n < count; n++) {
        struct ryz_span span = {.span_id = ryz_span_id_make(1, n), .name = RYZ_SPAN_QUEUE};
        ryz_trace_id_make(1, n, span.trace_id);
        sink.emit(sink.context, &span);
    }
}

static struct ryz_otlp_stats close_exporter(struct ryz_otlp *otlp, int64_t patience_ns)
{
    struct ryz_otlp_stats stats;
    ryz_otlp_close(otlp, monotonic(NULL) + patience_ns, &stats);
    return stats;
}

Test(otlp, spans_arrive_at_the_collector, .timeout = 60)
{
    struct http_sink sink;
    http_sink_open(&sink);
    struct ryz_otlp *otlp =
        open_exporter(sink.port, "", &(struct ryz_otlp_options){.batch_spans = 100});
    emit(otlp, 1000);
    struct ryz_otlp_stats stats = close_exporter(otlp, 30 * RYZ_NS_PER_S);
    cr_assert_eq(stats.exported, 1000);
    cr_assert_eq(stats.dropped, 0);
    http_sink_close(&sink);
    cr_assert_eq(sink.spans, 1000);
    cr_assert_geq(sink.requests, 10, "a batch has up to 100 spans");
    cr_assert_str_eq(sink.target, "/v1/traces", "the path that a bare address gets");
}

Test(otlp, a_span_does_not_wait_for_a_full_batch, .timeout = 60)
{
    struct http_sink sink;
    http_sink_open(&sink);
    struct ryz_otlp *otlp = open_exporter(
        sink.port, "/other", &(struct ryz_otlp_options){.flush_interval_ns = RYZ_NS_PER_MS});
    emit(otlp, 1);
    http_sink_wait(&sink, 1);
    (void)close_exporter(otlp, RYZ_NS_PER_S);
    http_sink_close(&sink);
    cr_assert_str_eq(sink.target, "/other");
}

Test(otlp, a_collector_that_is_busy_is_asked_again, .timeout = 60)
{
    struct http_sink sink;
    http_sink_open(&sink);
    sink.answers[0] = 503;
    sink.answers[1] = 429;
    struct ryz_otlp *otlp = open_exporter(
        sink.port, "", &(struct ryz_otlp_options){.flush_interval_ns = RYZ_NS_PER_MS});
    emit(otlp, 5);
    http_sink_wait(&sink, 3);
    struct ryz_otlp_stats stats = close_exporter(otlp, 10 * RYZ_NS_PER_S);
    http_sink_close(&sink);
    cr_assert_eq(stats.exported + stats.dropped, 5);
    cr_assert_eq(sink.spans, stats.exported);
    cr_assert_geq(stats.failed_posts, 2);
    cr_assert_eq(stats.dropped, 0);
}

Test(otlp, a_refused_batch_is_dropped_and_counted, .timeout = 60)
{
    struct http_sink sink;
    http_sink_open(&sink);
    for (int i = 0; i < 16; i++) sink.answers[i] = 400;
    struct ryz_otlp *otlp = open_exporter(sink.port, "", &(struct ryz_otlp_options){0});
    emit(otlp, 5);
    struct ryz_otlp_stats stats = close_exporter(otlp, 10 * RYZ_NS_PER_S);
    http_sink_close(&sink);
    cr_assert_eq(stats.exported, 0);
    cr_assert_eq(stats.dropped, 5);
    cr_assert_eq(stats.posts, sink.requests, "400 is not worth another try");
}

Test(otlp, partial_success_is_believed, .timeout = 60)
{
    struct http_sink sink;
    http_sink_open(&sink);
    sink.body = "{\"partialSuccess\":{\"rejectedSpans\":\"2\",\"errorMessage\":\"too old\"}}";
    struct ryz_otlp *otlp = open_exporter(sink.port, "", &(struct ryz_otlp_options){0});
    emit(otlp, 5);
    struct ryz_otlp_stats stats = close_exporter(otlp, 10 * RYZ_NS_PER_S);
    http_sink_close(&sink);
    cr_assert_eq(stats.exported + stats.dropped, 5);
    cr_assert_geq(stats.dropped, 2);
}

Test(otlp, nobody_listening_costs_spans_but_no_time, .timeout = 60)
{
    struct http_sink sink;
    http_sink_open(&sink);
    uint16_t port = sink.port;
    http_sink_close(&sink);
    struct ryz_otlp *otlp =
        open_exporter(port, "", &(struct ryz_otlp_options){.ring_spans = 64, .batch_spans = 8});
    emit(otlp, 1000);
    struct ryz_otlp_stats stats = close_exporter(otlp, 100 * RYZ_NS_PER_MS);
    cr_assert_eq(stats.exported, 0);
    cr_assert_eq(stats.dropped, 1000);
}

Test(otlp, a_collector_that_never_answers_cannot_hold_up_the_end, .timeout = 60)
{
    struct http_sink sink;
    http_sink_open(&sink);
    for (int i = 0; i < 16; i++) sink.answers[i] = 0;
    struct ryz_otlp *otlp = open_exporter(
        sink.port, "", &(struct ryz_otlp_options){.flush_interval_ns = RYZ_NS_PER_MS});
    emit(otlp, 3);
    http_sink_wait(&sink, 1);
    struct ryz_otlp_stats stats = close_exporter(otlp, 10 * RYZ_NS_PER_MS);
    http_sink_close(&sink);
    cr_assert_eq(stats.dropped, 3);
}

Test(otlp, sampling_keeps_a_share_and_always_the_same_traces, .timeout = 60)
{
    uint64_t exported[2];
    for (int run = 0; run < 2; run++) {
        struct http_sink sink;
        http_sink_open(&sink);
        struct ryz_otlp *otlp =
            open_exporter(sink.port, "", &(struct ryz_otlp_options){.sample_permille = 250});
        emit(otlp, 4000);
        struct ryz_otlp_stats stats = close_exporter(otlp, 30 * RYZ_NS_PER_S);
        http_sink_close(&sink);
        cr_assert_eq(stats.exported + stats.sampled_out + stats.dropped, 4000);
        cr_assert_eq(stats.dropped, 0);
        exported[run] = stats.exported;
    }
    cr_assert_eq(exported[0], exported[1]);
    cr_assert_gt(exported[0], 850);
    cr_assert_lt(exported[0], 1150);
}

Test(otlp, spans_of_no_trace_are_not_sent, .timeout = 60)
{
    struct http_sink sink;
    http_sink_open(&sink);
    struct ryz_otlp *otlp = open_exporter(sink.port, "", &(struct ryz_otlp_options){0});
    struct ryz_span_sink spans = ryz_otlp_sink(otlp);
    spans.emit(spans.context, &(struct ryz_span){.span_id = 1});
    struct ryz_otlp_stats stats = close_exporter(otlp, RYZ_NS_PER_S);
    http_sink_close(&sink);
    cr_assert_eq(stats.sampled_out, 1);
    cr_assert_eq(sink.requests, 0);
}

Test(otlp, an_address_that_is_none_is_refused)
{
    const struct ryz_otlp_options options = {
        .url = "localhost:4318", .service_name = "test", .clock = &test_clock};
    struct ryz_otlp *otlp = NULL;
    struct ryz_error error = {.text = ""};
    cr_assert_eq(ryz_otlp_open(&options, &otlp, &error), RYZ_INVALID);
    cr_assert_null(otlp);
    cr_assert_not_null(strstr(error.text, "http://"));
}
