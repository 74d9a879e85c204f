/*
 * prompt_lookup.h - proposes tokens from the text itself: what followed the last time that the same
 * few tokens stood there (Saxena 2023; vLLM calls it "ngram").
 *
 * Costs no model, and pays where answers repeat their prompt: summaries, edits, code, questions
 * about a text.
 */
#ifndef RYZ_MODEL_PROMPT_LOOKUP_H
#define RYZ_MODEL_PROMPT_LOOKUP_H

#include <stdint.h>

#define RYZ_LOOKUP_LONGEST  4u /* tokens that must agree, tried first ... */
#define RYZ_LOOKUP_SHORTEST 2u /* ... and last */

/* Writes up to `most` tokens that may follow tokens[0 .. count-1] and returns their number, 0 when
 * nothing earlier ends like it. `out` may be tokens + count. Looks through the text once per
 * length, some microseconds for thousands of tokens. */
uint32_t ryz_prompt_lookup(const uint32_t *tokens, uint32_t count, uint32_t most, uint32_t *out);

#endif
