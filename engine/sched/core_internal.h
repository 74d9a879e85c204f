/*
 * core_internal.h - the core's state, for its own files: core.c applies events, core_check.c
 * refuses impossible ones, core_plan.c builds the view and carries a plan out.
 */
#ifndef RYZ_SCHED_CORE_INTERNAL_H
#define RYZ_SCHED_CORE_INTERNAL_H

#include "engine/sched/core.h"
#include "engine/sched/kv_ledger.h"
#include "engine/sched/request_table.h"
#include "engine/sched/step_cost.h"

#include <stddef.h>

struct ryz_core {
    struct ryz_sched_limits limits; /* as of now */
    const struct ryz_sched_policy *policy;
    uint64_t seed;
    void (*log)(void *context, const struct ryz_event *event);
    void *log_context;

    struct ryz_request_table table;
    struct ryz_kv_ledger *ledger;
    struct ryz_step_cost cost;

    int64_t last_ns;         /* of the last event */
    int64_t wake_ns;         /* as the last ryz_core_next left it */
    bool step_failed;        /* the last step done computed nothing: no TOKEN is due */
    bool step_in_flight;     /* a plan is out, STEP_DONE not yet fed */
    uint32_t tokens_due;     /* TOKENs still owed for the step just done */
    uint32_t fault_permille; /* of KV allocations that fail now */
    uint64_t fault_draws;    /* since open: the index of the next draw */
    uint64_t digest;
    struct ryz_core_stats stats; /* counters; the gauges are filled when asked */

    struct ryz_sched_plan plan;
    struct ryz_request_view view[RYZ_VIEW_MAX]; /* of the step being planned */
};

/* NULL when `event` (a PLAN too) can follow from what the core has seen, else what is wrong. */
const char *ryz_core_event_fault(const struct ryz_core *core, const struct ryz_event *event);
/* NULL when the limits make sense, else what is wrong with them. */
const char *ryz_core_limits_fault(const struct ryz_sched_limits *limits);
/* The limits after a LIMITS event. */
struct ryz_sched_limits ryz_core_limits_after(const struct ryz_sched_limits *limits,
                                              const struct ryz_event *event);
/* Gives all blocks of a slot back to the ledger. */
void ryz_core_release_blocks(struct ryz_core *core, uint32_t slot);
/* Extends the digest by one decision. */
void ryz_core_note_decision(struct ryz_core *core, const void *data, size_t size);

#endif
