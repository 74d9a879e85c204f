/*
 * prompt_lookup.c - the latest earlier place that ends with the same tokens, the longest first.
 */
#include "engine/model/prompt_lookup.h"

#include <stdbool.h>

/* Do the `n` tokens before `end` equal the last n of the text? */
static bool ends_alike(const uint32_t *tokens, uint32_t count, uint32_t end, uint32_t n)
{
    for (uint32_t i = 2; i <= n; i++) /* the last one was compared by the search */
        if (tokens[end - i] != tokens[count - i]) return false;
    return true;
}

/* The end of the latest earlier run of n tokens that equals the last n; 0: there is none. */
static uint32_t find(const uint32_t *tokens, uint32_t count, uint32_t n)
{
    const uint32_t last = tokens[count - 1];
    for (uint32_t end = count - 1; end >= n; end--)
        if (tokens[end - 1] == last && ends_alike(tokens, count, end, n)) return end;
    return 0;
}

uint32_t ryz_prompt_lookup(const uint32_t *tokens, uint32_t count, uint32_t most, uint32_t *out)
{
    for (uint32_t n = RYZ_LOOKUP_LONGEST; n >= RYZ_LOOKUP_SHORTEST; n--) {
        uint32_t end = count > n ? find(tokens, count, n) : 0;
        if (end == 0) continue;
        /* What followed there; where that is the end of the text, it goes on as it repeats. */
        for (uint32_t i = 0; i < most; i++)
            out[i] = end + i < count ? tokens[end + i] : out[end + i - count];
        return most;
    }
    return 0;
}
