/* suggest.h - "did you mean": the known name nearest to what was written. */
#ifndef RYZ_BASE_SUGGEST_H
#define RYZ_BASE_SUGGEST_H

#include <stddef.h>

/* The entry of `known` with the smallest edit distance to `given` (insert, delete, replace, swap of
 * neighbours), or NULL if none is near: at most a third of the longer name may differ. */
const char *ryz_suggest(const char *given, const char *const *known, size_t count);

#endif
