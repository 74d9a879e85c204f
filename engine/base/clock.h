/*
 * clock.h - the only source of time below harness/. Real, virtual and replayed clocks share this
 * vtable; times are int64 nanoseconds, an absent time is RYZ_TIME_NONE.
 */
#ifndef RYZ_BASE_CLOCK_H
#define RYZ_BASE_CLOCK_H

#include <stdint.h>

#define RYZ_TIME_NONE  INT64_MIN
#define RYZ_TIME_NEVER INT64_MAX
#define RYZ_NS_PER_US  INT64_C(1000)
#define RYZ_NS_PER_MS  INT64_C(1000000)
#define RYZ_NS_PER_S   INT64_C(1000000000)

struct ryz_clock {
    /* Nanoseconds since an arbitrary origin (CLOCK_MONOTONIC's in live runs); never goes
     * backwards, must not block, may be called from any thread. */
    int64_t (*now_ns)(void *context);
    void *context; /* borrowed; must outlive the clock */
};

static inline int64_t ryz_clock_now_ns(const struct ryz_clock *clock)
{
    return clock->now_ns(clock->context);
}

#endif
