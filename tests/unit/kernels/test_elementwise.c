/*
 * Goal: norm, rotary embedding, gated SiLU and sums are right in every table, whatever the length.
 * Method: formulas in double; lengths around the vector width; buffers that end at a guard page.
 */
#include <math.h>

#include <criterion/criterion.h>

#include "tests/unit/kernels/support.h"

TestSuite(kernels_elementwise, .fini = guarded_release);

static void assert_near(double actual, double expected, double limit, const char *table)
{
    cr_assert(fabs(actual - expected) <= limit, "%s: %.9g is not %.9g (limit %g)", table, actual,
              expected, limit);
}

Test(kernels_elementwise, rmsnorm_divides_by_the_root_mean_square)
{
    struct rng rng = rng_start(51);
    for (size_t count = 1; count < 1000; count += count < 40 ? 1 : 97) {
        float *x = guarded_floats(count);
        float *weight = guarded_floats(count);
        float *out = guarded_floats(count);
        rng_fill(&rng, x, count, 4.0F);
        rng_fill(&rng, weight, count, 2.0F);
        double squares = 0.0;
        for (size_t i = 0; i < count; i++) squares += (double)x[i] * (double)x[i];
        double scale = 1.0 / sqrt(squares / (double)count + 1e-5);
        for (size_t t = 0; table_at(t); t++) {
            table_at(t)->rmsnorm(out, x, weight, count, 1e-5F);
            for (size_t i = 0; i < count; i++) {
                double expected = (double)x[i] * scale * (double)weight[i];
                assert_near((double)out[i], expected, fabs(expected) * 1e-6, table_at(t)->name);
            }
        }
        guarded_release();
    }
}

Test(kernels_elementwise, rmsnorm_may_write_over_its_input)
{
    struct rng rng = rng_start(52);
    const size_t count = 77;
    float *x = guarded_floats(count);
    float *weight = guarded_floats(count);
    float *out = guarded_floats(count);
    float *place = guarded_floats(count);
    rng_fill(&rng, x, count, 1.0F);
    rng_fill(&rng, weight, count, 1.0F);
    for (size_t t = 0; table_at(t); t++) {
        memcpy(place, x, count * sizeof *x);
        table_at(t)->rmsnorm(out, x, weight, count, 1e-5F);
        table_at(t)->rmsnorm(place, place, weight, count, 1e-5F);
        cr_assert_arr_eq(place, out, count * sizeof *out);
    }
}

Test(kernels_elementwise, rope_rotates_pairs_and_leaves_the_other_dims)
{
    struct rng rng = rng_start(53);
    for (size_t rope_dims = 0; rope_dims <= 40; rope_dims += 2) {
        const size_t heads = 3;
        size_t head_dim = rope_dims + rng_below(&rng, 20) + (rope_dims == 0);
        float *x = guarded_floats(heads * head_dim);
        float *turned = guarded_floats(heads * head_dim);
        float *cos_sin = guarded_floats(rope_dims);
        rng_fill(&rng, x, heads * head_dim, 2.0F);
        for (size_t i = 0; i < rope_dims; i += 2) {
            double angle = 77.0 * pow(10000.0, -(double)i / (double)rope_dims);
            cos_sin[i] = (float)cos(angle);
            cos_sin[i + 1] = (float)sin(angle);
        }
        for (size_t t = 0; table_at(t); t++) {
            memcpy(turned, x, heads * head_dim * sizeof *x);
            table_at(t)->rope(turned, heads, head_dim, rope_dims, cos_sin);
            for (size_t i = 0; i < heads * head_dim; i++) {
                size_t d = i % head_dim;
                if (d >= rope_dims) {
                    cr_assert_eq(turned[i], x[i], "%s", table_at(t)->name);
                    continue;
                }
                double c = cos_sin[d / 2 * 2];
                double s = cos_sin[d / 2 * 2 + 1];
                double expected = d % 2 ? (double)x[i] * c + (double)x[i - 1] * s
                                        : (double)x[i] * c - (double)x[i + 1] * s;
                assert_near((double)turned[i], expected, 4e-7, table_at(t)->name);
            }
        }
        guarded_release();
    }
}

static double silu(double v)
{
    return v / (1.0 + exp(-v));
}

