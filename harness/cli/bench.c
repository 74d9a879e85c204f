/* bench.c - `ryz bench kernel`: a matrix product, verified against the reference, then timed. */
#include "harness/cli/commands.h"
#include "harness/cli/options.h"

#include "engine/base/clock.h"
#include "engine/base/size.h"
#include "harness/drive/real_clock.h"
#include "kernels/bench/bench.h"

#include <stdio.h>
#include <string.h>

static int run_bench(const struct ryz_kernel_bench *bench)
{
    switch (ryz_kernel_bench_run(bench, stdout)) {
    case RYZ_KERNEL_BENCH_OK:
        return RYZ_EXIT_MET;
    case RYZ_KERNEL_BENCH_MISMATCH:
        (void)fputs("ryz: the kernel disagrees with the reference; it was not timed\n", stderr);
        return RYZ_EXIT_MISSED;
    case RYZ_KERNEL_BENCH_NO_MEMORY:
        (void)fputs("ryz: no memory for this shape\n", stderr);
        return RYZ_EXIT_COULD_NOT;
    case RYZ_KERNEL_BENCH_BAD_CASE:
        break;
    }
    (void)fputs("ryz: unknown kernel table or type, or --k is no multiple of the type's block; "
                "`ryz devices` lists the tables\n",
                stderr);
    return RYZ_EXIT_USAGE;
}

int ryz_command_bench(int argc, char **argv)
{
    const char *isa = "auto", *type = "q8_0", *what = NULL;
    uint64_t m = 1, n = 1536, k = 576, stream = UINT64_C(64) << 20, seed = 1;
    uint32_t budget_ms = 500;
    const struct ryz_option options[] = {
        {"isa", RYZ_OPTION_TEXT, &isa, "NAME", "auto ref avx2 avx512 (auto)"},
        {"type", RYZ_OPTION_TEXT, &type, "TYPE", "f32 f16 bf16 q8_0 q4_0 q4_1 (q8_0)"},
        {"m", RYZ_OPTION_U64, &m, "N", "tokens (1)"},
        {"n", RYZ_OPTION_U64, &n, "N", "output features (1536)"},
        {"k", RYZ_OPTION_U64, &k, "N", "input features (576)"},
        {"stream", RYZ_OPTION_BYTES, &stream, "SIZE",
         "weights to walk over, 0B: one matrix (64MiB)"},
        {"budget", RYZ_OPTION_U32, &budget_ms, "MS", "time to measure (500)"},
        {"seed", RYZ_OPTION_U64, &seed, "N", "of weights and activations (1)"},
    };
    const struct ryz_command_line line = {
        .usage = "ryz bench kernel [options]",
        .about = "Verifies a matrix product on one thread against the reference, then times it.",
        .options = options,
        .option_count = RYZ_COUNT_OF(options),
        .positional_min = 1,
        .positional_max = 1};
    enum ryz_status status = ryz_options_parse(&line, argc, argv, &what, NULL);
    if (status != RYZ_OK) return status == RYZ_CANCELLED ? RYZ_EXIT_MET : RYZ_EXIT_USAGE;
    if (strcmp(what, "kernel") != 0) {
        (void)fprintf(stderr, "ryz: only kernels can be benchmarked here: ryz bench kernel\n");
        return RYZ_EXIT_USAGE;
    }
    const struct ryz_clock *clock = ryz_real_clock_monotonic();
    struct ryz_kernel_bench bench = {.table = isa,
                                     .dtype = type,
                                     .m = m,
                                     .n = n,
                                     .k = k,
                                     .stream_bytes = stream,
                                     .budget_ns = (int64_t)budget_ms * RYZ_NS_PER_MS,
                                     .now_ns = clock->now_ns,
                                     .clock_ctx = clock->context,
                                     .seed = seed};
    return run_bench(&bench);
}
