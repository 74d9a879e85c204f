/*
 * core_internal.h - the core's state, for its own files: core.c applies events, core_check.c
 * refuses impossible ones, core_plan.c builds the view and carries a plan out.
 */
#ifndef RYZ_SCHED_CORE_INTERNAL_H
#define RYZ_SCHED_CORE_INTERNAL_H

#include "engine/sched/admission.h"
#include "engine/sched/core.h"
#include "engine/sched/fair_share.h"
#include "engine/sched/kv_ledger.h"
#include "engine/sched/request_table.h"
#include "engine/sched/step_cost.h"
#include "engine/sched/wait_queue.h"

#include <stddef.h>

struct ryz_core {
    struct ryz_sched_limits limits; /* as of now */
    const struct ryz_sched_policy *policy;
    uint64_t seed;
    void (*log)(void *context, const struct ryz_event *event);
    void *log_context;

    struct ryz_request_table table;
    struct ryz_wait_queue queue; /* the waiting ones again, in the policy's order */
    struct ryz_fair_share share;
    struct ryz_kv_ledger *ledger;
    struct ryz_step_cost cost;
    struct ryz_wait_model waits;

    int64_t last_ns;         /* of the last event */
    int64_t wake_ns;         /* as the last ryz_core_next left it */
    bool step_failed;        /* the last step done computed nothing: no TOKEN is due */
    bool step_in_flight;     /* a plan is out, STEP_DONE not yet fed */
    uint32_t tokens_due;     /* TOKENs still owed for the step just done */
    uint32_t fault_permille; /* of KV allocations that fail now */
    uint64_t fault_draws;    /* since open: the index of the next draw */
    uint64_t waiting_tokens; /* to be computed for waiting requests before their next token */
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
/* Whether an arrival is turned away, and why (NONE: it is not); *first_ns: its believed time to the
 * first token, 0 where there is no opinion. */
enum ryz_effect_kind ryz_core_refusal(const struct ryz_core *core,
                                      const struct ryz_request_view *view, int64_t *first_ns);
/* Puts a waiting slot into the policy's order, and takes it out. */
void ryz_core_enqueue(struct ryz_core *core, uint32_t slot);
void ryz_core_dequeue(struct ryz_core *core, uint32_t slot);
/* Moves requests that have waited longer than starve_ns to the front. */
void ryz_core_feed_the_starved(struct ryz_core *core, int64_t now_ns);
/* Gives all blocks of a slot back to the ledger. */
void ryz_core_release_blocks(struct ryz_core *core, uint32_t slot);
/* Extends the digest by one decision. */
void ryz_core_note_decision(struct ryz_core *core, const void *data, size_t size);

#endif
