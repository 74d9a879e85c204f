/*
 * Goal: faults hit inside their window, with their share, the same way in every run.
 * Method: small plans, driven with invented times.
 */
#include "engine/base/clock.h"
#include "engine/base/fault.h"
#include "engine/base/size.h"
#include "tests/unit/base/support.h"

#include <criterion/criterion.h>
#include <string.h>

static struct ryz_faults *open_plan(const struct ryz_fault *faults, uint32_t count, uint64_t seed)
{
    struct ryz_faults *plan = NULL;
    struct ryz_error error = {.text = ""};
    cr_assert_eq(ryz_faults_open(faults, count, seed, &plan, &error), RYZ_OK, "%s", error.text);
    return plan;
}

Test(fault, no_plan_is_never_hit)
{
    cr_assert_not(ryz_fault_hit(NULL, RYZ_FAULT_ENGINE_STEP, 0, NULL));
}

Test(fault, hits_inside_the_window_only)
{
    const struct ryz_fault plan[] = {
        {"f", RYZ_FAULT_ENGINE_STEP, RYZ_FAULT_DELAY, 100, 200, 1000, 7}};
    struct ryz_faults *faults = open_plan(plan, 1, 1);
    const struct ryz_fault *fault = NULL;
    cr_assert_not(ryz_fault_hit(faults, RYZ_FAULT_ENGINE_STEP, 99, &fault));
    cr_assert_null(fault);
    cr_assert(ryz_fault_hit(faults, RYZ_FAULT_ENGINE_STEP, 100, &fault));
    cr_assert_eq(fault->value_ns, 7);
    cr_assert(ryz_fault_hit(faults, RYZ_FAULT_ENGINE_STEP, 199, NULL));
    cr_assert_not(ryz_fault_hit(faults, RYZ_FAULT_ENGINE_STEP, 200, NULL));
    cr_assert_not(ryz_fault_hit(faults, RYZ_FAULT_ENGINE_DECODE, 150, NULL), "another point");
    cr_assert_eq(ryz_fault_hits(faults, 0), 2);
    cr_assert_eq(ryz_fault_hits(faults, 5), 0);
    ryz_faults_close(faults);
}

Test(fault, an_open_end_never_ends)
{
    const struct ryz_fault plan[] = {
        {"f", RYZ_FAULT_KV_ALLOC, RYZ_FAULT_FAIL, 0, RYZ_TIME_NEVER, 1000, 0}};
    struct ryz_faults *faults = open_plan(plan, 1, 1);
    cr_assert(ryz_fault_hit(faults, RYZ_FAULT_KV_ALLOC, INT64_MAX, NULL));
    ryz_faults_close(faults);
}

Test(fault, a_kill_happens_once_even_if_asked_late)
{
    const struct ryz_fault plan[] = {
        {"f", RYZ_FAULT_SERVER, RYZ_FAULT_KILL, 100, RYZ_TIME_NEVER, 1000, 0}};
    struct ryz_faults *faults = open_plan(plan, 1, 1);
    cr_assert_not(ryz_fault_hit(faults, RYZ_FAULT_SERVER, 99, NULL));
    cr_assert(ryz_fault_hit(faults, RYZ_FAULT_SERVER, 5000, NULL));
    cr_assert_not(ryz_fault_hit(faults, RYZ_FAULT_SERVER, 5001, NULL));
    cr_assert_eq(ryz_fault_hits(faults, 0), 1);
    ryz_faults_close(faults);
}

Test(fault, the_share_is_kept_and_the_pattern_repeats_with_the_seed)
{
    enum { DRAWS = 20000 };
    static bool pattern[DRAWS];
    uint64_t seed = test_seed("fault");
    for (uint32_t permille = 0; permille <= 1000; permille += 125) {
        const struct ryz_fault plan[] = {
            {"f", RYZ_FAULT_KV_ALLOC, RYZ_FAULT_FAIL, 0, RYZ_TIME_NEVER, permille, 0}};
        struct ryz_faults *a = open_plan(plan, 1, seed), *b = open_plan(plan, 1, seed);
        uint32_t hits = 0, differs = 0;
        for (int i = 0; i < DRAWS; i++) {
            bool hit = ryz_fault_hit(a, RYZ_FAULT_KV_ALLOC, i, NULL);
            cr_assert_eq(hit, ryz_fault_hit(b, RYZ_FAULT_KV_ALLOC, i, NULL));
            differs += hit != pattern[i];
            pattern[i] = hit;
            hits += hit;
        }
        /* Six standard deviations of a binomial are below 430. */
        cr_assert_lt(abs((int)hits - (int)(DRAWS / 1000 * permille)), 430);
        cr_assert(permille != 0 || hits == 0);
        cr_assert(permille != 1000 || hits == DRAWS);
        cr_assert(permille == 0 || differs > 0);
        ryz_faults_close(a);
        ryz_faults_close(b);
    }
}

