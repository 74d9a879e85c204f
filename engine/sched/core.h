/*
 * core.h - the life of every request as a state machine without I/O.
 *
 * Feed it stamped events, ask it for the next plan. The engine's step loop, the simulator and the
 * replay tool are three drivers of this one machine:
 *
 *   ARRIVE -> waiting --plan--> running --TOKEN(end)--> finished (slot free)
 *                ^                 |  \--CANCEL-------> cancelled (slot free)
 *                '---- preempted --'
 *
 * The core owns the KV block ledger, the queue, the step-cost fit and the faults that touch them;
 * everything it decides is a function of the events in their order. Sized at open, it allocates
 * nothing afterwards. One thread at a time.
 */
#ifndef RYZ_SCHED_CORE_H
#define RYZ_SCHED_CORE_H

#include "engine/base/kv_copy.h"
#include "engine/base/status.h"
#include "engine/sched/sched.h"

#define RYZ_CHOICES_MAX 16u /* requests that repeat one prompt as a group */

enum ryz_event_kind {
    RYZ_EV_ARRIVE = 1,
    RYZ_EV_PLAN,      /* the driver asked for a plan at t_ns; written by ryz_core_next itself */
    RYZ_EV_STEP_DONE, /* the last plan was executed (or failed); the cost fit learns here */
    RYZ_EV_TOKEN,     /* one token sampled for a request of the step just done; several of them
                         where proposals were right */
    RYZ_EV_CANCEL,    /* the client left, a deadline passed, or the step failed */
    RYZ_EV_LIMITS,    /* an operator or controller changed the limits */
    RYZ_EV_FAULT,     /* KV allocations fail with `permille` from now on; 0 ends it */
    RYZ_EV_HASHES     /* some more chain hashes of the request that arrives next, in order */
};

/* 64 bytes, also the record of the event log; unused fields are 0. In LIMITS a 0 keeps that limit.
 */
struct ryz_event {
    int64_t t_ns; /* never decreases */
    uint64_t request_id;
    int64_t duration_ns;        /* STEP_DONE: what such a step costs; LIMITS: step_ns_max */
    int64_t deadline_ns;        /* ARRIVE: for the end; RYZ_TIME_NEVER: none */
    uint32_t kind;              /* enum ryz_event_kind */
    uint32_t prompt_tokens;     /* ARRIVE; LIMITS: batch_requests_max */
    uint32_t output_tokens_max; /* ARRIVE; LIMITS: batch_tokens_max; TOKEN: proposals that the
                                   driver can make for what follows */
    uint32_t permille;          /* FAULT; LIMITS: prefill_chunk_max; ARRIVE: choices to follow */
    uint32_t slot;              /* TOKEN, CANCEL: as ARRIVE's effect said; ARRIVE with
                                   RYZ_EVF_CHOICE: of the first choice */
    uint16_t tenant;            /* ARRIVE */
    uint8_t priority;           /* ARRIVE */
    uint8_t flags;              /* TOKEN: RYZ_EVF_END, RYZ_EVF_ACCEPTED; STEP_DONE:
                                   RYZ_EVF_FAILED; ARRIVE: RYZ_EVF_CHOICE; HASHES: their number, see
                                   ryz_event_hash */
    union {
        int64_t first_deadline_ns; /* ARRIVE: for the first token; 0: none */
        uint64_t hash;             /* TOKEN: chain hash of the block that it fills; 0: fills none */
    };
};
_Static_assert(sizeof(struct ryz_event) == 64, "the event log's record");

#define RYZ_EVENT_HASHES_MAX 3u /* in one HASHES event */

/* The i-th hash of a HASHES event lies in duration_ns, deadline_ns, hash. */
static inline uint64_t ryz_event_hash(const struct ryz_event *event, uint32_t i)
{
    return i == 0   ? (uint64_t)event->duration_ns
           : i == 1 ? (uint64_t)event->deadline_ns
                    : event->hash;
}

static inline void ryz_event_set_hash(struct ryz_event *event, uint32_t i, uint64_t hash)
{
    if (i == 0)
        event->duration_ns = (int64_t)hash;
    else if (i == 1)
        event->deadline_ns = (int64_t)hash;
    else
        event->hash = hash;
}

