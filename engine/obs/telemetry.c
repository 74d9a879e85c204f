/*
 * telemetry.c - samples of the host and its GPUs.
 *
 * Leaves to others: the texts (proc.c), NVML (nvml.c) and when to look. The idea: files of /proc
 * are opened once and read again from their start, for that is cheap and cannot fail later for want
 * of descriptors; shares are differences between two samples.
 */
#include "engine/obs/telemetry.h"

#include "engine/base/clock.h"
#include "engine/obs/nvml.h"
#include "engine/obs/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum file {
    RYZ_FILE_STAT,
    RYZ_FILE_SELF_STAT,
    RYZ_FILE_SELF_STATM,
    RYZ_FILE_MEMINFO,
    RYZ_FILE_LOADAVG,
    RYZ_FILE_COUNT
};

static const char *const paths[RYZ_FILE_COUNT] = {
    "/proc/stat", "/proc/self/stat", "/proc/self/statm", "/proc/meminfo", "/proc/loadavg"};

struct ryz_telemetry {
    int fds[RYZ_FILE_COUNT];
    long ticks_per_s;
    uint64_t page_bytes;
    struct ryz_proc_cpu last_cpu;
    uint64_t last_ticks;  /* of this process */
    int64_t last_host_ns; /* RYZ_TIME_NONE before the first sample */
    struct ryz_nvml *nvml;
};

enum ryz_status ryz_telemetry_open(struct ryz_telemetry **out, struct ryz_error *error)
{
    *out = NULL;
    struct ryz_telemetry *t = calloc(1, sizeof *t);
    if (t == NULL) return ryz_fail(error, RYZ_NO_MEMORY, "no memory for the telemetry");
    for (int i = 0; i < RYZ_FILE_COUNT; i++) t->fds[i] = -1;
    for (int i = 0; i < RYZ_FILE_COUNT; i++) {
        t->fds[i] = open(paths[i], O_RDONLY | O_CLOEXEC);
        if (t->fds[i] >= 0) continue;
        int reason = errno;
        ryz_telemetry_close(t);
        return ryz_fail_errno(error, RYZ_IO, reason, "cannot open %s", paths[i]);
    }
    t->ticks_per_s = sysconf(_SC_CLK_TCK);
    t->page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    t->last_host_ns = RYZ_TIME_NONE;
    t->nvml = ryz_nvml_open("libnvidia-ml.so.1");
    *out = t;
    return RYZ_OK;
}

void ryz_telemetry_close(struct ryz_telemetry *telemetry)
{
    if (telemetry == NULL) return;
    for (int i = 0; i < RYZ_FILE_COUNT; i++) {
        if (telemetry->fds[i] >= 0) (void)close(telemetry->fds[i]);
    }
    ryz_nvml_close(telemetry->nvml);
    free(telemetry);
}

int ryz_telemetry_gpu_count(const struct ryz_telemetry *telemetry)
{
    return ryz_nvml_count(telemetry->nvml);
}

const char *ryz_telemetry_gpu_name(const struct ryz_telemetry *telemetry, int gpu)
{
    return ryz_nvml_name(telemetry->nvml, gpu);
}

/* The head of a file: all we look for stands in its first lines. */
static bool read_head(const struct ryz_telemetry *t, enum file file, char text[2048])
{
    ssize_t length = pread(t->fds[file], text, 2047, 0);
    if (length <= 0) return false;
    text[length] = '\0';
    return true;
}

static float share(uint64_t part, uint64_t whole)
{
    if (whole == 0) return 0;
    float value = (float)part / (float)whole;
    return value > 1 ? 1 : value;
}

/* Counters of a virtual machine have been seen to step back by a tick. */
static uint64_t growth(uint64_t now, uint64_t before)
{
    return now > before ? now - before : 0;
}

static void set_shares(const struct ryz_telemetry *t, const struct ryz_proc_cpu *cpu,
                       uint64_t ticks, int64_t now_ns, struct ryz_host_sample *sample)
{
    if (t->last_host_ns == RYZ_TIME_NONE) return;
    uint64_t total = growth(cpu->total, t->last_cpu.total);
    uint64_t idle = growth(cpu->idle, t->last_cpu.idle);
    uint64_t steal = growth(cpu->steal, t->last_cpu.steal);
    sample->cpu_util = share(growth(total, idle + steal), total);
    sample->cpu_steal = share(steal, total);
    int64_t elapsed_ns = now_ns - t->last_host_ns;
    if (elapsed_ns > 0 && t->ticks_per_s > 0) {
        double seconds = (double)growth(ticks, t->last_ticks) / (double)t->ticks_per_s;
        sample->process_cpu = (float)(seconds * (double)RYZ_NS_PER_S / (double)elapsed_ns);
    }
}

enum ryz_status ryz_telemetry_host(struct ryz_telemetry *telemetry, int64_t now_ns,
                                   struct ryz_host_sample *sample)
{
    char text[2048];
    struct ryz_proc_cpu cpu = {0};
    uint64_t ticks = 0, pages = 0;
    *sample = (struct ryz_host_sample){0};
    if (!read_head(telemetry, RYZ_FILE_STAT, text) || !ryz_proc_parse_cpu(text, &cpu))
        return RYZ_IO;
    if (!read_head(telemetry, RYZ_FILE_SELF_STAT, text) || !ryz_proc_parse_self_ticks(text, &ticks))
        return RYZ_IO;
    if (!read_head(telemetry, RYZ_FILE_SELF_STATM, text) ||
        !ryz_proc_parse_resident_pages(text, &pages))
        return RYZ_IO;
    if (!read_head(telemetry, RYZ_FILE_MEMINFO, text) ||
        !ryz_proc_parse_memory(text, &sample->mem_total_bytes, &sample->mem_available_bytes))
        return RYZ_IO;
    if (!read_head(telemetry, RYZ_FILE_LOADAVG, text) || !ryz_proc_parse_load(text, &sample->load1))
        return RYZ_IO;
    sample->rss_bytes = pages * telemetry->page_bytes;
    set_shares(telemetry, &cpu, ticks, now_ns, sample);
    telemetry->last_cpu = cpu;
    telemetry->last_ticks = ticks;
    telemetry->last_host_ns = now_ns;
    return RYZ_OK;
}

enum ryz_status ryz_telemetry_gpu(struct ryz_telemetry *telemetry, int gpu,
                                  struct ryz_gpu_sample *sample)
{
    return ryz_nvml_sample(telemetry->nvml, gpu, sample);
}
