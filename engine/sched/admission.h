/*
 * admission.h - how long a new request would wait for its first token, as the scheduler believes.
 *
 * A fluid estimate from the fitted cost of steps: prompts that go first are computed at the rate of
 * full steps; where no place is free, requests ahead must end first, one every
 *
 *   s = output_mean * decode step / places + prompt_mean * cost of a prompt token .
 *
 * A factor, learnt at every first token, makes it the estimate that 99 of 100 requests beat: it
 * rises fast when one is later, and falls slowly. A function of the events in their order, in
 * doubles without contraction.
 */
#ifndef RYZ_SCHED_ADMISSION_H
#define RYZ_SCHED_ADMISSION_H

#include "engine/sched/sched.h"

/* What is before a request that arrives now. */
struct ryz_load {
    uint32_t running;      /* requests in places */
    uint64_t prefill_left; /* their prompt tokens still to be computed */
    uint32_t ahead;        /* waiting requests that go first */
    uint64_t ahead_tokens; /* to be computed for those */
};

/* Learnt; treat the fields as private. */
struct ryz_wait_model {
    double prompt_mean, output_mean; /* tokens; moving averages over some 30 requests */
    double factor;                   /* of the fluid estimate */
    uint64_t ended;                  /* requests that the averages know */
};

void ryz_wait_model_init(struct ryz_wait_model *model);
/* A request has ended after so many output tokens. */
void ryz_wait_model_learn_end(struct ryz_wait_model *model, uint32_t prompt_tokens,
                              uint32_t output_tokens);
/* The first token of a request came after actual_ns, estimated_ns was believed (0: nothing). */
void ryz_wait_model_learn_first(struct ryz_wait_model *model, int64_t estimated_ns,
                                int64_t actual_ns);

/* Believed time to the first token; 0: no opinion, for steps or requests seen are too few. */
int64_t ryz_wait_estimate_first_ns(const struct ryz_wait_model *model,
                                   const struct ryz_sched_limits *limits,
                                   const struct ryz_cost_source *cost, const struct ryz_load *load,
                                   uint32_t prompt_tokens);
/* Believed time from there to the end of an output of so many tokens at most. */
int64_t ryz_wait_estimate_rest_ns(const struct ryz_wait_model *model,
                                  const struct ryz_sched_limits *limits,
                                  const struct ryz_cost_source *cost, const struct ryz_load *load,
                                  uint32_t output_tokens_max);

#endif
