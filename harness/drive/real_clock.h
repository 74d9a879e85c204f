/*
 * real_clock.h - the machine's clocks as struct ryz_clock: the only place that reads them.
 */
#ifndef RYZ_HARNESS_DRIVE_REAL_CLOCK_H
#define RYZ_HARNESS_DRIVE_REAL_CLOCK_H

#include "engine/base/clock.h"

/* CLOCK_MONOTONIC: shared by all processes of a host, never goes backwards. */
const struct ryz_clock *ryz_real_clock_monotonic(void);
/* CLOCK_REALTIME: nanoseconds since 1970; may jump. */
const struct ryz_clock *ryz_real_clock_wall(void);
/* CPU time of the calling thread, to tell how busy it is. */
const struct ryz_clock *ryz_real_clock_thread_cpu(void);

#endif
