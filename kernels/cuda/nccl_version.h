/* nccl_version.h - which NCCL the CUDA module was linked with. */
#ifndef RYZ_KERNELS_CUDA_NCCL_VERSION_H
#define RYZ_KERNELS_CUDA_NCCL_VERSION_H

/* As NCCL spells it, 22809 = 2.28.9; 0 when the module was built without NCCL or it fails. */
int ryz_nccl_version(void);

#endif
