/*
 * kv_store.h - the tensors behind the KV block ids that the scheduler's ledger hands out.
 *
 * Per layer one pool of keys and one of values, BF16, (n_blocks, block_tokens, n_kv_heads,
 * head_dim); block ids are the ledger's. Knows nothing of requests.
 */
#ifndef RYZ_MEMORY_KV_STORE_H
#define RYZ_MEMORY_KV_STORE_H

#include "engine/base/status.h"

#include <stddef.h>
#include <stdint.h>

struct ryz_kv_shape {
    uint32_t n_layers, n_kv_heads, head_dim;
    uint32_t block_tokens;
    uint32_t n_blocks;
};

struct ryz_kv_store;

/* Bytes of one block over all layers, keys and values. */
size_t ryz_kv_block_bytes(const struct ryz_kv_shape *shape);
RYZ_MUST_USE enum ryz_status ryz_kv_store_open(const struct ryz_kv_shape *shape,
                                               struct ryz_kv_store **out, struct ryz_error *error);
void ryz_kv_store_close(struct ryz_kv_store *store);
const struct ryz_kv_shape *ryz_kv_store_shape(const struct ryz_kv_store *store);
uint16_t *ryz_kv_store_k(struct ryz_kv_store *store, uint32_t layer);
uint16_t *ryz_kv_store_v(struct ryz_kv_store *store, uint32_t layer);

#endif
