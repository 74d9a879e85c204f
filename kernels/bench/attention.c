/*
 * attention.c - verifies, then times attention over one paged cache after another.
 */
#include "kernels/bench/attention.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/bench/timing.h"
#include "kernels/kv.h"

#define BLOCK_TOKENS 16u
#define CONTEXT_MAX  (1u << 20)
#define HEADS_MAX    1024u
#define HEAD_DIM_MAX 1024u

struct memory {
    uint8_t *caches; /* copies: keys, values, keys, values, ... */
    size_t pool_bytes, copies;
    uint32_t *table;
    float *q, *out, *expected; /* (heads, head_dim) */
    float *vector;             /* (head_dim) */
    float *scratch;            /* (context) */
    int64_t *call_ns;
};

struct run {
    const struct ryz_kernels *kernels;
    struct ryz_attention attention;
    const struct memory *memory;
};

static uint32_t block_count(const struct ryz_attention_bench *bench)
{
    return (bench->context_tokens + BLOCK_TOKENS - 1) / BLOCK_TOKENS;
}

static bool is_possible(const struct ryz_attention_bench *bench)
{
    return bench->context_tokens > 0 && bench->context_tokens <= CONTEXT_MAX &&
           bench->n_kv_heads > 0 && bench->n_heads <= HEADS_MAX &&
           bench->n_heads >= bench->n_kv_heads && bench->n_heads % bench->n_kv_heads == 0 &&
           bench->head_dim > 0 && bench->head_dim <= HEAD_DIM_MAX;
}

static void release(struct memory *memory)
{
    free(memory->caches);
    free(memory->table);
    free(memory->q);
    free(memory->out);
    free(memory->expected);
    free(memory->vector);
    free(memory->scratch);
    free(memory->call_ns);
}

static bool reserve(const struct ryz_attention_bench *bench, enum ryz_kv_type type,
                    struct memory *memory)
{
    size_t floats = (size_t)bench->n_heads * bench->head_dim * sizeof(float), bytes = 0;
    memory->pool_bytes =
        block_count(bench) *
        ryz_kv_type_block_bytes(type, BLOCK_TOKENS, bench->n_kv_heads, bench->head_dim);
    memory->copies = bench->stream_bytes / (2 * memory->pool_bytes) + 1;
    if (__builtin_mul_overflow(memory->copies, 2 * memory->pool_bytes, &bytes)) return false;
    memory->caches = ryz_bench_reserve(bytes);
    memory->table = ryz_bench_reserve(block_count(bench) * sizeof *memory->table);
    memory->q = ryz_bench_reserve(floats);
    memory->out = ryz_bench_reserve(floats);
    memory->expected = ryz_bench_reserve(floats);
    memory->vector = ryz_bench_reserve(bench->head_dim * sizeof(float));
    memory->scratch = ryz_bench_reserve(bench->context_tokens * sizeof(float));
    memory->call_ns = ryz_bench_reserve(RYZ_BENCH_CALLS_MAX * sizeof(int64_t));
    return memory->caches && memory->table && memory->q && memory->out && memory->expected &&
           memory->vector && memory->scratch && memory->call_ns;
}

/* One pool of random vectors, in every slot of every block. */
static void fill_pool(const struct ryz_attention *a, struct memory *memory, uint8_t *pool,
                      uint64_t *state)
{
    const struct ryz_kernels *ref = ryz_kernels_find("ref");
    struct ryz_kv_layout layout =
        ryz_kv_layout_of(a->kv_type, a->block_tokens, a->n_kv_heads, a->head_dim);
    memset(pool, 0, memory->pool_bytes);
    for (size_t head = 0; head < memory->pool_bytes / layout.block_bytes * a->n_kv_heads; head++) {
        uint8_t *start = pool + head / a->n_kv_heads * layout.block_bytes +
                         head % a->n_kv_heads * layout.head_bytes;
        for (uint32_t t = 0; t < a->block_tokens; t++) {
            uint8_t *dst = start + layout.values_offset + t * layout.position_bytes;
            for (uint32_t d = 0; d < a->head_dim; d++) {
                memory->vector[d] = ryz_bench_uniform(state);
            }
            if (a->kv_type == RYZ_KV_INT8) {
                ref->store_int8((int8_t *)dst, (float *)(void *)start + t, memory->vector,
                                a->head_dim);
            } else if (a->kv_type == RYZ_KV_BF16) {
                ref->store_bf16((uint16_t *)(void *)dst, memory->vector, a->head_dim);
            } else {
                memcpy(dst, memory->vector, a->head_dim * sizeof(float));
            }
        }
    }
}

static void fill(const struct ryz_attention_bench *bench, const struct ryz_attention *a,
                 struct memory *memory)
{
    uint64_t state = bench->seed;
    for (uint32_t i = 0; i < bench->n_heads * bench->head_dim; i++) {
        memory->q[i] = ryz_bench_uniform(&state);
    }
    for (uint32_t i = 0; i < block_count(bench); i++) { /* inside-out shuffle */
        uint32_t j = (uint32_t)((ryz_bench_uniform(&state) + 1.0F) * 0.5F * (float)i);
        memory->table[i] = memory->table[j];
        memory->table[j] = i;
    }
    fill_pool(a, memory, memory->caches, &state);
    fill_pool(a, memory, memory->caches + memory->pool_bytes, &state);
    for (size_t c = 1; c < memory->copies; c++) {
        memcpy(memory->caches + 2 * c * memory->pool_bytes, memory->caches, 2 * memory->pool_bytes);
    }
}

