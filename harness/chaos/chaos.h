/*
 * chaos.h - carries out a scenario's faults while traffic runs.
 *
 * Faults inside an engine are armed as a plan (in process, or over the control channel of a spawned
 * server); a killed server process is killed and started again from here; client faults belong to
 * the load generator. Whatever its kind, each fault is announced when it begins and ends, so that
 * the results hold it.
 */
#ifndef RYZ_HARNESS_CHAOS_CHAOS_H
#define RYZ_HARNESS_CHAOS_CHAOS_H

#include "engine/base/clock.h"
#include "engine/base/fault.h"
#include "harness/chaos/process.h"

enum ryz_chaos_event_kind {
    RYZ_CHAOS_FAULT_ON,
    RYZ_CHAOS_FAULT_OFF,
    RYZ_CHAOS_SERVER_KILLED,
    RYZ_CHAOS_SERVER_READY, /* answers again; value: ns since the kill */
    RYZ_CHAOS_TROUBLE       /* a fault could not be carried out; see the note */
};

/* fault: index into the plan; called on the chaos thread. */
typedef void (*ryz_chaos_fn)(void *context, int64_t t_ns, enum ryz_chaos_event_kind kind,
                             uint32_t fault, double value, const char *note);

struct ryz_chaos_options {
    const struct ryz_fault *faults; /* times on `clock`; copied */
    uint32_t count;
    uint64_t seed;
    const struct ryz_clock *clock; /* CLOCK_MONOTONIC */
    struct ryz_process *process;   /* the spawned server, or NULL; used by the chaos thread only
                                      between open and close */
    const char *host;              /* of the spawned server */
    uint16_t port;
    const char *ready_path;   /* answers 200 when the server is up again */
    const char *control_path; /* its control socket, or NULL: engine faults are armed by the
                                 caller (in process) or cannot be */
    ryz_chaos_fn on_event;
    void *context;
};

struct ryz_chaos;

/* Arms what goes over the control channel, then starts the thread. */
RYZ_MUST_USE enum ryz_status ryz_chaos_open(const struct ryz_chaos_options *options,
                                            struct ryz_chaos **out, struct ryz_error *error);
/* Ends the thread; faults still on are announced as off. NULL is allowed. */
void ryz_chaos_close(struct ryz_chaos *chaos);

#endif
