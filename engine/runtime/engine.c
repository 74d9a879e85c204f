/*
 * engine.c - opens and closes an engine, and what other threads may ask of it.
 *
 * Leaves to others: the engine thread (step_loop.c) and requests on their way in (submit.c). The
 * idea: all memory is taken here, sized from the limits; afterwards nothing grows.
 */
#include "engine/runtime/engine.h"

#include "engine/base/assert.h"
#include "engine/base/atomic.h"
#include "engine/base/size.h"
#include "engine/model/tokenizer.h"
#include "engine/runtime/engine_state.h"
#include "engine/runtime/plan_memory.h"
#include "engine/runtime/speculate.h"
#include "engine/runtime/step_loop.h"
#include "kernels/kv.h"

#include <stdlib.h>
#include <string.h>

#define KV_BLOCK_TOKENS 16u /* unless the limits say otherwise */

/* Number of the engine's own trace: no request has it. */
#define OWN_TRACE UINT64_MAX

static void log_event(void *context, const struct ryz_event *event)
{
    const struct ryz_engine *engine = context;
    engine->observer.event(engine->observer.context, event);
}

/* Fills in what the limits leave to the model. */
static enum ryz_status check_limits(struct ryz_engine *engine, struct ryz_sched_limits *limits,
                                    struct ryz_error *error)
{
    const struct ryz_model_info *info = ryz_model_info(engine->model);
    if (limits->context_tokens_max == 0) limits->context_tokens_max = info->context_tokens;
    if (limits->context_tokens_max > info->context_tokens)
        return ryz_fail(error, RYZ_INVALID,
                        "a context of %u tokens; model %s was trained for up to %u",
                        limits->context_tokens_max, info->name, info->context_tokens);
    if (limits->kv_block_tokens == 0) limits->kv_block_tokens = KV_BLOCK_TOKENS;
    if (limits->batch_requests_max < 1 || limits->batch_requests_max > RYZ_BATCH_MAX)
        return ryz_fail(error, RYZ_INVALID, "a batch of %u requests; 1 to %u are possible",
                        limits->batch_requests_max, RYZ_BATCH_MAX);
    return RYZ_OK;
}

/* Model, backend, KV store, forward pass. */
static enum ryz_status open_compute(struct ryz_engine *engine,
                                    const struct ryz_engine_options *options,
                                    struct ryz_error *error)
{
    const struct ryz_model_options model = {.quant = options->quant};
    const struct ryz_backend_options backend = {
        .kind = options->backend, .isa = options->isa, .threads = options->threads};
    struct ryz_sched_limits *limits = &engine->config.limits;
    struct ryz_kv_shape shape;
    *limits = options->limits;
    engine->load_t0_ns = ryz_clock_now_ns(&engine->clock);
    enum ryz_status status = ryz_model_open(options->model_path, &model, &engine->model, error);
    if (status == RYZ_OK) status = check_limits(engine, limits, error);
    if (status == RYZ_OK) status = ryz_backend_open(&backend, &engine->backend, error);
    if (status == RYZ_OK) status = ryz_speculate_open(engine, options, error);
    if (status == RYZ_OK) status = ryz_engine_plan_memory(engine, options, &shape, error);
    if (status == RYZ_OK) status = ryz_kv_store_open(&shape, &engine->kv, error);
    if (status == RYZ_OK && engine->draft != NULL)
        status = ryz_draft_reserve(engine->draft, limits->kv_blocks, error);
    if (status == RYZ_OK)
        status =
            ryz_forward_open(engine->model, engine->backend, engine->kv, limits->batch_tokens_max,
                             ryz_engine_logits_max(limits), &engine->forward, error);
    engine->load_t1_ns = ryz_clock_now_ns(&engine->clock);
    return status;
}

static enum ryz_status open_core(struct ryz_engine *engine,
                                 const struct ryz_engine_options *options, struct ryz_error *error)
{
    const char *name = options->policy != NULL ? options->policy : ryz_sched_policy_name(0);
    const struct ryz_sched_policy *policy = ryz_sched_policy_find(name);
    if (policy == NULL)
        return ryz_fail(error, RYZ_INVALID, "no scheduling policy is called \"%.40s\"", name);
    engine->config.policy = policy->name; /* static, where the options' may go away */
    engine->config.seed = options->seed;
    engine->config.prefix_cache = options->prefix_cache;
    engine->config.share_count = ryz_min_u32(options->share_count, RYZ_KV_SHARES_MAX);
    memcpy(engine->config.shares, options->shares, sizeof engine->config.shares);
    engine->cache_key = options->cache_key;
    if (options->observer.event != NULL) {
        engine->config.log = log_event;
        engine->config.log_context = engine;
    }
    return ryz_core_open(&engine->config, &engine->core, error);
}

