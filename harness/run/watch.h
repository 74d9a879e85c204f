/*
 * watch.h - a thread that samples the machine while a run goes on: CPU, steal, memory, GPUs.
 */
#ifndef RYZ_HARNESS_RUN_WATCH_H
#define RYZ_HARNESS_RUN_WATCH_H

#include "engine/base/clock.h"
#include "harness/record/recorder.h"

struct ryz_watch;

/* Samples every period_ns until closed; row times are relative to t0_ns. Borrowed: recorder,
 * clock. */
RYZ_MUST_USE enum ryz_status ryz_watch_open(struct ryz_recorder *recorder,
                                            const struct ryz_clock *clock, int64_t t0_ns,
                                            int64_t period_ns, struct ryz_watch **out,
                                            struct ryz_error *error);
/* NULL is allowed. */
void ryz_watch_close(struct ryz_watch *watch);

#endif
