/*
 * histogram.c - HdrHistogram's bin layout with fixed bounds.
 *
 * Leaves to others: units (values are plain integers) and thread safety. The layout: the first
 * 2^SUB_BITS bins hold one value each; after that each doubling of the value gets 2^(SUB_BITS - 1)
 * bins of equal width.
 *
 *   values  0 ........ 2047 | 2048 ...... 4095 | 4096 ...... 8191 | ...
 *   width   1               | 2                | 4                |
 *   bins    2048            | 1024             | 1024             |
 */
#include "engine/base/histogram.h"

#include "engine/base/assert.h"

#include <math.h>
#include <stdlib.h>

#define SUB_COUNT (INT64_C(1) << RYZ_HISTOGRAM_SUB_BITS)
#define SUB_HALF  (SUB_COUNT / 2)

struct ryz_histogram {
    uint64_t count; /* sum of bins */
    uint64_t bins[RYZ_HISTOGRAM_BINS];
};

static size_t bin_of(int64_t value)
{
    if (value < 0) value = 0;
    if (value >= INT64_C(1) << RYZ_HISTOGRAM_MAX_BITS) return RYZ_HISTOGRAM_BINS - 1;
    if (value < SUB_COUNT) return (size_t)value;
    /* Doublings past the linear part; the value's top SUB_BITS bits select the bin. */
    int shift = 63 - __builtin_clzll((unsigned long long)value) - (RYZ_HISTOGRAM_SUB_BITS - 1);
    return (size_t)(shift * SUB_HALF + (value >> shift));
}

int64_t ryz_histogram_bin_upper(size_t bin)
{
    RYZ_ASSERT(bin < RYZ_HISTOGRAM_BINS);
    int64_t i = (int64_t)bin;
    if (i < SUB_COUNT) return i;
    int64_t shift = i / SUB_HALF - 1;
    int64_t top = i - shift * SUB_HALF; /* in [SUB_HALF, SUB_COUNT) */
    return ((top + 1) << shift) - 1;
}

enum ryz_status ryz_histogram_open(struct ryz_histogram **out, struct ryz_error *error)
{
    *out = calloc(1, sizeof **out);
    if (*out == NULL) return ryz_fail(error, RYZ_NO_MEMORY, "no memory for a histogram");
    return RYZ_OK;
}

void ryz_histogram_close(struct ryz_histogram *h)
{
    free(h);
}

void ryz_histogram_record(struct ryz_histogram *h, int64_t value)
{
    h->bins[bin_of(value)]++;
    h->count++;
}

void ryz_histogram_merge(struct ryz_histogram *into, const struct ryz_histogram *from)
{
    for (size_t i = 0; i < RYZ_HISTOGRAM_BINS; i++) into->bins[i] += from->bins[i];
    into->count += from->count;
}

uint64_t ryz_histogram_count(const struct ryz_histogram *h)
{
    return h->count;
}

uint64_t ryz_histogram_bin_count(const struct ryz_histogram *h, size_t bin)
{
    return bin < RYZ_HISTOGRAM_BINS ? h->bins[bin] : 0;
}

int64_t ryz_histogram_quantile(const struct ryz_histogram *h, double q)
{
    if (h->count == 0) return 0;
    if (!(q > 0.0)) q = 0.0; /* also NaN */
    if (q > 1.0) q = 1.0;
    double rank = ceil(q * (double)h->count);
    uint64_t need = rank < 1.0 ? 1 : (uint64_t)rank;
    if (need > h->count) need = h->count;
    uint64_t seen = 0;
    for (size_t i = 0; i < RYZ_HISTOGRAM_BINS; i++) {
        seen += h->bins[i];
        if (seen >= need) return ryz_histogram_bin_upper(i);
    }
    RYZ_ASSERT(seen >= need); /* the bins add up to count */
    return 0;
}
