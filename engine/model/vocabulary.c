/*
 * vocabulary.c - undoes GPT-2's spelling of bytes and finds tokens by their bytes.
 *
 * Leaves to others: merges and text (tokenizer.c). GPT-2 spells each byte as one printable
 * character: '!'..'~', U+00A1..U+00AC and U+00AE..U+00FF stand for themselves, the 68 other bytes
 * follow in order from U+0100 on (so a space is U+0120).
 */
#include "engine/model/vocabulary.h"

#include "engine/base/hash.h"
#include "engine/base/size.h"
#include "engine/model/gguf.h"
#include "engine/model/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#define TOKENS_MAX      (UINT32_C(1) << 24) /* 60 times the largest vocabulary in use */
#define TOKEN_BYTES_MAX 65535u
#define CODES           RYZ_BYTE_CODES

/* ggml's numbers of token types; the others are plain tokens to us. */
#define GGML_NORMAL  1
#define GGML_UNKNOWN 2
#define GGML_CONTROL 3
#define GGML_USER    4

static bool spells_itself(unsigned code)
{
    return (code >= 0x21 && code <= 0x7e) || (code >= 0xa1 && code <= 0xff && code != 0xad);
}

/* bytes[code] = the byte that a code point spells, -1 for none. */
static void fill_codes(int16_t bytes[CODES])
{
    for (unsigned i = 0; i < CODES; i++) bytes[i] = -1;
    unsigned next = 256;
    for (unsigned byte = 0; byte < 256; byte++) {
        bytes[spells_itself(byte) ? byte : next++] = (int16_t)byte;
    }
}

/* Undoes the spelling; false if some character spells no byte. out: (length) */
static bool unspell(const int16_t codes[CODES], struct ryz_gguf_text text, char *out,
                    uint32_t *length)
{
    uint32_t count = 0;
    for (size_t i = 0; i < text.length;) {
        unsigned code = (unsigned char)text.data[i++];
        if (code >= 0x80) { /* two bytes, as all the characters we want have */
            if (code < 0xc2 || code > 0xc5 || i == text.length) return false;
            unsigned next = (unsigned char)text.data[i++];
            if ((next & 0xc0) != 0x80) return false;
            code = (code & 0x1f) << 6 | (next & 0x3f);
        }
        if (code >= CODES || codes[code] < 0) return false;
        out[count++] = (char)codes[code];
    }
    *length = count;
    return true;
}

static uint8_t kind_of(int64_t ggml_type)
{
    if (ggml_type == GGML_CONTROL || ggml_type == GGML_UNKNOWN) return RYZ_TOKEN_CONTROL;
    return ggml_type == GGML_USER ? RYZ_TOKEN_USER : RYZ_TOKEN_PLAIN;
}

/* ---- finding plain tokens by bytes ---- */

/* The slot of the token with these bytes, or the free one where it would go. */
static size_t find_slot(const struct ryz_vocabulary *vocabulary, const char *bytes, size_t length)
{
    size_t i = (size_t)ryz_hash64(bytes, length) & vocabulary->by_bytes_mask;
    while (vocabulary->by_bytes[i] != RYZ_TOKEN_NONE) {
        const struct ryz_token *token = &vocabulary->tokens[vocabulary->by_bytes[i]];
        if (token->length == length && memcmp(token->bytes, bytes, length) == 0) break;
        i = (i + 1) & vocabulary->by_bytes_mask;
    }
    return i;
}

static enum ryz_status index_plain(struct ryz_vocabulary *vocabulary, struct ryz_error *error)
{
    size_t slots = 16;
    while (slots / 2 < vocabulary->count) slots *= 2;
    vocabulary->by_bytes = malloc(slots * sizeof *vocabulary->by_bytes);
    if (!vocabulary->by_bytes) return ryz_fail(error, RYZ_NO_MEMORY, "no memory for a vocabulary");
    vocabulary->by_bytes_mask = slots - 1;
    for (size_t i = 0; i < slots; i++) vocabulary->by_bytes[i] = RYZ_TOKEN_NONE;
    for (size_t i = 0; i < 256; i++) vocabulary->byte_ids[i] = RYZ_TOKEN_NONE;
    for (uint32_t id = 0; id < vocabulary->count; id++) {
        const struct ryz_token *token = &vocabulary->tokens[id];
        if (token->kind != RYZ_TOKEN_PLAIN || token->length == 0) continue;
        /* Of two tokens with the same bytes the later one counts, as in llama.cpp. */
        vocabulary->by_bytes[find_slot(vocabulary, token->bytes, token->length)] = id;
        if (token->length == 1) vocabulary->byte_ids[(unsigned char)token->bytes[0]] = id;
    }
    return RYZ_OK;
}

