/*
 * Goal: the forward pass computes a Llama model, and the bytes of a sequence's logits depend on the
 * sequence alone. Method: against a plain pass in double on synthetic models; then the same prompt
 * in chunks, in company, on other threads and in other blocks, compared with memcmp, for every
 * kernels table that this CPU runs and every weight type.
 */
#include "engine/base/rng.h"
#include "engine/base/size.h"
#include "tests/unit/model/plain_llama.h"
#include "tests/unit/model/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROMPT  45u
#define DECODED 4u /* tokens fed one by one after the prompt */
#define TOTAL   (PROMPT + DECODED)
#define BLOCKS  64u /* of 4 tokens */

static const enum ryz_dtype types[] = {RYZ_DTYPE_F32,  RYZ_DTYPE_F16,  RYZ_DTYPE_BF16,
                                       RYZ_DTYPE_Q8_0, RYZ_DTYPE_Q4_0, RYZ_DTYPE_Q4_1};

/* Runs one sequence's tokens [first, first + count); returns its logits, valid until the next. */
static const float *run(struct rig *rig, const uint32_t *tokens, const uint32_t *blocks,
                        uint32_t first, uint32_t count)
{
    struct ryz_batch_sequence sequence = {tokens + first, blocks, count, first, true};
    struct ryz_batch batch = {&sequence, 1, count};
    ryz_forward_run(rig->forward, &batch);
    return ryz_forward_logits(rig->forward, 0);
}

static void identity(uint32_t *blocks)
{
    for (uint32_t i = 0; i < BLOCKS; i++) blocks[i] = i;
}

/* ---- is it Llama? ---- */

/* Largest difference relative to the spread of the logits. */
static double deviation(const float *logits, const double *wanted, uint32_t n)
{
    double largest = 0, squares = 0;
    for (uint32_t i = 0; i < n; i++) {
        largest = fmax(largest, fabs((double)logits[i] - wanted[i]));
        squares += wanted[i] * wanted[i];
    }
    cr_assert_gt(squares, 0);
    return largest / sqrt(squares / n);
}

/* A model, a text, and what the plain pass makes of it. */
struct plain {
    struct ryz_model *model;
    uint32_t tokens[TOTAL];
    double *logits; /* (TOTAL, n_vocab) */
};

static struct plain plain_open(const struct synthetic *synthetic)
{
    struct plain plain = {.model = synthetic_open(synthetic, NULL)};
    seeded_tokens(plain.model, 1, plain.tokens, TOTAL);
    plain.logits = plain_llama(plain.model, plain.tokens, TOTAL);
    return plain;
}

static void plain_close(struct plain *plain)
{
    free(plain->logits);
    ryz_model_close(plain->model);
}

static void compare(const struct plain *plain, const char *isa, enum ryz_kv_type kv_type,
                    double tolerance)
{
    uint32_t blocks[BLOCKS], n = ryz_model_info(plain->model)->n_vocab;
    identity(blocks);
    struct rig rig;
    rig_open(&rig, plain->model,
             &(struct rig_options){
                 .isa = isa, .block_tokens = 4, .n_blocks = BLOCKS, .kv_type = kv_type});
    for (uint32_t t = PROMPT - 1; t < TOTAL; t++) {
        const float *logits = t < PROMPT ? run(&rig, plain->tokens, blocks, 0, PROMPT)
                                         : run(&rig, plain->tokens, blocks, t, 1);
        double off = deviation(logits, plain->logits + (size_t)t * n, n);
        cr_assert_lt(off, tolerance, "%s: token %u is off by %g", isa, t, off);
    }
    rig_close(&rig);
}

static void compare_reference(const struct synthetic *synthetic)
{
    struct plain plain = plain_open(synthetic);
    compare(&plain, "ref", RYZ_KV_F32, 2e-5);
    plain_close(&plain);
}

Test(forward, equals_a_plain_llama_in_double)
{
    for (size_t i = 0; i < RYZ_COUNT_OF(types); i++) {
        compare_reference(&(struct synthetic){.type = types[i], .layers = 3});
    }
    compare_reference(&(struct synthetic){.untied = true, .heads = 2, .kv_heads = 2});
    compare_reference(&(struct synthetic){.embd = 44, .heads = 2, .kv_heads = 1, .ffn = 57});
}

