/*
 * pacer.h - sends a schedule to a target on time, and makes one row of every request.
 *
 * Latency counts from the scheduled arrival (t_sched), so a server that stalls cannot hide the
 * requests it kept from being sent. A request that fails is a row with a status, never dropped.
 *
 *   wait until 100 us before t_sched (polling answers), spin, send, note t_send
 *
 * Times in rows and sink calls are nanoseconds since t0; those in spans are the clock's own, like
 * the engine's spans.
 */
#ifndef RYZ_HARNESS_DRIVE_PACER_H
#define RYZ_HARNESS_DRIVE_PACER_H

#include "engine/base/fault.h"
#include "harness/drive/target.h"
#include "harness/traffic/prefix_bound.h"
#include "harness/traffic/prompts.h"
#include "harness/traffic/schedule.h"
#include "simulators/sim.h"

#include <stdatomic.h>

/* The generator watches itself: once a second, and at the end. */
struct ryz_drive_progress {
    int64_t t_ns;       /* since t0 */
    int64_t lag_p99_ns; /* of t_send - t_sched since the last report; 0 if nothing was sent */
    uint64_t sent, ended, failed, dropped; /* so far; failed and dropped are among the ended */
    uint32_t inflight;
    uint64_t output_tokens; /* so far */
    double cpu_cores;       /* of the pacer's thread since the last report; 0 in virtual time */
};

/* Where a drive reports to; each function may be NULL and is called on the pacer's thread. */
struct ryz_drive_sink {
    void *context;
    void (*request)(void *context, const struct ryz_request_row *row);
    void (*tokens)(void *context, uint64_t request, int64_t t_ns, uint32_t count);
    void (*span)(void *context, const struct ryz_span *span); /* client.request, one a request */
    void (*progress)(void *context, const struct ryz_drive_progress *progress);
    void (*phase)(void *context, uint32_t traffic, bool begins, int64_t t_ns); /* first and last
                                                                                  arrival */
    void (*failure)(void *context, uint64_t request, int64_t t_ns, enum ryz_request_status status,
                    const char *reason); /* for a log; the row says the same in numbers */
};

struct ryz_drive_options {
    const struct ryz_schedule *schedule; /* knows the traffic */
    const struct ryz_prompts *prompts;
    struct ryz_prefix_bound *bound; /* is shown every prompt in order of launch; may be NULL */
    struct ryz_prefix_bound *lru;   /* likewise; it may be too small for some, who are left out */
    int64_t t0_ns;                  /* on the clock; the schedule's zero */
    uint64_t seed;                  /* of trace ids and of client faults */
    struct ryz_faults *faults;      /* client.disconnect; absolute times; may be NULL */
    const struct ryz_fault *plan_faults; /* (plan_fault_count) of the scenario, times since t0: to
                                            note which fault a failed request ran into */
    uint32_t plan_fault_count;
    uint32_t inflight_max;        /* an arrival beyond is dropped_by_harness; 0: 16384 */
    const _Atomic uint32_t *stop; /* not 0: send no more, give up what is in flight; may be NULL */
    struct ryz_drive_sink sink;
};

struct ryz_drive_summary {
    struct ryz_drive_progress last;
    int64_t lag_p50_ns, lag_p99_ns, lag_max_ns; /* of the whole drive; closed traffic counts
                                                   from the answer that let it go on */
    int64_t end_ns;                             /* since t0: the last request ended */
    uint64_t clipped;                           /* requests cut to fit the context */
    bool bound_lost;     /* options.bound and lru have not seen all prompts */
    uint64_t unreturned; /* timed out, and the target has not let go of them 10 s later */
};

/* Drives the whole schedule and returns when every request has its row. Live targets: `clock` is
 * the target's. */
RYZ_MUST_USE enum ryz_status ryz_pacer_run(const struct ryz_drive_options *options,
                                           struct ryz_target *target, const struct ryz_clock *clock,
                                           struct ryz_drive_summary *summary,
                                           struct ryz_error *error);

/* The same in virtual time. `sim` configures the simulator; its callbacks are the pacer's, but
 * steps go to on_step (may be NULL). t0 must be 0. *core_digest (may be NULL) gets the core's
 * digest. */
RYZ_MUST_USE enum ryz_status
ryz_pacer_simulate(const struct ryz_drive_options *options, const struct ryz_sim_config *sim,
                   void (*on_step)(void *context, const struct ryz_sim_step *step),
                   void *step_context, uint64_t *core_digest, struct ryz_drive_summary *summary,
                   struct ryz_error *error);

#endif
