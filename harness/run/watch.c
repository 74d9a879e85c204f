/* watch.c - telemetry into the recorder, at a fixed period. */
#include "harness/run/watch.h"

#include "engine/obs/telemetry.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct ryz_watch {
    struct ryz_recorder *recorder;
    const struct ryz_clock *clock;
    struct ryz_telemetry *telemetry;
    int64_t t0_ns, period_ns;
    pthread_t thread;
    pthread_mutex_t lock; /* guards stop */
    pthread_cond_t wake;
    bool stop;
};

static void sample_host(struct ryz_watch *watch, int64_t now_ns)
{
    struct ryz_host_sample sample = {0};
    if (ryz_telemetry_host(watch->telemetry, now_ns, &sample) != RYZ_OK) return;
    struct ryz_host_row row = {.t_ns = now_ns - watch->t0_ns,
                               .cpu = sample.cpu_util,
                               .steal = sample.cpu_steal,
                               .process_cpu = sample.process_cpu,
                               .load1 = sample.load1,
                               .rss = sample.rss_bytes,
                               .mem_available = sample.mem_available_bytes,
                               .mem_total = sample.mem_total_bytes};
    (void)ryz_record(watch->recorder, &row);
}

static void sample_gpus(struct ryz_watch *watch, int64_t now_ns)
{
    for (int gpu = 0; gpu < ryz_telemetry_gpu_count(watch->telemetry); gpu++) {
        struct ryz_gpu_sample sample = {0};
        if (ryz_telemetry_gpu(watch->telemetry, gpu, &sample) != RYZ_OK) continue;
        struct ryz_gpu_row row = {.t_ns = now_ns - watch->t0_ns,
                                  .gpu = (int16_t)gpu,
                                  .util = sample.util,
                                  .mem_used = sample.mem_used_bytes,
                                  .mem_total = sample.mem_total_bytes,
                                  .power_w = sample.power_w,
                                  .temp_c = sample.temp_c,
                                  .clk_mhz = sample.clock_mhz};
        (void)ryz_record(watch->recorder, &row);
    }
}

/* Sleeps to the absolute time; false when the watch is to end. */
static bool wait_until(struct ryz_watch *watch, int64_t t_ns)
{
    struct timespec end = {.tv_sec = t_ns / RYZ_NS_PER_S, .tv_nsec = t_ns % RYZ_NS_PER_S};
    (void)pthread_mutex_lock(&watch->lock);
    while (!watch->stop && ryz_clock_now_ns(watch->clock) < t_ns) {
        (void)pthread_cond_timedwait(&watch->wake, &watch->lock, &end);
    }
    bool go_on = !watch->stop;
    (void)pthread_mutex_unlock(&watch->lock);
    return go_on;
}

static void *sample_until_closed(void *context)
{
    struct ryz_watch *watch = context;
    /* The first sample only sets the base of the differences. */
    struct ryz_host_sample base = {0};
    int64_t next_ns = ryz_clock_now_ns(watch->clock);
    enum ryz_status ignored = ryz_telemetry_host(watch->telemetry, next_ns, &base);
    (void)ignored;
    for (next_ns += watch->period_ns; wait_until(watch, next_ns); next_ns += watch->period_ns) {
        int64_t now_ns = ryz_clock_now_ns(watch->clock);
        sample_host(watch, now_ns);
        sample_gpus(watch, now_ns);
    }
    return NULL;
}

enum ryz_status ryz_watch_open(struct ryz_recorder *recorder, const struct ryz_clock *clock,
                               int64_t t0_ns, int64_t period_ns, struct ryz_watch **out,
                               struct ryz_error *error)
{
    struct ryz_watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL) return ryz_fail(error, RYZ_NO_MEMORY, "no memory for telemetry");
    watch->recorder = recorder;
    watch->clock = clock;
    watch->t0_ns = t0_ns;
    watch->period_ns = period_ns;
    enum ryz_status status = ryz_telemetry_open(&watch->telemetry, error);
    if (status != RYZ_OK) {
        free(watch);
        return status;
    }
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&watch->lock, NULL);
    (void)pthread_cond_init(&watch->wake, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    int code = pthread_create(&watch->thread, NULL, sample_until_closed, watch);
    if (code == 0) {
        *out = watch;
        return RYZ_OK;
    }
    (void)pthread_cond_destroy(&watch->wake);
    (void)pthread_mutex_destroy(&watch->lock);
    ryz_telemetry_close(watch->telemetry);
    free(watch);
    return ryz_fail_errno(error, RYZ_IO, code, "cannot start the telemetry thread");
}

void ryz_watch_close(struct ryz_watch *watch)
{
    if (watch == NULL) return;
    (void)pthread_mutex_lock(&watch->lock);
    watch->stop = true;
    (void)pthread_cond_signal(&watch->wake);
    (void)pthread_mutex_unlock(&watch->lock);
    (void)pthread_join(watch->thread, NULL);
    (void)pthread_cond_destroy(&watch->wake);
    (void)pthread_mutex_destroy(&watch->lock);
    ryz_telemetry_close(watch->telemetry);
    free(watch);
}
