/* real_clock.c - clock_gettime behind the vtable; the first two stay in the vDSO, about 30 ns. */
#include "harness/drive/real_clock.h"

#include "engine/base/assert.h"

#include <stddef.h>
#include <time.h>

static int64_t read_clock(clockid_t id)
{
    struct timespec t;
    int rc = clock_gettime(id, &t);
    RYZ_ASSERT(rc == 0);
    return (int64_t)t.tv_sec * RYZ_NS_PER_S + t.tv_nsec;
}

static int64_t monotonic_ns(void *context)
{
    (void)context;
    return read_clock(CLOCK_MONOTONIC);
}

static int64_t wall_ns(void *context)
{
    (void)context;
    return read_clock(CLOCK_REALTIME);
}

static int64_t thread_cpu_ns(void *context)
{
    (void)context;
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

const struct ryz_clock *ryz_real_clock_monotonic(void)
{
    static const struct ryz_clock clock = {.now_ns = monotonic_ns, .context = NULL};
    return &clock;
}

const struct ryz_clock *ryz_real_clock_wall(void)
{
    static const struct ryz_clock clock = {.now_ns = wall_ns, .context = NULL};
    return &clock;
}

const struct ryz_clock *ryz_real_clock_thread_cpu(void)
{
    static const struct ryz_clock clock = {.now_ns = thread_cpu_ns, .context = NULL};
    return &clock;
}
