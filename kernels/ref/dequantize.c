/*
 * dequantize.c - reference decoding of a row of weights to F32.
 *
 * The idea to know: the products d * q are exact in F32 (11 + 8 significant bits at most), so every
 * instruction set decodes to the same bits, fused or not.
 */
#include <assert.h>

#include "kernels/convert.h"
#include "kernels/ref/ref.h"

#define BLOCK 32u

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Nibble i of a block: low nibbles are weights 0..15, high ones 16..31. */
static int nibble(const uint8_t *quants, size_t i)
{
    return i < BLOCK / 2 ? quants[i] & 0x0f : quants[i - BLOCK / 2] >> 4;
}

static void decode_q4_0(const uint8_t *block, float *dst, size_t count)
{
    float d = f32_from_f16(load_u16(block));
    for (size_t i = 0; i < count; i++) dst[i] = d * (float)(nibble(block + 2, i) - 8);
}

static void decode_q4_1(const uint8_t *block, float *dst, size_t count)
{
    float d = f32_from_f16(load_u16(block));
    float m = f32_from_f16(load_u16(block + 2));
    for (size_t i = 0; i < count; i++) dst[i] = d * (float)nibble(block + 4, i) + m;
}

static void decode_q8_0(const uint8_t *block, float *dst, size_t count)
{
    float d = f32_from_f16(load_u16(block));
    const int8_t *quants = (const int8_t *)(block + 2);
    for (size_t i = 0; i < count; i++) dst[i] = d * (float)quants[i];
}

static void decode_plain(enum ryz_dtype type, const uint8_t *src, float *dst, size_t count)
{
    if (type == RYZ_DTYPE_F32) {
        if (count) memcpy(dst, src, count * sizeof *dst);
    } else if (type == RYZ_DTYPE_F16) {
        for (size_t i = 0; i < count; i++) dst[i] = f32_from_f16(load_u16(src + 2 * i));
    } else {
        for (size_t i = 0; i < count; i++) dst[i] = f32_from_bf16(load_u16(src + 2 * i));
    }
}

void ryz_ref_dequantize_row(enum ryz_dtype type, const void *src, float *dst, size_t count)
{
    void (*decode)(const uint8_t *, float *, size_t) = NULL;
    switch (type) {
    case RYZ_DTYPE_Q4_0:
        decode = decode_q4_0;
        break;
    case RYZ_DTYPE_Q4_1:
        decode = decode_q4_1;
        break;
    case RYZ_DTYPE_Q8_0:
        decode = decode_q8_0;
        break;
    case RYZ_DTYPE_F32:
    case RYZ_DTYPE_F16:
    case RYZ_DTYPE_BF16:
        decode_plain(type, src, dst, count);
        return;
    }
    assert(decode && "unknown type");
    const uint8_t *block = src;
    size_t block_bytes = ryz_dtype_block_bytes(type);
    for (size_t i = 0; i < count; i += BLOCK, block += block_bytes) {
        decode(block, dst + i, smaller(BLOCK, count - i));
    }
}
