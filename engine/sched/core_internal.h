/*
 * core_internal.h - the core's state, for its own files: core.c applies events, core_check.c
 * refuses impossible ones, core_plan.c builds the view and carries a plan out, core_choices.c keeps
 * requests together that repeat one prompt.
 */
#ifndef RYZ_SCHED_CORE_INTERNAL_H
#define RYZ_SCHED_CORE_INTERNAL_H

#include "engine/sched/admission.h"
#include "engine/sched/batch_control.h"
#include "engine/sched/core.h"
#include "engine/sched/fair_share.h"
#include "engine/sched/kv_ledger.h"
#include "engine/sched/kv_partitions.h"
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
    struct ryz_kv_partitions partitions;
    struct ryz_wait_queue *queues; /* [partitions.count] the waiting ones of each but 0, in order;
                                      NULL without partitions */
    struct ryz_step_cost cost;
    struct ryz_wait_model waits;
    struct ryz_batch_control batch;

    int64_t last_ns;            /* of the last event */
    int64_t wake_ns;            /* as the last ryz_core_next left it */
    bool step_failed;           /* the last step done computed nothing: no TOKEN is due */
    bool step_in_flight;        /* a plan is out, STEP_DONE not yet fed */
    uint32_t tokens_due;        /* TOKENs still owed for the step just done */
    uint32_t fault_permille;    /* of KV allocations that fail now */
    uint64_t fault_draws;       /* since open: the index of the next draw */
    uint32_t headroom_permille; /* grows with preemptions for blocks, falls as requests end */
    uint32_t accept;            /* of all requests: chance that a proposal is right, of 2^16 */
    uint32_t draftless_steps;   /* in a row that could have verified proposals and did not */
    uint32_t probe_steps; /* so many of them, and one is verified to see whether it pays now */
    /* Prefix cache; NULL without it. */
    uint64_t *hashes;   /* [slot_count][table.table_blocks] of each slot's full blocks */
    uint64_t *staged;   /* [table.table_blocks] of the request that arrives next */
    uint64_t staged_id; /* the request they are for */
    uint32_t staged_count;

    /* Choices that are announced and may arrive next, and requests that give up their places. */
    uint32_t choices_due, choices_slot, displacements_due;

    uint64_t waiting_tokens; /* to be computed for waiting requests before their next token */
    uint64_t digest;
    uint64_t shown;              /* views built so far */
    struct ryz_core_stats stats; /* counters; the gauges are filled when asked */

    struct ryz_sched_plan plan;
    struct ryz_kv_copies copies;                /* of the plan */
    struct ryz_request_view view[RYZ_VIEW_MAX]; /* of the step being planned */
};

/* NULL when `event` (a PLAN too) can follow from what the core has seen, else what is wrong. */
const char *ryz_core_event_fault(const struct ryz_core *core, const struct ryz_event *event);
/* NULL when the limits make sense, else what is wrong with them. */
const char *ryz_core_limits_fault(const struct ryz_sched_limits *limits);
/* The limits after a LIMITS event. */
struct ryz_sched_limits ryz_core_limits_after(const struct ryz_sched_limits *limits,
                                              const struct ryz_event *event);
/* The tables of the prefix cache, where the configuration wants it. */
RYZ_MUST_USE enum ryz_status ryz_core_prefix_open(struct ryz_core *core, bool wanted,
                                                  struct ryz_error *error);
void ryz_core_prefix_close(struct ryz_core *core);
/* NULL when a HASHES event can follow, else what is wrong. */
const char *ryz_core_hashes_fault(const struct ryz_core *core, const struct ryz_event *event);
/* Takes a HASHES event's hashes; gives the staged ones to an arrival, which may have been refused
 * (RYZ_SLOT_NONE). */
void ryz_core_stage_hashes(struct ryz_core *core, const struct ryz_event *event);
void ryz_core_give_hashes(struct ryz_core *core, uint64_t request_id, uint32_t slot);
/* Gives the hashes of one slot's prompt to another that repeats it. */
void ryz_core_copy_hashes(struct ryz_core *core, uint32_t from, uint32_t to);
/* Prompt tokens of the request that arrives now which are in the cache. */
uint32_t ryz_core_staged_tokens(const struct ryz_core *core, const struct ryz_request_view *view);
/* A token has filled a block of a slot. */
void ryz_core_add_hash(struct ryz_core *core, uint32_t slot, uint64_t hash);
/* Says in the view of a waiting slot what is found of its beginning. */
void ryz_core_look_up(const struct ryz_core *core, uint32_t slot, struct ryz_request_view *view);
/* Takes what is found for a slot that has just been started; its tokens. What is in the host tier
 * has its blocks only after load_prefix, in the same plan, when all have taken theirs. */
