/*
 * x86.h - the tables for x86-64 and what a CPU must have to run them.
 *
 * Only declared functions of this folder may be compiled with ISA flags; x86/table.c is not.
 */
#ifndef RYZ_KERNELS_X86_X86_H
#define RYZ_KERNELS_X86_X86_H

#include "kernels/kernels.h"

extern const struct ryz_kernels ryz_kernels_avx2;   /* AVX2, FMA, F16C */
extern const struct ryz_kernels ryz_kernels_avx512; /* the above, AVX-512 F, BW, VL, DQ */

/* True if this CPU and its operating system can run the table. */
bool ryz_x86_has_avx2(void);
bool ryz_x86_has_avx512(void);

/* The entries of the two tables, see struct ryz_kernels. */
#define RYZ_X86_DECLARE(isa)                                                                       \
    void ryz_##isa##_matmul(const struct ryz_matrix *w, size_t row_first, size_t row_end,          \
                            const float *x, size_t x_stride, size_t m_tokens, float *y,            \
                            size_t y_stride);                                                      \
    void ryz_##isa##_dequantize_row(enum ryz_dtype type, const void *src, float *dst,              \
                                    size_t count);                                                 \
    void ryz_##isa##_rmsnorm(float *out, const float *x, const float *weight, size_t count,        \
                             float eps);                                                           \
    void ryz_##isa##_rope(float *x, size_t n_heads, size_t head_dim, size_t rope_dims,             \
                          const float *cos_sin);                                                   \
    void ryz_##isa##_silu_mul(float *gate, const float *up, size_t count);                         \
    void ryz_##isa##_add(float *x, const float *y, size_t count);                                  \
    void ryz_##isa##_store_bf16(uint16_t *dst, const float *src, size_t count);                    \
    void ryz_##isa##_store_int8(int8_t *dst, float *scale, const float *src, size_t count);        \
    void ryz_##isa##_attention(const struct ryz_attention *a)

RYZ_X86_DECLARE(avx2);
RYZ_X86_DECLARE(avx512);

#endif
