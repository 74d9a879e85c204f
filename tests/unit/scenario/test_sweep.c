/*
 * Goal: the grid holds each combination once, in row-major order; a point's plan has its values
 * and nothing else changes; shuffling is a permutation that depends on the seed.
 */
#include "engine/base/size.h"
#include "harness/scenario/check.h"
#include "tests/unit/scenario/support.h"

#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

TestSuite(sweep, .init = support_open, .fini = support_close);

#define GRID                                                                                       \
    GOOD "[sweep]\n"                                                                               \
         "engine.quant = bf16 q8_0\n"                                                              \
         "traffic.main.prompt = fixed 64 | uniform 1..8 | fixed 128\n"                             \
         "engine.kv = 64MiB 128MiB\n"

Test(sweep, the_last_axis_varies_fastest)
{
    static const char *const labels[] = {
        "engine.quant=bf16 traffic.main.prompt=fixed 64 engine.kv=64MiB",
        "engine.quant=bf16 traffic.main.prompt=fixed 64 engine.kv=128MiB",
        "engine.quant=bf16 traffic.main.prompt=uniform 1..8 engine.kv=64MiB",
        "engine.quant=bf16 traffic.main.prompt=uniform 1..8 engine.kv=128MiB",
        "engine.quant=bf16 traffic.main.prompt=fixed 128 engine.kv=64MiB",
        "engine.quant=bf16 traffic.main.prompt=fixed 128 engine.kv=128MiB",
        "engine.quant=q8_0 traffic.main.prompt=fixed 64 engine.kv=64MiB",
    };
    struct ryz_plan *plan = support_plan(GRID, NULL);
    cr_assert_eq(ryz_plan_point_count(plan), 12);
    cr_assert_eq(plan->sweep.axis_count, 3);
    for (uint32_t i = 0; i < RYZ_COUNT_OF(labels); i++) {
        char label[160];
        struct ryz_plan *point = NULL;
        cr_assert_eq(ryz_plan_point(plan, i, &point, label, sizeof label, NULL), RYZ_OK);
        cr_assert_str_eq(label, labels[i]);
        ryz_plan_close(point);
    }
    ryz_plan_close(plan);
}

Test(sweep, a_point_has_its_values_and_no_axes)
{
    struct ryz_plan *plan = support_plan(GRID, NULL), *point = NULL;
    char label[160], again[160];
    cr_assert_eq(ryz_plan_point(plan, 9, &point, label, sizeof label, NULL), RYZ_OK);
    ryz_plan_close(plan); /* the point outlives it */
    cr_assert_str_eq(point->engine.quant, "q8_0");
    cr_assert_eq(point->traffic[0].prompt.kind, RYZ_LENGTH_UNIFORM);
    cr_assert_eq(point->engine.kv_bytes, UINT64_C(128) << 20);
    cr_assert_eq(point->traffic[0].concurrency, 2);
    cr_assert_eq(ryz_plan_point_count(point), 1);
    cr_assert_not_null(strstr(point->source, "[sweep]"));
    struct ryz_plan *same = NULL;
    cr_assert_eq(ryz_plan_point(point, 0, &same, again, sizeof again, NULL), RYZ_OK);
    cr_assert_str_eq(again, label);
    cr_assert_str_eq(same->engine.quant, "q8_0");
    cr_assert_eq(ryz_plan_digest(same), ryz_plan_digest(point));
    ryz_plan_close(same);
    ryz_plan_close(point);
}

Test(sweep, the_whole_plan_has_the_values_of_point_0)
{
    struct ryz_plan *plan = support_plan(
        "[scenario]\nname = x\nschema = 1\n[model]\npath = model.gguf\n[traffic.main]\n"
        "arrival = poisson\nduration = 5 s\n[sweep]\ntraffic.main.rate = 5/s 10/s\n",
        NULL);
    cr_assert_eq(plan->traffic[0].rate_per_s, 5.0);
    ryz_plan_close(plan);
}

Test(sweep, without_a_sweep_there_is_one_point)
{
    struct ryz_plan *plan = support_plan(GOOD, NULL), *point = NULL;
    char label[8] = "before";
    struct ryz_error error;
    cr_assert_eq(ryz_plan_point_count(plan), 1);
    cr_assert_eq(ryz_plan_point(plan, 0, &point, label, sizeof label, NULL), RYZ_OK);
    cr_assert_str_eq(label, "");
    ryz_plan_close(point);
    cr_assert_eq(ryz_plan_point(plan, 1, &point, label, sizeof label, &error), RYZ_INVALID);
    cr_assert_null(point);
    ryz_plan_close(plan);
}

Test(sweep, a_label_is_cut_to_its_buffer)
{
    struct ryz_plan *plan = support_plan(GRID, NULL), *point = NULL;
    for (size_t capacity = 0; capacity < 90; capacity++) {
        char label[100];
        memset(label, 0x5a, sizeof label);
        cr_assert_eq(ryz_plan_point(plan, 3, &point, label, capacity, NULL), RYZ_OK);
        cr_assert(capacity == 0 || strlen(label) < capacity);
        for (size_t i = capacity; i < sizeof label; i++) cr_assert_eq(label[i], 0x5a);
        ryz_plan_close(point);
    }
    ryz_plan_close(plan);
}

Test(sweep, a_file_that_went_away_is_reported_at_the_point)
{
    struct ryz_plan *plan = support_plan(GRID, NULL), *point = NULL;
    struct ryz_error error;
    cr_assert_eq(unlink("model.gguf"), 0);
    for (int twice = 0; twice < 2; twice++) {
        cr_assert_eq(ryz_plan_point(plan, 0, &point, NULL, 0, &error), RYZ_NOT_FOUND);
        cr_assert_not_null(strstr(error.text, "model.gguf"), "%s", error.text);
        cr_assert_null(point);
    }
    ryz_plan_close(plan);
}

Test(sweep, shuffling_is_a_permutation_that_depends_on_the_seed)
{
    uint32_t orders[4][12];
    static const char *const sets[4][3] = {{"sweep.order=written", NULL},
                                           {"sweep.order=shuffled", NULL},
                                           {"sweep.order=shuffled", NULL},
                                           {"sweep.order=shuffled", "scenario.seed=2", NULL}};
    for (int i = 0; i < 4; i++) {
        uint32_t seen = 0;
        struct ryz_plan *plan = support_plan(GRID, sets[i]);
        ryz_plan_order(plan, orders[i]);
        for (uint32_t k = 0; k < 12; k++) {
            cr_assert_lt(orders[i][k], 12);
            seen |= 1u << orders[i][k];
            cr_assert(i > 0 || orders[i][k] == k);
        }
        cr_assert_eq(seen, 0xfff);
        ryz_plan_close(plan);
    }
    cr_assert_arr_neq(orders[0], orders[1], sizeof orders[0]);
    cr_assert_arr_eq(orders[1], orders[2], sizeof orders[0]);
    cr_assert_arr_neq(orders[1], orders[3], sizeof orders[0]);
}

Test(sweep, a_swept_arrival_leaves_the_keys_of_both_alone)
{
    struct ryz_plan *plan =
        support_plan("[scenario]\nname = x\nschema = 1\n[model]\npath = model.gguf\n"
                     "[traffic.main]\nrate = 5 /s\nduration = 5 s\nconcurrency = 3\n"
                     "[sweep]\ntraffic.main.arrival = closed poisson constant\n",
                     NULL);
    cr_assert_eq(ryz_plan_point_count(plan), 3);
    ryz_plan_close(plan);
}
