/*
 * nvml.c - NVML by dlopen. See nvml.h.
 *
 * The prototypes below are NVML's binary interface, which NVIDIA keeps stable by numbering the
 * functions (_v2). Leaves to others: when to sample.
 */
#include "engine/obs/nvml.h"

#include "engine/base/size.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* nvmlReturn_t and the enums we use; 0 is success. */
typedef int nvml_return;
#define NVML_TEMPERATURE_GPU 0
#define NVML_CLOCK_SM        1

struct utilization {
    unsigned int gpu, memory; /* per cent */
};

struct memory {
    unsigned long long total, free, used; /* bytes */
};

struct ryz_nvml {
    void *library;
    nvml_return (*init)(void);
    nvml_return (*shutdown)(void);
    nvml_return (*get_count)(unsigned int *count);
    nvml_return (*get_handle)(unsigned int index, void **device);
    nvml_return (*get_name)(void *device, char *name, unsigned int length);
    nvml_return (*get_utilization)(void *device, struct utilization *utilization);
    nvml_return (*get_memory)(void *device, struct memory *memory);
    nvml_return (*get_power)(void *device, unsigned int *milliwatts);
    nvml_return (*get_temperature)(void *device, int sensor, unsigned int *celsius);
    nvml_return (*get_clock)(void *device, int clock, unsigned int *mhz);
    void *devices[RYZ_GPUS_MAX];
    char names[RYZ_GPUS_MAX][RYZ_GPU_NAME_MAX];
    int count;
};

/* Copies the address instead of casting it: ISO C has no cast from data to function pointers. */
static bool find(void *library, const char *name, void *function)
{
    void *address = dlsym(library, name);
    if (address == NULL) return false;
    memcpy(function, &address, sizeof address);
    return true;
}

static bool find_all(struct ryz_nvml *n)
{
    const struct {
        const char *name;
        void *function;
    } wanted[] = {
        {"nvmlInit_v2", &n->init},
        {"nvmlShutdown", &n->shutdown},
        {"nvmlDeviceGetCount_v2", &n->get_count},
        {"nvmlDeviceGetHandleByIndex_v2", &n->get_handle},
        {"nvmlDeviceGetName", &n->get_name},
        {"nvmlDeviceGetUtilizationRates", &n->get_utilization},
        {"nvmlDeviceGetMemoryInfo", &n->get_memory},
        {"nvmlDeviceGetPowerUsage", &n->get_power},
        {"nvmlDeviceGetTemperature", &n->get_temperature},
        {"nvmlDeviceGetClockInfo", &n->get_clock},
    };
    _Static_assert(sizeof(void *) == sizeof(nvml_return(*)(void)), "find() copies addresses");
    for (size_t i = 0; i < RYZ_COUNT_OF(wanted); i++) {
        if (!find(n->library, wanted[i].name, wanted[i].function)) return false;
    }
    return true;
}

static void list_devices(struct ryz_nvml *n)
{
    unsigned int count = 0;
    if (n->get_count(&count) != 0) return;
    for (unsigned int i = 0; i < count && n->count < (int)RYZ_GPUS_MAX; i++) {
        void *device = NULL;
        char *name = n->names[n->count];
        if (n->get_handle(i, &device) != 0) continue; /* not ours to see, or broken */
        if (n->get_name(device, name, RYZ_GPU_NAME_MAX) != 0)
            (void)snprintf(name, RYZ_GPU_NAME_MAX, "gpu %u", i);
        name[RYZ_GPU_NAME_MAX - 1] = '\0';
        n->devices[n->count++] = device;
    }
}

struct ryz_nvml *ryz_nvml_open(const char *library)
{
    struct ryz_nvml *n = calloc(1, sizeof *n);
    if (n == NULL) return NULL;
    n->library = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (n->library == NULL) goto out_free;
    if (!find_all(n) || n->init() != 0) goto out_unload;
    list_devices(n);
    if (n->count == 0) goto out_shutdown;
    return n;

out_shutdown:
    (void)n->shutdown();
out_unload:
    (void)dlclose(n->library);
out_free:
    free(n);
    return NULL;
}

void ryz_nvml_close(struct ryz_nvml *nvml)
{
    if (nvml == NULL) return;
    (void)nvml->shutdown();
    (void)dlclose(nvml->library);
    free(nvml);
}

int ryz_nvml_count(const struct ryz_nvml *nvml)
{
    return nvml == NULL ? 0 : nvml->count;
}

const char *ryz_nvml_name(const struct ryz_nvml *nvml, int gpu)
{
    return gpu >= 0 && gpu < ryz_nvml_count(nvml) ? nvml->names[gpu] : "";
}

enum ryz_status ryz_nvml_sample(struct ryz_nvml *nvml, int gpu, struct ryz_gpu_sample *sample)
{
    *sample = (struct ryz_gpu_sample){0};
    if (gpu < 0 || gpu >= ryz_nvml_count(nvml)) return RYZ_NOT_FOUND;
    void *device = nvml->devices[gpu];
    struct utilization utilization = {0};
    struct memory memory = {0};
    unsigned int milliwatts = 0, celsius = 0, mhz = 0;
    int told = 0;
    if (nvml->get_utilization(device, &utilization) == 0) {
        sample->util = (float)utilization.gpu / 100.0f;
        told++;
    }
    if (nvml->get_memory(device, &memory) == 0) {
        sample->mem_used_bytes = memory.used;
        sample->mem_total_bytes = memory.total;
        told++;
    }
    if (nvml->get_power(device, &milliwatts) == 0) {
        sample->power_w = (float)milliwatts / 1000.0f;
        told++;
    }
    if (nvml->get_temperature(device, NVML_TEMPERATURE_GPU, &celsius) == 0) {
        sample->temp_c = (float)celsius;
        told++;
    }
    if (nvml->get_clock(device, NVML_CLOCK_SM, &mhz) == 0) {
        sample->clock_mhz = (float)mhz;
        told++;
    }
    return told > 0 ? RYZ_OK : RYZ_IO;
}
