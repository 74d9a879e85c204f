/*
 * suggest.c - edit distance over short words: keys, options, names.
 *
 * Leaves to others: which words are candidates. The idea: Damerau and Levenshtein's distance
 * (optimal string alignment), three rows of a table at a time; a candidate counts when at most a
 * third of the word, and at most three letters, would have to change.
 */
#include "engine/base/suggest.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define EDITS_MAX 3u

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

size_t ryz_suggest_edits(const char *a, size_t a_length, const char *b, size_t b_length)
{
    if (a_length > RYZ_SUGGEST_WORD_MAX || b_length > RYZ_SUGGEST_WORD_MAX) return SIZE_MAX;
    size_t rows[3][RYZ_SUGGEST_WORD_MAX + 1]; /* row i % 3: distances of a[0 .. i) */
    for (size_t j = 0; j <= b_length; j++) rows[0][j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        size_t *now = rows[i % 3];
        const size_t *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            size_t change = above[j - 1] + (a[i - 1] != b[j - 1]);
            now[j] = min3(above[j] + 1, now[j - 1] + 1, change);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                above2[j - 2] + 1 < now[j])
                now[j] = above2[j - 2] + 1;
        }
    }
    return rows[a_length % 3][b_length];
}

void ryz_suggest_init(struct ryz_suggest *suggest, const char *word)
{
    *suggest = (struct ryz_suggest){.word = word, .best = NULL, .best_edits = SIZE_MAX};
}

static void offer(struct ryz_suggest *suggest, const char *candidate, size_t length)
{
    size_t word_length = strlen(suggest->word);
    size_t allowed = (word_length + 2) / 3 < EDITS_MAX ? (word_length + 2) / 3 : EDITS_MAX;
    size_t edits = ryz_suggest_edits(suggest->word, word_length, candidate, length);
    if (edits <= allowed && edits < suggest->best_edits && edits < length) {
        suggest->best = candidate;
        suggest->best_edits = edits;
    }
}

void ryz_suggest_offer(struct ryz_suggest *suggest, const char *candidate)
{
    offer(suggest, candidate, strlen(candidate));
}

void ryz_suggest_offer_list(struct ryz_suggest *suggest, const char *list)
{
    while (*list != '\0') {
        size_t length = strcspn(list, " ");
        if (length > 0) offer(suggest, list, length);
        list += length + (list[length] == ' ');
    }
}

const char *ryz_suggest_text(const struct ryz_suggest *suggest, char *text, size_t capacity)
{
    text[0] = '\0';
    if (suggest->best != NULL) {
        int length = (int)strcspn(suggest->best, " ");
        (void)snprintf(text, capacity, "; did you mean \"%.*s\"?", length, suggest->best);
    }
    return text;
}

const char *ryz_suggest_nearest(const char *word, const char *const *names, size_t count)
{
    struct ryz_suggest suggest;
    ryz_suggest_init(&suggest, word);
    for (size_t i = 0; i < count; i++) ryz_suggest_offer(&suggest, names[i]);
    return suggest.best;
}