Test(kernels_elementwise, silu_is_right_from_minus_200_to_200)
{
    const size_t count = 40001;
    float *gate = guarded_floats(count);
    float *up = guarded_floats(count);
    for (size_t t = 0; table_at(t); t++) {
        for (size_t i = 0; i < count; i++) {
            gate[i] = ((float)i - 20000.0F) * 0.01F;
            up[i] = 1.0F;
        }
        table_at(t)->silu_mul(gate, up, count);
        for (size_t i = 0; i < count; i++) {
            double expected = silu((double)(((float)i - 20000.0F) * 0.01F));
            /* Below about -88 e^-v overflows and the result is -0 instead of -1e-37. */
            assert_near((double)gate[i], expected, fabs(expected) * 4e-7 + 1e-36,
                        table_at(t)->name);
        }
    }
}

Test(kernels_elementwise, silu_of_an_element_does_not_depend_on_its_place)
{
    struct rng rng = rng_start(54);
    const size_t count = 53;
    float *gate = guarded_floats(count);
    float *up = guarded_floats(count);
    rng_fill(&rng, gate, count, 12.0F);
    rng_fill(&rng, up, count, 3.0F);
    for (size_t t = 0; table_at(t); t++) {
        float *together = guarded_floats(count);
        memcpy(together, gate, count * sizeof *gate);
        table_at(t)->silu_mul(together, up, count);
        for (size_t i = 0; i < count; i++) {
            float alone = gate[i];
            table_at(t)->silu_mul(&alone, &up[i], 1);
            cr_assert_arr_eq(&alone, &together[i], sizeof alone, "%s", table_at(t)->name);
        }
    }
}

Test(kernels_elementwise, add_is_exact_for_every_length)
{
    struct rng rng = rng_start(55);
    for (size_t count = 0; count < 70; count++) {
        float *x = guarded_floats(count);
        float *y = guarded_floats(count);
        float *sum = guarded_floats(count);
        rng_fill(&rng, x, count, 9.0F);
        rng_fill(&rng, y, count, 9.0F);
        for (size_t t = 0; table_at(t); t++) {
            if (count) memcpy(sum, x, count * sizeof *x);
            table_at(t)->add(sum, y, count);
            for (size_t i = 0; i < count; i++) cr_assert_eq(sum[i], x[i] + y[i]);
        }
        guarded_release();
    }
}

Test(kernels_elementwise, nan_and_infinity_come_out_as_such)
{
    for (size_t t = 0; table_at(t); t++) {
        float gate[3] = {NAN, INFINITY, 1.0F};
        float up[3] = {1.0F, 1.0F, NAN};
        table_at(t)->silu_mul(gate, up, 3);
        cr_assert(isnan(gate[0]) && isinf(gate[1]) && isnan(gate[2]), "%s", table_at(t)->name);
        float x[3] = {NAN, 1.0F, 2.0F};
        table_at(t)->rmsnorm(x, x, up, 3, 1e-5F);
        cr_assert(isnan(x[0]) && isnan(x[1]), "%s", table_at(t)->name);
    }
}

Test(kernels_elementwise, avx2_and_avx512_agree_to_the_bit)
{
    const struct ryz_kernels *avx2 = ryz_kernels_find("avx2");
    const struct ryz_kernels *avx512 = ryz_kernels_find("avx512");
    if (!avx2 || !avx512) cr_skip_test("needs AVX2 and AVX-512");
    struct rng rng = rng_start(56);
    const size_t count = 1013;
    float *a = guarded_floats(count);
    float *b = guarded_floats(count);
    float *up = guarded_floats(count);
    rng_fill(&rng, a, count, 90.0F);
    rng_fill(&rng, up, count, 2.0F);
    memcpy(b, a, count * sizeof *a);
    avx2->silu_mul(a, up, count);
    avx512->silu_mul(b, up, count);
    cr_assert_arr_eq(a, b, count * sizeof *a);
    avx2->rmsnorm(a, a, up, count, 1e-5F);
    avx512->rmsnorm(b, b, up, count, 1e-5F);
    cr_assert_arr_eq(a, b, count * sizeof *a);
    avx2->rope(a, 1, count, 62, up);
    avx512->rope(b, 1, count, 62, up);
    cr_assert_arr_eq(a, b, count * sizeof *a);
}
