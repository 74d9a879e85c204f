/*
 * core_rig.h - a core with a clock and a log, driven by hand.
 *
 * Each call advances the clock by one microsecond, so that a test reads as a list of what happens.
 */
#ifndef RYZ_TESTS_SCHED_CORE_RIG_H
#define RYZ_TESTS_SCHED_CORE_RIG_H

#include "engine/sched/core.h"

#include <stddef.h>

#define RIG_EVENTS_MAX 4096

struct rig {
    struct ryz_core *core;
    struct ryz_core_config config;
    int64_t now_ns;
    struct ryz_event log[RIG_EVENTS_MAX];
    size_t log_count;
};

/* 4 requests and 64 tokens a step, 16 blocks of 4 tokens, 8 waiting, context 64. */
struct ryz_sched_limits rig_limits(void);
void rig_open(struct rig *rig, const struct ryz_sched_limits *limits);
void rig_open_policy(struct rig *rig, const struct ryz_sched_limits *limits, const char *policy);
void rig_close(struct rig *rig);

struct ryz_effect rig_arrive(struct rig *rig, uint64_t id, uint32_t prompt, uint32_t output);
struct ryz_effect rig_cancel(struct rig *rig, uint64_t id, uint32_t slot);
struct ryz_effect rig_token(struct rig *rig, uint64_t id, uint32_t slot, bool end);
void rig_step_done(struct rig *rig, int64_t duration_ns, bool failed);
void rig_fault(struct rig *rig, uint32_t permille);
const struct ryz_sched_plan *rig_next(struct rig *rig);
/* Plans a step, executes it and feeds a token for each item that samples; false: nothing to run. */
bool rig_step(struct rig *rig);
/* Steps until nothing runs, at most `limit` times; the number of steps. */
uint32_t rig_drain(struct rig *rig, uint32_t limit);
/* The item of a request in a plan, NULL if it has none. */
const struct ryz_plan_item *rig_item(const struct ryz_sched_plan *plan, uint64_t id);

#endif
