/*
 * test_sim_replay.c - goal: one scheduler, two drivers. What a simulation logs, a replay decides
 * again to the bit: with noise, faults, timeouts and an online cost fit that steers the chunks.
 * Method: some busy simulated seconds in a few settings, its log replayed, its digest compared.
 */
#include "engine/base/clock.h"
#include "engine/base/rng.h"
#include "engine/sched/event_log.h"
#include "simulators/cost_model.h"
#include "simulators/sim.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct log {
    struct ryz_event *events;
    size_t count, capacity;
};

/* What a run decided and did. */
struct outcome {
    uint64_t digest;
    struct ryz_core_stats stats;
    uint64_t finished, timeouts, faults, refused;
    int64_t end_ns;
};

static struct outcome outcome;
static struct log events;

static void log_event(void *context, const struct ryz_event *event)
{
    struct log *log = context;
    if (log->count == log->capacity) {
        log->capacity = log->capacity == 0 ? 4096 : 2 * log->capacity;
        log->events = realloc(log->events, log->capacity * sizeof *log->events);
        cr_assert_not_null(log->events);
    }
    log->events[log->count++] = *event;
}

static void on_done(void *context, uint64_t id, int64_t now_ns, enum ryz_status status,
                    const struct ryz_waste *waste)
{
    struct outcome *o = context;
    (void)waste;
    (void)id;
    (void)now_ns;
    o->finished += status == RYZ_OK;
    o->timeouts += status == RYZ_TIMEOUT;
    o->faults += status == RYZ_FAULT;
    o->refused += status == RYZ_FULL || status == RYZ_INVALID;
}

/* A small model on two cores. */
static const struct ryz_cost_model world = {.c = {600e3, 15e3, 120e3, 200.0}};

static struct ryz_sim_config busy_config(void)
{
    return (struct ryz_sim_config){
        .core = {.limits = {.batch_requests_max = 16,
                            .batch_tokens_max = 256,
                            .prefill_chunk_max = 128,
                            .kv_block_tokens = 16,
                            .kv_blocks = 80,
                            .queue_requests_max = 64,
                            .context_tokens_max = 1024,
                            .step_ns_max = RYZ_TIME_NEVER,
                            .admit_late = true},
                 .policy = "fcfs",
                 .seed = 77,
                 .log = log_event,
                 .log_context = &events},
        .world = ryz_cost_model_source(&world),
        .noise_cv = 0.15,
        .seed = 78,
    };
}

/* Lengths of the steps that streams waited for. */
struct gaps {
    uint32_t kept, count; /* with a decode; of them, within the target */
    uint32_t low, high;   /* of the batch limit, once it has settled */
    int64_t target_ns, settled_ns;
    int64_t busy_ns; /* of all steps */
};

static struct gaps gaps;

static void note_gap(void *context, const struct ryz_sim_step *step)
{
    (void)context;
    gaps.busy_ns += step->duration_ns;
    if (step->shape.decode_requests == 0 || step->t_ns < gaps.settled_ns) return;
    gaps.count++;
    gaps.kept += step->duration_ns <= gaps.target_ns;
    if (step->stats.batch_limit < gaps.low) gaps.low = step->stats.batch_limit;
    if (step->stats.batch_limit > gaps.high) gaps.high = step->stats.batch_limit;
}

static double mean_gap_ns = 6e6; /* between arrivals */

/* Runs `count` Poisson arrivals through a simulation. */
static void run(const struct ryz_sim_config *config, uint32_t count)
{
    const struct ryz_sim_callbacks callbacks = {
        .context = &outcome, .done = on_done, .step = note_gap};
    struct ryz_sim *sim = NULL;
    struct ryz_error error;
    struct ryz_rng rng;
    double at_ns = 0.0;
    memset(&outcome, 0, sizeof outcome);
    events.count = 0;
    ryz_rng_init(&rng, config->seed, 1);
    cr_assert_eq(ryz_sim_open(config, &callbacks, &sim, &error), RYZ_OK, "%s", error.text);
    for (uint32_t id = 0; id < count; id++) {
        at_ns += -log(1.0 - ryz_rng_unit(&rng)) * mean_gap_ns;
        struct ryz_sim_request request = {
            .id = id,
            .at_ns = (int64_t)at_ns,
            .deadline_ns = RYZ_TIME_NEVER,
            .timeout_ns = ryz_rng_below(&rng, 10) == 0 ? 200 * RYZ_NS_PER_MS : RYZ_TIME_NEVER,
            .prompt_tokens = 1 + (uint32_t)ryz_rng_below(&rng, 300),
            .output_tokens_max = 1 + (uint32_t)ryz_rng_below(&rng, 90),
        };
        request.output_tokens = 1 + (uint32_t)ryz_rng_below(&rng, request.output_tokens_max);
        cr_assert_eq(ryz_sim_submit(sim, &request, &error), RYZ_OK, "%s", error.text);
    }
    ryz_sim_run(sim, RYZ_TIME_NEVER);
    outcome.digest = ryz_core_digest(ryz_sim_core(sim));
    outcome.stats = ryz_core_stats(ryz_sim_core(sim));
    outcome.end_ns = ryz_sim_now_ns(sim);
    cr_assert_eq(outcome.stats.kv_blocks_used, 0u);
    cr_assert_eq(outcome.finished + outcome.timeouts + outcome.faults + outcome.refused, count);
    ryz_sim_close(sim);
}

