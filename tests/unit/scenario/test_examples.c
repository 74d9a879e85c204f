/*
 * Goal: three scenarios of the size people write are read whole: a trace, chaos over HTTP, and
 * quantisation x batch.
 */
#include "engine/base/clock.h"
#include "tests/unit/scenario/support.h"

#include <criterion/criterion.h>
#include <glob.h>
#include <string.h>

TestSuite(examples, .init = support_open, .fini = support_close);

static const char baseline[] =
    "; Baseline latency on real traffic: five minutes of a trace at a quarter of its speed.\n"
    "[scenario]\n"
    "name        = base_azure_conv\n"
    "schema      = 1\n"
    "seed        = 20231116\n"
    "repeats     = 5                  ; independent runs; gives the confidence intervals\n"
    "mode        = performance        ; performance | accuracy | both\n"
    "\n"
    "[engine]\n"
    "target      = embedded           ; embedded (in process) | http | simulator\n"
    "backend     = cpu\n"
    "scheduler   = fcfs\n"
    "max_batch   = 16\n"
    "kv          = 512 MiB\n"
    "\n"
    "[model]\n"
    "path        = model.gguf\n"
    "\n"
    "[traffic.warmup]\n"
    "arrival     = closed\n"
    "concurrency = 4\n"
    "requests    = 50\n"
    "measure     = no\n"
    "\n"
    "[traffic.main]\n"
    "arrival     = trace\n"
    "trace       = trace.csv\n"
    "format      = azure\n"
    "window      = 0s .. 300s         ; slice, in trace time\n"
    "speed       = 0.25               ; 0.25 = four times slower\n"
    "scale_tokens = 0.125             ; shrink prompts and outputs for a small model\n"
    "measure     = steady             ; yes | no | steady (cut ramp and drain)\n"
    "\n"
    "[targets]\n"
    "ttft.p99        = <= 250 ms      ; latency counts from the scheduled arrival\n"
    "tpot.p99        = <= 60 ms\n"
    "e2e.p99         = <= 8 s\n"
    "errors          = <= 0.1 %\n"
    "goodput.ratio   = >= 99 %\n"
    "trace.coverage  = == 100 %\n"
    "harness.lag.p99 = <= 5 %\n"
    "\n"
    "[output]\n"
    "dir         = results\n"
    "hdf5        = {name}-{commit}-{time}.h5\n"
    "tokens      = on                 ; per-token times\n"
    "spans       = on\n"
    "plots       = cdf timeline gantt\n";

Test(examples, baseline_on_a_trace)
{
    struct ryz_plan *plan = support_plan(baseline, NULL);
    cr_assert_eq(plan->traffic_count, 2);
    cr_assert_eq(plan->traffic[0].measure, RYZ_MEASURE_NO);
    const struct ryz_traffic_plan *main_traffic = &plan->traffic[1];
    cr_assert(main_traffic->arrival == RYZ_ARRIVAL_TRACE &&
              main_traffic->format == RYZ_TRACE_AZURE);
    cr_assert_eq(main_traffic->window_end_ns, 300 * RYZ_NS_PER_S);
    cr_assert(main_traffic->speed == 0.25 && main_traffic->scale_tokens == 0.125);
    cr_assert(main_traffic->measure == RYZ_MEASURE_STEADY && plan->repeats == 5);
    cr_assert_eq(plan->target_count, 7);
    cr_assert_float_eq(plan->targets[3].value, 0.001, 1e-12);
    cr_assert_str_eq(plan->output.plots, "cdf timeline gantt");
    ryz_plan_close(plan);
}

static const char chaos[] =
    "; Does the service bend, not break? Poisson load, five faults.\n"
    "[scenario]\n"
    "name        = chaos_serving\n"
    "schema      = 1\n"
    "seed        = 7\n"
    "repeats     = 3\n"
    "\n"
    "[engine]\n"
    "target      = http\n"
    "url         = http://127.0.0.1:8080/v1\n"
    "spawn       = ryz serve --model {model} --port 8080 --control {control}\n"
    "\n"
    "[model]\n"
    "path        = model.gguf\n"
    "\n"
    "[traffic.interactive]\n"
    "arrival     = poisson\n"
    "rate        = 6 /s\n"
    "duration    = 240s\n"
    "prompt      = lognormal mean=180 sd=90 max=512\n"
    "output      = lognormal mean=48 sd=24 max=128\n"
    "priority    = high\n"
    "slo         = ttft<=400ms tpot<=80ms\n"
    "\n"
    "[traffic.batch]\n"
    "arrival     = constant\n"
    "rate        = 2 /s\n"
    "duration    = 240s\n"
    "prompt      = uniform 200..600\n"
    "output      = uniform 64..128\n"
    "priority    = low\n"
    "\n"
    "[fault.slow_decode]\n"
    "at          = 30s\n"
    "for         = 20s\n"
    "where       = engine.decode\n"
    "do          = delay 40ms\n"
    "\n"
    "[fault.kv_pressure]\n"
    "at          = 60s\n"
    "for         = 20s\n"
    "where       = kv.alloc\n"
    "do          = fail 30%\n"
    "\n"
    "[fault.kill_server]\n"
    "at          = 100s\n"
    "where       = server\n"
    "do          = kill\n"
    "\n"
    "[fault.bad_network]\n"
    "at          = 140s\n"
    "for         = 15s\n"
    "where       = net.write\n"
    "do          = reset 5%\n"
    "\n"
    "[fault.flaky_model]\n"
    "at          = 180s\n"
    "for         = 20s\n"
    "where       = engine.prefill\n"
    "do          = error 60%\n"
    "\n"
    "[targets]\n"
    "lost            = == 0           ; every request ends in an answer or a typed error\n"
    "errors          = <= 5 %\n"
    "interactive.goodput.ratio = >= 90 %\n"
    "isolation       = <= 1.5 x\n";

