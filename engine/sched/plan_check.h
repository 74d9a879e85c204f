/* plan_check.h - what is wrong with a plan, in words. */
#ifndef RYZ_SCHED_PLAN_CHECK_H
#define RYZ_SCHED_PLAN_CHECK_H

#include "engine/sched/sched.h"

/* Counts the plan's runs and their shape from its items. */
void ryz_plan_count(struct ryz_sched_plan *plan);
/* NULL when the plan keeps the view's limits, else the first rule it breaks. */
const char *ryz_plan_fault(const struct ryz_sched_view *view, const struct ryz_sched_plan *plan);

#endif
