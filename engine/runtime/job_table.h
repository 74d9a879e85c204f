/*
 * job_table.h - a request inside the engine is a job: its parameters, tokens, times.
 *
 * Sized at open for all requests that can be queued or hold a slot of the core, so neither submit
 * nor the steps allocate. An id is (generation, place): a cancel finds its request without a search
 * and a late one, whose place has a new tenant, misses.
 *
 *   id:  | generation, from 1 | place, `place_bits` bits |
 *
 * `lock` guards ids and the list of free places and is held for a few loads and stores only;
 * everything else of a request belongs to its submitter until it is in the ring, then to the engine
 * thread.
 */
#ifndef RYZ_RUNTIME_JOB_TABLE_H
#define RYZ_RUNTIME_JOB_TABLE_H

#include "engine/runtime/engine.h"
#include "engine/runtime/stream_text.h"
#include "engine/sched/prefix_hash.h"

#include <pthread.h>
#include <stdatomic.h>

#define RYZ_JOB_NO_SLOT UINT32_MAX

struct ryz_job {
    uint64_t id;             /* 0: place is free; changed under the table's lock */
    uint64_t generation;     /* of the last id given out for this place */
    _Atomic uint32_t cancel; /* 1: the client has left; set under the table's lock */
    uint32_t slot;           /* in the core; RYZ_JOB_NO_SLOT before it is admitted */
    struct ryz_job *first;   /* of its request's choices, maybe itself: its id and `cancel` are the
                                request's, and it stays in its place until all have ended */
    struct ryz_job *next;    /* choice, NULL: the last one; good until the first of them ends */
    uint32_t choice;         /* its number */
    uint32_t open_choices;   /* of the first: not ended */
    bool displaced;          /* of the first: a choice had to give way, the others follow */

    struct ryz_generate generate; /* as submitted; `tokens` and `stops` are not to be used */
    uint32_t *tokens;             /* (context) prompt, then output */
    uint32_t prompt_count;        /* as submitted; one too long for the context is not stored */
    uint32_t token_count;         /* prompt and output now */
    uint64_t *hashes; /* (context / block) of the prompt's full blocks; NULL: no cache */
    uint32_t hash_count;
    uint32_t cached_tokens;      /* of the prompt, found at the first start */
    struct ryz_prefix_hash hash; /* where prompt and output stand */
    bool has_text;               /* text is wanted or stop strings are to be found */
    struct ryz_stream_text text;

    int64_t arrived_ns, first_step_ns, first_token_ns, last_token_ns;
    struct ryz_effect arrival; /* what the core said to it; kind NONE before */
    struct ryz_waste waste;    /* what the core said at its end */
};

struct ryz_job_table {
    struct ryz_job *jobs; /* (count) */
    uint32_t *tokens;     /* (count, context), pages are touched on first use */
    uint64_t *hashes;     /* (count, context / block) likewise; NULL: no cache */
    uint32_t *free;       /* (free_count) places, a stack */
    uint32_t count, free_count;
    uint32_t context; /* tokens of one request */
    uint32_t place_bits;
    pthread_mutex_t lock;
};

/* hash_blocks: full blocks of the longest request, 0 without a prefix cache. */
RYZ_MUST_USE enum ryz_status ryz_job_table_open(struct ryz_job_table *table, uint32_t count,
                                                uint32_t context, uint32_t hash_blocks,
                                                struct ryz_error *error);
void ryz_job_table_close(struct ryz_job_table *table);

/* Takes places for the `count` (>= 1) choices of a request, links them and gives each an id; the
 * first one, or NULL when there are fewer places. Any thread. */
struct ryz_job *ryz_job_table_take(struct ryz_job_table *table, uint32_t count);
/* A choice has ended: frees its place, and the first one's after the last. The ids are dead from
 * then on. Their owner only. */
void ryz_job_table_release(struct ryz_job_table *table, struct ryz_job *job);
/* Marks a request as cancelled; false if it is not inside (any more). Any thread. */
bool ryz_job_table_cancel(struct ryz_job_table *table, uint64_t id);

#endif