static size_t longest_token(const struct ryz_model *model)
{
    const struct ryz_tokenizer *tokenizer = ryz_model_tokenizer(model);
    uint32_t count = ryz_tokenizer_vocab_size(tokenizer);
    size_t longest = 0;
    for (uint32_t id = 0; id < count; id++) {
        size_t length = 0;
        (void)ryz_tokenizer_bytes(tokenizer, id, &length);
        if (length > longest) longest = length;
    }
    return longest;
}

static enum ryz_status open_requests(struct ryz_engine *engine, struct ryz_error *error)
{
    engine->slot_count = ryz_core_slot_count(engine->core);
    uint32_t places = ryz_engine_places(engine->slot_count);
    if (places == 0)
        return ryz_fail(error, RYZ_INVALID, "a queue of %u requests", engine->slot_count);
    const struct ryz_sched_limits *limits = &engine->config.limits;
    uint32_t blocks = limits->context_tokens_max / limits->kv_block_tokens;
    enum ryz_status status = ryz_job_table_open(&engine->table, places, limits->context_tokens_max,
                                                engine->config.prefix_cache ? blocks : 0, error);
    if (status == RYZ_OK)
        status = ryz_ring_open(places, sizeof(struct ryz_job *), &engine->ring, error);
    if (status != RYZ_OK) return status;
    engine->by_slot = calloc(engine->slot_count, sizeof(struct ryz_job *));
    engine->candidates = calloc(ryz_model_info(engine->model)->n_vocab, sizeof *engine->candidates);
    engine->text = calloc(1, RYZ_TEXT_HELD_MAX + longest_token(engine->model));
    if (engine->by_slot == NULL || engine->candidates == NULL || engine->text == NULL)
        return ryz_fail(error, RYZ_NO_MEMORY, "no memory for the engine's tables");
    return RYZ_OK;
}

static void init_shared(struct ryz_engine *engine)
{
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&engine->lock, NULL);
    (void)pthread_cond_init(&engine->wake, &monotonic);
    (void)pthread_cond_init(&engine->acked, NULL);
    (void)pthread_condattr_destroy(&monotonic);
}

/* Frees what open has taken so far; the thread is not running. */
static void free_engine(struct ryz_engine *engine)
{
    ryz_job_table_close(&engine->table);
    ryz_ring_close(engine->ring);
    if (engine->core != NULL) ryz_core_close(engine->core);
    if (engine->forward != NULL) ryz_forward_close(engine->forward);
    ryz_kv_store_close(engine->kv);
    ryz_speculate_close(engine);
    ryz_backend_close(engine->backend);
    if (engine->model != NULL) ryz_model_close(engine->model);
    free(engine->by_slot);
    free(engine->candidates);
    free(engine->text);
    (void)pthread_cond_destroy(&engine->wake);
    (void)pthread_cond_destroy(&engine->acked);
    (void)pthread_mutex_destroy(&engine->lock);
    free(engine);
}

static enum ryz_status start_thread(struct ryz_engine *engine, struct ryz_error *error)
{
    engine->next_deadline_ns = RYZ_TIME_NEVER;
    engine->kv_edge_ns = RYZ_TIME_NEVER;
    engine->published_stats = ryz_core_stats(engine->core);
    engine->published_digest = ryz_core_digest(engine->core);
    ryz_trace_id_make(engine->seed, OWN_TRACE, engine->trace_id);
    ryz_store_relaxed(&engine->heartbeat_ns, ryz_clock_now_ns(&engine->clock));
    int rc = pthread_create(&engine->thread, NULL, ryz_step_loop, engine);
    if (rc != 0) return ryz_fail_errno(error, RYZ_NO_MEMORY, rc, "cannot start the engine thread");
    return RYZ_OK;
}

/* What the memory is for, to log and metrics. */
static void tell_memory(const struct ryz_engine *engine)
{
    const struct ryz_budget *memory = &engine->memory;
    RYZ_LOG(engine->logger, RYZ_LOG_INFO, "engine.memory", NULL,
            RYZ_U64("weights", ryz_budget_of(memory, "weights")),
            RYZ_U64("activations", ryz_budget_of(memory, "activations")),
            RYZ_U64("requests", ryz_budget_of(memory, "requests")),
            RYZ_U64("kv", ryz_budget_of(memory, "KV")),
            RYZ_U64("kv_host", ryz_budget_of(memory, "KV host")),
            RYZ_U64("used", memory->used_bytes), RYZ_U64("limit", memory->limit_bytes));
    ryz_metrics_set(engine->metrics, RYZ_METRIC_MEMORY_USED, (int64_t)memory->used_bytes);
    ryz_metrics_set(engine->metrics, RYZ_METRIC_MEMORY_LIMIT, (int64_t)memory->limit_bytes);
}

