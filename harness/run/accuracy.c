/*
 * accuracy.c - scores a text window by window, base first, so that only one window of the base's
 * logits is kept for the KL divergence (a whole text's would be gigabytes).
 */
#include "harness/run/accuracy.h"

#include "engine/backend/backend.h"
#include "engine/base/file.h"
#include "engine/base/size.h"
#include "engine/model/model.h"
#include "engine/model/tokenizer.h"
#include "kernels/kv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_BYTES_MAX ((size_t)256 << 20)

struct scorer {
    struct ryz_backend *backend;
    struct ryz_model *model, *base; /* base may be NULL */
    enum ryz_kv_type kv_type;       /* of the model; the base has BF16 */
    uint32_t *tokens;
    size_t token_count;
    uint32_t window;
    float *base_logits; /* (window, vocab) of the present window, NULL without a base */
    /* of the present window: */
    uint32_t start, window_number;
    struct ryz_accuracy_row *rows;
    size_t row_count;
};

static double log_sum_exp(const float *logits, uint32_t count, uint32_t *top)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < count; i++) {
        if (logits[i] > logits[best]) best = i;
    }
    double sum = 0;
    for (uint32_t i = 0; i < count; i++) sum += exp((double)logits[i] - (double)logits[best]);
    *top = best;
    return (double)logits[best] + log(sum);
}

/* The first window scores everything, later ones their second half. */
static bool is_scored(const struct scorer *scorer, uint32_t position)
{
    return scorer->start == 0 || position >= scorer->window / 2;
}

static void keep_base(void *context, uint32_t position, float logprob, const float *logits)
{
    struct scorer *scorer = context;
    (void)logprob;
    if (!is_scored(scorer, position)) return;
    size_t vocab = ryz_model_info(scorer->base)->n_vocab;
    memcpy(scorer->base_logits + position * vocab, logits, vocab * sizeof *logits);
}

/* KL(base || ours) in nats, the base's log-probability of the token, and the agreement. */
static void compare_with_base(const struct scorer *scorer, uint32_t position, const float *logits,
                              struct ryz_accuracy_row *row)
{
    uint32_t vocab = ryz_model_info(scorer->base)->n_vocab, top = 0, base_top = 0;
    const float *base = scorer->base_logits + (size_t)position * vocab;
    double norm = log_sum_exp(logits, vocab, &top);
    double base_norm = log_sum_exp(base, vocab, &base_top);
    double kl = 0;
    for (uint32_t i = 0; i < vocab; i++) {
        double base_logprob = (double)base[i] - base_norm;
        kl += exp(base_logprob) * (base_logprob - ((double)logits[i] - norm));
    }
    row->kl = kl;
    row->top1 = top == base_top;
    /* Both sides in double, so that equal models differ by nothing. */
    uint32_t token = scorer->tokens[scorer->start + position];
    row->logprob = (double)logits[token] - norm;
    row->base_logprob = (double)base[token] - base_norm;
}

static void keep_row(void *context, uint32_t position, float logprob, const float *logits)
{
    struct scorer *scorer = context;
    if (!is_scored(scorer, position)) return;
    struct ryz_accuracy_row *row = &scorer->rows[scorer->row_count++];
    *row = (struct ryz_accuracy_row){.item = scorer->start + position,
                                     .window = scorer->window_number,
                                     .logprob = (double)logprob,
                                     .base_logprob = NAN,
                                     .kl = NAN,
                                     .top1 = -1};
    if (scorer->base != NULL) compare_with_base(scorer, position, logits, row);
}

static enum ryz_status score_windows(struct scorer *scorer,
                                     const struct ryz_accuracy_options *options,
                                     struct ryz_error *error)
{
    uint32_t total = (uint32_t)scorer->token_count, half = scorer->window / 2;
    for (uint32_t start = 0; start + half < total || start == 0; start += half) {
        uint32_t count = ryz_min_u32(scorer->window, total - start);
        scorer->start = start;
        struct ryz_score_options ours = {.tokens = scorer->tokens + start,
                                         .count = count,
                                         .window = scorer->window,
                                         .kv_type = scorer->kv_type,
                                         .on_token = keep_row,
                                         .context = scorer};
        struct ryz_score_options base = ours;
        base.kv_type = RYZ_KV_BF16;
        base.on_token = keep_base;
        enum ryz_status status = RYZ_OK;
        if (scorer->base != NULL) {
            status = ryz_model_score(scorer->base, scorer->backend, &base, error);
        }
        if (status == RYZ_OK) {
            status = ryz_model_score(scorer->model, scorer->backend, &ours, error);
        }
        if (status != RYZ_OK) return status;
        scorer->window_number++;
        if (options->progress != NULL) {
            options->progress(options->progress_context, (double)(start + count) / (double)total);
        }
    }
    return RYZ_OK;
}

