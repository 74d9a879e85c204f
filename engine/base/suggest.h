/* suggest.h - "did you mean": the nearest of the allowed words, if it is near enough. */
#ifndef RYZ_BASE_SUGGEST_H
#define RYZ_BASE_SUGGEST_H

#include <stddef.h>

#define RYZ_SUGGEST_WORD_MAX 48u /* longer words are not compared */

struct ryz_suggest {
    const char *word;  /* what was written; borrowed */
    const char *best;  /* nearest candidate so far, NULL: none is near enough; borrowed */
    size_t best_edits; /* insertions, deletions, changes and swaps of neighbours */
};

/* The nearest of `count` names, or NULL if none is near enough. */
const char *ryz_suggest_nearest(const char *word, const char *const *names, size_t count);

void ryz_suggest_init(struct ryz_suggest *suggest, const char *word);
/* One candidate; at equal distance the earlier one stays. */
void ryz_suggest_offer(struct ryz_suggest *suggest, const char *candidate);
/* Offers each word of a space-separated list; `best` then points into `list`, not terminated. */
void ryz_suggest_offer_list(struct ryz_suggest *suggest, const char *list);
/* Edits that turn a into b; SIZE_MAX if one is longer than RYZ_SUGGEST_WORD_MAX. */
size_t ryz_suggest_edits(const char *a, size_t a_length, const char *b, size_t b_length);
/* Writes `; did you mean "best"?`, or "" where there is none; returns `text`. */
const char *ryz_suggest_text(const struct ryz_suggest *suggest, char *text, size_t capacity);

#endif
