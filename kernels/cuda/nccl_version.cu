/* nccl_version.cu - asks the NCCL that the module is linked with. */
#include "kernels/cuda/nccl_version.h"

#include <nccl.h>

int ryz_nccl_version(void)
{
    int version = 0;
    return ncclGetVersion(&version) == ncclSuccess ? version : 0;
}
