/*
 * kv.c - names and sizes of the KV cache's storage types.
 */
#include "kernels/kv.h"

#include <string.h>

static const char *const names[] = {
    [RYZ_KV_BF16] = "bf16", [RYZ_KV_F32] = "f32", [RYZ_KV_INT8] = "int8"};

const char *ryz_kv_type_name(enum ryz_kv_type type)
{
    return names[type];
}

bool ryz_kv_type_parse(const char *name, enum ryz_kv_type *type)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], name) != 0) continue;
        *type = (enum ryz_kv_type)i;
        return true;
    }
    return false;
}

size_t ryz_kv_type_block_bytes(enum ryz_kv_type type, uint32_t block_tokens, uint32_t n_kv_heads,
                               uint32_t head_dim)
{
    /* No position takes more than 8 bytes a dimension, scale and padding included. */
    size_t most = 8;
    if (__builtin_mul_overflow(most, (size_t)block_tokens, &most) ||
        __builtin_mul_overflow(most, (size_t)n_kv_heads, &most) ||
        __builtin_mul_overflow(most, (size_t)head_dim, &most) || most == 0) {
        return 0;
    }
    return ryz_kv_layout_of(type, block_tokens, n_kv_heads, head_dim).block_bytes;
}
