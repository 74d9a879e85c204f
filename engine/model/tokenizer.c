/*
 * tokenizer.c - reads a byte-level BPE vocabulary from a GGUF and encodes text with it.
 *
 * Leaves to others: the cutting into words (pretokenize.c) and the merging (bpe.c). The idea: GPT-2
 * vocabularies spell bytes as printable characters (a space is U+0120); that spelling is undone
 * once at open, and from then on tokens are plain bytes.
 */
#include "engine/model/tokenizer.h"

#include "engine/base/arena.h"
#include "engine/base/assert.h"
#include "engine/base/size.h"
#include "engine/model/bpe.h"
#include "engine/model/gguf.h"
#include "engine/model/pretokenize.h"
#include "engine/model/vocabulary.h"

#include <stdlib.h>
#include <string.h>

#define WORD_BYTES 256u /* words up to this long are merged on the stack */

struct ryz_tokenizer {
    struct ryz_vocabulary vocabulary;
    struct ryz_bpe *bpe;
    struct ryz_pretokenizer *pretokenizer;
    uint32_t bos; /* RYZ_TOKEN_NONE: none is wanted */
    bool chatml;
};

/* ---- open ---- */

/* Splits "left right" at its first space past the first byte and adds the merge. */
static enum ryz_status add_merge(struct ryz_tokenizer *tokenizer, struct ryz_gguf_text text,
                                 uint64_t offset, struct ryz_error *error)
{
    const char *space = text.length > 1 ? memchr(text.data + 1, ' ', text.length - 1) : NULL;
    if (!space) {
        return ryz_fail_at(error, RYZ_CORRUPT, offset, "the merge \"%.*s\" has no space",
                           (int)ryz_min_u64(text.length, 40), text.data);
    }
    size_t left_length = (size_t)(space - text.data);
    size_t right_length = text.length - left_length - 1;
    const struct ryz_vocabulary *vocabulary = &tokenizer->vocabulary;
    uint32_t left = ryz_vocabulary_find_plain(vocabulary, text.data, left_length, NULL, 0);
    uint32_t right = ryz_vocabulary_find_plain(vocabulary, space + 1, right_length, NULL, 0);
    uint32_t merged =
        ryz_vocabulary_find_plain(vocabulary, text.data, left_length, space + 1, right_length);
    if (left == RYZ_TOKEN_NONE || right == RYZ_TOKEN_NONE || merged == RYZ_TOKEN_NONE) {
        return ryz_fail_at(error, RYZ_CORRUPT, offset,
                           "the merge \"%.*s\" names or makes a token that the vocabulary lacks",
                           (int)ryz_min_u64(text.length, 40), text.data);
    }
    ryz_bpe_add(tokenizer->bpe, left, right, merged);
    return RYZ_OK;
}

static enum ryz_status read_merges(struct ryz_tokenizer *tokenizer, const struct ryz_gguf *gguf,
                                   struct ryz_error *error)
{
    const struct ryz_gguf_entry *merges = ryz_gguf_find(gguf, "tokenizer.ggml.merges");
    if (!merges || !merges->is_array || merges->kind != RYZ_GGUF_STRING) {
        return ryz_fail(error, RYZ_CORRUPT, "the model has no list tokenizer.ggml.merges");
    }
    enum ryz_status status = ryz_bpe_open(merges->count, &tokenizer->bpe, error);
    uint64_t cursor = 0;
    for (uint64_t i = 0; status == RYZ_OK && i < merges->count; i++) {
        uint64_t offset = merges->offset + cursor;
        status = add_merge(tokenizer, ryz_gguf_next_text(merges, &cursor), offset, error);
    }
    return status;
}