/* NaN in the output counts as infinite: what was not written is an error. */
static void verify(const struct ryz_attention_bench *bench, const struct run *run,
                   struct ryz_attention_bench_result *result)
{
    size_t count = (size_t)bench->n_heads * bench->head_dim;
    struct ryz_attention reference = run->attention;
    reference.out = run->memory->expected;
    ryz_kernels_find("ref")->attention(&reference);
    memset(run->memory->out, 0xff, count * sizeof(float));
    run->kernels->attention(&run->attention);
    for (size_t i = 0; i < count; i++) {
        double error = fabs((double)run->memory->out[i] - (double)run->memory->expected[i]);
        if (!(error <= result->error)) result->error = isnan(error) ? (double)INFINITY : error;
    }
    result->error_limit = (bench->context_tokens / 16.0 + (double)bench->head_dim + 8.0) * 0x1p-24;
}

static void call(void *ctx, uint32_t i)
{
    struct run *run = ctx;
    size_t bytes = run->memory->pool_bytes;
    const uint8_t *cache = run->memory->caches + (i + 1) % run->memory->copies * 2 * bytes;
    run->attention.k_pool = cache;
    run->attention.v_pool = cache + bytes;
    run->kernels->attention(&run->attention);
}

enum ryz_kernel_bench_status ryz_attention_bench_measure(const struct ryz_attention_bench *bench,
                                                         struct ryz_attention_bench_result *result)
{
    struct memory memory = {0};
    enum ryz_kernel_bench_status status = RYZ_KERNEL_BENCH_OK;
    struct run run = {.kernels = ryz_kernels_find(bench->table), .memory = &memory};
    struct ryz_attention *a = &run.attention;
    memset(result, 0, sizeof *result);
    if (!run.kernels || !ryz_kv_type_parse(bench->kv_type, &a->kv_type) || !is_possible(bench)) {
        return RYZ_KERNEL_BENCH_BAD_CASE;
    }
    if (!reserve(bench, a->kv_type, &memory)) {
        status = RYZ_KERNEL_BENCH_NO_MEMORY;
        goto out_release;
    }
    *a = (struct ryz_attention){
        .q = memory.q,
        .out = memory.out,
        .k_pool = memory.caches,
        .v_pool = memory.caches + memory.pool_bytes,
        .block_table = memory.table,
        .scratch = memory.scratch,
        .context_tokens = bench->context_tokens,
        .block_tokens = BLOCK_TOKENS,
        .n_heads = bench->n_heads,
        .n_kv_heads = bench->n_kv_heads,
        .head_dim = bench->head_dim,
        .head_end = bench->n_heads,
        .scale = 1.0F / sqrtf((float)bench->head_dim),
        .kv_type = a->kv_type,
    };
    fill(bench, a, &memory);
    verify(bench, &run, result);
    if (!(result->error <= result->error_limit)) {
        status = RYZ_KERNEL_BENCH_MISMATCH;
        goto out_release;
    }
    struct ryz_bench_clock clock = {bench->now_ns, bench->clock_ctx};
    result->calls = ryz_bench_time(&clock, bench->budget_ns, call, &run, memory.call_ns);
    result->best_ns = memory.call_ns[0];
    result->median_ns = memory.call_ns[result->calls / 2];
    double ns = result->median_ns > 0 ? (double)result->median_ns : 1.0;
    result->gbytes_per_s = 2.0 * (double)memory.pool_bytes / ns;
out_release:
    release(&memory);
    return status;
}

enum ryz_kernel_bench_status ryz_attention_bench_run(const struct ryz_attention_bench *bench,
                                                     FILE *out)
{
    static const char *const texts[] = {"ok", "no such case", "out of memory", "WRONG"};
    struct ryz_attention_bench_result result;
    enum ryz_kernel_bench_status status = ryz_attention_bench_measure(bench, &result);
    const struct ryz_kernels *kernels = ryz_kernels_find(bench->table);
    (void)fprintf(out, "attention %-6s %-4s context %6u heads %3u/%-3u dim %3u  ",
                  kernels ? kernels->name : bench->table, bench->kv_type, bench->context_tokens,
                  bench->n_heads, bench->n_kv_heads, bench->head_dim);
    if (status == RYZ_KERNEL_BENCH_OK) {
        (void)fprintf(out, "%7.2f GB/s  median %8.1f us  best %8.1f us  ", result.gbytes_per_s,
                      (double)result.median_ns / 1e3, (double)result.best_ns / 1e3);
    }
    (void)fprintf(out, "%s (error %.1e, limit %.1e)\n", texts[status], result.error,
                  result.error_limit);
    return status;
}
