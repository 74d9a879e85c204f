/*
 * cuda.h - the CUDA module, loaded at run time so that one binary runs with and without a GPU.
 *
 * For now the module proves the seam: it lists devices, runs one cuBLAS product and names NCCL's
 * version. kernels/cuda/ builds it where a CUDA toolkit is present.
 */
#ifndef RYZ_BACKEND_CUDA_H
#define RYZ_BACKEND_CUDA_H

#include "engine/base/status.h"
#include "kernels/cuda/cuda_report.h"

/* Loads the module from `path` (NULL: "libryz_cuda.so" beside the binary or on the loader's path)
 * and asks it. RYZ_UNAVAILABLE when the module, a driver or a device is absent; the text says
 * which, and the report holds what was found nevertheless. */
RYZ_MUST_USE enum ryz_status ryz_cuda_probe(const char *path, struct ryz_cuda_report *report,
                                            struct ryz_error *error);

#endif