enum ryz_status ryz_engine_open(const struct ryz_engine_options *options, struct ryz_engine **out,
                                struct ryz_error *error)
{
    *out = NULL;
    RYZ_ASSERT(options->clock != NULL);
    struct ryz_engine *engine = calloc(1, sizeof *engine);
    if (engine == NULL) return ryz_fail(error, RYZ_NO_MEMORY, "no memory for an engine");
    engine->clock = *options->clock;
    engine->observer = options->observer;
    engine->metrics = options->metrics;
    engine->logger = options->logger;
    engine->seed = options->seed;
    init_shared(engine);
    enum ryz_status status = open_compute(engine, options, error);
    if (status == RYZ_OK) status = open_core(engine, options, error);
    if (status == RYZ_OK) status = open_requests(engine, error);
    if (status == RYZ_OK) status = start_thread(engine, error);
    if (status != RYZ_OK) {
        free_engine(engine);
        return status;
    }
    const struct ryz_model_info *info = ryz_model_info(engine->model);
    RYZ_LOG(engine->logger, RYZ_LOG_INFO, "engine.open", NULL, RYZ_STR("model", info->name),
            RYZ_STR("weights", info->weight_type),
            RYZ_STR("kv_type", ryz_kv_type_name(ryz_kv_store_shape(engine->kv)->type)),
            RYZ_U64("kv_blocks", engine->config.limits.kv_blocks),
            RYZ_U64("context_tokens", engine->config.limits.context_tokens_max),
            RYZ_I64("load_ns", engine->load_t1_ns - engine->load_t0_ns));
    tell_memory(engine);
    *out = engine;
    return RYZ_OK;
}

void ryz_engine_wake(struct ryz_engine *engine)
{
    (void)pthread_mutex_lock(&engine->lock);
    engine->woken = true;
    (void)pthread_cond_signal(&engine->wake);
    (void)pthread_mutex_unlock(&engine->lock);
}

void ryz_engine_close(struct ryz_engine *engine)
{
    if (engine == NULL) return;
    (void)pthread_mutex_lock(&engine->lock);
    engine->stopping = true;
    engine->woken = true;
    (void)pthread_cond_signal(&engine->wake);
    (void)pthread_mutex_unlock(&engine->lock);
    (void)pthread_join(engine->thread, NULL);
    RYZ_ASSERT(ryz_load_acquire(&engine->active) == 0);
    free_engine(engine);
}

void ryz_engine_drain(struct ryz_engine *engine)
{
    (void)pthread_mutex_lock(&engine->lock);
    engine->draining = true;
    (void)pthread_mutex_unlock(&engine->lock);
}

void ryz_engine_set_faults(struct ryz_engine *engine, struct ryz_faults *faults)
{
    (void)pthread_mutex_lock(&engine->lock);
    engine->faults_wanted = faults;
    uint64_t version = ++engine->faults_version;
    engine->woken = true;
    (void)pthread_cond_signal(&engine->wake);
    while (engine->faults_seen < version && !engine->ended_thread)
        (void)pthread_cond_wait(&engine->acked, &engine->lock);
    (void)pthread_mutex_unlock(&engine->lock);
}

uint32_t ryz_engine_active(const struct ryz_engine *engine)
{
    return ryz_load_acquire(&engine->active);
}

const struct ryz_budget *ryz_engine_memory(const struct ryz_engine *engine)
{
    return &engine->memory;
}

const struct ryz_model *ryz_engine_model(const struct ryz_engine *engine)
{
    return engine->model;
}

struct ryz_backend *ryz_engine_backend(struct ryz_engine *engine)
{
    return engine->backend;
}

struct ryz_core_config ryz_engine_core_config(const struct ryz_engine *engine)
{
    struct ryz_core_config config = engine->config;
    config.log = NULL;
    config.log_context = NULL;
    return config;
}

/* A lock is no change that a caller could see, so reading through a const pointer may take it. */
static pthread_mutex_t *lock_of(const struct ryz_engine *engine)
{
    union {
        const pthread_mutex_t *shown;
        pthread_mutex_t *lock;
    } cast = {.shown = &engine->lock};
    return cast.lock;
}

struct ryz_core_stats ryz_engine_stats(const struct ryz_engine *engine)
{
    (void)pthread_mutex_lock(lock_of(engine));
    struct ryz_core_stats stats = engine->published_stats;
    (void)pthread_mutex_unlock(lock_of(engine));
    return stats;
}

uint64_t ryz_engine_digest(const struct ryz_engine *engine)
{
    (void)pthread_mutex_lock(lock_of(engine));
    uint64_t digest = engine->published_digest;
    (void)pthread_mutex_unlock(lock_of(engine));
    return digest;
}

int64_t ryz_engine_heartbeat_ns(const struct ryz_engine *engine)
{
    return ryz_load_relaxed(&engine->heartbeat_ns);
}
