/*
 * sched.h - one scheduling decision as a pure function: view in, plan out.
 *
 * The live engine, the simulator and the replay tool all reach a policy through core.h; none has a
 * scheduler of its own. A step takes no lock, allocates nothing, asks no clock and does no I/O, so
 * the same view gives the same plan on every machine. Requests have no prefill or decode phase: a
 * request with T tokens (prompt and output so far) of which C are in the KV cache wants T - C more
 * computed; 1 is a decode, more is a prefill chunk (after vLLM's scheduler).
 */
#ifndef RYZ_SCHED_SCHED_H
#define RYZ_SCHED_SCHED_H

#include <stdbool.h>
#include <stdint.h>

#define RYZ_BATCH_MAX 256u                 /* hard limit of requests in one step */
#define RYZ_VIEW_MAX  (2u * RYZ_BATCH_MAX) /* requests in a view: running, then a window */

#define RYZ_TENANTS_MAX 256u /* tenants are numbered below this */

#define RYZ_KV_SHARES_MAX     15u /* tenants with a guaranteed part of the KV pool */
#define RYZ_KV_PARTITIONS_MAX (RYZ_KV_SHARES_MAX + 1u) /* those, and everybody else */

/* What a tenant is guaranteed of the KV pool. */
struct ryz_kv_share {
    uint16_t tenant;
    uint16_t permille; /* of the pool's blocks; at least one block */
};

struct ryz_kv_partition {
    uint32_t guaranteed_blocks; /* all together <= the pool */
    uint32_t held_blocks;       /* by its requests; shared ones once */
};

#define RYZ_DRAFT_MAX      8u  /* proposals for one request in one step */
#define RYZ_DRAFT_STEP_MAX 64u /* proposals in one step */

/* What a policy may know of one request. Lengths in tokens, times in ns. */
struct ryz_request_view {
    uint64_t id;
    int64_t arrived_ns;
    int64_t first_deadline_ns; /* for the first token; RYZ_TIME_NEVER: none */
    int64_t deadline_ns;       /* for the end; RYZ_TIME_NEVER: none */
    uint32_t slot;             /* place in the core, see core.h */
    uint32_t prompt_tokens;    /* whole prompt */
    uint32_t output_tokens_max;
    uint32_t decoded_tokens;  /* output so far */
    uint32_t computed_tokens; /* of prompt + decoded, now in the KV cache; of a waiting request:
                                 found there, it will start behind them */
    uint32_t kv_blocks;       /* blocks held now; of a waiting request: found */
    uint32_t own_blocks;      /* of a running request: those that nobody shares */
    uint32_t claim_blocks;    /* of the blocks found, those that nobody holds: they count as free
                                 until the request starts */
    uint32_t preemptions;     /* so far */
    uint32_t source;  /* of a waiting request: 1 + view index of the running one whose blocks
                         it starts on, if that one is not preempted; 0: none */
    uint64_t urgency; /* first part of its order key; 0: it has starved */
    uint16_t tenant;
    uint16_t accept_permille; /* believed chance that a proposal is right if those before it were */
    uint8_t draft_tokens;     /* proposals for what follows its newest token, that may be verified
                                 together with it; <= RYZ_DRAFT_MAX */
    uint8_t priority;         /* 0 is the most urgent */
    bool running;             /* holds KV blocks */
    uint8_t partition;        /* of the KV pool, see kv_partitions.h */
};

/* What a request has cost, and how much of that was computed for nothing or twice. */
struct ryz_waste {
    uint64_t computed_tokens;   /* in steps that are done; what a cache had is not among them */
    uint64_t recomputed_tokens; /* of them, those that a preemption had thrown away */
    uint32_t rejected_tokens;   /* of the computed: proposals that were not right */
    uint32_t missed_tokens;     /* in blocks of the prefix cache that were lost before it came */
    uint32_t host_tokens;       /* of its prompt, found in the host tier at its first start */
    uint32_t preemptions;
};

/* Shape of a step: the only input of a cost source. */
struct ryz_batch_shape {
    uint32_t prefill_tokens;  /* tokens of chunks longer than one */
    uint32_t decode_requests; /* requests that compute their newest token only */
    uint32_t draft_tokens;    /* proposals that are verified besides */
    uint64_t context_tokens;  /* sum over computed tokens of the KV length each attends to */
};

/* Adds `tokens` (>= 1) of one request from position `first` on: the j-th attends to first + j + 1
 * positions. */
static inline void ryz_batch_shape_add(struct ryz_batch_shape *shape, uint32_t first,
                                       uint32_t tokens)
{
    uint64_t n = tokens;
    if (tokens > 1)
        shape->prefill_tokens += tokens;
    else
        shape->decode_requests++;
    shape->context_tokens += n * first + n * (n + 1) / 2;
}

/* Adds `drafts` proposals that follow the position `first - 1`. */
static inline void ryz_batch_shape_add_drafts(struct ryz_batch_shape *shape, uint32_t first,
                                              uint32_t drafts)
{
    uint64_t n = drafts;
    shape->draft_tokens += drafts;
    shape->context_tokens += n * first + n * (n + 1) / 2;
}

/* Predicts a step's duration. The engine plugs in its online fit (what the policy BELIEVES), the
 * simulator's world charges from another one (what a step COSTS). */
struct ryz_cost_source {
    int64_t (*step_ns)(const void *context, const struct ryz_batch_shape *shape);
    const void *context;
};

/* What must fit into the free KV blocks for a waiting request to start, beside what the running
 * ones still need by the same measure. */
