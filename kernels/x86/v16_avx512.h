/*
 * v16_avx512.h - the 16-lane vector of F32 in AVX-512: one zmm register.
 *
 * Same vocabulary as v16_avx2.h, operation for operation, so that a body written over struct v16
 * gives the same bits in both. `_part` variants touch the first n lanes of memory only (0 <= n <=
 * 16; missing lanes are 0) and cannot fault past them. Include only from files compiled with
 * AVX-512 F, BW, VL and DQ.
 */
#ifndef RYZ_KERNELS_X86_V16_AVX512_H
#define RYZ_KERNELS_X86_V16_AVX512_H

#include <immintrin.h>

#include "kernels/convert.h"
#include "kernels/kernels.h"

#define V16_INLINE static inline __attribute__((always_inline, unused))
/* For loops that need every register: inlined, they would share them with their surroundings. */
#define V16_NOINLINE static __attribute__((noinline, unused))
/* Makes the compiler keep a loaded value in its register: GCC 12 loads it again for every use, as
 * the memory operand of a multiply, and then loads limit a tile. */
#define V16_HOLD(value)   __asm__("" : "+v"(value))
#define V16_ISA(function) ryz_avx512_##function

/* Shapes of the matmul tiles for 32 registers, see matmul_body.h. */
#define TILE_ROWS            4u
#define TILE_TOKENS          6u
#define TILE_TOKENS_FEW      2u
#define FUSED_TOKENS         4u
#define FUSED_LIMIT          64u /* tokens of a call up to which fused tiles are faster */
#define FUSED_ROWS_ONE_TOKEN 8u

struct v16 {
    __m512 v;
};

V16_INLINE struct v16 v16_of(__m512 v)
{
    struct v16 out = {v};
    return out;
}

V16_INLINE __mmask16 v16_first(size_t n)
{
    return (__mmask16)((1U << n) - 1U);
}

V16_INLINE struct v16 v16_zero(void)
{
    return v16_of(_mm512_setzero_ps());
}

V16_INLINE struct v16 v16_set1(float value)
{
    return v16_of(_mm512_set1_ps(value));
}

V16_INLINE struct v16 v16_load(const float *src)
{
    return v16_of(_mm512_loadu_ps(src));
}

V16_INLINE struct v16 v16_load_part(const float *src, size_t n)
{
    return v16_of(_mm512_maskz_loadu_ps(v16_first(n), src));
}

V16_INLINE void v16_store(float *dst, struct v16 a)
{
    _mm512_storeu_ps(dst, a.v);
}

V16_INLINE void v16_store_part(float *dst, struct v16 a, size_t n)
{
    _mm512_mask_storeu_ps(dst, v16_first(n), a.v);
}

V16_INLINE struct v16 v16_add(struct v16 a, struct v16 b)
{
    return v16_of(_mm512_add_ps(a.v, b.v));
}

V16_INLINE struct v16 v16_sub(struct v16 a, struct v16 b)
{
    return v16_of(_mm512_sub_ps(a.v, b.v));
}

V16_INLINE struct v16 v16_mul(struct v16 a, struct v16 b)
{
    return v16_of(_mm512_mul_ps(a.v, b.v));
}

V16_INLINE struct v16 v16_div(struct v16 a, struct v16 b)
{
    return v16_of(_mm512_div_ps(a.v, b.v));
}

/* a * b + c, rounded once. */
V16_INLINE struct v16 v16_fma(struct v16 a, struct v16 b, struct v16 c)
{
    return v16_of(_mm512_fmadd_ps(a.v, b.v, c.v));
}

/* If either is NaN the result is b, in both. */
V16_INLINE struct v16 v16_max(struct v16 a, struct v16 b)
{
    return v16_of(_mm512_max_ps(a.v, b.v));
}

V16_INLINE struct v16 v16_min(struct v16 a, struct v16 b)
{
    return v16_of(_mm512_min_ps(a.v, b.v));
}

/* Nearest integer, ties to even. */
V16_INLINE struct v16 v16_round(struct v16 a)
{
    return v16_of(_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

V16_INLINE struct v16 v16_floor(struct v16 a)
{
    return v16_of(_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC));
}

/* 2^a for integral a in [-126, 127]. */
V16_INLINE struct v16 v16_power_of_two(struct v16 a)
{
    __m512i biased = _mm512_add_epi32(_mm512_cvtps_epi32(a.v), _mm512_set1_epi32(127));
    return v16_of(_mm512_castsi512_ps(_mm512_slli_epi32(biased, 23)));
}

/* Lanes n and up become `fill`. */
V16_INLINE struct v16 v16_keep_first(struct v16 a, size_t n, float fill)
{
    return v16_of(_mm512_mask_blend_ps(v16_first(n), _mm512_set1_ps(fill), a.v));
}

/* Pairs (2i, 2i+1) of x rotated by the cosine and sine in cs (2i, 2i+1). */
V16_INLINE struct v16 v16_rotate_pairs(struct v16 x, struct v16 cs)
{
    __m512 swapped = _mm512_permute_ps(x.v, 0xB1);
    __m512 by_sine = _mm512_mul_ps(swapped, _mm512_movehdup_ps(cs.v));
    return v16_of(_mm512_fmaddsub_ps(x.v, _mm512_moveldup_ps(cs.v), by_sine));
}

/* Lane i plus lane i + 8: the first level of every reduction. */
V16_INLINE __m256 v16_fold(struct v16 a)
{
    return _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
}

V16_INLINE __m256 v16_fold_max(struct v16 a)
{
    return _mm256_max_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
}

V16_INLINE struct v16 v16_load_bf16(const void *src)
{
    __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(src));
    return v16_of(_mm512_castsi512_ps(_mm512_slli_epi32(wide, 16)));
}

