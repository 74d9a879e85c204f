/*
 * run.h - `ryz run`: a scenario from its file to a verdict.
 *
 *   plan -> [for each point and repeat: session.h] -> accuracy -> evaluate -> results file ->
 * report
 */
#ifndef RYZ_HARNESS_RUN_RUN_H
#define RYZ_HARNESS_RUN_RUN_H

#include "harness/record/rows.h"
#include "harness/scenario/plan.h"

#include <stdbool.h>
#include <stdio.h>

struct ryz_run_options {
    const char *scenario;           /* path */
    struct ryz_overrides overrides; /* --set */
    bool quiet;                     /* no progress, no tables */
    bool dry_run;                   /* print the arrivals instead of sending them */
    int argc;                       /* command line, for provenance */
    char *const *argv;
};

#define RYZ_RUN_TARGETS_MAX 512u /* verdicts of all points together */

struct ryz_run_outcome {
    int exit_code;                  /* enum ryz_exit */
    char results_path[512];         /* "" if none was written */
    struct ryz_target_row *targets; /* malloc'ed; the caller frees */
    size_t target_count;
};

/* Runs it. Mistakes and troubles are told on stderr; what a user reads goes to stdout. */
void ryz_run_scenario(const struct ryz_run_options *options, struct ryz_run_outcome *outcome);

#endif
