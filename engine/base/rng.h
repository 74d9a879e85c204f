/*
 * rng.h - seeded random numbers that are the same on every machine and thread count.
 *
 * Two kinds: struct ryz_rng is a stream (xoshiro256**, Blackman and Vigna 2018, seeded by
 * splitmix64); ryz_rng_at is a hash of (seed, stream, index) for draws that must not depend on the
 * order in which they are made, such as the sampler's, one per token position.
 */
#ifndef RYZ_BASE_RNG_H
#define RYZ_BASE_RNG_H

#include <stdint.h>

struct ryz_rng {
    uint64_t s[4]; /* treat as private */
};

/* One step of splitmix64: advances *state and returns 64 mixed bits. */
static inline uint64_t ryz_splitmix64(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Starts stream `stream` of `seed`; different streams of one seed are independent. */
static inline void ryz_rng_init(struct ryz_rng *rng, uint64_t seed, uint64_t stream)
{
    uint64_t state = seed;
    state = ryz_splitmix64(&state) ^ (stream * UINT64_C(0xd1342543de82ef95));
    for (int i = 0; i < 4; i++) rng->s[i] = ryz_splitmix64(&state);
}

static inline uint64_t ryz_rotl64(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

static inline uint64_t ryz_rng_u64(struct ryz_rng *rng)
{
    uint64_t *s = rng->s;
    uint64_t result = ryz_rotl64(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = ryz_rotl64(s[3], 45);
    return result;
}

/* Uniform in [0, 1), 53 bits. */
static inline double ryz_u64_to_unit(uint64_t bits)
{
    return (double)(bits >> 11) * 0x1.0p-53;
}

static inline double ryz_rng_unit(struct ryz_rng *rng)
{
    return ryz_u64_to_unit(ryz_rng_u64(rng));
}

/* Uniform in [0, bound), bound > 0 (Lemire's multiply; the bias is below 2^-32 for 32-bit
 * bounds). */
static inline uint64_t ryz_rng_below(struct ryz_rng *rng, uint64_t bound)
{
    return (uint64_t)(((__extension__(unsigned __int128) ryz_rng_u64(rng)) * bound) >> 64);
}

/* 64 mixed bits that depend on the three numbers only. */
static inline uint64_t ryz_rng_at(uint64_t seed, uint64_t stream, uint64_t index)
{
    uint64_t state = seed;
    state = ryz_splitmix64(&state) ^ stream;
    state = ryz_splitmix64(&state) ^ index;
    return ryz_splitmix64(&state);
}

#endif
