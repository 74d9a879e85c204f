/* size.h - products and sums of sizes that fail instead of wrapping; small helpers on numbers. */
#ifndef RYZ_BASE_SIZE_H
#define RYZ_BASE_SIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* *out = a * b; false (and *out untouched) if it does not fit. */
static inline bool ryz_mul_size(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

/* *out = a + b; false if it does not fit. */
static inline bool ryz_add_size(size_t a, size_t b, size_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

/* Ceiling of a / b, b > 0. */
static inline uint32_t ryz_ceil_div_u32(uint32_t a, uint32_t b)
{
    return a / b + (a % b != 0);
}

static inline uint32_t ryz_min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static inline uint64_t ryz_min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

#define RYZ_COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#endif
