/* assert.c - the end of a process that found its own bug. */
#include "engine/base/assert.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void ryz_assert_fail(const char *expression, const char *file, int line)
{
    (void)fprintf(stderr, "ryz: assertion failed: %s (%s:%d)\n", expression, file, line);
    abort();
}
