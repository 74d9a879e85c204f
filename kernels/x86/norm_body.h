/*
 * norm_body.h - root-mean-square normalisation over struct v16. Include after v16_math.h.
 *
 * The squares add up in 16 lanes over ascending i and v16_sum's tree.
 */
#ifndef RYZ_KERNELS_X86_NORM_BODY_H
#define RYZ_KERNELS_X86_NORM_BODY_H

#include <math.h>

void V16_ISA(rmsnorm)(float *out, const float *x, const float *weight, size_t count, float eps)
{
    size_t rest = count % 16;
    size_t whole = count - rest;
    struct v16 squares = v16_zero();
    for (size_t i = 0; i < whole; i += 16) {
        struct v16 v = v16_load(x + i);
        squares = v16_fma(v, v, squares);
    }
    struct v16 last = v16_load_part(x + whole, rest);
    squares = v16_fma(last, last, squares);
    float scale = 1.0F / sqrtf(v16_sum(squares) / (float)count + eps);
    struct v16 scales = v16_set1(scale);
    for (size_t i = 0; i < whole; i += 16) {
        v16_store(out + i, v16_mul(v16_mul(v16_load(x + i), scales), v16_load(weight + i)));
    }
    struct v16 last_weight = v16_load_part(weight + whole, rest);
    v16_store_part(out + whole, v16_mul(v16_mul(last, scales), last_weight), rest);
}

#endif
