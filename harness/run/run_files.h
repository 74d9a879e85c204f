/*
 * run_files.h - names and places of what a run leaves behind, and the list of what it read.
 *
 *   <output.dir>/<output.hdf5>            results
 *   <output.dir>/<its stem>/              pictures and the server's log
 *   <output.dir>/.live/<stem>-NNNN.h5     live files, gone when the results file is whole
 */
#ifndef RYZ_HARNESS_RUN_RUN_FILES_H
#define RYZ_HARNESS_RUN_RUN_FILES_H

#include "harness/record/provenance.h"
#include "harness/record/rows.h"
#include "harness/scenario/plan.h"

#include <stddef.h>

struct ryz_run_files {
    char results[768]; /* the HDF5 file */
    char folder[768];  /* pictures and logs; made when first needed */
    char stem[160];    /* results' name without folder and ending */
    char live_dir[600];
};

/* Fills the templates of plan->output; {time} is `utc`, {commit} is shortened. RYZ_FULL when a name
 * is too long, RYZ_INVALID for an unknown {placeholder}. */
RYZ_MUST_USE enum ryz_status ryz_run_files_name(const struct ryz_plan *plan,
                                                const struct ryz_provenance *provenance,
                                                struct ryz_run_files *files,
                                                struct ryz_error *error);
/* Path of the live file of run number `run`. */
void ryz_run_files_live(const struct ryz_run_files *files, uint32_t run, char *path,
                        size_t capacity);
/* Makes files->folder and the folders above it. Where the name comes from the time, whose seconds
 * another run may share, an existing folder is taken for that run's and the names in `files` become
 * <stem>-2, <stem>-3, ... */
RYZ_MUST_USE enum ryz_status ryz_run_files_make_folder(const struct ryz_plan *plan,
                                                       struct ryz_run_files *files,
                                                       struct ryz_error *error);

#define RYZ_INPUTS_MAX (RYZ_TRAFFIC_MAX + 3u)

/* Describes model, traces, accuracy text and cost results with their SHA-256. */
RYZ_MUST_USE enum ryz_status ryz_run_files_inputs(const struct ryz_plan *plan,
                                                  struct ryz_input_row rows[RYZ_INPUTS_MAX],
                                                  uint32_t *count, struct ryz_error *error);

#endif
