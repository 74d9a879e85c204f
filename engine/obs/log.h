/*
 * log.h - JSON log lines that always carry the trace they belong to.
 *
 * One line: {"ts":..., "level":..., "event":..., "trace_id":..., "span_id":..., fields...}. Never a
 * format string built from input. Lines go to a writer (stderr, a file, the results); hot paths do
 * not log, they count.
 */
#ifndef RYZ_OBS_LOG_H
#define RYZ_OBS_LOG_H

#include "engine/base/clock.h"
#include "engine/obs/trace.h"

enum ryz_log_level { RYZ_LOG_DEBUG, RYZ_LOG_INFO, RYZ_LOG_WARN, RYZ_LOG_ERROR };

struct ryz_log_field {
    const char *key;
    enum { RYZ_FIELD_U64, RYZ_FIELD_I64, RYZ_FIELD_F64, RYZ_FIELD_STRING } kind;
    union {
        uint64_t u64;
        int64_t i64;
        double f64;
        const char *string;
    } value;
};

#define RYZ_U64(k, v) ((struct ryz_log_field){.key = (k), .kind = RYZ_FIELD_U64, .value.u64 = (v)})
#define RYZ_I64(k, v) ((struct ryz_log_field){.key = (k), .kind = RYZ_FIELD_I64, .value.i64 = (v)})
#define RYZ_F64(k, v) ((struct ryz_log_field){.key = (k), .kind = RYZ_FIELD_F64, .value.f64 = (v)})
#define RYZ_STR(k, v)                                                                              \
    ((struct ryz_log_field){.key = (k), .kind = RYZ_FIELD_STRING, .value.string = (v)})

struct ryz_logger {
    /* Gets one line without newline, from any thread; may block briefly. */
    void (*write)(void *context, enum ryz_log_level level, const char *line, size_t length);
    void *context;
    const struct ryz_clock *wall; /* nanoseconds since 1970 */
    enum ryz_log_level level;     /* lines below are dropped */
};

/* Writes one line; `logger` and `trace` may be NULL. A line holds 4 KiB: a field that does not fit
 * is left out and "truncated":true added. Invalid UTF-8 becomes U+FFFD. */
void ryz_log(const struct ryz_logger *logger, enum ryz_log_level level, const char *event,
             const struct ryz_trace_context *trace, const struct ryz_log_field *fields,
             size_t field_count);

#define RYZ_LOG(logger, level, event, trace, ...)                                                  \
    ryz_log((logger), (level), (event), (trace), (const struct ryz_log_field[]){__VA_ARGS__},      \
            sizeof((const struct ryz_log_field[]){__VA_ARGS__}) / sizeof(struct ryz_log_field))

#endif
