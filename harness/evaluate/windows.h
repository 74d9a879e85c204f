/*
 * windows.h - which requests count: the measured window of each traffic (see evaluator.h for the
 * rule) and the flags measured and slo_ok.
 */
#ifndef RYZ_HARNESS_EVALUATE_WINDOWS_H
#define RYZ_HARNESS_EVALUATE_WINDOWS_H

#include "harness/record/run_data.h"
#include "harness/scenario/plan.h"

#include <stdbool.h>

struct ryz_window {
    bool measured;            /* the traffic is measured and has a window */
    bool no_steady_state;     /* measure = steady found none */
    bool steady;              /* the window was cut */
    int64_t begin_ns, end_ns; /* both inclusive, since t0 */
};

struct ryz_windows {
    struct ryz_window traffic[RYZ_PHASES_MAX];
    struct ryz_window all; /* from the first begin to the last end of the measured ones */
    bool no_memory;        /* a window could not be found for lack of memory */
};

/* Sets measured and slo_ok of every request, and the windows. */
void ryz_windows_mark(const struct ryz_plan *plan, struct ryz_run_data *data,
                      struct ryz_windows *windows);
/* The request failed, as opposed to answered or given up by its client. */
bool ryz_request_failed(const struct ryz_request_row *row);

#endif
