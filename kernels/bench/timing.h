/*
 * timing.h - what the benches of kernels share: a clock that is passed in, and the times of calls.
 */
#ifndef RYZ_KERNELS_BENCH_TIMING_H
#define RYZ_KERNELS_BENCH_TIMING_H

#include <stddef.h>
#include <stdint.h>

#define RYZ_BENCH_CALLS_MIN 5u
#define RYZ_BENCH_CALLS_MAX 4096u

struct ryz_bench_clock {
    int64_t (*now_ns)(void *ctx); /* monotonic */
    void *ctx;
};

/* Calls call(ctx, 0), call(ctx, 1), ... until budget_ns have passed, within the bounds above.
 * call_ns (RYZ_BENCH_CALLS_MAX) gets the time of each, ascending; returns their number. */
uint32_t ryz_bench_time(const struct ryz_bench_clock *clock, int64_t budget_ns,
                        void (*call)(void *ctx, uint32_t i), void *ctx, int64_t *call_ns);

/* splitmix64, scaled to [-1, 1). */
float ryz_bench_uniform(uint64_t *state);
/* Cache lines of their own, as the engine's arenas give them; free() takes them back. */
void *ryz_bench_reserve(size_t bytes);

#endif
