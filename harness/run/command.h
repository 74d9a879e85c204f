/* command.h - the command line of a server that a scenario starts. */
#ifndef RYZ_HARNESS_RUN_COMMAND_H
#define RYZ_HARNESS_RUN_COMMAND_H

#include "harness/scenario/plan.h"

#include <stdbool.h>
#include <stddef.h>

/* Copies [engine] spawn to out[0 .. capacity) with {model}, {control} and {engine} filled in.
 * {engine} becomes the [engine] keys as options of `ryz serve`. A path stays one word (see
 * process.h). False if it does not fit. */
bool ryz_command_fill(const struct ryz_plan *plan, const char *control_path, char *out,
                      size_t capacity);

#endif
