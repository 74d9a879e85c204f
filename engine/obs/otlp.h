/*
 * otlp.h - sends spans to any OpenTelemetry collector: OTLP/HTTP in its JSON encoding.
 *
 *   emit (any thread, never blocks) -> bounded ring -> one thread -> POST http://.../v1/traces
 *
 * A full ring drops the span and counts it: tracing never slows what it watches.
 */
#ifndef RYZ_OBS_OTLP_H
#define RYZ_OBS_OTLP_H

#include "engine/base/clock.h"
#include "engine/obs/trace.h"

struct ryz_otlp_options {
    const char *url;           /* "http://host:4318"; /v1/traces is added where there is no path */
    const char *service_name;  /* resource attribute service.name */
    int64_t wall_offset_ns;    /* wall clock minus the spans' clock */
    uint32_t ring_spans;       /* 0: 8192 */
    uint32_t batch_spans;      /* of one POST, 0: 512 */
    int64_t flush_interval_ns; /* a span waits no longer than this; 0: one second */
    int64_t timeout_ns;        /* of one POST; 0: ten seconds */
    uint32_t sample_permille;  /* share of the traces that are sent; 0 and 1000: all. The choice is
                                  by trace id, so every process keeps the same traces */
    const struct ryz_clock *clock; /* CLOCK_MONOTONIC's; borrowed */
};

struct ryz_otlp_stats {
    uint64_t exported;    /* spans a collector took */
    uint64_t dropped;     /* spans lost: ring full, refused, collector away for too long */
    uint64_t sampled_out; /* spans of traces that were not chosen, or of none */
    uint64_t posts, failed_posts;
};

struct ryz_otlp;

RYZ_MUST_USE enum ryz_status ryz_otlp_open(const struct ryz_otlp_options *options,
                                           struct ryz_otlp **out, struct ryz_error *error);
/* Sends what is in the ring until the deadline, drops and counts the rest. A POST under way at the
 * deadline is broken off within about a second. *stats (may be NULL) gets the final counts. */
void ryz_otlp_close(struct ryz_otlp *otlp, int64_t deadline_ns, struct ryz_otlp_stats *stats);
/* The sink to hand spans to. */
struct ryz_span_sink ryz_otlp_sink(struct ryz_otlp *otlp);
struct ryz_otlp_stats ryz_otlp_stats(const struct ryz_otlp *otlp);

#endif