static enum ryz_status read_tokens(struct scorer *scorer,
                                   const struct ryz_accuracy_options *options,
                                   struct ryz_error *error)
{
    char *text = NULL;
    size_t size = 0;
    enum ryz_status status = ryz_file_load(options->text_path, TEXT_BYTES_MAX, &text, &size, error);
    if (status != RYZ_OK) return status;
    size_t capacity = ryz_tokenizer_encode_bound(size) + 1;
    scorer->tokens = calloc(capacity, sizeof *scorer->tokens);
    if (scorer->tokens == NULL) {
        status = ryz_fail(error, RYZ_NO_MEMORY, "no memory for the accuracy text");
    } else {
        status = ryz_tokenizer_encode(ryz_model_tokenizer(scorer->model), text, size, false,
                                      scorer->tokens, capacity, &scorer->token_count);
        if (status != RYZ_OK) (void)ryz_fail(error, status, "cannot tokenize the accuracy text");
    }
    free(text);
    if (status != RYZ_OK) return status;
    if (options->tokens_max != 0 && scorer->token_count > options->tokens_max) {
        scorer->token_count = options->tokens_max;
    }
    if (scorer->token_count < 16) {
        return ryz_fail(error, RYZ_INVALID, "%s holds %zu tokens, too few to score",
                        options->text_path, scorer->token_count);
    }
    return RYZ_OK;
}

static enum ryz_status open_models(struct scorer *scorer,
                                   const struct ryz_accuracy_options *options,
                                   struct ryz_error *error)
{
    if (!ryz_kv_type_parse(options->kv_type, &scorer->kv_type)) {
        return ryz_fail(error, RYZ_INVALID, "no KV cache stores \"%.20s\"", options->kv_type);
    }
    struct ryz_backend_options backend = {"cpu", options->isa, options->threads};
    enum ryz_status status = ryz_backend_open(&backend, &scorer->backend, error);
    struct ryz_model_options model = {.quant = options->quant};
    if (status == RYZ_OK) {
        status = ryz_model_open(options->model_path, &model, &scorer->model, error);
    }
    struct ryz_model_options base = {.quant = options->against};
    if (status == RYZ_OK && options->against[0] != '\0') {
        status = ryz_model_open(options->model_path, &base, &scorer->base, error);
    }
    return status;
}

static enum ryz_status size_windows(struct scorer *scorer,
                                    const struct ryz_accuracy_options *options,
                                    struct ryz_error *error)
{
    const struct ryz_model_info *info = ryz_model_info(scorer->model);
    scorer->window = options->context != 0 ? options->context : 512;
    scorer->window = ryz_min_u32(scorer->window, info->context_tokens) & ~1u;
    size_t count = 0;
    if (!ryz_mul_size(scorer->window, info->n_vocab, &count) || scorer->window < 16) {
        return ryz_fail(error, RYZ_INVALID, "a window of %u tokens cannot be scored",
                        scorer->window);
    }
    scorer->rows = calloc(scorer->token_count + 1, sizeof *scorer->rows);
    if (scorer->base != NULL) scorer->base_logits = calloc(count, sizeof *scorer->base_logits);
    if (scorer->rows == NULL || (scorer->base != NULL && scorer->base_logits == NULL)) {
        return ryz_fail(error, RYZ_NO_MEMORY, "no memory to score a window");
    }
    return RYZ_OK;
}

static void sum_up(const struct scorer *scorer, struct ryz_accuracy_result *result)
{
    double sum = 0, base_sum = 0;
    for (size_t i = 0; i < scorer->row_count; i++) {
        const struct ryz_accuracy_row *row = &scorer->rows[i];
        size_t length = 0;
        sum += row->logprob;
        base_sum += row->base_logprob;
        (void)ryz_tokenizer_bytes(ryz_model_tokenizer(scorer->model), scorer->tokens[row->item],
                                  &length);
        result->bytes_scored += length;
    }
    result->perplexity = exp(-sum / (double)scorer->row_count);
    result->base_perplexity = exp(-base_sum / (double)scorer->row_count);
    result->rows = scorer->rows;
    result->count = scorer->row_count;
}

enum ryz_status ryz_accuracy_run(const struct ryz_accuracy_options *options,
                                 struct ryz_accuracy_result *result, struct ryz_error *error)
{
    struct scorer scorer = {0};
    *result = (struct ryz_accuracy_result){.perplexity = NAN, .base_perplexity = NAN};
    enum ryz_status status = open_models(&scorer, options, error);
    if (status == RYZ_OK) status = read_tokens(&scorer, options, error);
    if (status == RYZ_OK) status = size_windows(&scorer, options, error);
    if (status == RYZ_OK) status = score_windows(&scorer, options, error);
    if (status == RYZ_OK) {
        sum_up(&scorer, result);
    } else {
        free(scorer.rows);
    }
    free(scorer.base_logits);
    free(scorer.tokens);
    ryz_model_close(scorer.base);
    ryz_model_close(scorer.model);
    ryz_backend_close(scorer.backend);
    return status;
}
