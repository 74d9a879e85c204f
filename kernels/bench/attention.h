/*
 * attention.h - checks the attention of one token against the reference, then times it.
 *
 * As bench.h: a wrong kernel gets no time, and caches are streamed from as much memory as asked,
 * because in a decode step every layer's keys and values come from afar.
 */
#ifndef RYZ_KERNELS_BENCH_ATTENTION_H
#define RYZ_KERNELS_BENCH_ATTENTION_H

#include "kernels/bench/bench.h"

struct ryz_attention_bench {
    const char *table;       /* as for ryz_kernels_find */
    const char *kv_type;     /* as for ryz_kv_type_parse */
    uint32_t context_tokens; /* blocks of 16, shuffled in their pool */
    uint32_t n_heads, n_kv_heads, head_dim;
    size_t stream_bytes; /* calls walk over copies of the cache that together have at least this
                          * size; 0 times one cache, hot in whatever holds it */
    int64_t budget_ns;   /* time to measure for; at least five calls are made */
    int64_t (*now_ns)(void *ctx); /* a monotonic clock */
    void *clock_ctx;
    uint64_t seed; /* of query, keys, values and blocks */
};

struct ryz_attention_bench_result {
    double error;       /* largest |out - ref|; values are in [-1, 1) */
    double error_limit; /* what it may be: (context / 16 + head_dim + 8) * 2^-24 */
    int64_t best_ns;    /* of one call, all heads */
    int64_t median_ns;
    uint32_t calls;      /* measured */
    double gbytes_per_s; /* bytes of keys and values / median, 10^9 */
};

/* Runs one case on the calling thread. `result` is filled as far as the case got. */
enum ryz_kernel_bench_status ryz_attention_bench_measure(const struct ryz_attention_bench *bench,
                                                         struct ryz_attention_bench_result *result);

/* Measures and prints one line to `out`; returns the status. */
enum ryz_kernel_bench_status ryz_attention_bench_run(const struct ryz_attention_bench *bench,
                                                     FILE *out);

#endif