uint32_t ryz_vocabulary_find_plain(const struct ryz_vocabulary *vocabulary, const char *first,
                                   size_t first_length, const char *second, size_t second_length)
{
    char on_stack[512];
    size_t length = first_length + second_length;
    char *spelled = length <= sizeof on_stack / 2 ? on_stack : malloc(2 * length);
    if (!spelled) return RYZ_TOKEN_NONE;
    memcpy(spelled, first, first_length);
    if (second_length > 0) memcpy(spelled + first_length, second, second_length);
    char *bytes = spelled + length;
    uint32_t byte_count = 0, id = RYZ_TOKEN_NONE;
    struct ryz_gguf_text text = {spelled, length};
    if (unspell(vocabulary->codes, text, bytes, &byte_count)) {
        id = vocabulary->by_bytes[find_slot(vocabulary, bytes, byte_count)];
    }
    if (spelled != on_stack) free(spelled);
    return id;
}

void ryz_vocabulary_forget_spelling(struct ryz_vocabulary *vocabulary)
{
    free(vocabulary->by_bytes);
    vocabulary->by_bytes = NULL;
}

/* ---- special tokens ---- */

static int longer_first(const void *a, const void *b, void *context)
{
    const struct ryz_token *tokens = context;
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    if (tokens[x].length != tokens[y].length) return tokens[x].length < tokens[y].length ? 1 : -1;
    return (x > y) - (x < y);
}

static enum ryz_status index_special(struct ryz_vocabulary *vocabulary, struct ryz_error *error)
{
    uint32_t count = 0;
    for (uint32_t id = 0; id < vocabulary->count; id++) {
        count += vocabulary->tokens[id].kind != RYZ_TOKEN_PLAIN;
    }
    vocabulary->special = ryz_arena_array(&vocabulary->arena, count + 1, sizeof(uint32_t));
    if (!vocabulary->special) return ryz_fail(error, RYZ_NO_MEMORY, "no memory for a vocabulary");
    for (uint32_t id = 0; id < vocabulary->count; id++) {
        const struct ryz_token *token = &vocabulary->tokens[id];
        if (token->kind == RYZ_TOKEN_PLAIN || token->length == 0) continue;
        vocabulary->special[vocabulary->special_count++] = id;
        vocabulary->special_first[(unsigned char)token->bytes[0]] = true;
    }
    qsort_r(vocabulary->special, vocabulary->special_count, sizeof(uint32_t), longer_first,
            vocabulary->tokens);
    return RYZ_OK;
}

uint32_t ryz_vocabulary_match_special(const struct ryz_vocabulary *vocabulary, const char *text,
                                      size_t length, bool control, size_t *matched)
{
    if (length == 0 || !vocabulary->special_first[(unsigned char)text[0]]) return RYZ_TOKEN_NONE;
    for (uint32_t i = 0; i < vocabulary->special_count; i++) {
        const struct ryz_token *token = &vocabulary->tokens[vocabulary->special[i]];
        if (token->kind == RYZ_TOKEN_CONTROL && !control) continue;
        if (token->length > length || memcmp(token->bytes, text, token->length) != 0) continue;
        *matched = token->length;
        return vocabulary->special[i];
    }
    return RYZ_TOKEN_NONE;
}

/* ---- open ---- */

/* Takes the bytes of all tokens into one piece of memory, which the texts' size bounds. `types` may
 * be NULL: all tokens are plain then. */
