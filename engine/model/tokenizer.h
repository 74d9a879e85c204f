/*
 * tokenizer.h - byte-level BPE, read from the model file: text to token ids and back.
 *
 * Text from users is never searched for control tokens ("<|im_end|>" typed by a user is plain
 * text); only our own chat template is, by asking for it. Pre-tokenizers "gpt-2" and "smollm" are
 * known; another one is refused by name, for a wrong split gives wrong ids without any error.
 */
#ifndef RYZ_MODEL_TOKENIZER_H
#define RYZ_MODEL_TOKENIZER_H

#include "engine/base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ryz_gguf;
struct ryz_tokenizer; /* immutable after open: any number of threads may use it */

#define RYZ_TOKEN_NONE UINT32_MAX

RYZ_MUST_USE enum ryz_status ryz_tokenizer_open(const struct ryz_gguf *gguf,
                                                struct ryz_tokenizer **out,
                                                struct ryz_error *error);
void ryz_tokenizer_close(struct ryz_tokenizer *tokenizer);
uint32_t ryz_tokenizer_vocab_size(const struct ryz_tokenizer *tokenizer);

/* Encodes `length` bytes (any bytes; invalid UTF-8 is encoded byte by byte). Writes up to
 * `capacity` ids and sets *count to the number of ids the whole text has; RYZ_FULL if they did not
 * fit, RYZ_NO_MEMORY, RYZ_INVALID for a single word of more than 2^31 bytes. parse_special: control
 * tokens spelled in the text become their ids. A byte that the vocabulary has no token for is left
 * out, as in llama.cpp (SmolLM2's lacks some control characters and what UTF-8 never uses). */
RYZ_MUST_USE enum ryz_status ryz_tokenizer_encode(const struct ryz_tokenizer *tokenizer,
                                                  const char *text, size_t length,
                                                  bool parse_special, uint32_t *ids,
                                                  size_t capacity, size_t *count);
/* Upper bound of the ids that a text of `length` bytes can have. */
size_t ryz_tokenizer_encode_bound(size_t length);

/* The bytes of a token, borrowed, NOT NUL-terminated, possibly a part of a UTF-8 character; empty
 * for control tokens and ids out of range. */
const char *ryz_tokenizer_bytes(const struct ryz_tokenizer *tokenizer, uint32_t id, size_t *length);
/* Id of a control token by its spelling, RYZ_TOKEN_NONE if there is none. */
uint32_t ryz_tokenizer_find_control(const struct ryz_tokenizer *tokenizer, const char *text);
bool ryz_tokenizer_is_control(const struct ryz_tokenizer *tokenizer, uint32_t id);
/* Ends a generation: eos, <|im_end|>, <|endoftext|>. */
bool ryz_tokenizer_is_end(const struct ryz_tokenizer *tokenizer, uint32_t id);
/* Begin-of-sequence id to put first, RYZ_TOKEN_NONE if the file wants none. */
uint32_t ryz_tokenizer_bos(const struct ryz_tokenizer *tokenizer);
/* Does the file bring a ChatML template and the vocabulary its markers? */
bool ryz_tokenizer_is_chatml(const struct ryz_tokenizer *tokenizer);

/* Cuts a stream of token bytes at UTF-8 character borders: how many leading bytes of
 * (bytes, length) are complete characters (invalid bytes count as complete). */
size_t ryz_utf8_complete_prefix(const char *bytes, size_t length);

#endif
