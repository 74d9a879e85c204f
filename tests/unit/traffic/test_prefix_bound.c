/*
 * Goal: the bound says what a prefix cache without an end, and one of N blocks, find.
 * Method: sequences worked out by hand; random ones against a list of all earlier prompts.
 */
#include "engine/base/rng.h"
#include "engine/base/size.h"
#include "harness/traffic/prefix_bound.h"

#include <criterion/criterion.h>
#include <string.h>

#define PROMPTS 300
#define TOKENS  64
#define BLOCK   4

static struct ryz_prefix_bound *open_bound(uint32_t block_count)
{
    struct ryz_prefix_bound *bound = NULL;
    struct ryz_error error = {.text = ""};
    cr_assert_eq(ryz_prefix_bound_open(BLOCK, block_count, &bound, &error), RYZ_OK, "%s",
                 error.text);
    return bound;
}

static uint32_t add(struct ryz_prefix_bound *bound, const uint32_t *tokens, uint32_t prompt,
                    uint32_t output, uint16_t tenant)
{
    const struct ryz_prefix_bound_request request = {
        .tokens = tokens, .prompt_tokens = prompt, .output_tokens = output, .tenant = tenant};
    struct ryz_error error = {.text = ""};
    uint32_t hit_tokens = 0;
    cr_assert_eq(ryz_prefix_bound_add(bound, &request, &hit_tokens, &error), RYZ_OK, "%s",
                 error.text);
    return hit_tokens;
}

