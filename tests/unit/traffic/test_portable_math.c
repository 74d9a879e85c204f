/*
 * Goal: the portable functions agree with libm, and their bits are fixed.
 * Method: random arguments over the whole range; a digest of a million results is pinned, for
 * schedules must be equal on every machine.
 */
#include "engine/base/hash.h"
#include "engine/base/rng.h"
#include "harness/traffic/portable_math.h"

#include <criterion/criterion.h>
#include <math.h>

Test(portable_math, agrees_with_libm)
{
    struct ryz_rng rng;
    ryz_rng_init(&rng, 3, 0);
    for (int i = 0; i < 200000; i++) {
        double u = ryz_rng_unit(&rng), x = exp((u - 0.5) * 1200.0);
        cr_assert_leq(fabs(ryz_portable_log(x) - log(x)), 4e-16 * fmax(1.0, fabs(log(x))));
        double y = (u - 0.5) * 1300.0;
        cr_assert_leq(fabs(ryz_portable_exp(y) / exp(y) - 1.0), 1e-15);
    }
    cr_assert_eq(ryz_portable_log(1.0), 0.0);
    cr_assert_eq(ryz_portable_exp(0.0), 1.0);
}

Test(portable_math, the_normal_quantile_inverts_the_distribution)
{
    for (int i = 1; i < 20000; i++) {
        double p = i / 20000.0, z = ryz_portable_normal(p);
        cr_assert_leq(fabs(0.5 * erfc(-z / sqrt(2.0)) - p), 1e-15);
    }
    const double tails[] = {1e-3, 1e-6, 1e-10, 1e-16};
    for (int i = 0; i < 4; i++) {
        double z = ryz_portable_normal(tails[i]);
        cr_assert_leq(fabs(0.5 * erfc(-z / sqrt(2.0)) / tails[i] - 1.0), 1e-12);
    }
    cr_assert_eq(ryz_portable_normal(0.5), 0.0);
}

Test(portable_math, the_bits_never_change)
{
    struct ryz_rng rng;
    uint64_t digest = 0;
    ryz_rng_init(&rng, 17, 0);
    for (int i = 0; i < 100000; i++) {
        double u = ryz_rng_unit(&rng) * 0.999 + 0.0005;
        double values[3] = {ryz_portable_log(u), ryz_portable_exp(u * 10.0),
                            ryz_portable_normal(u)};
        digest = ryz_hash64_extend(digest, values, sizeof values);
    }
    cr_assert_eq(digest, UINT64_C(0xaeb2b1e347a176c3), "digest %#lx", (unsigned long)digest);
}
