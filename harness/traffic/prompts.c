/*
 * prompts.c - cuts prompts out of a text, or draws them where there is none.
 *
 * Leaves to others: reading and tokenizing the text. The idea: hashing (seed, traffic, number)
 * gives the place of the cut; the text is a circle, so any length can be cut anywhere.
 */
#include "harness/traffic/prompts.h"

#include "engine/base/assert.h"
#include "engine/base/hash.h"
#include "engine/base/rng.h"

/* Sets these draws apart from others of the same seed. */
#define PROMPT_STREAM UINT64_C(0x70726f6d70740000)

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "hashes are over little-endian ids");

void ryz_prompts_fill(const struct ryz_prompts *prompts, uint32_t traffic, uint64_t number,
                      uint32_t *tokens, uint32_t count)
{
    uint64_t stream = PROMPT_STREAM + traffic;
    uint32_t i = 0;
    if (prompts->bos != RYZ_PROMPT_NO_BOS && count > 0) tokens[i++] = prompts->bos;
    if (prompts->text_count > 0) {
        uint64_t bits = ryz_rng_at(prompts->seed, stream, number);
        size_t at = (size_t)(bits % prompts->text_count);
        for (; i < count; i++) {
            tokens[i] = prompts->text[at];
            at = at + 1 < prompts->text_count ? at + 1 : 0;
        }
        return;
    }
    RYZ_ASSERT(prompts->ordinary_count > 0);
    struct ryz_rng rng;
    ryz_rng_init(&rng, ryz_rng_at(prompts->seed, stream, number), 0);
    for (; i < count; i++) {
        uint32_t draw = (uint32_t)ryz_rng_below(&rng, prompts->ordinary_count);
        tokens[i] = prompts->ordinary != NULL ? prompts->ordinary[draw] : draw;
    }
}

uint64_t ryz_prompts_hash(const uint32_t *tokens, size_t count)
{
    return ryz_hash64(tokens, count * sizeof *tokens);
}
