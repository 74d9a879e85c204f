/* traffic_source.c - where prompts come from. */
#include "harness/run/traffic_source.h"

#include "engine/base/file.h"
#include "engine/model/tokenizer.h"

#include <stdlib.h>

#define TEXT_BYTES_MAX    ((size_t)4 << 20) /* prompts need no more than the beginning of a text */
#define IDS_WITHOUT_MODEL 256u

/* Tokens of the accuracy text into source->ids. */
static enum ryz_status cut_from_text(const struct ryz_plan *plan, const struct ryz_model *model,
                                     struct ryz_traffic_source *source, struct ryz_error *error)
{
    char *text = NULL;
    size_t size = 0, count = 0;
    enum ryz_status status = ryz_file_load(plan->accuracy.set, TEXT_BYTES_MAX, &text, &size, error);
    if (status != RYZ_OK) return status;
    size_t capacity = ryz_tokenizer_encode_bound(size) + 1;
    source->ids = calloc(capacity, sizeof *source->ids);
    if (source->ids == NULL) {
        status = ryz_fail(error, RYZ_NO_MEMORY, "no memory for the text of the prompts");
    } else {
        status = ryz_tokenizer_encode(ryz_model_tokenizer(model), text, size, false, source->ids,
                                      capacity, &count);
        if (status != RYZ_OK) (void)ryz_fail(error, status, "%s: no text", plan->accuracy.set);
    }
    free(text);
    source->prompts.text = source->ids;
    source->prompts.text_count = count;
    return status;
}

/* A token that spells a blank and a word of ASCII letters. */
static bool is_word(const struct ryz_tokenizer *tokenizer, uint32_t id)
{
    size_t length = 0;
    const char *bytes = ryz_tokenizer_bytes(tokenizer, id, &length);
    if (length < 3 || bytes[0] != ' ') return false;
    for (size_t i = 1; i < length; i++) {
        char c = bytes[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))) return false;
    }
    return true;
}

static enum ryz_status list_words(const struct ryz_tokenizer *tokenizer,
                                  struct ryz_traffic_source *source, struct ryz_error *error)
{
    uint32_t vocab = ryz_tokenizer_vocab_size(tokenizer), count = 0;
    source->ids = calloc(vocab, sizeof *source->ids);
    if (source->ids == NULL) return ryz_fail(error, RYZ_NO_MEMORY, "no memory for the vocabulary");
    for (uint32_t id = 0; id < vocab; id++) {
        if (is_word(tokenizer, id)) source->ids[count++] = id;
    }
    if (count == 0) return ryz_fail(error, RYZ_UNSUPPORTED, "the vocabulary has no English words");
    source->prompts.ordinary = source->ids;
    source->prompts.ordinary_count = count;
    return RYZ_OK;
}

enum ryz_status ryz_traffic_source_open(const struct ryz_plan *plan, uint64_t seed,
                                        const struct ryz_model *model, uint32_t context_tokens,
                                        struct ryz_traffic_source *source, struct ryz_error *error)
{
    *source = (struct ryz_traffic_source){
        .prompts = {.seed = seed, .bos = RYZ_PROMPT_NO_BOS, .ordinary_count = IDS_WITHOUT_MODEL}};
    struct ryz_schedule_options options = {.traffic = plan->traffic,
                                           .traffic_count = plan->traffic_count,
                                           .seed = seed,
                                           .context_tokens = context_tokens};
    enum ryz_status status = ryz_schedule_open(&options, &source->schedule, error);
    if (status != RYZ_OK) return status;
    if (model != NULL) {
        const struct ryz_tokenizer *tokenizer = ryz_model_tokenizer(model);
        uint32_t bos = ryz_tokenizer_bos(tokenizer);
        if (bos != RYZ_TOKEN_NONE) source->prompts.bos = bos;
        status = plan->accuracy.set[0] != '\0' ? cut_from_text(plan, model, source, error)
                                               : list_words(tokenizer, source, error);
    }
    if (status != RYZ_OK) ryz_traffic_source_close(source);
    return status;
}

void ryz_traffic_source_close(struct ryz_traffic_source *source)
{
    ryz_schedule_close(&source->schedule);
    free(source->ids);
    *source = (struct ryz_traffic_source){0};
}