Test(fault, operations_outside_the_window_do_not_shift_the_pattern)
{
    const struct ryz_fault plan[] = {{"f", RYZ_FAULT_KV_ALLOC, RYZ_FAULT_FAIL, 100, 200, 500, 0}};
    struct ryz_faults *a = open_plan(plan, 1, 9), *b = open_plan(plan, 1, 9);
    for (int i = 0; i < 37; i++) (void)ryz_fault_hit(b, RYZ_FAULT_KV_ALLOC, 5, NULL);
    for (int64_t t = 100; t < 200; t++)
        cr_assert_eq(ryz_fault_hit(a, RYZ_FAULT_KV_ALLOC, t, NULL),
                     ryz_fault_hit(b, RYZ_FAULT_KV_ALLOC, t, NULL));
    ryz_faults_close(a);
    ryz_faults_close(b);
}

Test(fault, names_of_points_read_back)
{
    enum ryz_fault_point point = RYZ_FAULT_POINT_COUNT;
    for (unsigned i = 0; i < RYZ_FAULT_POINT_COUNT; i++) {
        cr_assert(ryz_fault_point_parse(ryz_fault_point_name((enum ryz_fault_point)i), &point));
        cr_assert_eq((unsigned)point, i);
    }
    cr_assert_not(ryz_fault_point_parse("engine.nothing", &point));
    cr_assert_str_eq(ryz_fault_point_name(RYZ_FAULT_POINT_COUNT), "unknown");
}

Test(fault, every_point_allows_at_least_one_action_and_not_all)
{
    for (unsigned p = 0; p < RYZ_FAULT_POINT_COUNT; p++) {
        unsigned allowed = 0;
        for (unsigned a = RYZ_FAULT_DELAY; a <= RYZ_FAULT_KILL; a++)
            allowed += ryz_fault_point_allows((enum ryz_fault_point)p, (enum ryz_fault_action)a);
        cr_assert(allowed >= 1 && allowed < 4, "%s", ryz_fault_point_name((enum ryz_fault_point)p));
    }
}

Test(fault, bad_plans_are_refused_with_a_reason)
{
    const struct ryz_fault good = {"f", RYZ_FAULT_ENGINE_STEP, RYZ_FAULT_DELAY, 100, 200, 1000, 7};
    struct ryz_fault bad[6];
    for (size_t i = 0; i < RYZ_COUNT_OF(bad); i++) bad[i] = good;
    bad[0].at_ns = -1;
    bad[1].until_ns = 50;
    bad[2].permille = 1001;
    bad[3].value_ns = -5;
    bad[4].action = RYZ_FAULT_KILL;
    memset(bad[5].name, 'x', sizeof bad[5].name);
    for (size_t i = 0; i < RYZ_COUNT_OF(bad); i++) {
        struct ryz_faults *plan = NULL;
        struct ryz_error error = {.text = ""};
        cr_assert_eq(ryz_faults_open(&bad[i], 1, 1, &plan, &error), RYZ_INVALID, "case %zu", i);
        cr_assert_null(plan);
        cr_assert_neq(error.text[0], '\0');
    }
    static struct ryz_fault many[RYZ_FAULTS_MAX + 1];
    for (size_t i = 0; i < RYZ_COUNT_OF(many); i++) many[i] = good;
    struct ryz_faults *plan = NULL;
    cr_assert_eq(ryz_faults_open(many, RYZ_FAULTS_MAX + 1, 1, &plan, NULL), RYZ_FULL);
    cr_assert_eq(ryz_faults_open(many, RYZ_FAULTS_MAX, 1, &plan, NULL), RYZ_OK);
    ryz_faults_close(plan);
}

Test(fault, the_share_at_a_time_needs_no_draw_and_says_when_it_changes)
{
    const struct ryz_fault plan[] = {
        {"a", RYZ_FAULT_KV_ALLOC, RYZ_FAULT_FAIL, 100, 300, 500, 0},
        {"b", RYZ_FAULT_KV_ALLOC, RYZ_FAULT_FAIL, 200, 400, 200, 0},
        {"c", RYZ_FAULT_ENGINE_STEP, RYZ_FAULT_FAIL, 0, RYZ_TIME_NEVER, 900, 0}};
    static const struct {
        int64_t now_ns, until_ns;
        uint32_t permille;
    } cases[] = {{0, 100, 0},     {99, 100, 0},    {100, 200, 500},         {199, 200, 500},
                 {200, 300, 600}, {300, 400, 200}, {400, RYZ_TIME_NEVER, 0}};
    struct ryz_faults *faults = open_plan(plan, 3, 1);
    for (size_t i = 0; i < RYZ_COUNT_OF(cases); i++) {
        int64_t until_ns = 0;
        cr_assert_eq(ryz_fault_share(faults, RYZ_FAULT_KV_ALLOC, cases[i].now_ns, &until_ns),
                     cases[i].permille, "case %zu", i);
        cr_assert_eq(until_ns, cases[i].until_ns, "case %zu", i);
    }
    cr_assert_eq(ryz_fault_share(NULL, RYZ_FAULT_KV_ALLOC, 0, NULL), 0);
    cr_assert_eq(ryz_fault_hits(faults, 0), 0);
    ryz_faults_close(faults);
}
