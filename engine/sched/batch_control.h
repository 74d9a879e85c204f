/*
 * batch_control.h - how many requests may run, so that the time between tokens keeps a target.
 *
 * A stream gets a token a step, so the time between its tokens is the length of a step. From the
 * fitted cost follows the largest batch whose decodes, and the smallest chunk of a prompt beside
 * them, are believed to keep the target. Two things are not believed: the fit is a mean, so a
 * factor, learnt at every step, makes 95 of 100 steps keep it (it rises by 5 % after one that did
 * not, falls by 5 % / 19 after one that did, and is 2 at most); and the fit may know little of
 * larger batches, so the limit grows by one a step, and only while requests wait for it. It falls
 * at once.
 *
 * The alternative, additive increase and multiplicative decrease from the measured steps alone, was
 * rejected: it must miss the target again and again to know where it is. Here the limit moves only
 * as far as 5 % of the step's cost move it.
 *
 * A function of the steps in their order, in doubles without contraction.
 */
#ifndef RYZ_SCHED_BATCH_CONTROL_H
#define RYZ_SCHED_BATCH_CONTROL_H

#include "engine/sched/sched.h"

/* Treat the fields as private. */
struct ryz_batch_control {
    double factor;  /* of a believed step */
    uint32_t limit; /* requests that may run; >= 1 */
    uint32_t most;  /* where the limit would rise to if enough requests waited; >= limit */
};

/* A step that has been executed, and how things stand after it. */
struct ryz_batch_step {
    int64_t duration_ns;
    const struct ryz_batch_shape *shape;
    uint32_t running, waiting; /* requests, those of the step included */
    double context;            /* tokens that a running request attends to, on average */
};

/* Starts at one request. */
void ryz_batch_control_init(struct ryz_batch_control *control);
/* Learns from a step and moves the limit. `cost`, as the step has left it. Does nothing without
 * limits->itl_target_ns. */
void ryz_batch_control_learn(struct ryz_batch_control *control,
                             const struct ryz_sched_limits *limits,
                             const struct ryz_cost_source *cost, const struct ryz_batch_step *step);
/* The limits that hold now: of the requests that may run (batch_requests_max) and of the believed
 * step (step_ns_max), the given ones or less. Requests beyond that run already go on: a stream that
 * is held back to keep the time between tokens has lost it. */
struct ryz_sched_limits ryz_batch_control_limits(const struct ryz_batch_control *control,
                                                 const struct ryz_sched_limits *limits);
/* Those that will hold once the limit has risen as far as it is believed to: for estimates. */
struct ryz_sched_limits ryz_batch_control_outlook(const struct ryz_batch_control *control,
                                                  const struct ryz_sched_limits *limits);

#endif
