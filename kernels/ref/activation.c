/*
 * activation.c - reference element-wise operations: gated SiLU, residual sum, BF16 store.
 */
#include <math.h>

#include "kernels/convert.h"
#include "kernels/ref/ref.h"

void ryz_ref_silu_mul(float *gate, const float *up, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        double v = gate[i];
        gate[i] = (float)(v / (1.0 + exp(-v)) * (double)up[i]);
    }
}

void ryz_ref_add(float *x, const float *y, size_t count)
{
    for (size_t i = 0; i < count; i++) x[i] += y[i];
}

void ryz_ref_store_bf16(uint16_t *dst, const float *src, size_t count)
{
    for (size_t i = 0; i < count; i++) dst[i] = bf16_from_f32(src[i]);
}
