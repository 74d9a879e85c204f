/*
 * support.h - GGUF files and whole small models made in memory, for the model room's tests.
 *
 * A synthetic model has seeded random weights in any type, so that tests need no file and can have
 * shapes that real models do not (odd blocks, untied output, heads wider than embeddings).
 */
#ifndef RYZ_TESTS_UNIT_MODEL_SUPPORT_H
#define RYZ_TESTS_UNIT_MODEL_SUPPORT_H

#include "engine/backend/backend.h"
#include "engine/memory/kv_store.h"
#include "engine/model/gguf.h"
#include "engine/model/model.h"
#include "engine/model/tokenizer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A growing piece of memory; ends the test when there is none. */
struct bytes {
    unsigned char *data; /* 64-byte aligned */
    size_t size, capacity;
};

void bytes_put(struct bytes *bytes, const void *data, size_t size);
void bytes_free(struct bytes *bytes);

struct gguf_builder {
    struct bytes entries, infos, data;
    uint64_t entry_count, tensor_count;
    uint64_t alignment;
};

void builder_init(struct gguf_builder *builder);
void builder_u32(struct gguf_builder *builder, const char *key, uint32_t value);
void builder_f32(struct gguf_builder *builder, const char *key, float value);
void builder_bool(struct gguf_builder *builder, const char *key, bool value);
void builder_text(struct gguf_builder *builder, const char *key, const char *value);
void builder_texts(struct gguf_builder *builder, const char *key, const char *const *values,
                   size_t count);
void builder_i32s(struct gguf_builder *builder, const char *key, const int32_t *values,
                  size_t count);
/* Key, kind number and `size` bytes as they are: for kinds without a function and broken ones. */
void builder_raw(struct gguf_builder *builder, const char *key, uint32_t kind, const void *value,
                 size_t size);
/* Adds a tensor whose data is `size` bytes; dims ends with a 0 or after four. */
void builder_tensor(struct gguf_builder *builder, const char *name, uint32_t type,
                    const uint64_t dims[4], const void *data, size_t size);
/* The file; frees the builder. */
struct bytes builder_finish(struct gguf_builder *builder);

/* A file in memory that lives until it is closed or the process ends. */
struct temporary_file {
    char path[64];
    int descriptor;
};
struct temporary_file write_temporary(const void *data, size_t size);
void close_temporary(struct temporary_file *file);

/* The shape of a synthetic model; fields left 0 take their default. */
struct synthetic {
    uint32_t layers;                              /* 2 */
    uint32_t embd;                                /* 64 */
    uint32_t ffn;                                 /* 96 */
    uint32_t heads;                               /* 4 */
    uint32_t kv_heads;                            /* 2 */
    uint32_t context;                             /* 256 */
    enum ryz_dtype type;                          /* of matrices; F32 */
    bool untied;                                  /* has its own output matrix */
    const char *pre;                              /* "gpt-2" */
    void (*change)(struct gguf_builder *builder); /* adds or spoils; may be NULL */
    const char *without;                          /* a tensor or key to leave out, NULL: none */
    const char *arch;                             /* "llama" */
};

struct bytes synthetic_file(const struct synthetic *synthetic);
/* Writes the file, opens it, ends the test if that fails. */
struct ryz_model *synthetic_open(const struct synthetic *synthetic,
                                 const struct ryz_model_options *options);

/* Path of a model under $RYZ_MODELS or models/, NULL if it is not there; static memory. */
const char *find_model(const char *name);

/* What runs a model: opened together, closed together. */
struct rig {
    const struct ryz_model *model;
    struct ryz_backend *backend;
    struct ryz_kv_store *kv;
    struct ryz_forward *forward;
};

struct rig_options {
    const char *isa;
    uint32_t threads;                   /* 1 */
    uint32_t block_tokens, n_blocks;    /* 16, 32 */
    uint32_t max_tokens, max_sequences; /* 128, 16 */
    enum ryz_kv_type kv_type;
};

void rig_open(struct rig *rig, const struct ryz_model *model, const struct rig_options *options);
void rig_close(struct rig *rig);

/* Fills ids with seeded tokens of the model. */
void seeded_tokens(const struct ryz_model *model, uint64_t seed, uint32_t *ids, uint32_t count);

#endif
