/*
 * weights.c - finds a Llama model's tensors, checks their shapes, re-encodes matrices if asked to.
 *
 * Leaves to others: the file's structure (gguf.c), arithmetic (kernels/). The idea: every tensor of
 * the file must be claimed by a role; one that is left over (a bias, rotation factors, an adapter)
 * would change the result if it were ignored, so it is refused by name.
 */
#include "engine/model/weights.h"

#include "engine/base/size.h"
#include "engine/model/gguf.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TYPES_MAX 40u /* ggml's type numbers are below */

struct loader {
    const struct ryz_gguf *gguf;
    struct ryz_model_info *info;
    struct ryz_weights *weights;
    struct ryz_error *error;
    const struct ryz_kernels *kernels; /* the reference: rounds the same way on every machine */
    bool requantise;
    enum ryz_dtype target;
    bool *claimed;                       /* (tensors of the file) */
    float *row;                          /* one decoded row, only while requantising */
    uint64_t file_elements[TYPES_MAX];   /* of matrices, by type, to find the usual one */
    uint64_t served_elements[TYPES_MAX]; /* the same as served */
};

/* Claims the tensor `name` with the shape (rows, cols); rows 0 means a vector of cols. */
static enum ryz_status claim(struct loader *loader, const char *name, size_t rows, size_t cols,
                             const struct ryz_gguf_tensor **tensor)
{
    *tensor = ryz_gguf_find_tensor(loader->gguf, name);
    if (!*tensor) {
        return ryz_fail(loader->error, RYZ_CORRUPT, "the model has no tensor \"%s\"", name);
    }
    const uint64_t *dims = (*tensor)->dims;
    bool fits = dims[0] == cols && dims[1] == (rows ? rows : 1) && dims[2] == 1 && dims[3] == 1;
    if (!fits) {
        return ryz_fail_at(loader->error, RYZ_CORRUPT, (*tensor)->offset,
                           "tensor \"%s\" is %llu x %llu, not %zu x %zu", name,
                           (unsigned long long)dims[0], (unsigned long long)dims[1], cols,
                           rows ? rows : 1);
    }
    loader->claimed[*tensor - ryz_gguf_tensor(loader->gguf, 0)] = true;
    return RYZ_OK;
}

static enum ryz_status load_vector(struct loader *loader, const char *name, const float **vector)
{
    const struct ryz_gguf_tensor *tensor;
    enum ryz_status status = claim(loader, name, 0, loader->info->n_embd, &tensor);
    if (status != RYZ_OK) return status;
    if (tensor->type != RYZ_DTYPE_F32) {
        return ryz_fail_at(loader->error, RYZ_UNSUPPORTED, tensor->offset,
                           "tensor \"%s\" is %s; norms are served as f32 only", name,
                           ryz_gguf_type_name(tensor->type));
    }
    loader->info->weight_bytes += tensor->bytes;
    *vector = tensor->data;
    return RYZ_OK;
}

/* Writes the rows of `from` into fresh memory, encoded as the target type. */
static enum ryz_status requantise(struct loader *loader, const char *name,
                                  const struct ryz_matrix *from, struct ryz_matrix *to)
{
    size_t row_bytes = ryz_dtype_row_bytes(loader->target, from->cols);
    if (row_bytes == 0) {
        return ryz_fail(loader->error, RYZ_UNSUPPORTED,
                        "tensor \"%s\" has rows of %zu weights, which cannot be stored as %s", name,
                        from->cols, ryz_dtype_name(loader->target));
    }
    unsigned char *data = ryz_arena_array(&loader->weights->arena, from->rows, row_bytes);
    if (!data) {
        return ryz_fail(loader->error, RYZ_NO_MEMORY, "no memory to store \"%s\" as %s", name,
                        ryz_dtype_name(loader->target));
    }
    const unsigned char *source = from->data;
    for (size_t i = 0; i < from->rows; i++) {
        loader->kernels->dequantize_row(from->type, source + i * from->row_bytes, loader->row,
                                        from->cols);
        loader->kernels->quantize_row(loader->target, loader->row, data + i * row_bytes,
                                      from->cols);
    }
    *to = (struct ryz_matrix){data, loader->target, from->rows, from->cols, row_bytes};
    return RYZ_OK;
}

static enum ryz_status load_matrix(struct loader *loader, const char *name, size_t rows,
                                   size_t cols, struct ryz_matrix *matrix)
{
    const struct ryz_gguf_tensor *tensor;
    enum ryz_status status = claim(loader, name, rows, cols, &tensor);
    if (status != RYZ_OK) return status;
    enum ryz_dtype type = (enum ryz_dtype)tensor->type;
    if (!ryz_dtype_name(type)) {
        return ryz_fail_at(loader->error, RYZ_UNSUPPORTED, tensor->offset,
                           "tensor \"%s\" is %s; f32 f16 bf16 q8_0 q4_0 q4_1 are served", name,
                           ryz_gguf_type_name(tensor->type));
    }
    *matrix = (struct ryz_matrix){tensor->data, type, rows, cols, ryz_dtype_row_bytes(type, cols)};
    loader->file_elements[type] += tensor->elements;
    if (loader->requantise && type != loader->target) {
        struct ryz_matrix original = *matrix;
        status = requantise(loader, name, &original, matrix);
        if (status != RYZ_OK) return status;
    }
    loader->served_elements[matrix->type] += tensor->elements;
    loader->info->weight_bytes += matrix->rows * matrix->row_bytes;
    return RYZ_OK;
}

