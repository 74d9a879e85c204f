/*
 * samples.h - a list of numbers and its exact statistics. +inf stands for a failed request and
 * sorts last; NaN must not be added.
 */
#ifndef RYZ_HARNESS_EVALUATE_SAMPLES_H
#define RYZ_HARNESS_EVALUATE_SAMPLES_H

#include "harness/evaluate/quantities.h"

#include <stdbool.h>
#include <stddef.h>

struct ryz_samples {
    double *values; /* from malloc */
    size_t count, capacity;
    bool sorted;
    bool no_memory; /* some value could not be added; ask once at the end */
};

/* A statistic with its 95 % interval; NaN where there is none. */
struct ryz_estimate {
    double value, lo, hi;
    size_t n;
};

void ryz_samples_add(struct ryz_samples *samples, double value);
void ryz_samples_append(struct ryz_samples *to, const struct ryz_samples *from);
void ryz_samples_free(struct ryz_samples *samples);

/* Sorts if need be. Percentile p is by nearest rank: the ceil(p * n)-th smallest value, so it is a
 * value that was measured. Its interval is the distribution-free one between two order statistics
 * (binomial, 95 %); the mean's is 1.96 standard errors. value is NaN without samples. */
struct ryz_estimate ryz_samples_estimate(struct ryz_samples *samples, enum ryz_statistic statistic);

/* Fewest samples from which percentile p may be claimed with 99 % confidence if none were beyond:
 * the smallest n with p^n <= 1 % (44 for p90, 90 for p95, 459 for p99), after MLPerf's early
 * stopping. 1 for statistics that are no percentile. */
size_t ryz_samples_needed(enum ryz_statistic statistic);

#endif
