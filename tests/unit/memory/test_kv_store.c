/*
 * Goal: the KV store's pools are apart from each other, large enough for every block, and refused
 * with a status when they cannot be had; copies move whole blocks and nothing else. Method: fill
 * every pool to its end with its own pattern, then read all of them back.
 */
#include "engine/memory/kv_store.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct ryz_kv_shape small = {
    .n_layers = 3, .n_kv_heads = 2, .head_dim = 5, .block_tokens = 4, .n_blocks = 7};

static size_t pool_bytes(const struct ryz_kv_shape *shape)
{
    return ryz_kv_block_bytes(shape) * shape->n_blocks / (2 * shape->n_layers);
}

static void pools_are_disjoint(const struct ryz_kv_shape *shape)
{
    struct ryz_kv_store *store;
    cr_assert_eq(ryz_kv_store_open(shape, &store, NULL), RYZ_OK);
    size_t bytes = pool_bytes(shape);
    for (uint32_t layer = 0; layer < shape->n_layers; layer++) {
        memset(ryz_kv_store_k(store, layer), (int)(2 * layer + 1), bytes);
        memset(ryz_kv_store_v(store, layer), (int)(2 * layer + 2), bytes);
    }
    for (uint32_t layer = 0; layer < shape->n_layers; layer++) {
        const unsigned char *k = ryz_kv_store_k(store, layer), *v = ryz_kv_store_v(store, layer);
        cr_assert_eq((uintptr_t)k % 64, 0);
        cr_assert_eq((uintptr_t)v % 64, 0);
        for (size_t i = 0; i < bytes; i++) {
            cr_assert_eq(k[i], 2 * layer + 1);
            cr_assert_eq(v[i], 2 * layer + 2);
        }
    }
    ryz_kv_store_close(store);
}

Test(kv_store, holds_every_block_of_every_layer_in_bf16)
{
    cr_assert_eq(ryz_kv_block_bytes(&small), 3 * 2 * 4 * 2 * 5 * 2);
    pools_are_disjoint(&small);
}

Test(kv_store, takes_twice_the_bytes_in_f32)
{
    struct ryz_kv_shape shape = small;
    shape.type = RYZ_KV_F32;
    cr_assert_eq(ryz_kv_block_bytes(&shape), 2 * ryz_kv_block_bytes(&small));
    pools_are_disjoint(&shape);
}

Test(kv_store, takes_little_more_than_half_the_bytes_in_int8)
{
    struct ryz_kv_shape shape = small;
    shape.type = RYZ_KV_INT8;
    cr_assert_eq(ryz_kv_block_bytes(&shape), 3 * 2 * 2 * (4 * 4 + 4 * 5)); /* 4 scales, 4 vectors */
    pools_are_disjoint(&shape);
    /* Of a model: 136 bytes where BF16 takes 256. */
    struct ryz_kv_shape model = {
        .n_layers = 30, .n_kv_heads = 3, .head_dim = 64, .block_tokens = 16, .n_blocks = 1};
    size_t bf16_bytes = ryz_kv_block_bytes(&model);
    model.type = RYZ_KV_INT8;
    cr_assert_eq(ryz_kv_block_bytes(&model) * 256, bf16_bytes * 136);
}

/* What a block of a pool holds after `write_block(.., value)`: different in each pool. */
static int pattern(int value, uint32_t pool)
{
    return value + 16 * (int)pool;
}

static unsigned char *pool_of(struct ryz_kv_store *store, uint32_t pool)
{
    return pool % 2 == 0 ? ryz_kv_store_k(store, pool / 2) : ryz_kv_store_v(store, pool / 2);
}

static void write_block(struct ryz_kv_store *store, uint32_t block, int value)
{
    const struct ryz_kv_shape *shape = ryz_kv_store_shape(store);
    size_t bytes = ryz_kv_block_bytes(shape) / (2 * shape->n_layers);
    for (uint32_t pool = 0; pool < 2 * shape->n_layers; pool++)
        memset(pool_of(store, pool) + block * bytes, pattern(value, pool), bytes);
}

static void assert_block(struct ryz_kv_store *store, uint32_t block, int value)
{
    const struct ryz_kv_shape *shape = ryz_kv_store_shape(store);
    size_t bytes = ryz_kv_block_bytes(shape) / (2 * shape->n_layers);
    for (uint32_t pool = 0; pool < 2 * shape->n_layers; pool++) {
        const unsigned char *at = pool_of(store, pool) + block * bytes;
        for (size_t i = 0; i < bytes; i++) cr_assert_eq(at[i], pattern(value, pool));
    }
}

