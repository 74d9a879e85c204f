/*
 * telemetry.h - what the machine was doing: CPU share, steal, memory; GPUs through NVML when the
 * driver's library is there (loaded at run time, never linked).
 */
#ifndef RYZ_OBS_TELEMETRY_H
#define RYZ_OBS_TELEMETRY_H

#include "engine/base/status.h"

#include <stdint.h>

#define RYZ_GPUS_MAX 8

struct ryz_host_sample {
    float cpu_util;     /* 0..1 of all cores, since the last sample */
    float cpu_steal;    /* 0..1 taken by the hypervisor */
    float process_cpu;  /* cores used by this process */
    uint64_t rss_bytes; /* of this process */
    uint64_t mem_available_bytes, mem_total_bytes;
    float load1;
};

struct ryz_gpu_sample {
    float util; /* 0..1 */
    uint64_t mem_used_bytes, mem_total_bytes;
    float power_w, temp_c, clock_mhz;
};

struct ryz_telemetry;

/* Opens /proc and NVML; no GPU is no error. */
RYZ_MUST_USE enum ryz_status ryz_telemetry_open(struct ryz_telemetry **out,
                                                struct ryz_error *error);
void ryz_telemetry_close(struct ryz_telemetry *telemetry);
/* Number of GPUs, 0 without NVML. */
int ryz_telemetry_gpu_count(const struct ryz_telemetry *telemetry);
const char *ryz_telemetry_gpu_name(const struct ryz_telemetry *telemetry, int gpu);
/* The three CPU shares are over the time since the last call and 0 in the first one. */
RYZ_MUST_USE enum ryz_status ryz_telemetry_host(struct ryz_telemetry *telemetry, int64_t now_ns,
                                                struct ryz_host_sample *sample);
/* What a GPU does not tell is 0; RYZ_IO when it tells nothing, RYZ_NOT_FOUND when there is none. */
RYZ_MUST_USE enum ryz_status ryz_telemetry_gpu(struct ryz_telemetry *telemetry, int gpu,
                                               struct ryz_gpu_sample *sample);

#endif
