/*
 * plan_memory.c - the sum that decides how large the KV pool is.
 *
 * Leaves to others: taking the memory (engine.c and what it opens), what a machine has (machine.h).
 * The idea: everything is sized from the limits before it is taken, so what does not fit is refused
 * with the whole sum, and the KV cache gets what nothing else needs.
 */
#include "engine/runtime/plan_memory.h"

#include "engine/base/size.h"
#include "engine/memory/machine.h"
#include "engine/sched/kv_ledger.h"
#include "kernels/kv.h"

#include <stdio.h>

#define KV_BYTES_DEFAULT   (UINT64_C(256) << 20)
#define LEDGER_BLOCK_BYTES 160u /* at most, see kv_ledger.h */
#define SUBMITTED_MIN      64u  /* requests that can wait to be seen, beside those in slots */
#define SMALLER_STEPS      "raise memory, or lower max_batch_tokens or max_batch"
#define SMALLER_QUEUE      "raise memory, or lower max_queue or context"

uint32_t ryz_engine_places(uint32_t slots)
{
    uint32_t submitted = slots > SUBMITTED_MIN ? slots : SUBMITTED_MIN, places = 0;
    return __builtin_add_overflow(slots, submitted, &places) ? 0 : places;
}

uint32_t ryz_engine_logits_max(const struct ryz_sched_limits *limits)
{
    return limits->batch_requests_max + (limits->draft_tokens_max > 0 ? RYZ_DRAFT_STEP_MAX : 0);
}

/* The limit in bytes, 0: none. */
static enum ryz_status find_limit(const struct ryz_engine_options *options, uint64_t *bytes,
                                  struct ryz_error *error)
{
    *bytes = options->memory_bytes;
    if (options->memory_permille == 0) return RYZ_OK;
    enum ryz_status status = ryz_machine_memory(bytes, error);
    if (status == RYZ_OK) *bytes = *bytes / 1000 * options->memory_permille;
    return status;
}

/* Tables of requests, here and in the core: tokens, hashes, block tables. Their pages are touched
 * on first use; a full queue of the longest requests uses them all. */
static uint64_t request_bytes(const struct ryz_engine *engine, bool prefix_cache)
{
    const struct ryz_sched_limits *limits = &engine->config.limits;
    uint32_t slots = limits->queue_requests_max + limits->batch_requests_max;
    uint64_t places = ryz_engine_places(slots), context = limits->context_tokens_max;
    uint64_t blocks = ryz_ceil_div_u32(limits->context_tokens_max, limits->kv_block_tokens);
    uint64_t hashes = prefix_cache ? blocks * sizeof(uint64_t) : 0;
    return places * (sizeof(struct ryz_job) + context * sizeof(uint32_t) + hashes) +
           slots * hashes + limits->batch_requests_max * blocks * sizeof(uint32_t);
}

static enum ryz_status fill_shape(const struct ryz_engine *engine,
                                  const struct ryz_engine_options *options,
                                  struct ryz_kv_shape *shape, struct ryz_error *error)
{
    const struct ryz_model_info *info = ryz_model_info(engine->model);
    *shape = (struct ryz_kv_shape){.n_layers = info->n_layers,
                                   .n_kv_heads = info->n_kv_heads,
                                   .head_dim = info->head_dim,
                                   .block_tokens = engine->config.limits.kv_block_tokens,
                                   .n_blocks = 1};
    if (options->kv_type != NULL && !ryz_kv_type_parse(options->kv_type, &shape->type))
        return ryz_fail(error, RYZ_INVALID, "a KV cache of \"%.20s\"; there are bf16, int8, f32",
                        options->kv_type);
    return RYZ_OK;
}

