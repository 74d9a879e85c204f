/*
 * prompts.h - prompts of an exact number of tokens, cut from a text at seeded places.
 *
 * A prompt is a function of (seed, traffic, number of the request) alone, so it depends on no
 * thread and no order. A seed of its own per run keeps a prefix cache from answering yesterday's
 * prompts.
 *
 * Where a trace says what prompts share, a prompt is made of parts, each a function of (seed,
 * source, id of the part): equal leading ids, equal leading tokens.
 *
 *   ids      | 46          | 47          | 9    |      the last part is cut to the prompt's length
 *   tokens   0            512           1024   1200    (times the trace's scale_tokens)
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

/* Parts of a prompt, in order from its beginning. */
struct ryz_prompt_parts {
    const uint64_t *ids; /* (count), borrowed */
    uint32_t count;
    uint32_t source; /* ids of one source have equal tokens */
    double tokens;   /* length of a part, > 0 if there are any: the k-th goes from tokens * k to
                        tokens * (k + 1), rounded */
};

/* Writes the prompt of request `number` of traffic `traffic`: `count` tokens. */
void ryz_prompts_fill(const struct ryz_prompts *prompts, uint32_t traffic, uint64_t number,
                      uint32_t *tokens, uint32_t count);
/* Likewise, with `parts` as its beginning; what they do not reach is the request's own. The first
 * token is the bos here, too: it takes the place of the first part's first token, so that parts
 * begin where blocks do. Tokens of two ids differ as random ones do; those cut from a text, as long
 * as ids are below the text's length and the text does not repeat itself. */
void ryz_prompts_fill_parts(const struct ryz_prompts *prompts, const struct ryz_prompt_parts *parts,
                            uint32_t traffic, uint64_t number, uint32_t *tokens, uint32_t count);
/* XXH3-64 over the ids as little-endian u32. */
uint64_t ryz_prompts_hash(const uint32_t *tokens, size_t count);

#endif