static void copies_in_order(enum ryz_kv_type type)
{
    struct ryz_kv_shape shape = small;
    shape.type = type;
    shape.n_host_blocks = 2;
    struct ryz_kv_store *store;
    cr_assert_eq(ryz_kv_store_open(&shape, &store, NULL), RYZ_OK);
    for (uint32_t block = 0; block < shape.n_blocks; block++) write_block(store, block, (int)block);
    /* Two change places over the host, one goes in and out again, one is doubled. */
    const struct ryz_kv_copy copies[] = {
        {.from = 0, .to = 1, .kind = RYZ_KV_COPY_OUT},
        {.from = 6, .to = 0, .kind = RYZ_KV_COPY_OUT},
        {.from = 0, .to = 0, .kind = RYZ_KV_COPY_IN},
        {.from = 1, .to = 6, .kind = RYZ_KV_COPY_IN},
        {.from = 3, .to = 1, .kind = RYZ_KV_COPY_OUT},
        {.from = 4, .to = 3, .kind = RYZ_KV_COPY_WITHIN},
        {.from = 1, .to = 2, .kind = RYZ_KV_COPY_IN},
    };
    ryz_kv_store_copy(store, copies, sizeof copies / sizeof copies[0]);
    const int expected[] = {6, 1, 3, 4, 4, 5, 0};
    for (uint32_t block = 0; block < shape.n_blocks; block++)
        assert_block(store, block, expected[block]);
    ryz_kv_store_close(store);
}

Test(kv_store, copies_whole_blocks_in_the_order_given)
{
    copies_in_order(RYZ_KV_BF16);
    copies_in_order(RYZ_KV_F32);
    copies_in_order(RYZ_KV_INT8);
}

Test(kv_store, refuses_more_host_memory_than_there_is)
{
    struct ryz_kv_store *store;
    struct ryz_error error = {0};
    struct ryz_kv_shape shape = small;
    shape.n_host_blocks = UINT32_MAX; /* times some 2^24 bytes a block */
    shape.block_tokens = 1u << 10;
    shape.head_dim = 1u << 9;
    cr_assert_eq(ryz_kv_store_open(&shape, &store, &error), RYZ_NO_MEMORY);
    cr_assert_gt(strlen(error.text), 0);
}

Test(kv_store, tells_its_shape)
{
    struct ryz_kv_store *store;
    cr_assert_eq(ryz_kv_store_open(&small, &store, NULL), RYZ_OK);
    cr_assert_eq(memcmp(ryz_kv_store_shape(store), &small, sizeof small), 0);
    ryz_kv_store_close(store);
}

Test(kv_store, refuses_a_shape_with_a_zero)
{
    struct ryz_kv_store *store;
    for (int i = 0; i < 5; i++) {
        struct ryz_kv_shape shape = small;
        uint32_t *fields[] = {&shape.n_layers, &shape.n_kv_heads, &shape.head_dim,
                              &shape.block_tokens, &shape.n_blocks};
        *fields[i] = 0;
        struct ryz_error error = {0};
        cr_assert_eq(ryz_kv_store_open(&shape, &store, &error), RYZ_INVALID);
        cr_assert_gt(strlen(error.text), 0);
    }
}

Test(kv_store, refuses_more_memory_than_there_is)
{
    struct ryz_kv_store *store;
    struct ryz_error error = {0};
    struct ryz_kv_shape shape = small;
    shape.n_blocks = shape.block_tokens = shape.head_dim = UINT32_MAX; /* the product overflows */
    cr_assert_eq(ryz_kv_store_open(&shape, &store, &error), RYZ_INVALID);
    shape.n_blocks = UINT32_MAX; /* fits an address, but no machine: some 2^56 bytes */
    shape.block_tokens = 1u << 14;
    shape.head_dim = 1u << 6;
    cr_assert_eq(ryz_kv_store_open(&shape, &store, &error), RYZ_NO_MEMORY);
    cr_assert_gt(strlen(error.text), 0);
}

Test(kv_store, closing_nothing_is_allowed)
{
    ryz_kv_store_close(NULL);
}
