/*
 * model.c - opens a model: its hyperparameters, tokenizer and weights.
 *
 * Leaves to others: running it (forward.c). The idea: what a file asks for and we do not do
 * (another architecture, stretched rotations, experts) is refused by the name of the key, for
 * served without it the model would talk nonsense and nobody would know why.
 */
#include "engine/model/model.h"

#include "engine/base/size.h"
#include "engine/model/gguf.h"
#include "engine/model/tokenizer.h"
#include "engine/model/weights.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ryz_model {
    struct ryz_gguf *gguf;
    struct ryz_tokenizer *tokenizer;
    struct ryz_weights weights;
    struct ryz_model_info info;
};

/* An integer key with its allowed range; `fallback` where the key may be absent, else NULL. */
struct number {
    const char *key;
    uint32_t *value;
    const uint32_t *fallback;
    uint32_t max;
};

static enum ryz_status read_number(const struct ryz_gguf *gguf, const struct number *number,
                                   struct ryz_error *error)
{
    const struct ryz_gguf_entry *entry = ryz_gguf_find(gguf, number->key);
    if (!entry && !number->fallback) {
        return ryz_fail(error, RYZ_CORRUPT, "the model has no key \"%s\"", number->key);
    }
    if (!entry) {
        *number->value = *number->fallback;
        return RYZ_OK;
    }
    enum ryz_status status = ryz_gguf_get_u32(gguf, number->key, number->value, error);
    if (status != RYZ_OK) return status;
    if (*number->value >= 1 && *number->value <= number->max) return RYZ_OK;
    return ryz_fail_at(error, RYZ_CORRUPT, entry->offset, "\"%s\" is %u; 1 to %u are served",
                       number->key, *number->value, number->max);
}

static enum ryz_status read_float(const struct ryz_gguf *gguf, const char *key, float fallback,
                                  float *value, struct ryz_error *error)
{
    *value = fallback;
    const struct ryz_gguf_entry *entry = ryz_gguf_find(gguf, key);
    if (!entry) return RYZ_OK;
    enum ryz_status status = ryz_gguf_get_f32(gguf, key, value, error);
    if (status != RYZ_OK) return status;
    if (isfinite(*value) && *value > 0.0F) return RYZ_OK;
    return ryz_fail_at(error, RYZ_CORRUPT, entry->offset, "\"%s\" is %g, no positive number", key,
                       (double)*value);
}

static enum ryz_status read_sizes(const struct ryz_gguf *gguf, struct ryz_model_info *info,
                                  struct ryz_error *error)
{
    const struct number first[] = {
        {"llama.block_count", &info->n_layers, NULL, 1024},
        {"llama.embedding_length", &info->n_embd, NULL, 1u << 16},
        {"llama.feed_forward_length", &info->n_ffn, NULL, 1u << 18},
        {"llama.attention.head_count", &info->n_heads, NULL, 1024},
        {"llama.attention.head_count_kv", &info->n_kv_heads, &info->n_heads, 1024},
        {"llama.context_length", &info->context_tokens, NULL, 1u << 24},
    };
    for (size_t i = 0; i < RYZ_COUNT_OF(first); i++) {
        enum ryz_status status = read_number(gguf, &first[i], error);
        if (status != RYZ_OK) return status;
    }
    uint32_t head_dim = info->n_embd / info->n_heads, value_dim;
    const struct number second[] = {
        {"llama.attention.key_length", &info->head_dim, &head_dim, 1024},
        {"llama.attention.value_length", &value_dim, &info->head_dim, 1024},
        {"llama.rope.dimension_count", &info->rope_dims, &info->head_dim, 1024},
    };
    for (size_t i = 0; i < RYZ_COUNT_OF(second); i++) {
        enum ryz_status status = read_number(gguf, &second[i], error);
        if (status != RYZ_OK) return status;
    }
    if (info->n_heads % info->n_kv_heads != 0) {
        return ryz_fail(error, RYZ_CORRUPT, "%u heads cannot share %u key-value heads",
                        info->n_heads, info->n_kv_heads);
    }
    if (info->head_dim == 0 || value_dim != info->head_dim || info->rope_dims % 2 != 0 ||
        info->rope_dims > info->head_dim) {
        return ryz_fail(error, RYZ_UNSUPPORTED,
                        "heads of %u keys, %u values and %u rotated dimensions are not served",
                        info->head_dim, value_dim, info->rope_dims);
    }
    return RYZ_OK;
}

/* Does the key ask for something? Absent, 0, false, "" and "none" do not; nor does a factor of 1.
 */
static bool asks(const struct ryz_gguf_entry *entry)
{
    if (!entry || entry->count == 0) return false;
    if (entry->is_array) return true;
    if (entry->kind == RYZ_GGUF_STRING) {
        uint64_t cursor = 0;
        struct ryz_gguf_text text = ryz_gguf_next_text(entry, &cursor);
        return text.length > 0 && !ryz_gguf_text_equal(text, "none");
    }
    double value = ryz_gguf_number(entry, 0);
    bool factor = entry->kind == RYZ_GGUF_F32 || entry->kind == RYZ_GGUF_F64;
    return value != 0.0 && !(factor && value == 1.0);
}