#define RYZ_EVF_END    1u /* TOKEN: end of sequence, a stop string, or whatever ends the output */
#define RYZ_EVF_FAILED 2u /* STEP_DONE: nothing was computed; the driver cancels or retries */
/* ARRIVE: another choice for the prompt of the request in `slot`, whose ARRIVE announced it in
 * `permille`. It comes right after it, without hashes of its own, and is taken if the first one
 * was: room is looked for once, for all. Choices share the KV blocks of their prompt. */
#define RYZ_EVF_CHOICE 8u
/* TOKEN: it is the first proposal that was left, which therefore is computed already; unless the
 * request ends with it, another TOKEN of this step follows. */
#define RYZ_EVF_ACCEPTED 4u

enum ryz_effect_kind {
    RYZ_EFFECT_NONE,
    RYZ_EFFECT_ADMITTED,          /* ARRIVE: queued; `slot` is its place until it ends */
    RYZ_EFFECT_REJECTED_FULL,     /* ARRIVE: queue full, of requests not less urgent: answer 429 */
    RYZ_EFFECT_REJECTED_LATE,     /* ARRIVE: a deadline is believed to be missed: answer 429 */
    RYZ_EFFECT_REJECTED_TOO_LONG, /* ARRIVE: prompt + output beyond context or the pool, less what
                                     other tenants are guaranteed of it */
    RYZ_EFFECT_FINISHED,          /* TOKEN: the last one (END flag, or output_tokens_max reached) */
    RYZ_EFFECT_CANCELLED          /* CANCEL: blocks and slot are free again */
};

struct ryz_effect {
    enum ryz_effect_kind kind;
    uint32_t slot;
    int64_t estimate_ns;    /* ARRIVE: believed time to the first token from now; 0: no opinion */
    struct ryz_waste waste; /* of the request that ends here: finished, cancelled or displaced */
    /* ADMITTED to a full queue: a waiting request of a less urgent class, without any output yet,
     * was refused instead and has left its slot, which the new one may have got: answer it 429. */
    bool displaced;
    uint32_t displaced_slot;
    uint64_t displaced_id;
};

struct ryz_core_config {
    struct ryz_sched_limits limits;
    const char *policy;   /* see ryz_sched_policy_name */
    uint64_t seed;        /* of the draws of RYZ_EV_FAULT */
    uint32_t share_count; /* 0: the KV pool is everybody's */
    struct ryz_kv_share shares[RYZ_KV_SHARES_MAX];
    bool prefix_cache; /* full blocks are found again by their hashes (HASHES, TOKEN) */
    /* Called for every event in order, PLAN included, before it is applied; may be NULL. */
    void (*log)(void *context, const struct ryz_event *event);
    void *log_context;
};

/* Counters and gauges, all since open. */
struct ryz_core_stats {
    uint32_t running, waiting;
    uint32_t batch_limit; /* requests that may run: batch_requests_max, or what the batch-size
                             controller makes of it; more may still, from when it was higher */
    uint32_t kv_blocks_used, kv_blocks_total;
    uint32_t kv_blocks_lent;      /* guaranteed to tenants that do not use them, held by others */
    uint32_t kv_blocks_cached;    /* of those not used: with contents that may be found again */
    uint32_t kv_host_blocks_used; /* host blocks with such contents */
    uint64_t kv_slots;            /* tokens that the used blocks have room for */
    uint64_t kv_slots_empty;      /* of those, how many hold no token: ends of last blocks */
    uint64_t arrived, rejected, finished, cancelled, preempted;
    uint64_t rejected_late; /* of the rejected: for a deadline */
    uint64_t starved;       /* moved to the front after starve_ns */
    uint64_t steps, failed_steps;
    uint64_t prompt_tokens_computed; /* recomputation included */
    uint64_t tokens_recomputed;      /* prompt or output, computed again after a preemption */
    uint64_t tokens_unused;          /* computed for requests that were cancelled or displaced */
    uint64_t prompt_tokens_cached;   /* found in the prefix cache instead of computed */
    uint64_t prompt_tokens_host;     /* of them, in the host tier */
    uint64_t prompt_tokens_shared;   /* taken over from another choice instead of computed */
    uint64_t cache_lookup_tokens;    /* asked of the prefix cache, in full blocks */
    uint64_t cache_evicted_blocks;
    uint64_t cache_missed_blocks;            /* asked for after they had been lost */
    uint64_t host_out_blocks;                /* copied to the host tier when they were evicted */
    uint64_t host_in_blocks;                 /* copied back */
    uint64_t host_dropped_blocks;            /* lost because the host tier was full */
    uint64_t tokens_decoded;                 /* TOKEN events applied */
    uint64_t kv_alloc_failures;              /* injected */
    uint64_t drafts_verified[RYZ_DRAFT_MAX]; /* proposals by how many stood before them */
    uint64_t drafts_accepted[RYZ_DRAFT_MAX]; /* of them: right, as all before them */
};

