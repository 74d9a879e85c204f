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

#define CHECK_ROWS 128u
#define CALLS_MIN  5u
#define CALLS_MAX  4096u

struct memory {
    uint8_t *weights; /* copies of the matrix, one after another */
    size_t matrix_bytes;
    size_t copies;
    float *x, *y;     /* (m, k), (m, n) */
    float *row;       /* k: one row of weights in F32 */
    int64_t *call_ns; /* CALLS_MAX */
};

static bool multiply(size_t a, size_t b, size_t *product)
{
    return !__builtin_mul_overflow(a, b, product);
}

/* splitmix64, scaled to [-1, 1). */
static float next_uniform(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return (float)((double)(z ^ (z >> 31)) * 0x1p-63 - 1.0);
}

/* Cache lines of their own, as the engine's arenas give them. */
static void *reserve_bytes(size_t bytes)
{
    return bytes > SIZE_MAX - 63 ? NULL : aligned_alloc(64, (bytes + 63) / 64 * 64);
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
    memory->weights = reserve_bytes(total);
    memory->x = reserve_bytes(x_count * sizeof(float));
    memory->y = reserve_bytes(y_count * sizeof(float));
    memory->row = reserve_bytes(bench->k * sizeof(float));
    memory->call_ns = reserve_bytes(CALLS_MAX * sizeof(int64_t));
    bool ok = memory->weights && memory->x && memory->y && memory->row && memory->call_ns;
    return ok ? RYZ_KERNEL_BENCH_OK : RYZ_KERNEL_BENCH_NO_MEMORY;
}

static void fill(const struct ryz_kernel_bench *bench, const struct ryz_matrix *w,
                 struct memory *memory)
{
    const struct ryz_kernels *ref = ryz_kernels_find("ref");
    uint64_t state = bench->seed;
    for (size_t i = 0; i < bench->m * bench->k; i++) memory->x[i] = next_uniform(&state);
    for (size_t n = 0; n < bench->n; n++) {
        for (size_t i = 0; i < bench->k; i++) memory->row[i] = next_uniform(&state);
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

static int compare_ns(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a;
    int64_t right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

static void time_calls(const struct ryz_kernel_bench *bench, struct ryz_matrix *w,
                       const struct ryz_kernels *kernels, struct memory *memory,
                       struct ryz_kernel_bench_result *result)
{
    int64_t start_ns = bench->now_ns(bench->clock_ctx);
    int64_t before_ns = start_ns;
    uint32_t calls = 0;
    while (calls < CALLS_MAX && (calls < CALLS_MIN || before_ns - start_ns < bench->budget_ns)) {
        w->data = memory->weights + (calls + 1) % memory->copies * memory->matrix_bytes;
        kernels->matmul(w, 0, bench->n, memory->x, bench->k, bench->m, memory->y, bench->n);
        int64_t after_ns = bench->now_ns(bench->clock_ctx);
        memory->call_ns[calls++] = after_ns - before_ns;
        before_ns = after_ns;
    }
    qsort(memory->call_ns, calls, sizeof memory->call_ns[0], compare_ns);
    result->calls = calls;
    result->best_ns = memory->call_ns[0];
    result->median_ns = memory->call_ns[calls / 2];
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
    time_calls(bench, &w, kernels, &memory, result);
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
