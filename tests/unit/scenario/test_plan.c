/*
 * Goal: a plan holds defaults and settings in base units. Method: small scenarios, field by field.
 */
#include "engine/base/clock.h"
#include "tests/unit/scenario/support.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(plan, .init = support_open, .fini = support_close);

Test(plan, a_minimal_scenario_has_all_defaults)
{
    struct ryz_plan *plan = support_plan(GOOD, NULL);
    cr_assert_str_eq(plan->name, "x");
    cr_assert_str_eq(plan->title, "x", "without a comment the title is the name");
    cr_assert(plan->seed == 1 && plan->repeats == 1 && plan->schema == 1);
    cr_assert(plan->mode == RYZ_MODE_PERFORMANCE && !plan->accuracy.enabled);
    const struct ryz_engine_plan *engine = &plan->engine;
    cr_assert_eq(engine->target, RYZ_TARGET_EMBEDDED);
    cr_assert_str_eq(engine->backend, "cpu");
    cr_assert_str_eq(engine->isa, "auto");
    cr_assert_str_eq(engine->scheduler, "fcfs");
    cr_assert_str_eq(engine->quant, "as_is");
    cr_assert_str_eq(engine->kv_type, "bf16");
    cr_assert(engine->threads == 0 && engine->max_batch == 16 && engine->max_queue == 256);
    cr_assert(engine->max_batch_tokens == 512 && engine->prefill_chunk == 256);
    cr_assert(engine->kv_bytes == UINT64_C(256) << 20 && engine->step_ns_max == 0 &&
              engine->itl_target_ns == 0);
    cr_assert(engine->queue_tokens == 0 && engine->queue_wait_ns == 0 && engine->starve_ns == 0);
    cr_assert(engine->admit_late);
    cr_assert_str_empty(engine->url);
    const struct ryz_traffic_plan *traffic = &plan->traffic[0];
    cr_assert_eq(plan->traffic_count, 1);
    cr_assert_str_eq(traffic->name, "main");
    cr_assert(traffic->arrival == RYZ_ARRIVAL_CLOSED && traffic->concurrency == 2);
    cr_assert(traffic->requests == 10 && traffic->duration_ns == 0);
    cr_assert(traffic->prompt.min == 128 && traffic->output.max == 32 && traffic->ignore_eos);
    cr_assert(traffic->window_begin_ns == 0 && traffic->window_end_ns == RYZ_TIME_NEVER);
    cr_assert(traffic->speed == 1.0 && traffic->scale_tokens == 1.0 && traffic->priority == 1);
    cr_assert(traffic->slo.ttft_ns == RYZ_TIME_NEVER && traffic->slo.e2e_ns == RYZ_TIME_NEVER);
    cr_assert(traffic->timeout_ns == 60 * RYZ_NS_PER_S && traffic->measure == RYZ_MEASURE_YES);
    cr_assert(traffic->first_deadline_ns == 0 && traffic->deadline_ns == 0);
    cr_assert_str_eq(traffic->tenant, "default");
    cr_assert_str_eq(plan->output.dir, "results");
    cr_assert_str_eq(plan->output.plots, "none");
    cr_assert(plan->output.tokens && plan->output.spans);
    cr_assert(plan->fault_count == 0 && plan->target_count == 0 && plan->sweep.axis_count == 0);
    ryz_plan_close(plan);
}

Test(plan, the_queues_bounds_and_deadlines_are_optional_times)
{
    struct ryz_plan *plan = support_plan(
        GOOD "priority = high\ntenant = batch_7\nttft_deadline = 250 ms\ndeadline = 1.5 s\n"
             "[engine]\nqueue_tokens = 8192\nqueue_wait = 2 s\nstarvation = 30 s\n"
             "admit_late = no\nitl_target = 40 ms\n",
        NULL);
    const struct ryz_traffic_plan *traffic = &plan->traffic[0];
    const struct ryz_engine_plan *engine = &plan->engine;
    cr_assert_eq(traffic->priority, 0);
    cr_assert_str_eq(traffic->tenant, "batch_7");
    cr_assert_eq(traffic->first_deadline_ns, 250 * RYZ_NS_PER_MS);
    cr_assert_eq(traffic->deadline_ns, 1500 * RYZ_NS_PER_MS);
    cr_assert_eq(engine->queue_tokens, 8192);
    cr_assert_eq(engine->queue_wait_ns, 2 * RYZ_NS_PER_S);
    cr_assert_eq(engine->starve_ns, 30 * RYZ_NS_PER_S);
    cr_assert_not(engine->admit_late);
    cr_assert_eq(engine->itl_target_ns, 40 * RYZ_NS_PER_MS);
    ryz_plan_close(plan);
}

