/*
 * score.c - log-probabilities of a text under a model, in windows.
 *
 * Leaves to others: means and perplexities (harness/evaluate). The idea: every scored token enters
 * the batch as a sequence of its own that wants logits; they share one block table, and since a
 * pass stores all keys before it attends, that equals one long sequence.
 */
#include "engine/backend/backend.h"
#include "engine/base/assert.h"
#include "engine/base/size.h"
#include "engine/memory/kv_store.h"
#include "engine/model/model.h"

#include <math.h>
#include <stdlib.h>

#define CHUNK_TOKENS 64u /* tokens of a pass; their logits take CHUNK_TOKENS * V floats */
#define BLOCK_TOKENS 16u

struct scoring {
    struct ryz_forward *forward;
    struct ryz_kv_store *kv;
    uint32_t *block_table;
    uint32_t n_vocab;
    const struct ryz_score_options *options;
};

static float log_probability(const float *logits, uint32_t n_vocab, uint32_t id)
{
    double highest = -INFINITY, sum = 0.0;
    for (uint32_t i = 0; i < n_vocab; i++) {
        if ((double)logits[i] > highest) highest = (double)logits[i];
    }
    for (uint32_t i = 0; i < n_vocab; i++) sum += exp((double)logits[i] - highest);
    return (float)((double)logits[id] - highest - log(sum));
}

/* Runs tokens [begin, end) of the window that starts at `start`; a token in or after `score_from`
 * is reported with the logits of the token before it. */
static void run_chunk(const struct scoring *scoring, uint32_t start, uint32_t begin, uint32_t end,
                      uint32_t score_from, uint32_t window_end)
{
    struct ryz_batch_sequence sequences[CHUNK_TOKENS];
    uint32_t count = end - begin;
    RYZ_ASSERT(count >= 1 && count <= CHUNK_TOKENS);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t next = begin + i + 1;
        sequences[i] = (struct ryz_batch_sequence){
            .tokens = scoring->options->tokens + begin + i,
            .block_table = scoring->block_table,
            .token_count = 1,
            .first_position = begin + i - start,
            .logit_rows = next >= score_from && next < window_end ? 1 : 0,
        };
    }
    struct ryz_batch batch = {sequences, count, count};
    ryz_forward_run(scoring->forward, &batch);
    uint32_t wanted = 0;
    const struct ryz_score_options *options = scoring->options;
    for (uint32_t i = 0; i < count; i++) {
        if (sequences[i].logit_rows == 0) continue;
        uint32_t position = begin + i + 1;
        const float *logits = ryz_forward_logits(scoring->forward, wanted++);
        float logprob = log_probability(logits, scoring->n_vocab, options->tokens[position]);
        options->on_token(options->context, position, logprob, logits);
    }
}

static void run_windows(const struct scoring *scoring, uint32_t count, uint32_t window)
{
    uint32_t step = window / 2, scored = 1; /* tokens before `scored` are done */
    for (uint32_t start = 0; scored < count; start += step) {
        uint32_t end = count - start < window ? count : start + window;
        for (uint32_t begin = start; begin < end; begin += CHUNK_TOKENS) {
            uint32_t chunk_end = end - begin < CHUNK_TOKENS ? end : begin + CHUNK_TOKENS;
            run_chunk(scoring, start, begin, chunk_end, scored, end);
        }
        scored = end;
    }
}

static enum ryz_status open_scoring(struct scoring *scoring, const struct ryz_model *model,
                                    struct ryz_backend *backend, struct ryz_error *error)
{
    const struct ryz_model_info *info = ryz_model_info(model);
    struct ryz_kv_shape shape = {
        .n_layers = info->n_layers,
        .n_kv_heads = info->n_kv_heads,
        .head_dim = info->head_dim,
        .block_tokens = BLOCK_TOKENS,
        .n_blocks = ryz_ceil_div_u32(ryz_min_u32(scoring->options->window, scoring->options->count),
                                     BLOCK_TOKENS),
        .type = scoring->options->kv_type,
    };
    scoring->n_vocab = info->n_vocab;
    scoring->block_table = calloc(shape.n_blocks, sizeof *scoring->block_table);
    if (!scoring->block_table) return ryz_fail(error, RYZ_NO_MEMORY, "no memory to score");
    for (uint32_t i = 0; i < shape.n_blocks; i++) scoring->block_table[i] = i;
    enum ryz_status status = ryz_kv_store_open(&shape, &scoring->kv, error);
    if (status != RYZ_OK) return status;
    return ryz_forward_open(model, backend, scoring->kv, CHUNK_TOKENS, CHUNK_TOKENS,
                            &scoring->forward, error);
}

enum ryz_status ryz_model_score(const struct ryz_model *model, struct ryz_backend *backend,
                                const struct ryz_score_options *options, struct ryz_error *error)
{
    const struct ryz_model_info *info = ryz_model_info(model);
    uint32_t count = options->count, window = options->window;
    if (window < 2 || window > info->context_tokens) {
        return ryz_fail(error, RYZ_INVALID, "a window of %u tokens; the model takes 2 to %u",
                        window, info->context_tokens);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (options->tokens[i] < info->n_vocab) continue;
        return ryz_fail(error, RYZ_INVALID, "token %u is %u in a vocabulary of %u", i,
                        options->tokens[i], info->n_vocab);
    }
    if (count < 2) return RYZ_OK;
    struct scoring scoring = {.options = options};
    enum ryz_status status = open_scoring(&scoring, model, backend, error);
    if (status == RYZ_OK) run_windows(&scoring, count, window);
    ryz_forward_close(scoring.forward);
    ryz_kv_store_close(scoring.kv);
    free(scoring.block_table);
    return status;
}