static void rotate_half(struct gguf_builder *builder)
{
    builder_u32(builder, "llama.rope.dimension_count", 8);
}

Test(forward, rotates_only_the_dimensions_that_the_file_says)
{
    compare_reference(&(struct synthetic){.change = rotate_half});
}

Test(forward, fast_kernels_and_smaller_caches_stay_close_to_the_plain_pass)
{
    for (size_t i = 0; i < RYZ_COUNT_OF(types); i++) {
        struct plain plain = plain_open(&(struct synthetic){.type = types[i]});
        for (size_t k = 0; ryz_kernels_name(k); k++) {
            compare(&plain, ryz_kernels_name(k), RYZ_KV_F32, 1e-4);
            /* Keys and values are rounded to 8 bits, an error of 2^-9 each. */
            compare(&plain, ryz_kernels_name(k), RYZ_KV_BF16, 5e-2);
            /* Here to half of 1/127 of the largest of a vector. */
            compare(&plain, ryz_kernels_name(k), RYZ_KV_INT8, 5e-2);
        }
        plain_close(&plain);
    }
}

/* ---- the same bytes ---- */

struct expected {
    uint32_t n_vocab;
    uint32_t tokens[TOTAL];
    float *logits; /* (1 + DECODED, n_vocab): after the prompt and after each decoded token */
};

static void expect_same(const struct expected *expected, uint32_t i, const float *logits,
                        const char *how)
{
    const float *wanted = expected->logits + (size_t)i * expected->n_vocab;
    cr_assert_eq(memcmp(logits, wanted, expected->n_vocab * sizeof *wanted), 0,
                 "%s: logits %u differ", how, i);
}

/* Prefills in chunks, then decodes, and compares. */
static void check_run(struct rig *rig, const struct expected *expected, const uint32_t *blocks,
                      uint32_t chunk, const char *how)
{
    const float *logits = NULL;
    for (uint32_t first = 0; first < PROMPT; first += chunk) {
        uint32_t count = ryz_min_u32(chunk, PROMPT - first);
        logits = run(rig, expected->tokens, blocks, first, count);
    }
    expect_same(expected, 0, logits, how);
    for (uint32_t i = 0; i < DECODED; i++) {
        logits = run(rig, expected->tokens, blocks, PROMPT + i, 1);
        expect_same(expected, 1 + i, logits, how);
    }
}

/* What a prompt gives alone, whole, on one thread, in blocks 0, 1, 2, ... */
static struct expected record(const struct ryz_model *model, const struct rig_options *options)
{
    struct expected expected = {.n_vocab = ryz_model_info(model)->n_vocab};
    expected.logits = calloc((size_t)(1 + DECODED) * expected.n_vocab, sizeof(float));
    cr_assert_not_null(expected.logits);
    seeded_tokens(model, 5, expected.tokens, TOTAL);
    uint32_t blocks[BLOCKS];
    identity(blocks);
    struct rig rig;
    rig_open(&rig, model, options);
    for (uint32_t i = 0; i <= DECODED; i++) {
        const float *logits = i == 0 ? run(&rig, expected.tokens, blocks, 0, PROMPT)
                                     : run(&rig, expected.tokens, blocks, PROMPT + i - 1, 1);
        memcpy(expected.logits + (size_t)i * expected.n_vocab, logits,
               expected.n_vocab * sizeof *logits);
    }
    cr_assert(isfinite(expected.logits[0]) && expected.logits[0] != expected.logits[1]);
    rig_close(&rig);
    return expected;
}

static void check_chunks(const struct ryz_model *model, const struct rig_options *options,
                         const struct expected *expected)
{
    static const uint32_t chunks[] = {1, 7, 16, 32, PROMPT};
    uint32_t blocks[BLOCKS];
    identity(blocks);
    struct rig rig;
    rig_open(&rig, model, options);
    for (size_t i = 0; i < RYZ_COUNT_OF(chunks); i++) {
        char how[64];
        (void)snprintf(how, sizeof how, "%s, chunks of %u", options->isa, chunks[i]);
        check_run(&rig, expected, blocks, chunks[i], how);
    }
    rig_close(&rig);
}

