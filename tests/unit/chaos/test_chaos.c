/*
 * Goal: each fault of a plan is announced when it begins and ends, in order, and open ends end with
 * the plan.
 * Method: plans of a few tens of milliseconds on the real clock; order is checked, not timing.
 */
#include "harness/chaos/chaos.h"

#include "harness/drive/real_clock.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <time.h>

#define EVENTS_MAX 32

struct heard {
    pthread_mutex_t lock;
    enum ryz_chaos_event_kind kinds[EVENTS_MAX];
    uint32_t faults[EVENTS_MAX];
    int64_t t_ns[EVENTS_MAX];
    uint32_t count;
};

static void hear(void *context, int64_t t_ns, enum ryz_chaos_event_kind kind, uint32_t fault,
                 double value, const char *note)
{
    (void)value;
    (void)note;
    struct heard *heard = context;
    (void)pthread_mutex_lock(&heard->lock);
    cr_assert_lt(heard->count, EVENTS_MAX);
    heard->kinds[heard->count] = kind;
    heard->faults[heard->count] = fault;
    heard->t_ns[heard->count++] = t_ns;
    (void)pthread_mutex_unlock(&heard->lock);
}

/* Waits until `count` events were heard, for at most ten seconds: a loaded machine is no failure.
 */
static void await_events(struct heard *heard, uint32_t count)
{
    const struct timespec pause = {.tv_nsec = 5000000};
    for (int i = 0; i < 2000; i++) {
        (void)pthread_mutex_lock(&heard->lock);
        bool enough = heard->count >= count;
        (void)pthread_mutex_unlock(&heard->lock);
        if (enough) return;
        (void)nanosleep(&pause, NULL);
    }
}

static struct ryz_fault fault_at(int64_t t0, int64_t at_ms, int64_t until_ms)
{
    struct ryz_fault fault = {.name = "f",
                              .point = RYZ_FAULT_ENGINE_STEP,
                              .action = RYZ_FAULT_DELAY,
                              .at_ns = t0 + at_ms * RYZ_NS_PER_MS,
                              .until_ns = RYZ_TIME_NEVER,
                              .permille = 1000};
    if (until_ms >= 0) fault.until_ns = t0 + until_ms * RYZ_NS_PER_MS;
    return fault;
}

static struct ryz_chaos *start(const struct ryz_fault *faults, uint32_t count, struct heard *heard)
{
    struct ryz_chaos_options options = {.faults = faults,
                                        .count = count,
                                        .clock = ryz_real_clock_monotonic(),
                                        .on_event = hear,
                                        .context = heard};
    struct ryz_chaos *chaos = NULL;
    struct ryz_error error = {0};
    cr_assert_eq(ryz_chaos_open(&options, &chaos, &error), RYZ_OK, "%s", error.text);
    return chaos;
}

Test(chaos, overlapping_faults_are_announced_in_order_of_time)
{
    struct heard heard = {.lock = PTHREAD_MUTEX_INITIALIZER};
    int64_t t0 = ryz_clock_now_ns(ryz_real_clock_monotonic());
    struct ryz_fault faults[] = {fault_at(t0, 20, 60), fault_at(t0, 5, 40)};
    struct ryz_chaos *chaos = start(faults, 2, &heard);
    await_events(&heard, 4);
    ryz_chaos_close(chaos);
    cr_assert_eq(heard.count, 4u);
    const uint32_t order[] = {1, 0, 1, 0};
    for (uint32_t i = 0; i < 4; i++) {
        cr_expect_eq(heard.faults[i], order[i]);
        cr_expect_eq(heard.kinds[i], i < 2 ? RYZ_CHAOS_FAULT_ON : RYZ_CHAOS_FAULT_OFF);
    }
    cr_expect_geq(heard.t_ns[0], faults[1].at_ns, "not before its time");
    cr_expect_geq(heard.t_ns[3], faults[0].until_ns);
}

Test(chaos, an_open_end_ends_with_the_plan)
{
    struct heard heard = {.lock = PTHREAD_MUTEX_INITIALIZER};
    int64_t t0 = ryz_clock_now_ns(ryz_real_clock_monotonic());
    struct ryz_fault faults[] = {fault_at(t0, 0, -1)};
    struct ryz_chaos *chaos = start(faults, 1, &heard);
    await_events(&heard, 1);
    ryz_chaos_close(chaos);
    cr_assert_eq(heard.count, 2u);
    cr_expect_eq(heard.kinds[0], RYZ_CHAOS_FAULT_ON);
    cr_expect_eq(heard.kinds[1], RYZ_CHAOS_FAULT_OFF);
}

Test(chaos, a_fault_whose_time_has_not_come_is_never_announced)
{
    struct heard heard = {.lock = PTHREAD_MUTEX_INITIALIZER};
    int64_t t0 = ryz_clock_now_ns(ryz_real_clock_monotonic());
    struct ryz_fault faults[] = {fault_at(t0, 600000, -1)};
    ryz_chaos_close(start(faults, 1, &heard));
    cr_expect_eq(heard.count, 0u);
}

Test(chaos, a_kill_without_a_process_is_trouble_not_silence)
{
    struct heard heard = {.lock = PTHREAD_MUTEX_INITIALIZER};
    int64_t t0 = ryz_clock_now_ns(ryz_real_clock_monotonic());
    struct ryz_fault faults[] = {fault_at(t0, 0, -1)};
    faults[0].point = RYZ_FAULT_SERVER;
    faults[0].action = RYZ_FAULT_KILL;
    struct ryz_chaos *chaos = start(faults, 1, &heard);
    await_events(&heard, 3);
    ryz_chaos_close(chaos);
    cr_assert_eq(heard.count, 3u);
    cr_expect_eq(heard.kinds[1], RYZ_CHAOS_TROUBLE);
    cr_expect_eq(heard.kinds[2], RYZ_CHAOS_FAULT_OFF);
}
