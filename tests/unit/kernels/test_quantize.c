/*
 * Goal: encoding gives ggml's bytes and decoding inverts it as far as the format allows.
 * Method: blocks computed by hand; digests of rows whose bytes were made with another
 * implementation; error bounds on random rows; the tables against each other.
 */
#include <math.h>

#include <criterion/criterion.h>

#include "kernels/convert.h"
#include "tests/unit/kernels/support.h"

TestSuite(kernels_quantize, .fini = guarded_release);

static const struct ryz_kernels *ref(void)
{
    return ryz_kernels_find("ref");
}

Test(kernels_quantize, q8_0_rounds_halves_away_from_zero)
{
    float x[32] = {127.0F, -127.0F, 63.5F, -0.5F, 0.49F, 1.0F};
    uint8_t block[34];
    const uint8_t expected[34] = {0x00, 0x3c, 127, 0x81, 64, 0xff, 0, 1};
    ref()->quantize_row(RYZ_DTYPE_Q8_0, x, block, 32);
    cr_assert_arr_eq(block, expected, sizeof block);
}

Test(kernels_quantize, q4_0_maps_the_largest_magnitude_to_code_0)
{
    /* d = -8 / -8 = 1; code = x + 8.5 cut off, at most 15. */
    float x[32] = {-8.0F, 0.5F, -0.5F, 0.49F, [16] = 7.0F, 7.9F, -1.0F};
    uint8_t block[18];
    uint8_t expected[18] = {0x00, 0x3c, 0xf0, 0xf9, 0x78, 0x88};
    for (size_t i = 6; i < 18; i++) expected[i] = 0x88;
    ref()->quantize_row(RYZ_DTYPE_Q4_0, x, block, 32);
    cr_assert_arr_eq(block, expected, sizeof block);
}

Test(kernels_quantize, q4_0_takes_the_first_of_equal_magnitudes)
{
    float x[32] = {8.0F, -8.0F};
    uint8_t block[18];
    ref()->quantize_row(RYZ_DTYPE_Q4_0, x, block, 32);
    cr_assert_eq(load_u16(block), 0xbc00); /* d = -1 */
    cr_assert_eq(block[2], 0x80);
    cr_assert_eq(block[3], 0x8f); /* 16.5 is cut to 15 */
}

Test(kernels_quantize, q4_1_spans_smallest_to_largest)
{
    float x[32] = {-1.5F, 13.5F, -1.01F, -1.0F, [16] = 2.0F};
    uint8_t block[20];
    uint8_t expected[20] = {0x00, 0x3c, 0x00, 0xbe, 0x40, 0x2f, 0x20, 0x21};
    for (size_t i = 8; i < 20; i++) expected[i] = 0x22;
    ref()->quantize_row(RYZ_DTYPE_Q4_1, x, block, 32);
    cr_assert_arr_eq(block, expected, sizeof block);
}

/* FNV-1a, 64 bits. */
static uint64_t digest(const uint8_t *bytes, size_t count)
{
    uint64_t hash = 0xcbf29ce484222325U;
    for (size_t i = 0; i < count; i++) hash = (hash ^ bytes[i]) * 0x100000001b3U;
    return hash;
}

Test(kernels_quantize, rows_have_the_bytes_of_gguf_py)
{
    /* Made once with gguf-py 0.19.0 from the same 4,096 numbers. */
    static const struct {
        enum ryz_dtype type;
        uint64_t digest;
    } cases[] = {{RYZ_DTYPE_F16, 0xb50918fb194a2433U},
                 {RYZ_DTYPE_BF16, 0x78151bd3b90c9acaU},
                 {RYZ_DTYPE_Q4_0, 0x28b4dcc2f8f267f7U},
                 {RYZ_DTYPE_Q4_1, 0x4fa2d76667cf7e79U},
                 {RYZ_DTYPE_Q8_0, 0xa4b35df50c813493U}};
    const size_t count = 4096;
    struct rng rng = rng_start(43);
    float *x = guarded_floats(count);
    uint8_t *encoded = guarded(count * 4);
    rng_fill(&rng, x, count, 1.0F);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t bytes = ryz_dtype_row_bytes(cases[i].type, count);
        ref()->quantize_row(cases[i].type, x, encoded, count);
        cr_assert_eq(digest(encoded, bytes), cases[i].digest, "%s", ryz_dtype_name(cases[i].type));
    }
}