/* Refuses what is no GPT-2 style vocabulary and opens the pre-tokenizer. */
static enum ryz_status read_rule(struct ryz_tokenizer *tokenizer, const struct ryz_gguf *gguf,
                                 struct ryz_error *error)
{
    struct ryz_gguf_text text;
    enum ryz_status status = ryz_gguf_get_text(gguf, "tokenizer.ggml.model", &text, error);
    if (status != RYZ_OK) return status;
    if (!ryz_gguf_text_equal(text, "gpt2")) {
        return ryz_fail(error, RYZ_UNSUPPORTED,
                        "the tokenizer \"%.*s\" is not known; gpt2 (byte-level BPE) is",
                        (int)ryz_min_u64(text.length, 40), text.data);
    }
    status = ryz_gguf_get_text(gguf, "tokenizer.ggml.pre", &text, error);
    if (status != RYZ_OK) return status;
    char name[48] = "";
    memcpy(name, text.data, ryz_min_u64(text.length, sizeof name - 1));
    return ryz_pretokenizer_open(name, &tokenizer->pretokenizer, error);
}

/* The id under `key`: RYZ_TOKEN_NONE if the key is absent. */
static enum ryz_status read_id(const struct ryz_tokenizer *tokenizer, const struct ryz_gguf *gguf,
                               const char *key, uint32_t *id, struct ryz_error *error)
{
    *id = RYZ_TOKEN_NONE;
    const struct ryz_gguf_entry *entry = ryz_gguf_find(gguf, key);
    if (!entry) return RYZ_OK;
    enum ryz_status status = ryz_gguf_get_u32(gguf, key, id, error);
    if (status != RYZ_OK) return status;
    if (*id >= tokenizer->vocabulary.count) {
        return ryz_fail_at(error, RYZ_CORRUPT, entry->offset,
                           "\"%s\" is %u in a vocabulary of %u tokens", key, *id,
                           tokenizer->vocabulary.count);
    }
    return RYZ_OK;
}

static enum ryz_status read_control(struct ryz_tokenizer *tokenizer, const struct ryz_gguf *gguf,
                                    struct ryz_error *error)
{
    static const char *const end_keys[] = {"tokenizer.ggml.eos_token_id",
                                           "tokenizer.ggml.eot_token_id"};
    static const char *const end_texts[] = {"<|im_end|>", "<|endoftext|>"};
    struct ryz_vocabulary *vocabulary = &tokenizer->vocabulary;
    uint32_t id, bos;
    for (size_t i = 0; i < RYZ_COUNT_OF(end_keys); i++) {
        enum ryz_status status = read_id(tokenizer, gguf, end_keys[i], &id, error);
        if (status != RYZ_OK) return status;
        if (id != RYZ_TOKEN_NONE) vocabulary->tokens[id].is_end = true;
    }
    for (size_t i = 0; i < RYZ_COUNT_OF(end_texts); i++) {
        id = ryz_tokenizer_find_control(tokenizer, end_texts[i]);
        if (id != RYZ_TOKEN_NONE) vocabulary->tokens[id].is_end = true;
    }
    enum ryz_status status = read_id(tokenizer, gguf, "tokenizer.ggml.bos_token_id", &bos, error);
    if (status != RYZ_OK) return status;
    bool wants_bos = false;
    if (ryz_gguf_find(gguf, "tokenizer.ggml.add_bos_token")) {
        status = ryz_gguf_get_bool(gguf, "tokenizer.ggml.add_bos_token", &wants_bos, error);
        if (status != RYZ_OK) return status;
    }
    tokenizer->bos = wants_bos ? bos : RYZ_TOKEN_NONE;
    return RYZ_OK;
}

/* ChatML is spoken if the file's template does and the vocabulary has the markers. */
static bool speaks_chatml(const struct ryz_tokenizer *tokenizer, const struct ryz_gguf *gguf)
{
    static const char marker[] = "<|im_start|>";
    struct ryz_gguf_text text;
    if (ryz_gguf_get_text(gguf, "tokenizer.chat_template", &text, NULL) != RYZ_OK) return false;
    return memmem(text.data, text.length, marker, sizeof marker - 1) != NULL &&
           ryz_tokenizer_find_control(tokenizer, marker) != RYZ_TOKEN_NONE &&
           ryz_tokenizer_find_control(tokenizer, "<|im_end|>") != RYZ_TOKEN_NONE;
}

