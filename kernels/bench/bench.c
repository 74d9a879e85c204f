/*
 * bench.c - verifies, then times a matmul.
 *
 * Only up to CHECK_ROWS rows, spread over the matrix, are compared: the reference is slow and rows
 * are independent. The error is taken relative to the sum of absolute products, which is what
 * rounding scales with; the value itself may cancel to nothing.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/bench/bench.h"
#include "kernels/bench/timing.h"

#define CHECK_ROWS 128u

struct memory {
    uint8_t *weights; /* copies of the matrix, one after another */
    size_t matrix_bytes;
    size_t copies;
    float *x, *y;     /* (m, k), (m, n) */
    float *row;       /* k: one row of weights in F32 */
    int64_t *call_ns; /* (RYZ_BENCH_CALLS_MAX) */
};

static bool multiply(size_t a, size_t b, size_t *product)
{
    return !__builtin_mul_overflow(a, b, product);
}

static void release(struct memory *memory)
{
    free(memory->weights);
    free(memory->x);
    free(memory->y);
    free(memory->row);
    free(memory->call_ns);
}

static enum ryz_kernel_bench_status reserve(const struct ryz_kernel_bench *bench, size_t row_bytes,
                                            struct memory *memory)
{
    size_t x_count;
    size_t y_count;
    size_t total;
    size_t floats;
    if (!multiply(bench->n, row_bytes, &memory->matrix_bytes) ||
        !multiply(bench->m, bench->k, &x_count) || !multiply(bench->m, bench->n, &y_count) ||
        !multiply(x_count > y_count ? x_count : y_count, sizeof(float), &floats)) {
        return RYZ_KERNEL_BENCH_BAD_CASE;
    }
    memory->copies = bench->stream_bytes / memory->matrix_bytes + 1;
    if (!multiply(memory->copies, memory->matrix_bytes, &total)) return RYZ_KERNEL_BENCH_BAD_CASE;
    memory->weights = ryz_bench_reserve(total);
    memory->x = ryz_bench_reserve(x_count * sizeof(float));
    memory->y = ryz_bench_reserve(y_count * sizeof(float));
    memory->row = ryz_bench_reserve(bench->k * sizeof(float));
    memory->call_ns = ryz_bench_reserve(RYZ_BENCH_CALLS_MAX * sizeof(int64_t));
    bool ok = memory->weights && memory->x && memory->y && memory->row && memory->call_ns;
    return ok ? RYZ_KERNEL_BENCH_OK : RYZ_KERNEL_BENCH_NO_MEMORY;
}

static void fill(const struct ryz_kernel_bench *bench, const struct ryz_matrix *w,
                 struct memory *memory)
{
    const struct ryz_kernels *ref = ryz_kernels_find("ref");
    uint64_t state = bench->seed;
    for (size_t i = 0; i < bench->m * bench->k; i++) memory->x[i] = ryz_bench_uniform(&state);
    for (size_t n = 0; n < bench->n; n++) {
        for (size_t i = 0; i < bench->k; i++) memory->row[i] = ryz_bench_uniform(&state);
        ref->quantize_row(w->type, memory->row, memory->weights + n * w->row_bytes, bench->k);
    }
    for (size_t c = 1; c < memory->copies; c++) {
        memcpy(memory->weights + c * memory->matrix_bytes, memory->weights, memory->matrix_bytes);
    }
}

/* Largest error of row n over all tokens; NaN in y counts as infinite. */
static double row_error(const struct ryz_kernel_bench *bench, const struct memory *memory, size_t n)
{
    double worst = 0.0;
    for (size_t m = 0; m < bench->m; m++) {
        const float *x = memory->x + m * bench->k;
        double sum = 0.0;
        double magnitude = 0.0;
        for (size_t k = 0; k < bench->k; k++) {
            double product = (double)memory->row[k] * (double)x[k];
            sum += product;
            magnitude += fabs(product);
        }
        double error = fabs((double)memory->y[m * bench->n + n] - sum);
        if (magnitude > 0.0) error /= magnitude;
        if (!(error <= worst)) worst = isnan(error) ? (double)INFINITY : error;
    }
    return worst;
}