struct ryz_core; /* opaque */

RYZ_MUST_USE enum ryz_status ryz_core_open(const struct ryz_core_config *config,
                                           struct ryz_core **core, struct ryz_error *error);
void ryz_core_close(struct ryz_core *core);
/* Slots of this core: queue_requests_max + batch_requests_max at open. */
uint32_t ryz_core_slot_count(const struct ryz_core *core);

/* Applies one event. A late t_ns, an unknown slot or a TOKEN for a request that was not in the last
 * plan is a bug of the driver and aborts. CANCEL of a request that has ended already is ignored
 * (effect NONE), for the two may cross; so is the TOKEN of one that was cancelled after its plan.
 * PLAN is not fed: ryz_core_next writes it. */
struct ryz_effect ryz_core_feed(struct ryz_core *core, const struct ryz_event *event);

/* Gives the next plan, valid until the next call; its blocks are allocated. NULL:
 * nothing to run now (see ryz_core_wake_ns). After a plan the driver must feed STEP_DONE, then a
 * TOKEN for each item with `samples` (and one more for each of its proposals that was right, see
 * RYZ_EVF_ACCEPTED), before it asks again; CANCELs may come in between. After a
 * failed STEP_DONE no TOKEN is due, and a request that is not cancelled is planned again. Items
 * whose blocks an injected fault withheld are left out; a plan always runs at least one request. */
const struct ryz_sched_plan *ryz_core_next(struct ryz_core *core, int64_t now_ns);
/* When to ask again although no event came; RYZ_TIME_NEVER: no need. */
int64_t ryz_core_wake_ns(const struct ryz_core *core);

/* The partitions of the KV pool as of now, borrowed; *count 0: there are none. Number 0 is
 * everybody without a share, the others are in the order of the configuration. */
const struct ryz_kv_partition *ryz_core_partitions(const struct ryz_core *core, uint32_t *count);
/* Tokens of a running slot that were found when it was last started, in the prefix cache or with
 * another choice. */
uint32_t ryz_core_cached_tokens(const struct ryz_core *core, uint32_t slot);
/* Leading blocks of a running slot that others hold too. */
uint32_t ryz_core_shared_blocks(const struct ryz_core *core, uint32_t slot);
/* Block ids of a slot in position order, borrowed until the next call; count may be 0. */
const uint32_t *ryz_core_blocks(const struct ryz_core *core, uint32_t slot, uint32_t *count);

/* The block copies of the plan just given, borrowed until the next call of ryz_core_next; *count is
 * at most kv_blocks, with a host tier twice that. A driver with tensors carries them out one after
 * the other, in this order, before anything of the plan is computed: a copy may read what a later
 * copy or a new token overwrites. It does so for a step that then fails, too: the ledger believes
 * in the contents from here on, and a failed step takes back what was computed, not what was
 * copied. Without a plan there is no copy. */
const struct ryz_kv_copy *ryz_core_copies(const struct ryz_core *core, uint32_t *count);

/* Digest of every decision so far (plans with their copies, rejections, preemptions): equal digests
 * mean equal schedules. */
uint64_t ryz_core_digest(const struct ryz_core *core);
struct ryz_core_stats ryz_core_stats(const struct ryz_core *core);

#endif