Test(prefix_bound, counts_leading_full_blocks_but_the_last_token)
{
    const uint32_t tokens[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    const uint32_t other[12] = {1, 2, 3, 4, 0, 6, 7, 8, 9, 10, 11, 12};
    struct ryz_prefix_bound *bound = open_bound(0);
    cr_assert_eq(add(bound, tokens, 10, 1, 0), 0);
    cr_assert_eq(add(bound, tokens, 10, 1, 0), 8);
    cr_assert_eq(add(bound, tokens, 8, 1, 0), 4, "the last token is computed anew");
    cr_assert_eq(add(bound, tokens, 12, 1, 0), 8);
    cr_assert_eq(add(bound, other, 12, 1, 0), 4, "what follows another block is another block");
    cr_assert_eq(add(bound, tokens, 12, 1, 1), 0, "another tenant");
    cr_assert_eq(add(bound, tokens, 3, 1, 0), 0);
    struct ryz_prefix_bound_result result = ryz_prefix_bound_result(bound);
    cr_assert_eq(result.prompt_tokens, 67u);
    cr_assert_eq(result.lookup_tokens, 8u + 8 + 4 + 8 + 8 + 8);
    cr_assert_eq(result.hit_tokens, 24u);
    ryz_prefix_bound_close(bound);
}

Test(prefix_bound, a_small_cache_forgets_the_least_recently_used_and_ends_first)
{
    const uint32_t a[9] = {1}, b[9] = {2}, c[9] = {3};
    struct ryz_prefix_bound *bound = open_bound(7);
    (void)add(bound, a, 9, 1, 0); /* a0 a1 and, while it runs, a third */
    (void)add(bound, b, 9, 1, 0); /* b0 b1 */
    cr_assert_eq(add(bound, a, 9, 1, 0), 8);
    (void)add(bound, c, 9, 1, 0); /* 4 blocks and 3: all have room */
    cr_assert_eq(add(bound, b, 9, 1, 0), 8);
    (void)add(bound, c, 9, 5, 0); /* 6 blocks are known and 2 more needed: a1 goes */
    cr_assert_eq(add(bound, b, 9, 1, 0), 8);
    cr_assert_eq(add(bound, a, 9, 1, 0), 4);
    ryz_prefix_bound_close(bound);
}

/* Requests that have their beginnings from a few families, of any length. */
static uint32_t draw_prompt(struct ryz_rng *rng, uint32_t *tokens)
{
    uint32_t family = (uint32_t)ryz_rng_below(rng, 6), own = (uint32_t)ryz_rng_below(rng, TOKENS);
    for (uint32_t i = 0; i < TOKENS; i++)
        tokens[i] = i < own ? family : (uint32_t)ryz_rng_below(rng, 2);
    return 1 + (uint32_t)ryz_rng_below(rng, TOKENS);
}

Test(prefix_bound, agrees_with_a_look_at_all_earlier_prompts)
{
    static uint32_t prompts[PROMPTS][TOKENS], lengths[PROMPTS];
    struct ryz_prefix_bound *endless = open_bound(0), *large = open_bound(PROMPTS * TOKENS);
    struct ryz_rng rng;
    uint32_t hits = 0;
    ryz_rng_init(&rng, 5, 0);
    for (uint32_t n = 0; n < PROMPTS; n++) {
        lengths[n] = draw_prompt(&rng, prompts[n]);
        uint32_t best = 0;
        for (uint32_t k = 0; k < n; k++) {
            uint32_t common = 0, most = ryz_min_u32(lengths[n] - 1, lengths[k]);
            while (common < most && prompts[k][common] == prompts[n][common]) common++;
            if (common / BLOCK > best) best = common / BLOCK;
        }
        cr_assert_eq(add(endless, prompts[n], lengths[n], 9, 0), best * BLOCK, "prompt %u", n);
        cr_assert_eq(add(large, prompts[n], lengths[n], 9, 0), best * BLOCK, "prompt %u", n);
        hits += best;
    }
    cr_assert_gt(hits, PROMPTS, "a test without hits tests nothing");
    ryz_prefix_bound_close(endless);
    ryz_prefix_bound_close(large);
}

Test(prefix_bound, a_larger_cache_finds_no_less)
{
    static const uint32_t sizes[] = {20, 30, 50, 100, 200, 1000, 0};
    uint64_t before = 0;
    for (size_t i = 0; i < RYZ_COUNT_OF(sizes); i++) {
        struct ryz_prefix_bound *bound = open_bound(sizes[i]);
        struct ryz_rng rng;
        uint32_t tokens[TOKENS];
        ryz_rng_init(&rng, 6, 0);
        for (uint32_t n = 0; n < 2000; n++) {
            uint32_t length = draw_prompt(&rng, tokens);
            (void)add(bound, tokens, length, 4, 0);
        }
        uint64_t hits = ryz_prefix_bound_result(bound).hit_tokens;
        cr_assert_geq(hits, before, "%u blocks", sizes[i]);
        before = hits;
        ryz_prefix_bound_close(bound);
    }
}

Test(prefix_bound, refuses_what_cannot_be)
{
    struct ryz_prefix_bound *bound = NULL;
    struct ryz_error error;
    const uint32_t tokens[16] = {0};
    struct ryz_prefix_bound_request request = {.tokens = tokens, .output_tokens = 1};
    cr_assert_eq(ryz_prefix_bound_open(0, 0, &bound, &error), RYZ_INVALID);
    cr_assert_eq(ryz_prefix_bound_open(1, UINT32_MAX, &bound, &error), RYZ_INVALID);
    bound = open_bound(2);
    cr_assert_eq(ryz_prefix_bound_add(bound, &request, NULL, &error), RYZ_INVALID);
    request.prompt_tokens = 8;
    cr_assert_eq(ryz_prefix_bound_add(bound, &request, NULL, &error), RYZ_OK);
    request.output_tokens = 2;
    cr_assert_eq(ryz_prefix_bound_add(bound, &request, NULL, &error), RYZ_INVALID);
    request.output_tokens = UINT32_MAX;
    cr_assert_eq(ryz_prefix_bound_add(bound, &request, NULL, &error), RYZ_INVALID);
    cr_assert_eq(ryz_prefix_bound_result(bound).prompt_tokens, 8u, "refused ones do not count");
    ryz_prefix_bound_close(bound);
}