uint32_t ryz_core_take_prefix(struct ryz_core *core, uint32_t slot);
void ryz_core_load_prefix(struct ryz_core *core, uint32_t slot);
/* Indexes the blocks of a running slot that are full and computed. */
void ryz_core_publish(struct ryz_core *core, uint32_t slot);

/* Says in the view of a running slot how many proposals may be verified, and what to think of
 * them. */
void ryz_core_offer_drafts(const struct ryz_core *core, uint32_t slot,
                           struct ryz_request_view *view);
void ryz_core_drafts_init(struct ryz_core *core);
/* Whether to verify some in the next step only to learn about them; counts what was planned. */
bool ryz_core_probes_drafts(const struct ryz_core *core);
void ryz_core_note_drafts(struct ryz_core *core, const struct ryz_sched_plan *plan);
/* A TOKEN says that the first proposal left was right. */
void ryz_core_accept_draft(struct ryz_core *core, uint32_t slot);
/* The last TOKEN of a step for a slot: learns from its proposals. `ended`: the request ends here,
 * so those that are left were not refused. */
void ryz_core_settle_drafts(struct ryz_core *core, uint32_t slot, bool ended);

/* Blocks of a running slot that nobody else holds. */
uint32_t ryz_core_own_blocks(const struct ryz_core *core, uint32_t slot);

/* Whether an arrival of `choices` requests is turned away, and why (NONE: it is not); *estimate:
 * what is believed of it; *instead: how many of the last in the queue give up their places for it.
 */
enum ryz_effect_kind ryz_core_refusal(const struct ryz_core *core,
                                      const struct ryz_request_view *view, uint32_t choices,
                                      struct ryz_estimate *estimate, uint32_t *instead);
/* NULL when an ARRIVE that says something of choices can follow, else what is wrong. */
const char *ryz_core_choice_fault(const struct ryz_core *core, const struct ryz_event *event);
/* Links a slot that has just arrived with the choices of `leader`; takes one that ends out. */
void ryz_core_join_choices(struct ryz_core *core, uint32_t slot, uint32_t leader);
void ryz_core_leave_choices(struct ryz_core *core, uint32_t slot);
/* Decides which choices of a slot's group stand in the queue; called whenever one of them begins or
 * stops to hold the whole prompt. */
void ryz_core_settle_choices(struct ryz_core *core, uint32_t slot);
/* Tokens of the prompt that a waiting slot would take over from another choice if it started now;
 * 0: none. *source: the slot of that one. */
uint32_t ryz_core_shared_tokens(const struct ryz_core *core, uint32_t slot, uint32_t *source);
/* Takes them for a slot that has just been started: its blocks are the other's, a last one that is
 * not full included, which ryz_core_own_block replaces before anything is written to it. */
uint32_t ryz_core_take_shared(struct ryz_core *core, uint32_t slot);
/* The block at `position`, where a running slot is about to write, becomes its own: if it has
 * contents before and other owners, by a copy. */
void ryz_core_own_block(struct ryz_core *core, uint32_t slot, uint32_t position);
/* Leading blocks of a running slot that may have other owners. */
uint32_t ryz_core_shared_blocks_max(const struct ryz_core *core, uint32_t slot);
/* The number of choices of a group; 0 if one of them runs, has output or is as urgent as that. */
uint32_t ryz_core_choices_behind(const struct ryz_core *core, uint32_t slot, uint64_t urgency);
/* Puts a waiting slot into the policy's order unless it is parked, and takes it out. */
void ryz_core_enqueue(struct ryz_core *core, uint32_t slot);
void ryz_core_dequeue(struct ryz_core *core, uint32_t slot);
/* A waiting slot stands beside the queue from now on, or in it. */
void ryz_core_park(struct ryz_core *core, uint32_t slot, bool parked);
/* Moves requests that have waited longer than starve_ns to the front. */
void ryz_core_feed_the_starved(struct ryz_core *core, int64_t now_ns);
/* Adds a copy to the plan that is carried out now: at most one into each block it hands out. */
void ryz_core_add_copy(struct ryz_core *core, enum ryz_kv_copy_kind kind, uint32_t from,
                       uint32_t to);
/* Charges a slot's tenant for what the ledger had free and has no more. */
void ryz_core_charge(struct ryz_core *core, uint32_t slot, uint32_t free_before);
/* Gives all blocks of a slot back to the ledger. */
void ryz_core_release_blocks(struct ryz_core *core, uint32_t slot);
/* Extends the digest by one decision. */
void ryz_core_note_decision(struct ryz_core *core, const void *data, size_t size);

#endif
