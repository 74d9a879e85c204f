/* suggest.c - edit distance with swaps (optimal string alignment), for short names. */
#include "engine/base/suggest.h"

#include <string.h>

#define NAME_MAX_BYTES 63u

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t m = a < b ? a : b;
    return m < c ? m : c;
}

/* Names longer than NAME_MAX_BYTES are compared by their beginning. */
static size_t distance(const char *a, const char *b)
{
    size_t rows[3][NAME_MAX_BYTES + 1];
    size_t n = strnlen(a, NAME_MAX_BYTES), m = strnlen(b, NAME_MAX_BYTES);
    for (size_t j = 0; j <= m; j++) rows[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t *now = rows[i % 3];
        const size_t *before = rows[(i + 2) % 3], *before2 = rows[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t replace = before[j - 1] + (a[i - 1] != b[j - 1]);
            now[j] = min3(before[j] + 1, now[j - 1] + 1, replace);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                before2[j - 2] + 1 < now[j]) {
                now[j] = before2[j - 2] + 1;
            }
        }
    }
    return rows[n % 3][m];
}

const char *ryz_suggest(const char *given, const char *const *known, size_t count)
{
    const char *best = NULL;
    size_t best_distance = 0, given_length = strnlen(given, NAME_MAX_BYTES);
    for (size_t i = 0; i < count; i++) {
        size_t length = strnlen(known[i], NAME_MAX_BYTES);
        size_t longer = length > given_length ? length : given_length;
        size_t d = distance(given, known[i]);
        if (d * 3 <= longer && (best == NULL || d < best_distance)) {
            best = known[i];
            best_distance = d;
        }
    }
    return best;
}
