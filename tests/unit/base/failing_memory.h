/*
 * failing_memory.h - an allocator that fails at a chosen call.
 *
 * For plain programs that are linked with -Wl,--wrap for malloc, calloc, realloc, aligned_alloc and
 * pthread_create: the linker sends the calls of the code under test here.
 */
#ifndef RYZ_TESTS_UNIT_BASE_FAILING_MEMORY_H
#define RYZ_TESTS_UNIT_BASE_FAILING_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

/* From now on the n-th call (from 0) fails, and no other; UINT32_MAX: none. */
void failing_memory_arm(uint32_t n);
/* Did the chosen call come? */
bool failing_memory_failed(void);

#endif
