/*
 * lengths.c - fixed, uniform and log-normal lengths by inversion.
 *
 * Leaves to others: where the bits come from. The idea: one draw is one number, so request n has
 * the same length whatever was drawn before it.
 */
#include "harness/traffic/lengths.h"

#include "engine/base/rng.h"
#include "harness/traffic/portable_math.h"

#include <math.h>

/* A log-normal variate has mean e^(mu + s2/2) and variance (e^s2 - 1) e^(2 mu + s2). */
static double lognormal(double mean, double sd, double unit)
{
    double cv = sd / mean;
    double s2 = ryz_portable_log(1.0 + cv * cv);
    double mu = ryz_portable_log(mean) - s2 / 2.0;
    double exponent = mu + sqrt(s2) * ryz_portable_normal(unit);
    return ryz_portable_exp(exponent > 700.0 ? 700.0 : exponent < -700.0 ? -700.0 : exponent);
}

uint32_t ryz_lengths_draw(const struct ryz_length_dist *dist, uint64_t bits)
{
    double low = dist->min > 1 ? dist->min : 1.0, high = dist->max > low ? dist->max : low;
    double value = low;
    switch (dist->kind) {
    case RYZ_LENGTH_FIXED:
        break;
    case RYZ_LENGTH_UNIFORM:
        value = low + floor(ryz_u64_to_unit(bits) * (high - low + 1.0));
        break;
    case RYZ_LENGTH_LOGNORMAL:
        /* The middle of one of 2^52 steps: the quantile wants 0 < p < 1, both exactly. */
        value =
            floor(lognormal(dist->mean, dist->sd, ((double)(bits >> 12) + 0.5) * 0x1.0p-52) + 0.5);
        break;
    }
    return (uint32_t)(value < low ? low : value > high ? high : value);
}
