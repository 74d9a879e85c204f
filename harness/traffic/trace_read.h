/*
 * trace_read.h - reads recorded arrivals: Azure's CSV and Mooncake's JSON lines.
 *
 *   TIMESTAMP,ContextTokens,GeneratedTokens                2023-11-16 18:17:03.9799600,374,44
 *   {"timestamp": 27482, "input_length": 6955, "output_length": 52, "hash_ids": [46, 47]}
 *
 * Times become nanoseconds since the earliest row and rows are sorted by time. Mooncake's hash_ids
 * stand for 512 tokens of the prompt each, in order, the last one perhaps for fewer: equal ids mean
 * equal tokens. A row may list fewer than its length has, none too, but not more: whoever counts in
 * other blocks (Qwen's traces: 16 tokens) would be read wrongly in silence. Errors name file and
 * line.
 */
#ifndef RYZ_HARNESS_TRAFFIC_TRACE_READ_H
#define RYZ_HARNESS_TRAFFIC_TRACE_READ_H

#include "engine/base/status.h"
#include "harness/scenario/plan.h"

#include <stddef.h>
#include <stdint.h>

#define RYZ_TRACE_ROWS_MAX   10000000u
#define RYZ_TRACE_TOKENS_MAX 100000000u /* of one row; a larger number is a damaged file */
#define RYZ_TRACE_IDS_MAX    33554432u  /* hash_ids of one trace: 256 MiB, 17 G prompt tokens */
#define RYZ_TRACE_ID_TOKENS  512u       /* that a hash id stands for */

struct ryz_trace_row {
    int64_t t_ns; /* since the earliest row */
    uint32_t prompt_tokens, output_tokens;
    uint32_t id_first, id_count; /* its hash ids in `ids` of the trace */
};

struct ryz_trace {
    struct ryz_trace_row *rows; /* (count), by time; rows of equal time in the file's order */
    size_t count;
    uint64_t *ids; /* (id_count) hash ids of all rows */
    size_t id_count;
};

/* RYZ_NOT_FOUND, RYZ_IO, RYZ_CORRUPT (file:line: what is wrong), RYZ_FULL, RYZ_NO_MEMORY. */
RYZ_MUST_USE enum ryz_status ryz_trace_open(const char *path, enum ryz_trace_format format,
                                            struct ryz_trace *trace, struct ryz_error *error);
void ryz_trace_close(struct ryz_trace *trace);

#endif
