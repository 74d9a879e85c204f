/*
 * Goal: the bench refuses what does not exist and measures what it is asked to.
 * Method: a clock that advances a microsecond at every look.
 */
#include <criterion/criterion.h>

#include "kernels/bench/bench.h"

static int64_t tick(void *ctx)
{
    int64_t *now = ctx;
    return *now += 1000;
}

static struct ryz_kernel_bench small_case(int64_t *now)
{
    struct ryz_kernel_bench bench = {
        .table = "auto",
        .dtype = "q8_0",
        .m = 3,
        .n = 200,
        .k = 64,
        .stream_bytes = 50000,
        .budget_ns = 20000,
        .now_ns = tick,
        .seed = 71,
    };
    bench.clock_ctx = now;
    return bench;
}

Test(kernels_bench, verifies_and_times_a_case)
{
    int64_t now = 0;
    struct ryz_kernel_bench bench = small_case(&now);
    struct ryz_kernel_bench_result result;
    cr_assert_eq(ryz_kernel_bench_measure(&bench, &result), RYZ_KERNEL_BENCH_OK);
    cr_assert_eq(result.calls, 20);
    cr_assert_eq(result.median_ns, 1000);
    cr_assert(result.error > 0.0 && result.error <= result.error_limit);
    cr_assert_float_eq(result.gflops, 2.0 * 3 * 200 * 64 / 1000.0, 1e-9);
    cr_assert_float_eq(result.gbytes_per_s, 200.0 * 68 / 1000.0, 1e-9);
}

Test(kernels_bench, refuses_unknown_tables_types_and_shapes)
{
    int64_t now = 0;
    struct ryz_kernel_bench_result result;
    struct ryz_kernel_bench bench = small_case(&now);
    bench.table = "mmx";
    cr_assert_eq(ryz_kernel_bench_measure(&bench, &result), RYZ_KERNEL_BENCH_BAD_CASE);
    bench = small_case(&now);
    bench.dtype = "q3_k";
    cr_assert_eq(ryz_kernel_bench_measure(&bench, &result), RYZ_KERNEL_BENCH_BAD_CASE);
    bench = small_case(&now);
    bench.k = 65;
    cr_assert_eq(ryz_kernel_bench_measure(&bench, &result), RYZ_KERNEL_BENCH_BAD_CASE);
    bench = small_case(&now);
    bench.n = SIZE_MAX / 8;
    cr_assert_eq(ryz_kernel_bench_measure(&bench, &result), RYZ_KERNEL_BENCH_BAD_CASE);
}

Test(kernels_bench, prints_one_line)
{
    int64_t now = 0;
    struct ryz_kernel_bench bench = small_case(&now);
    FILE *out = tmpfile();
    char line[512];
    cr_assert_not_null(out);
    cr_assert_eq(ryz_kernel_bench_run(&bench, out), RYZ_KERNEL_BENCH_OK);
    rewind(out);
    cr_assert_not_null(fgets(line, sizeof line, out));
    cr_assert_not_null(strstr(line, "q8_0"));
    cr_assert_not_null(strstr(line, "GFLOP/s"));
    cr_assert_null(fgets(line, sizeof line, out));
    cr_assert_eq(fclose(out), 0);
}
