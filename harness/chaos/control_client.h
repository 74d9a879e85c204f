/* control_client.h - the harness's side of a spawned server's control channel
 * (engine/api/control.h): arms fault plans, fetches the server's steps and spans. */
#ifndef RYZ_HARNESS_CHAOS_CONTROL_CLIENT_H
#define RYZ_HARNESS_CHAOS_CONTROL_CLIENT_H

#include "engine/base/fault.h"
#include "engine/obs/trace.h"
#include "engine/runtime/engine.h"

/* Arms `faults` on the server; times are CLOCK_MONOTONIC, shared by all processes of a host. */
RYZ_MUST_USE enum ryz_status ryz_control_client_arm(const char *path,
                                                    const struct ryz_fault *faults, uint32_t count,
                                                    uint64_t seed, struct ryz_error *error);

/* Records that the server kept since the last fetch; either function may be NULL. */
struct ryz_control_records {
    void *context;
    void (*step)(void *context, const struct ryz_step_record *step);
    void (*span)(void *context, const struct ryz_span *span);
    uint64_t count;   /* grows by the records handed over */
    uint64_t dropped; /* grows by the records that the server could not keep */
};
RYZ_MUST_USE enum ryz_status ryz_control_client_fetch(const char *path,
                                                      struct ryz_control_records *records,
                                                      struct ryz_error *error);

#endif
