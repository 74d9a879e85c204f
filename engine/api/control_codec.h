/* control_codec.h - the lines of the control channel; their format is described in control.h. */
#ifndef RYZ_API_CONTROL_CODEC_H
#define RYZ_API_CONTROL_CODEC_H

#include "engine/base/json.h"
#include "engine/runtime/engine.h"

enum ryz_control_op {
    RYZ_CONTROL_FAULTS,
    RYZ_CONTROL_DRAIN,
    RYZ_CONTROL_STATS,
    RYZ_CONTROL_RECORDS
};

struct ryz_control_request {
    enum ryz_control_op op;
    uint64_t seed;
    struct ryz_fault faults[RYZ_FAULTS_MAX]; /* times on the server's clock */
    uint32_t fault_count;
};

struct ryz_control_stats {
    int64_t now_ns;
    uint32_t active;
    struct ryz_core_stats core;
    uint64_t digest;
    uint64_t fault_hits[RYZ_FAULTS_MAX];
    uint32_t fault_count;
};

struct ryz_control_end {
    uint64_t steps, spans, dropped;
};

/* Reads one line. RYZ_INVALID with words when it is no request. */
RYZ_MUST_USE enum ryz_status ryz_control_parse(const char *line, size_t length,
                                               struct ryz_control_request *request,
                                               struct ryz_error *error);

/* Writers of one line each (ryz_text_writer). Context: a message, nothing, and the structs. */
void ryz_control_write_error(struct ryz_json *json, const void *message);
void ryz_control_write_ok(struct ryz_json *json, const void *nothing);
void ryz_control_write_step(struct ryz_json *json, const void *step_record);
void ryz_control_write_span(struct ryz_json *json, const void *span);
void ryz_control_write_end(struct ryz_json *json, const void *end);
void ryz_control_write_stats(struct ryz_json *json, const void *stats);

#endif
