/* table.c - the tables of rows.h as data, and the names of their enums. */
#include "harness/record/rows.h"

#include "engine/base/assert.h"
#include "engine/base/size.h"

#include <stddef.h>

#define COLUMN(kind, name, length, unit, meaning)                                                  \
    {#name, unit, meaning, RYZ_COL_##kind, length, (uint32_t)offsetof(struct ROW, name)},

#define ROW ryz_request_row
static const struct ryz_column request_columns[] = {RYZ_REQUEST_COLUMNS(COLUMN)};
#undef ROW
#define ROW ryz_token_row
static const struct ryz_column token_columns[] = {RYZ_TOKEN_COLUMNS(COLUMN)};
#undef ROW
#define ROW ryz_span_row
static const struct ryz_column span_columns[] = {RYZ_SPAN_COLUMNS(COLUMN)};
#undef ROW
#define ROW ryz_run_event_row
static const struct ryz_column event_columns[] = {RYZ_RUN_EVENT_COLUMNS(COLUMN)};
#undef ROW
#define ROW ryz_gpu_row
static const struct ryz_column telemetry_columns[] = {RYZ_GPU_COLUMNS(COLUMN)};
#undef ROW
#define ROW ryz_host_row
static const struct ryz_column host_columns[] = {RYZ_HOST_COLUMNS(COLUMN)};
#undef ROW
#define ROW ryz_step_row
static const struct ryz_column engine_columns[] = {RYZ_STEP_COLUMNS(COLUMN)};
#undef ROW
#define ROW ryz_event
static const struct ryz_column sched_log_columns[] = {RYZ_SCHED_LOG_COLUMNS(COLUMN)};
#undef ROW
#define ROW ryz_sched_config_row
static const struct ryz_column sched_config_columns[] = {RYZ_SCHED_CONFIG_COLUMNS(COLUMN)};
#undef ROW
#define ROW ryz_harness_row
static const struct ryz_column harness_columns[] = {RYZ_HARNESS_COLUMNS(COLUMN)};
#undef ROW
#define ROW ryz_log_row
static const struct ryz_column log_columns[] = {RYZ_LOG_COLUMNS(COLUMN)};
#undef ROW
#define ROW ryz_summary_row
static const struct ryz_column summary_columns[] = {RYZ_SUMMARY_COLUMNS(COLUMN)};
#undef ROW
#define ROW ryz_fact_row
static const struct ryz_column fact_columns[] = {RYZ_FACT_COLUMNS(COLUMN)};
#undef ROW
#define ROW ryz_target_row
static const struct ryz_column target_columns[] = {RYZ_TARGET_COLUMNS(COLUMN)};
#undef ROW
#define ROW ryz_point_row
static const struct ryz_column point_columns[] = {RYZ_POINT_COLUMNS(COLUMN)};
#undef ROW
#define ROW ryz_input_row
static const struct ryz_column input_columns[] = {RYZ_INPUT_COLUMNS(COLUMN)};
#undef ROW
#define ROW ryz_accuracy_row
static const struct ryz_column accuracy_columns[] = {RYZ_ACCURACY_COLUMNS(COLUMN)};
#undef ROW
#define ROW ryz_compare_row
static const struct ryz_column compare_columns[] = {RYZ_COMPARE_COLUMNS(COLUMN)};
#undef ROW

/* The scheduler's record has no padding, so the columns must cover all of it. */
#define SIZE_OF(kind, name, length, unit, meaning) +sizeof(((struct ryz_event *)0)->name)
_Static_assert(0 RYZ_SCHED_LOG_COLUMNS(SIZE_OF) == sizeof(struct ryz_event),
               "sched_log must list every field of struct ryz_event");

#define SPEC(columns, type, dataset, chunk, text)                                                  \
    {                                                                                              \
        dataset, text, columns, (uint32_t)RYZ_COUNT_OF(columns), (uint32_t)sizeof(struct type),    \
            chunk                                                                                  \
    }

static const struct ryz_table_spec specs[RYZ_TABLE_COUNT] = {
#define COLUMNS_REQUESTS     request_columns
#define COLUMNS_TOKENS       token_columns
#define COLUMNS_SPANS        span_columns
#define COLUMNS_EVENTS       event_columns
#define COLUMNS_TELEMETRY    telemetry_columns
#define COLUMNS_HOST         host_columns
#define COLUMNS_ENGINE       engine_columns
#define COLUMNS_SCHED_LOG    sched_log_columns
#define COLUMNS_SCHED_CONFIG sched_config_columns
#define COLUMNS_HARNESS      harness_columns
#define COLUMNS_LOGS         log_columns
#define COLUMNS_SUMMARY      summary_columns
#define COLUMNS_FACTS        fact_columns
#define COLUMNS_TARGETS      target_columns
#define COLUMNS_POINTS       point_columns
#define COLUMNS_INPUTS       input_columns
#define COLUMNS_ACCURACY     accuracy_columns
#define COLUMNS_COMPARE      compare_columns
#define X(name, dataset, type, list, chunk, text)                                                  \
    [RYZ_TABLE_##name] = SPEC(COLUMNS_##name, type, dataset, chunk, text),
    RYZ_LIVE_TABLES(X) RYZ_FINAL_TABLES(X)
#undef X
};

const struct ryz_table_spec *ryz_table_spec(enum ryz_table table)
{
    RYZ_ASSERT((unsigned)table < RYZ_TABLE_COUNT);
    return &specs[table];
}

const char *ryz_request_status_name(enum ryz_request_status status)
{
    static const char *const names[RYZ_REQUEST_STATUS_COUNT] = {
#define X(name, value, text, help) text,
        RYZ_REQUEST_STATUS_TABLE(X)
#undef X
    };
    return (unsigned)status < RYZ_REQUEST_STATUS_COUNT ? names[status] : "unknown";
}

const char *ryz_run_event_name(enum ryz_run_event_kind kind)
{
    static const char *const names[RYZ_RUN_EVENT_COUNT] = {
#define X(name, value, text, help) text,
        RYZ_RUN_EVENT_TABLE(X)
#undef X
    };
    return (unsigned)kind < RYZ_RUN_EVENT_COUNT ? names[kind] : "unknown";
}
