/*
 * kv_store.h - the tensors behind the KV block ids that the scheduler's ledger hands out.
 *
 * Per layer one pool of keys and one of values, n_blocks blocks each, laid out as kernels/kv.h
 * says; block ids are the ledger's. Host blocks are memory of their own, a block of all layers in
 * one piece. Knows nothing of requests.
 */
#ifndef RYZ_MEMORY_KV_STORE_H
#define RYZ_MEMORY_KV_STORE_H

#include "engine/base/kv_copy.h"
#include "engine/base/status.h"
#include "kernels/kernels.h"

#include <stddef.h>
#include <stdint.h>

struct ryz_kv_shape {
    uint32_t n_layers, n_kv_heads, head_dim;
    uint32_t block_tokens;
    uint32_t n_blocks;
    uint32_t n_host_blocks; /* beside the pools, reached by ryz_kv_store_copy alone; may be 0 */
    enum ryz_kv_type type;  /* F32 is twice the memory of BF16 and takes the slow reference
                               attention; INT8 is about half */
};

struct ryz_kv_store;

/* Bytes of one block over all layers, keys and values; 0 if the shape has a zero or the product
 * does not fit. */
size_t ryz_kv_block_bytes(const struct ryz_kv_shape *shape);
/* Takes all memory at once, so that serving never waits for a page. RYZ_INVALID for an empty
 * shape, RYZ_NO_MEMORY when there is not enough. */
RYZ_MUST_USE enum ryz_status ryz_kv_store_open(const struct ryz_kv_shape *shape,
                                               struct ryz_kv_store **out, struct ryz_error *error);
/* NULL is allowed. */
void ryz_kv_store_close(struct ryz_kv_store *store);
const struct ryz_kv_shape *ryz_kv_store_shape(const struct ryz_kv_store *store);
/* The pool of keys or values of a layer, 64-byte aligned. */
void *ryz_kv_store_k(struct ryz_kv_store *store, uint32_t layer);
void *ryz_kv_store_v(struct ryz_kv_store *store, uint32_t layer);
/* Copies whole blocks (keys and values of all layers), one after the other in the order given, so a
 * copy may read what the one before it wrote. No forward pass may run meanwhile. */
void ryz_kv_store_copy(struct ryz_kv_store *store, const struct ryz_kv_copy *copies,
                       uint32_t count);

#endif
