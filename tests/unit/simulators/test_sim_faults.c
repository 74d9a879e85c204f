/*
 * test_sim_faults.c - goal: injected faults strike the simulated engine where and when the plan
 * says. Method: one fault each, times worked out by hand.
 */
#include "engine/base/clock.h"
#include "tests/unit/simulators/sim_rig.h"

#include <criterion/criterion.h>

static struct sim_rig rig;
static struct ryz_faults *faults;

static void open_with(const struct ryz_fault *fault)
{
    struct ryz_sim_config config = sim_rig_config();
    faults = sim_rig_fault(fault);
    config.faults = faults;
    sim_rig_open(&rig, &config);
}

static void submit(uint64_t id, int64_t at_ns, uint32_t prompt, uint32_t output)
{
    struct ryz_sim_request request = sim_rig_request(id, at_ns, prompt, output);
    sim_rig_submit(&rig, &request);
}

static void run_and_close(void)
{
    ryz_sim_run(rig.sim, RYZ_TIME_NEVER);
    cr_assert_eq(ryz_core_stats(ryz_sim_core(rig.sim)).kv_blocks_used, 0u);
    sim_rig_close(&rig);
    ryz_faults_close(faults);
}

Test(sim_faults, a_slow_decode_delays_decodes_only)
{
    open_with(&(struct ryz_fault){.name = "slow",
                                  .point = RYZ_FAULT_ENGINE_DECODE,
                                  .action = RYZ_FAULT_DELAY,
                                  .until_ns = RYZ_TIME_NEVER,
                                  .permille = 1000,
                                  .value_ns = 5000});
    submit(0, 0, 4, 3);
    run_and_close();
    cr_assert_eq(rig.requests[0].token_ns[0], 1040);
    cr_assert_eq(rig.requests[0].token_ns[1], 1040 + 6100);
    cr_assert_eq(rig.requests[0].token_ns[2], 1040 + 2 * 6100);
}

Test(sim_faults, a_delay_ends_with_its_window)
{
    open_with(&(struct ryz_fault){.name = "slow",
                                  .point = RYZ_FAULT_ENGINE_STEP,
                                  .action = RYZ_FAULT_DELAY,
                                  .at_ns = 1000,
                                  .until_ns = 2000,
                                  .permille = 1000,
                                  .value_ns = 700});
    submit(0, 0, 4, 3);
    run_and_close();
    cr_assert_eq(rig.requests[0].token_ns[0], 1040, "begun before the window");
    cr_assert_eq(rig.requests[0].token_ns[1], 1040 + 1800, "begun inside");
    cr_assert_eq(rig.requests[0].token_ns[2], 2840 + 1100, "begun after");
}

Test(sim_faults, a_failed_prefill_ends_its_requests_and_spares_the_waiting)
{
    open_with(&(struct ryz_fault){.name = "flaky",
                                  .point = RYZ_FAULT_ENGINE_PREFILL,
                                  .action = RYZ_FAULT_FAIL,
                                  .until_ns = 500,
                                  .permille = 1000});
    submit(0, 0, 4, 2);
    submit(1, 600, 4, 2);
    run_and_close();
    cr_assert_eq(rig.requests[0].status, RYZ_FAULT);
    cr_assert_eq(rig.requests[0].done_ns, 1000, "a failed step costs an empty one");
    cr_assert_eq(rig.requests[0].tokens, 0u);
    cr_assert(rig.steps[0].failed);
    cr_assert_eq(rig.requests[1].status, RYZ_OK);
    cr_assert_eq(rig.requests[1].token_ns[0], 1000 + 1040);
    cr_assert_eq(rig.steps[0].stats.failed_steps, 1u);
    cr_assert_not(rig.steps[1].failed);
}

static int64_t free_of_charge(const void *context, const struct ryz_batch_shape *shape)
{
    (void)context;
    (void)shape;
    return 0;
}

Test(sim_faults, an_engine_that_always_fails_does_not_stop_time)
{
    struct ryz_sim_config config = sim_rig_config();
    faults = sim_rig_fault(&(struct ryz_fault){.name = "dead",
                                               .point = RYZ_FAULT_ENGINE_STEP,
                                               .action = RYZ_FAULT_FAIL,
                                               .until_ns = RYZ_TIME_NEVER,
                                               .permille = 1000});
    config.faults = faults;
    config.world.step_ns = free_of_charge;
    sim_rig_open(&rig, &config);
    rig.resubmit = 30;
    rig.next_id = 1;
    submit(0, 0, 4, 2);
    ryz_sim_run(rig.sim, 10 * RYZ_NS_PER_US);
    cr_assert_eq(rig.step_count, 10u, "one microsecond each");
    run_and_close();
    for (uint64_t id = 0; id < 31; id++) cr_assert_eq(rig.requests[id].status, RYZ_FAULT);
}

