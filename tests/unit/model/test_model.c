/*
 * Goal: a model is opened with the sizes, types and weights that its file holds, re-encoded as
 * asked, and refused by name when serving it would give wrong results. Method: synthetic files, one
 * change a case; fuzzing is in tests/fuzz.
 */
#include "engine/model/model.h"

#include "engine/base/size.h"
#include "engine/model/weights.h"
#include "tests/unit/model/support.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

Test(model, tells_what_is_in_the_file)
{
    struct synthetic synthetic = {.type = RYZ_DTYPE_Q8_0, .layers = 3, .untied = true};
    struct ryz_model *model = synthetic_open(&synthetic, NULL);
    const struct ryz_model_info *info = ryz_model_info(model);
    cr_assert_str_eq(info->name, "synthetic");
    cr_assert_str_eq(info->arch, "llama");
    cr_assert_str_eq(info->file_type, "q8_0");
    cr_assert_str_eq(info->weight_type, "q8_0");
    cr_assert(info->n_layers == 3 && info->n_embd == 64 && info->n_ffn == 96);
    cr_assert(info->n_heads == 4 && info->n_kv_heads == 2 && info->head_dim == 16);
    cr_assert(info->rope_dims == 16 && info->context_tokens == 256);
    cr_assert_eq(info->n_vocab, ryz_tokenizer_vocab_size(ryz_model_tokenizer(model)));
    uint64_t matrices = 2 * info->n_vocab * 64 + 3 * (2 * 64 * 64 + 2 * 32 * 64 + 3 * 96 * 64);
    uint64_t norms = 64 * (2 * 3 + 1);
    cr_assert_eq(info->n_params, matrices + norms);
    cr_assert_eq(info->weight_bytes, matrices / 32 * 34 + norms * 4);
    cr_assert_gt(info->file_bytes, info->weight_bytes);
    ryz_model_close(model);
}

Test(model, ties_the_output_to_the_embedding_unless_the_file_has_one)
{
    struct ryz_model *tied = synthetic_open(&(struct synthetic){.layers = 1}, NULL);
    struct ryz_model *untied =
        synthetic_open(&(struct synthetic){.layers = 1, .untied = true}, NULL);
    const struct ryz_weights *weights = ryz_model_weights(tied);
    cr_assert_eq(weights->output.data, weights->token_embd.data);
    weights = ryz_model_weights(untied);
    cr_assert_neq(weights->output.data, weights->token_embd.data);
    ryz_model_close(tied);
    ryz_model_close(untied);
}

/* Each row of `served` must be the quantiser's image of the decoded row of `file`. */
static void check_matrix(const struct ryz_matrix *file, const struct ryz_matrix *served)
{
    const struct ryz_kernels *ref = ryz_kernels_find("ref");
    float row[128];
    unsigned char wanted[512];
    cr_assert(file->rows == served->rows && file->cols == served->cols);
    for (size_t i = 0; i < file->rows; i++) {
        const unsigned char *from = file->data, *to = served->data;
        ref->dequantize_row(file->type, from + i * file->row_bytes, row, file->cols);
        ref->quantize_row(served->type, row, wanted, file->cols);
        cr_assert_eq(memcmp(wanted, to + i * served->row_bytes, served->row_bytes), 0);
    }
}

Test(model, re_encodes_every_matrix_as_asked)
{
    static const char *const types[] = {"f32", "f16", "bf16", "q8_0", "q4_0", "q4_1"};
    struct synthetic synthetic = {.type = RYZ_DTYPE_BF16};
    struct ryz_model *file = synthetic_open(&synthetic, NULL);
    for (size_t i = 0; i < RYZ_COUNT_OF(types); i++) {
        struct ryz_model *served =
            synthetic_open(&synthetic, &(struct ryz_model_options){.quant = types[i]});
        const struct ryz_model_info *info = ryz_model_info(served);
        cr_assert_str_eq(info->file_type, "bf16");
        cr_assert_str_eq(info->weight_type, types[i]);
        const struct ryz_weights *a = ryz_model_weights(file), *b = ryz_model_weights(served);
        check_matrix(&a->token_embd, &b->token_embd);
        for (uint32_t layer = 0; layer < info->n_layers; layer++) {
            check_matrix(&a->layers[layer].q, &b->layers[layer].q);
            check_matrix(&a->layers[layer].v, &b->layers[layer].v);
            check_matrix(&a->layers[layer].down, &b->layers[layer].down);
        }
        ryz_model_close(served);
    }
    ryz_model_close(file);
}