Test(plan, faults_have_absolute_ends)
{
    struct ryz_plan *plan = support_plan(
        GOOD "[fault.a]\nat = 30 s\nfor = 20 s\nwhere = engine.decode\ndo = delay 40 ms\n"
             "share = 25 %\n"
             "[fault.b]\nat = 1 min\nwhere = kv.alloc\ndo = fail 30 %\n",
        NULL);
    cr_assert_eq(plan->fault_count, 2);
    const struct ryz_fault *a = &plan->faults[0], *b = &plan->faults[1];
    cr_assert_str_eq(a->name, "a");
    cr_assert(a->at_ns == 30 * RYZ_NS_PER_S && a->until_ns == 50 * RYZ_NS_PER_S);
    cr_assert(a->permille == 250 && a->value_ns == 40 * RYZ_NS_PER_MS);
    cr_assert(b->at_ns == 60 * RYZ_NS_PER_S && b->until_ns == RYZ_TIME_NEVER);
    cr_assert(b->permille == 300 && b->action == RYZ_FAULT_FAIL);
    struct ryz_faults *armed = NULL;
    cr_assert_eq(ryz_faults_open(plan->faults, plan->fault_count, 1, &armed, NULL), RYZ_OK);
    ryz_faults_close(armed);
    ryz_plan_close(plan);
}

Test(plan, targets_keep_text_value_and_unit)
{
    struct ryz_plan *plan = support_plan(GOOD "[targets]\n"
                                              "ttft.p99 = <= 250 ms\n"
                                              "goodput.ratio = >= 99 %\n"
                                              "lost = == 0\n"
                                              "rate = > 1.5e1 /s\n"
                                              "kv.peak = < 2 GiB\n",
                                         NULL);
    static const struct {
        enum ryz_op op;
        double value;
        const char *unit, *text;
    } wanted[] = {{RYZ_OP_LE, 250e6, "ms", "<= 250 ms"},
                  {RYZ_OP_GE, 0.99, "%", ">= 99 %"},
                  {RYZ_OP_EQ, 0, "", "== 0"},
                  {RYZ_OP_GT, 15, "/s", "> 1.5e1 /s"},
                  {RYZ_OP_LT, 2147483648.0, "GiB", "< 2 GiB"}};
    cr_assert_eq(plan->target_count, 5);
    for (uint32_t i = 0; i < 5; i++) {
        const struct ryz_target_plan *target = &plan->targets[i];
        cr_assert_eq(target->op, wanted[i].op);
        cr_assert_float_eq(target->value, wanted[i].value, 1e-9);
        cr_assert_str_eq(target->unit, wanted[i].unit);
        cr_assert_str_eq(target->text, wanted[i].text);
    }
    ryz_plan_close(plan);
}

Test(plan, a_target_may_be_a_multiple_of_another_metric)
{
    struct ryz_plan *plan =
        support_plan(GOOD "[targets]\n"
                          "edf.deadline.goodput = >= 1.5 x of fcfs.deadline.goodput\n"
                          "a.5/s.ttft.p99 = <= 120 %  of  b.1/s.ttft.p99 + b.step.max ; why\n"
                          "ttft.p99 = <= 250 ms\n",
                     NULL);
    cr_assert_eq(plan->target_count, 3);
    cr_assert_str_eq(plan->targets[0].of, "fcfs.deadline.goodput");
    cr_assert_str_eq(plan->targets[0].plus, "");
    cr_assert_str_eq(plan->targets[0].unit, "x");
    cr_assert_eq(plan->targets[0].value, 1.5);
    cr_assert_str_eq(plan->targets[0].where, "s.ini:11");
    cr_assert_str_eq(plan->targets[1].metric, "a.5/s.ttft.p99");
    cr_assert_str_eq(plan->targets[1].of, "b.1/s.ttft.p99");
    cr_assert_str_eq(plan->targets[1].plus, "b.step.max");
    cr_assert_float_eq(plan->targets[1].value, 1.2, 1e-9);
    cr_assert(plan->targets[2].of[0] == '\0' && plan->targets[2].plus[0] == '\0');
    ryz_plan_close(plan);
}

Test(plan, an_automatic_chunk_fits_the_step)
{
    struct ryz_plan *plan = support_plan(GOOD "[engine]\nmax_batch_tokens = 64\n", NULL);
    cr_assert_eq(plan->engine.prefill_chunk, 64);
    ryz_plan_close(plan);
}

Test(plan, an_accuracy_run_needs_no_traffic)
{
    struct ryz_plan *plan =
        support_plan("[scenario]\nname = x\nschema = 1\nmode = accuracy\n[model]\n"
                     "path = model.gguf\n[accuracy]\nset = text.txt\nagainst = bf16\n",
                     NULL);
    cr_assert(plan->accuracy.enabled && plan->traffic_count == 0);
    cr_assert_str_eq(plan->accuracy.set, "text.txt");
    cr_assert_str_eq(plan->accuracy.against, "bf16");
    cr_assert(plan->accuracy.tokens_max == 4096 && plan->accuracy.context == 512);
    ryz_plan_close(plan);
}

Test(plan, the_bytes_of_the_file_are_kept)
{
    const char *text = "; A title, whole\n" GOOD "; end";
    struct ryz_plan *plan = support_plan(text, NULL);
    cr_assert_str_eq(plan->title, "A title, whole");
    cr_assert_eq(plan->source_bytes, strlen(text));
    cr_assert_str_eq(plan->source, text);
    cr_assert_str_eq(plan->source_path, "s.ini");
    ryz_plan_close(plan);
    ryz_plan_close(NULL);
}