static void expect_equal_replay(const struct ryz_sim_config *config)
{
    struct ryz_core_stats stats;
    struct ryz_error error;
    uint64_t digest = 0;
    cr_assert_gt(events.count, (size_t)1000);
    cr_assert_eq(
        ryz_event_log_replay(&config->core, events.events, events.count, &digest, &stats, &error),
        RYZ_OK, "%s", error.text);
    cr_assert_eq(digest, outcome.digest);
    cr_assert_eq(memcmp(&stats, &outcome.stats, sizeof stats), 0);
}

static void free_log(void)
{
    free(events.events);
    events = (struct log){0};
}

TestSuite(twin_sim, .fini = free_log);

Test(twin_sim, a_logged_run_replays_to_the_same_digest)
{
    struct ryz_sim_config config = busy_config();
    run(&config, 1500);
    cr_assert_gt(outcome.stats.preempted, 10u, "the run must be a hard one");
    cr_assert_gt(outcome.timeouts, 10u);
    expect_equal_replay(&config);
}

Test(twin_sim, the_online_cost_fit_decides_the_same_again)
{
    struct ryz_sim_config config = busy_config();
    run(&config, 800);
    uint64_t unlimited = outcome.digest;
    config.core.limits.step_ns_max = 2500 * RYZ_NS_PER_US;
    run(&config, 800);
    cr_assert_neq(outcome.digest, unlimited, "the limit must have mattered");
    expect_equal_replay(&config);
}

Test(twin_sim, a_controlled_batch_keeps_its_target_and_replays)
{
    struct ryz_sim_config config = busy_config();
    config.core.limits.kv_blocks = 400;
    run(&config, 800);
    uint64_t unlimited = outcome.digest;
    /* Ten streams beside a block of a prompt take 2.4 ms, seven 2 ms: what noise leaves of 2.5. */
    config.core.limits.itl_target_ns = 2500 * RYZ_NS_PER_US;
    gaps = (struct gaps){.low = UINT32_MAX,
                         .target_ns = config.core.limits.itl_target_ns,
                         .settled_ns = 500 * RYZ_NS_PER_MS};
    run(&config, 800);
    cr_assert_neq(outcome.digest, unlimited);
    expect_equal_replay(&config);
    cr_assert_gt(gaps.count, 500u);
    cr_assert_geq(gaps.kept * 100, gaps.count * 93, "%u of %u", gaps.kept, gaps.count);
    cr_assert(gaps.low >= 4 && gaps.high <= 10, "%u to %u", gaps.low, gaps.high);
}

static uint64_t sum(const uint64_t counts[RYZ_DRAFT_MAX])
{
    uint64_t all = 0;
    for (uint32_t i = 0; i < RYZ_DRAFT_MAX; i++) all += counts[i];
    return all;
}

/* Output tokens a second of steps, in the world whose proposals cost `draft_ns` each. */
static double speed(struct ryz_sim_config *config, double draft_ns, uint32_t draft_tokens)
{
    struct ryz_cost_model model = world;
    model.c[3] = 0.0; /* long contexts would be all that counts */
    model.c[4] = draft_ns;
    config->world = ryz_cost_model_source(&model);
    config->core.limits.draft_tokens_max = draft_tokens;
    gaps = (struct gaps){0};
    run(config, 800);
    expect_equal_replay(config);
    return (double)outcome.stats.tokens_decoded * 1e9 / (double)gaps.busy_ns;
}

/* The same load without proposals, with cheap ones and with dear ones. */
Test(twin_sim, proposals_are_verified_where_they_pay_and_replay)
{
    struct ryz_sim_config config = busy_config();
    config.core.limits.kv_blocks = 400;
    config.core.limits.queue_requests_max = 1000;
    config.draft_accept = 0.8;
    mean_gap_ns = 1e6; /* far too many, so that every batch is full */
    double off = speed(&config, 0.0, 0);
    cr_assert_eq(sum(outcome.stats.drafts_verified), 0u);
    double cheap = speed(&config, 20e3, 4);
    double right =
        (double)outcome.stats.drafts_accepted[0] / (double)outcome.stats.drafts_verified[0];
    cr_assert_gt(outcome.stats.drafts_verified[3], 1000u);
    cr_assert_float_eq(right, 0.8, 0.05, "%g", right);
    cr_assert_gt(cheap, 1.2 * off, "%g of %g", cheap, off);
    /* One of these costs what a step of one stream costs, so that it never pays beside others. */
    double dear = speed(&config, 700e3, 4);
    cr_assert_gt(sum(outcome.stats.drafts_verified), 0u, "it must have tried");
    cr_assert_gt(dear, 0.97 * off, "%g of %g", dear, off);
}

