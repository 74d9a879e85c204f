/*
 * cuda_report.h - what the CUDA module says about a machine; shared by the module and its loader.
 *
 * Plain C types only: the module is compiled by another compiler, perhaps for another installation.
 */
#ifndef RYZ_KERNELS_CUDA_CUDA_REPORT_H
#define RYZ_KERNELS_CUDA_CUDA_REPORT_H

#include <stdint.h>

struct ryz_cuda_report {
    int32_t runtime_version; /* as CUDA spells it, 13000 = 13.0; 0 unknown */
    int32_t nccl_version;    /* as NCCL spells it, 22809 = 2.28.9; 0 unknown or built without */
    int32_t device_count;
    char device_name[96];  /* of device 0 */
    uint64_t device_bytes; /* memory of device 0 */
    double product_error; /* largest deviation of one cuBLAS product from the CPU's; NaN: not run */
    char note[160];       /* why something could not be done; empty if all was */
};

#ifdef __cplusplus
extern "C" {
#endif

/* The module's only export. Returns 0 when a device was found and asked, another number when there
 * is none; fills what it can in either case. */
__attribute__((visibility("default"))) int ryz_cuda_module_report(struct ryz_cuda_report *report);

#ifdef __cplusplus
}
#endif

#endif
