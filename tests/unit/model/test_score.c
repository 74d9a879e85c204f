/*
 * Goal: every token of a text is scored once, with as much context as the windows allow. Method: a
 * synthetic model; the scores are compared with a plain pass in double over the same windows.
 */
#include "tests/unit/model/plain_llama.h"
#include "tests/unit/model/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define COUNT 150u

struct scores {
    uint32_t n_vocab, count;
    uint32_t positions[COUNT];
    float logprobs[COUNT];
    const uint32_t *tokens;
};

static void keep(void *context, uint32_t position, float logprob, const float *logits)
{
    struct scores *scores = context;
    cr_assert_lt(scores->count, COUNT);
    scores->positions[scores->count] = position;
    scores->logprobs[scores->count++] = logprob;
    double highest = -INFINITY, sum = 0;
    for (uint32_t i = 0; i < scores->n_vocab; i++) highest = fmax(highest, (double)logits[i]);
    for (uint32_t i = 0; i < scores->n_vocab; i++) sum += exp((double)logits[i] - highest);
    double own = (double)logits[scores->tokens[position]] - highest - log(sum);
    cr_assert_float_eq((double)logprob, own, 1e-5);
}

static double plain_logprob(const double *logits, uint32_t n, uint32_t id)
{
    double sum = 0;
    for (uint32_t i = 0; i < n; i++) sum += exp(logits[i]);
    return logits[id] - log(sum);
}

static struct rig rig;

/* Of scores->tokens. */
static enum ryz_status try_score(const struct ryz_model *model, uint32_t window,
                                 enum ryz_kv_type kv_type, uint32_t count, struct scores *scores,
                                 struct ryz_error *error)
{
    struct ryz_score_options options = {.tokens = scores->tokens,
                                        .count = count,
                                        .window = window,
                                        .kv_type = kv_type,
                                        .on_token = keep,
                                        .context = scores};
    return ryz_model_score(model, rig.backend, &options, error);
}

static struct scores score_in(const struct ryz_model *model, enum ryz_kv_type kv_type,
                              const uint32_t *tokens, uint32_t count, uint32_t window)
{
    struct scores scores = {.n_vocab = ryz_model_info(model)->n_vocab, .tokens = tokens};
    struct ryz_error error = {0};
    enum ryz_status status = try_score(model, window, kv_type, count, &scores, &error);
    cr_assert_eq(status, RYZ_OK, "%s", error.text);
    return scores;
}

static struct scores score(const struct ryz_model *model, const uint32_t *tokens, uint32_t count,
                           uint32_t window)
{
    return score_in(model, RYZ_KV_BF16, tokens, count, window);
}

Test(score, one_window_scores_all_tokens_but_the_first)
{
    struct ryz_model *model = synthetic_open(&(struct synthetic){.layers = 2}, NULL);
    uint32_t tokens[COUNT];
    seeded_tokens(model, 3, tokens, COUNT);
    rig_open(&rig, model, &(struct rig_options){.isa = "ref", .n_blocks = 1});
    struct scores scores = score(model, tokens, COUNT, 256);
    double *wanted = plain_llama(model, tokens, COUNT);
    cr_assert_eq(scores.count, COUNT - 1);
    for (uint32_t i = 0; i < scores.count; i++) {
        cr_assert_eq(scores.positions[i], i + 1);
        double plain =
            plain_logprob(wanted + (size_t)i * scores.n_vocab, scores.n_vocab, tokens[i + 1]);
        cr_assert_float_eq((double)scores.logprobs[i], plain, 5e-2); /* the cache is BF16 */
    }
    free(wanted);
    rig_close(&rig);
    ryz_model_close(model);
}

Test(score, later_windows_score_their_second_half)
{
    struct ryz_model *model = synthetic_open(&(struct synthetic){.layers = 1}, NULL);
    uint32_t tokens[COUNT];
    seeded_tokens(model, 4, tokens, COUNT);
    rig_open(&rig, model, &(struct rig_options){.isa = "ref", .n_blocks = 1});
    static const uint32_t windows[] = {2, 3, 16, 40, 100, 149, 150};
    for (size_t w = 0; w < sizeof windows / sizeof windows[0]; w++) {
        struct scores scores = score(model, tokens, COUNT, windows[w]);
        cr_assert_eq(scores.count, COUNT - 1, "window %u", windows[w]);
        for (uint32_t i = 0; i < scores.count; i++) cr_assert_eq(scores.positions[i], i + 1);
    }
    /* A token of the third window is scored as if the text began where that window begins. */
    struct scores whole = score(model, tokens, COUNT, 40);
    struct scores part = score(model, tokens + 40, 40, 40);
    cr_assert_eq(whole.logprobs[70 - 1], part.logprobs[70 - 40 - 1]);
    rig_close(&rig);
    ryz_model_close(model);
}

/* The cache takes part: each type is near F32, and none gives another's bytes. */
Test(score, keys_and_values_are_stored_as_asked)
{
    struct ryz_model *model = synthetic_open(&(struct synthetic){.layers = 2}, NULL);
    uint32_t tokens[COUNT];
    seeded_tokens(model, 3, tokens, COUNT);
    rig_open(&rig, model, &(struct rig_options){.isa = "auto", .n_blocks = 1});
    struct scores f32 = score_in(model, RYZ_KV_F32, tokens, COUNT, 64);
    struct scores bf16 = score_in(model, RYZ_KV_BF16, tokens, COUNT, 64);
    struct scores int8 = score_in(model, RYZ_KV_INT8, tokens, COUNT, 64);
    for (uint32_t i = 0; i < f32.count; i++) {
        cr_assert_float_eq((double)bf16.logprobs[i], (double)f32.logprobs[i], 5e-2);
        cr_assert_float_eq((double)int8.logprobs[i], (double)f32.logprobs[i], 5e-2);
    }
    size_t bytes = f32.count * sizeof f32.logprobs[0];
    cr_assert_neq(memcmp(bf16.logprobs, f32.logprobs, bytes), 0);
    cr_assert_neq(memcmp(int8.logprobs, bf16.logprobs, bytes), 0);
    rig_close(&rig);
    ryz_model_close(model);
}

Test(score, refuses_windows_and_tokens_out_of_range)
{
    struct ryz_model *model = synthetic_open(&(struct synthetic){.layers = 1}, NULL);
    uint32_t tokens[4] = {1, 2, 3, UINT32_MAX};
    struct scores scores = {.n_vocab = ryz_model_info(model)->n_vocab, .tokens = tokens};
    struct ryz_error error = {0};
    rig_open(&rig, model, &(struct rig_options){.n_blocks = 1});
    cr_assert_eq(try_score(model, 1, RYZ_KV_BF16, 3, &scores, &error), RYZ_INVALID);
    cr_assert_eq(try_score(model, 257, RYZ_KV_BF16, 3, &scores, &error), RYZ_INVALID);
    cr_assert_eq(try_score(model, 16, RYZ_KV_BF16, 4, &scores, &error), RYZ_INVALID);
    cr_assert_not_null(strstr(error.text, "token 3"));
    cr_assert_eq(try_score(model, 16, RYZ_KV_BF16, 1, &scores, &error), RYZ_OK);
    cr_assert_eq(scores.count, 0);
    rig_close(&rig);
    ryz_model_close(model);
}
