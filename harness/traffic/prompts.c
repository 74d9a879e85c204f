/*
 * prompts.c - cuts prompts out of a text, or draws them where there is none.
 *
 * Leaves to others: reading and tokenizing the text. The idea: hashing (seed, traffic, number)
 * gives the place of the cut; the text is a circle, so any length can be cut anywhere. Parts that
 * are shared get their place or their draws from their id instead.
 */
#include "harness/traffic/prompts.h"

#include "engine/base/assert.h"
#include "engine/base/hash.h"
#include "engine/base/rng.h"

#include <math.h>

/* Sets these draws apart from others of the same seed. */
#define PROMPT_STREAM UINT64_C(0x70726f6d70740000)
#define PART_STREAM   UINT64_C(0x7061727400000000)

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "hashes are over little-endian ids");

static void cut(const struct ryz_prompts *prompts, size_t at, uint32_t *tokens, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        tokens[i] = prompts->text[at];
        at = at + 1 < prompts->text_count ? at + 1 : 0;
    }
}

static void draw(const struct ryz_prompts *prompts, uint64_t seed, uint32_t *tokens, uint32_t count)
{
    RYZ_ASSERT(prompts->ordinary_count > 0);
    struct ryz_rng rng;
    ryz_rng_init(&rng, seed, 0);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t number = (uint32_t)ryz_rng_below(&rng, prompts->ordinary_count);
        tokens[i] = prompts->ordinary != NULL ? prompts->ordinary[number] : number;
    }
}

void ryz_prompts_fill(const struct ryz_prompts *prompts, uint32_t traffic, uint64_t number,
                      uint32_t *tokens, uint32_t count)
{
    uint64_t bits = ryz_rng_at(prompts->seed, PROMPT_STREAM + traffic, number);
    if (prompts->bos != RYZ_PROMPT_NO_BOS && count > 0) {
        *tokens++ = prompts->bos;
        count--;
    }
    if (prompts->text_count > 0)
        cut(prompts, (size_t)(bits % prompts->text_count), tokens, count);
    else
        draw(prompts, bits, tokens, count);
}

/* The greatest one. */
static uint64_t common_divisor(uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Where the part of an id is cut: a seeded order of all places of the text, so two ids below its
 * length never get the same one. Places drawn at random would meet: 10,000 parts that follow one
 * system prompt, among a million places, about 50 times. */
static size_t place_of(const struct ryz_prompts *prompts, uint64_t stream, uint64_t id)
{
    uint64_t places = prompts->text_count;
    RYZ_ASSERT(places <= UINT32_MAX);
    uint64_t first = ryz_rng_at(prompts->seed, stream, 0) % places;
    uint64_t stride = ryz_rng_at(prompts->seed, stream, 1) % places;
    while (common_divisor(places, stride) != 1) stride++;
    return (size_t)((first + id % places * stride % places) % places);
}

/* Where the k-th part begins. Exact products keep the last part from ending before a length that
 * schedule.c has scaled and rounded likewise. */
static double part_begin(const struct ryz_prompt_parts *parts, uint32_t k)
{
    return floor(parts->tokens * k + 0.5);
}

void ryz_prompts_fill_parts(const struct ryz_prompts *prompts, const struct ryz_prompt_parts *parts,
                            uint32_t traffic, uint64_t number, uint32_t *tokens, uint32_t count)
{
    uint64_t stream = PART_STREAM + parts->source;
    RYZ_ASSERT(parts->count == 0 || parts->tokens > 0.0);
    if (part_begin(parts, parts->count) < count)
        ryz_prompts_fill(prompts, traffic, number, tokens, count);
    for (uint32_t k = 0; k < parts->count && part_begin(parts, k) < count; k++) {
        double end = part_begin(parts, k + 1);
        uint32_t at = (uint32_t)part_begin(parts, k);
        uint32_t length = (end < count ? (uint32_t)end : count) - at;
        if (prompts->text_count > 0)
            cut(prompts, place_of(prompts, stream, parts->ids[k]), tokens + at, length);
        else
            draw(prompts, ryz_rng_at(prompts->seed, stream, parts->ids[k]), tokens + at, length);
    }
    if (prompts->bos != RYZ_PROMPT_NO_BOS && count > 0) tokens[0] = prompts->bos;
}

uint64_t ryz_prompts_hash(const uint32_t *tokens, size_t count)
{
    return ryz_hash64(tokens, count * sizeof *tokens);
}
