/*
 * support.h - random data and guarded memory for the kernel tests.
 *
 * The idea to know: every buffer of a test ends at a page that may not be touched, so each test is
 * also a test that nothing reads or writes past the end of a row.
 */
#ifndef RYZ_TESTS_UNIT_KERNELS_SUPPORT_H
#define RYZ_TESTS_UNIT_KERNELS_SUPPORT_H

#include "kernels/kernels.h"

/* splitmix64; prints the seed, so that a failure can be repeated. */
struct rng {
    uint64_t state;
};

struct rng rng_start(uint64_t seed);
uint64_t rng_next(struct rng *rng);
/* Uniform in [0, count). */
size_t rng_below(struct rng *rng, size_t count);
/* Uniform in [-scale, scale). */
float rng_float(struct rng *rng, float scale);
void rng_fill(struct rng *rng, float *dst, size_t count, float scale);

/* `bytes` bytes of zeros that end at an inaccessible page; at most GUARDED_MAX live at a time.
 * Fails the test if there is no memory. */
void *guarded(size_t bytes);
float *guarded_floats(size_t count);
/* Frees everything guarded() gave out. */
void guarded_release(void);

/* The six types, for loops. */
extern const enum ryz_dtype all_types[6];
#define ALL_TYPES 6u

/* A matrix of uniform weights in [-1, 1), encoded as `type` in guarded memory. */
struct ryz_matrix random_matrix(struct rng *rng, enum ryz_dtype type, size_t rows, size_t cols);

/* The i-th table that runs here, NULL past the end. Remembered: a look at CPUID costs 25 us in a
 * virtual machine. */
const struct ryz_kernels *table_at(size_t i);

#endif
