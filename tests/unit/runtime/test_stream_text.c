/*
 * Goal: text leaves a stream as whole characters, never with a byte of a stop string, and nothing
 * is lost on the way.
 * Method: a text is cut into pieces at every place and at random ones, and what comes out is
 * compared with what a search over the whole text says.
 */
#include "engine/base/rng.h"
#include "engine/base/utf8.h"
#include "engine/runtime/stream_text.h"

#include <criterion/criterion.h>
#include <string.h>

struct result {
    char text[1024];
    size_t length;
    bool stopped;
};

static void take(struct result *result, const char *out, size_t length)
{
    cr_assert_lt(result->length + length, sizeof result->text);
    cr_assert_eq(ryz_utf8_valid_bytes(out, length), length, "a character was cut");
    memcpy(result->text + result->length, out, length);
    result->length += length;
    result->text[result->length] = '\0';
}

/* Pushes `text` in pieces that end at the given cuts. */
static struct result run(const char *text, const size_t *cuts, size_t cut_count,
                         const char *const *stops, uint32_t stop_count)
{
    struct ryz_stream_text stream;
    struct result result = {.length = 0};
    char out[RYZ_TEXT_HELD_MAX + 1024];
    enum ryz_status status = ryz_stream_text_init(&stream, stops, stop_count, NULL);
    cr_assert_eq(status, RYZ_OK);
    size_t at = 0, length = strlen(text);
    for (size_t i = 0; i <= cut_count && !result.stopped; i++) {
        size_t end = i < cut_count ? cuts[i] : length;
        size_t n = ryz_stream_text_push(&stream, text + at, end - at, out, &result.stopped);
        take(&result, out, n);
        at = end;
    }
    if (!result.stopped) take(&result, out, ryz_stream_text_flush(&stream, out));
    return result;
}

Test(stream_text, holds_a_character_back_until_it_is_whole)
{
    const char *text = "a\xC3\xA9"
                       "b\xE2\x82\xAC"
                       "c\xF0\x9F\x98\x80"
                       "d";
    for (size_t i = 0; i <= strlen(text); i++) {
        for (size_t j = i; j <= strlen(text); j++) {
            size_t cuts[] = {i, j};
            struct result result = run(text, cuts, 2, NULL, 0);
            cr_assert_str_eq(result.text, text);
        }
    }
}

Test(stream_text, replaces_a_character_that_never_became_whole)
{
    struct ryz_stream_text stream;
    char out[RYZ_TEXT_HELD_MAX + 16];
    bool stopped = true;
    cr_assert_eq(ryz_stream_text_init(&stream, NULL, 0, NULL), RYZ_OK);
    cr_assert_eq(ryz_stream_text_push(&stream, "x\xF0\x9F\x98", 4, out, &stopped), 1);
    cr_assert_not(stopped);
    cr_assert_eq(ryz_stream_text_flush(&stream, out), 3);
    cr_assert_eq(memcmp(out, "\xEF\xBF\xBD", 3), 0);
}

Test(stream_text, cuts_a_stop_string_wherever_the_pieces_end)
{
    const char *text = "one two END three";
    const char *stops[] = {"END"};
    for (size_t i = 0; i <= strlen(text); i++) {
        for (size_t j = i; j <= strlen(text); j++) {
            size_t cuts[] = {i, j};
            struct result result = run(text, cuts, 2, stops, 1);
            cr_assert(result.stopped);
            cr_assert_str_eq(result.text, "one two ");
        }
    }
}

Test(stream_text, gives_a_beginning_that_was_none_after_all)
{
    const char *text = "aab aabaac aabaa";
    const char *stops[] = {"aabaab", "zz"};
    for (size_t i = 0; i <= strlen(text); i++) {
        size_t cuts[] = {i};
        struct result result = run(text, cuts, 1, stops, 2);
        cr_assert_not(result.stopped);
        cr_assert_str_eq(result.text, text);
    }
}

Test(stream_text, the_first_of_several_stops_counts)
{
    const char *stops[] = {"cd", "bcde", "d"};
    for (size_t i = 0; i <= 6; i++) {
        size_t cuts[] = {i};
        struct result result = run("abcdef", cuts, 1, stops, 3);
        cr_assert(result.stopped);
        /* "cd" is complete first when the text comes byte by byte; in one piece "bcde" lies before
         * it. Either way no byte of the stop that was found is shown. */
        cr_assert(strcmp(result.text, "ab") == 0 || strcmp(result.text, "a") == 0, "%s",
                  result.text);
    }
}

Test(stream_text, random_pieces_of_random_text_agree_with_a_search)
{
    uint64_t seed = 20261;
    static const char accented[] = "\xC3\xA9\x61"; /* e acute, a */
    const char *stops[] = {"ab", "bba", accented};
    struct ryz_rng rng;
    ryz_rng_init(&rng, seed, 0);
    uint32_t found = 0;
    for (int round = 0; round < 20000; round++) {
        static const char *const letters[] = {"a", "b", "\xC3\xA9"};
        char text[64] = "";
        size_t cuts[64], cut_count = 0, count = ryz_rng_below(&rng, 12);
        for (size_t i = 0; i < count; i++) strcat(text, letters[ryz_rng_below(&rng, 3)]);
        for (size_t i = 1; i <= strlen(text); i++) cuts[cut_count++] = i; /* byte by byte */
        struct result result = run(text, cuts, cut_count, stops, 3);
        /* Byte by byte, the stop that is complete first wins, the longest of those. */
        size_t expected = strlen(text);
        bool stopped = false;
        for (size_t e = 1; e <= strlen(text) && !stopped; e++) {
            for (int s = 0; s < 3; s++) {
                size_t n = strlen(stops[s]);
                if (n > e || memcmp(text + e - n, stops[s], n) != 0) continue;
                if (!stopped || e - n < expected) expected = e - n;
                stopped = true;
            }
        }
        cr_assert_eq(result.stopped, stopped, "seed %lu round %d", (unsigned long)seed, round);
        cr_assert_eq(result.length, expected, "seed %lu round %d", (unsigned long)seed, round);
        cr_assert_eq(memcmp(result.text, text, expected), 0);
        found += stopped;
    }
    cr_assert_gt(found, 1000);
}

Test(stream_text, refuses_stops_that_are_empty_long_or_many)
{
    struct ryz_stream_text stream;
    struct ryz_error error;
    char longest[RYZ_STOP_BYTES_MAX + 2];
    memset(longest, 'x', sizeof longest);
    longest[RYZ_STOP_BYTES_MAX] = '\0';
    const char *stops[] = {longest, "a", "b", "c", "d"};
    cr_assert_eq(ryz_stream_text_init(&stream, stops, 4, &error), RYZ_OK);
    cr_assert_eq(ryz_stream_text_init(&stream, stops, 5, &error), RYZ_INVALID);
    longest[RYZ_STOP_BYTES_MAX] = 'x';
    longest[RYZ_STOP_BYTES_MAX + 1] = '\0';
    cr_assert_eq(ryz_stream_text_init(&stream, stops, 1, &error), RYZ_INVALID);
    stops[0] = "";
    cr_assert_eq(ryz_stream_text_init(&stream, stops, 1, &error), RYZ_INVALID);
}
