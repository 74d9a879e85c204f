/*
 * v16_avx2.h - the 16-lane vector of F32 in AVX2: lanes 0..7 and 8..15 in two ymm registers.
 *
 * Same vocabulary as v16_avx512.h, operation for operation, so that a body written over struct v16
 * gives the same bits in both. `_part` variants touch the first n lanes of memory only (0 <= n <=
 * 16; missing lanes are 0) and cannot fault past them. Include only from files compiled with AVX2,
 * FMA and F16C.
 */
#ifndef RYZ_KERNELS_X86_V16_AVX2_H
#define RYZ_KERNELS_X86_V16_AVX2_H

#include <immintrin.h>

#include "kernels/convert.h"
#include "kernels/kernels.h"

#define V16_INLINE static inline __attribute__((always_inline, unused))
/* For loops that need every register: inlined, they would share them with their surroundings. */
#define V16_NOINLINE static __attribute__((noinline, unused))
/* Makes the compiler keep a loaded value in its register: GCC 12 loads it again for every use, as
 * the memory operand of a multiply, and then loads limit a tile. */
#define V16_HOLD(value)   __asm__("" : "+x"(value))
#define V16_ISA(function) ryz_avx2_##function

/* Shapes of the matmul tiles for 16 registers, see matmul_body.h. */
#define TILE_ROWS            2u
#define TILE_TOKENS          3u
#define TILE_TOKENS_FEW      1u
#define FUSED_TOKENS         2u
#define FUSED_LIMIT          4u /* tokens of a call up to which fused tiles are faster */
#define FUSED_ROWS_ONE_TOKEN 4u

struct v16 {
    __m256 lo, hi;
};

V16_INLINE struct v16 v16_of(__m256 lo, __m256 hi)
{
    struct v16 out = {lo, hi};
    return out;
}

/* All ones in 32-bit lanes first .. first + 7 that are below n. */
V16_INLINE __m256i v16_first(size_t n, int first)
{
    __m256i lane =
        _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32(first));
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), lane);
}

V16_INLINE struct v16 v16_zero(void)
{
    return v16_of(_mm256_setzero_ps(), _mm256_setzero_ps());
}

V16_INLINE struct v16 v16_set1(float value)
{
    return v16_of(_mm256_set1_ps(value), _mm256_set1_ps(value));
}

V16_INLINE struct v16 v16_load(const float *src)
{
    return v16_of(_mm256_loadu_ps(src), _mm256_loadu_ps(src + 8));
}

V16_INLINE struct v16 v16_load_part(const float *src, size_t n)
{
    return v16_of(_mm256_maskload_ps(src, v16_first(n, 0)),
                  _mm256_maskload_ps(src + 8, v16_first(n, 8)));
}

V16_INLINE void v16_store(float *dst, struct v16 a)
{
    _mm256_storeu_ps(dst, a.lo);
    _mm256_storeu_ps(dst + 8, a.hi);
}

V16_INLINE void v16_store_part(float *dst, struct v16 a, size_t n)
{
    _mm256_maskstore_ps(dst, v16_first(n, 0), a.lo);
    _mm256_maskstore_ps(dst + 8, v16_first(n, 8), a.hi);
}

V16_INLINE struct v16 v16_add(struct v16 a, struct v16 b)
{
    return v16_of(_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi));
}

V16_INLINE struct v16 v16_sub(struct v16 a, struct v16 b)
{
    return v16_of(_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi));
}

V16_INLINE struct v16 v16_mul(struct v16 a, struct v16 b)
{
    return v16_of(_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi));
}

V16_INLINE struct v16 v16_div(struct v16 a, struct v16 b)
{
    return v16_of(_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi));
}

/* a * b + c, rounded once. */
V16_INLINE struct v16 v16_fma(struct v16 a, struct v16 b, struct v16 c)
{
    return v16_of(_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi));
}

/* If either is NaN the result is b, in both. */
V16_INLINE struct v16 v16_max(struct v16 a, struct v16 b)
{
    return v16_of(_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi));
}

V16_INLINE struct v16 v16_min(struct v16 a, struct v16 b)
{
    return v16_of(_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi));
}

