/*
 * Goal: a plan's KV budgets become as many blocks in the simulator as in the engine. Method: limits
 * of hand-made plans for the shape of a model.
 */
#include "harness/run/served.h"

#include <criterion/criterion.h>
#include <stdio.h>

static uint32_t blocks_of(const char *kv_type)
{
    const struct ryz_model_info info = {
        .n_layers = 30, .n_kv_heads = 3, .head_dim = 64, .context_tokens = 2048};
    struct ryz_plan plan = {.engine.kv_bytes = UINT64_C(256) << 20,
                            .engine.kv_host_bytes = UINT64_C(512) << 20};
    (void)snprintf(plan.engine.kv_type, sizeof plan.engine.kv_type, "%s", kv_type);
    struct ryz_sched_limits limits = ryz_served_limits(&plan, &info);
    cr_assert_eq(limits.kv_host_blocks / 2, limits.kv_blocks);
    return limits.kv_blocks;
}

Test(served, int8_gives_the_simulator_nearly_twice_the_blocks)
{
    /* 16 tokens, 2 pools, 30 layers, 3 heads of 64 values of 2 bytes, or of 1 and a scale of 4. */
    cr_assert_eq(blocks_of("bf16"), (256u << 20) / (16 * 2 * 30 * 3 * 64 * 2));
    cr_assert_eq(blocks_of("int8"), (256u << 20) / (16 * 2 * 30 * 3 * (64 + 4)));
}
