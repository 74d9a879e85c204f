/*
 * activation_body.h - element-wise operations over struct v16. Include after v16_math.h.
 *
 * A tail is computed in a padded vector by the same instructions, so the value of an element does
 * not depend on its place.
 */
#ifndef RYZ_KERNELS_X86_ACTIVATION_BODY_H
#define RYZ_KERNELS_X86_ACTIVATION_BODY_H

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

#endif
