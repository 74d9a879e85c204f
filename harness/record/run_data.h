/*
 * run_data.h - one run with all its rows in memory: what evaluation, reports, the cost fit and the
 * results file work on, no matter whether it comes from a live file, a results file or a test.
 *
 *   recorder -> live file -> ryz_run_data_open_live -> evaluate marks rows, adds the summary
 *            -> ryz_results_add_run
 */
#ifndef RYZ_HARNESS_RECORD_RUN_DATA_H
#define RYZ_HARNESS_RECORD_RUN_DATA_H

#include "engine/base/status.h"
#include "harness/record/provenance.h"
#include "harness/record/rows.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RYZ_PHASES_MAX     8u
#define RYZ_PHASE_NAME_MAX 32u

/* How a run came about; written before its first row. Zero it, then fill what is known. */
struct ryz_run_info {
    uint32_t run;           /* number in the results file; set by ryz_results_add_run */
    uint32_t point, repeat; /* of the sweep */
    uint64_t seed;
    int64_t t0_utc_ns;  /* wall clock at t0, nanoseconds since 1970 */
    int64_t t0_mono_ns; /* CLOCK_MONOTONIC at t0; row times are relative to it */
    char label[192];    /* of the sweep point, "key=value ..." or "" */
    char driver[16];    /* "embedded" | "http" | "simulator" */
    char model[64];     /* name of the model, for captions */
    uint32_t phase_count;
    char phases[RYZ_PHASES_MAX][RYZ_PHASE_NAME_MAX]; /* names of requests.phase */
    /* Set when the run has ended: */
    bool complete;                          /* closed in order, not cut short */
    bool valid;                             /* may be judged */
    char invalid_reason[192];               /* if not: the first reason */
    uint64_t dropped[RYZ_TABLE_LIVE_COUNT]; /* rows the recorder could not take */
};

struct ryz_rows {
    void *rows; /* array of the table's row struct, from malloc; NULL when empty */
    size_t count;
};

struct ryz_run_data {
    struct ryz_run_info info;
    struct ryz_rows tables[RYZ_TABLE_COUNT]; /* by enum ryz_table; run tables only */
};

/* Rows of a table, to be assigned to a pointer to its row struct; NULL and 0 when empty. */
void *ryz_run_rows(const struct ryz_run_data *data, enum ryz_table table, size_t *count);
/* Replaces a table by a copy of `count` rows. */
RYZ_MUST_USE enum ryz_status ryz_run_data_set(struct ryz_run_data *data, enum ryz_table table,
                                              const void *rows, size_t count,
                                              struct ryz_error *error);
/* Appends one row; for small tables. */
RYZ_MUST_USE enum ryz_status ryz_run_data_add(struct ryz_run_data *data, enum ryz_table table,
                                              const void *row, struct ryz_error *error);
/* Marks the run invalid; the first reason stays. */
void ryz_run_data_invalidate(struct ryz_run_data *data, const char *format, ...) RYZ_PRINTF(2, 3);
/* Sorts requests by id and tokens by request, each stably, and fills tok_first and tok_count.
 * Tokens of requests without a row come last, by request. */
RYZ_MUST_USE enum ryz_status ryz_run_data_finalise(struct ryz_run_data *data,
                                                   struct ryz_error *error);
/* The request with this id in finalised data, or NULL. */
struct ryz_request_row *ryz_run_data_request(const struct ryz_run_data *data, uint64_t id);
/* Frees all rows and zeroes *data. */
void ryz_run_data_deinit(struct ryz_run_data *data);

/* Reads a live file, finished, still being written or left behind by a killed process, up to the
 * acknowledged counts, and finalises it. `provenance` may be NULL. Free with ryz_run_data_deinit.
 */
RYZ_MUST_USE enum ryz_status ryz_run_data_open_live(const char *live_path,
                                                    struct ryz_run_data *data,
                                                    struct ryz_provenance *provenance,
                                                    struct ryz_error *error);

#endif
