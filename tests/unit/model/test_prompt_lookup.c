/*
 * Goal: proposals are what followed the latest earlier place that ends like the text, the longest
 * agreement first. Method: small texts whose answer is plain, and random ones against a search that
 * tries every place.
 */
#include "engine/model/prompt_lookup.h"

#include "engine/base/rng.h"

#include <criterion/criterion.h>
#include <string.h>

static uint32_t out[8];

Test(prompt_lookup, finds_nothing_in_a_text_that_does_not_repeat_itself)
{
    const uint32_t text[] = {1, 2, 3, 4, 5, 6, 7};
    for (uint32_t count = 1; count <= 7; count++)
        cr_assert_eq(ryz_prompt_lookup(text, count, 4, out), 0);
    const uint32_t one[] = {5, 1, 5}; /* one token alike is too little */
    cr_assert_eq(ryz_prompt_lookup(one, 3, 4, out), 0);
}

Test(prompt_lookup, copies_what_followed)
{
    const uint32_t text[] = {9, 8, 1, 2, 3, 4, 5, 1, 2};
    cr_assert_eq(ryz_prompt_lookup(text, 9, 3, out), 3);
    cr_assert_eq(out[0], 3);
    cr_assert_eq(out[1], 4);
    cr_assert_eq(out[2], 5);
}

Test(prompt_lookup, prefers_the_longer_agreement_and_then_the_later_place)
{
    const uint32_t longer[] = {7, 1, 2, 30, 8, 1, 2, 31, 7, 1, 2};
    cr_assert_eq(ryz_prompt_lookup(longer, 11, 1, out), 1);
    cr_assert_eq(out[0], 30);
    const uint32_t later[] = {7, 1, 2, 30, 8, 1, 2, 31, 9, 1, 2};
    cr_assert_eq(ryz_prompt_lookup(later, 11, 1, out), 1);
    cr_assert_eq(out[0], 31);
}

Test(prompt_lookup, goes_on_repeating_past_the_end_of_the_text)
{
    uint32_t text[16] = {4, 1, 2, 1, 2, 1, 2};
    cr_assert_eq(ryz_prompt_lookup(text, 7, 5, text + 7), 5);
    const uint32_t expected[] = {1, 2, 1, 2, 1};
    cr_assert_eq(memcmp(text + 7, expected, sizeof expected), 0);
}

/* The same by definition: every length, every place. */
static uint32_t slow(const uint32_t *text, uint32_t count, uint32_t *first)
{
    for (uint32_t n = RYZ_LOOKUP_LONGEST; n >= RYZ_LOOKUP_SHORTEST; n--)
        for (uint32_t end = count - 1; count > n && end >= n; end--)
            if (memcmp(text + end - n, text + count - n, n * sizeof *text) == 0) {
                *first = text[end];
                return 1;
            }
    return 0;
}

Test(prompt_lookup, agrees_with_the_definition)
{
    struct ryz_rng rng;
    uint32_t found = 0;
    ryz_rng_init(&rng, 5, 0);
    for (uint32_t round = 0; round < 20000; round++) {
        uint32_t text[40], count = 1 + (uint32_t)ryz_rng_below(&rng, 40), first = 0;
        uint32_t letters = 2 + (uint32_t)ryz_rng_below(&rng, 9);
        for (uint32_t i = 0; i < count; i++) text[i] = (uint32_t)ryz_rng_below(&rng, letters);
        uint32_t expected = slow(text, count, &first);
        cr_assert_eq(ryz_prompt_lookup(text, count, 1, out), expected, "round %u", round);
        if (expected > 0) cr_assert_eq(out[0], first, "round %u", round);
        found += expected;
    }
    cr_assert_gt(found, 1000);
}
