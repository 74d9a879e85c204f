/*
 * bench.h - checks a matmul of one table against the reference, then times it.
 *
 * Leaves the clock, the threads and the printing of a report around it to the caller. The idea to
 * know: a kernel that is wrong gets no time; and weights are streamed from as much memory as the
 * caller asks for, because a model's weights do not wait in the cache between two layers.
 */
#ifndef RYZ_KERNELS_BENCH_BENCH_H
#define RYZ_KERNELS_BENCH_BENCH_H

#include <stdio.h>

#include "kernels/kernels.h"

struct ryz_kernel_bench {
    const char *table;   /* as for ryz_kernels_find */
    const char *dtype;   /* storage of the weights, as for ryz_dtype_parse */
    size_t m, n, k;      /* tokens, rows, columns; k a multiple of the type's block */
    size_t stream_bytes; /* calls walk over copies of the matrix that together have at least
                          * this size; 0 times one matrix, hot in whatever cache holds it */
    int64_t budget_ns;   /* time to measure for; at least five calls are made */
    int64_t (*now_ns)(void *ctx); /* a monotonic clock */
    void *clock_ctx;
    uint64_t seed; /* of weights and activations */
};

struct ryz_kernel_bench_result {
    double error;        /* largest |y - ref| / sum |w * x| over the rows compared */
    double error_limit;  /* what it may be: (k / 16 + 8) * 2^-24 */
    int64_t best_ns;     /* of one call */
    int64_t median_ns;   /* of one call */
    uint32_t calls;      /* measured */
    double gflops;       /* 2 m n k / median */
    double gbytes_per_s; /* bytes of weights / median, 10^9 */
};

enum ryz_kernel_bench_status {
    RYZ_KERNEL_BENCH_OK = 0,
    RYZ_KERNEL_BENCH_BAD_CASE, /* unknown table or type, an empty or impossible shape */
    RYZ_KERNEL_BENCH_NO_MEMORY,
    RYZ_KERNEL_BENCH_MISMATCH /* error above error_limit: nothing was timed */
};

/* Runs one case on the calling thread. `result` is filled as far as the case got. */
enum ryz_kernel_bench_status ryz_kernel_bench_measure(const struct ryz_kernel_bench *bench,
                                                      struct ryz_kernel_bench_result *result);

/* Measures and prints one line to `out`; returns the status. */
enum ryz_kernel_bench_status ryz_kernel_bench_run(const struct ryz_kernel_bench *bench, FILE *out);

#endif