/* Nearest integer, ties to even. */
V16_INLINE struct v16 v16_round(struct v16 a)
{
    return v16_of(_mm256_round_ps(a.lo, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC),
                  _mm256_round_ps(a.hi, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

V16_INLINE struct v16 v16_floor(struct v16 a)
{
    return v16_of(_mm256_floor_ps(a.lo), _mm256_floor_ps(a.hi));
}

V16_INLINE __m256 v16_power_of_two_half(__m256 a)
{
    __m256i biased = _mm256_add_epi32(_mm256_cvtps_epi32(a), _mm256_set1_epi32(127));
    return _mm256_castsi256_ps(_mm256_slli_epi32(biased, 23));
}

/* 2^a for integral a in [-126, 127]. */
V16_INLINE struct v16 v16_power_of_two(struct v16 a)
{
    return v16_of(v16_power_of_two_half(a.lo), v16_power_of_two_half(a.hi));
}

/* Lanes n and up become `fill`. */
V16_INLINE struct v16 v16_keep_first(struct v16 a, size_t n, float fill)
{
    __m256 other = _mm256_set1_ps(fill);
    return v16_of(_mm256_blendv_ps(other, a.lo, _mm256_castsi256_ps(v16_first(n, 0))),
                  _mm256_blendv_ps(other, a.hi, _mm256_castsi256_ps(v16_first(n, 8))));
}

V16_INLINE __m256 v16_rotate_pairs_half(__m256 x, __m256 cs)
{
    __m256 by_sine = _mm256_mul_ps(_mm256_permute_ps(x, 0xB1), _mm256_movehdup_ps(cs));
    return _mm256_fmaddsub_ps(x, _mm256_moveldup_ps(cs), by_sine);
}

/* Pairs (2i, 2i+1) of x rotated by the cosine and sine in cs (2i, 2i+1). */
V16_INLINE struct v16 v16_rotate_pairs(struct v16 x, struct v16 cs)
{
    return v16_of(v16_rotate_pairs_half(x.lo, cs.lo), v16_rotate_pairs_half(x.hi, cs.hi));
}

/* Lane i plus lane i + 8: the first level of every reduction. */
V16_INLINE __m256 v16_fold(struct v16 a)
{
    return _mm256_add_ps(a.lo, a.hi);
}

V16_INLINE __m256 v16_fold_max(struct v16 a)
{
    return _mm256_max_ps(a.lo, a.hi);
}

V16_INLINE __m256 v16_widen_bf16(__m128i halves)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
}

V16_INLINE struct v16 v16_load_bf16(const void *src)
{
    const __m128i *halves = src;
    return v16_of(v16_widen_bf16(_mm_loadu_si128(halves)),
                  v16_widen_bf16(_mm_loadu_si128(halves + 1)));
}

V16_INLINE struct v16 v16_load_bf16_part(const void *src, size_t n)
{
    uint16_t halves[16] = {0};
    memcpy(halves, src, n * sizeof halves[0]);
    return v16_load_bf16(halves);
}

/* BF16 in the low 16 bits of each lane, nearest even; NaN stays NaN and becomes quiet. */
V16_INLINE __m256i v16_to_bf16_half(__m256 a)
{
    __m256i bits = _mm256_castps_si256(a);
    __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    __m256i bias = _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff));
    __m256i rounded = _mm256_srli_epi32(_mm256_add_epi32(bits, bias), 16);
    __m256i quiet = _mm256_or_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(0x40));
    __m256i is_nan = _mm256_castps_si256(_mm256_cmp_ps(a, a, _CMP_UNORD_Q));
    return _mm256_blendv_epi8(rounded, quiet, is_nan);
}

V16_INLINE void v16_store_bf16(uint16_t *dst, struct v16 a)
{
    __m256i packed = _mm256_packus_epi32(v16_to_bf16_half(a.lo), v16_to_bf16_half(a.hi));
    _mm256_storeu_si256((__m256i *)(void *)dst, _mm256_permute4x64_epi64(packed, 0xD8));
}

V16_INLINE void v16_store_bf16_part(uint16_t *dst, struct v16 a, size_t n)
{
    uint16_t halves[16];
    v16_store_bf16(halves, a);
    memcpy(dst, halves, n * sizeof halves[0]);
}

/* The F16 at src in every lane. */
V16_INLINE __m256 v16_broadcast_f16(const uint8_t *src)
{
    return _mm256_cvtph_ps(_mm_set1_epi16((short)load_u16(src)));
}

/* 16 signed bytes as F32. */
V16_INLINE struct v16 v16_from_i8(__m128i bytes)
{
    __m256i lo = _mm256_cvtepi8_epi32(bytes);
    __m256i hi = _mm256_cvtepi8_epi32(_mm_srli_si128(bytes, 8));
    return v16_of(_mm256_cvtepi32_ps(lo), _mm256_cvtepi32_ps(hi));
}

V16_INLINE struct v16 v16_load_i8(const void *src)
{
    const int8_t *bytes = src;
    __m256i lo = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)bytes));
    __m256i hi = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(bytes + 8)));
    return v16_of(_mm256_cvtepi32_ps(lo), _mm256_cvtepi32_ps(hi));
}

V16_INLINE struct v16 v16_load_i8_part(const void *src, size_t n)
{
    int8_t bytes[16] = {0};
    memcpy(bytes, src, n);
    return v16_load_i8(bytes);
}

/* Values within [-128, 127], to nearest even. */
V16_INLINE void v16_store_i8(int8_t *dst, struct v16 a)
{
    struct v16 whole = v16_round(a);
    __m256i packed = _mm256_packs_epi32(_mm256_cvtps_epi32(whole.lo), _mm256_cvtps_epi32(whole.hi));
    packed = _mm256_permute4x64_epi64(packed, 0xD8);
    __m128i bytes =
        _mm_packs_epi16(_mm256_castsi256_si128(packed), _mm256_extracti128_si256(packed, 1));
    _mm_storeu_si128((__m128i *)(void *)dst, bytes);
}