Test(kernels_quantize, a_block_of_zeros_is_zeros)
{
    static const enum ryz_dtype types[] = {RYZ_DTYPE_Q4_0, RYZ_DTYPE_Q4_1, RYZ_DTYPE_Q8_0};
    float x[32] = {0};
    for (size_t i = 0; i < 3; i++) {
        uint8_t block[34];
        float back[32];
        ref()->quantize_row(types[i], x, block, 32);
        ref()->dequantize_row(types[i], block, back, 32);
        for (size_t k = 0; k < 32; k++) cr_assert_eq(back[k], 0.0F);
    }
}

Test(kernels_quantize, nan_infinity_and_vanishing_scales_are_survived)
{
    const float odd[] = {NAN, INFINITY, -INFINITY, 1e-40F, 3e38F, -3e38F, 0.0F};
    for (size_t i = 0; i < ALL_TYPES; i++) {
        for (size_t v = 0; v < sizeof odd / sizeof odd[0]; v++) {
            float x[32] = {0};
            uint8_t block[128];
            x[v * 4] = odd[v];
            x[31] = odd[(v + 1) % 7];
            ref()->quantize_row(all_types[i], x, block, 32);
        }
    }
}

/* Half a step of the type, with room for the F16 rounding of the scale and the cut at 15. */
static double error_bound(enum ryz_dtype type, double largest, double span)
{
    switch (type) {
    case RYZ_DTYPE_F32:
        return 0.0;
    case RYZ_DTYPE_F16:
        return largest * 0x1p-11;
    case RYZ_DTYPE_BF16:
        return largest * 0x1p-8;
    case RYZ_DTYPE_Q8_0:
        return largest / 127.0 * 0.5 + largest * 0x1p-10;
    case RYZ_DTYPE_Q4_0:
        return largest / 8.0 * 1.01;
    case RYZ_DTYPE_Q4_1:
        return span / 15.0 * 0.5 + largest * 0x1p-9;
    }
    return 0.0;
}

Test(kernels_quantize, decoding_comes_back_within_half_a_step)
{
    struct rng rng = rng_start(41);
    for (size_t n = 0; n < 300; n++) {
        float x[32];
        uint8_t block[128];
        float back[32];
        rng_fill(&rng, x, 32, n % 2 ? 0.05F : 20.0F);
        double largest = 0.0;
        double low = (double)x[0];
        double high = (double)x[0];
        for (size_t k = 0; k < 32; k++) {
            largest = fmax(largest, fabs((double)x[k]));
            low = fmin(low, (double)x[k]);
            high = fmax(high, (double)x[k]);
        }
        for (size_t i = 0; i < ALL_TYPES; i++) {
            double bound = error_bound(all_types[i], largest, high - low);
            ref()->quantize_row(all_types[i], x, block, 32);
            ref()->dequantize_row(all_types[i], block, back, 32);
            for (size_t k = 0; k < 32; k++) {
                cr_assert(fabs((double)back[k] - (double)x[k]) <= bound, "%s: %g gave %g",
                          ryz_dtype_name(all_types[i]), (double)x[k], (double)back[k]);
            }
        }
    }
}

Test(kernels_quantize, all_tables_decode_and_encode_alike)
{
    struct rng rng = rng_start(42);
    for (size_t i = 0; i < ALL_TYPES; i++) {
        size_t block = ryz_dtype_block_weights(all_types[i]);
        for (size_t n = 0; n < 40; n++) {
            size_t count = block * (block == 1 ? rng_below(&rng, 100) : rng_below(&rng, 5));
            size_t bytes = ryz_dtype_row_bytes(all_types[i], count);
            float *src = guarded_floats(count);
            float *expected = guarded_floats(count);
            float *actual = guarded_floats(count);
            uint8_t *encoded = guarded(bytes);
            uint8_t *again = guarded(bytes);
            rng_fill(&rng, src, count, 3.0F);
            ref()->quantize_row(all_types[i], src, encoded, count);
            ref()->dequantize_row(all_types[i], encoded, expected, count);
            for (size_t t = 0; table_at(t); t++) {
                table_at(t)->quantize_row(all_types[i], src, again, count);
                table_at(t)->dequantize_row(all_types[i], encoded, actual, count);
                cr_assert(memcmp(again, encoded, bytes) == 0, "%s", table_at(t)->name);
                cr_assert(memcmp(actual, expected, count * sizeof *actual) == 0, "%s",
                          table_at(t)->name);
            }
            guarded_release();
        }
    }
}
