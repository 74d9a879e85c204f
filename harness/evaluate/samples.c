/* samples.c - see samples.h. */
#include "harness/evaluate/samples.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define EXACT_MAX                                                                                  \
    2000u /* above, the binomial is taken as normal: the ranks differ by at most 1                 \
           */
#define Z95 1.959963984540054

static bool reserve(struct ryz_samples *samples, size_t more)
{
    if (samples->capacity - samples->count >= more) return true;
    size_t capacity = samples->capacity < 64 ? 64 : samples->capacity;
    while (capacity - samples->count < more) {
        if (capacity > SIZE_MAX / 2 / sizeof(double)) return false;
        capacity *= 2;
    }
    double *values = realloc(samples->values, capacity * sizeof *values);
    if (values == NULL) return false;
    samples->values = values;
    samples->capacity = capacity;
    return true;
}

void ryz_samples_add(struct ryz_samples *samples, double value)
{
    if (!reserve(samples, 1)) {
        samples->no_memory = true;
        return;
    }
    samples->values[samples->count++] = value;
    samples->sorted = false;
}

void ryz_samples_append(struct ryz_samples *to, const struct ryz_samples *from)
{
    to->no_memory |= from->no_memory;
    if (from->count == 0) return;
    if (!reserve(to, from->count)) {
        to->no_memory = true;
        return;
    }
    memcpy(to->values + to->count, from->values, from->count * sizeof *to->values);
    to->count += from->count;
    to->sorted = false;
}

void ryz_samples_free(struct ryz_samples *samples)
{
    free(samples->values);
    *samples = (struct ryz_samples){0};
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* ceil(p n) against the rounding of p * n: 0.9 * 10 must give rank 9, not 10. */
static size_t nearest_rank(double p, size_t n)
{
    double rank = ceil(p * (double)n - 1e-9 * (double)n);
    if (rank < 1) return 1;
    return rank > (double)n ? n : (size_t)rank;
}

/* Natural logarithm of n!; lgamma itself writes a global. */
static double log_factorial(size_t n)
{
    int sign = 0;
    return lgamma_r((double)n + 1, &sign);
}

/* Ranks l <= u (1-based) with P(X_l <= quantile <= X_u) >= 95 %: l is the largest with
 * P(B < l) <= 2.5 %, u the smallest with P(B < u) >= 97.5 %, B ~ Bin(n, p). False: n is too small.
 */
static bool interval_ranks(double p, size_t n, size_t *lower, size_t *upper)
{
    size_t l = 0, u = 0;
    if (n > EXACT_MAX) {
        double mean = p * (double)n, spread = Z95 * sqrt(mean * (1 - p));
        double low = floor(mean - spread), high = ceil(mean + spread) + 1;
        if (low < 1 || high > (double)n) return false;
        *lower = (size_t)low;
        *upper = (size_t)high;
        return true;
    }
    double below = 0; /* P(B < k) */
    for (size_t k = 0; k <= n && u == 0; k++) {
        if (below <= 0.025) l = k;
        if (below >= 0.975) u = k;
        below += exp(log_factorial(n) - log_factorial(k) - log_factorial(n - k) +
                     (double)k * log(p) + (double)(n - k) * log1p(-p));
    }
    if (l < 1 || u < 1 || u > n) return false;
    *lower = l;
    *upper = u;
    return true;
}

static struct ryz_estimate percentile(const struct ryz_samples *samples, double p)
{
    struct ryz_estimate e = {NAN, NAN, NAN, samples->count};
    size_t lower = 0, upper = 0;
    e.value = samples->values[nearest_rank(p, samples->count) - 1];
    if (!interval_ranks(p, samples->count, &lower, &upper)) return e;
    e.lo = samples->values[lower - 1];
    e.hi = samples->values[upper - 1];
    return e;
}

static struct ryz_estimate mean(const struct ryz_samples *samples)
{
    struct ryz_estimate e = {NAN, NAN, NAN, samples->count};
    double sum = 0, squares = 0, n = (double)samples->count;
    for (size_t i = 0; i < samples->count; i++) sum += samples->values[i];
    e.value = sum / n;
    if (!isfinite(e.value) || samples->count < 2) return e;
    for (size_t i = 0; i < samples->count; i++) {
        double d = samples->values[i] - e.value;
        squares += d * d;
    }
    double error = Z95 * sqrt(squares / (n - 1) / n);
    e.lo = e.value - error;
    e.hi = e.value + error;
    return e;
}

struct ryz_estimate ryz_samples_estimate(struct ryz_samples *samples, enum ryz_statistic statistic)
{
    struct ryz_estimate e = {NAN, NAN, NAN, samples->count};
    if (statistic == RYZ_STAT_COUNT) {
        e.value = (double)samples->count;
        return e;
    }
    if (samples->count == 0) return e;
    if (!samples->sorted)
        qsort(samples->values, samples->count, sizeof *samples->values, ascending);
    samples->sorted = true;
    double fraction = ryz_statistic_fraction(statistic);
    if (fraction > 0) return percentile(samples, fraction);
    if (statistic == RYZ_STAT_MEAN) return mean(samples);
    if (statistic == RYZ_STAT_MIN) e.value = samples->values[0];
    if (statistic == RYZ_STAT_MAX) e.value = samples->values[samples->count - 1];
    return e;
}

size_t ryz_samples_needed(enum ryz_statistic statistic)
{
    double fraction = ryz_statistic_fraction(statistic);
    if (fraction <= 0) return 1;
    return (size_t)ceil(log(0.01) / log(fraction));
}
