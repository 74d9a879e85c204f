/*
 * portable_math.h - log, exp and the normal quantile, the same to the last bit on every machine.
 *
 * libm picks its versions by CPU (with and without FMA), so a seeded schedule drawn with it could
 * differ between two machines. These use additions, multiplications, divisions and square roots
 * only, which IEEE 754 defines exactly. Good to about 1e-15, and not written for speed.
 */
#ifndef RYZ_HARNESS_TRAFFIC_PORTABLE_MATH_H
#define RYZ_HARNESS_TRAFFIC_PORTABLE_MATH_H

/* Natural logarithm of a positive, normal, finite number. */
double ryz_portable_log(double x);
/* e^x for |x| <= 700. */
double ryz_portable_exp(double x);
/* The z with P(Z <= z) = p of a standard normal Z; 0 < p < 1 (Wichura's AS 241). */
double ryz_portable_normal(double p);

#endif
