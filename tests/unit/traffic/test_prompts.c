/*
 * Goal: prompts have exactly the wanted length, come from the text, and depend on seed, traffic and
 * number alone; those made of parts share as many leading tokens as their leading ids say.
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

static uint32_t common_tokens(const uint32_t *a, const uint32_t *b, uint32_t count)
{
    uint32_t i = 0;
    while (i < count && a[i] == b[i]) i++;
    return i;
}

/* Prompts of `scale` times 512 tokens a part; {1, 2, 3}, {1, 2, 4} and {1, 2, 3} from elsewhere. */
static void check_parts(const struct ryz_prompts *prompts, double scale, uint32_t count)
{
    const uint64_t ids[] = {1, 2, 3}, other_ids[] = {1, 2, 4};
    struct ryz_prompt_parts parts = {.ids = ids, .count = 3, .tokens = 512 * scale};
    uint32_t first[2000], second[2000], shared = (uint32_t)(1024 * scale + 0.5);
    uint32_t bos = prompts->bos == RYZ_PROMPT_NO_BOS ? 0 : 1;
    cr_assert(shared < count && count < 1536 * scale);
    first[count] = second[count] = 0xfeedu;
    ryz_prompts_fill_parts(prompts, &parts, 0, 7, first, count);
    ryz_prompts_fill_parts(prompts, &parts, 1, 8, second, count);
    cr_assert_arr_eq(first, second, count * sizeof *first, "neither traffic nor number matter");
    parts.ids = other_ids;
    ryz_prompts_fill_parts(prompts, &parts, 0, 7, second, count);
    cr_assert_eq(common_tokens(first, second, count), shared, "%u, not %u, at scale %g",
                 common_tokens(first, second, count), shared, scale);
    parts.source = 1;
    ryz_prompts_fill_parts(prompts, &parts, 0, 7, second, count);
    cr_assert_eq(common_tokens(first, second, count), bos);
    cr_assert(first[count] == 0xfeedu && second[count] == 0xfeedu);
    if (bos) cr_assert_eq(first[0], prompts->bos);
}

Test(prompts, of_equal_leading_ids_have_equal_leading_tokens)
{
    static uint32_t ordinary[5000];
    for (uint32_t i = 0; i < 5000; i++) ordinary[i] = 100 + i;
    struct ryz_prompts prompts[] = {
        from_text(3), {.seed = 3, .bos = 2, .ordinary = ordinary, .ordinary_count = 5000}};
    for (int i = 0; i < 2; i++) {
        check_parts(&prompts[i], 1.0, 1300);
        check_parts(&prompts[i], 0.125, 150);
        check_parts(&prompts[i], 0.3, 400);
    }
}

Test(prompts, are_their_own_behind_their_parts)
{
    struct ryz_prompts prompts = from_text(3);
    const uint64_t id = 5;
    struct ryz_prompt_parts parts = {.ids = &id, .count = 1, .tokens = 64};
    uint32_t first[100], second[100];
    ryz_prompts_fill_parts(&prompts, &parts, 0, 1, first, 100);
    ryz_prompts_fill_parts(&prompts, &parts, 0, 2, second, 100);
    cr_assert_eq(common_tokens(first, second, 100), 64);
    ryz_prompts_fill_parts(&prompts, &(struct ryz_prompt_parts){0}, 0, 1, first, 100);
    ryz_prompts_fill(&prompts, 0, 1, second, 100);
    cr_assert_arr_eq(first, second, sizeof first);
}

Test(prompts, ids_below_the_length_of_the_text_have_places_of_their_own)
{
    static const size_t counts[] = {1, 2, 6, 997, 1000};
    for (uint64_t seed = 0; seed < 20; seed++) {
        for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
            struct ryz_prompts prompts = from_text(seed);
            bool seen[TEXT] = {false};
            prompts.text_count = counts[i];
            for (uint64_t id = 0; id < counts[i]; id++) {
                uint32_t token = 0;
                struct ryz_prompt_parts parts = {.ids = &id, .count = 1, .tokens = 512};
                ryz_prompts_fill_parts(&prompts, &parts, 0, 0, &token, 1);
                cr_assert_not(seen[token - 10000], "seed %lu, %zu places", (unsigned long)seed,
                              counts[i]);
                seen[token - 10000] = true;
            }
        }
    }
}
