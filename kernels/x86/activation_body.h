/*
 * activation_body.h - element-wise operations over struct v16. Include after v16_math.h.
 *
 * A tail is computed in a padded vector by the same instructions, so the value of an element does
 * not depend on its place.
 */
#ifndef RYZ_KERNELS_X86_ACTIVATION_BODY_H
#define RYZ_KERNELS_X86_ACTIVATION_BODY_H

#include <float.h>
#include <math.h>

V16_INLINE struct v16 silu_mul16(struct v16 gate, struct v16 up)
{
    struct v16 grown = v16_exp(v16_sub(v16_zero(), gate));
    return v16_mul(v16_div(gate, v16_add(v16_set1(1.0F), grown)), up);
}

void V16_ISA(silu_mul)(float *gate, const float *up, size_t count)
{
    size_t rest = count % 16;
    size_t whole = count - rest;
    for (size_t i = 0; i < whole; i += 16) {
        v16_store(gate + i, silu_mul16(v16_load(gate + i), v16_load(up + i)));
    }
    struct v16 last =
        silu_mul16(v16_load_part(gate + whole, rest), v16_load_part(up + whole, rest));
    v16_store_part(gate + whole, last, rest);
}

void V16_ISA(add)(float *x, const float *y, size_t count)
{
    size_t rest = count % 16;
    size_t whole = count - rest;
    for (size_t i = 0; i < whole; i += 16) {
        v16_store(x + i, v16_add(v16_load(x + i), v16_load(y + i)));
    }
    struct v16 last = v16_add(v16_load_part(x + whole, rest), v16_load_part(y + whole, rest));
    v16_store_part(x + whole, last, rest);
}

void V16_ISA(store_bf16)(uint16_t *dst, const float *src, size_t count)
{
    size_t rest = count % 16;
    size_t whole = count - rest;
    for (size_t i = 0; i < whole; i += 16) v16_store_bf16(dst + i, v16_load(src + i));
    v16_store_bf16_part(dst + whole, v16_load_part(src + whole, rest), rest);
}

/* The scale of a vector, see ryz_kernels.store_int8. */
static float int8_scale(const float *src, size_t count)
{
    size_t rest = count % 16;
    size_t whole = count - rest;
    struct v16 largest = v16_zero();
    struct v16 spoilt = v16_zero(); /* x - x is NaN for infinities and NaN, 0 for the others */
    for (size_t i = 0; i <= whole; i += 16) {
        struct v16 x = i < whole ? v16_load(src + i) : v16_load_part(src + whole, rest);
        largest = v16_max(largest, v16_max(x, v16_sub(v16_zero(), x)));
        spoilt = v16_add(spoilt, v16_sub(x, x));
    }
    if (isnan(v16_sum(spoilt))) return NAN;
    float scale = v16_largest(largest) / 127.0F;
    return scale >= FLT_MIN ? scale : 0.0F;
}

void V16_ISA(store_int8)(int8_t *dst, float *scale, const float *src, size_t count)
{
    size_t rest = count % 16;
    size_t whole = count - rest;
    *scale = int8_scale(src, count);
    if (!(*scale > 0.0F)) {
        memset(dst, 0, count);
        return;
    }
    struct v16 step = v16_set1(*scale);
    for (size_t i = 0; i < whole; i += 16) v16_store_i8(dst + i, v16_div(v16_load(src + i), step));
    v16_store_i8_part(dst + whole, v16_div(v16_load_part(src + whole, rest), step), rest);
}

#endif
