/*
 * request_table.h - where the requests of a core live: slots, the waiting queue, the running list
 * and the block tables.
 *
 *   free slots (stack) -> waiting (linked, by arrival) <-> running (array, by key) -> free
 *
 * It keeps order and places, decides nothing and asserts its own consistency. Everything is sized
 * at open; taking, moving and giving back a slot cost O(1) but for preempted requests, which walk
 * past older waiting ones (normally none), and the running array's at most RYZ_BATCH_MAX entries.
 */
#ifndef RYZ_SCHED_REQUEST_TABLE_H
#define RYZ_SCHED_REQUEST_TABLE_H

#include "engine/sched/sched.h"

#include "engine/base/status.h"

#define RYZ_SLOT_NONE UINT32_MAX

/* Believed at a request's arrival; 0: no opinion. */
struct ryz_estimate {
    int64_t first_ns; /* time to the first token */
    int64_t token_ns; /* time between two tokens after that */
};

enum ryz_slot_state { RYZ_SLOT_FREE, RYZ_SLOT_WAITING, RYZ_SLOT_RUNNING };

struct ryz_request {
    struct ryz_request_view view; /* what policies see; kv_blocks = entries of the block table */
    uint64_t arrival;             /* number of the arrival */
    uint64_t shown;               /* WAITING: number of the last view whose window had it */
    struct ryz_order_key key;     /* order among the running; written by the core's queue */
    struct ryz_waste waste;       /* so far; preemptions are counted in the view */
    enum ryz_slot_state state;
    struct ryz_estimate estimate;
    int64_t first_token_ns;  /* when it came */
    uint32_t computed_high;  /* most tokens ever computed: below is recomputation */
    uint32_t planned_tokens; /* in the step in flight; 0: not part of it */
    uint32_t hash_count;     /* full blocks of its tokens whose hashes are known */
    uint32_t published;      /* RUNNING: blocks that are in the index, or were found there */
    uint32_t cached_tokens;  /* found when it was last started */
    uint32_t host_blocks;    /* of the blocks found, in the host tier: until they are loaded */
    uint32_t sibling;        /* next choice of the same prompt, in a ring; itself: no other */
    bool parked;             /* WAITING: beside the queue, another choice computes the prompt */
    uint32_t accept;         /* believed chance that a proposal is right, of 2^16 */
    uint8_t drafts_offered;  /* proposals that the driver can make */
    uint8_t drafts_planned;  /* in the step in flight or just done */
    uint8_t drafts_left;     /* of them, neither accepted nor refused yet */
    bool token_due;          /* sampled in the step just done, TOKEN not yet fed */
    uint32_t table;          /* RUNNING: number of its block table */
    uint32_t previous, next; /* WAITING: neighbours, RYZ_SLOT_NONE at the ends */
};

/* Fields may be read by the core's files; written only by the functions below. */
struct ryz_request_table {
    uint32_t slot_count;
    struct ryz_request *requests; /* [slot_count] */
    uint32_t *free_slots;         /* stack */
    uint32_t free_slot_count;
    uint32_t waiting_head, waiting_tail, waiting_count;
    uint32_t running[RYZ_BATCH_MAX]; /* slots, by key, then arrival */
    uint32_t running_count;
    uint32_t table_count;  /* block tables: at most as many run */
    uint32_t table_blocks; /* entries of each: blocks of the longest request */
    uint32_t *tables;      /* [table_count][table_blocks] */
    uint32_t *free_tables; /* stack */
    uint32_t free_table_count;
    uint64_t arrivals;
};

RYZ_MUST_USE enum ryz_status ryz_request_table_open(struct ryz_request_table *table,
                                                    uint32_t slot_count, uint32_t table_blocks,
                                                    struct ryz_error *error);
void ryz_request_table_close(struct ryz_request_table *table);

/* Takes a slot for a request that arrives now and queues it last; RYZ_SLOT_NONE: no slot is free.
 * The request is zeroed but for slot, state, order and links. */
uint32_t ryz_request_table_arrive(struct ryz_request_table *table);
/* Waiting to running; gives it an empty block table. */
void ryz_request_table_start(struct ryz_request_table *table, uint32_t slot);
/* Running to waiting, its blocks released before by the caller (view.kv_blocks is 0). */
void ryz_request_table_preempt(struct ryz_request_table *table, uint32_t slot);
/* Any state to free, its blocks released before by the caller. */
void ryz_request_table_end(struct ryz_request_table *table, uint32_t slot);
/* Block table of a running slot: view.kv_blocks entries are used, table_blocks may be. */
uint32_t *ryz_request_table_blocks(const struct ryz_request_table *table, uint32_t slot);

#endif
