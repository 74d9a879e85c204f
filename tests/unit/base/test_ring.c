/*
 * Goal: the ring is a bounded queue. Method: random pushes and pops beside a plain array; what
 * threads do to it is tests/threads/base_races.c's subject.
 */
#include "engine/base/ring.h"
#include "engine/base/rng.h"
#include "engine/base/size.h"
#include "tests/unit/base/support.h"

#include <criterion/criterion.h>

struct pair {
    uint64_t number, twice;
    char odd[3]; /* a size that is no multiple of 8 */
};

Test(ring, behaves_as_a_queue_over_many_laps)
{
    struct ryz_rng rng;
    struct ryz_ring *ring = NULL;
    uint64_t in = 0, out = 0, full = 0, empty = 0;
    ryz_rng_init(&rng, test_seed("ring"), 0);
    cr_assert_eq(ryz_ring_open(16, sizeof(struct pair), &ring, NULL), RYZ_OK);
    for (int i = 0; i < 50000; i++) {
        /* Runs of pushes and runs of pops, so that both ends are met. */
        bool push = ryz_rng_below(&rng, 10) < (i / 100 % 2 == 0 ? 8u : 2u);
        struct pair pair = {in, 2 * in, {1, 2, (char)in}};
        if (push && ryz_ring_push(ring, &pair)) {
            in++;
        } else if (push) {
            full++;
            cr_assert_eq(in - out, 16, "full before it is");
        } else if (ryz_ring_pop(ring, &pair)) {
            cr_assert_eq(pair.number, out);
            cr_assert_eq(pair.twice, 2 * out);
            cr_assert_eq(pair.odd[2], (char)out);
            out++;
        } else {
            empty++;
            cr_assert_eq(in, out, "empty before it is");
        }
        cr_assert_eq(ryz_ring_count(ring), in - out);
    }
    cr_assert(full > 0 && empty > 0 && out > 1000, "the test met too little");
    ryz_ring_close(ring);
}

Test(ring, capacity_is_the_next_power_of_two_and_at_least_two)
{
    const size_t asked[] = {1, 2, 3, 4, 5, 1000}, given[] = {2, 2, 4, 4, 8, 1024};
    for (size_t i = 0; i < RYZ_COUNT_OF(asked); i++) {
        struct ryz_ring *ring = NULL;
        char item = 0;
        cr_assert_eq(ryz_ring_open(asked[i], 1, &ring, NULL), RYZ_OK);
        cr_assert_eq(ryz_ring_capacity(ring), given[i]);
        for (size_t k = 0; k < given[i]; k++) cr_assert(ryz_ring_push(ring, &item));
        cr_assert_not(ryz_ring_push(ring, &item));
        ryz_ring_close(ring);
    }
}

Test(ring, impossible_sizes_are_refused)
{
    struct ryz_ring *ring = NULL;
    struct ryz_error error;
    cr_assert_eq(ryz_ring_open(0, 8, &ring, &error), RYZ_INVALID);
    cr_assert_eq(ryz_ring_open(8, 0, &ring, &error), RYZ_INVALID);
    cr_assert_eq(ryz_ring_open(SIZE_MAX, 8, &ring, &error), RYZ_NO_MEMORY);
    cr_assert_eq(ryz_ring_open(SIZE_MAX / 4, 64, &ring, &error), RYZ_NO_MEMORY);
    cr_assert_eq(ryz_ring_open(2, SIZE_MAX, &ring, &error), RYZ_NO_MEMORY);
    cr_assert_eq(ryz_ring_open((size_t)1 << 40, (size_t)1 << 23, &ring, &error), RYZ_NO_MEMORY);
    cr_assert_null(ring);
    cr_assert_neq(error.text[0], '\0');
    ryz_ring_close(NULL);
}
