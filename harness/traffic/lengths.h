/* lengths.h - draws of a length distribution, each a function of 64 random bits. */
#ifndef RYZ_HARNESS_TRAFFIC_LENGTHS_H
#define RYZ_HARNESS_TRAFFIC_LENGTHS_H

#include "harness/scenario/plan.h"

/* A length >= 1. */
uint32_t ryz_lengths_draw(const struct ryz_length_dist *dist, uint64_t bits);

#endif