static enum ryz_status load_layer(struct loader *loader, uint32_t index)
{
    const struct ryz_model_info *info = loader->info;
    struct ryz_layer *layer = &loader->weights->layers[index];
    size_t embd = info->n_embd, ffn = info->n_ffn;
    size_t q = (size_t)info->n_heads * info->head_dim;
    size_t kv = (size_t)info->n_kv_heads * info->head_dim;
    const struct {
        const char *role;
        size_t rows, cols;
        struct ryz_matrix *matrix;
    } matrices[] = {
        {"attn_q", q, embd, &layer->q},        {"attn_k", kv, embd, &layer->k},
        {"attn_v", kv, embd, &layer->v},       {"attn_output", embd, q, &layer->output},
        {"ffn_gate", ffn, embd, &layer->gate}, {"ffn_up", ffn, embd, &layer->up},
        {"ffn_down", embd, ffn, &layer->down},
    };
    char name[64];
    (void)snprintf(name, sizeof name, "blk.%u.attn_norm.weight", index);
    enum ryz_status status = load_vector(loader, name, &layer->attn_norm);
    if (status != RYZ_OK) return status;
    (void)snprintf(name, sizeof name, "blk.%u.ffn_norm.weight", index);
    status = load_vector(loader, name, &layer->ffn_norm);
    for (size_t i = 0; status == RYZ_OK && i < RYZ_COUNT_OF(matrices); i++) {
        (void)snprintf(name, sizeof name, "blk.%u.%s.weight", index, matrices[i].role);
        status = load_matrix(loader, name, matrices[i].rows, matrices[i].cols, matrices[i].matrix);
    }
    return status;
}

static enum ryz_status load_ends(struct loader *loader)
{
    struct ryz_weights *weights = loader->weights;
    size_t vocab = loader->info->n_vocab, embd = loader->info->n_embd;
    enum ryz_status status =
        load_matrix(loader, "token_embd.weight", vocab, embd, &weights->token_embd);
    if (status != RYZ_OK) return status;
    status = load_vector(loader, "output_norm.weight", &weights->output_norm);
    if (status != RYZ_OK) return status;
    if (ryz_gguf_find_tensor(loader->gguf, "output.weight")) {
        return load_matrix(loader, "output.weight", vocab, embd, &weights->output);
    }
    weights->output = weights->token_embd;
    return RYZ_OK;
}

static enum ryz_status refuse_leftovers(const struct loader *loader)
{
    for (size_t i = 0; i < ryz_gguf_tensor_count(loader->gguf); i++) {
        const struct ryz_gguf_tensor *tensor = ryz_gguf_tensor(loader->gguf, i);
        loader->info->n_params += tensor->elements;
        if (loader->claimed[i]) continue;
        return ryz_fail_at(loader->error, RYZ_UNSUPPORTED, tensor->offset,
                           "the tensor \"%.*s\" is no part of a plain Llama model and would be "
                           "ignored",
                           (int)tensor->name.length, tensor->name.data);
    }
    return RYZ_OK;
}

/* Name of the type with the most weights. */
static const char *usual_type(const uint64_t elements[TYPES_MAX])
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < TYPES_MAX; i++) {
        if (elements[i] > elements[best]) best = i;
    }
    return ryz_dtype_name((enum ryz_dtype)best);
}

static enum ryz_status load_all(struct loader *loader)
{
    enum ryz_status status = load_ends(loader);
    for (uint32_t i = 0; status == RYZ_OK && i < loader->info->n_layers; i++) {
        status = load_layer(loader, i);
    }
    if (status == RYZ_OK) status = refuse_leftovers(loader);
    if (status != RYZ_OK) return status;
    struct ryz_model_info *info = loader->info;
    (void)snprintf(info->file_type, sizeof info->file_type, "%s",
                   usual_type(loader->file_elements));
    (void)snprintf(info->weight_type, sizeof info->weight_type, "%s",
                   usual_type(loader->served_elements));
    return RYZ_OK;
}

static enum ryz_status read_quant(struct loader *loader, const char *quant)
{
    if (!quant || strcmp(quant, "as_is") == 0) return RYZ_OK;
    if (!ryz_dtype_parse(quant, &loader->target)) {
        return ryz_fail(loader->error, RYZ_INVALID,
                        "no weight type \"%.32s\"; there are: as_is f32 f16 bf16 q8_0 q4_0 q4_1",
                        quant);
    }
    loader->requantise = true;
    return RYZ_OK;
}

enum ryz_status ryz_weights_open(const struct ryz_gguf *gguf, const char *quant,
                                 struct ryz_model_info *info, struct ryz_weights *weights,
                                 struct ryz_error *error)
{
    ryz_arena_init(&weights->arena);
    struct loader loader = {.gguf = gguf,
                            .info = info,
                            .weights = weights,
                            .error = error,
                            .kernels = ryz_kernels_find("ref")};
    enum ryz_status status = read_quant(&loader, quant);
    if (status != RYZ_OK) return status;
    size_t heads = (size_t)info->n_heads * info->head_dim;
    size_t widest = info->n_embd > info->n_ffn ? info->n_embd : info->n_ffn;
    if (heads > widest) widest = heads;
    loader.claimed = calloc(ryz_gguf_tensor_count(gguf) + 1, sizeof *loader.claimed);
    loader.row = calloc(widest, sizeof *loader.row);
    weights->layers = ryz_arena_array(&weights->arena, info->n_layers, sizeof *weights->layers);
    if (loader.claimed && loader.row && weights->layers) {
        status = load_all(&loader);
    } else {
        status = ryz_fail(error, RYZ_NO_MEMORY, "no memory for the weights' tables");
    }
    free(loader.row);
    free(loader.claimed);
    return status;
}

void ryz_weights_close(struct ryz_weights *weights)
{
    ryz_arena_deinit(&weights->arena);
}