static void verify(const struct ryz_kernel_bench *bench, const struct ryz_matrix *w,
                   const struct ryz_kernels *kernels, struct memory *memory,
                   struct ryz_kernel_bench_result *result)
{
    const struct ryz_kernels *ref = ryz_kernels_find("ref");
    memset(memory->y, 0xff, bench->m * bench->n * sizeof(float)); /* NaN: unwritten is an error */
    kernels->matmul(w, 0, bench->n, memory->x, bench->k, bench->m, memory->y, bench->n);
    size_t stride = bench->n > CHECK_ROWS ? bench->n / CHECK_ROWS : 1;
    for (size_t n = bench->n - 1;; n -= stride) { /* the last row is where tails are */
        ref->dequantize_row(w->type, memory->weights + n * w->row_bytes, memory->row, bench->k);
        double error = row_error(bench, memory, n);
        if (error > result->error) result->error = error;
        if (n < stride) break;
    }
    result->error_limit = ((double)bench->k / 16.0 + 8.0) * 0x1p-24;
}

struct run {
    const struct ryz_kernel_bench *bench;
    const struct ryz_kernels *kernels;
    const struct memory *memory;
    struct ryz_matrix w;
};

static void call(void *ctx, uint32_t i)
{
    struct run *run = ctx;
    const struct ryz_kernel_bench *bench = run->bench;
    const struct memory *memory = run->memory;
    run->w.data = memory->weights + (i + 1) % memory->copies * memory->matrix_bytes;
    run->kernels->matmul(&run->w, 0, bench->n, memory->x, bench->k, bench->m, memory->y, bench->n);
}

static void time_calls(struct run *run, struct ryz_kernel_bench_result *result)
{
    const struct ryz_kernel_bench *bench = run->bench;
    const struct memory *memory = run->memory;
    struct ryz_bench_clock clock = {bench->now_ns, bench->clock_ctx};
    result->calls = ryz_bench_time(&clock, bench->budget_ns, call, run, memory->call_ns);
    result->best_ns = memory->call_ns[0];
    result->median_ns = memory->call_ns[result->calls / 2];
    double ns = result->median_ns > 0 ? (double)result->median_ns : 1.0;
    result->gflops = 2.0 * (double)bench->m * (double)bench->n * (double)bench->k / ns;
    result->gbytes_per_s = (double)memory->matrix_bytes / ns;
}

enum ryz_kernel_bench_status ryz_kernel_bench_measure(const struct ryz_kernel_bench *bench,
                                                      struct ryz_kernel_bench_result *result)
{
    memset(result, 0, sizeof *result);
    const struct ryz_kernels *kernels = ryz_kernels_find(bench->table);
    struct ryz_matrix w = {.rows = bench->n, .cols = bench->k};
    if (!kernels || !ryz_dtype_parse(bench->dtype, &w.type)) return RYZ_KERNEL_BENCH_BAD_CASE;
    w.row_bytes = ryz_dtype_row_bytes(w.type, bench->k);
    if (!bench->m || !bench->n || !w.row_bytes) return RYZ_KERNEL_BENCH_BAD_CASE;
    struct memory memory = {0};
    enum ryz_kernel_bench_status status = reserve(bench, w.row_bytes, &memory);
    if (status != RYZ_KERNEL_BENCH_OK) goto out_release;
    fill(bench, &w, &memory);
    w.data = memory.weights;
    verify(bench, &w, kernels, &memory, result);
    if (!(result->error <= result->error_limit)) {
        status = RYZ_KERNEL_BENCH_MISMATCH;
        goto out_release;
    }
    struct run run = {bench, kernels, &memory, w};
    time_calls(&run, result);
out_release:
    release(&memory);
    return status;
}

enum ryz_kernel_bench_status ryz_kernel_bench_run(const struct ryz_kernel_bench *bench, FILE *out)
{
    static const char *const texts[] = {"ok", "no such case", "out of memory", "WRONG"};
    struct ryz_kernel_bench_result result;
    enum ryz_kernel_bench_status status = ryz_kernel_bench_measure(bench, &result);
    const struct ryz_kernels *kernels = ryz_kernels_find(bench->table);
    (void)fprintf(out, "matmul %-6s %-4s m %4zu n %6zu k %5zu  ",
                  kernels ? kernels->name : bench->table, bench->dtype, bench->m, bench->n,
                  bench->k);
    if (status == RYZ_KERNEL_BENCH_OK) {
        (void)fprintf(out, "%8.1f GFLOP/s %7.2f GB/s  median %10.1f us  best %10.1f us  ",
                      result.gflops, result.gbytes_per_s, (double)result.median_ns / 1e3,
                      (double)result.best_ns / 1e3);
    }
    (void)fprintf(out, "%s (error %.1e, limit %.1e)\n", texts[status], result.error,
                  result.error_limit);
    return status;
}
