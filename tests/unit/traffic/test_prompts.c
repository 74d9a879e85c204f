/*
 * Goal: prompts have exactly the wanted length, come from the text, and depend on seed, traffic and
 * number alone.
 * Method: direct.
 */
#include "harness/traffic/prompts.h"

#include <criterion/criterion.h>
#include <string.h>

#define TEXT 1000

static uint32_t text[TEXT];

static struct ryz_prompts from_text(uint64_t seed)
{
    for (uint32_t i = 0; i < TEXT; i++) text[i] = 10000 + i;
    return (struct ryz_prompts){
        .seed = seed, .bos = RYZ_PROMPT_NO_BOS, .text = text, .text_count = TEXT};
}

Test(prompts, are_consecutive_pieces_of_the_text)
{
    struct ryz_prompts prompts = from_text(1);
    uint32_t tokens[2500], guard = 0xfeedu;
    bool places[TEXT] = {false};
    uint32_t distinct = 0;
    for (uint64_t n = 0; n < 300; n++) {
        tokens[50] = guard;
        ryz_prompts_fill(&prompts, 0, n, tokens, 50);
        cr_assert_eq(tokens[50], guard);
        for (uint32_t i = 0; i < 50; i++) {
            cr_assert(tokens[i] >= 10000 && tokens[i] < 10000 + TEXT);
            if (i > 0) cr_assert_eq((tokens[i] - tokens[i - 1] + TEXT) % TEXT, 1);
        }
        distinct += !places[tokens[0] - 10000];
        places[tokens[0] - 10000] = true;
    }
    cr_assert_gt(distinct, 200);
    /* Longer than the text: it goes round. */
    ryz_prompts_fill(&prompts, 0, 0, tokens, 2500);
    cr_assert_eq(tokens[0], tokens[TEXT]);
    cr_assert_eq(tokens[0], tokens[2 * TEXT]);
}

Test(prompts, depend_on_seed_traffic_and_number_alone)
{
    struct ryz_prompts a = from_text(1), b = from_text(2);
    uint32_t first[30], second[30];
    ryz_prompts_fill(&a, 0, 7, first, 30);
    ryz_prompts_fill(&a, 0, 8, second, 30); /* something in between */
    ryz_prompts_fill(&a, 0, 7, second, 30);
    cr_assert_arr_eq(first, second, sizeof first);
    uint64_t hash = ryz_prompts_hash(first, 30);
    cr_assert_eq(hash, ryz_prompts_hash(second, 30));
    ryz_prompts_fill(&a, 1, 7, second, 30);
    cr_assert_neq(hash, ryz_prompts_hash(second, 30));
    ryz_prompts_fill(&b, 0, 7, second, 30);
    cr_assert_neq(hash, ryz_prompts_hash(second, 30));
}

Test(prompts, without_a_text_are_drawn_from_the_ordinary_tokens)
{
    const uint32_t ordinary[] = {5, 50, 500};
    struct ryz_prompts prompts = {.seed = 1, .bos = 2, .ordinary = ordinary, .ordinary_count = 3};
    uint32_t tokens[301], seen[3] = {0, 0, 0};
    ryz_prompts_fill(&prompts, 0, 0, tokens, 301);
    cr_assert_eq(tokens[0], 2);
    for (uint32_t i = 1; i < 301; i++) {
        uint32_t k = tokens[i] == 5 ? 0 : tokens[i] == 50 ? 1 : 2;
        cr_assert_eq(tokens[i], ordinary[k]);
        seen[k]++;
    }
    for (int k = 0; k < 3; k++) cr_assert_gt(seen[k], 60);
    prompts.ordinary = NULL;
    ryz_prompts_fill(&prompts, 0, 0, tokens, 301);
    for (uint32_t i = 1; i < 301; i++) cr_assert_lt(tokens[i], 3);
}
