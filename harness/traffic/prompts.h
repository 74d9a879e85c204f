/*
 * prompts.h - prompts of an exact number of tokens, cut from a text at seeded places.
 *
 * A prompt is a function of (seed, traffic, number of the request) alone, so it depends on no
 * thread and no order. A seed of its own per run keeps a prefix cache from answering yesterday's
 * prompts.
 */
#ifndef RYZ_HARNESS_TRAFFIC_PROMPTS_H
#define RYZ_HARNESS_TRAFFIC_PROMPTS_H

#include <stddef.h>
#include <stdint.h>

#define RYZ_PROMPT_NO_BOS UINT32_MAX

struct ryz_prompts {
    uint64_t seed;
    uint32_t bos;         /* first token of every prompt; RYZ_PROMPT_NO_BOS: none */
    const uint32_t *text; /* (text_count) tokens of a natural text, borrowed; preferred */
    size_t text_count;
    const uint32_t *ordinary; /* (ordinary_count) token ids to draw from where there is no text,
                                 borrowed; NULL: all ids below ordinary_count */
    uint32_t ordinary_count;
};

/* Writes the prompt of request `number` of traffic `traffic`: `count` tokens. */
void ryz_prompts_fill(const struct ryz_prompts *prompts, uint32_t traffic, uint64_t number,
                      uint32_t *tokens, uint32_t count);
/* XXH3-64 over the ids as little-endian u32. */
uint64_t ryz_prompts_hash(const uint32_t *tokens, size_t count);

#endif
