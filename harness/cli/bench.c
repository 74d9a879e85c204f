/*
 * bench.c - `ryz bench kernel` and `ryz bench attention`: a matrix product, or the attention of one
 * token, verified against the reference, then timed.
 */
#include "harness/cli/commands.h"
#include "harness/cli/options.h"

#include "engine/base/clock.h"
#include "engine/base/size.h"
#include "harness/drive/real_clock.h"
#include "kernels/bench/attention.h"
#include "kernels/bench/bench.h"

#include <stdio.h>
#include <string.h>

/* The exit code; `why` says what makes a case one that cannot be. */
static int exit_code(enum ryz_kernel_bench_status status, const char *why)
{
    switch (status) {
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
    (void)fprintf(
        stderr, "ryz: unknown kernel table or type, or %s; `ryz devices` lists the tables\n", why);
    return RYZ_EXIT_USAGE;
}

static int bench_attention(int argc, char **argv)
{
    const char *isa = "auto", *kv_type = "bf16", *what = NULL;
    uint64_t stream = UINT64_C(64) << 20, seed = 1;
    uint32_t context = 512, heads = 9, kv_heads = 3, head_dim = 64, budget_ms = 500;
    const struct ryz_option options[] = {
        {"isa", RYZ_OPTION_TEXT, &isa, "NAME", "auto ref avx2 avx512 (auto)"},
        {"kv-type", RYZ_OPTION_TEXT, &kv_type, "TYPE", "bf16 int8 f32 (bf16)"},
        {"context", RYZ_OPTION_U32, &context, "N", "positions attended to (512)"},
        {"heads", RYZ_OPTION_U32, &heads, "N", "query heads (9)"},
        {"kv-heads", RYZ_OPTION_U32, &kv_heads, "N", "key and value heads (3)"},
        {"head-dim", RYZ_OPTION_U32, &head_dim, "N", "dimensions of a head (64)"},
        {"stream", RYZ_OPTION_BYTES, &stream, "SIZE",
         "keys and values to walk over, 0B: one cache (64MiB)"},
        {"budget", RYZ_OPTION_U32, &budget_ms, "MS", "time to measure (500)"},
        {"seed", RYZ_OPTION_U64, &seed, "N", "of query, keys, values and blocks (1)"},
    };
    const struct ryz_command_line line = {
        .usage = "ryz bench attention [options]",
        .about = "Verifies the attention of one token on one thread against the reference, then "
                 "times it.",
        .options = options,
        .option_count = RYZ_COUNT_OF(options),
        .positional_min = 1,
        .positional_max = 1};
    enum ryz_status status = ryz_options_parse(&line, argc, argv, &what, NULL);
    if (status != RYZ_OK) return status == RYZ_CANCELLED ? RYZ_EXIT_MET : RYZ_EXIT_USAGE;
    const struct ryz_clock *clock = ryz_real_clock_monotonic();
    struct ryz_attention_bench bench = {.table = isa,
                                        .kv_type = kv_type,
                                        .context_tokens = context,
                                        .n_heads = heads,
                                        .n_kv_heads = kv_heads,
                                        .head_dim = head_dim,
                                        .stream_bytes = stream,
                                        .budget_ns = (int64_t)budget_ms * RYZ_NS_PER_MS,
                                        .now_ns = clock->now_ns,
                                        .clock_ctx = clock->context,
                                        .seed = seed};
    return exit_code(ryz_attention_bench_run(&bench, stdout), "--kv-heads does not divide --heads");
}

int ryz_command_bench(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "attention") == 0) return bench_attention(argc, argv);
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
        .about = "Verifies a matrix product on one thread against the reference, then times it.\n"
                 "`ryz bench attention --help`: the attention of one token.",
        .options = options,
        .option_count = RYZ_COUNT_OF(options),
        .positional_min = 1,
        .positional_max = 1};
    enum ryz_status status = ryz_options_parse(&line, argc, argv, &what, NULL);
    if (status != RYZ_OK) return status == RYZ_CANCELLED ? RYZ_EXIT_MET : RYZ_EXIT_USAGE;
    if (strcmp(what, "kernel") != 0) {
        (void)fprintf(stderr, "ryz: ryz bench kernel, or ryz bench attention\n");
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
    return exit_code(ryz_kernel_bench_run(&bench, stdout),
                     "--k is no multiple of the type's block");
}
