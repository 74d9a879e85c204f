/*
 * Goal: asking for the CUDA module never ends the process, and says in words what is missing.
 * Method: ask for a module that is not there, for a library that is none, and, where the build made
 * it, for the real one, which must report a device or the reason why there is none.
 */
#include "engine/backend/cuda.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

Test(cuda, a_missing_module_is_unavailable_and_named)
{
    struct ryz_cuda_report report;
    struct ryz_error error = {0};
    enum ryz_status status = ryz_cuda_probe("/nowhere/libryz_cuda.so", &report, &error);
    cr_assert_eq(status, RYZ_UNAVAILABLE);
    cr_assert(strstr(error.text, "/nowhere/libryz_cuda.so") != NULL, "%s", error.text);
    cr_assert_eq(report.device_count, 0);
    cr_assert(isnan(report.product_error));
}

Test(cuda, another_library_is_no_module)
{
    struct ryz_cuda_report report;
    struct ryz_error error = {0};
    cr_assert_eq(ryz_cuda_probe("libm.so.6", &report, &error), RYZ_UNAVAILABLE);
    cr_assert(strstr(error.text, "ryz_cuda_module_report") != NULL, "%s", error.text);
}

Test(cuda, the_built_module_reports_a_device_or_why_there_is_none)
{
    if (RYZ_CUDA_MODULE[0] == '\0') cr_skip_test("this build has no CUDA module");
    struct ryz_cuda_report report;
    struct ryz_error error = {0};
    enum ryz_status status = ryz_cuda_probe(RYZ_CUDA_MODULE, &report, &error);
    if (status == RYZ_OK) {
        cr_assert_gt(report.device_count, 0);
        cr_assert_gt(strlen(report.device_name), 0);
        cr_assert(report.product_error < 1e-3, "%g, %s", report.product_error, report.note);
        return;
    }
    cr_assert_eq(status, RYZ_UNAVAILABLE);
    cr_assert_eq(report.device_count, 0);
    cr_assert_gt(strlen(error.text), 0);
    cr_log_info("%s", error.text);
}
