/*
 * Goal: KV types have names and sizes, and no two vectors or scales of a block share a byte.
 * Method: every address of small blocks is marked once; the marks fill the block but for padding.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "kernels/kv.h"

static const enum ryz_kv_type types[] = {RYZ_KV_BF16, RYZ_KV_F32, RYZ_KV_INT8};

Test(kernels_kv, types_are_found_by_name)
{
    static const char *const names[] = {"bf16", "f32", "int8"};
    for (size_t i = 0; i < 3; i++) {
        enum ryz_kv_type type = RYZ_KV_BF16;
        cr_assert_str_eq(ryz_kv_type_name(types[i]), names[i]);
        cr_assert(ryz_kv_type_parse(names[i], &type));
        cr_assert_eq(type, types[i]);
    }
    enum ryz_kv_type type;
    cr_assert_not(ryz_kv_type_parse("int4", &type));
    cr_assert_not(ryz_kv_type_parse("", &type));
}

Test(kernels_kv, blocks_have_the_size_of_their_vectors_and_scales)
{
    cr_assert_eq(ryz_kv_type_block_bytes(RYZ_KV_BF16, 16, 3, 64), 16 * 3 * 64 * 2);
    cr_assert_eq(ryz_kv_type_block_bytes(RYZ_KV_F32, 16, 3, 64), 16 * 3 * 64 * 4);
    cr_assert_eq(ryz_kv_type_block_bytes(RYZ_KV_INT8, 16, 3, 64), 16 * 3 * (64 + 4));
    cr_assert_eq(ryz_kv_type_block_bytes(RYZ_KV_INT8, 3, 2, 5), 2 * (12 + 16));
}

Test(kernels_kv, an_empty_or_impossible_block_has_no_size)
{
    for (size_t i = 0; i < 3; i++) {
        cr_assert_eq(ryz_kv_type_block_bytes(types[i], 0, 3, 64), 0);
        cr_assert_eq(ryz_kv_type_block_bytes(types[i], 16, 0, 64), 0);
        cr_assert_eq(ryz_kv_type_block_bytes(types[i], 16, 3, 0), 0);
        cr_assert_eq(ryz_kv_type_block_bytes(types[i], UINT32_MAX, 2, UINT32_MAX), 0);
    }
}

static void mark(unsigned char *bytes, size_t at, size_t count)
{
    for (size_t i = at; i < at + count; i++) {
        cr_assert_eq(bytes[i], 0, "byte %zu is used twice", i);
        bytes[i] = 1;
    }
}

static void mark_block(enum ryz_kv_type type, uint32_t tokens, uint32_t heads, uint32_t dim)
{
    static unsigned char bytes[4096];
    static const size_t sizes[] = {[RYZ_KV_BF16] = 2, [RYZ_KV_F32] = 4, [RYZ_KV_INT8] = 1};
    struct ryz_kv_layout layout = ryz_kv_layout_of(type, tokens, heads, dim);
    size_t used = 0;
    cr_assert(layout.block_bytes <= sizeof bytes);
    memset(bytes, 0, sizeof bytes);
    for (uint32_t h = 0; h < heads; h++) {
        for (uint32_t t = 0; t < tokens; t++) {
            size_t head = h * layout.head_bytes;
            if (type == RYZ_KV_INT8) mark(bytes, head + t * sizeof(float), sizeof(float));
            mark(bytes, head + layout.values_offset + t * layout.position_bytes, dim * sizes[type]);
        }
    }
    for (size_t i = 0; i < sizeof bytes; i++) used += bytes[i];
    for (size_t i = layout.block_bytes; i < sizeof bytes; i++) cr_assert_eq(bytes[i], 0);
    cr_assert_leq(layout.block_bytes - used, type == RYZ_KV_INT8 ? 3 * heads : 0);
    if (type == RYZ_KV_INT8) cr_assert_eq(layout.head_bytes % sizeof(float), 0);
}

Test(kernels_kv, vectors_and_scales_do_not_overlap)
{
    for (size_t i = 0; i < 3; i++) {
        for (uint32_t dim = 1; dim < 20; dim += 3) {
            for (uint32_t tokens = 1; tokens < 9; tokens++) mark_block(types[i], tokens, 3, dim);
        }
    }
}
