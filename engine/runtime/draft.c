/*
 * draft.c - catches up with each request, then guesses one token after the other for all of them.
 *
 *   filled[block]: leading positions of the block whose keys and values are the draft's own
 *
 * Leaves to others: how many proposals (the core), whether they are right (step.c). The idea: the
 * draft computes lazily. It looks at a request only when proposals are wanted, and then computes
 * whatever it lacks: the prompt once, and what was decoded while speculation did not pay.
 */
#include "engine/runtime/draft.h"

#include "engine/backend/backend.h"
#include "engine/base/assert.h"
#include "engine/base/size.h"
#include "engine/memory/kv_store.h"
#include "engine/model/tokenizer.h"

#include <stdlib.h>
#include <string.h>

struct ryz_draft {
    struct ryz_model *model;
    struct ryz_backend *backend;
    struct ryz_kv_store *kv;
    struct ryz_forward *forward;
    struct ryz_candidate *candidates; /* (n_vocab) the sampler's */
    uint32_t *filled;                 /* (blocks) */
    struct ryz_kv_shape shape;
    uint32_t tokens_max, requests_max;

    /* Of a run under way. */
    uint32_t from[RYZ_BATCH_MAX]; /* first position not computed yet */
    uint32_t who[RYZ_BATCH_MAX];  /* run of each sequence of a batch */
    struct ryz_batch_sequence sequences[RYZ_BATCH_MAX];
};

static enum ryz_status check_vocabulary(const struct ryz_model *draft,
                                        const struct ryz_model *target, struct ryz_error *error)
{
    const struct ryz_tokenizer *a = ryz_model_tokenizer(draft), *b = ryz_model_tokenizer(target);
    uint32_t count = ryz_tokenizer_vocab_size(b);
    if (ryz_tokenizer_vocab_size(a) != count ||
        ryz_model_info(draft)->n_vocab != ryz_model_info(target)->n_vocab)
        return ryz_fail(error, RYZ_INVALID,
                        "the draft model has %u tokens, the model has %u; a draft must have the "
                        "vocabulary of the model that it drafts for",
                        ryz_tokenizer_vocab_size(a), count);
    for (uint32_t id = 0; id < count; id++) {
        size_t a_length = 0, b_length = 0;
        const char *a_bytes = ryz_tokenizer_bytes(a, id, &a_length);
        const char *b_bytes = ryz_tokenizer_bytes(b, id, &b_length);
        if (a_length != b_length || memcmp(a_bytes, b_bytes, a_length) != 0)
            return ryz_fail(error, RYZ_INVALID,
                            "token %u of the draft model is another than the model's; a draft must "
                            "have the vocabulary of the model that it drafts for",
                            id);
    }
    return RYZ_OK;
}

enum ryz_status ryz_draft_open(const struct ryz_draft_options *options, struct ryz_draft **out,
                               struct ryz_error *error)
{
    *out = NULL;
    struct ryz_draft *draft = calloc(1, sizeof *draft);
    if (draft == NULL) return ryz_fail(error, RYZ_NO_MEMORY, "no memory for a draft model");
    const struct ryz_model_options model = {.quant = NULL};
    draft->backend = options->backend;
    draft->tokens_max = options->batch_tokens_max;
    draft->requests_max = options->batch_requests_max;
    enum ryz_status status = ryz_model_open(options->model_path, &model, &draft->model, error);
    if (status == RYZ_OK) status = check_vocabulary(draft->model, options->target, error);
    if (status == RYZ_OK && ryz_model_info(draft->model)->context_tokens <
                                ryz_model_info(options->target)->context_tokens)
        status = ryz_fail(error, RYZ_INVALID,
                          "the draft model's context is %u tokens, the model's is %u",
                          ryz_model_info(draft->model)->context_tokens,
                          ryz_model_info(options->target)->context_tokens);
    if (status != RYZ_OK) {
        ryz_draft_close(draft);
        return status;
    }
    const struct ryz_model_info *info = ryz_model_info(draft->model);
    draft->shape = (struct ryz_kv_shape){.n_layers = info->n_layers,
                                         .n_kv_heads = info->n_kv_heads,
                                         .head_dim = info->head_dim,
                                         .block_tokens = options->block_tokens,
                                         .n_blocks = 1,
                                         .type = RYZ_KV_BF16};
    *out = draft;
    return RYZ_OK;
}

