/*
 * assert.h - assertions that stay on in release builds.
 *
 * RYZ_ASSERT is for invariants whose breach means our own bug; RYZ_DASSERT for checks too costly
 * for a hot path in release (on in Debug and sanitizer builds).
 */
#ifndef RYZ_BASE_ASSERT_H
#define RYZ_BASE_ASSERT_H

/* Prints expression, file and line to stderr and aborts. */
_Noreturn void ryz_assert_fail(const char *expression, const char *file, int line);

#define RYZ_ASSERT(expression)                                                                     \
    ((expression) ? (void)0 : ryz_assert_fail(#expression, __FILE__, __LINE__))

#ifdef NDEBUG
#define RYZ_DASSERT(expression) ((void)sizeof(expression))
#else
#define RYZ_DASSERT(expression) RYZ_ASSERT(expression)
#endif

#endif