static void check_blocks(const struct ryz_model *model, const struct rig_options *options,
                         const struct expected *expected)
{
    uint32_t blocks[BLOCKS];
    identity(blocks);
    struct ryz_rng rng;
    ryz_rng_init(&rng, 8, 8);
    for (uint32_t i = BLOCKS; i > 1; i--) {
        uint32_t j = (uint32_t)ryz_rng_below(&rng, i), held = blocks[i - 1];
        blocks[i - 1] = blocks[j];
        blocks[j] = held;
    }
    struct rig rig;
    rig_open(&rig, model, options);
    check_run(&rig, expected, blocks, 16, "blocks in another order");
    rig_close(&rig);
    struct rig_options larger = *options;
    larger.block_tokens = 16;
    rig_open(&rig, model, &larger);
    check_run(&rig, expected, blocks, 16, "larger blocks");
    rig_close(&rig);
}

static void check_threads(const struct ryz_model *model, const struct rig_options *options,
                          const struct expected *expected)
{
    uint32_t blocks[BLOCKS];
    identity(blocks);
    for (uint32_t threads = 2; threads <= 3; threads++) {
        struct rig_options more = *options;
        more.threads = threads;
        struct rig rig;
        rig_open(&rig, model, &more);
        check_run(&rig, expected, blocks, PROMPT, "more threads");
        check_run(&rig, expected, blocks, 7, "more threads and chunks");
        rig_close(&rig);
    }
}

/* Five other sequences beside ours: prefills and decodes of their own tokens and blocks, before and
 * after it in the batch. */
static void check_company(const struct ryz_model *model, const struct rig_options *options,
                          const struct expected *expected)
{
    enum { OTHERS = 5, MINE = 2, EACH = BLOCKS / (OTHERS + 1) };
    uint32_t blocks[OTHERS + 1][BLOCKS], tokens[OTHERS + 1][TOTAL];
    for (uint32_t s = 0; s <= OTHERS; s++) {
        for (uint32_t i = 0; i < BLOCKS; i++) blocks[s][i] = s * EACH * 2 + i % (EACH * 2);
        seeded_tokens(model, 100 + s, tokens[s], TOTAL);
    }
    memcpy(tokens[MINE], expected->tokens, sizeof tokens[MINE]);
    struct rig_options company = *options;
    company.n_blocks = 2 * BLOCKS;
    company.threads = 2;
    struct rig rig;
    rig_open(&rig, model, &company);
    for (uint32_t first = 0; first < TOTAL;) {
        uint32_t count = first < PROMPT ? ryz_min_u32(16, PROMPT - first) : 1, total = 0, at = 0;
        struct ryz_batch_sequence sequences[OTHERS + 1];
        for (uint32_t s = 0; s <= OTHERS; s++) {
            /* Others run at their own pace: s tokens a step, from where they are. */
            uint32_t theirs = s == MINE ? count : 1 + s;
            uint32_t position = s == MINE ? first : (first / 8 * (1 + s)) % (TOTAL - 6);
            sequences[s] = (struct ryz_batch_sequence){tokens[s] + position, blocks[s], theirs,
                                                       position, s % 2 == 0};
            total += theirs;
            at += s < MINE && s % 2 == 0;
        }
        struct ryz_batch batch = {sequences, OTHERS + 1, total};
        ryz_forward_run(rig.forward, &batch);
        first += count;
        if (first >= PROMPT) {
            expect_same(expected, first - PROMPT, ryz_forward_logits(rig.forward, at), "company");
        }
    }
    rig_close(&rig);
}

static void check_everything(const struct ryz_model *model, const struct rig_options *options)
{
    struct expected expected = record(model, options);
    check_chunks(model, options, &expected);
    check_blocks(model, options, &expected);
    check_threads(model, options, &expected);
    check_company(model, options, &expected);
    free(expected.logits);
}

