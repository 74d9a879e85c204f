/*
 * results_file.h - writes the results of one `ryz run`: all points and repeats in one HDF5 file.
 *
 * The file grows run by run under a temporary name (<path>.part) and gets its name when all is
 * written and synced, so a results file that exists is whole. New default-format datasets only, so
 * that any HDF5 reader opens it. Layout: docs/results.md.
 */
#ifndef RYZ_HARNESS_RECORD_RESULTS_FILE_H
#define RYZ_HARNESS_RECORD_RESULTS_FILE_H

#include "engine/base/status.h"
#include "harness/record/provenance.h"
#include "harness/record/run_data.h"

#include <stdbool.h>

#define RYZ_RESULTS_SCHEMA "ryz-results/1"

struct ryz_results_file; /* opaque */

/* Creates <path>.part (and its folder). RYZ_INVALID if `path` exists already. */
RYZ_MUST_USE enum ryz_status ryz_results_create(const char *path,
                                                const struct ryz_provenance *provenance,
                                                struct ryz_results_file **out,
                                                struct ryz_error *error);
/* Adds finalised data as the next group runNNNN and syncs the file; data->info.run gets the number.
 * Live tables are written even when empty; summary, facts and accuracy when they have rows. */
RYZ_MUST_USE enum ryz_status ryz_results_add_run(struct ryz_results_file *results,
                                                 struct ryz_run_data *data,
                                                 struct ryz_error *error);
/* Adds a table of the whole file, once each: POINTS, INPUTS, TARGETS or COMPARE. */
RYZ_MUST_USE enum ryz_status ryz_results_add_table(struct ryz_results_file *results,
                                                   enum ryz_table table, const void *rows,
                                                   size_t count, struct ryz_error *error);
/* Names the swept keys of POINTS' v0 .. ; before or after the table itself. */
RYZ_MUST_USE enum ryz_status ryz_results_set_axes(struct ryz_results_file *results,
                                                  const char *const *keys, uint32_t count,
                                                  struct ryz_error *error);
/* Finishes: `complete` says that every planned run is inside. Closes, syncs, renames. `results` is
 * gone afterwards, also on failure (then the .part file stays for a look). */
RYZ_MUST_USE enum ryz_status ryz_results_commit(struct ryz_results_file *results, bool complete,
                                                struct ryz_error *error);
/* Closes and deletes the .part file. NULL is allowed. */
void ryz_results_discard(struct ryz_results_file *results);

/* Makes an ordinary results file (complete = 0) from the live files of an interrupted `ryz run`:
 * every acknowledged row of every run. A run that cannot be read is skipped if another can, and
 * `error` then says why; *recovered gets the number of runs written (may be NULL). */
RYZ_MUST_USE enum ryz_status ryz_results_recover(const char *const *live_paths, uint32_t count,
                                                 const char *out_path, uint32_t *recovered,
                                                 struct ryz_error *error);

#endif
