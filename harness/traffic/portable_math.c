/*
 * portable_math.c - short series after an exact reduction of the argument.
 *
 * Leaves to others: ranges; callers keep to those in the header. The idea: frexp and ldexp split
 * and join the exponent without rounding, so only a polynomial on a small interval remains.
 */
#include "harness/traffic/portable_math.h"

#include "engine/base/assert.h"
#include "engine/base/size.h"

#include <math.h>

/* ln 2 in two parts: the first has trailing zeros, so k times it is exact for |k| < 2^20. */
#define LN2_HIGH 0x1.62e42feep-1
#define LN2_LOW  0x1.a39ef35793c76p-33

double ryz_portable_log(double x)
{
    RYZ_ASSERT(x > 0.0 && isfinite(x));
    int exponent = 0;
    double m = frexp(x, &exponent); /* 0.5 <= m < 1 */
    if (m < 0.70710678118654752440) {
        m *= 2.0;
        exponent--;
    }
    /* log m = 2 artanh s, |s| < 0.172: eleven odd terms reach 1e-18. */
    double s = (m - 1.0) / (m + 1.0), s2 = s * s, sum = 0.0;
    for (int k = 21; k >= 3; k -= 2) sum = (sum + 1.0 / k) * s2;
    double k = exponent;
    return k * LN2_HIGH + (2.0 * s + (2.0 * s * sum + k * LN2_LOW));
}

double ryz_portable_exp(double x)
{
    RYZ_ASSERT(x >= -700.0 && x <= 700.0);
    double k = floor(x / 0.69314718055994530942 + 0.5);
    double r = (x - k * LN2_HIGH) - k * LN2_LOW; /* |r| <= 0.35 */
    double sum = 1.0;
    for (int n = 16; n >= 1; n--) sum = 1.0 + sum * r / n;
    return ldexp(sum, (int)k);
}

static double polynomial(const double *c, int degree, double x)
{
    double sum = c[degree];
    for (int i = degree - 1; i >= 0; i--) sum = sum * x + c[i];
    return sum;
}

/* M. J. Wichura, "Algorithm AS 241: the percentage points of the normal distribution", Applied
 * Statistics 37 (1988), PPND16: three rational functions, relative error about 1e-16. */
double ryz_portable_normal(double p)
{
    static const double a[] = {3.3871328727963666080e0, 1.3314166789178437745e2,
                               1.9715909503065514427e3, 1.3731693765509461125e4,
                               4.5921953931549871457e4, 6.7265770927008700853e4,
                               3.3430575583588128105e4, 2.5090809287301226727e3};
    static const double b[] = {1.0,
                               4.2313330701600911252e1,
                               6.8718700749205790830e2,
                               5.3941960214247511077e3,
                               2.1213794301586595867e4,
                               3.9307895800092710610e4,
                               2.8729085735721942674e4,
                               5.2264952788528545610e3};
    static const double c[] = {1.42343711074968357734e0,  4.63033784615654529590e0,
                               5.76949722146069140550e0,  3.64784832476320460504e0,
                               1.27045825245236838258e0,  2.41780725177450611770e-1,
                               2.27238449892691845833e-2, 7.74545014278341407640e-4};
    static const double d[] = {1.0,
                               2.05319162663775882187e0,
                               1.67638483018380384940e0,
                               6.89767334985100004550e-1,
                               1.48103976427480074590e-1,
                               1.51986665636164571966e-2,
                               5.47593808499534494600e-4,
                               1.05075007164441684324e-9};
    static const double e[] = {6.65790464350110377720e0,  5.46378491116411436990e0,
                               1.78482653991729133580e0,  2.96560571828504891230e-1,
                               2.65321895265761230930e-2, 1.24266094738807843860e-3,
                               2.71155556874348757815e-5, 2.01033439929228813265e-7};
    static const double f[] = {1.0,
                               5.99832206555887937690e-1,
                               1.36929880922735805310e-1,
                               1.48753612908506148525e-2,
                               7.86869131145613259100e-4,
                               1.84631831751005468180e-5,
                               1.42151175831644588870e-7,
                               2.04426310338993978564e-15};
    RYZ_ASSERT(p > 0.0 && p < 1.0);
    double q = p - 0.5;
    if (fabs(q) <= 0.425) {
        double r = 0.180625 - q * q;
        return q * polynomial(a, 7, r) / polynomial(b, 7, r);
    }
    double r = sqrt(-ryz_portable_log(q < 0.0 ? p : 1.0 - p));
    double z = r <= 5.0 ? polynomial(c, 7, r - 1.6) / polynomial(d, 7, r - 1.6)
                        : polynomial(e, 7, r - 5.0) / polynomial(f, 7, r - 5.0);
    return q < 0.0 ? -z : z;
}
