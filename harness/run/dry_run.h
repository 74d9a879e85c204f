/* dry_run.h - `ryz run --dry-run`: the arrivals of a scenario as CSV, nothing sent. */
#ifndef RYZ_HARNESS_RUN_DRY_RUN_H
#define RYZ_HARNESS_RUN_DRY_RUN_H

#include "harness/scenario/plan.h"

#include <stdio.h>

/* Writes a header and one line an arrival; closed traffic, whose times arise in the run, is listed
 * without times. Lengths are cut to the model's context as in the run. */
RYZ_MUST_USE enum ryz_status ryz_dry_run(const struct ryz_plan *plan, FILE *out,
                                         struct ryz_error *error);

#endif
