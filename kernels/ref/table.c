/*
 * table.c - the reference functions as a table.
 */
#include "kernels/ref/ref.h"

const struct ryz_kernels ryz_kernels_ref = {
    .name = "ref",
    .matmul = ryz_ref_matmul,
    .dequantize_row = ryz_ref_dequantize_row,
    .quantize_row = ryz_ref_quantize_row,
    .rmsnorm = ryz_ref_rmsnorm,
    .rope = ryz_ref_rope,
    .silu_mul = ryz_ref_silu_mul,
    .add = ryz_ref_add,
    .store_bf16 = ryz_ref_store_bf16,
    .store_int8 = ryz_ref_store_int8,
    .attention = ryz_ref_attention,
};
