/*
 * trace.h - W3C trace contexts and spans.
 *
 * A span is a plain record handed to a sink when it ends: the results writer, the OTLP exporter,
 * or both. Names are a table, so that files and exporters agree. Times are those of the run's
 * monotonic clock; an exporter adds the wall-clock offset.
 */
#ifndef RYZ_OBS_TRACE_H
#define RYZ_OBS_TRACE_H

#include "engine/base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ryz_trace_context {
    uint8_t trace_id[16]; /* all zero: absent */
    uint64_t span_id;     /* the caller's span, our parent; 0: none */
    bool sampled;
};

/* X(enum name, name in files and exports, what it covers) */
#define RYZ_SPAN_TABLE(X)                                                                          \
    X(CLIENT, "client.request", "client: from the scheduled arrival to the last byte")             \
    X(REQUEST, "server.request", "server: from accept to the last token or error")                 \
    X(PARSE, "server.parse", "reading and tokenizing the request")                                 \
    X(QUEUE, "engine.queue", "accepted, waiting for its first step")                               \
    X(PREFILL, "engine.prefill", "first step to first token")                                      \
    X(DECODE, "engine.decode", "first token to last token")                                        \
    X(STEP, "engine.step", "one step of the whole batch; attr: tokens computed")                   \
    X(LOAD, "engine.load", "opening the model")                                                    \
    X(FAULT, "fault", "an injected fault, on to off")

enum ryz_span_name {
#define X(name, text, help) RYZ_SPAN_##name,
    RYZ_SPAN_TABLE(X)
#undef X
        RYZ_SPAN_COUNT
};

struct ryz_span {
    uint8_t trace_id[16];
    uint64_t span_id;
    uint64_t parent;  /* span id, 0: root */
    uint64_t request; /* request number, 0 if it belongs to none */
    int64_t t0_ns, t1_ns;
    double attr;   /* meaning depends on the name; tokens where tokens make sense */
    uint16_t name; /* enum ryz_span_name */
    int16_t worker;
    int8_t status; /* enum ryz_status */
};

/* Called when a span ends, from any thread; must not block. */
struct ryz_span_sink {
    void (*emit)(void *context, const struct ryz_span *span);
    void *context;
};

const char *ryz_span_name(enum ryz_span_name name);

/* Parses "00-<32 hex>-<16 hex>-<2 hex>", lower case as W3C demands; NULL and anything invalid give
 * false and a zeroed *out. Later versions of the header are read as far as we know them. */
bool ryz_traceparent_parse(const char *text, struct ryz_trace_context *out);
/* Writes 55 characters and a NUL. */
void ryz_traceparent_format(const struct ryz_trace_context *context, char text[56]);
/* 32 hex digits and a NUL. */
void ryz_trace_id_format(const uint8_t trace_id[16], char text[33]);
/* 16 hex digits and a NUL. */
void ryz_span_id_format(uint64_t span_id, char text[17]);
/* Trace and span ids from a seed and a number: the same run has the same ids. Never zero. */
void ryz_trace_id_make(uint64_t seed, uint64_t number, uint8_t trace_id[16]);
uint64_t ryz_span_id_make(uint64_t seed, uint64_t number);

#endif
