/* support.c - see support.h. */
#include "tests/unit/model/support.h"

#include "engine/base/rng.h"
#include "engine/base/size.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- bytes ---- */

void bytes_put(struct bytes *bytes, const void *data, size_t size)
{
    if (bytes->size + size > bytes->capacity) {
        size_t capacity = (bytes->size + size) * 2 + 4096;
        capacity = (capacity + 63) / 64 * 64;
        unsigned char *grown = aligned_alloc(64, capacity);
        cr_assert_not_null(grown);
        if (bytes->size > 0) memcpy(grown, bytes->data, bytes->size);
        free(bytes->data);
        bytes->data = grown;
        bytes->capacity = capacity;
    }
    if (size > 0) memcpy(bytes->data + bytes->size, data, size);
    bytes->size += size;
}

void bytes_free(struct bytes *bytes)
{
    free(bytes->data);
    *bytes = (struct bytes){0};
}

static void put_u32(struct bytes *bytes, uint32_t value)
{
    bytes_put(bytes, &value, sizeof value);
}

static void put_u64(struct bytes *bytes, uint64_t value)
{
    bytes_put(bytes, &value, sizeof value);
}

static void put_text(struct bytes *bytes, const char *text)
{
    put_u64(bytes, strlen(text));
    bytes_put(bytes, text, strlen(text));
}

static void pad(struct bytes *bytes, uint64_t alignment)
{
    static const unsigned char zero;
    while (bytes->size % alignment != 0) bytes_put(bytes, &zero, 1);
}

/* ---- builder ---- */

void builder_init(struct gguf_builder *builder)
{
    *builder = (struct gguf_builder){.alignment = 32};
}

static void put_head(struct gguf_builder *builder, const char *key, uint32_t kind)
{
    builder->entry_count++;
    put_text(&builder->entries, key);
    put_u32(&builder->entries, kind);
}

void builder_raw(struct gguf_builder *builder, const char *key, uint32_t kind, const void *value,
                 size_t size)
{
    put_head(builder, key, kind);
    bytes_put(&builder->entries, value, size);
}

void builder_u32(struct gguf_builder *builder, const char *key, uint32_t value)
{
    builder_raw(builder, key, RYZ_GGUF_U32, &value, sizeof value);
}

void builder_f32(struct gguf_builder *builder, const char *key, float value)
{
    builder_raw(builder, key, RYZ_GGUF_F32, &value, sizeof value);
}

void builder_bool(struct gguf_builder *builder, const char *key, bool value)
{
    unsigned char byte = value;
    builder_raw(builder, key, RYZ_GGUF_BOOL, &byte, 1);
}

void builder_text(struct gguf_builder *builder, const char *key, const char *value)
{
    put_head(builder, key, RYZ_GGUF_STRING);
    put_text(&builder->entries, value);
}

static void put_array_head(struct gguf_builder *builder, const char *key, uint32_t kind,
                           size_t count)
{
    put_head(builder, key, RYZ_GGUF_ARRAY);
    put_u32(&builder->entries, kind);
    put_u64(&builder->entries, count);
}

void builder_texts(struct gguf_builder *builder, const char *key, const char *const *values,
                   size_t count)
{
    put_array_head(builder, key, RYZ_GGUF_STRING, count);
    for (size_t i = 0; i < count; i++) put_text(&builder->entries, values[i]);
}

void builder_i32s(struct gguf_builder *builder, const char *key, const int32_t *values,
                  size_t count)
{
    put_array_head(builder, key, RYZ_GGUF_I32, count);
    bytes_put(&builder->entries, values, count * sizeof *values);
}

void builder_tensor(struct gguf_builder *builder, const char *name, uint32_t type,
                    const uint64_t dims[4], const void *data, size_t size)
{
    uint32_t n_dims = 0;
    while (n_dims < 4 && dims[n_dims] != 0) n_dims++;
    builder->tensor_count++;
    put_text(&builder->infos, name);
    put_u32(&builder->infos, n_dims);
    for (uint32_t i = 0; i < n_dims; i++) put_u64(&builder->infos, dims[i]);
    put_u32(&builder->infos, type);
    pad(&builder->data, builder->alignment);
    put_u64(&builder->infos, builder->data.size);
    bytes_put(&builder->data, data, size);
}

