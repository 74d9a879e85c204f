/*
 * Goal: the nearest word is offered when it is near, and none when it is not.
 * Method: known distances, then the properties of a distance on random words.
 */
#include "engine/base/rng.h"
#include "engine/base/suggest.h"
#include "tests/unit/base/support.h"

#include <criterion/criterion.h>
#include <string.h>

static size_t edits(const char *a, const char *b)
{
    return ryz_suggest_edits(a, strlen(a), b, strlen(b));
}

Test(suggest, known_distances)
{
    cr_assert_eq(edits("", ""), 0);
    cr_assert_eq(edits("abc", ""), 3);
    cr_assert_eq(edits("kitten", "sitting"), 3);
    cr_assert_eq(edits("max_bach", "max_batch"), 1);
    cr_assert_eq(edits("raet", "rate"), 1, "a swap of neighbours is one edit");
    cr_assert_eq(edits("abcd", "badc"), 2);
}

Test(suggest, is_a_distance)
{
    struct ryz_rng rng;
    ryz_rng_init(&rng, test_seed("suggest"), 0);
    for (int i = 0; i < 20000; i++) {
        char words[2][9];
        for (int w = 0; w < 2; w++) {
            size_t length = ryz_rng_below(&rng, 9);
            for (size_t k = 0; k < length; k++) words[w][k] = (char)('a' + ryz_rng_below(&rng, 3));
            words[w][length] = '\0';
        }
        size_t distance = edits(words[0], words[1]);
        size_t a = strlen(words[0]), b = strlen(words[1]);
        cr_assert_eq(distance, edits(words[1], words[0]));
        cr_assert_eq(distance == 0, strcmp(words[0], words[1]) == 0);
        cr_assert_leq(distance, a > b ? a : b);
        cr_assert_geq(distance, a > b ? a - b : b - a);
    }
}

Test(suggest, words_that_are_far_away_or_endless_get_none)
{
    char text[80], endless[200];
    struct ryz_suggest suggest;
    ryz_suggest_init(&suggest, "zebra");
    ryz_suggest_offer(&suggest, "rate");
    cr_assert_str_eq(ryz_suggest_text(&suggest, text, sizeof text), "");
    memset(endless, 'x', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    ryz_suggest_init(&suggest, endless);
    ryz_suggest_offer(&suggest, "rate");
    ryz_suggest_offer(&suggest, endless);
    cr_assert_null(suggest.best);
}

Test(suggest, the_nearest_of_a_list_is_cut_out)
{
    char text[80];
    struct ryz_suggest suggest;
    ryz_suggest_init(&suggest, "shutdown");
    ryz_suggest_offer_list(&suggest, "written shuffled");
    cr_assert_null(suggest.best);
    ryz_suggest_init(&suggest, "wirtten");
    ryz_suggest_offer_list(&suggest, "written shuffled");
    cr_assert_str_eq(ryz_suggest_text(&suggest, text, sizeof text), "; did you mean \"written\"?");
}
