/*
 * ref.h - the reference functions: scalar, obvious, sums in double.
 *
 * Shapes, units and rules are those of struct ryz_kernels in kernels.h. The faster tables name
 * these functions where they have none of their own, and tests compare against them.
 */
#ifndef RYZ_KERNELS_REF_REF_H
#define RYZ_KERNELS_REF_REF_H

#include "kernels/kernels.h"

extern const struct ryz_kernels ryz_kernels_ref;

/* See ryz_kernels.matmul; a last, partial block of a quantised row must be stored in full. */
void ryz_ref_matmul(const struct ryz_matrix *w, size_t row_first, size_t row_end, const float *x,
                    size_t x_stride, size_t m_tokens, float *y, size_t y_stride);
/* See ryz_kernels.dequantize_row. */
void ryz_ref_dequantize_row(enum ryz_dtype type, const void *src, float *dst, size_t count);
/* See ryz_kernels.quantize_row; count is a multiple of the type's block. */
void ryz_ref_quantize_row(enum ryz_dtype type, const float *src, void *dst, size_t count);
/* See ryz_kernels.rmsnorm. */
void ryz_ref_rmsnorm(float *out, const float *x, const float *weight, size_t count, float eps);
/* See ryz_kernels.rope. */
void ryz_ref_rope(float *x, size_t n_heads, size_t head_dim, size_t rope_dims,
                  const float *cos_sin);
/* See ryz_kernels.silu_mul. */
void ryz_ref_silu_mul(float *gate, const float *up, size_t count);
/* See ryz_kernels.add. */
void ryz_ref_add(float *x, const float *y, size_t count);
/* See ryz_kernels.store_bf16. */
void ryz_ref_store_bf16(uint16_t *dst, const float *src, size_t count);
/* See ryz_kernels.store_int8. */
void ryz_ref_store_int8(int8_t *dst, float *scale, const float *src, size_t count);
/* See ryz_kernels.attention. */
void ryz_ref_attention(const struct ryz_attention *a);

#endif
