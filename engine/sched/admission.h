/*
 * admission.h - how long a new request would wait for its first token, as the scheduler believes.
 *
 * An estimate from the fitted cost of steps. Where a place is free, prompts that go first are
 * computed at the rate of full steps. Where none is, those that run and wait before it are thought
 * through the places in their order, each for the output that it may still generate times the share
 * that the ended ones used of theirs; the place that is free earliest is the new one's. A step
 * takes
 *
 *   decode step + places / output_mean * (time of the usual prompt - decode step) .
 *
 * A factor, learnt at every first token, makes it the estimate that 99 of 100 requests beat: it
 * rises fast when one is later, and falls slowly. There is one for each power of two of a request's
 * size (prompt and longest output), for short ones and long ones are not passed over alike; one for
 * all serves sizes not yet seen. Another factor, learnt at every end, is of the time between the
 * tokens. Before any request has ended what was asked for stands for what is used. A function of
 * the events in their order, in doubles without contraction.
 */
#ifndef RYZ_SCHED_ADMISSION_H
#define RYZ_SCHED_ADMISSION_H

#include "engine/sched/sched.h"

#define RYZ_WAIT_SIZES 33u /* bits of a size, 0 to 32 */

/* Learnt; treat the fields as private. */
struct ryz_wait_model {
    double prompt_mean, output_mean;  /* tokens; moving averages over some 30 requests */
    double asked_mean;                /* likewise, of what output_mean was the part used of */
    uint64_t taken, ended;            /* requests that the averages know: until the first end those
                                         that were taken, then those that ended */
    double factor;                    /* of the time to the first token, for all */
    double factor_of[RYZ_WAIT_SIZES]; /* by size; 0: none seen */
    double token_factor;              /* of the time between tokens */
};

/* What is before a request that arrives now; filled by the functions below. */
struct ryz_load {
    uint32_t running;      /* requests in places */
    uint64_t prefill_left; /* their prompt tokens still to be computed */
    uint32_t ahead;        /* waiting requests that go first */
    uint64_t ahead_tokens; /* to be computed for those */
    uint32_t place_count;
    double free_at[RYZ_BATCH_MAX]; /* when each place is free, in steps from now: a heap, the
                                      earliest first */
};

void ryz_wait_model_init(struct ryz_wait_model *model);
/* A request was taken that may generate so many tokens. */
void ryz_wait_model_learn_start(struct ryz_wait_model *model, uint32_t prompt_tokens,
                                uint32_t output_tokens_max);
/* It has ended after so many output tokens; between two of them actual_ns went by on average,
 * believed_ns were believed (0, either: nothing). */
void ryz_wait_model_learn_end(struct ryz_wait_model *model, const struct ryz_request_view *request,
                              int64_t believed_ns, int64_t actual_ns);
/* The first token of a request came after actual_ns, estimated_ns was believed (0: nothing). */
void ryz_wait_model_learn_first(struct ryz_wait_model *model,
                                const struct ryz_request_view *request, int64_t estimated_ns,
                                int64_t actual_ns);

/* An empty load; `running` requests will be added to it. */
void ryz_load_init(struct ryz_load *load, const struct ryz_wait_model *model,
                   const struct ryz_sched_limits *limits, uint32_t running);
/* A running request with so many prompt tokens to compute (0: it decodes), and at most so much
 * output to come. All of these before those that wait. */
void ryz_load_add_running(struct ryz_load *load, const struct ryz_wait_model *model,
                          uint32_t tokens, uint32_t output_left);
/* The next waiting request that goes first. */
void ryz_load_add_waiting(struct ryz_load *load, const struct ryz_wait_model *model,
                          uint32_t tokens, uint32_t output_left);

/* So many that go first, `tokens` to be computed for all of them, shared out over the places. */
void ryz_load_add_crowd(struct ryz_load *load, const struct ryz_wait_model *model, uint32_t count,
                        uint64_t tokens);

/* Believed time to the first token, `tokens` of its prompt are to be computed; 0: no opinion, for
 * steps seen are too few. */
int64_t ryz_wait_estimate_first_ns(const struct ryz_wait_model *model,
                                   const struct ryz_sched_limits *limits,
                                   const struct ryz_cost_source *cost, const struct ryz_load *load,
                                   const struct ryz_request_view *request, uint32_t tokens);
/* Believed time between two tokens after that; 0: no opinion. */
int64_t ryz_wait_estimate_token_ns(const struct ryz_wait_model *model,
                                   const struct ryz_sched_limits *limits,
                                   const struct ryz_cost_source *cost, const struct ryz_load *load);
/* The share of the output that a request may generate which those that ended have used, 0 to 1. */
double ryz_wait_used_share(const struct ryz_wait_model *model);

#endif