struct bytes builder_finish(struct gguf_builder *builder)
{
    struct bytes file = {0};
    bytes_put(&file, "GGUF", 4);
    put_u32(&file, 3);
    put_u64(&file, builder->tensor_count);
    put_u64(&file, builder->entry_count);
    bytes_put(&file, builder->entries.data, builder->entries.size);
    bytes_put(&file, builder->infos.data, builder->infos.size);
    if (builder->tensor_count > 0) pad(&file, builder->alignment);
    bytes_put(&file, builder->data.data, builder->data.size);
    bytes_free(&builder->entries);
    bytes_free(&builder->infos);
    bytes_free(&builder->data);
    return file;
}

struct temporary_file write_temporary(const void *data, size_t size)
{
    struct temporary_file file;
    file.descriptor = memfd_create("synthetic.gguf", 0);
    cr_assert_geq(file.descriptor, 0);
    cr_assert_eq(write(file.descriptor, data, size), (ssize_t)size);
    (void)snprintf(file.path, sizeof file.path, "/proc/self/fd/%d", file.descriptor);
    return file;
}

void close_temporary(struct temporary_file *file)
{
    cr_assert_eq(close(file->descriptor), 0);
}

/* ---- synthetic model ---- */

/* Spells a byte as GPT-2 vocabularies do. */
static void spell_byte(unsigned byte, char text[4])
{
    unsigned code = byte;
    bool itself = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    if (!itself) {
        code = 256;
        for (unsigned other = 0; other < byte; other++) {
            bool other_itself = (other >= 0x21 && other <= 0x7e) ||
                                (other >= 0xa1 && other <= 0xac) || other >= 0xae;
            code += !other_itself;
        }
    }
    if (code < 0x80) {
        text[0] = (char)code;
        text[1] = '\0';
    } else {
        text[0] = (char)(0xc0 | code >> 6);
        text[1] = (char)(0x80 | (code & 0x3f));
        text[2] = '\0';
    }
}

static const char *const merges[] = {"t h",
                                     "th e",
                                     "i n",
                                     "\xc4\xa0 t",
                                     "\xc4\xa0 a",
                                     "h e",
                                     "a n",
                                     "an d",
                                     "e r",
                                     "o u",
                                     "\xc4\xa0t he",
                                     "in g",
                                     "l l",
                                     "' s",
                                     "\xc4\xa0 \xc4\xa0",
                                     "1 2",
                                     "\xc3\x83 \xc2\xa9"};

#define CONTROL_COUNT 3u

static void add_vocabulary(struct gguf_builder *builder, const struct synthetic *s)
{
    enum { COUNT = CONTROL_COUNT + 256 + RYZ_COUNT_OF(merges) };
    static char texts[COUNT][16];
    static const char *pointers[COUNT];
    static int32_t kinds[COUNT];
    static const char *const control[] = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};
    for (uint32_t i = 0; i < COUNT; i++) {
        kinds[i] = i < CONTROL_COUNT ? 3 : 1;
        pointers[i] = i < CONTROL_COUNT ? control[i] : texts[i];
    }
    for (unsigned byte = 0; byte < 256; byte++) spell_byte(byte, texts[CONTROL_COUNT + byte]);
    for (size_t i = 0; i < RYZ_COUNT_OF(merges); i++) { /* "t h" makes "th" */
        char *text = texts[CONTROL_COUNT + 256 + i];
        (void)snprintf(text, 16, "%s", merges[i]);
        char *space = strchr(text + 1, ' ');
        memmove(space, space + 1, strlen(space));
    }
    builder_text(builder, "tokenizer.ggml.model", "gpt2");
    builder_text(builder, "tokenizer.ggml.pre", s->pre ? s->pre : "gpt-2");
    builder_texts(builder, "tokenizer.ggml.tokens", pointers, COUNT);
    builder_i32s(builder, "tokenizer.ggml.token_type", kinds, COUNT);
    builder_texts(builder, "tokenizer.ggml.merges", merges, RYZ_COUNT_OF(merges));
    builder_u32(builder, "tokenizer.ggml.bos_token_id", 0);
    builder_u32(builder, "tokenizer.ggml.eos_token_id", 0);
    if (!s->without || strcmp(s->without, "tokenizer.chat_template") != 0) {
        builder_text(builder, "tokenizer.chat_template", "{{'<|im_start|>' + message['role']}}");
    }
}

