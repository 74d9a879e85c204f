/*
 * engine.h - the live engine: one thread that owns the scheduler core, executes its plans on a
 * model and hands tokens to streams. This is the runtime's public header; api/ and harness/ see
 * nothing else of it.
 *
 *   submit/cancel (any thread) -> ring -> [engine thread: core -> forward -> sample] -> on_event
 *
 * Same request, same bytes: neither batch, chunking, preemption nor thread count changes a token.
 */
#ifndef RYZ_RUNTIME_ENGINE_H
#define RYZ_RUNTIME_ENGINE_H

#include "engine/base/clock.h"
#include "engine/base/fault.h"
#include "engine/base/status.h"
#include "engine/model/model.h"
#include "engine/model/sampler.h"
#include "engine/obs/trace.h"
#include "engine/runtime/limits.h"
#include "engine/sched/core.h"

struct ryz_budget;  /* engine/memory/budget.h */
struct ryz_engine;  /* opaque */
struct ryz_logger;  /* engine/obs/log.h */
struct ryz_metrics; /* engine/obs/metrics.h */

/* One executed step, for the results. */
struct ryz_step_record {
    int64_t t_ns;        /* start */
    int64_t duration_ns; /* whole step: plan, forward, sampling */
    int64_t sched_ns;    /* of which the scheduler */
    int64_t forward_ns;  /* of which the forward pass */
    struct ryz_batch_shape shape;
    uint32_t run_count;
    bool failed;                 /* an injected fault failed it */
    struct ryz_core_stats stats; /* after the step */
};

/* Where an engine reports to. Every function may be NULL, is called on the engine thread and must
 * not block. */
struct ryz_engine_observer {
    void *context;
    void (*step)(void *context, const struct ryz_step_record *step);
    void (*event)(void *context, const struct ryz_event *event); /* the scheduler's log */
    void (*span)(void *context, const struct ryz_span *span);
};

/* Where proposals come from: the request's own text, or a small model. */
#define RYZ_SPECULATE_NAMES "off lookup draft"

struct ryz_engine_options {
    const char *model_path;
    const char *quant;   /* see ryz_model_options */
    const char *backend; /* "cpu" */
    const char *isa;
    uint32_t threads;   /* of the forward pass, >= 1 */
    const char *policy; /* NULL: the first one */
    /* kv_blocks and kv_host_blocks are computed from the bytes; context_tokens_max 0: the model's,
     * kv_block_tokens 0: 16; queue, batch and chunk limits as given. */
    struct ryz_sched_limits limits;
    /* What weights, scratch, tables and KV may take together: bytes, or permille of what the
     * machine has (engine/memory/machine.h); neither: no limit. */
    uint64_t memory_bytes;
    uint32_t memory_permille;
    uint64_t kv_bytes;      /* 0: what that leaves; without a limit 256 MiB */
    uint64_t kv_host_bytes; /* beside it, for blocks that the prefix cache evicts; 0: none */
    const char *kv_type;    /* "bf16" or NULL; "int8"; "f32", slow, for comparisons */
    struct ryz_kv_share shares[RYZ_KV_SHARES_MAX]; /* [share_count] tenants' parts of the KV pool */
    uint32_t share_count;
    const char *speculate; /* one of RYZ_SPECULATE_NAMES; NULL: off. limits.draft_tokens_max 0: 4 */
    const char *draft_model; /* GGUF with the model's vocabulary, for "draft" */
    bool prefix_cache;       /* beginnings that were computed before are found again */
    uint64_t cache_key;      /* of the hashes; secret where clients are strangers (prefix_hash.h) */
    uint64_t seed;
    const struct ryz_clock *clock; /* borrowed */
    struct ryz_engine_observer observer;
    struct ryz_metrics *metrics;     /* borrowed, may be NULL */
    const struct ryz_logger *logger; /* borrowed, may be NULL */
};

enum ryz_finish_reason {
    RYZ_FINISH_NONE,
    RYZ_FINISH_STOP,   /* end token or stop string */
    RYZ_FINISH_LENGTH, /* max_tokens or context */
    RYZ_FINISH_ERROR   /* see status */
};

struct ryz_stream_event {
    uint64_t request_id;
    int64_t t_ns;
    bool done;       /* last event of the choice; carries no token */
    uint32_t choice; /* 0, 1, ... of the answers to the prompt */
    uint32_t token;  /* valid unless done */
    uint32_t index;  /* 0, 1, ... of the output token */
    float logprob;
    /* Text that became final with this event: complete UTF-8 characters, stop strings cut off;
     * may be empty, and also comes with `done` (what was held back). Borrowed for the call. */
    const char *text;
    size_t text_length;
    const struct ryz_candidate *top; /* (top_count) highest log-probabilities, `logit` holds the
                                        log-probability; NULL unless asked for */
    uint32_t top_count;
    /* With done: */
    enum ryz_finish_reason finish;
    enum ryz_status status; /* OK, FULL (queue), INVALID (too long), CANCELLED, TIMEOUT, FAULT,
                               CLOSED */
    uint32_t prompt_tokens, output_tokens;
    uint32_t cached_tokens; /* of the prompt, found in the prefix cache at its first start */
    struct ryz_waste waste; /* what it has cost the engine; zero if it was never taken */
    int64_t arrived_ns, first_step_ns, first_token_ns; /* RYZ_TIME_NONE where absent */
    bool late;           /* FULL: not for lack of room, a deadline is believed to be out of reach */
    int64_t estimate_ns; /* FULL: believed time to the first token from t_ns; 0: no opinion */
};