Test(examples, chaos_over_http)
{
    struct ryz_plan *plan = support_plan(chaos, NULL);
    cr_assert(plan->fault_count == 5 && plan->traffic_count == 2 && plan->target_count == 4);
    cr_assert(plan->traffic[0].priority == 0 && plan->traffic[1].priority == 2);
    cr_assert_eq(plan->traffic[0].slo.tpot_ns, 80 * RYZ_NS_PER_MS);
    cr_assert(plan->faults[2].action == RYZ_FAULT_KILL &&
              plan->faults[2].point == RYZ_FAULT_SERVER);
    cr_assert(plan->faults[3].permille == 50 && plan->faults[4].permille == 600);
    cr_assert_eq(plan->targets[3].value, 1.5);
    ryz_plan_close(plan);
}

static const char quant_batch[] =
    "; Quantisation x batch: size, speed and accuracy on one plot.\n"
    "[scenario]\n"
    "name        = quant_batch\n"
    "schema      = 1\n"
    "seed        = 42\n"
    "repeats     = 3\n"
    "mode        = both               ; performance, then accuracy on the same binary\n"
    "\n"
    "[engine]\n"
    "target      = embedded\n"
    "quant       = bf16               ; overridden by [sweep]\n"
    "max_batch   = 8\n"
    "\n"
    "[model]\n"
    "path        = model.gguf\n"
    "\n"
    "[traffic.main]\n"
    "arrival     = closed\n"
    "concurrency = 32\n"
    "requests    = 400\n"
    "prompt      = fixed 256\n"
    "output      = fixed 64\n"
    "ignore_eos  = yes\n"
    "\n"
    "[accuracy]\n"
    "set         = text.txt\n"
    "metric      = perplexity\n"
    "against     = bf16\n"
    "\n"
    "[sweep]\n"
    "engine.quant     = bf16 q8_0 q4_0\n"
    "engine.max_batch = 1 4 8 16 32\n"
    "order       = shuffled           ; seeded\n"
    "cooldown    = 5s\n"
    "\n"
    "[targets]\n"
    "q8_0.model.size      = >= 1.85 x ; smaller than bf16 by\n"
    "q4_0.model.size      = >= 3.3 x\n"
    "q8_0.accuracy.loss   = <= 1 %\n"
    "\n"
    "[output]\n"
    "tokens      = off\n"
    "plots       = pareto heatmap\n";

Test(examples, quantisation_and_batch)
{
    struct ryz_plan *plan = support_plan(quant_batch, NULL), *point = NULL;
    cr_assert(plan->mode == RYZ_MODE_BOTH && plan->accuracy.enabled);
    cr_assert_eq(ryz_plan_point_count(plan), 15);
    cr_assert(plan->sweep.shuffled && plan->sweep.cooldown_ns == 5 * RYZ_NS_PER_S);
    cr_assert_eq(ryz_plan_point(plan, 14, &point, NULL, 0, NULL), RYZ_OK);
    cr_assert_str_eq(point->engine.quant, "q4_0");
    cr_assert(point->engine.max_batch == 32 && point->target_count == 3);
    cr_assert_not(point->output.tokens);
    ryz_plan_close(point);
    ryz_plan_close(plan);
}

Test(examples, the_scenarios_of_the_repository_have_no_mistake)
{
    glob_t found;
    cr_assert_eq(glob(RYZ_SOURCE_DIR "/scenarios/*.ini", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        struct ryz_plan *plan = NULL;
        struct ryz_error error = {.text = ""};
        enum ryz_status status = ryz_plan_open(found.gl_pathv[i], NULL, &plan, &error);
        /* Models and traces may be absent here; the text is right all the same. */
        cr_assert(status == RYZ_OK || status == RYZ_NOT_FOUND, "%s", error.text);
        ryz_plan_close(plan);
    }
    cr_assert_geq(found.gl_pathc, 1);
    globfree(&found);
}
