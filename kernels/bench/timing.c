/*
 * timing.c - see timing.h.
 */
#include "kernels/bench/timing.h"

#include <stdlib.h>

static int compare_ns(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a;
    int64_t right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

uint32_t ryz_bench_time(const struct ryz_bench_clock *clock, int64_t budget_ns,
                        void (*call)(void *ctx, uint32_t i), void *ctx, int64_t *call_ns)
{
    int64_t start_ns = clock->now_ns(clock->ctx);
    int64_t before_ns = start_ns;
    uint32_t calls = 0;
    while (calls < RYZ_BENCH_CALLS_MAX &&
           (calls < RYZ_BENCH_CALLS_MIN || before_ns - start_ns < budget_ns)) {
        call(ctx, calls);
        int64_t after_ns = clock->now_ns(clock->ctx);
        call_ns[calls++] = after_ns - before_ns;
        before_ns = after_ns;
    }
    qsort(call_ns, calls, sizeof call_ns[0], compare_ns);
    return calls;
}

float ryz_bench_uniform(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return (float)((double)(z ^ (z >> 31)) * 0x1p-63 - 1.0);
}

void *ryz_bench_reserve(size_t bytes)
{
    return bytes > SIZE_MAX - 63 ? NULL : aligned_alloc(64, (bytes + 63) / 64 * 64);
}