V16_INLINE void v16_store_i8_part(int8_t *dst, struct v16 a, size_t n)
{
    int8_t bytes[16];
    v16_store_i8(bytes, a);
    memcpy(dst, bytes, n);
}

/* 32 nibbles minus `zero` as F32, low nibbles first. */
V16_INLINE void v16_from_nibbles(const uint8_t *src, char zero, struct v16 out[2])
{
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)src);
    __m128i low = _mm_and_si128(bytes, _mm_set1_epi8(0x0f));
    __m128i high = _mm_and_si128(_mm_srli_epi16(bytes, 4), _mm_set1_epi8(0x0f));
    out[0] = v16_from_i8(_mm_sub_epi8(low, _mm_set1_epi8(zero)));
    out[1] = v16_from_i8(_mm_sub_epi8(high, _mm_set1_epi8(zero)));
}

/* Decodes 32 weights at src; `type` is a constant where this is inlined. */
V16_INLINE void v16_decode32(enum ryz_dtype type, const uint8_t *src, struct v16 out[2])
{
    const __m128i *halves = (const __m128i *)(const void *)src;
    const __m128i *quants = (const __m128i *)(const void *)(src + 2);
    switch (type) {
    case RYZ_DTYPE_F32:
        out[0] = v16_of(_mm256_loadu_ps((const float *)(const void *)src),
                        _mm256_loadu_ps((const float *)(const void *)(src + 32)));
        out[1] = v16_of(_mm256_loadu_ps((const float *)(const void *)(src + 64)),
                        _mm256_loadu_ps((const float *)(const void *)(src + 96)));
        break;
    case RYZ_DTYPE_F16:
        out[0] = v16_of(_mm256_cvtph_ps(_mm_loadu_si128(halves)),
                        _mm256_cvtph_ps(_mm_loadu_si128(halves + 1)));
        out[1] = v16_of(_mm256_cvtph_ps(_mm_loadu_si128(halves + 2)),
                        _mm256_cvtph_ps(_mm_loadu_si128(halves + 3)));
        break;
    case RYZ_DTYPE_BF16:
        out[0] = v16_load_bf16(src);
        out[1] = v16_load_bf16(src + 32);
        break;
    case RYZ_DTYPE_Q4_0: {
        __m256 d = v16_broadcast_f16(src);
        v16_from_nibbles(src + 2, 8, out);
        out[0] = v16_mul(v16_of(d, d), out[0]);
        out[1] = v16_mul(v16_of(d, d), out[1]);
        break;
    }
    case RYZ_DTYPE_Q4_1: {
        __m256 d = v16_broadcast_f16(src);
        __m256 low = v16_broadcast_f16(src + 2);
        v16_from_nibbles(src + 4, 0, out);
        out[0] = v16_fma(v16_of(d, d), out[0], v16_of(low, low));
        out[1] = v16_fma(v16_of(d, d), out[1], v16_of(low, low));
        break;
    }
    case RYZ_DTYPE_Q8_0: {
        __m256 d = v16_broadcast_f16(src);
        out[0] = v16_mul(v16_of(d, d), v16_from_i8(_mm_loadu_si128(quants)));
        out[1] = v16_mul(v16_of(d, d), v16_from_i8(_mm_loadu_si128(quants + 1)));
        break;
    }
    }
}

/* sum[r][t] += w[r][k ..] * x[t][k ..] over F32 rows: one step of a tile (rows, tokens). Half after
 * half: 12 sums, 2 weights and 1 activation fit 16 registers, whole vectors do not. */
V16_INLINE void v16_add_products(size_t rows, size_t tokens, const uint8_t *const *w,
                                 const float *const *x, size_t k, struct v16 *sum)
{
    __m256 weights[4];
    for (size_t r = 0; r < rows; r++) {
        weights[r] = _mm256_loadu_ps((const float *)(const void *)w[r] + k);
    }
    for (size_t t = 0; t < tokens; t++) {
        __m256 value = _mm256_loadu_ps(x[t] + k);
        V16_HOLD(value);
        for (size_t r = 0; r < rows; r++) {
            struct v16 *s = &sum[r * tokens + t];
            s->lo = _mm256_fmadd_ps(weights[r], value, s->lo);
        }
    }
    for (size_t r = 0; r < rows; r++) {
        weights[r] = _mm256_loadu_ps((const float *)(const void *)w[r] + k + 8);
    }
    for (size_t t = 0; t < tokens; t++) {
        __m256 value = _mm256_loadu_ps(x[t] + k + 8);
        V16_HOLD(value);
        for (size_t r = 0; r < rows; r++) {
            struct v16 *s = &sum[r * tokens + t];
            s->hi = _mm256_fmadd_ps(weights[r], value, s->hi);
        }
    }
}

#endif
