/*
 * recorder.h - takes rows from any thread and brings them to disk, so that a crash loses at most
 * what was not yet acknowledged.
 *
 *   push (any thread) -> bounded ring -> one writer thread -> <live file>, HDF5 in SWMR mode
 *
 * A load thread never waits for a disk: a push copies the row; only a full ring makes it wait, for
 * at most block_ns, then the row is dropped and counted, and a drop makes the run invalid.
 * Acknowledged = the rows were flushed AND their count was published after that, at least every
 * 100 ms; fsync follows every second. After kill -9 every acknowledged row can be recovered.
 */
#ifndef RYZ_HARNESS_RECORD_RECORDER_H
#define RYZ_HARNESS_RECORD_RECORDER_H

#include "engine/base/status.h"
#include "harness/record/run_data.h"

#include <stdbool.h>

struct ryz_recorder; /* opaque */

struct ryz_recorder_options {
    const char *live_path;                   /* created; its folder too; must not exist */
    const struct ryz_run_info *info;         /* copied into the file */
    const struct ryz_provenance *provenance; /* copied into the file */
    size_t ring_rows;                        /* 0: 32768 */
    int64_t block_ns;                        /* longest wait of a push; 0: 200 ms */
};

RYZ_MUST_USE enum ryz_status ryz_recorder_open(const struct ryz_recorder_options *options,
                                               struct ryz_recorder **out, struct ryz_error *error);
/* Copies one row of a live table in, from any thread; false: dropped and counted. `recorder` may be
 * NULL: nothing is recorded. */
bool ryz_recorder_push(struct ryz_recorder *recorder, enum ryz_table table, const void *row);
/* Rows of each live table that survive a kill; any thread. */
void ryz_recorder_acked(const struct ryz_recorder *recorder, uint64_t counts[RYZ_TABLE_LIVE_COUNT]);
/* Rows dropped so far, all tables; any thread. */
uint64_t ryz_recorder_dropped(const struct ryz_recorder *recorder);
/* Writes what is left, marks the file complete, closes it. No push may be under way. The live file
 * stays; read it with ryz_run_data_open_live. Fails if anything could not be written (the rest
 * still is recoverable). NULL is allowed. */
RYZ_MUST_USE enum ryz_status ryz_recorder_close(struct ryz_recorder *recorder,
                                                struct ryz_error *error);

/* ryz_record(recorder, &row): picks the table by the row's type. It reads like the function it
 * stands for, so it is spelled like one.
 * NOLINTBEGIN(readability-identifier-naming) */
#define RYZ_RECORD_CASE(name, dataset, type, columns, chunk, help) , struct type : RYZ_TABLE_##name
#define ryz_record(recorder, row)                                                                  \
    ryz_recorder_push((recorder), _Generic(*(row)RYZ_LIVE_TABLES(RYZ_RECORD_CASE)), (row))

/* NOLINTEND(readability-identifier-naming) */

#endif