static enum ryz_status read_tokens(struct ryz_vocabulary *vocabulary,
                                   const struct ryz_gguf_entry *texts,
                                   const struct ryz_gguf_entry *types, struct ryz_error *error)
{
    char *bytes = ryz_arena_alloc(&vocabulary->arena, texts->value_bytes);
    if (!bytes) return ryz_fail(error, RYZ_NO_MEMORY, "no memory for a vocabulary");
    fill_codes(vocabulary->codes);
    uint64_t cursor = 0;
    for (uint32_t id = 0; id < vocabulary->count; id++) {
        uint64_t offset = texts->offset + cursor;
        struct ryz_gguf_text text = ryz_gguf_next_text(texts, &cursor);
        struct ryz_token *token = &vocabulary->tokens[id];
        token->kind = kind_of(types ? ryz_gguf_integer(types, id) : GGML_NORMAL);
        token->bytes = bytes;
        token->length = (uint32_t)text.length;
        if (text.length > TOKEN_BYTES_MAX) {
            return ryz_fail_at(error, RYZ_CORRUPT, offset, "token %u is %zu bytes long", id,
                               text.length);
        }
        if (token->kind != RYZ_TOKEN_PLAIN) {
            memcpy(bytes, text.data, text.length);
        } else if (!unspell(vocabulary->codes, text, bytes, &token->length)) {
            return ryz_fail_at(error, RYZ_CORRUPT, offset,
                               "token %u holds a character that spells no byte", id);
        }
        bytes += token->length;
    }
    return RYZ_OK;
}

/* Finds the two lists and checks that they fit together. */
static enum ryz_status find_lists(const struct ryz_gguf *gguf, const struct ryz_gguf_entry **texts,
                                  const struct ryz_gguf_entry **types, struct ryz_error *error)
{
    *texts = ryz_gguf_find(gguf, "tokenizer.ggml.tokens");
    if (!*texts || !(*texts)->is_array || (*texts)->kind != RYZ_GGUF_STRING) {
        return ryz_fail(error, RYZ_CORRUPT, "the model has no list tokenizer.ggml.tokens");
    }
    if ((*texts)->count < 1 || (*texts)->count > TOKENS_MAX) {
        return ryz_fail_at(error, RYZ_CORRUPT, (*texts)->offset,
                           "a vocabulary of %llu tokens; 1 to %u are read",
                           (unsigned long long)(*texts)->count, TOKENS_MAX);
    }
    *types = ryz_gguf_find(gguf, "tokenizer.ggml.token_type");
    if (!*types) return RYZ_OK;
    if (!(*types)->is_array || (*types)->count != (*texts)->count ||
        ((*types)->kind != RYZ_GGUF_I32 && (*types)->kind != RYZ_GGUF_U32)) {
        return ryz_fail_at(error, RYZ_CORRUPT, (*types)->offset,
                           "tokenizer.ggml.token_type is no list of as many integers as tokens");
    }
    return RYZ_OK;
}

enum ryz_status ryz_vocabulary_open(const struct ryz_gguf *gguf, struct ryz_vocabulary *vocabulary,
                                    struct ryz_error *error)
{
    ryz_arena_init(&vocabulary->arena);
    const struct ryz_gguf_entry *texts = NULL, *types = NULL;
    enum ryz_status status = find_lists(gguf, &texts, &types, error);
    if (status != RYZ_OK) return status;
    vocabulary->count = (uint32_t)texts->count;
    vocabulary->tokens =
        ryz_arena_array(&vocabulary->arena, vocabulary->count, sizeof *vocabulary->tokens);
    if (!vocabulary->tokens) return ryz_fail(error, RYZ_NO_MEMORY, "no memory for a vocabulary");
    status = read_tokens(vocabulary, texts, types, error);
    if (status == RYZ_OK) status = index_plain(vocabulary, error);
    if (status == RYZ_OK) status = index_special(vocabulary, error);
    return status;
}

void ryz_vocabulary_close(struct ryz_vocabulary *vocabulary)
{
    ryz_vocabulary_forget_spelling(vocabulary);
    ryz_arena_deinit(&vocabulary->arena);
}
