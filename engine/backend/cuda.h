/*
 * cuda.h - the CUDA module, loaded at run time so that one binary runs with and without a GPU.
 *
 * For now the module proves the seam: it lists devices, runs one cuBLAS product and names NCCL's
 * version. kernels/cuda/ builds it where a CUDA toolkit is present.
 */
#ifndef RYZ_BACKEND_CUDA_H
#define RYZ_BACKEND_CUDA_H

#include "engine/base/status.h"

#include <stddef.h>
#include <stdint.h>

struct ryz_cuda_report {
    int32_t runtime_version; /* as CUDA spells it, 13000 = 13.0; 0 unknown */
    int32_t nccl_version;    /* as NCCL spells it, 22809 = 2.28.9; 0 unknown */
    int32_t device_count;
    char device_name[96];  /* of device 0 */
    uint64_t device_bytes; /* memory of device 0 */
    double product_error; /* largest deviation of one cuBLAS product from the CPU's; NaN: not run */
    char note[160];       /* why something could not be done; empty if all was */
};

/* Loads the module from `path` (NULL: "libryz_cuda.so" beside the binary or on the loader's path)
 * and asks it. RYZ_UNAVAILABLE when the module or a driver is absent; the text says which. */
RYZ_MUST_USE enum ryz_status ryz_cuda_probe(const char *path, struct ryz_cuda_report *report,
                                            struct ryz_error *error);

#endif
