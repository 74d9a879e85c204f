/*
 * support.c - random data and guarded memory for the kernel tests.
 */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "tests/unit/kernels/support.h"

#define GUARDED_MAX 64u
#define TABLES_MAX  8u

struct mapping {
    void *start;
    size_t bytes;
};

static struct mapping mappings[GUARDED_MAX];
static size_t mapping_count;

const enum ryz_dtype all_types[6] = {RYZ_DTYPE_F32,  RYZ_DTYPE_F16,  RYZ_DTYPE_BF16,
                                     RYZ_DTYPE_Q4_0, RYZ_DTYPE_Q4_1, RYZ_DTYPE_Q8_0};

struct rng rng_start(uint64_t seed)
{
    (void)fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
    struct rng rng = {seed};
    return rng;
}

uint64_t rng_next(struct rng *rng)
{
    uint64_t z = (rng->state += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

size_t rng_below(struct rng *rng, size_t count)
{
    return (size_t)(rng_next(rng) % count);
}

float rng_float(struct rng *rng, float scale)
{
    return scale * (float)((double)(rng_next(rng) >> 40) * 0x1p-23 - 1.0);
}

void rng_fill(struct rng *rng, float *dst, size_t count, float scale)
{
    for (size_t i = 0; i < count; i++) dst[i] = rng_float(rng, scale);
}

void *guarded(size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t body = (bytes + page - 1) / page * page;
    cr_assert(mapping_count < GUARDED_MAX);
    uint8_t *start =
        mmap(NULL, body + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert(start != MAP_FAILED);
    cr_assert(mprotect(start + body, page, PROT_NONE) == 0);
    mappings[mapping_count].start = start;
    mappings[mapping_count++].bytes = body + page;
    return start + body - bytes;
}

float *guarded_floats(size_t count)
{
    return guarded(count * sizeof(float));
}

void guarded_release(void)
{
    while (mapping_count > 0) {
        mapping_count--;
        cr_assert(munmap(mappings[mapping_count].start, mappings[mapping_count].bytes) == 0);
    }
}

struct ryz_matrix random_matrix(struct rng *rng, enum ryz_dtype type, size_t rows, size_t cols)
{
    const struct ryz_kernels *ref = ryz_kernels_find("ref");
    size_t row_bytes = ryz_dtype_row_bytes(type, cols);
    uint8_t *data = guarded(rows * row_bytes);
    float *row = guarded_floats(cols);
    for (size_t n = 0; n < rows; n++) {
        rng_fill(rng, row, cols, 1.0F);
        ref->quantize_row(type, row, data + n * row_bytes, cols);
    }
    struct ryz_matrix w = {data, type, rows, cols, row_bytes};
    return w;
}

const struct ryz_kernels *table_at(size_t i)
{
    static const struct ryz_kernels *tables[TABLES_MAX];
    cr_assert(i < TABLES_MAX);
    if (tables[i]) return tables[i];
    const char *name = ryz_kernels_name(i);
    return tables[i] = name ? ryz_kernels_find(name) : NULL;
}
