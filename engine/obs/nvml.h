/*
 * nvml.h - the few functions of NVIDIA's management library that telemetry needs, found at run
 * time: no header and no library of NVIDIA is needed to build or to run.
 */
#ifndef RYZ_OBS_NVML_H
#define RYZ_OBS_NVML_H

#include "engine/obs/telemetry.h"

#define RYZ_GPU_NAME_MAX 96u

struct ryz_nvml;

/* Loads `library` ("libnvidia-ml.so.1") and starts it. NULL when it is absent, has not the
 * functions, finds no driver or no device: none of that is an error. */
struct ryz_nvml *ryz_nvml_open(const char *library);
void ryz_nvml_close(struct ryz_nvml *nvml);
/* At most RYZ_GPUS_MAX; 0 for NULL. */
int ryz_nvml_count(const struct ryz_nvml *nvml);
const char *ryz_nvml_name(const struct ryz_nvml *nvml, int gpu);
/* What a device does not tell stays 0; RYZ_IO when it tells nothing (fallen off the bus). */
RYZ_MUST_USE enum ryz_status ryz_nvml_sample(struct ryz_nvml *nvml, int gpu,
                                             struct ryz_gpu_sample *sample);

#endif
