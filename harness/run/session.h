/*
 * session.h - one run of one point: opens what is served, sends the traffic, injects the faults,
 * records everything, and hands back the rows.
 */
#ifndef RYZ_HARNESS_RUN_SESSION_H
#define RYZ_HARNESS_RUN_SESSION_H

#include "harness/record/run_data.h"
#include "harness/scenario/plan.h"

#include <stdatomic.h>

struct ryz_session_options {
    const struct ryz_plan *plan; /* of the point */
    uint32_t point, repeat;
    const char *label;                       /* of the point */
    const char *live_path;                   /* live results; must not exist */
    const char *log_path;                    /* output of a spawned server */
    const struct ryz_provenance *provenance; /* copied into the live file */
    uint64_t seed;                           /* of this run: scenario seed and repeat */
    const _Atomic uint32_t *stop;            /* not 0: the user wants to end */
    bool progress;                           /* lines on stderr */
};

/* The data is finalised and to be freed with ryz_run_data_deinit; the live file stays. A run that
 * ends but must not be judged is RYZ_OK with data->info.valid false. */
RYZ_MUST_USE enum ryz_status ryz_session_run(const struct ryz_session_options *options,
                                             struct ryz_run_data *data, struct ryz_error *error);

#endif
