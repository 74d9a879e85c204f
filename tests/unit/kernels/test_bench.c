/*
 * Goal: the bench refuses what does not exist and measures what it is asked to.
 * Method: a clock that advances a microsecond at every look.
 */
#include <criterion/criterion.h>

#include "kernels/bench/attention.h"
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

static struct ryz_attention_bench small_attention(int64_t *now)
{
    return (struct ryz_attention_bench){.table = "auto",
                                        .kv_type = "int8",
                                        .context_tokens = 100,
                                        .n_heads = 6,
                                        .n_kv_heads = 2,
                                        .head_dim = 40,
                                        .stream_bytes = 50000,
                                        .budget_ns = 20000,
                                        .now_ns = tick,
                                        .clock_ctx = now,
                                        .seed = 72};
}

Test(kernels_bench, verifies_and_times_attention_over_every_type)
{
    static const char *const types[] = {"bf16", "int8", "f32"};
    static const double position_bytes[] = {80, 44, 160};
    for (size_t i = 0; i < 3; i++) {
        int64_t now = 0;
        struct ryz_attention_bench bench = small_attention(&now);
        struct ryz_attention_bench_result result;
        bench.kv_type = types[i];
        cr_assert_eq(ryz_attention_bench_measure(&bench, &result), RYZ_KERNEL_BENCH_OK);
        cr_assert_eq(result.calls, 20);
        cr_assert_eq(result.median_ns, 1000);
        cr_assert(result.error <= result.error_limit);
        /* 7 blocks of 16 positions of 2 heads, keys and values. */
        cr_assert_float_eq(result.gbytes_per_s, 2 * 7 * 16 * 2 * position_bytes[i] / 1000.0, 1e-9);
    }
}

Test(kernels_bench, refuses_attention_of_impossible_shapes)
{
    int64_t now = 0;
    struct ryz_attention_bench good = small_attention(&now), bad[7];
    struct ryz_attention_bench_result result;
    for (size_t i = 0; i < 7; i++) bad[i] = good;
    bad[0].table = "mmx";
    bad[1].kv_type = "int4";
    bad[2].n_kv_heads = 4;
    bad[3].n_kv_heads = 0;
    bad[4].head_dim = 0;
    bad[5].context_tokens = 0;
    bad[6].n_heads = 0;
    for (size_t i = 0; i < 7; i++) {
        cr_assert_eq(ryz_attention_bench_measure(&bad[i], &result), RYZ_KERNEL_BENCH_BAD_CASE,
                     "%zu", i);
    }
    good.stream_bytes = SIZE_MAX; /* the copies overflow before anything is taken */
    cr_assert_eq(ryz_attention_bench_measure(&good, &result), RYZ_KERNEL_BENCH_NO_MEMORY);
}

Test(kernels_bench, prints_one_line_of_attention)
{
    int64_t now = 0;
    struct ryz_attention_bench bench = small_attention(&now);
    FILE *out = tmpfile();
    char line[512];
    cr_assert_not_null(out);
    cr_assert_eq(ryz_attention_bench_run(&bench, out), RYZ_KERNEL_BENCH_OK);
    rewind(out);
    cr_assert_not_null(fgets(line, sizeof line, out));
    cr_assert_not_null(strstr(line, "int8 context    100 heads   6/2"));
    cr_assert_null(fgets(line, sizeof line, out));
    cr_assert_eq(fclose(out), 0);
}
