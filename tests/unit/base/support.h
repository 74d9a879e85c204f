/* support.h - what the suites of base share: the seed of properties. */
#ifndef RYZ_TESTS_UNIT_BASE_SUPPORT_H
#define RYZ_TESTS_UNIT_BASE_SUPPORT_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* $RYZ_TEST_SEED, or the same number in every run; printed, so that a failure can be repeated. */
static inline uint64_t test_seed(const char *property)
{
    const char *text = getenv("RYZ_TEST_SEED");
    uint64_t seed = text != NULL ? strtoull(text, NULL, 10) : UINT64_C(20231116);
    (void)fprintf(stderr, "%s: RYZ_TEST_SEED=%" PRIu64 "\n", property, seed);
    return seed;
}

#endif