uint64_t ryz_draft_bytes(const struct ryz_draft *draft)
{
    const struct ryz_model_info *info = ryz_model_info(draft->model);
    return info->weight_bytes + info->n_vocab * sizeof *draft->candidates +
           ryz_forward_bytes(draft->model, ryz_backend_threads(draft->backend), draft->tokens_max,
                             draft->requests_max);
}

size_t ryz_draft_block_bytes(const struct ryz_draft *draft)
{
    return ryz_kv_block_bytes(&draft->shape);
}

enum ryz_status ryz_draft_reserve(struct ryz_draft *draft, uint32_t blocks, struct ryz_error *error)
{
    draft->shape.n_blocks = blocks;
    draft->filled = calloc(blocks, sizeof *draft->filled);
    draft->candidates = calloc(ryz_model_info(draft->model)->n_vocab, sizeof *draft->candidates);
    if (draft->filled == NULL || draft->candidates == NULL)
        return ryz_fail(error, RYZ_NO_MEMORY, "no memory for a draft model's tables");
    enum ryz_status status = ryz_kv_store_open(&draft->shape, &draft->kv, error);
    if (status != RYZ_OK) return status;
    return ryz_forward_open(draft->model, draft->backend, draft->kv, draft->tokens_max,
                            draft->requests_max, &draft->forward, error);
}

void ryz_draft_close(struct ryz_draft *draft)
{
    if (draft == NULL) return;
    if (draft->forward != NULL) ryz_forward_close(draft->forward);
    ryz_kv_store_close(draft->kv);
    if (draft->model != NULL) ryz_model_close(draft->model);
    free(draft->candidates);
    free(draft->filled);
    free(draft);
}

void ryz_draft_forget(struct ryz_draft *draft, const uint32_t *block_table, uint32_t first,
                      uint32_t end)
{
    uint32_t size = draft->shape.block_tokens;
    for (uint32_t i = first / size; i * size < end; i++) {
        uint32_t keep = i * size < first ? first - i * size : 0;
        uint32_t *filled = &draft->filled[block_table[i]];
        if (*filled > keep) *filled = keep;
    }
}

void ryz_draft_forget_block(struct ryz_draft *draft, uint32_t block)
{
    draft->filled[block] = 0; /* computing it again is cheap */
}

/* The first position of a text that the draft has not computed. */
static uint32_t first_missing(const struct ryz_draft *draft, const uint32_t *block_table,
                              uint32_t count)
{
    uint32_t size = draft->shape.block_tokens;
    for (uint32_t i = 0; i * size < count; i++) {
        uint32_t filled = draft->filled[block_table[i]];
        if (filled < size) return ryz_min_u32(i * size + filled, count);
    }
    return count;
}

static void mark_filled(struct ryz_draft *draft, const uint32_t *block_table, uint32_t first,
                        uint32_t end)
{
    uint32_t size = draft->shape.block_tokens;
    for (uint32_t i = first / size; i * size < end; i++)
        draft->filled[block_table[i]] = ryz_min_u32(end - i * size, size);
}

