/*
 * kv_store.c - one mapping that holds the key and value pools of all layers, one for host blocks.
 *
 * Leaves to others: who owns which block (the ledger) and what is written there (the forward pass).
 * The idea: memory comes straight from the kernel and is touched at open, because a first page
 * fault in the middle of a measured request would be blamed on the engine.
 *
 *   | k of layer 0 | v of layer 0 | k of layer 1 | v of layer 1 | ...   each 64-byte aligned
 *
 *   host: | block 0: its k of layer 0, v of layer 0, k of layer 1, ... | block 1 | ...
 */
#include "engine/memory/kv_store.h"

#include "engine/base/assert.h"
#include "engine/base/size.h"
#include "kernels/kv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ALIGN_BYTES 64u

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14; absent from older headers */
#endif

struct ryz_kv_store {
    struct ryz_kv_shape shape;
    unsigned char *base, *host; /* host: NULL without host blocks */
    size_t block_bytes;         /* of one block in one pool */
    size_t pool_bytes;          /* of one pool, with padding */
    size_t total_bytes;         /* of the mapping of the pools */
    size_t host_bytes;          /* of that of the host blocks */
};

/* Bytes of one block of one pool; 0 if it does not fit. */
static size_t pool_block_bytes(const struct ryz_kv_shape *shape)
{
    return ryz_kv_type_block_bytes(shape->type, shape->block_tokens, shape->n_kv_heads,
                                   shape->head_dim);
}

size_t ryz_kv_block_bytes(const struct ryz_kv_shape *shape)
{
    size_t bytes = pool_block_bytes(shape);
    if (!ryz_mul_size(bytes, 2, &bytes)) return 0;
    if (!ryz_mul_size(bytes, shape->n_layers, &bytes)) return 0;
    return bytes;
}

/* Fills the sizes; false if they do not fit. */
static bool size_pools(struct ryz_kv_store *store)
{
    size_t bytes = store->block_bytes = pool_block_bytes(&store->shape);
    if (!ryz_mul_size(ryz_kv_block_bytes(&store->shape), store->shape.n_host_blocks,
                      &store->host_bytes))
        return false;
    if (!ryz_mul_size(bytes, store->shape.n_blocks, &bytes)) return false;
    if (!ryz_add_size(bytes, ALIGN_BYTES - 1, &bytes)) return false;
    store->pool_bytes = bytes / ALIGN_BYTES * ALIGN_BYTES;
    size_t pools = 2 * (size_t)store->shape.n_layers;
    return ryz_mul_size(store->pool_bytes, pools, &store->total_bytes);
}

/* Maps and touches the memory; NULL with errno set. */
static void *map_memory(size_t bytes)
{
    void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) return NULL;
    (void)madvise(base, bytes, MADV_HUGEPAGE); /* a wish; failing is harmless */
    /* EINVAL: an older kernel, which pays at first use instead. */
    if (madvise(base, bytes, MADV_POPULATE_WRITE) != 0 && errno != EINVAL) {
        int os_errno = errno;
        (void)munmap(base, bytes);
        errno = os_errno;
        return NULL;
    }
    return base;
}

/* Maps both kinds of blocks; false with errno set and *bytes the size that there was not. */
static bool map_blocks(struct ryz_kv_store *store, size_t *bytes)
{
    *bytes = store->total_bytes;
    store->base = map_memory(store->total_bytes);
    if (store->base == NULL) return false;
    if (store->host_bytes == 0) return true;
    *bytes = store->host_bytes;
    store->host = map_memory(store->host_bytes);
    if (store->host != NULL) return true;
    int os_errno = errno;
    (void)munmap(store->base, store->total_bytes);
    errno = os_errno;
    return false;
}

enum ryz_status ryz_kv_store_open(const struct ryz_kv_shape *shape, struct ryz_kv_store **out,
                                  struct ryz_error *error)
{
    if (ryz_kv_block_bytes(shape) == 0 || shape->n_blocks == 0) {
        return ryz_fail(error, RYZ_INVALID,
                        "KV store of %u layers, %u heads of %u, %u blocks of %u tokens has no size",
                        shape->n_layers, shape->n_kv_heads, shape->head_dim, shape->n_blocks,
                        shape->block_tokens);
    }
    struct ryz_kv_store *store = calloc(1, sizeof *store);
    if (!store) return ryz_fail(error, RYZ_NO_MEMORY, "no memory for a KV store");
    store->shape = *shape;
    if (!size_pools(store)) {
        free(store);
        return ryz_fail(error, RYZ_NO_MEMORY, "a KV store of %u blocks does not fit an address",
                        shape->n_blocks);
    }
    size_t bytes = 0;
    if (!map_blocks(store, &bytes)) {
        int os_errno = errno;
        free(store);
        return ryz_fail_errno(error, RYZ_NO_MEMORY, os_errno,
                              "no %zu MiB for the KV store; lower kv or kv_host", bytes >> 20);
    }
    *out = store;
    return RYZ_OK;
}

void ryz_kv_store_close(struct ryz_kv_store *store)
{
    if (!store) return;
    (void)munmap(store->base, store->total_bytes);
    if (store->host != NULL) (void)munmap(store->host, store->host_bytes);
    free(store);
}

const struct ryz_kv_shape *ryz_kv_store_shape(const struct ryz_kv_store *store)
{
    return &store->shape;
}

void *ryz_kv_store_k(struct ryz_kv_store *store, uint32_t layer)
{
    RYZ_ASSERT(layer < store->shape.n_layers);
    return store->base + 2 * (size_t)layer * store->pool_bytes;
}

void *ryz_kv_store_v(struct ryz_kv_store *store, uint32_t layer)
{
    RYZ_ASSERT(layer < store->shape.n_layers);
    return store->base + (2 * (size_t)layer + 1) * store->pool_bytes;
}

/* The part of a device block that lies in one of the 2 * n_layers pools. */
static unsigned char *in_pool(struct ryz_kv_store *store, uint32_t pool, uint32_t block)
{
    RYZ_ASSERT(block < store->shape.n_blocks);
    return store->base + pool * store->pool_bytes + block * store->block_bytes;
}

/* The same part of a host block. */
static unsigned char *in_host(struct ryz_kv_store *store, uint32_t pool, uint32_t block)
{
    RYZ_ASSERT(block < store->shape.n_host_blocks);
    size_t pools = 2 * (size_t)store->shape.n_layers;
    return store->host + (block * pools + pool) * store->block_bytes;
}

void ryz_kv_store_copy(struct ryz_kv_store *store, const struct ryz_kv_copy *copies, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct ryz_kv_copy *copy = &copies[i];
        for (uint32_t pool = 0; pool < 2 * store->shape.n_layers; pool++) {
            bool out = copy->kind == RYZ_KV_COPY_OUT, in = copy->kind == RYZ_KV_COPY_IN;
            const unsigned char *from =
                in ? in_host(store, pool, copy->from) : in_pool(store, pool, copy->from);
            unsigned char *to =
                out ? in_host(store, pool, copy->to) : in_pool(store, pool, copy->to);
            memcpy(to, from, store->block_bytes);
        }
    }
}
