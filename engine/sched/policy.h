/* policy.h - the policies' tables, for the registry and for tests with tunables of their own. */
#ifndef RYZ_SCHED_POLICY_H
#define RYZ_SCHED_POLICY_H

#include "engine/sched/sched.h"

struct ryz_fcfs_tunables {
    uint32_t headroom_permille; /* of the pool, kept free by admissions while others run: what the
                                   running requests grow into before somebody must be preempted */
};

/* First come, first served; see policy_fcfs.c. */
extern const struct ryz_sched_policy ryz_policy_fcfs;

#endif
