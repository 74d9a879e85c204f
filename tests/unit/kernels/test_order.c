/*
 * Goal: the ORDER promise. An output has the same bytes alone, in any batch and under any split of
 * rows; AVX2 and AVX-512, written over the same lanes, even agree with each other.
 * Method: bytes of one-token calls against calls of 2 to 193 tokens cut at random rows.
 */
#include <criterion/criterion.h>

#include "tests/unit/kernels/support.h"

TestSuite(kernels_order, .fini = guarded_release);

#define TOKENS (size_t)193
#define ROWS   (size_t)19

struct data {
    struct ryz_matrix w;
    float *x;     /* (TOKENS, cols) */
    float *alone; /* (TOKENS, ROWS) by calls of one token */
    float *batch;
};

static struct data random_data(struct rng *rng, enum ryz_dtype type, size_t cols)
{
    struct data data = {.w = random_matrix(rng, type, ROWS, cols)};
    data.x = guarded_floats(TOKENS * cols);
    data.alone = guarded_floats(TOKENS * ROWS);
    data.batch = guarded_floats(TOKENS * ROWS);
    rng_fill(rng, data.x, TOKENS * cols, 1.0F);
    return data;
}

static void compute_alone(const struct ryz_kernels *kernels, const struct data *data, float *y)
{
    size_t cols = data->w.cols;
    for (size_t m = 0; m < TOKENS; m++) {
        kernels->matmul(&data->w, 0, ROWS, data->x + m * cols, cols, 1, y + m * ROWS, ROWS);
    }
}

static void check_batches(const struct ryz_kernels *kernels, struct rng *rng,
                          const struct data *data)
{
    size_t cols = data->w.cols;
    compute_alone(kernels, data, data->alone);
    for (size_t m = 2; m <= TOKENS; m += m < 70 ? 1 : 41) { /* 70, 111, 152, 193 */
        size_t first = rng_below(rng, TOKENS - m + 1);
        size_t cut = rng_below(rng, ROWS + 1);
        const float *x = data->x + first * cols;
        memset(data->batch, 0xff, TOKENS * ROWS * sizeof(float));
        kernels->matmul(&data->w, 0, cut, x, cols, m, data->batch, ROWS);
        kernels->matmul(&data->w, cut, ROWS, x, cols, m, data->batch, ROWS);
        cr_assert_arr_eq(data->batch, data->alone + first * ROWS, m * ROWS * sizeof(float),
                         "%s %s K %zu: M %zu differs from M 1", kernels->name,
                         ryz_dtype_name(data->w.type), cols, m);
    }
}

Test(kernels_order, a_token_has_the_same_bytes_alone_and_in_any_batch)
{
    struct rng rng = rng_start(31);
    for (size_t i = 0; i < ALL_TYPES; i++) {
        size_t block = ryz_dtype_block_weights(all_types[i]);
        size_t widths[] = {block == 1 ? 55 : 64, block == 1 ? 810 : 800};
        for (size_t k = 0; k < 2; k++) {
            struct data data = random_data(&rng, all_types[i], widths[k]);
            for (size_t t = 0; table_at(t); t++) check_batches(table_at(t), &rng, &data);
            guarded_release();
        }
    }
}

Test(kernels_order, avx2_and_avx512_agree_to_the_bit)
{
    const struct ryz_kernels *avx2 = ryz_kernels_find("avx2");
    const struct ryz_kernels *avx512 = ryz_kernels_find("avx512");
    if (!avx2 || !avx512) cr_skip_test("needs AVX2 and AVX-512");
    struct rng rng = rng_start(32);
    for (size_t i = 0; i < ALL_TYPES; i++) {
        size_t cols = ryz_dtype_block_weights(all_types[i]) == 1 ? 811 : 832;
        struct data data = random_data(&rng, all_types[i], cols);
        compute_alone(avx2, &data, data.alone);
        compute_alone(avx512, &data, data.batch);
        cr_assert_arr_eq(data.alone, data.batch, TOKENS * ROWS * sizeof(float), "%s",
                         ryz_dtype_name(all_types[i]));
        guarded_release();
    }
}
