/*
 * histogram.h - a mergeable log-linear histogram of non-negative int64 values (HdrHistogram's
 * layout): constant-time record, three significant digits, fixed memory.
 */
#ifndef RYZ_BASE_HISTOGRAM_H
#define RYZ_BASE_HISTOGRAM_H

#include "engine/base/status.h"

#include <stddef.h>
#include <stdint.h>

/* 2^11 sub-buckets give 0.1 % resolution; 2^42 ns is 73 minutes. */
#define RYZ_HISTOGRAM_SUB_BITS 11
#define RYZ_HISTOGRAM_MAX_BITS 42
#define RYZ_HISTOGRAM_BINS                                                                         \
    ((size_t)(RYZ_HISTOGRAM_MAX_BITS - RYZ_HISTOGRAM_SUB_BITS + 2) << (RYZ_HISTOGRAM_SUB_BITS - 1))

struct ryz_histogram;

RYZ_MUST_USE enum ryz_status ryz_histogram_open(struct ryz_histogram **out,
                                                struct ryz_error *error);
void ryz_histogram_close(struct ryz_histogram *h);
/* Negative values count as 0, values past the end in the last bin. */
void ryz_histogram_record(struct ryz_histogram *h, int64_t value);
void ryz_histogram_merge(struct ryz_histogram *into, const struct ryz_histogram *from);
uint64_t ryz_histogram_count(const struct ryz_histogram *h);
/* Values in one bin; 0 past the last. */
uint64_t ryz_histogram_bin_count(const struct ryz_histogram *h, size_t bin);
/* Largest value that falls into bin `bin` < RYZ_HISTOGRAM_BINS. */
int64_t ryz_histogram_bin_upper(size_t bin);
/* Smallest recorded bin's upper edge with at least fraction q (0..1) of the values at or below;
 * 0 when empty. */
int64_t ryz_histogram_quantile(const struct ryz_histogram *h, double q);

#endif