enum ryz_status ryz_tokenizer_open(const struct ryz_gguf *gguf, struct ryz_tokenizer **out,
                                   struct ryz_error *error)
{
    struct ryz_tokenizer *tokenizer = calloc(1, sizeof *tokenizer);
    if (!tokenizer) return ryz_fail(error, RYZ_NO_MEMORY, "no memory for a tokenizer");
    enum ryz_status status = ryz_vocabulary_open(gguf, &tokenizer->vocabulary, error);
    if (status == RYZ_OK) status = read_rule(tokenizer, gguf, error);
    if (status == RYZ_OK) status = read_merges(tokenizer, gguf, error);
    if (status == RYZ_OK) status = read_control(tokenizer, gguf, error);
    if (status != RYZ_OK) {
        ryz_tokenizer_close(tokenizer);
        return status;
    }
    tokenizer->chatml = speaks_chatml(tokenizer, gguf);
    ryz_vocabulary_forget_spelling(&tokenizer->vocabulary);
    *out = tokenizer;
    return RYZ_OK;
}

void ryz_tokenizer_close(struct ryz_tokenizer *tokenizer)
{
    if (!tokenizer) return;
    ryz_pretokenizer_close(tokenizer->pretokenizer);
    ryz_bpe_close(tokenizer->bpe);
    ryz_vocabulary_close(&tokenizer->vocabulary);
    free(tokenizer);
}

/* ---- encoding ---- */

/* Where ids go; counts all, keeps what fits. */
struct sink {
    const struct ryz_tokenizer *tokenizer;
    uint32_t *ids;
    size_t capacity, count;
    struct ryz_bpe_scratch scratch;
};

static void emit(struct sink *sink, uint32_t id)
{
    if (id == RYZ_BPE_NO_SYMBOL) return; /* a byte that the vocabulary cannot spell */
    if (sink->count < sink->capacity) sink->ids[sink->count] = id;
    sink->count++;
}

static enum ryz_status merge_word(struct sink *sink, const char *word, size_t length, uint32_t *ids)
{
    const struct ryz_tokenizer *tokenizer = sink->tokenizer;
    for (size_t i = 0; i < length; i++) {
        ids[i] = tokenizer->vocabulary.byte_ids[(unsigned char)word[i]];
    }
    size_t count = length;
    enum ryz_status status = ryz_bpe_merge(tokenizer->bpe, &sink->scratch, ids, &count);
    for (size_t i = 0; status == RYZ_OK && i < count; i++) emit(sink, ids[i]);
    return status;
}

static enum ryz_status encode_word(void *context, const char *word, size_t length)
{
    struct sink *sink = context;
    uint32_t on_stack[WORD_BYTES];
    if (length <= WORD_BYTES) return merge_word(sink, word, length, on_stack);
    size_t bytes;
    if (!ryz_mul_size(length, sizeof(uint32_t), &bytes)) return RYZ_NO_MEMORY;
    uint32_t *ids = malloc(bytes);
    if (!ids) return RYZ_NO_MEMORY;
    enum ryz_status status = merge_word(sink, word, length, ids);
    free(ids);
    return status;
}

/* Encodes a text whose special tokens, if they count, are searched for from left to right, the
 * longest one first. */
static enum ryz_status encode_text(struct sink *sink, const char *text, size_t length,
                                   bool parse_special)
{
    const struct ryz_tokenizer *tokenizer = sink->tokenizer;
    const struct ryz_vocabulary *vocabulary = &tokenizer->vocabulary;
    enum ryz_status status = RYZ_OK;
    size_t start = 0; /* of the plain text not yet encoded */
    for (size_t i = 0; status == RYZ_OK && i < length;) {
        size_t matched = 0;
        uint32_t id =
            ryz_vocabulary_match_special(vocabulary, text + i, length - i, parse_special, &matched);
        if (id == RYZ_TOKEN_NONE) {
            i++;
            continue;
        }
        status =
            ryz_pretokenize(tokenizer->pretokenizer, text + start, i - start, encode_word, sink);
        if (status == RYZ_OK) emit(sink, id);
        i += matched;
        start = i;
    }
    if (status != RYZ_OK) return status;
    return ryz_pretokenize(tokenizer->pretokenizer, text + start, length - start, encode_word,
                           sink);
}