Test(sim_faults, failed_allocations_hold_a_request_until_the_window_ends)
{
    open_with(&(struct ryz_fault){.name = "kv",
                                  .point = RYZ_FAULT_KV_ALLOC,
                                  .action = RYZ_FAULT_FAIL,
                                  .at_ns = 500,
                                  .until_ns = 2 * RYZ_NS_PER_MS + 300,
                                  .permille = 1000});
    submit(0, 0, 2, 2);
    submit(1, 600, 4, 1);
    run_and_close();
    /* Request 0 has its block before the window opens and needs no other. */
    cr_assert_eq(rig.requests[0].token_ns[0], 1020);
    cr_assert_eq(rig.requests[0].token_ns[1], 2120);
    cr_assert_eq(rig.requests[1].token_ns[0], 2 * RYZ_NS_PER_MS + 300 + 1040);
    /* Refused at 1020 beside request 0's decode, at 2120, and a millisecond later. */
    cr_assert_eq(rig.steps[rig.step_count - 1].stats.kv_alloc_failures, 3u);
}

Test(sim_faults, a_share_of_failed_allocations_delays_and_loses_nobody)
{
    open_with(&(struct ryz_fault){.name = "kv",
                                  .point = RYZ_FAULT_KV_ALLOC,
                                  .action = RYZ_FAULT_FAIL,
                                  .until_ns = RYZ_TIME_NEVER,
                                  .permille = 300});
    for (uint64_t id = 0; id < 8; id++) submit(id, (int64_t)id * 100, 6, 10);
    run_and_close();
    for (uint64_t id = 0; id < 8; id++) {
        cr_assert_eq(rig.requests[id].status, RYZ_OK);
        cr_assert_eq(rig.requests[id].tokens, 10u);
    }
    cr_assert_gt(rig.steps[rig.step_count - 1].stats.kv_alloc_failures, 0u);
}

Test(sim_faults, a_slow_prefill_delays_prefills_only)
{
    open_with(&(struct ryz_fault){.name = "slow",
                                  .point = RYZ_FAULT_ENGINE_PREFILL,
                                  .action = RYZ_FAULT_DELAY,
                                  .until_ns = RYZ_TIME_NEVER,
                                  .permille = 1000,
                                  .value_ns = 5000});
    submit(0, 0, 4, 3);
    run_and_close();
    cr_assert_eq(rig.requests[0].token_ns[0], 6040);
    cr_assert_eq(rig.requests[0].token_ns[1], 7140);
    cr_assert_eq(rig.requests[0].token_ns[2], 8240);
}

Test(sim_faults, a_lone_request_tries_again_until_an_allocation_works)
{
    open_with(&(struct ryz_fault){.name = "kv",
                                  .point = RYZ_FAULT_KV_ALLOC,
                                  .action = RYZ_FAULT_FAIL,
                                  .until_ns = RYZ_TIME_NEVER,
                                  .permille = 900});
    submit(0, 0, 4, 20);
    run_and_close();
    cr_assert_eq(rig.requests[0].status, RYZ_OK);
    uint64_t failures = rig.steps[rig.step_count - 1].stats.kv_alloc_failures;
    cr_assert_gt(failures, 5u);
    /* Each failure costs the millisecond until the next try, and nothing else. */
    cr_assert_eq(rig.requests[0].done_ns,
                 (int64_t)failures * RYZ_NS_PER_MS + 1040 + 19 * INT64_C(1100));
}

Test(sim_faults, delays_of_several_faults_add_up)
{
    static const struct ryz_fault plan[] = {{.name = "step",
                                             .point = RYZ_FAULT_ENGINE_STEP,
                                             .action = RYZ_FAULT_DELAY,
                                             .until_ns = RYZ_TIME_NEVER,
                                             .permille = 1000,
                                             .value_ns = 300},
                                            {.name = "decode",
                                             .point = RYZ_FAULT_ENGINE_DECODE,
                                             .action = RYZ_FAULT_DELAY,
                                             .until_ns = RYZ_TIME_NEVER,
                                             .permille = 1000,
                                             .value_ns = 7000}};
    struct ryz_sim_config config = sim_rig_config();
    cr_assert_eq(ryz_faults_open(plan, 2, 3, &faults, NULL), RYZ_OK);
    config.faults = faults;
    sim_rig_open(&rig, &config);
    submit(0, 0, 4, 2);
    run_and_close();
    cr_assert_eq(rig.requests[0].token_ns[0], 1340);
    cr_assert_eq(rig.requests[0].token_ns[1], 1340 + 1100 + 7300);
}
