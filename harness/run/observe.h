/*
 * observe.h - everything that reports during a run, turned into rows: the engine, the pacer, the
 * fault plan. Times become relative to the run's t0 here and nowhere else.
 */
#ifndef RYZ_HARNESS_RUN_OBSERVE_H
#define RYZ_HARNESS_RUN_OBSERVE_H

#include "engine/runtime/engine.h"
#include "harness/chaos/chaos.h"
#include "harness/drive/pacer.h"
#include "harness/record/recorder.h"

/* Who observes: the context of all callbacks below. */
struct ryz_observer {
    /* NULL until the run begins: an engine that warms up is not recorded. */
    _Atomic(struct ryz_recorder *) recorder;
    int64_t t0_ns;
    bool keep_tokens, keep_spans;
    const struct ryz_plan *plan;
    bool progress;       /* lines on stderr */
    int64_t expected_ns; /* length of the traffic, for progress; 0: unknown */
    uint64_t failures_told;
};

/* Callbacks of an embedded engine, a pacer and a fault plan; `context` is a struct ryz_observer. */
struct ryz_engine_observer ryz_observer_of_engine(struct ryz_observer *observer);
struct ryz_drive_sink ryz_observer_of_drive(struct ryz_observer *observer);
void ryz_observer_on_chaos(void *context, int64_t t_ns, enum ryz_chaos_event_kind kind,
                           uint32_t fault, double value, const char *note);
void ryz_observer_on_sim_step(void *context, const struct ryz_sim_step *step);
void ryz_observer_on_step(void *context, const struct ryz_step_record *step);
void ryz_observer_on_span(void *context, const struct ryz_span *span);
/* One row of `events`; t_ns is absolute. */
void ryz_observer_event(struct ryz_observer *observer, int64_t t_ns, enum ryz_run_event_kind kind,
                        int32_t who, double value, const char *note);

#endif