/* NOLINTBEGIN(readability-non-const-parameter): ids is written through the sink */
enum ryz_status ryz_tokenizer_encode(const struct ryz_tokenizer *tokenizer, const char *text,
                                     size_t length, bool parse_special, uint32_t *ids,
                                     size_t capacity, size_t *count)
/* NOLINTEND(readability-non-const-parameter) */
{
    struct sink sink = {.tokenizer = tokenizer, .ids = ids, .capacity = capacity};
    ryz_bpe_scratch_init(&sink.scratch);
    enum ryz_status status = encode_text(&sink, text, length, parse_special);
    ryz_bpe_scratch_deinit(&sink.scratch);
    *count = sink.count;
    if (status == RYZ_OK && sink.count > capacity) return RYZ_FULL;
    return status;
}

size_t ryz_tokenizer_encode_bound(size_t length)
{
    return length; /* a token spells at least one byte */
}

/* ---- questions ---- */

uint32_t ryz_tokenizer_vocab_size(const struct ryz_tokenizer *tokenizer)
{
    return tokenizer->vocabulary.count;
}

const char *ryz_tokenizer_bytes(const struct ryz_tokenizer *tokenizer, uint32_t id, size_t *length)
{
    *length = 0;
    if (id >= tokenizer->vocabulary.count || ryz_tokenizer_is_control(tokenizer, id)) return "";
    *length = tokenizer->vocabulary.tokens[id].length;
    return tokenizer->vocabulary.tokens[id].bytes;
}

uint32_t ryz_tokenizer_find_control(const struct ryz_tokenizer *tokenizer, const char *text)
{
    size_t length = strlen(text), matched = 0;
    uint32_t id =
        ryz_vocabulary_match_special(&tokenizer->vocabulary, text, length, true, &matched);
    if (id == RYZ_TOKEN_NONE || matched != length) return RYZ_TOKEN_NONE;
    return ryz_tokenizer_is_control(tokenizer, id) ? id : RYZ_TOKEN_NONE;
}

bool ryz_tokenizer_is_control(const struct ryz_tokenizer *tokenizer, uint32_t id)
{
    return id < tokenizer->vocabulary.count &&
           tokenizer->vocabulary.tokens[id].kind == RYZ_TOKEN_CONTROL;
}

bool ryz_tokenizer_is_end(const struct ryz_tokenizer *tokenizer, uint32_t id)
{
    return id < tokenizer->vocabulary.count && tokenizer->vocabulary.tokens[id].is_end;
}

uint32_t ryz_tokenizer_bos(const struct ryz_tokenizer *tokenizer)
{
    return tokenizer->bos;
}

bool ryz_tokenizer_is_chatml(const struct ryz_tokenizer *tokenizer)
{
    return tokenizer->chatml;
}

/* ---- UTF-8 borders ---- */

/* Bytes of the character that `lead` starts; 1 for what starts none. */
static size_t promised_bytes(unsigned char lead)
{
    if (lead < 0xc2 || lead > 0xf4) return 1;
    return lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

/* Could `byte`, the second one, follow `lead`? */
static bool may_follow(unsigned char lead, unsigned char byte)
{
    unsigned char low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    unsigned char high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    return byte >= low && byte <= high;
}

size_t ryz_utf8_complete_prefix(const char *bytes, size_t length)
{
    const unsigned char *s = (const unsigned char *)bytes;
    /* An unfinished character is a lead and up to two continuation bytes, at the very end. */
    size_t back = 1;
    while (back <= 3 && back <= length && (s[length - back] & 0xc0) == 0x80) back++;
    if (back > 3 || back > length) return length;
    const unsigned char *lead = &s[length - back];
    if (promised_bytes(*lead) <= back) return length;
    if (back >= 2 && !may_follow(lead[0], lead[1])) return length;
    return length - back;
}
