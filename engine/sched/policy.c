/* policy.c - the policies there are, by the names scenarios use. */
#include "engine/sched/policy.h"

#include "engine/base/size.h"

#include <string.h>

static const struct ryz_sched_policy *const policies[] = {&ryz_policy_fcfs};

const struct ryz_sched_policy *ryz_sched_policy_find(const char *name)
{
    for (size_t i = 0; i < RYZ_COUNT_OF(policies); i++) {
        if (strcmp(policies[i]->name, name) == 0) return policies[i];
    }
    return NULL;
}

const char *ryz_sched_policy_name(uint32_t i)
{
    return i < RYZ_COUNT_OF(policies) ? policies[i]->name : NULL;
}
