/*
 * otlp_json.c - the wire format of a batch of spans. See otlp_json.h.
 *
 * Attribute names follow OpenTelemetry's GenAI conventions where one fits; the rest is "ryz.".
 */
#include "engine/obs/otlp_json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

/* Span.SpanKind */
enum kind { RYZ_KIND_INTERNAL = 1, RYZ_KIND_SERVER = 2, RYZ_KIND_CLIENT = 3 };

static void put_string(struct ryz_json *json, const char *key, const char *value)
{
    ryz_json_key(json, key);
    ryz_json_string(json, value);
}

/* A proto int64: a string in JSON, for a double would lose its low bits. */
static void put_u64(struct ryz_json *json, const char *key, uint64_t value)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%" PRIu64, value);
    put_string(json, key, text);
}

static void begin_attribute(struct ryz_json *json, const char *key)
{
    ryz_json_object_begin(json);
    put_string(json, "key", key);
    ryz_json_key(json, "value");
    ryz_json_object_begin(json);
}

static void end_attribute(struct ryz_json *json)
{
    ryz_json_object_end(json);
    ryz_json_object_end(json);
}

static void put_text_attribute(struct ryz_json *json, const char *key, const char *value)
{
    begin_attribute(json, key);
    put_string(json, "stringValue", value);
    end_attribute(json);
}

static void put_integer_attribute(struct ryz_json *json, const char *key, uint64_t value)
{
    begin_attribute(json, key);
    put_u64(json, "intValue", value);
    end_attribute(json);
}

/* The span's number under the name that it has for this kind of span. */
static void put_number(struct ryz_json *json, const struct ryz_span *span)
{
    const char *name = "ryz.value";
    switch ((enum ryz_span_name)span->name) {
    case RYZ_SPAN_CLIENT:
    case RYZ_SPAN_REQUEST:
    case RYZ_SPAN_DECODE:
        name = "gen_ai.usage.output_tokens";
        break;
    case RYZ_SPAN_PARSE:
    case RYZ_SPAN_PREFILL:
        name = "gen_ai.usage.input_tokens";
        break;
    case RYZ_SPAN_STEP:
        name = "ryz.step.tokens";
        break;
    default:
        break;
    }
    if (span->attr >= 0 && span->attr < 9e15 && floor(span->attr) == span->attr) {
        put_integer_attribute(json, name, (uint64_t)span->attr);
        return;
    }
    begin_attribute(json, name);
    ryz_json_key(json, "doubleValue");
    ryz_json_f64(json, isfinite(span->attr) ? span->attr : 0.0);
    end_attribute(json);
}

static void put_attributes(struct ryz_json *json, const struct ryz_span *span)
{
    ryz_json_key(json, "attributes");
    ryz_json_array_begin(json);
    if (span->name == RYZ_SPAN_CLIENT || span->name == RYZ_SPAN_REQUEST)
        put_text_attribute(json, "gen_ai.provider.name", "ryzanstein");
    if (span->request != 0) put_integer_attribute(json, "ryz.request", span->request);
    if (span->worker >= 0) put_integer_attribute(json, "ryz.worker", (uint64_t)span->worker);
    put_number(json, span);
    if (span->status != RYZ_OK)
        put_text_attribute(json, "error.type", ryz_status_name((enum ryz_status)span->status));
    ryz_json_array_end(json);
}

static uint64_t wall_time(int64_t t_ns, int64_t offset_ns)
{
    int64_t sum = 0;
    if (__builtin_add_overflow(t_ns, offset_ns, &sum) || sum < 0) return 0;
    return (uint64_t)sum;
}

static void put_span(struct ryz_json *json, const struct ryz_span *span, int64_t offset_ns)
{
    char trace_id[33], span_id[17], parent[17];
    ryz_trace_id_format(span->trace_id, trace_id);
    ryz_span_id_format(span->span_id, span_id);
    ryz_span_id_format(span->parent, parent);
    enum kind kind = span->name == RYZ_SPAN_CLIENT    ? RYZ_KIND_CLIENT
                     : span->name == RYZ_SPAN_REQUEST ? RYZ_KIND_SERVER
                                                      : RYZ_KIND_INTERNAL;
    ryz_json_object_begin(json);
    put_string(json, "traceId", trace_id);
    put_string(json, "spanId", span_id);
    if (span->parent != 0) put_string(json, "parentSpanId", parent);
    put_string(json, "name", ryz_span_name((enum ryz_span_name)span->name));
    ryz_json_key(json, "kind");
    ryz_json_i64(json, kind);
    put_u64(json, "startTimeUnixNano", wall_time(span->t0_ns, offset_ns));
    put_u64(json, "endTimeUnixNano", wall_time(span->t1_ns, offset_ns));
    put_attributes(json, span);
    ryz_json_key(json, "status");
    ryz_json_object_begin(json);
    if (span->status != RYZ_OK) {
        ryz_json_key(json, "code");
        ryz_json_i64(json, 2);
        put_string(json, "message", ryz_status_text((enum ryz_status)span->status));
    }
    ryz_json_object_end(json);
    ryz_json_object_end(json);
}

void ryz_otlp_json(struct ryz_json *json, const char *service_name, int64_t wall_offset_ns,
                   const struct ryz_span *spans, size_t count)
{
    ryz_json_object_begin(json);
    ryz_json_key(json, "resourceSpans");
    ryz_json_array_begin(json);
    ryz_json_object_begin(json);
    ryz_json_key(json, "resource");
    ryz_json_object_begin(json);
    ryz_json_key(json, "attributes");
    ryz_json_array_begin(json);
    put_text_attribute(json, "service.name", service_name);
    ryz_json_array_end(json);
    ryz_json_object_end(json);
    ryz_json_key(json, "scopeSpans");
    ryz_json_array_begin(json);
    ryz_json_object_begin(json);
    ryz_json_key(json, "scope");
    ryz_json_object_begin(json);
    put_string(json, "name", "ryz");
    ryz_json_object_end(json);
    ryz_json_key(json, "spans");
    ryz_json_array_begin(json);
    for (size_t i = 0; i < count; i++) put_span(json, &spans[i], wall_offset_ns);
    ryz_json_array_end(json);
    ryz_json_object_end(json);
    ryz_json_array_end(json);
    ryz_json_object_end(json);
    ryz_json_array_end(json);
    ryz_json_object_end(json);
}
