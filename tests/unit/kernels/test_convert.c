/*
 * Goal: F16, BF16 and INT8 round to nearest even everywhere, in every table.
 * Method: all 65,536 codes and the midpoints between neighbours, which F32 holds exactly; INT8
 * vectors of seeded bits, ties and lengths against the reference, and the reference against its
 * bound.
 */
#include <math.h>
#include <stdlib.h>

#include <criterion/criterion.h>

#include "kernels/convert.h"
#include "tests/unit/kernels/support.h"

TestSuite(kernels_convert, .fini = guarded_release);

static bool half_is_nan(uint32_t code)
{
    return (code & 0x7c00) == 0x7c00 && (code & 0x3ff) != 0;
}

Test(kernels_convert, known_f16_codes)
{
    static const struct {
        float value;
        uint16_t code;
    } cases[] = {
        {0.0F, 0x0000},       {-0.0F, 0x8000},        {1.0F, 0x3c00},         {-2.0F, 0xc000},
        {65504.0F, 0x7bff},   {65519.0F, 0x7bff},     {65520.0F, 0x7c00},     {1e30F, 0x7c00},
        {0x1p-14F, 0x0400},   {0x1p-24F, 0x0001},     {0x1p-25F, 0x0000},     {0x1.8p-25F, 0x0001},
        {0x1.8p-24F, 0x0002}, {0x1.ff8p-15F, 0x03ff}, {0x1.ffcp-15F, 0x0400}, {-INFINITY, 0xfc00},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_assert_eq(f16_from_f32(cases[i].value), cases[i].code, "%a", (double)cases[i].value);
    }
    cr_assert(half_is_nan(f16_from_f32(NAN)));
    cr_assert(half_is_nan(f16_from_f32(f32_from_bits(0x7f800001U))));
}

Test(kernels_convert, every_f16_survives_the_way_to_f32_and_back)
{
    for (uint32_t code = 0; code < 0x10000; code++) {
        float value = f32_from_f16((uint16_t)code);
        if (half_is_nan(code)) {
            cr_assert(isnan(value));
            cr_assert(half_is_nan(f16_from_f32(value)));
        } else {
            cr_assert_eq(f16_from_f32(value), code);
        }
    }
}

Test(kernels_convert, f16_midpoints_go_to_the_even_neighbour)
{
    for (uint32_t code = 0; code < 0x7bff; code++) {
        float low = f32_from_f16((uint16_t)code);
        float high = f32_from_f16((uint16_t)(code + 1));
        float middle = low + (high - low) / 2.0F;
        uint32_t even = code % 2 == 0 ? code : code + 1;
        cr_assert_eq(f16_from_f32(middle), even, "between %x and %x", code, code + 1);
        cr_assert_eq(f16_from_f32(nextafterf(middle, 0.0F)), code);
        cr_assert_eq(f16_from_f32(nextafterf(middle, 1e9F)), code + 1);
        cr_assert_eq(f16_from_f32(-middle), even | 0x8000);
    }
}

Test(kernels_convert, bf16_midpoints_go_to_the_even_neighbour)
{
    for (uint32_t code = 0; code < 0x7f80; code++) {
        uint32_t middle = (code << 16) | 0x8000U;
        cr_assert_eq(bf16_from_f32(f32_from_bits(middle)), code % 2 == 0 ? code : code + 1);
        cr_assert_eq(bf16_from_f32(f32_from_bits(middle - 1)), code);
        cr_assert_eq(bf16_from_f32(f32_from_bits(middle + 1)), code + 1);
    }
    cr_assert_eq(bf16_from_f32(INFINITY), 0x7f80);
    cr_assert_eq(bf16_from_f32(f32_from_bits(0x7f800001U)), 0x7fc0);
    cr_assert_eq(bf16_from_f32(f32_from_bits(0xffffffffU)), 0xffff);
}

Test(kernels_convert, all_tables_decode_every_16_bit_code_alike)
{
    const size_t count = 0x10000;
    uint16_t *codes = guarded(count * sizeof *codes);
    float *expected = guarded_floats(count);
    float *actual = guarded_floats(count);
    for (uint32_t i = 0; i < count; i++) codes[i] = (uint16_t)i;
    for (size_t t = 0; table_at(t); t++) {
        table_at(t)->dequantize_row(RYZ_DTYPE_F16, codes, actual, count);
        for (uint32_t i = 0; i < count; i++) expected[i] = f32_from_f16(codes[i]);
        cr_assert_arr_eq(actual, expected, count * sizeof *actual, "%s", table_at(t)->name);
        table_at(t)->dequantize_row(RYZ_DTYPE_BF16, codes, actual, count);
        for (uint32_t i = 0; i < count; i++) expected[i] = f32_from_bf16(codes[i]);
        cr_assert_arr_eq(actual, expected, count * sizeof *actual, "%s", table_at(t)->name);
    }
}

