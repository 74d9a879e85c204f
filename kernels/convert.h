/*
 * convert.h - scalar conversions between F32 and the 16-bit formats, for references and tails.
 *
 * Rounds to nearest, ties to even; NaN stays NaN and becomes quiet. The idea to know: everything is
 * integer arithmetic on the bits, so the result does not depend on compiler flags or the rounding
 * mode. Multi-byte fields of a row are little-endian, as GGUF stores them; so is every host we run
 * on.
 */
#ifndef RYZ_KERNELS_CONVERT_H
#define RYZ_KERNELS_CONVERT_H

#include <stdint.h>
#include <string.h>

static inline uint32_t f32_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float f32_from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The 16-bit field at `src`, which need not be aligned. */
static inline uint16_t load_u16(const void *src)
{
    uint16_t value;
    memcpy(&value, src, sizeof value);
    return value;
}

/* The F32 field at `src`, likewise. */
static inline float load_f32(const void *src)
{
    float value;
    memcpy(&value, src, sizeof value);
    return value;
}

static inline float f32_from_bf16(uint16_t half)
{
    return f32_from_bits((uint32_t)half << 16);
}

static inline uint16_t bf16_from_f32(float value)
{
    uint32_t bits = f32_bits(value);
    if ((bits & 0x7fffffffU) > 0x7f800000U) return (uint16_t)((bits >> 16) | 0x40U);
    return (uint16_t)((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

static inline float f32_from_f16(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000U) << 16;
    uint32_t exponent = (half >> 10) & 0x1fU;
    uint32_t mantissa = half & 0x3ffU;
    if (exponent == 0x1f) {
        uint32_t quiet = mantissa ? 0x400000U : 0U;
        return f32_from_bits(sign | 0x7f800000U | quiet | (mantissa << 13));
    }
    if (exponent == 0) { /* zero or subnormal: mantissa * 2^-24, exact in F32 */
        float magnitude = (float)mantissa * 0x1p-24F;
        return f32_from_bits(sign | f32_bits(magnitude));
    }
    return f32_from_bits(sign | ((exponent + 112U) << 23) | (mantissa << 13));
}

static inline uint16_t f16_from_f32(float value)
{
    uint32_t bits = f32_bits(value);
    uint32_t sign = (bits >> 16) & 0x8000U;
    uint32_t magnitude = bits & 0x7fffffffU;
    if (magnitude > 0x7f800000U) return (uint16_t)(sign | 0x7e00U | ((magnitude >> 13) & 0x3ffU));
    if (magnitude >= 0x477ff000U) return (uint16_t)(sign | 0x7c00U); /* 65520 and above */
    if (magnitude < 0x33000000U) return (uint16_t)sign;              /* below 2^-25 */
    if (magnitude < 0x38800000U) { /* subnormal: shift the full mantissa to units of 2^-24 */
        uint32_t shift = 126U - (magnitude >> 23);
        uint32_t full = (magnitude & 0x7fffffU) | 0x800000U;
        uint32_t kept = full >> shift;
        uint32_t rest = full & ((1U << shift) - 1U);
        uint32_t half = 1U << (shift - 1U);
        kept += (rest > half || (rest == half && (kept & 1U))) ? 1U : 0U;
        return (uint16_t)(sign | kept);
    }
    uint32_t rounded = magnitude + 0xfffU + ((magnitude >> 13) & 1U);
    return (uint16_t)(sign | ((rounded - 0x38000000U) >> 13));
}

#endif