static uint32_t vocab_size(void)
{
    return CONTROL_COUNT + 256 + (uint32_t)RYZ_COUNT_OF(merges);
}

/* A matrix of seeded weights with a standard deviation near 1 / sqrt(cols). */
static void add_matrix(struct gguf_builder *builder, const struct synthetic *s, const char *name,
                       uint64_t rows, uint64_t cols)
{
    if (s->without && strcmp(s->without, name) == 0) return;
    size_t row_bytes = ryz_dtype_row_bytes(s->type, cols);
    cr_assert_neq(row_bytes, 0);
    float *row = malloc(cols * sizeof *row);
    unsigned char *encoded = malloc(rows * row_bytes);
    struct ryz_rng rng;
    ryz_rng_init(&rng, 11, builder->tensor_count);
    double scale = 1.8 / __builtin_sqrt((double)cols);
    for (uint64_t i = 0; i < rows; i++) {
        for (uint64_t j = 0; j < cols; j++) {
            row[j] = (float)((ryz_rng_unit(&rng) - 0.5) * 2.0 * scale);
        }
        ryz_kernels_find("ref")->quantize_row(s->type, row, encoded + i * row_bytes, cols);
    }
    const uint64_t dims[4] = {cols, rows};
    builder_tensor(builder, name, s->type, dims, encoded, rows * row_bytes);
    free(encoded);
    free(row);
}

static void add_norm(struct gguf_builder *builder, const struct synthetic *s, const char *name)
{
    if (s->without && strcmp(s->without, name) == 0) return;
    float *weights = malloc(s->embd * sizeof *weights);
    for (uint32_t i = 0; i < s->embd; i++) weights[i] = 0.75F + (float)(i % 5) * 0.125F;
    const uint64_t dims[4] = {s->embd};
    builder_tensor(builder, name, RYZ_DTYPE_F32, dims, weights, s->embd * sizeof *weights);
    free(weights);
}

static void add_tensors(struct gguf_builder *builder, const struct synthetic *s)
{
    uint32_t head_dim = s->embd / s->heads;
    char name[64];
    add_matrix(builder, s, "token_embd.weight", vocab_size(), s->embd);
    for (uint32_t i = 0; i < s->layers; i++) {
        const struct {
            const char *role;
            uint32_t rows, cols;
        } parts[] = {
            {"attn_q", s->embd, s->embd},
            {"attn_k", s->kv_heads * head_dim, s->embd},
            {"attn_v", s->kv_heads * head_dim, s->embd},
            {"attn_output", s->embd, s->embd},
            {"ffn_gate", s->ffn, s->embd},
            {"ffn_up", s->ffn, s->embd},
            {"ffn_down", s->embd, s->ffn},
        };
        for (size_t p = 0; p < RYZ_COUNT_OF(parts); p++) {
            (void)snprintf(name, sizeof name, "blk.%u.%s.weight", i, parts[p].role);
            add_matrix(builder, s, name, parts[p].rows, parts[p].cols);
        }
        (void)snprintf(name, sizeof name, "blk.%u.attn_norm.weight", i);
        add_norm(builder, s, name);
        (void)snprintf(name, sizeof name, "blk.%u.ffn_norm.weight", i);
        add_norm(builder, s, name);
    }
    add_norm(builder, s, "output_norm.weight");
    if (s->untied) add_matrix(builder, s, "output.weight", vocab_size(), s->embd);
}

static uint32_t or_default(uint32_t value, uint32_t fallback)
{
    return value ? value : fallback;
}