Test(kernels_convert, store_bf16_equals_the_scalar_rounding_for_any_bits)
{
    const size_t count = 20001;
    struct rng rng = rng_start(11);
    float *src = guarded_floats(count);
    uint16_t *dst = guarded(count * sizeof *dst);
    for (size_t i = 0; i < count; i++) {
        uint32_t bits = (uint32_t)rng_next(&rng);
        if (i % 4 == 0) bits = (bits & 0xffff0000U) | 0x8000U; /* ties */
        if (i % 7 == 0) bits |= 0x7f800000U;                   /* NaN, infinity */
        src[i] = f32_from_bits(bits);
    }
    for (size_t t = 0; table_at(t); t++) {
        for (size_t start = 0; start < 18; start++) {
            size_t first = start ? count - (start - 1) : 0;
            table_at(t)->store_bf16(dst + first, src + first, count - first);
            for (size_t i = first; i < count; i++) {
                cr_assert_eq(dst[i], bf16_from_f32(src[i]), "%s %x", table_at(t)->name,
                             f32_bits(src[i]));
            }
        }
    }
}

/* Any bits, or values whose quotients by the scale are ties. */
static void fill_for_int8(struct rng *rng, float *src, size_t count, size_t kind)
{
    float unit = ldexpf(1.0F, (int)rng_below(rng, 240) - 140);
    for (size_t i = 0; i < count; i++) {
        if (kind % 3 == 0) src[i] = f32_from_bits((uint32_t)rng_next(rng));
        if (kind % 3 == 1) src[i] = ((float)rng_below(rng, 254) - 126.5F) * unit;
        if (kind % 3 == 2) src[i] = rng_float(rng, unit);
    }
    if (kind % 3 == 1) src[rng_below(rng, count)] = -127.0F * unit; /* the scale is the unit */
}

Test(kernels_convert, store_int8_gives_the_bytes_of_the_reference_in_every_table)
{
    struct rng rng = rng_start(12);
    const struct ryz_kernels *ref = ryz_kernels_find("ref");
    for (size_t kind = 0; kind < 3000; kind++) {
        size_t count = 1 + rng_below(&rng, 130);
        float *src = guarded_floats(count), expected_scale = 1.0F;
        int8_t *expected = guarded(count), *actual = guarded(count);
        fill_for_int8(&rng, src, count, kind);
        ref->store_int8(expected, &expected_scale, src, count);
        for (size_t t = 0; table_at(t); t++) {
            float scale = -1.0F;
            memset(actual, 0x55, count);
            table_at(t)->store_int8(actual, &scale, src, count);
            cr_assert_arr_eq(actual, expected, count, "%s", table_at(t)->name);
            cr_assert(isnan(expected_scale) ? isnan(scale) : scale == expected_scale);
        }
        guarded_release();
    }
}

Test(kernels_convert, store_int8_is_off_by_half_a_step_at_most)
{
    struct rng rng = rng_start(13);
    for (size_t kind = 0; kind < 300; kind++) {
        float src[64], scale = 0.0F, largest = 0.0F;
        int8_t codes[64];
        for (size_t i = 0; i < 64; i++) {
            src[i] = rng_float(&rng, 4.0F);
            largest = fmaxf(largest, fabsf(src[i]));
        }
        ryz_kernels_find("auto")->store_int8(codes, &scale, src, 64);
        cr_assert_eq(scale, largest / 127.0F);
        for (size_t i = 0; i < 64; i++) {
            double off = (double)src[i] - (double)scale * codes[i];
            cr_assert_leq(fabs(off), (double)scale * 0.50001);
            if (fabsf(src[i]) == largest) cr_assert_eq(abs(codes[i]), 127);
        }
    }
}

Test(kernels_convert, store_int8_of_what_has_no_code)
{
    float zeros[20] = {0}, tiny[20], spoilt[20] = {1.0F}, scale;
    int8_t codes[20];
    for (size_t i = 0; i < 20; i++) tiny[i] = -1e-37F;
    for (size_t t = 0; table_at(t); t++) {
        const float *const nothing[] = {zeros, tiny};
        for (size_t k = 0; k < 2; k++) {
            memset(codes, 0x55, sizeof codes);
            table_at(t)->store_int8(codes, &scale, nothing[k], 20);
            cr_assert_eq(scale, 0.0F);
            for (size_t i = 0; i < 20; i++) cr_assert_eq(codes[i], 0);
        }
        for (size_t i = 0; i < 20; i++) {
            spoilt[i] = i % 2 ? NAN : -INFINITY;
            table_at(t)->store_int8(codes, &scale, spoilt, 20);
            cr_assert(isnan(scale), "%s %zu", table_at(t)->name, i);
            for (size_t k = 0; k < 20; k++) cr_assert_eq(codes[k], 0);
            spoilt[i] = 1.0F;
        }
    }
}
