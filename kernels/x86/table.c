/*
 * table.c - the x86-64 tables and their CPUID checks.
 *
 * Compiled without ISA flags: this code runs before anything is known of the CPU. Encoding a row is
 * left to the reference; it happens when a model is converted, not while it serves.
 */
#include <cpuid.h>

#include "kernels/ref/ref.h"
#include "kernels/x86/x86.h"

/* clang 14 does not know "f16c" as a name for __builtin_cpu_supports. */
static bool has_f16c(void)
{
    unsigned eax = 0;
    unsigned ebx = 0;
    unsigned ecx = 0;
    unsigned edx = 0;
    return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
}

bool ryz_x86_has_avx2(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
}

bool ryz_x86_has_avx512(void)
{
    return ryz_x86_has_avx2() && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512dq");
}

const struct ryz_kernels ryz_kernels_avx2 = {
    .name = "avx2",
    .matmul = ryz_avx2_matmul,
    .dequantize_row = ryz_avx2_dequantize_row,
    .quantize_row = ryz_ref_quantize_row,
    .rmsnorm = ryz_avx2_rmsnorm,
    .rope = ryz_avx2_rope,
    .silu_mul = ryz_avx2_silu_mul,
    .add = ryz_avx2_add,
    .store_bf16 = ryz_avx2_store_bf16,
    .store_int8 = ryz_avx2_store_int8,
    .attention = ryz_avx2_attention,
};

const struct ryz_kernels ryz_kernels_avx512 = {
    .name = "avx512",
    .matmul = ryz_avx512_matmul,
    .dequantize_row = ryz_avx512_dequantize_row,
    .quantize_row = ryz_ref_quantize_row,
    .rmsnorm = ryz_avx512_rmsnorm,
    .rope = ryz_avx512_rope,
    .silu_mul = ryz_avx512_silu_mul,
    .add = ryz_avx512_add,
    .store_bf16 = ryz_avx512_store_bf16,
    .store_int8 = ryz_avx512_store_int8,
    .attention = ryz_avx512_attention,
};
