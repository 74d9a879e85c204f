/*
 * test_telemetry.c - samples of this host, and of GPUs that do not exist.
 *
 * Goal: the host's figures are possible ones; NVML is loaded, asked and left as its interface
 * wants; a host without NVML has no GPUs and no error. Method: a library with NVML's names and
 * known answers.
 */
#include "engine/base/clock.h"
#include "engine/obs/nvml.h"
#include "engine/obs/telemetry.h"

#include <criterion/criterion.h>
#include <math.h>

Test(telemetry, the_host_is_sampled)
{
    struct ryz_telemetry *telemetry = NULL;
    struct ryz_error error = {.text = ""};
    struct ryz_host_sample first, second;
    cr_assert_eq(ryz_telemetry_open(&telemetry, &error), RYZ_OK, "%s", error.text);
    cr_assert_eq(ryz_telemetry_host(telemetry, RYZ_NS_PER_S, &first), RYZ_OK);
    cr_assert_eq(first.cpu_util, 0.0f, "there is no share before the second sample");
    cr_assert_eq(first.process_cpu, 0.0f);
    volatile double sum = 0;
    for (int i = 0; i < 20000000; i++) sum = sum + sqrt((double)i);
    cr_assert_eq(ryz_telemetry_host(telemetry, 2 * RYZ_NS_PER_S, &second), RYZ_OK);
    cr_assert(second.cpu_util >= 0 && second.cpu_util <= 1, "%f", (double)second.cpu_util);
    cr_assert(second.cpu_steal >= 0 && second.cpu_steal <= 1);
    cr_assert(second.process_cpu > 0, "20 million square roots took no time");
    cr_assert_gt(second.rss_bytes, 100000);
    cr_assert_gt(second.mem_total_bytes, second.rss_bytes);
    cr_assert_geq(second.mem_total_bytes, second.mem_available_bytes);
    cr_assert(second.load1 >= 0);
    ryz_telemetry_close(telemetry);
    ryz_telemetry_close(NULL);
}

Test(telemetry, a_clock_that_stands_still_divides_nothing_by_zero)
{
    struct ryz_telemetry *telemetry = NULL;
    struct ryz_host_sample sample;
    cr_assert_eq(ryz_telemetry_open(&telemetry, NULL), RYZ_OK);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(ryz_telemetry_host(telemetry, RYZ_NS_PER_S, &sample), RYZ_OK);
    cr_assert(isfinite(sample.cpu_util) && isfinite(sample.process_cpu));
    ryz_telemetry_close(telemetry);
}

Test(telemetry, a_gpu_that_is_not_there_is_not_found)
{
    struct ryz_telemetry *telemetry = NULL;
    struct ryz_gpu_sample sample;
    cr_assert_eq(ryz_telemetry_open(&telemetry, NULL), RYZ_OK);
    int count = ryz_telemetry_gpu_count(telemetry);
    cr_assert_geq(count, 0);
    cr_assert_eq(ryz_telemetry_gpu(telemetry, count, &sample), RYZ_NOT_FOUND);
    cr_assert_eq(ryz_telemetry_gpu(telemetry, -1, &sample), RYZ_NOT_FOUND);
    cr_assert_str_eq(ryz_telemetry_gpu_name(telemetry, count), "");
    ryz_telemetry_close(telemetry);
}

Test(nvml, a_gpu_is_read_through_the_librarys_functions)
{
    struct ryz_nvml *nvml = ryz_nvml_open(FAKE_NVML);
    struct ryz_gpu_sample sample;
    cr_assert_not_null(nvml, "cannot load %s", FAKE_NVML);
    cr_assert_eq(ryz_nvml_count(nvml), 2, "one of the three devices may not be used");
    cr_assert_str_eq(ryz_nvml_name(nvml, 0), "Fake GPU");
    cr_assert_eq(ryz_nvml_sample(nvml, 0, &sample), RYZ_OK);
    cr_assert_float_eq(sample.util, 0.75f, 1e-6);
    cr_assert_eq(sample.mem_total_bytes, UINT64_C(1) << 40);
    cr_assert_eq(sample.mem_used_bytes, (UINT64_C(1) << 40) - 1);
    cr_assert_float_eq(sample.power_w, 250.5f, 1e-3);
    cr_assert_float_eq(sample.temp_c, 61.0f, 1e-6);
    cr_assert_float_eq(sample.clock_mhz, 1410.0f, 1e-3);
    ryz_nvml_close(nvml);
}

Test(nvml, what_a_gpu_does_not_tell_is_zero)
{
    struct ryz_nvml *nvml = ryz_nvml_open(FAKE_NVML);
    struct ryz_gpu_sample sample;
    cr_assert_not_null(nvml);
    cr_assert_str_eq(ryz_nvml_name(nvml, 1), "gpu 1");
    cr_assert_eq(ryz_nvml_sample(nvml, 1, &sample), RYZ_OK);
    cr_assert_eq(sample.util, 0.0f);
    cr_assert_eq(sample.mem_total_bytes, 0);
    cr_assert_float_eq(sample.temp_c, 61.0f, 1e-6);
    cr_assert_eq(ryz_nvml_sample(nvml, 2, &sample), RYZ_NOT_FOUND);
    ryz_nvml_close(nvml);
}

Test(nvml, a_missing_or_foreign_library_means_no_gpus)
{
    cr_assert_null(ryz_nvml_open("libno-such-library.so.1"));
    cr_assert_null(ryz_nvml_open("libm.so.6"), "a library without the functions");
    cr_assert_eq(ryz_nvml_count(NULL), 0);
    ryz_nvml_close(NULL);
}
