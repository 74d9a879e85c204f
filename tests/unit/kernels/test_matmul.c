/*
 * Goal: every table's matmul computes the product, for any shape, row range and type.
 * Method: compared with sums in double over decoded weights, relative to the sum of absolute
 * products; all buffers end at a guard page; outputs outside the row range must stay untouched.
 */
#include <math.h>

#include <criterion/criterion.h>

#include "tests/unit/kernels/support.h"

TestSuite(kernels_matmul, .fini = guarded_release);

static const float UNTOUCHED = -12345.0F;

struct call {
    struct ryz_matrix w;
    float *x, *y, *row;
    size_t m, x_stride, y_stride;
    size_t row_first, row_end;
};

static void check_row(const struct ryz_kernels *kernels, const struct call *call, size_t n)
{
    const struct ryz_matrix *w = &call->w;
    const struct ryz_kernels *ref = ryz_kernels_find("ref");
    double limit = kernels == ref ? 0x1p-24 : ((double)w->cols / 16.0 + 8.0) * 0x1p-24;
    ref->dequantize_row(w->type, (const uint8_t *)w->data + n * w->row_bytes, call->row, w->cols);
    for (size_t m = 0; m < call->m; m++) {
        double sum = 0.0;
        double magnitude = 0.0;
        for (size_t k = 0; k < w->cols; k++) {
            double product = (double)call->row[k] * (double)call->x[m * call->x_stride + k];
            sum += product;
            magnitude += fabs(product);
        }
        double error = fabs((double)call->y[m * call->y_stride + n] - sum);
        cr_assert(error <= limit * magnitude, "%s %s M %zu N %zu K %zu: y[%zu][%zu] off by %g",
                  kernels->name, ryz_dtype_name(w->type), call->m, w->rows, w->cols, m, n, error);
    }
}

static void check_call(const struct ryz_kernels *kernels, struct call *call)
{
    size_t y_count = (call->m - 1) * call->y_stride + call->w.rows;
    for (size_t i = 0; i < y_count; i++) call->y[i] = UNTOUCHED;
    kernels->matmul(&call->w, call->row_first, call->row_end, call->x, call->x_stride, call->m,
                    call->y, call->y_stride);
    for (size_t n = 0; n < call->w.rows; n++) {
        if (n >= call->row_first && n < call->row_end) {
            check_row(kernels, call, n);
            continue;
        }
        for (size_t m = 0; m < call->m; m++) {
            cr_assert_eq(call->y[m * call->y_stride + n], UNTOUCHED, "%s row %zu of [%zu, %zu)",
                         kernels->name, n, call->row_first, call->row_end);
        }
    }
}

/* One random case for all tables. */
static void check_shape(struct rng *rng, enum ryz_dtype type, size_t m, size_t n, size_t k)
{
    struct call call = {.m = m};
    call.w = random_matrix(rng, type, n, k);
    call.x_stride = k + rng_below(rng, 3);
    call.y_stride = n + rng_below(rng, 3);
    call.x = guarded_floats((m - 1) * call.x_stride + k);
    call.y = guarded_floats((m - 1) * call.y_stride + n);
    call.row = guarded_floats(k);
    rng_fill(rng, call.x, (m - 1) * call.x_stride + k, 1.0F);
    call.row_first = rng_below(rng, n);
    call.row_end = call.row_first + 1 + rng_below(rng, n - call.row_first);
    for (size_t t = 0; table_at(t); t++) check_call(table_at(t), &call);
    guarded_release();
}

static size_t random_cols(struct rng *rng, enum ryz_dtype type)
{
    static const size_t interesting[] = {1,  2,  15, 16,  17,  31,  32,   33,
                                         47, 48, 63, 576, 767, 768, 1537, 1600};
    size_t k = rng_below(rng, 3) == 0
                   ? 1 + rng_below(rng, 900)
                   : interesting[rng_below(rng, sizeof interesting / sizeof interesting[0])];
    size_t block = ryz_dtype_block_weights(type);
    return (k + block - 1) / block * block;
}

Test(kernels_matmul, random_shapes_match_double_sums)
{
    struct rng rng = rng_start(21);
    for (size_t i = 0; i < 240; i++) {
        enum ryz_dtype type = all_types[i % ALL_TYPES];
        size_t m = rng_below(&rng, 4) ? 1 + rng_below(&rng, 14) : 1 + rng_below(&rng, 70);
        check_shape(&rng, type, m, 1 + rng_below(&rng, 24), random_cols(&rng, type));
    }
}

Test(kernels_matmul, more_tokens_than_one_pass_holds)
{
    struct rng rng = rng_start(22);
    check_shape(&rng, RYZ_DTYPE_BF16, 97, 9, 70);
    check_shape(&rng, RYZ_DTYPE_Q8_0, 200, 10, 64);
    check_shape(&rng, RYZ_DTYPE_F32, 193, 3, 800);
}

Test(kernels_matmul, empty_ranges_write_nothing)
{
    struct rng rng = rng_start(23);
    struct ryz_matrix w = random_matrix(&rng, RYZ_DTYPE_F32, 4, 8);
    float x[8] = {0};
    float y[4] = {UNTOUCHED, UNTOUCHED, UNTOUCHED, UNTOUCHED};
    for (size_t t = 0; table_at(t); t++) {
        table_at(t)->matmul(&w, 2, 2, x, 8, 1, y, 4);
        table_at(t)->matmul(&w, 0, 4, x, 8, 0, y, 4);
        for (size_t i = 0; i < 4; i++) cr_assert_eq(y[i], UNTOUCHED);
    }
}

Test(kernels_matmul, any_bits_in_weights_and_activations_are_survived)
{
    struct rng rng = rng_start(24);
    for (size_t i = 0; i < ALL_TYPES; i++) {
        for (size_t m = 1; m < 9; m++) {
            struct ryz_matrix w = random_matrix(&rng, all_types[i], 5, 96);
            uint8_t *bytes = guarded(5 * w.row_bytes);
            for (size_t b = 0; b < 5 * w.row_bytes; b++) bytes[b] = (uint8_t)rng_next(&rng);
            w.data = bytes;
            float *x = guarded_floats(m * 96);
            float *y = guarded_floats(m * 5);
            rng_fill(&rng, x, m * 96, 1.0F);
            x[rng_below(&rng, m * 96)] = NAN;
            x[rng_below(&rng, m * 96)] = -INFINITY;
            for (size_t t = 0; table_at(t); t++) {
                table_at(t)->matmul(&w, 0, 5, x, 96, m, y, 5);
            }
            guarded_release();
        }
    }
}

Test(kernels_matmul, a_nan_stays_in_its_own_token)
{
    struct rng rng = rng_start(25);
    const size_t m = 9;
    const size_t n = 6;
    const size_t k = 80;
    struct ryz_matrix w = random_matrix(&rng, RYZ_DTYPE_BF16, n, k);
    float *x = guarded_floats(m * k);
    float *y = guarded_floats(m * n);
    rng_fill(&rng, x, m * k, 1.0F);
    x[4 * k + 3] = NAN;
    for (size_t t = 0; table_at(t); t++) {
        table_at(t)->matmul(&w, 0, n, x, k, m, y, n);
        for (size_t i = 0; i < m * n; i++) cr_assert_eq(isnan(y[i]) != 0, i / n == 4);
    }
}
