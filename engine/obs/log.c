/*
 * log.c - one event, one line of JSON.
 *
 * Leaves to others: where lines go. The idea: a line is built on the stack in a fixed buffer; a
 * field that does not fit is left out and the line says "truncated", so a log line is always whole
 * JSON however hostile its fields are.
 */
#include "engine/obs/log.h"

#include "engine/base/json.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define LINE_BYTES 4096u
/* Kept free for the mark of truncation and the closing brace. */
#define TAIL_BYTES 24u

static const char *const level_names[] = {"debug", "info", "warn", "error"};

/* RFC 3339 with nanoseconds: sorts as text, and every log store reads it. */
static void format_time(int64_t wall_ns, char *text, size_t capacity)
{
    int64_t seconds = wall_ns / RYZ_NS_PER_S, rest = wall_ns % RYZ_NS_PER_S;
    if (rest < 0) {
        rest += RYZ_NS_PER_S;
        seconds--;
    }
    time_t when = (time_t)seconds;
    struct tm utc = {0};
    if (gmtime_r(&when, &utc) == NULL) utc = (struct tm){.tm_mday = 1, .tm_year = 70};
    char date[48];
    size_t length = strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc);
    (void)snprintf(text, capacity, "%.*s.%09lldZ", (int)length, date, (long long)rest);
}

static void put_value(struct ryz_json *json, const struct ryz_log_field *field)
{
    switch (field->kind) {
    case RYZ_FIELD_U64:
        ryz_json_u64(json, field->value.u64);
        break;
    case RYZ_FIELD_I64:
        ryz_json_i64(json, field->value.i64);
        break;
    case RYZ_FIELD_F64:
        ryz_json_f64(json, field->value.f64);
        break;
    case RYZ_FIELD_STRING:
        if (field->value.string == NULL) {
            ryz_json_null(json);
        } else {
            ryz_json_string(json, field->value.string);
        }
        break;
    }
}

/* Adds one field whole or not at all. */
static bool put_field(struct ryz_json *json, const struct ryz_log_field *field)
{
    struct ryz_json before = *json;
    ryz_json_key(json, field->key);
    put_value(json, field);
    if (!json->overflow) return true;
    *json = before;
    json->buffer[json->length] = '\0';
    return false;
}

static void put_head(struct ryz_json *json, const struct ryz_logger *logger,
                     enum ryz_log_level level, const char *event,
                     const struct ryz_trace_context *trace)
{
    char when[64], trace_id[33] = "", span_id[17] = "";
    format_time(logger->wall != NULL ? ryz_clock_now_ns(logger->wall) : 0, when, sizeof when);
    if (trace != NULL) {
        ryz_trace_id_format(trace->trace_id, trace_id);
        ryz_span_id_format(trace->span_id, span_id);
    }
    const struct ryz_log_field head[] = {
        RYZ_STR("ts", when),         RYZ_STR("level", level_names[level]),
        RYZ_STR("event", event),     RYZ_STR("trace_id", trace_id),
        RYZ_STR("span_id", span_id),
    };
    size_t count = sizeof head / sizeof head[0] - (trace == NULL ? 2 : 0);
    for (size_t i = 0; i < count; i++) (void)put_field(json, &head[i]);
}

void ryz_log(const struct ryz_logger *logger, enum ryz_log_level level, const char *event,
             const struct ryz_trace_context *trace, const struct ryz_log_field *fields,
             size_t field_count)
{
    if (logger == NULL || logger->write == NULL || level < logger->level) return;
    if ((unsigned)level > RYZ_LOG_ERROR) level = RYZ_LOG_ERROR;
    char line[LINE_BYTES];
    struct ryz_json json;
    ryz_json_init(&json, line, sizeof line - TAIL_BYTES);
    ryz_json_object_begin(&json);
    put_head(&json, logger, level, event, trace);
    bool whole = true;
    for (size_t i = 0; i < field_count; i++) whole = put_field(&json, &fields[i]) && whole;
    json.capacity = sizeof line;
    if (!whole) {
        ryz_json_key(&json, "truncated");
        ryz_json_bool(&json, true);
    }
    ryz_json_object_end(&json);
    logger->write(logger->context, level, line, json.length);
}
