/*
 * sampler.h - from logits to the next token: greedy, temperature, top-k, top-p, min-p, seed.
 *
 * The draw's noise is a hash of (seed, position, token id), so it does not depend on the batch or
 * on what else was sampled, and a draft model that draws with the same seed at the same position
 * mostly draws the same token as the model that it drafts for. Order of the filters: top-k, top-p,
 * min-p, then temperature (llama.cpp's default order).
 */
#ifndef RYZ_MODEL_SAMPLER_H
#define RYZ_MODEL_SAMPLER_H

#include <stddef.h>
#include <stdint.h>

struct ryz_sampling {
    float temperature; /* 0: greedy, the lowest id wins a tie */
    float top_p;       /* 1: off */
    float min_p;       /* 0: off */
    uint32_t top_k;    /* 0: off */
    uint64_t seed;
};

/* A candidate; also the sampler's scratch. */
struct ryz_candidate {
    float logit;
    uint32_t id;
};

/* Picks a token. scratch: (n_vocab). `position` is that of the token being chosen. *logprob (may be
 * NULL) gets its natural log-probability under the unmodified distribution (temperature 1). */
uint32_t ryz_sample(const struct ryz_sampling *sampling, const float *logits, uint32_t n_vocab,
                    uint64_t position, struct ryz_candidate *scratch, float *logprob);

#endif
