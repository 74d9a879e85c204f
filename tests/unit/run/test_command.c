/*
 * Goal: the command line of a served scenario carries the model, the socket and the engine's keys.
 * Method: plans filled by hand, texts compared; tests/e2e/chaos.py starts a real server so.
 */
#include "harness/run/command.h"

#include "engine/base/clock.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct ryz_plan plan_of(const char *spawn)
{
    struct ryz_plan plan = {.seed = 7};
    struct ryz_engine_plan *engine = &plan.engine;
    (void)snprintf(engine->spawn, sizeof engine->spawn, "%s", spawn);
    (void)snprintf(plan.model_path, sizeof plan.model_path, "my models/a\\b.gguf");
    (void)snprintf(engine->isa, sizeof engine->isa, "avx2");
    (void)snprintf(engine->quant, sizeof engine->quant, "q8_0");
    (void)snprintf(engine->kv_type, sizeof engine->kv_type, "int8");
    (void)snprintf(engine->scheduler, sizeof engine->scheduler, "fcfs");
    (void)snprintf(engine->admit, sizeof engine->admit, "prompt");
    (void)snprintf(engine->speculate, sizeof engine->speculate, "off");
    engine->max_batch = 8;
    engine->max_batch_tokens = 256;
    engine->prefill_chunk = 128;
    engine->max_queue = 32;
    engine->admit_late = true;
    engine->prefix_cache = true;
    engine->kv_bytes = 1 << 20;
    return plan;
}

Test(command, paths_stay_one_word)
{
    char out[512] = "";
    struct ryz_plan plan = plan_of("ryz serve --model {model} --control {control} {nothing}");
    cr_assert(ryz_command_fill(&plan, "/tmp/a b/socket", out, sizeof out));
    cr_assert_str_eq(out, "ryz serve --model my\\ models/a\\\\b.gguf --control /tmp/a\\ b/socket "
                          "{nothing}");
}

Test(command, the_engine_section_becomes_options)
{
    char out[512] = "";
    struct ryz_plan plan = plan_of("ryz serve {engine} --port 1");
    cr_assert(ryz_command_fill(&plan, "", out, sizeof out));
    cr_assert_str_eq(
        out,
        "ryz serve --quant q8_0 --isa avx2 --scheduler fcfs --max-batch 8 "
        "--max-batch-tokens 256 --prefill-chunk 128 --max-queue 32 --admit prompt --kv 1048576B "
        "--kv-type int8 --seed 7 --port 1");
    plan.engine.threads = 2;
    plan.engine.step_ns_max = 12500000;
    cr_assert(ryz_command_fill(&plan, "", out, sizeof out));
    cr_assert_not_null(strstr(out, " --threads 2 --scheduler"));
    cr_assert_not_null(strstr(
        out,
        " --max-queue 32 --admit prompt --step-target 12.5 --kv 1048576B --kv-type int8 --seed"));
    plan.engine.memory.permille = 605;
    plan.engine.kv_bytes = 0;
    cr_assert(ryz_command_fill(&plan, "", out, sizeof out));
    cr_assert_not_null(strstr(out, " --memory 60.5% --kv-type"));
    plan.engine.memory = (struct ryz_memory_plan){.bytes = 1 << 30};
    plan.engine.kv_bytes = 1 << 20;
    cr_assert(ryz_command_fill(&plan, "", out, sizeof out));
    cr_assert_not_null(strstr(out, " --memory 1073741824B --kv 1048576B"));
    plan.engine.memory.bytes = 0;
    plan.engine.kv_shares = (struct ryz_kv_shares_plan){
        .count = 2, .of = {{.tenant = "a", .permille = 400}, {.tenant = "b", .permille = 5}}};
    cr_assert(ryz_command_fill(&plan, "", out, sizeof out));
    cr_assert_not_null(strstr(out, " --kv-partitions a@40.0%,b@0.5% --kv 1048576B"));
    plan.engine.kv_shares.count = 0;
    plan.engine.queue_tokens = 4000000000;
    plan.engine.queue_wait_ns = 2500 * RYZ_NS_PER_MS;
    plan.engine.starve_ns = 86400 * RYZ_NS_PER_S;
    plan.engine.step_ns_max = 0;
    plan.engine.itl_target_ns = 40 * RYZ_NS_PER_MS;
    plan.engine.admit_late = false;
    plan.engine.kv_host_bytes = 2 << 20;
    (void)snprintf(plan.engine.headroom, sizeof plan.engine.headroom, "fixed");
    cr_assert(ryz_command_fill(&plan, "", out, sizeof out));
    cr_assert_not_null(
        strstr(out, " --max-queue 32 --admit prompt --queue-tokens 4000000000 --queue-wait 2500 "
                    "--starvation 86400000 --itl-target 40 --fixed-headroom --refuse-late --kv "
                    "1048576B --kv-host 2097152B --kv-type int8 --seed"));
}

Test(command, speculation_is_passed_on_with_its_model)
{
    char out[512] = "";
    struct ryz_plan plan = plan_of("ryz serve {engine}");
    plan.engine.draft_tokens = 3;
    (void)snprintf(plan.engine.speculate, sizeof plan.engine.speculate, "lookup");
    cr_assert(ryz_command_fill(&plan, "", out, sizeof out));
    cr_assert_not_null(strstr(out, " --seed 7 --draft-tokens 3 --speculate lookup"));
    cr_assert_null(strstr(out, "--draft-model"));
    (void)snprintf(plan.engine.speculate, sizeof plan.engine.speculate, "draft");
    (void)snprintf(plan.engine.draft_model, sizeof plan.engine.draft_model, "a b.gguf");
    cr_assert(ryz_command_fill(&plan, "", out, sizeof out));
    cr_assert_not_null(strstr(out, " --speculate draft --draft-model a\\ b.gguf"));
}

Test(command, a_command_that_does_not_fit_is_refused)
{
    char out[512] = "";
    struct ryz_plan plan = plan_of("ryz serve --model {model} {engine}");
    cr_assert(ryz_command_fill(&plan, "", out, sizeof out));
    size_t needed = strlen(out) + 1;
    cr_assert(ryz_command_fill(&plan, "", out, needed));
    for (size_t capacity = 1; capacity < needed; capacity++)
        cr_assert_not(ryz_command_fill(&plan, "", out, capacity));
}