static enum ryz_status refuse_features(const struct ryz_gguf *gguf, struct ryz_error *error)
{
    static const char *const keys[] = {
        "llama.rope.scaling.type",        "llama.rope.scaling.factor",
        "llama.rope.scale_linear",        "llama.expert_count",
        "llama.attention.sliding_window", "llama.attention.clamp_kqv",
        "llama.attention.scale",          "llama.logit_scale",
        "llama.residual_scale",           "llama.embedding_scale",
        "llama.attn_logit_softcapping",   "llama.final_logit_softcapping",
    };
    for (size_t i = 0; i < RYZ_COUNT_OF(keys); i++) {
        const struct ryz_gguf_entry *entry = ryz_gguf_find(gguf, keys[i]);
        if (!asks(entry)) continue;
        char value[48];
        ryz_gguf_format(entry, value, sizeof value);
        return ryz_fail_at(error, RYZ_UNSUPPORTED, entry->offset,
                           "the model wants \"%s\" = %s, which is not served", keys[i], value);
    }
    return RYZ_OK;
}

static enum ryz_status read_arch(const struct ryz_gguf *gguf, struct ryz_model_info *info,
                                 struct ryz_error *error)
{
    struct ryz_gguf_text arch;
    enum ryz_status status = ryz_gguf_get_text(gguf, "general.architecture", &arch, error);
    if (status == RYZ_NOT_FOUND) {
        return ryz_fail(error, RYZ_CORRUPT, "the model has no key \"general.architecture\"");
    }
    if (status != RYZ_OK) return status;
    if (!ryz_gguf_text_equal(arch, "llama")) {
        return ryz_fail(error, RYZ_UNSUPPORTED, "the architecture \"%.*s\" is not served; llama is",
                        (int)ryz_min_u64(arch.length, 40), arch.data);
    }
    (void)snprintf(info->arch, sizeof info->arch, "llama");
    return RYZ_OK;
}

/* general.name, or the file's name without folder and ending. */
static void read_name(const struct ryz_gguf *gguf, const char *path, struct ryz_model_info *info)
{
    struct ryz_gguf_text name;
    if (ryz_gguf_get_text(gguf, "general.name", &name, NULL) != RYZ_OK || name.length == 0) {
        const char *slash = strrchr(path, '/');
        name.data = slash ? slash + 1 : path;
        const char *dot = strrchr(name.data, '.');
        name.length = dot && dot > name.data ? (size_t)(dot - name.data) : strlen(name.data);
    }
    size_t length = ryz_min_u64(name.length, sizeof info->name - 1);
    for (size_t i = 0; i < length; i++) { /* it goes into logs and reports */
        unsigned char byte = (unsigned char)name.data[i];
        info->name[i] = byte < 0x20 || byte == 0x7f ? '?' : (char)byte;
    }
    info->name[ryz_utf8_complete_prefix(info->name, length)] = '\0';
}

static enum ryz_status read_info(const struct ryz_gguf *gguf, struct ryz_model_info *info,
                                 struct ryz_error *error)
{
    enum ryz_status status = read_arch(gguf, info, error);
    if (status == RYZ_OK) status = read_sizes(gguf, info, error);
    if (status == RYZ_OK) status = refuse_features(gguf, error);
    if (status == RYZ_OK) {
        status = read_float(gguf, "llama.rope.freq_base", 10000.0F, &info->rope_freq_base, error);
    }
    if (status == RYZ_OK) {
        status = read_float(gguf, "llama.attention.layer_norm_rms_epsilon", 1e-5F, &info->norm_eps,
                            error);
    }
    return status;
}

static enum ryz_status open_parts(struct ryz_model *model, const char *path, const char *quant,
                                  struct ryz_error *error)
{
    enum ryz_status status = ryz_gguf_open(path, &model->gguf, error);
    if (status != RYZ_OK) return status;
    struct ryz_model_info *info = &model->info;
    info->file_bytes = ryz_gguf_file_bytes(model->gguf);
    status = read_info(model->gguf, info, error);
    if (status != RYZ_OK) return status;
    read_name(model->gguf, path, info);
    status = ryz_tokenizer_open(model->gguf, &model->tokenizer, error);
    if (status != RYZ_OK) return status;
    info->n_vocab = ryz_tokenizer_vocab_size(model->tokenizer);
    status = ryz_weights_open(model->gguf, quant, info, &model->weights, error);
    /* A page fault in the middle of a measured request would be blamed on the engine. */
    if (status == RYZ_OK) ryz_gguf_touch(model->gguf);
    return status;
}

enum ryz_status ryz_model_open(const char *path, const struct ryz_model_options *options,
                               struct ryz_model **out, struct ryz_error *error)
{
    struct ryz_model *model = calloc(1, sizeof *model);
    if (!model) return ryz_fail(error, RYZ_NO_MEMORY, "no memory for a model");
    enum ryz_status status = open_parts(model, path, options ? options->quant : NULL, error);
    if (status != RYZ_OK) {
        ryz_model_close(model);
        ryz_error_about(error, path);
        return status;
    }
    *out = model;
    return RYZ_OK;
}

void ryz_model_close(struct ryz_model *model)
{
    if (!model) return;
    ryz_weights_close(&model->weights);
    ryz_tokenizer_close(model->tokenizer);
    ryz_gguf_close(model->gguf);
    free(model);
}

const struct ryz_model_info *ryz_model_info(const struct ryz_model *model)
{
    return &model->info;
}

const struct ryz_tokenizer *ryz_model_tokenizer(const struct ryz_model *model)
{
    return model->tokenizer;
}

const struct ryz_weights *ryz_model_weights(const struct ryz_model *model)
{
    return &model->weights;
}
