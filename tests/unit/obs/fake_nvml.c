/*
 * fake_nvml.c - NVML's functions with two made-up GPUs, the second of which tells little.
 *
 * Leaves to the test: everything. The prototypes are written down here a second time, on purpose: a
 * slip in nvml.c shows as a wrong number.
 */
#include <stdio.h>
#include <string.h>

struct utilization {
    unsigned int gpu, memory;
};

struct memory {
    unsigned long long total, free, used;
};

static int devices[2];
static int running;

int nvmlInit_v2(void)
{
    running++;
    return 0;
}

int nvmlShutdown(void)
{
    running--;
    return 0;
}

int nvmlDeviceGetCount_v2(unsigned int *count)
{
    *count = 3; /* the third one is not ours */
    return 0;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void **device)
{
    if (index >= 2) return 4; /* NVML_ERROR_NO_PERMISSION */
    *device = &devices[index];
    return running == 1 ? 0 : 1;
}

int nvmlDeviceGetName(void *device, char *name, unsigned int length)
{
    if (device == &devices[1]) return 999;
    (void)snprintf(name, length, "Fake GPU");
    return 0;
}

int nvmlDeviceGetUtilizationRates(void *device, struct utilization *utilization)
{
    *utilization = (struct utilization){.gpu = 75, .memory = 10};
    return device == &devices[1] ? 3 : 0; /* NVML_ERROR_NOT_SUPPORTED */
}

int nvmlDeviceGetMemoryInfo(void *device, struct memory *memory)
{
    *memory = (struct memory){.total = 1ull << 40, .free = 1, .used = (1ull << 40) - 1};
    return device == &devices[1] ? 3 : 0;
}

int nvmlDeviceGetPowerUsage(void *device, unsigned int *milliwatts)
{
    *milliwatts = 250500;
    return device == &devices[1] ? 3 : 0;
}

int nvmlDeviceGetTemperature(void *device, int sensor, unsigned int *celsius)
{
    (void)device;
    *celsius = 61;
    return sensor == 0 ? 0 : 2;
}

int nvmlDeviceGetClockInfo(void *device, int clock, unsigned int *mhz)
{
    *mhz = 1410;
    return device == &devices[1] || clock != 1 ? 3 : 0;
}