static void check_table(size_t table)
{
    const char *isa = ryz_kernels_name(table);
    if (!isa) cr_skip_test("this CPU runs no table %zu", table);
    for (size_t i = 0; i < RYZ_COUNT_OF(types); i++) {
        struct ryz_model *model = synthetic_open(&(struct synthetic){.type = types[i]}, NULL);
        check_everything(model,
                         &(struct rig_options){.isa = isa, .block_tokens = 4, .n_blocks = BLOCKS});
        ryz_model_close(model);
    }
}

Test(forward, bytes_depend_on_the_sequence_alone_on_the_best_table)
{
    check_table(0);
}

Test(forward, bytes_depend_on_the_sequence_alone_on_the_second_table)
{
    check_table(1);
}

Test(forward, bytes_depend_on_the_sequence_alone_on_the_third_table)
{
    check_table(2);
}

Test(forward, bytes_depend_on_the_sequence_alone_with_an_f32_cache)
{
    struct ryz_model *model = synthetic_open(&(struct synthetic){.layers = 2}, NULL);
    check_everything(
        model, &(struct rig_options){
                   .isa = "auto", .block_tokens = 4, .n_blocks = BLOCKS, .kv_type = RYZ_KV_F32});
    ryz_model_close(model);
}

/* Whoever quantised a chunk as a whole would fail here: scales would depend on the chunk. */
Test(forward, bytes_depend_on_the_sequence_alone_with_an_int8_cache)
{
    for (size_t k = 0; ryz_kernels_name(k); k++) {
        struct ryz_model *model = synthetic_open(&(struct synthetic){.layers = 2}, NULL);
        check_everything(model, &(struct rig_options){.isa = ryz_kernels_name(k),
                                                      .block_tokens = 4,
                                                      .n_blocks = BLOCKS,
                                                      .kv_type = RYZ_KV_INT8});
        ryz_model_close(model);
    }
}

/* The pools themselves, byte for byte, after a prompt in one pass and token by token. */
Test(forward, an_int8_cache_holds_the_same_bytes_after_any_chunks)
{
    struct ryz_model *model = synthetic_open(&(struct synthetic){.layers = 2}, NULL);
    uint32_t tokens[PROMPT], blocks[BLOCKS];
    seeded_tokens(model, 5, tokens, PROMPT);
    identity(blocks);
    struct rig_options options = {
        .isa = "auto", .block_tokens = 4, .n_blocks = BLOCKS, .kv_type = RYZ_KV_INT8};
    struct rig whole, parts;
    rig_open(&whole, model, &options);
    options.threads = 2;
    rig_open(&parts, model, &options);
    (void)run(&whole, tokens, blocks, 0, PROMPT);
    for (uint32_t t = 0; t < PROMPT; t++) (void)run(&parts, tokens, blocks, t, 1);
    const struct ryz_kv_shape *shape = ryz_kv_store_shape(whole.kv);
    size_t bytes = ryz_kv_block_bytes(shape) / (2 * shape->n_layers) * BLOCKS, codes = 0;
    for (uint32_t layer = 0; layer < shape->n_layers; layer++) {
        const unsigned char *k = ryz_kv_store_k(whole.kv, layer);
        for (size_t i = 0; i < bytes; i++) codes += k[i] != 0;
        cr_assert_eq(memcmp(k, ryz_kv_store_k(parts.kv, layer), bytes), 0);
        cr_assert_eq(
            memcmp(ryz_kv_store_v(whole.kv, layer), ryz_kv_store_v(parts.kv, layer), bytes), 0);
    }
    cr_assert_gt(codes, PROMPT * shape->head_dim, "nothing was stored: this shows nothing");
    rig_close(&whole);
    rig_close(&parts);
    ryz_model_close(model);
}

Test(forward, bytes_depend_on_the_sequence_alone_for_ryz_tiny)
{
    const char *path = find_model("ryz-tiny.gguf");
    if (!path) cr_skip_test("models/ryz-tiny.gguf is not there");
    struct ryz_model *model = NULL;
    cr_assert_eq(ryz_model_open(path, NULL, &model, NULL), RYZ_OK);
    for (size_t k = 0; ryz_kernels_name(k); k++) {
        check_everything(model, &(struct rig_options){.isa = ryz_kernels_name(k),
                                                      .block_tokens = 4,
                                                      .n_blocks = BLOCKS});
    }
    check_everything(
        model, &(struct rig_options){
                   .isa = "auto", .block_tokens = 4, .n_blocks = BLOCKS, .kv_type = RYZ_KV_INT8});
    ryz_model_close(model);
}

