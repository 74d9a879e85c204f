/* policy.h - the policies' tables, for the registry and for tests with tunables of their own. */
#ifndef RYZ_SCHED_POLICY_H
#define RYZ_SCHED_POLICY_H

#include "engine/sched/sched.h"

/* What there is, for messages, help and the table of scenario keys. */
#define RYZ_POLICY_NAMES "fcfs priority edf sjf vtc tiered"

/* The words for enum ryz_admit, in its order. */
#define RYZ_ADMIT_NAMES "prompt whole chunk"

/* False, and nothing written, for another word. */
bool ryz_admit_parse(const char *word, enum ryz_admit *admit);

struct ryz_step_tunables {
    uint32_t headroom_permille; /* of the pool, kept free by admissions while others run: what the
                                   running requests grow into before somebody must be preempted */
    uint32_t displaced_max;     /* who was preempted as often keeps his place; 0: everybody does */
};

/* Serves the view in its order; see policy_step.c. */
void ryz_policy_step(const void *tunables, const struct ryz_sched_view *view,
                     struct ryz_sched_plan *plan);

#endif