Test(model, leaves_matrices_of_the_wanted_type_as_they_are)
{
    struct synthetic synthetic = {.layers = 1, .type = RYZ_DTYPE_Q4_1};
    struct ryz_model *same =
        synthetic_open(&synthetic, &(struct ryz_model_options){.quant = "q4_1"});
    struct ryz_model *as_is =
        synthetic_open(&synthetic, &(struct ryz_model_options){.quant = "as_is"});
    const struct ryz_matrix *a = &ryz_model_weights(same)->token_embd;
    const struct ryz_matrix *b = &ryz_model_weights(as_is)->token_embd;
    cr_assert_eq(memcmp(a->data, b->data, a->rows * a->row_bytes), 0);
    cr_assert_eq(ryz_model_info(same)->weight_bytes, ryz_model_info(as_is)->weight_bytes);
    ryz_model_close(same);
    ryz_model_close(as_is);
}

/* ---- refusing ---- */

static void expect_refusal(const struct synthetic *synthetic,
                           const struct ryz_model_options *options, enum ryz_status wanted,
                           const char *word)
{
    struct bytes file = synthetic_file(synthetic);
    struct temporary_file temporary = write_temporary(file.data, file.size);
    bytes_free(&file);
    struct ryz_model *model = NULL;
    struct ryz_error error = {0};
    enum ryz_status status = ryz_model_open(temporary.path, options, &model, &error);
    cr_assert_eq(status, wanted, "%s: %s", ryz_status_name(status), error.text);
    cr_assert_not_null(strstr(error.text, word), "\"%s\" lacks \"%s\"", error.text, word);
}

static const uint64_t vector_dims[4] = {64};
static float zeros[64 * 96];

static void add_bias(struct gguf_builder *builder)
{
    builder_tensor(builder, "blk.0.attn_q.bias", RYZ_DTYPE_F32, vector_dims, zeros, 256);
}

static void add_frequencies(struct gguf_builder *builder)
{
    builder_tensor(builder, "rope_freqs.weight", RYZ_DTYPE_F32, vector_dims, zeros, 256);
}

static void add_scaling_type(struct gguf_builder *builder)
{
    builder_text(builder, "llama.rope.scaling.type", "yarn");
}

static void add_scaling_factor(struct gguf_builder *builder)
{
    builder_f32(builder, "llama.rope.scaling.factor", 4.0F);
}

static void add_experts(struct gguf_builder *builder)
{
    builder_u32(builder, "llama.expert_count", 8);
}

static void add_window(struct gguf_builder *builder)
{
    builder_u32(builder, "llama.attention.sliding_window", 4096);
}

static void add_key_length(struct gguf_builder *builder)
{
    builder_u32(builder, "llama.attention.key_length", 24);
}

static void add_value_length(struct gguf_builder *builder)
{
    builder_u32(builder, "llama.attention.value_length", 24);
}

static void add_odd_rotation(struct gguf_builder *builder)
{
    builder_u32(builder, "llama.rope.dimension_count", 7);
}

static void add_long_rotation(struct gguf_builder *builder)
{
    builder_u32(builder, "llama.rope.dimension_count", 18);
}

static void add_q4_k(struct gguf_builder *builder)
{
    static const uint64_t dims[4] = {256, 64};
    static unsigned char data[64 * 144];
    builder_tensor(builder, "blk.0.ffn_down.weight", 12, dims, data, sizeof data);
}

static void add_f16_norm(struct gguf_builder *builder)
{
    builder_tensor(builder, "output_norm.weight", RYZ_DTYPE_F16, vector_dims, zeros, 128);
}

static void add_short_norm(struct gguf_builder *builder)
{
    static const uint64_t dims[4] = {32};
    builder_tensor(builder, "output_norm.weight", RYZ_DTYPE_F32, dims, zeros, 128);
}

static void add_narrow_down(struct gguf_builder *builder)
{
    static const uint64_t dims[4] = {64, 96}; /* transposed */
    builder_tensor(builder, "blk.0.ffn_down.weight", RYZ_DTYPE_F32, dims, zeros, sizeof zeros);
}

