/*
 * test_plan_memory.c - goal: an engine keeps to its memory, the KV cache gets what is left, and
 * what does not fit is refused with the sum. Method: real engines on the small model with budgets
 * around what they need, which the first of them says.
 */
#include "engine/memory/budget.h"
#include "tests/unit/runtime/engine_fixture.h"

#include <criterion/criterion.h>
#include <string.h>

#define MIB (UINT64_C(1) << 20)

/* What weights, scratch and tables take under the default options. */
static uint64_t needed_without_kv(void)
{
    struct ryz_engine_options options = default_options();
    struct fixture fixture;
    open_engine(&fixture, &options);
    const struct ryz_budget *memory = ryz_engine_memory(fixture.engine);
    cr_assert_eq(memory->limit_bytes, 0u);
    cr_assert_gt(ryz_budget_of(memory, "weights"), 10 * MIB);
    cr_assert_gt(ryz_budget_of(memory, "activations"), 0u);
    cr_assert_gt(ryz_budget_of(memory, "requests"), 0u);
    uint64_t needed = memory->used_bytes - ryz_budget_of(memory, "KV");
    close_engine(&fixture);
    return needed;
}

Test(plan_memory, the_cache_gets_what_is_left)
{
    struct ryz_engine_options options = default_options();
    struct fixture fixture;
    options.memory_bytes = needed_without_kv() + 10 * MIB;
    options.kv_bytes = 0;
    open_engine(&fixture, &options);
    const struct ryz_budget *memory = ryz_engine_memory(fixture.engine);
    cr_assert_leq(memory->used_bytes, options.memory_bytes);
    cr_assert_gt(ryz_budget_of(memory, "KV"), 9 * MIB);
    cr_assert_gt(ryz_engine_stats(fixture.engine).kv_blocks_total, 100u);
    close_engine(&fixture);
}

static void expect_refusal(const struct ryz_engine_options *options, const char *text)
{
    struct ryz_engine *engine = NULL;
    struct ryz_error error;
    cr_assert_eq(ryz_engine_open(options, &engine, &error), RYZ_NO_MEMORY);
    cr_assert_not_null(strstr(error.text, text), "%s", error.text);
    cr_assert_not_null(strstr(error.text, "but memory is"), "%s", error.text);
}

Test(plan_memory, what_does_not_fit_is_refused_with_a_way_out)
{
    struct ryz_engine_options options = default_options();
    uint64_t needed = needed_without_kv();
    options.memory_bytes = 8 * MIB;
    expect_refusal(&options, "smaller quant");
    options.memory_bytes = needed + 2 * MIB;
    options.kv_bytes = 4 * MIB;
    expect_refusal(&options, "lower kv");
    options.kv_host_bytes = 3 * MIB;
    expect_refusal(&options, "lower kv_host");
    options.kv_host_bytes = 0;
    options.kv_bytes = 0;
    options.memory_bytes = needed + 1000;
    expect_refusal(&options, "max_batch");
}

Test(plan_memory, a_share_of_the_machine_is_a_limit)
{
    struct ryz_engine_options options = default_options();
    struct fixture fixture;
    options.memory_permille = 500;
    open_engine(&fixture, &options);
    const struct ryz_budget *memory = ryz_engine_memory(fixture.engine);
    cr_assert_gt(memory->limit_bytes, memory->used_bytes);
    close_engine(&fixture);
}