struct bytes synthetic_file(const struct synthetic *synthetic)
{
    struct synthetic s = *synthetic;
    s.layers = or_default(s.layers, 2);
    s.embd = or_default(s.embd, 64);
    s.ffn = or_default(s.ffn, 96);
    s.heads = or_default(s.heads, 4);
    s.kv_heads = or_default(s.kv_heads, 2);
    s.context = or_default(s.context, 256);
    struct gguf_builder builder;
    builder_init(&builder);
    builder_text(&builder, "general.architecture", s.arch ? s.arch : "llama");
    builder_text(&builder, "general.name", "synthetic");
    builder_u32(&builder, "llama.block_count", s.layers);
    builder_u32(&builder, "llama.embedding_length", s.embd);
    builder_u32(&builder, "llama.feed_forward_length", s.ffn);
    builder_u32(&builder, "llama.attention.head_count", s.heads);
    builder_u32(&builder, "llama.attention.head_count_kv", s.kv_heads);
    builder_u32(&builder, "llama.context_length", s.context);
    builder_f32(&builder, "llama.rope.freq_base", 10000.0F);
    builder_f32(&builder, "llama.attention.layer_norm_rms_epsilon", 1e-5F);
    add_vocabulary(&builder, &s);
    add_tensors(&builder, &s);
    if (s.change) s.change(&builder);
    return builder_finish(&builder);
}

struct ryz_model *synthetic_open(const struct synthetic *synthetic,
                                 const struct ryz_model_options *options)
{
    struct bytes file = synthetic_file(synthetic);
    struct temporary_file temporary = write_temporary(file.data, file.size);
    bytes_free(&file);
    struct ryz_model *model = NULL;
    struct ryz_error error = {0};
    enum ryz_status status = ryz_model_open(temporary.path, options, &model, &error);
    cr_assert_eq(status, RYZ_OK, "%s", error.text);
    return model;
}

/* ---- running ---- */

const char *find_model(const char *name)
{
    static char path[512];
    const char *folder = getenv("RYZ_MODELS");
    if (folder) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, name);
        if (access(path, R_OK) == 0) return path;
    }
    (void)snprintf(path, sizeof path, "%s/models/%s", RYZ_SOURCE_DIR, name);
    return access(path, R_OK) == 0 ? path : NULL;
}

void rig_open(struct rig *rig, const struct ryz_model *model, const struct rig_options *options)
{
    const struct ryz_model_info *info = ryz_model_info(model);
    struct ryz_error error = {0};
    struct ryz_backend_options backend = {.isa = options->isa,
                                          .threads = or_default(options->threads, 1)};
    struct ryz_kv_shape shape = {
        .n_layers = info->n_layers,
        .n_kv_heads = info->n_kv_heads,
        .head_dim = info->head_dim,
        .block_tokens = or_default(options->block_tokens, 16),
        .n_blocks = or_default(options->n_blocks, 32),
        .type = options->kv_type,
    };
    rig->model = model;
    cr_assert_eq(ryz_backend_open(&backend, &rig->backend, &error), RYZ_OK, "%s", error.text);
    cr_assert_eq(ryz_kv_store_open(&shape, &rig->kv, &error), RYZ_OK, "%s", error.text);
    enum ryz_status status =
        ryz_forward_open(model, rig->backend, rig->kv, or_default(options->max_tokens, 128),
                         or_default(options->max_sequences, 16), &rig->forward, &error);
    cr_assert_eq(status, RYZ_OK, "%s", error.text);
}

void rig_close(struct rig *rig)
{
    ryz_forward_close(rig->forward);
    ryz_kv_store_close(rig->kv);
    ryz_backend_close(rig->backend);
}

void seeded_tokens(const struct ryz_model *model, uint64_t seed, uint32_t *ids, uint32_t count)
{
    struct ryz_rng rng;
    ryz_rng_init(&rng, seed, 3);
    for (uint32_t i = 0; i < count; i++) {
        ids[i] = (uint32_t)ryz_rng_below(&rng, ryz_model_info(model)->n_vocab);
    }
}