/* Computes the batch of `count` sequences and draws the next token of those that want it. */
static void run_batch(struct ryz_draft *draft, const struct ryz_draft_run *runs, uint32_t count,
                      uint32_t token_count)
{
    const struct ryz_batch batch = {
        .sequences = draft->sequences, .sequence_count = count, .token_count = token_count};
    uint32_t n_vocab = ryz_model_info(draft->model)->n_vocab, row = 0;
    ryz_forward_run(draft->forward, &batch);
    for (uint32_t i = 0; i < count; i++) {
        const struct ryz_batch_sequence *sequence = &draft->sequences[i];
        const struct ryz_draft_run *run = &runs[draft->who[i]];
        uint32_t end = sequence->first_position + sequence->token_count;
        mark_filled(draft, run->block_table, sequence->first_position, end);
        draft->from[draft->who[i]] = end;
        if (sequence->logit_rows == 0) continue;
        run->tokens[end] = ryz_sample(run->sampling, ryz_forward_logits(draft->forward, row++),
                                      n_vocab, end, draft->candidates, NULL);
    }
}

/* Computes every request up to token number `known[i] + ahead`, in as many batches as it takes, and
 * draws the token after it. */
static void advance(struct ryz_draft *draft, const struct ryz_draft_run *runs, uint32_t count,
                    uint32_t ahead)
{
    uint32_t sequences = 0, tokens = 0;
    for (uint32_t i = 0; i < count;) {
        const struct ryz_draft_run *run = &runs[i];
        uint32_t end = run->token_count + ahead, from = draft->from[i];
        if (ahead >= run->proposals || from == end) {
            i++;
            continue;
        }
        uint32_t n = ryz_min_u32(end - from, draft->tokens_max - tokens);
        if (n == 0 || sequences == draft->requests_max) {
            run_batch(draft, runs, sequences, tokens);
            sequences = tokens = 0;
            continue;
        }
        draft->who[sequences] = i;
        draft->sequences[sequences++] =
            (struct ryz_batch_sequence){.tokens = run->tokens + from,
                                        .block_table = run->block_table,
                                        .token_count = n,
                                        .first_position = from,
                                        .logit_rows = from + n == end ? 1 : 0};
        tokens += n;
        /* A part only: the batch is full, and the rest goes into the next one. */
        if (from + n < end) {
            run_batch(draft, runs, sequences, tokens);
            sequences = tokens = 0;
            continue;
        }
        i++;
    }
    if (sequences > 0) run_batch(draft, runs, sequences, tokens);
}

/* Computes positions [from, end) of one request, without drawing anything. */
static void compute(struct ryz_draft *draft, const struct ryz_draft_run *run, uint32_t from,
                    uint32_t end)
{
    while (from < end) {
        uint32_t n = ryz_min_u32(end - from, draft->tokens_max);
        draft->sequences[0] = (struct ryz_batch_sequence){.tokens = run->tokens + from,
                                                          .block_table = run->block_table,
                                                          .token_count = n,
                                                          .first_position = from};
        const struct ryz_batch batch = {
            .sequences = draft->sequences, .sequence_count = 1, .token_count = n};
        ryz_forward_run(draft->forward, &batch);
        mark_filled(draft, run->block_table, from, from + n);
        from += n;
    }
}

void ryz_draft_catch_up(struct ryz_draft *draft, const struct ryz_draft_run *runs, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        /* All but the newest token and the one before, which a step whose proposals were all right
         * leaves behind; but all that is shared, for a batch must not write one block twice. */
        const struct ryz_draft_run *run = &runs[i];
        uint32_t from = first_missing(draft, run->block_table, run->token_count);
        uint32_t last = run->token_count - 1;
        uint32_t end = ryz_min_u32(run->shared_tokens, last);
        if (last - from > 1) end = last;
        compute(draft, run, from, end);
    }
}

void ryz_draft_propose(struct ryz_draft *draft, const struct ryz_draft_run *runs, uint32_t count)
{
    uint32_t most = 0;
    RYZ_ASSERT(count <= RYZ_BATCH_MAX);
    for (uint32_t i = 0; i < count; i++) {
        draft->from[i] = first_missing(draft, runs[i].block_table, runs[i].token_count);
        if (runs[i].proposals > most) most = runs[i].proposals;
    }
    for (uint32_t ahead = 0; ahead < most; ahead++) advance(draft, runs, count, ahead);
}
