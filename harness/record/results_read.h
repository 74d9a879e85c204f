/*
 * results_read.h - reads results files back: for evaluation, comparison, export, replay and the
 * simulator's cost fit. Columns are matched by name; a column the file lacks reads as absent
 * (INT64_MIN, NaN, 0), one it has beyond ours is ignored.
 */
#ifndef RYZ_HARNESS_RECORD_RESULTS_READ_H
#define RYZ_HARNESS_RECORD_RESULTS_READ_H

#include "engine/base/status.h"
#include "harness/record/provenance.h"
#include "harness/record/run_data.h"

#include <stdbool.h>

struct ryz_results; /* opaque */

#define RYZ_TABLE_BIT(table) (1u << (table))
#define RYZ_TABLES_ALL       (RYZ_TABLE_BIT(RYZ_TABLE_COUNT) - 1u)

/* RYZ_NOT_FOUND, RYZ_CORRUPT (not HDF5, or damaged), RYZ_UNSUPPORTED (not our schema), RYZ_INVALID
 * (a live file: the text names `ryz results recover`). */
RYZ_MUST_USE enum ryz_status ryz_results_open(const char *path, struct ryz_results **out,
                                              struct ryz_error *error);
void ryz_results_close(struct ryz_results *results);

uint32_t ryz_results_run_count(const struct ryz_results *results);
/* Every planned run is inside. */
bool ryz_results_complete(const struct ryz_results *results);
/* Borrowed until close. */
const struct ryz_provenance *ryz_results_provenance(const struct ryz_results *results);
/* Keys of the sweep's axes; returns their number (<= 6). Borrowed until close. */
uint32_t ryz_results_axes(const struct ryz_results *results, const char *keys[6]);

/* Loads run number `run` < run_count: its info and the tables whose bits are set; a table that is
 * not in the file is empty. Free with ryz_run_data_deinit. */
RYZ_MUST_USE enum ryz_status ryz_results_read_run(const struct ryz_results *results, uint32_t run,
                                                  uint32_t tables, struct ryz_run_data *data,
                                                  struct ryz_error *error);
/* Reads a table of the whole file: POINTS, INPUTS, TARGETS or COMPARE; empty if absent. rows->rows
 * is freed by the caller with free(). */
RYZ_MUST_USE enum ryz_status ryz_results_read_table(const struct ryz_results *results,
                                                    enum ryz_table table, struct ryz_rows *rows,
                                                    struct ryz_error *error);

#endif