enum ryz_admit {
    RYZ_ADMIT_PROMPT, /* all tokens that are known now: somebody may grow and be preempted */
    RYZ_ADMIT_WHOLE,  /* those, and the longest output: nobody is preempted for blocks */
    RYZ_ADMIT_CHUNK,  /* the next chunk of each: most preemptions */
    RYZ_ADMIT_COUNT
};

struct ryz_sched_limits {
    uint32_t batch_requests_max; /* 1 .. RYZ_BATCH_MAX */
    uint32_t batch_tokens_max;   /* prefill + decode tokens in one step */
    uint32_t prefill_chunk_max;  /* tokens of one request in one step */
    uint32_t kv_block_tokens;    /* tokens in a KV block */
    uint32_t kv_blocks;          /* blocks in the pool */
    uint32_t kv_host_blocks;     /* blocks of host memory behind the prefix cache; 0: none */
    uint32_t queue_requests_max; /* waiting requests; an arrival beyond is rejected */
    uint32_t queue_tokens_max;   /* prompt tokens of waiting requests; 0: no such limit */
    uint32_t context_tokens_max; /* prompt + output of one request */
    int64_t step_ns_max;   /* believed length of a step that prefill chunks and proposals must keep;
                              RYZ_TIME_NEVER: no such limit */
    int64_t itl_target_ns; /* time between tokens that the batch-size controller keeps, see
                              batch_control.h; 0: no controller */
    int64_t queue_wait_ns_max; /* believed wait for a first token; 0: no such limit */
    int64_t starve_ns;         /* who waited longer goes first, in half of the places; 0: no
                                  such promise */
    enum ryz_admit admit;
    uint32_t draft_tokens_max; /* proposals for one request in one step; 0: no speculation */
    bool admit_late;           /* take requests whose deadline is believed to be missed */
    bool headroom_adapts; /* admissions keep more blocks free after preemptions for lack of them */
};

/* The running requests and a window on the waiting ones: those that this step could start, so that
 * a step costs the same behind a queue of ten and of ten thousand. Behind the window come the first
 * of each partition with a guarantee, for they may pass others. */
struct ryz_sched_view {
    int64_t now_ns;
    const struct ryz_request_view *requests; /* running first, then waiting; each in the order of
                                                the policy */
    uint32_t request_count;                  /* <= RYZ_VIEW_MAX */
    uint32_t running_count;
    uint32_t running_max; /* requests are started only up to so many: batch_requests_max, or less
                             where the batch-size controller wants it, but never less than run */
    const struct ryz_kv_partition *partitions; /* [partition_count]; NULL and 0: there are none */
    uint32_t partition_count;
    uint32_t kv_blocks_free;
    uint32_t headroom_permille; /* of the pool, kept free by admissions beside the policy's own */
    struct ryz_sched_limits limits;
    struct ryz_cost_source cost; /* what the policy believes a step costs */
    bool probe_drafts; /* verify a proposal even if it seems not to pay: to see if it does */
};

enum ryz_action { RYZ_ACT_RUN, RYZ_ACT_PREEMPT };

struct ryz_plan_item {
    uint64_t request_id;
    uint32_t view_index;     /* into view.requests */
    uint32_t slot;           /* place in the core */
    uint32_t tokens;         /* RUN: tokens to compute, >= 1, proposals included; PREEMPT: 0 */
    uint32_t drafts;         /* of them: proposals, the last ones; their logits are wanted too */
    uint32_t first_position; /* position of the first of them, = computed_tokens */
    enum ryz_action action;
    bool
        samples; /* RUN: the last but for the proposals is the newest token, so logits are wanted */
};

/* Preemptions come first: their blocks may serve the items after them. */
struct ryz_sched_plan {
    struct ryz_plan_item items[2 * RYZ_BATCH_MAX];
    uint32_t item_count;
    uint32_t run_count; /* items with RYZ_ACT_RUN */
    struct ryz_batch_shape shape;
    int64_t wake_ns; /* RYZ_TIME_NEVER: ask again after the next event; else also at this time */
    bool short_of_blocks; /* somebody is preempted because a running request grows */
};

/* Where a request stands among the others: the smaller key first, by arrival among equal ones. */
struct ryz_order_key {
    uint64_t first;  /* >= 1; the class: only a smaller one may take somebody's place */
    uint64_t second; /* order inside the class */
};

/* A policy is a const table: an order, and the step that serves in this order. Its tunables are
 * data, its memory is the view. */
struct ryz_sched_policy {
    const char *name; /* as scenarios spell it, e.g. "fcfs" */
    /* Asked when a request arrives; it stays until the request has starved (see starve_ns). */
    struct ryz_order_key (*key)(const struct ryz_request_view *request);
    /* Fills items, item_count, wake_ns and short_of_blocks of a plan that is empty and never to be
     * woken; ryz_sched_step adds run_count and shape. */
    void (*step)(const void *tunables, const struct ryz_sched_view *view,
                 struct ryz_sched_plan *plan);
    const void *tunables;
    bool fair;      /* among waiting requests of equal keys, tenants take turns (fair_share.h) */
    bool displaces; /* preempts for the sake of waiting requests, so its view shows
                       batch_requests_max of them even when every place is taken; otherwise
                       as many as there are places */
};

/* NULL for an unknown name. */
const struct ryz_sched_policy *ryz_sched_policy_find(const char *name);
/* Name of the i-th policy, NULL past the end. */
const char *ryz_sched_policy_name(uint32_t i);

/* Runs the policy, counts the plan's runs and shape, then checks it against the view (token and
 * request budget, blocks needed against blocks free plus freed, each request at most once); a bad
 * plan is a bug and aborts. */
void ryz_sched_step(const struct ryz_sched_policy *policy, const struct ryz_sched_view *view,
                    struct ryz_sched_plan *plan);

#endif
