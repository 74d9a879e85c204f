/*
 * kv.h - storage types of the KV cache and where a vector lies in a block.
 *
 * Leaves to others: who owns a block (the ledger), the memory (engine/memory), the arithmetic
 * (ryz_kernels.store_* and .attention). A layer has one pool of keys and one of values; a pool is
 * blocks of block_tokens positions; a block of a pool, S = block_tokens, D = head_dim:
 *
 *   BF16, F32, position by position:       | position 0              | position 1 ...
 *                                          | head 0 D | head 1 D | ..|
 *
 *   INT8, KV head by KV head:              | head 0                  | head 1 ...
 *                                          | S scales | S vectors of D int8, padded to 4 bytes |
 *                                            F32        value = scale * int8
 *
 * INT8 keeps a head's positions together because attention streams one KV head at a time: for
 * S = 16 and D = 64 one cache line of scales and 16 lines of values follow each other, each
 * aligned. The scale is F32, not BF16: sixteen fill a line and need no widening, the largest value
 * keeps its exact code 127, and it costs 2 bytes in 66 (D = 64) or in 130 (D = 128). K and V alike.
 */
#ifndef RYZ_KERNELS_KV_H
#define RYZ_KERNELS_KV_H

#include "kernels/kernels.h"

/* "bf16", "f32" or "int8". */
const char *ryz_kv_type_name(enum ryz_kv_type type);
/* Finds a type by that name; false if there is none. */
bool ryz_kv_type_parse(const char *name, enum ryz_kv_type *type);
/* Bytes of one block of one pool; 0 if a factor is 0 or the product does not fit. */
size_t ryz_kv_type_block_bytes(enum ryz_kv_type type, uint32_t block_tokens, uint32_t n_kv_heads,
                               uint32_t head_dim);

/* Distances in bytes within one pool. The vector of position t of a block and KV head h starts at
 * block * block_bytes + h * head_bytes + values_offset + t * position_bytes, its scale (INT8) at
 * block * block_bytes + h * head_bytes + t * sizeof(float). */
struct ryz_kv_layout {
    size_t block_bytes, head_bytes, position_bytes;
    size_t values_offset; /* of a head's first vector; before it are the scales */
};

/* The layout of a shape for which ryz_kv_type_block_bytes is not 0. */
static inline struct ryz_kv_layout ryz_kv_layout_of(enum ryz_kv_type type, uint32_t block_tokens,
                                                    uint32_t n_kv_heads, uint32_t head_dim)
{
    struct ryz_kv_layout layout;
    if (type == RYZ_KV_INT8) {
        layout.position_bytes = head_dim;
        layout.values_offset = block_tokens * sizeof(float);
        size_t vectors = ((size_t)block_tokens * head_dim + 3) / 4 * 4;
        layout.head_bytes = layout.values_offset + vectors;
        layout.block_bytes = n_kv_heads * layout.head_bytes;
        return layout;
    }
    layout.head_bytes = head_dim * (type == RYZ_KV_F32 ? sizeof(float) : sizeof(uint16_t));
    layout.position_bytes = n_kv_heads * layout.head_bytes;
    layout.values_offset = 0;
    layout.block_bytes = block_tokens * layout.position_bytes;
    return layout;
}

#endif