V16_INLINE struct v16 v16_load_bf16_part(const void *src, size_t n)
{
    __m512i wide = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(v16_first(n), src));
    return v16_of(_mm512_castsi512_ps(_mm512_slli_epi32(wide, 16)));
}

/* BF16, nearest even; NaN stays NaN and becomes quiet. VCVTNEPS2BF16 is not used: it flushes
 * subnormals. */
V16_INLINE __m256i v16_to_bf16(struct v16 a)
{
    __m512i bits = _mm512_castps_si512(a.v);
    __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    __m512i bias = _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff));
    __m512i rounded = _mm512_srli_epi32(_mm512_add_epi32(bits, bias), 16);
    __m512i quiet = _mm512_or_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(0x40));
    __mmask16 is_nan = _mm512_cmp_ps_mask(a.v, a.v, _CMP_UNORD_Q);
    return _mm512_cvtepi32_epi16(_mm512_mask_blend_epi32(is_nan, rounded, quiet));
}

V16_INLINE void v16_store_bf16(uint16_t *dst, struct v16 a)
{
    _mm256_storeu_si256((__m256i *)(void *)dst, v16_to_bf16(a));
}

V16_INLINE void v16_store_bf16_part(uint16_t *dst, struct v16 a, size_t n)
{
    _mm256_mask_storeu_epi16(dst, v16_first(n), v16_to_bf16(a));
}

V16_INLINE struct v16 v16_load_i8(const void *src)
{
    return v16_of(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(src))));
}

V16_INLINE struct v16 v16_load_i8_part(const void *src, size_t n)
{
    __m128i bytes = _mm_maskz_loadu_epi8(v16_first(n), src);
    return v16_of(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes)));
}

/* Values within [-128, 127], to nearest even. */
V16_INLINE __m128i v16_to_i8(struct v16 a)
{
    return _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(v16_round(a).v));
}

V16_INLINE void v16_store_i8(int8_t *dst, struct v16 a)
{
    _mm_storeu_si128((__m128i *)(void *)dst, v16_to_i8(a));
}

V16_INLINE void v16_store_i8_part(int8_t *dst, struct v16 a, size_t n)
{
    _mm_mask_storeu_epi8(dst, v16_first(n), v16_to_i8(a));
}

/* The F16 at src in every lane. */
V16_INLINE __m512 v16_broadcast_f16(const uint8_t *src)
{
    return _mm512_cvtph_ps(_mm256_set1_epi16((short)load_u16(src)));
}

/* 32 nibbles pick from a table of 16 values: vpermps reads the low four bits of an index only, so
 * the low nibbles need no mask. */
V16_INLINE void v16_decode_nibbles(const uint8_t *quants, __m512 table, struct v16 out[2])
{
    __m512i low = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)quants));
    out[0].v = _mm512_permutexvar_ps(low, table);
    out[1].v = _mm512_permutexvar_ps(_mm512_srli_epi32(low, 4), table);
}

/* Decodes 32 weights at src; `type` is a constant where this is inlined. */
V16_INLINE void v16_decode32(enum ryz_dtype type, const uint8_t *src, struct v16 out[2])
{
    const __m512 count = _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m128i *quants = (const __m128i *)(const void *)(src + 2);
    switch (type) {
    case RYZ_DTYPE_F32:
        out[0].v = _mm512_loadu_ps(src);
        out[1].v = _mm512_loadu_ps(src + 64);
        break;
    case RYZ_DTYPE_F16:
        out[0].v = _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)src));
        out[1].v = _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)(src + 32)));
        break;
    case RYZ_DTYPE_BF16:
        out[0] = v16_load_bf16(src);
        out[1] = v16_load_bf16(src + 32);
        break;
    case RYZ_DTYPE_Q4_0: {
        __m512 steps = _mm512_sub_ps(count, _mm512_set1_ps(8.0F));
        v16_decode_nibbles(src + 2, _mm512_mul_ps(v16_broadcast_f16(src), steps), out);
        break;
    }
    case RYZ_DTYPE_Q4_1: {
        __m512 low = v16_broadcast_f16(src + 2);
        v16_decode_nibbles(src + 4, _mm512_fmadd_ps(v16_broadcast_f16(src), count, low), out);
        break;
    }
    case RYZ_DTYPE_Q8_0: {
        __m512 d = v16_broadcast_f16(src);
        __m512i low = _mm512_cvtepi8_epi32(_mm_loadu_si128(quants));
        __m512i high = _mm512_cvtepi8_epi32(_mm_loadu_si128(quants + 1));
        out[0].v = _mm512_mul_ps(d, _mm512_cvtepi32_ps(low));
        out[1].v = _mm512_mul_ps(d, _mm512_cvtepi32_ps(high));
        break;
    }
    }
}

/* sum[r][t] += w[r][k ..] * x[t][k ..] over F32 rows: one step of a tile (rows, tokens). Each row's
 * vector is loaded once and held while the tokens pass. */
V16_INLINE void v16_add_products(size_t rows, size_t tokens, const uint8_t *const *w,
                                 const float *const *x, size_t k, struct v16 *sum)
{
    __m512 weights[8];
    for (size_t r = 0; r < rows; r++) weights[r] = _mm512_loadu_ps(w[r] + 4 * k);
    for (size_t t = 0; t < tokens; t++) {
        __m512 value = _mm512_loadu_ps(x[t] + k);
        V16_HOLD(value);
        for (size_t r = 0; r < rows; r++) {
            struct v16 *s = &sum[r * tokens + t];
            s->v = _mm512_fmadd_ps(weights[r], value, s->v);
        }
    }
}

#endif
