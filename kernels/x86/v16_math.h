/*
 * v16_math.h - reductions and the exponential over struct v16, shared by AVX2 and AVX-512.
 *
 * Include after one of v16_avx2.h and v16_avx512.h. The idea to know: the reduction tree. Sixteen
 * lanes a[0..15] always add up as
 *
 *     b[i] = a[i] + a[i+8]   (i < 8)      c[i] = b[i] + b[i+4]   (i < 4)
 *     d[i] = c[i] + c[i+2]   (i < 2)      sum  = d[0] + d[1]
 *
 * whether one vector is reduced or four at once, so a dot product has one value.
 */
#ifndef RYZ_KERNELS_X86_V16_MATH_H
#define RYZ_KERNELS_X86_V16_MATH_H

/* The sums of a, b, c and d, in this order. */
V16_INLINE __m128 v16_sum4(struct v16 a, struct v16 b, struct v16 c, struct v16 d)
{
    __m256 a8 = v16_fold(a);
    __m256 b8 = v16_fold(b);
    __m256 c8 = v16_fold(c);
    __m256 d8 = v16_fold(d);
    __m256 ab =
        _mm256_add_ps(_mm256_permute2f128_ps(a8, b8, 0x20), _mm256_permute2f128_ps(a8, b8, 0x31));
    __m256 cd =
        _mm256_add_ps(_mm256_permute2f128_ps(c8, d8, 0x20), _mm256_permute2f128_ps(c8, d8, 0x31));
    /* Per 128-bit lane: two of a, two of c | two of b, two of d. */
    __m256 pairs = _mm256_add_ps(_mm256_shuffle_ps(ab, cd, 0x44), _mm256_shuffle_ps(ab, cd, 0xEE));
    __m128 ac = _mm256_castps256_ps128(pairs);
    __m128 bd = _mm256_extractf128_ps(pairs, 1);
    __m128 acbd = _mm_add_ps(_mm_shuffle_ps(ac, bd, 0x88), _mm_shuffle_ps(ac, bd, 0xDD));
    return _mm_shuffle_ps(acbd, acbd, 0xD8);
}

V16_INLINE float v16_sum(struct v16 a)
{
    __m256 b = v16_fold(a);
    __m128 c = _mm_add_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
    __m128 d = _mm_add_ps(c, _mm_movehl_ps(c, c));
    return _mm_cvtss_f32(_mm_add_ss(d, _mm_movehdup_ps(d)));
}

V16_INLINE float v16_largest(struct v16 a)
{
    __m256 b = v16_fold_max(a);
    __m128 c = _mm_max_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
    __m128 d = _mm_max_ps(c, _mm_movehl_ps(c, c));
    return _mm_cvtss_f32(_mm_max_ss(d, _mm_movehdup_ps(d)));
}

/*
 * e^x to about 1 ulp; 0 below -104, infinity above 88.73, NaN for NaN. x = n ln 2 + r with
 * |r| <= ln 2 / 2, and e^r = 1 + r + r^2 P(r); P interpolates at Chebyshev nodes (relative error of
 * e^r 1.0e-8). 2^n is applied in two factors because n reaches from -151 to 128.
 */
V16_INLINE struct v16 v16_exp(struct v16 x)
{
    x = v16_max(v16_set1(-105.0F), v16_min(v16_set1(89.0F), x));
    struct v16 n = v16_round(v16_mul(x, v16_set1(1.44269504F)));
    struct v16 r = v16_fma(n, v16_set1(-0.693359375F), x);
    r = v16_fma(n, v16_set1(2.12194440e-4F), r);
    struct v16 p = v16_set1(0.00139261836F);
    p = v16_fma(p, r, v16_set1(0.00836317905F));
    p = v16_fma(p, r, v16_set1(0.0416665546F));
    p = v16_fma(p, r, v16_set1(0.16666577F));
    p = v16_fma(p, r, v16_set1(0.5F));
    p = v16_fma(p, v16_mul(r, r), r);
    p = v16_add(p, v16_set1(1.0F));
    struct v16 half = v16_floor(v16_mul(n, v16_set1(0.5F)));
    struct v16 rest = v16_sub(n, half);
    return v16_mul(v16_mul(p, v16_power_of_two(half)), v16_power_of_two(rest));
}

#endif
