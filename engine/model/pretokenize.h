/*
 * pretokenize.h - cuts text into the words that BPE works on, by the rule a model was trained with.
 */
#ifndef RYZ_MODEL_PRETOKENIZE_H
#define RYZ_MODEL_PRETOKENIZE_H

#include "engine/base/status.h"

#include <stddef.h>

struct ryz_pretokenizer; /* immutable after open: any number of threads may use it */

/* The rule called `name` in a model file: "gpt-2" or "smollm"; RYZ_UNSUPPORTED for another one. */
RYZ_MUST_USE enum ryz_status ryz_pretokenizer_open(const char *name, struct ryz_pretokenizer **out,
                                                   struct ryz_error *error);
/* NULL is allowed. */
void ryz_pretokenizer_close(struct ryz_pretokenizer *pretokenizer);

/* Receives the words in order; a status other than OK stops the cutting. */
typedef enum ryz_status (*ryz_word_fn)(void *context, const char *word, size_t length);

/* Cuts `length` bytes of any content. The words cover the text without gaps; a byte that is no part
 * of well-formed UTF-8 is a word of its own. Returns what on_word returned if that was not OK,
 * RYZ_NO_MEMORY, or RYZ_INVALID when a match gave up (no known text does that). */
RYZ_MUST_USE enum ryz_status ryz_pretokenize(const struct ryz_pretokenizer *pretokenizer,
                                             const char *text, size_t length, ryz_word_fn on_word,
                                             void *context);

#endif
