/*
 * engine_state.h - what an engine consists of; for the files of this room only.
 *
 * Who owns what: fields under "shared" are guarded by `lock` or atomic; all others are set by open
 * and afterwards touched by the engine thread alone. Locks (this one and the job table's) are
 * never nested and never held across a callback.
 */
#ifndef RYZ_RUNTIME_ENGINE_STATE_H
#define RYZ_RUNTIME_ENGINE_STATE_H

#include "engine/backend/backend.h"
#include "engine/base/ring.h"
#include "engine/memory/budget.h"
#include "engine/memory/kv_store.h"
#include "engine/obs/log.h"
#include "engine/obs/metrics.h"
#include "engine/runtime/draft.h"
#include "engine/runtime/job_table.h"

/* One token that the step has given. Those of a job follow each other. */
struct ryz_sampled {
    struct ryz_job *job;
    uint32_t token;
    uint32_t row; /* of the logits it was drawn from */
    float logprob;
    bool accepted; /* it had been proposed, so that the next one is here too */
};

struct ryz_engine {
    struct ryz_clock clock;
    struct ryz_engine_observer observer;
    struct ryz_metrics *metrics;
    const struct ryz_logger *logger;
    uint64_t seed;
    uint64_t cache_key;   /* of the prefix hashes */
    uint8_t trace_id[16]; /* of the engine's own spans */
    uint64_t spans;       /* emitted so far; numbers the span ids */
    int64_t load_t0_ns, load_t1_ns;

    struct ryz_model *model;
    struct ryz_backend *backend;
    struct ryz_kv_store *kv;
    struct ryz_forward *forward;
    struct ryz_draft *draft; /* NULL: none */
    bool looks_up;           /* proposals come from the text */
    struct ryz_core *core;
    struct ryz_core_config config;
    struct ryz_budget memory; /* what all of it is for */

    struct ryz_job_table table;
    struct ryz_ring *ring;    /* of struct ryz_job *: submitted, not yet seen */
    struct ryz_job **by_slot; /* (slot_count) request in each slot of the core or NULL */
    uint32_t slot_count;
    uint32_t in_core;           /* requests in slots */
    uint32_t ended;             /* requests that ended since the last publication */
    int64_t next_deadline_ns;   /* no deadline in a slot is earlier */
    uint32_t kv_permille;       /* of kv.alloc, as the core was told */
    int64_t kv_edge_ns;         /* when that share changes next */
    struct ryz_core_stats told; /* the core's counters as the metrics were told */

    /* Scratch of a step. */
    struct ryz_batch_sequence sequences[RYZ_BATCH_MAX];
    struct ryz_sampled sampled[RYZ_BATCH_MAX + RYZ_DRAFT_STEP_MAX];
    struct ryz_draft_run draft_runs[RYZ_BATCH_MAX];
    struct ryz_job *runs[RYZ_BATCH_MAX]; /* requests that this step computes */
    struct ryz_candidate *candidates;    /* (n_vocab) the sampler's */
    struct ryz_candidate top[RYZ_TOP_LOGPROBS_MAX];
    char *text; /* (RYZ_TEXT_HELD_MAX + longest token) */

    struct ryz_faults *faults; /* in force; the engine thread's copy of faults_wanted */

    /* Shared. */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;  /* something to look at; times of waits are CLOCK_MONOTONIC's */
    pthread_cond_t acked; /* faults_seen has changed */
    bool woken;           /* lock */
    bool stopping;        /* lock */
    bool draining;        /* lock */
    bool ended_thread;    /* lock: the engine thread is past its last look at `faults` */
    struct ryz_faults *faults_wanted;      /* lock */
    uint64_t faults_version, faults_seen;  /* lock: requested, taken over */
    struct ryz_core_stats published_stats; /* lock */
    uint64_t published_digest;             /* lock */
    _Atomic uint32_t active;               /* requests inside, submitted ones included */
    _Atomic uint32_t cancels;              /* 1: some request has its cancel flag set */
    _Atomic int64_t heartbeat_ns;
};

/* Locks, sets `woken` and signals. Any thread. */
void ryz_engine_wake(struct ryz_engine *engine);

#endif