Test(twin_sim, faults_replay_too)
{
    static const struct ryz_fault plan[] = {
        {.name = "kv",
         .point = RYZ_FAULT_KV_ALLOC,
         .action = RYZ_FAULT_FAIL,
         .at_ns = 1 * RYZ_NS_PER_S,
         .until_ns = 3 * RYZ_NS_PER_S,
         .permille = 300},
        {.name = "flaky",
         .point = RYZ_FAULT_ENGINE_PREFILL,
         .action = RYZ_FAULT_FAIL,
         .at_ns = 2 * RYZ_NS_PER_S,
         .until_ns = 4 * RYZ_NS_PER_S,
         .permille = 100},
        {.name = "slow",
         .point = RYZ_FAULT_ENGINE_DECODE,
         .action = RYZ_FAULT_DELAY,
         .at_ns = 3 * RYZ_NS_PER_S,
         .until_ns = 4 * RYZ_NS_PER_S,
         .permille = 1000,
         .value_ns = 4 * RYZ_NS_PER_MS},
    };
    struct ryz_sim_config config = busy_config();
    struct ryz_error error;
    cr_assert_eq(ryz_faults_open(plan, 3, 9, &config.faults, &error), RYZ_OK, "%s", error.text);
    run(&config, 800);
    ryz_faults_close(config.faults);
    cr_assert_gt(outcome.stats.kv_alloc_failures, 10u);
    cr_assert_gt(outcome.faults, 10u);
    expect_equal_replay(&config);
}

Test(twin_sim, one_seed_is_one_run_and_another_seed_is_another)
{
    struct ryz_sim_config config = busy_config();
    run(&config, 300);
    struct outcome first = outcome;
    run(&config, 300);
    cr_assert_eq(memcmp(&first, &outcome, sizeof first), 0);
    config.seed++;
    run(&config, 300);
    cr_assert_neq(first.digest, outcome.digest);
}

/* The fit of a simulated run finds the world it ran in: the way from recorded steps to a simulator
 * that is closed in tests/unit by synthetic samples, here by scheduled ones. */
struct samples {
    struct ryz_cost_sample list[4000];
    size_t count;
};

static void on_step(void *context, const struct ryz_sim_step *step)
{
    struct samples *samples = context;
    if (samples->count == 4000) return;
    samples->list[samples->count++] =
        (struct ryz_cost_sample){.shape = step->shape, .duration_ns = step->duration_ns};
}

Test(twin_sim, recorded_steps_give_back_the_world_they_ran_in)
{
    static struct samples samples;
    const struct ryz_sim_callbacks callbacks = {.context = &samples, .step = on_step};
    struct ryz_sim_config config = busy_config();
    struct ryz_sim *sim = NULL;
    struct ryz_cost_model model;
    struct ryz_error error;
    config.core.log = NULL;
    cr_assert_eq(ryz_sim_open(&config, &callbacks, &sim, &error), RYZ_OK, "%s", error.text);
    for (uint32_t id = 0; id < 400; id++) {
        struct ryz_sim_request request = {.id = id,
                                          .at_ns = id * 8 * RYZ_NS_PER_MS,
                                          .deadline_ns = RYZ_TIME_NEVER,
                                          .timeout_ns = RYZ_TIME_NEVER,
                                          .prompt_tokens = 1 + id * 37 % 300,
                                          .output_tokens = 1 + id * 53 % 90,
                                          .output_tokens_max = 90};
        cr_assert_eq(ryz_sim_submit(sim, &request, &error), RYZ_OK, "%s", error.text);
    }
    ryz_sim_run(sim, RYZ_TIME_NEVER);
    ryz_sim_close(sim);
    cr_assert_gt(samples.count, (size_t)1000);
    cr_assert_eq(ryz_cost_model_fit(samples.list, samples.count, 5, &model, &error), RYZ_OK, "%s",
                 error.text);
    /* Relative least squares weighs steps that noise made short more: a bias of about cv squared.
     */
    cr_assert_lt(fabs(model.bias), 0.05, "bias %g", model.bias);
    cr_assert_float_eq(model.noise_cv, 0.15, 0.02, "cv %g", model.noise_cv);
    for (int i = 0; i < RYZ_COST_TERMS - 1; i++) /* no proposals were made */
        cr_assert_float_eq(model.c[i] / world.c[i], 1.0, 0.25, "term %d: %g", i, model.c[i]);
}
