/* check.h - a scenario in words, for `ryz check` and for the results. */
#ifndef RYZ_HARNESS_SCENARIO_CHECK_H
#define RYZ_HARNESS_SCENARIO_CHECK_H

#include "harness/scenario/plan.h"

#include <stdio.h>

/* Reads a scenario and prints either every mistake, a line each ("file:line: why"), or the expanded
 * plan: each key with its value and where that comes from, then points, repeats and the length of
 * the traffic as far as it is known. Returns what ryz_plan_open would; write errors are left to
 * ferror(out). */
RYZ_MUST_USE enum ryz_status ryz_plan_check(const char *path, const struct ryz_overrides *overrides,
                                            FILE *out);
/* The expanded plan as a scenario file that can be run again: every key with its value, its origin
 * in a comment. Paths stay as they were written. */
void ryz_plan_print(const struct ryz_plan *plan, FILE *out);
/* Time from the first to the last planned arrival of one run, in ns; RYZ_TIME_NONE if it is not
 * known beforehand (closed loops without duration, traces without an end). */
int64_t ryz_plan_traffic_ns(const struct ryz_plan *plan);
/* Hash of all keys and their values, wherever they were written: equal for equal scenarios. */
uint64_t ryz_plan_digest(const struct ryz_plan *plan);

#endif
