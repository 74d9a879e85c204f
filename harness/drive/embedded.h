/*
 * embedded.h - the engine in this process as a target: no socket, no codec, exact token times.
 *
 * Tokens are stamped on the engine thread and cross to the pacer through a ring.
 */
#ifndef RYZ_HARNESS_DRIVE_EMBEDDED_H
#define RYZ_HARNESS_DRIVE_EMBEDDED_H

#include "engine/runtime/engine.h"
#include "harness/drive/target.h"

/* The engine is borrowed and stays open longer than the target. `clock` is the engine's. Closing
 * the target cancels what is inside and waits for its end. */
RYZ_MUST_USE enum ryz_status ryz_embedded_open(struct ryz_engine *engine,
                                               const struct ryz_clock *clock,
                                               struct ryz_target **out, struct ryz_error *error);

#endif