#define RYZ_PRIORITY_NORMAL 1u /* of requests that say nothing; 0 is the most urgent */

/* Called on the engine thread, in order; must not block and must not call the engine except
 * ryz_engine_cancel. After `done` the engine forgets the request, or with several choices after the
 * last of their `done`s, which come in any order. */
typedef void (*ryz_stream_fn)(void *context, const struct ryz_stream_event *event);

struct ryz_generate {
    const uint32_t *tokens; /* prompt, copied by submit */
    uint32_t token_count;
    uint32_t max_tokens; /* >= 1 */
    uint32_t choices;    /* answers to the prompt, up to RYZ_CHOICES_MAX; 0: 1. They share its KV
                            blocks. Choice i is sampled with seed + i: it is what a request of its
                            own with that seed would give. */
    struct ryz_sampling sampling;
    bool ignore_eos;
    bool wants_text;       /* detokenise; false saves the work */
    uint32_t top_logprobs; /* 0 .. RYZ_TOP_LOGPROBS_MAX */
    bool wants_logprobs;
    const char *stops[RYZ_STOPS_MAX];
    uint32_t stop_count;
    uint8_t priority; /* 0 is the most urgent */
    uint16_t tenant;
    int64_t first_deadline_ns;      /* for the first token, a goal of the scheduler; 0: none */
    int64_t deadline_ns;            /* for the end, which then ends it; RYZ_TIME_NEVER: none */
    int64_t arrived_ns;             /* when it reached the process; RYZ_TIME_NONE: now */
    struct ryz_trace_context trace; /* parent of the spans; zero trace id: no spans */
    uint64_t number; /* caller's number for spans, e.g. the results' request id; 0: the id */
    ryz_stream_fn on_event;
    void *context;
};

RYZ_MUST_USE enum ryz_status ryz_engine_open(const struct ryz_engine_options *options,
                                             struct ryz_engine **out, struct ryz_error *error);
/* Ends all requests with RYZ_CLOSED, stops the thread, frees everything. NULL is allowed. */
void ryz_engine_close(struct ryz_engine *engine);
/* From now on new requests get RYZ_CLOSED; those inside go on. */
void ryz_engine_drain(struct ryz_engine *engine);
/* Requests inside. */
uint32_t ryz_engine_active(const struct ryz_engine *engine);

/* Queues a request from any thread. OK: on_event will be called until `done`, and *id (may be NULL)
 * names it, all its choices. RYZ_FULL: the ring is full, RYZ_CLOSED: draining, RYZ_INVALID: empty
 * prompt, bad token, max_tokens 0 or more choices than the queue holds; in these cases on_event is
 * never called. The choices are queued together, or all are refused. Later one may end alone, by a
 * fault or its deadline; the caller cancels the others if they are of no use to him then. */
RYZ_MUST_USE enum ryz_status ryz_engine_submit(struct ryz_engine *engine,
                                               const struct ryz_generate *request, uint64_t *id,
                                               struct ryz_error *error);
/* Ends a request soon; the `done` events (CANCELLED) of its choices still come unless they had
 * ended. Any thread,
 * never fails: cancellations have their own unbounded-by-design flag, not a queue slot. */
void ryz_engine_cancel(struct ryz_engine *engine, uint64_t id);

/* Arms a fault plan (borrowed until replaced; NULL disarms; times on the engine's clock). Returns
 * when the engine thread has let go of the plan before, which may take a step. Any thread but not
 * from a callback. */
void ryz_engine_set_faults(struct ryz_engine *engine, struct ryz_faults *faults);

const struct ryz_model *ryz_engine_model(const struct ryz_engine *engine);
struct ryz_backend *ryz_engine_backend(struct ryz_engine *engine); /* idle use only */
/* The core's configuration as opened, for replaying its log. */
struct ryz_core_config ryz_engine_core_config(const struct ryz_engine *engine);
/* A snapshot, at most one step old; any thread. */
struct ryz_core_stats ryz_engine_stats(const struct ryz_engine *engine);
uint64_t ryz_engine_digest(const struct ryz_engine *engine);
/* What the engine's memory is for: does not change after open. */
const struct ryz_budget *ryz_engine_memory(const struct ryz_engine *engine);
/* Time of the last sign of life of the engine thread (idle waits count); for health checks. */
int64_t ryz_engine_heartbeat_ns(const struct ryz_engine *engine);

#endif
