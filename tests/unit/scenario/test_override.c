/*
 * Goal: --set changes what the file says, with the same checks; its messages name it.
 */
#include "tests/unit/scenario/support.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

TestSuite(override, .init = support_open, .fini = support_close);

#define SET(...) ((const char *const[]){__VA_ARGS__, NULL})

Test(override, wins_over_the_file_and_the_last_one_wins)
{
    struct ryz_plan *plan =
        support_plan(GOOD "timeout = 5 s\n", SET("traffic.main.timeout=7s", "engine.max_batch=3",
                                                 "engine.max_batch = 4 ", "output.spans=off"));
    cr_assert_eq(plan->traffic[0].timeout_ns, INT64_C(7000000000));
    cr_assert_eq(plan->engine.max_batch, 4);
    cr_assert_not(plan->output.spans);
    ryz_plan_close(plan);
}

Test(override, adds_targets_and_axes)
{
    struct ryz_plan *plan = support_plan(GOOD "[targets]\nttft.p99 = <= 1 s\n",
                                         SET("targets.ttft.p99=<= 2 s", "targets.errors=== 0",
                                             "sweep.engine.max_batch=1 2", "sweep.order=shuffled"));
    cr_assert_eq(plan->target_count, 2);
    cr_assert_eq(plan->targets[0].value, 2e9);
    cr_assert_eq(plan->targets[1].op, RYZ_OP_EQ);
    cr_assert_eq(ryz_plan_point_count(plan), 2);
    cr_assert(plan->sweep.shuffled);
    ryz_plan_close(plan);
}

Test(override, replaces_a_swept_axis)
{
    struct ryz_plan *plan =
        support_plan(GOOD "[sweep]\nengine.max_batch = 1 2 3\n", SET("sweep.engine.max_batch=8"));
    cr_assert_eq(ryz_plan_point_count(plan), 1);
    cr_assert_eq(plan->engine.max_batch, 8);
    ryz_plan_close(plan);
}

static void expect(const char *setting, const char *says)
{
    struct ryz_plan *plan = NULL;
    struct ryz_error error = {.text = ""};
    cr_assert_eq(support_try(GOOD "[sweep]\nengine.max_queue = 1 2\n", SET(setting), &plan, &error),
                 RYZ_INVALID, "%s was taken", setting);
    cr_assert_null(plan);
    cr_assert_not_null(strstr(error.text, says), "%s", error.text);
    cr_assert_eq(strncmp(error.text, "--set ", 6), 0, "%s", error.text);
}

Test(override, mistakes_name_the_setting)
{
    expect("engine.max_batch", "--set engine.max_batch: write it like --set engine.max_batch=4");
    expect("=4", "write it like");
    expect("engine.max_batch=", "[engine] max_batch: there is no value");
    expect("engine.max_batch=0", "--set engine.max_batch=0: [engine] max_batch: \"0\" is out of");
    expect("engine.kv=4", "\"4\" has no unit");
    expect("engin.kv=4", "there is no section [engin]; did you mean \"engine\"?");
    expect("engine.kvv=4", "[engine] has no key \"kvv\"; did you mean \"kv\"?");
    expect("engine=4", "\"engine\" is no path to a key");
    expect("traffic.man.rate=4/s", "there is no section [traffic.man]; did you mean \"main\"?");
    expect("traffic.rate=4/s", "write it like \"traffic.NAME.key\"");
    expect("scenario.include=x", "include can only be written in the file");
    expect("engine.max_queue=3", "this key is swept; set the axis instead: --set "
                                 "\"sweep.engine.max_queue=3\"");
    expect("sweep.engine.max_batch=0", "[sweep] engine.max_batch: \"0\" is out of range");
    expect("targets.ttft.p99=5 ms", "has no comparison");
    expect("sweep.foo=1", "[sweep] has no key \"foo\"");
}

Test(override, endless_settings_are_refused)
{
    char endless[2000];
    struct ryz_plan *plan = NULL;
    struct ryz_error error;
    memset(endless, 'x', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    endless[1000] = '=';
    cr_assert_eq(support_try(GOOD, SET(endless), &plan, &error), RYZ_INVALID);
    cr_assert_not_null(strstr(error.text, "too long"), "%s", error.text);
    (void)memcpy(endless, "model.path=", 11);
    cr_assert_eq(support_try(GOOD, SET(endless), &plan, &error), RYZ_INVALID);
}

Test(override, a_model_path_is_relative_to_where_ryz_is_started)
{
    struct ryz_plan *plan = support_plan(GOOD, SET("model.path=text.txt"));
    cr_assert_str_eq(plan->model_path, "text.txt");
    ryz_plan_close(plan);
}

Test(override, changing_the_arrival_leaves_leftovers_alone)
{
    struct ryz_plan *plan =
        support_plan(GOOD, SET("traffic.main.arrival=poisson", "traffic.main.rate=5/s"));
    cr_assert_eq(plan->traffic[0].arrival, RYZ_ARRIVAL_POISSON);
    ryz_plan_close(plan);
}
