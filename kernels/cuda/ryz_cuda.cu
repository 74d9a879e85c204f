/*
 * ryz_cuda.cu - the CUDA module: lists devices, runs one cuBLAS product, names NCCL's version.
 *
 * Leaves to others: finding and loading this module (engine/backend/cuda.c). The idea: it proves
 * that toolkit, driver, device and libraries fit together on this machine before anything is built
 * on them; each step that fails becomes a sentence in the report, never an abort.
 */
#include "kernels/cuda/cuda_report.h"
#include "kernels/cuda/nccl_version.h"

#include <cublas_v2.h>
#include <cuda_runtime.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <vector>

namespace
{

/* Rows, columns and depth of the product: odd on purpose, so that tiles have tails. */
constexpr int M = 67, N = 45, K = 129;

/* Device memory that frees itself. */
struct device_floats {
    float *data = nullptr;

    explicit device_floats(size_t count)
    {
        if (cudaMalloc(reinterpret_cast<void **>(&data), count * sizeof(float)) != cudaSuccess) {
            data = nullptr;
        }
    }
    ~device_floats()
    {
        if (data) (void)cudaFree(data);
    }
    device_floats(const device_floats &) = delete;
    device_floats &operator=(const device_floats &) = delete;
};

/* Small numbers with a pattern that no transposition keeps. */
std::vector<float> pattern(size_t count, int step)
{
    std::vector<float> values(count);
    for (size_t i = 0; i < count; i++) {
        values[i] = static_cast<float>(static_cast<int>(i * step % 31) - 15) / 16.0F;
    }
    return values;
}

/* Largest deviation of c (M, N), column-major, from a b computed here in double. */
double largest_deviation(const std::vector<float> &a, const std::vector<float> &b,
                         const std::vector<float> &c)
{
    double largest = 0.0;
    for (int n = 0; n < N; n++) {
        for (int m = 0; m < M; m++) {
            double sum = 0.0;
            for (int k = 0; k < K; k++) {
                sum += static_cast<double>(a[m + k * M]) * static_cast<double>(b[k + n * K]);
            }
            largest = std::fmax(largest, std::fabs(sum - static_cast<double>(c[m + n * M])));
        }
    }
    return largest;
}

/* Runs the product on device 0; NULL, or what went wrong. */
const char *run_product(cublasHandle_t handle, double *deviation)
{
    std::vector<float> a = pattern(M * K, 7), b = pattern(K * N, 11), c(M * N, NAN);
    device_floats a_device(a.size()), b_device(b.size()), c_device(c.size());
    if (!a_device.data || !b_device.data || !c_device.data) return "no device memory";
    const float one = 1.0F, zero = 0.0F;
    if (cudaMemcpy(a_device.data, a.data(), a.size() * sizeof(float), cudaMemcpyHostToDevice) ||
        cudaMemcpy(b_device.data, b.data(), b.size() * sizeof(float), cudaMemcpyHostToDevice)) {
        return "copying to the device failed";
    }
    if (cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, M, N, K, &one, a_device.data, M,
                    b_device.data, K, &zero, c_device.data, M) != CUBLAS_STATUS_SUCCESS) {
        return "the cuBLAS product failed";
    }
    if (cudaMemcpy(c.data(), c_device.data, c.size() * sizeof(float), cudaMemcpyDeviceToHost)) {
        return "copying from the device failed";
    }
    *deviation = largest_deviation(a, b, c);
    return nullptr;
}

const char *try_cublas(double *deviation)
{
    cublasHandle_t handle;
    if (cublasCreate(&handle) != CUBLAS_STATUS_SUCCESS) return "cuBLAS could not be started";
    const char *problem = run_product(handle, deviation);
    (void)cublasDestroy(handle);
    return problem;
}

} // namespace

extern "C" int ryz_cuda_module_report(struct ryz_cuda_report *report)
{
    std::memset(report, 0, sizeof *report);
    report->product_error = NAN;
    report->nccl_version = ryz_nccl_version();
    int number = 0;
    if (cudaRuntimeGetVersion(&number) == cudaSuccess) report->runtime_version = number;
    cudaError_t failure = cudaGetDeviceCount(&number);
    if (failure != cudaSuccess || number == 0) {
        std::snprintf(report->note, sizeof report->note,
                      "the CUDA module (runtime %d.%d, NCCL %d) finds no device: %s",
                      report->runtime_version / 1000, report->runtime_version % 1000 / 10,
                      report->nccl_version, cudaGetErrorString(failure));
        return 1;
    }
    report->device_count = number;
    cudaDeviceProp properties;
    failure = cudaGetDeviceProperties(&properties, 0);
    if (failure != cudaSuccess) {
        std::snprintf(report->note, sizeof report->note, "device 0 does not answer: %s",
                      cudaGetErrorString(failure));
        return 1;
    }
    std::snprintf(report->device_name, sizeof report->device_name, "%s", properties.name);
    report->device_bytes = properties.totalGlobalMem;
    const char *problem = try_cublas(&report->product_error);
    if (problem) std::snprintf(report->note, sizeof report->note, "%s", problem);
    return 0;
}
