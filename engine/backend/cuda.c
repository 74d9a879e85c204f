/*
 * cuda.c - finds and asks the CUDA module.
 *
 * Leaves to others: everything that needs CUDA's headers (kernels/cuda). The idea: the binary links
 * no CUDA library, so it starts on any machine; what is missing (module, driver, device) becomes a
 * sentence in the report instead of a loader error at start.
 */
#include "engine/backend/cuda.h"

#include <dlfcn.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MODULE_NAME "libryz_cuda.so"
#define PATH_BYTES  4096

typedef int (*report_fn)(struct ryz_cuda_report *report); /* ryz_cuda_module_report */

/* The module's path beside the running binary; false if that cannot be told or does not fit. */
static bool path_beside_binary(char *path, size_t capacity)
{
    ssize_t length = readlink("/proc/self/exe", path, capacity - 1);
    if (length <= 0) return false;
    path[length] = '\0';
    char *slash = strrchr(path, '/');
    if (!slash || (size_t)(slash + 1 - path) + sizeof MODULE_NAME > capacity) return false;
    memcpy(slash + 1, MODULE_NAME, sizeof MODULE_NAME);
    return true;
}

/* Loads the module; NULL with the loader's words in `error`. A handle is never closed: CUDA's
 * runtime leaves threads and exit handlers behind that outlive the report. */
static void *load_module(const char *path, struct ryz_error *error)
{
    char beside[PATH_BYTES];
    void *module = NULL;
    if (path) {
        module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    } else {
        if (path_beside_binary(beside, sizeof beside) && access(beside, R_OK) == 0) {
            module = dlopen(beside, RTLD_NOW | RTLD_LOCAL);
        } else {
            module = dlopen(MODULE_NAME, RTLD_NOW | RTLD_LOCAL);
        }
    }
    if (module) return module;
    const char *why = dlerror(); /* NOLINT(concurrency-mt-unsafe): glibc's is per thread */
    (void)ryz_fail(error, RYZ_UNAVAILABLE, "the CUDA module cannot be loaded: %.200s",
                   why ? why : "no reason given");
    return NULL;
}

enum ryz_status ryz_cuda_probe(const char *path, struct ryz_cuda_report *report,
                               struct ryz_error *error)
{
    *report = (struct ryz_cuda_report){.product_error = NAN};
    void *module = load_module(path, error);
    if (!module) return RYZ_UNAVAILABLE;
    report_fn ask;
    void *symbol = dlsym(module, "ryz_cuda_module_report");
    if (!symbol) {
        return ryz_fail(error, RYZ_UNAVAILABLE,
                        "the CUDA module is another library: it has no ryz_cuda_module_report");
    }
    memcpy(&ask, &symbol, sizeof ask); /* ISO C has no cast from an object to a function */
    int failed = ask(report);
    report->device_name[sizeof report->device_name - 1] = '\0';
    report->note[sizeof report->note - 1] = '\0';
    if (!failed) return RYZ_OK;
    return ryz_fail(error, RYZ_UNAVAILABLE, "%s",
                    report->note[0] ? report->note : "the CUDA module reports no device");
}
