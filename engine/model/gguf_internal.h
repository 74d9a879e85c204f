/* gguf_internal.h - sizes of GGUF's value kinds and tensor types; for gguf*.c only. */
#ifndef RYZ_MODEL_GGUF_INTERNAL_H
#define RYZ_MODEL_GGUF_INTERNAL_H

#include "engine/model/gguf.h"

/* Bytes of one element as stored; 0 for STRING and ARRAY, whose size varies. */
size_t ryz_gguf_kind_bytes(enum ryz_gguf_kind kind);

/* How ggml stores a tensor type. */
struct ryz_gguf_type {
    const char *name;
    uint32_t block_elements;
    uint32_t block_bytes;
};

/* NULL for a number that was never a type or no longer is one. */
const struct ryz_gguf_type *ryz_gguf_type(uint32_t type);

#endif
