/* nccl_absent.cu - stands in for nccl_version.cu where the build found no NCCL. */
#include "kernels/cuda/nccl_version.h"

int ryz_nccl_version(void)
{
    return 0;
}
