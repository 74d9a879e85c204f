/*
 * Goal: the random numbers are the published ones, the same everywhere, and look even.
 * Method: known answers of splitmix64, then coarse counts.
 */
#include "engine/base/rng.h"

#include <criterion/criterion.h>

Test(rng, splitmix64_gives_its_published_first_values)
{
    uint64_t state = 1234567;
    cr_assert_eq(ryz_splitmix64(&state), UINT64_C(6457827717110365317));
    cr_assert_eq(ryz_splitmix64(&state), UINT64_C(3203168211198807973));
    cr_assert_eq(ryz_splitmix64(&state), UINT64_C(9817491932198370423));
}

Test(rng, streams_of_one_seed_differ_and_repeat)
{
    struct ryz_rng a, b, c;
    int equal = 0;
    ryz_rng_init(&a, 5, 0);
    ryz_rng_init(&b, 5, 0);
    ryz_rng_init(&c, 5, 1);
    for (int i = 0; i < 1000; i++) {
        uint64_t x = ryz_rng_u64(&a);
        cr_assert_eq(x, ryz_rng_u64(&b));
        equal += x == ryz_rng_u64(&c);
    }
    cr_assert_eq(equal, 0);
}

Test(rng, below_stays_below_and_reaches_everything)
{
    struct ryz_rng rng;
    uint32_t counts[7] = {0};
    ryz_rng_init(&rng, 1, 1);
    for (int i = 0; i < 70000; i++) counts[ryz_rng_below(&rng, 7)]++;
    for (int i = 0; i < 7; i++) cr_assert(counts[i] > 9400 && counts[i] < 10600, "%u", counts[i]);
}

Test(rng, unit_is_in_the_half_open_interval_with_mean_one_half)
{
    struct ryz_rng rng;
    double sum = 0.0;
    ryz_rng_init(&rng, 2, 2);
    for (int i = 0; i < 100000; i++) {
        double u = ryz_rng_unit(&rng);
        cr_assert(u >= 0.0 && u < 1.0);
        sum += u;
    }
    cr_assert_float_eq(sum / 100000, 0.5, 0.006);
    cr_assert_lt(ryz_u64_to_unit(UINT64_MAX), 1.0);
}

Test(rng, draws_by_index_do_not_depend_on_their_order)
{
    uint64_t late = ryz_rng_at(3, 4, 1000);
    for (uint64_t i = 0; i < 1000; i++) cr_assert_neq(ryz_rng_at(3, 4, i), late);
    cr_assert_eq(ryz_rng_at(3, 4, 1000), late);
    cr_assert_neq(ryz_rng_at(3, 5, 1000), late);
    cr_assert_neq(ryz_rng_at(4, 4, 1000), late);
}
