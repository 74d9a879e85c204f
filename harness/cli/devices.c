/* devices.c - `ryz devices`: what this machine offers to the engine. */
#include "harness/cli/commands.h"
#include "harness/cli/options.h"

#include "engine/backend/cuda.h"
#include "engine/base/thread_pool.h"
#include "kernels/kernels.h"

#include <math.h>
#include <stdio.h>

static void print_cuda(void)
{
    struct ryz_cuda_report report = {0};
    struct ryz_error error = {0};
    if (ryz_cuda_probe(NULL, &report, &error) != RYZ_OK) {
        printf("cuda: not available: %s\n", error.text);
        return;
    }
    printf("cuda: runtime %d.%d, NCCL %d.%d.%d, %d device(s)\n", report.runtime_version / 1000,
           report.runtime_version % 1000 / 10, report.nccl_version / 10000,
           report.nccl_version % 10000 / 100, report.nccl_version % 100, report.device_count);
    if (report.device_count > 0) {
        printf("      %s, %.1f GiB\n", report.device_name, (double)report.device_bytes / 0x1p30);
    }
    if (!isnan(report.product_error)) {
        printf("      cuBLAS product: largest deviation from the CPU %.3g\n", report.product_error);
    }
    if (report.note[0] != '\0') printf("      %s\n", report.note);
}

int ryz_command_devices(int argc, char **argv)
{
    const struct ryz_command_line line = {
        .usage = "ryz devices",
        .about = "Shows the CPU kernels and GPUs that the engine can use on this machine."};
    enum ryz_status status = ryz_options_parse(&line, argc, argv, NULL, NULL);
    if (status != RYZ_OK) return status == RYZ_CANCELLED ? RYZ_EXIT_MET : RYZ_EXIT_USAGE;
    printf("cpu:  %u core(s), kernels:", ryz_cpu_count());
    for (size_t i = 0; ryz_kernels_name(i) != NULL; i++) printf(" %s", ryz_kernels_name(i));
    printf(" (auto takes %s)\n", ryz_kernels_find("auto")->name);
    print_cuda();
    return RYZ_EXIT_MET;
}