Test(model, refuses_by_name_what_it_would_serve_wrongly)
{
    const struct {
        struct synthetic synthetic;
        enum ryz_status status;
        const char *word;
    } cases[] = {
        {{.arch = "gemma"}, RYZ_UNSUPPORTED, "\"gemma\""},
        {{.change = add_bias}, RYZ_UNSUPPORTED, "blk.0.attn_q.bias"},
        {{.change = add_frequencies}, RYZ_UNSUPPORTED, "rope_freqs.weight"},
        {{.change = add_scaling_type}, RYZ_UNSUPPORTED, "llama.rope.scaling.type\" = \"yarn\""},
        {{.change = add_scaling_factor}, RYZ_UNSUPPORTED, "llama.rope.scaling.factor\" = 4"},
        {{.change = add_experts}, RYZ_UNSUPPORTED, "llama.expert_count\" = 8"},
        {{.change = add_window}, RYZ_UNSUPPORTED, "sliding_window"},
        {{.change = add_key_length}, RYZ_CORRUPT, "64 x 96"},
        {{.change = add_value_length}, RYZ_UNSUPPORTED, "16 keys, 24 values"},
        {{.change = add_odd_rotation}, RYZ_UNSUPPORTED, "7 rotated"},
        {{.change = add_long_rotation}, RYZ_UNSUPPORTED, "18 rotated"},
        {{.without = "blk.0.ffn_down.weight", .change = add_q4_k, .ffn = 256},
         RYZ_UNSUPPORTED,
         "q4_k"},
        {{.without = "output_norm.weight", .change = add_f16_norm}, RYZ_UNSUPPORTED, "f16"},
        {{.without = "output_norm.weight", .change = add_short_norm}, RYZ_CORRUPT, "32 x 1"},
        {{.without = "blk.0.ffn_down.weight", .change = add_narrow_down}, RYZ_CORRUPT, "64 x 96"},
        {{.without = "blk.1.attn_k.weight"}, RYZ_CORRUPT, "\"blk.1.attn_k.weight\""},
        {{.without = "token_embd.weight"}, RYZ_CORRUPT, "\"token_embd.weight\""},
        {{.heads = 8, .kv_heads = 3, .embd = 64}, RYZ_CORRUPT, "cannot share"},
        {{.pre = "llama-bpe"}, RYZ_UNSUPPORTED, "\"llama-bpe\""},
    };
    for (size_t i = 0; i < RYZ_COUNT_OF(cases); i++) {
        expect_refusal(&cases[i].synthetic, NULL, cases[i].status, cases[i].word);
    }
}

static void add_harmless(struct gguf_builder *builder)
{
    builder_text(builder, "llama.rope.scaling.type", "none");
    builder_f32(builder, "llama.rope.scaling.factor", 1.0F);
    builder_u32(builder, "llama.expert_count", 0);
    builder_u32(builder, "llama.attention.key_length", 16);
    builder_u32(builder, "llama.attention.value_length", 16);
    builder_text(builder, "general.description", "keys nobody reads are no reason to refuse");
}

Test(model, accepts_keys_that_ask_for_nothing_special)
{
    ryz_model_close(synthetic_open(&(struct synthetic){.layers = 1, .change = add_harmless}, NULL));
}

Test(model, refuses_unknown_weight_types_and_rows_that_do_not_fit_one)
{
    struct synthetic synthetic = {.layers = 1};
    expect_refusal(&synthetic, &(struct ryz_model_options){.quant = "q4_k"}, RYZ_INVALID, "q4_k");
    expect_refusal(&synthetic, &(struct ryz_model_options){.quant = ""}, RYZ_INVALID, "as_is");
    struct synthetic odd = {.layers = 1, .embd = 40, .heads = 2, .kv_heads = 1};
    expect_refusal(&odd, &(struct ryz_model_options){.quant = "q8_0"}, RYZ_UNSUPPORTED, "q8_0");
}

Test(model, says_which_file_it_cannot_find)
{
    struct ryz_model *model = NULL;
    struct ryz_error error = {0};
    cr_assert_eq(ryz_model_open("/nowhere/model.gguf", NULL, &model, &error), RYZ_NOT_FOUND);
    cr_assert_not_null(strstr(error.text, "/nowhere/model.gguf"));
    ryz_model_close(NULL);
}