/* ---- edges ---- */

Test(forward, gives_logits_only_to_those_who_want_them_in_batch_order)
{
    struct ryz_model *model = synthetic_open(&(struct synthetic){.layers = 1}, NULL);
    uint32_t tokens[TOTAL], blocks[BLOCKS], n = ryz_model_info(model)->n_vocab;
    seeded_tokens(model, 1, tokens, TOTAL);
    identity(blocks);
    struct rig rig;
    rig_open(&rig, model, &(struct rig_options){.isa = "ref", .n_blocks = BLOCKS});
    float *first = malloc(n * sizeof *first), *second = malloc(n * sizeof *second);
    memcpy(first, run(&rig, tokens, blocks + 1, 0, 3), n * sizeof *first);
    memcpy(second, run(&rig, tokens + 9, blocks + 2, 0, 5), n * sizeof *second);
    struct ryz_batch_sequence sequences[] = {{tokens + 20, blocks, 4, 0, false},
                                             {tokens, blocks + 1, 3, 0, true},
                                             {tokens + 30, blocks + 3, 2, 0, false},
                                             {tokens + 9, blocks + 2, 5, 0, true}};
    struct ryz_batch batch = {sequences, 4, 14};
    ryz_forward_run(rig.forward, &batch);
    cr_assert_eq(memcmp(ryz_forward_logits(rig.forward, 0), first, n * sizeof *first), 0);
    cr_assert_eq(memcmp(ryz_forward_logits(rig.forward, 1), second, n * sizeof *second), 0);
    struct ryz_batch nothing = {sequences, 0, 0};
    ryz_forward_run(rig.forward, &nothing);
    free(first);
    free(second);
    rig_close(&rig);
    ryz_model_close(model);
}

Test(forward, uses_no_more_positions_than_model_and_store_have)
{
    struct ryz_model *model =
        synthetic_open(&(struct synthetic){.layers = 1, .context = 100}, NULL);
    struct rig rig;
    rig_open(&rig, model, &(struct rig_options){.n_blocks = 3, .block_tokens = 16});
    cr_assert_eq(ryz_forward_context(rig.forward), 48);
    rig_close(&rig);
    rig_open(&rig, model, &(struct rig_options){.n_blocks = 30, .block_tokens = 16});
    cr_assert_eq(ryz_forward_context(rig.forward), 100);
    /* The last position can be used. */
    uint32_t token = 5, blocks[BLOCKS];
    identity(blocks);
    struct ryz_batch_sequence sequence = {&token, blocks, 1, 99, true};
    struct ryz_batch batch = {&sequence, 1, 1};
    ryz_forward_run(rig.forward, &batch);
    cr_assert(isfinite(ryz_forward_logits(rig.forward, 0)[0]));
    rig_close(&rig);
    ryz_model_close(model);
}

Test(forward, refuses_a_store_of_another_shape)
{
    struct ryz_model *model = synthetic_open(&(struct synthetic){.layers = 1}, NULL);
    struct rig rig;
    rig_open(&rig, model, &(struct rig_options){.n_blocks = 2});
    struct ryz_kv_shape shape = *ryz_kv_store_shape(rig.kv);
    shape.n_layers = 2;
    struct ryz_kv_store *other = NULL;
    cr_assert_eq(ryz_kv_store_open(&shape, &other, NULL), RYZ_OK);
    struct ryz_forward *forward = NULL;
    struct ryz_error error = {0};
    cr_assert_eq(ryz_forward_open(model, rig.backend, other, 8, 8, &forward, &error), RYZ_INVALID);
    cr_assert_not_null(strstr(error.text, "2 layers"));
    cr_assert_eq(ryz_forward_open(model, rig.backend, rig.kv, 0, 8, &forward, &error), RYZ_INVALID);
    ryz_kv_store_close(other);
    rig_close(&rig);
    ryz_model_close(model);
}