/* Reserves the host blocks and then the pool, which may be all that is left. */
static enum ryz_status reserve_kv(struct ryz_engine *engine,
                                  const struct ryz_engine_options *options,
                                  struct ryz_kv_shape *shape, struct ryz_error *error)
{
    struct ryz_budget *memory = &engine->memory;
    size_t block_bytes = ryz_kv_block_bytes(shape), host_block_bytes = block_bytes;
    if (block_bytes > 0 && engine->draft != NULL)
        block_bytes += ryz_draft_block_bytes(engine->draft);
    uint64_t host_bytes = options->kv_host_bytes, kv_bytes = options->kv_bytes;
    char remedy[96] = "raise memory, or lower kv";
    if (host_bytes > 0 && host_bytes < host_block_bytes)
        return ryz_fail(error, RYZ_INVALID,
                        "%llu bytes of host memory hold no KV block of %u tokens (%zu bytes)",
                        (unsigned long long)host_bytes, shape->block_tokens, host_block_bytes);
    if (host_bytes > 0) {
        enum ryz_status status = ryz_budget_reserve(memory, "KV host", host_bytes,
                                                    "raise memory, or lower kv_host", error);
        if (status != RYZ_OK) return status;
    }
    uint64_t left = ryz_budget_free(memory), ledger = LEDGER_BLOCK_BYTES;
    if (kv_bytes == 0 && memory->limit_bytes == 0) kv_bytes = KV_BYTES_DEFAULT;
    uint64_t blocks = kv_bytes > 0 && block_bytes > 0 ? kv_bytes / block_bytes
                      : block_bytes > 0               ? left / (block_bytes + ledger)
                                                      : 0;
    if (kv_bytes == 0) {
        uint64_t most = ryz_min_u64(RYZ_KV_BLOCKS_MAX, UINT32_MAX / shape->block_tokens);
        blocks = ryz_min_u64(blocks, most);
        (void)snprintf(remedy, sizeof remedy,
                       "raise memory, or lower max_batch_tokens, max_batch or max_queue");
    } else if (blocks == 0) {
        return ryz_fail(error, RYZ_INVALID,
                        "a KV cache of %llu bytes holds no block of %u tokens (%zu bytes)",
                        (unsigned long long)kv_bytes, shape->block_tokens, block_bytes);
    }
    shape->n_blocks = (uint32_t)ryz_min_u64(blocks, UINT32_MAX - 1);
    uint64_t wanted = shape->n_blocks > 0 ? shape->n_blocks : 1;
    return ryz_budget_reserve(memory, "KV", wanted * (block_bytes + ledger), remedy, error);
}

enum ryz_status ryz_engine_plan_memory(struct ryz_engine *engine,
                                       const struct ryz_engine_options *options,
                                       struct ryz_kv_shape *shape, struct ryz_error *error)
{
    struct ryz_sched_limits *limits = &engine->config.limits;
    struct ryz_budget *memory = &engine->memory;
    uint64_t limit = 0;
    enum ryz_status status = find_limit(options, &limit, error);
    if (status == RYZ_OK) status = fill_shape(engine, options, shape, error);
    if (status != RYZ_OK) return status;
    ryz_budget_init(memory, limit);
    status = ryz_budget_reserve(memory, "weights", ryz_model_info(engine->model)->weight_bytes,
                                "raise memory, or take a smaller quant", error);
    uint64_t scratch = ryz_forward_bytes(engine->model, ryz_backend_threads(engine->backend),
                                         limits->batch_tokens_max, ryz_engine_logits_max(limits));
    if (status == RYZ_OK && scratch > 0)
        status = ryz_budget_reserve(memory, "activations", scratch, SMALLER_STEPS, error);
    if (status == RYZ_OK)
        status = ryz_budget_reserve(
            memory, "requests", request_bytes(engine, options->prefix_cache), SMALLER_QUEUE, error);
    if (status == RYZ_OK && engine->draft != NULL)
        status = ryz_budget_reserve(memory, "draft", ryz_draft_bytes(engine->draft), SMALLER_STEPS,
                                    error);
    if (status == RYZ_OK) status = reserve_kv(engine, options, shape, error);
    if (status != RYZ_OK) return status;
    limits->kv_blocks = shape->n_blocks;
    limits->kv_host_blocks =
        (uint32_t)ryz_min_u64(options->kv_host_bytes / ryz_kv_block_bytes(shape), UINT32_MAX - 1);
    shape->n_host_blocks = limits->kv_host_blocks;
    return RYZ_OK;
}
