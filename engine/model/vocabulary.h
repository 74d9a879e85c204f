/*
 * vocabulary.h - the tokens of a byte-level BPE model as plain bytes; for tokenizer.c only.
 */
#ifndef RYZ_MODEL_VOCABULARY_H
#define RYZ_MODEL_VOCABULARY_H

#include "engine/base/arena.h"
#include "engine/base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ryz_gguf;

enum ryz_token_kind {
    RYZ_TOKEN_PLAIN,
    RYZ_TOKEN_CONTROL, /* never made from a user's text, never shown */
    RYZ_TOKEN_USER     /* "user defined": always found in text, shown as spelled */
};

struct ryz_token {
    const char *bytes; /* of a control token: its spelling */
    uint32_t length;
    uint8_t kind; /* enum ryz_token_kind */
    bool is_end;  /* ends a generation */
};

#define RYZ_BYTE_CODES (256u + 68u) /* code points that spell a byte are below this */

struct ryz_vocabulary {
    struct ryz_arena arena; /* owns all below */
    uint32_t count;
    struct ryz_token *tokens; /* (count) */
    uint32_t byte_ids[256];   /* token of a single byte, RYZ_TOKEN_NONE if there is none */
    uint32_t *special;        /* (special_count) ids of control and user tokens, longest first */
    uint32_t special_count;
    int16_t codes[RYZ_BYTE_CODES]; /* byte that a code point spells, -1 for none */
    bool special_first[256];       /* first bytes of the special ones: a cheap filter */
    uint32_t *by_bytes;            /* open-addressed table of plain tokens, only while opening */
    size_t by_bytes_mask;
};

/* Reads tokenizer.ggml.tokens and .token_type. */
RYZ_MUST_USE enum ryz_status ryz_vocabulary_open(const struct ryz_gguf *gguf,
                                                 struct ryz_vocabulary *vocabulary,
                                                 struct ryz_error *error);
void ryz_vocabulary_close(struct ryz_vocabulary *vocabulary);

/* The plain token spelled by two pieces, one after the other, in the file's spelling (the second
 * may be empty); RYZ_TOKEN_NONE if there is none. */
uint32_t ryz_vocabulary_find_plain(const struct ryz_vocabulary *vocabulary, const char *first,
                                   size_t first_length, const char *second, size_t second_length);
/* Frees what only ryz_vocabulary_find_plain needs. */
void ryz_vocabulary_forget_spelling(struct ryz_vocabulary *vocabulary);

/* The longest special token that `text` starts with, RYZ_TOKEN_NONE if none; *matched is its
 * length. Control tokens count only if `control`. */
uint32_t ryz_vocabulary_match_special(const struct ryz_vocabulary *vocabulary, const char *text,
                                      size_t length, bool control, size_t *matched);

#endif
