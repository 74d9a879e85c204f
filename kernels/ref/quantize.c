/*
 * quantize.c - reference encoding of a row of F32 weights.
 *
 * Gives the bytes that ggml's reference quantisers give, so that a file made here equals one made
 * by llama.cpp. The idea to know: the inverse scale comes from the F32 scale, before that is
 * rounded to F16 for storage; and each product and sum is rounded by itself (no fused
 * multiply-add). Values without a sensible code (NaN, or a scale so small that its inverse
 * overflows) are clamped instead of being cast, which would be undefined.
 */
#include <assert.h>
#include <math.h>

#include "kernels/convert.h"
#include "kernels/ref/ref.h"

#define BLOCK 32u

/* Truncates to an integer in [low, high]; NaN gives `low`. */
static int clamp_int(float value, int low, int high)
{
    if (!(value > (float)low)) return low;
    if (value >= (float)high) return high;
    return (int)value;
}

static void store_f16(uint8_t *dst, float value)
{
    uint16_t half = f16_from_f32(value);
    memcpy(dst, &half, sizeof half);
}

static float inverse(float d)
{
    return d != 0.0F ? 1.0F / d : 0.0F;
}

static void encode_q8_0(const float *src, uint8_t *block)
{
    float largest = 0.0F;
    for (size_t i = 0; i < BLOCK; i++) {
        float magnitude = fabsf(src[i]);
        largest = largest > magnitude ? largest : magnitude;
    }
    float d = largest / 127.0F;
    float id = inverse(d);
    store_f16(block, d);
    for (size_t i = 0; i < BLOCK; i++) {
        block[2 + i] = (uint8_t)(int8_t)clamp_int(roundf(src[i] * id), -128, 127);
    }
}

static void encode_q4_0(const float *src, uint8_t *block)
{
    float largest = 0.0F; /* magnitude */
    float signed_largest = 0.0F;
    for (size_t i = 0; i < BLOCK; i++) {
        if (largest < fabsf(src[i])) {
            largest = fabsf(src[i]);
            signed_largest = src[i];
        }
    }
    float d = signed_largest / -8.0F;
    float id = inverse(d);
    store_f16(block, d);
    for (size_t i = 0; i < BLOCK / 2; i++) {
        int low = clamp_int(src[i] * id + 8.5F, 0, 15);
        int high = clamp_int(src[i + BLOCK / 2] * id + 8.5F, 0, 15);
        block[2 + i] = (uint8_t)(low | (high << 4));
    }
}

static void encode_q4_1(const float *src, uint8_t *block)
{
    float smallest = src[0];
    float largest = src[0];
    for (size_t i = 1; i < BLOCK; i++) {
        smallest = src[i] < smallest ? src[i] : smallest;
        largest = src[i] > largest ? src[i] : largest;
    }
    float d = (largest - smallest) / 15.0F;
    float id = inverse(d);
    store_f16(block, d);
    store_f16(block + 2, smallest);
    for (size_t i = 0; i < BLOCK / 2; i++) {
        int low = clamp_int((src[i] - smallest) * id + 0.5F, 0, 15);
        int high = clamp_int((src[i + BLOCK / 2] - smallest) * id + 0.5F, 0, 15);
        block[4 + i] = (uint8_t)(low | (high << 4));
    }
}

static void encode_plain(enum ryz_dtype type, const float *src, uint8_t *dst, size_t count)
{
    if (type == RYZ_DTYPE_F32) {
        if (count) memcpy(dst, src, count * sizeof *src);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        uint16_t half = type == RYZ_DTYPE_F16 ? f16_from_f32(src[i]) : bf16_from_f32(src[i]);
        memcpy(dst + 2 * i, &half, sizeof half);
    }
}

void ryz_ref_quantize_row(enum ryz_dtype type, const float *src, void *dst, size_t count)
{
    void (*encode)(const float *, uint8_t *) = NULL;
    switch (type) {
    case RYZ_DTYPE_Q4_0:
        encode = encode_q4_0;
        break;
    case RYZ_DTYPE_Q4_1:
        encode = encode_q4_1;
        break;
    case RYZ_DTYPE_Q8_0:
        encode = encode_q8_0;
        break;
    case RYZ_DTYPE_F32:
    case RYZ_DTYPE_F16:
    case RYZ_DTYPE_BF16:
        encode_plain(type, src, dst, count);
        return;
    }
    assert(encode && "unknown type");
    assert(count % BLOCK == 0);
    uint8_t *block = dst;
    size_t block_bytes = ryz_dtype_block_bytes(type);
    for (size_t i = 0; i < count; i += BLOCK, block += block_bytes) encode(src + i, block);
}
