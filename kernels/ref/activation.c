/*
 * activation.c - reference element-wise operations: gated SiLU, residual sum, stores for the KV
 * cache.
 */
#include <float.h>
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

void ryz_ref_store_int8(int8_t *dst, float *scale, const float *src, size_t count)
{
    float largest = 0.0F;
    bool finite = true;
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(src[i])) finite = false;
        if (fabsf(src[i]) > largest) largest = fabsf(src[i]);
    }
    float step = largest / 127.0F;
    bool coded = finite && step >= FLT_MIN;
    *scale = coded ? step : finite ? 0.0F : NAN;
    /* |src / step| is at most 127 (1 + 2^-23), which rounds to 127: nothing to clamp. */
    for (size_t i = 0; i < count; i++) dst[i] = coded ? (int8_t)rintf(src[i] / step) : 0;
}
