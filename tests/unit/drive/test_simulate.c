/*
 * Goal: the simulated drive makes the same kind of rows as a live one, in virtual time, and is a
 * function of its seeds.
 * Method: a linear cost model; queueing theory and the traffic's own shape say what must come out.
 */
#include "tests/unit/drive/fake_target.h"

#include "engine/base/hash.h"

#include <criterion/criterion.h>
#include <string.h>

#define MS RYZ_NS_PER_MS

static struct fake_target fake; /* its sink only */

static int64_t step_ns(const void *context, const struct ryz_batch_shape *shape)
{
    (void)context;
    return MS + (int64_t)shape->prefill_tokens * 10000 + (int64_t)shape->decode_requests * 100000;
}

static const struct ryz_sim_config sim_config = {
    .core = {.limits = {.batch_requests_max = 4,
                        .batch_tokens_max = 256,
                        .prefill_chunk_max = 128,
                        .kv_block_tokens = 16,
                        .kv_blocks = 200,
                        .queue_requests_max = 10,
                        .context_tokens_max = 512,
                        .step_ns_max = RYZ_TIME_NEVER,
                        .admit_late = true},
             .policy = "fcfs"},
    .world = {.step_ns = step_ns},
};

static uint64_t steps;

static void on_step(void *context, const struct ryz_sim_step *step)
{
    (void)context, (void)step;
    steps++;
}

static struct ryz_drive_summary simulate(const struct ryz_traffic_plan *plan,
                                         struct ryz_drive_options options, uint64_t *digest)
{
    static const uint32_t text[] = {1, 2, 3};
    const struct ryz_prompts prompts = {.bos = RYZ_PROMPT_NO_BOS, .text = text, .text_count = 3};
    const struct ryz_schedule_options schedule_options = {
        .traffic = plan, .traffic_count = 1, .seed = 4, .context_tokens = 512};
    struct ryz_sim_config config = sim_config;
    struct ryz_schedule schedule;
    struct ryz_drive_summary summary;
    struct ryz_error error = {.text = ""};
    fake_open(&fake);
    steps = 0;
    config.faults = options.faults;
    enum ryz_status status = ryz_schedule_open(&schedule_options, &schedule, &error);
    cr_assert_eq(status, RYZ_OK, "%s", error.text);
    options.schedule = &schedule;
    options.prompts = &prompts;
    options.seed = 3;
    options.sink = fake_sink(&fake);
    status = ryz_pacer_simulate(&options, &config, on_step, NULL, digest, &summary, &error);
    cr_assert_eq(status, RYZ_OK, "%s", error.text);
    ryz_schedule_close(&schedule);
    cr_assert_eq(summary.last.ended, fake.row_count);
    cr_assert_eq(summary.last.inflight, 0);
    cr_assert_eq(summary.unreturned, 0);
    cr_assert_eq(summary.lag_max_ns, 0, "virtual clients are never late");
    cr_assert_gt(steps, 0);
    return summary;
}

static struct ryz_traffic_plan plan_of(enum ryz_arrival_kind arrival)
{
    struct ryz_traffic_plan plan = {.name = "sim",
                                    .arrival = arrival,
                                    .prompt = {.kind = RYZ_LENGTH_UNIFORM, .min = 20, .max = 100},
                                    .output = {.kind = RYZ_LENGTH_UNIFORM, .min = 5, .max = 20},
                                    .timeout_ns = 60 * RYZ_NS_PER_S};
    return plan;
}

Test(simulate, gives_every_request_a_row_and_is_repeatable)
{
    struct ryz_traffic_plan plan = plan_of(RYZ_ARRIVAL_POISSON);
    uint64_t digests[2], hashes[2];
    plan.rate_per_s = 40.0;
    plan.requests = 500;
    for (int i = 0; i < 2; i++) {
        (void)simulate(&plan, (struct ryz_drive_options){.t0_ns = 0}, &digests[i]);
        cr_assert_eq(fake.row_count, 500);
        hashes[i] = ryz_hash64(fake.rows, sizeof fake.rows[0] * 500);
        for (uint32_t k = 0; k < 500; k++) {
            const struct ryz_request_row *row = &fake.rows[k];
            cr_assert_eq(row->status, RYZ_REQUEST_OK);
            cr_assert_eq(row->t_send, row->t_sched);
            cr_assert_eq(row->out_tok, row->want_tok);
            cr_assert_eq(row->computed_tok, row->in_tok + row->out_tok - 1 + row->recomputed_tok);
            cr_assert_gt(row->t_first, row->t_sched);
            cr_assert_geq(row->t_last, row->t_first);
            cr_assert_eq(row->t_done, row->t_last);
        }
    }
    cr_assert_eq(digests[0], digests[1]);
    cr_assert_eq(hashes[0], hashes[1]);
}

Test(simulate, closed_loops_follow_at_the_instant_of_completion)
{
    struct ryz_traffic_plan plan = plan_of(RYZ_ARRIVAL_CLOSED);
    plan.concurrency = 3;
    plan.requests = 90;
    (void)simulate(&plan, (struct ryz_drive_options){.t0_ns = 0}, NULL);
    cr_assert_eq(fake.row_count, 90);
    uint32_t at_start = 0, followed = 0;
    for (uint32_t i = 0; i < 90; i++) {
        at_start += fake.rows[i].t_sched == 0;
        for (uint32_t k = 0; k < 90; k++) {
            if (fake.rows[k].t_done != fake.rows[i].t_sched) continue;
            followed++;
            break;
        }
    }
    cr_assert_eq(at_start, 3);
    cr_assert_eq(followed, 87);
}

Test(simulate, an_overloaded_queue_sheds_and_refused_clients_come_back_later)
{
    struct ryz_traffic_plan plan = plan_of(RYZ_ARRIVAL_CLOSED);
    plan.concurrency = 40; /* 4 run, 10 wait */
    plan.requests = 400;
    struct ryz_drive_summary summary =
        simulate(&plan, (struct ryz_drive_options){.t0_ns = 0}, NULL);
    cr_assert_eq(fake.row_count, 400);
    uint32_t shed = 0;
    for (uint32_t i = 0; i < 400; i++) shed += fake.rows[i].status == RYZ_REQUEST_SHED;
    cr_assert_gt(shed, 20);
    cr_assert_lt(shed, 400);
    cr_assert_eq(summary.last.failed, shed);
}

Test(simulate, timeouts_and_disconnects_have_their_status)
{
    struct ryz_traffic_plan plan = plan_of(RYZ_ARRIVAL_CONSTANT);
    struct ryz_fault fault = {.name = "leave",
                              .point = RYZ_FAULT_CLIENT,
                              .action = RYZ_FAULT_DISCONNECT,
                              .until_ns = RYZ_TIME_NEVER,
                              .permille = 300};
    struct ryz_faults *faults = NULL;
    cr_assert_eq(ryz_faults_open(&fault, 1, 1, &faults, NULL), RYZ_OK);
    plan.rate_per_s = 20.0;
    plan.requests = 200;
    plan.output.min = plan.output.max = 20;
    (void)simulate(
        &plan,
        (struct ryz_drive_options){.faults = faults, .plan_faults = &fault, .plan_fault_count = 1},
        NULL);
    uint32_t left = 0;
    for (uint32_t i = 0; i < 200; i++) {
        const struct ryz_request_row *row = &fake.rows[i];
        if (row->status != RYZ_REQUEST_CANCELLED) continue;
        left++;
        cr_assert(row->out_tok >= 1 && row->out_tok <= 10);
        cr_assert_eq(row->fault, 1);
    }
    cr_assert_eq(left, ryz_fault_hits(faults, 0));
    cr_assert(left > 30 && left < 90, "%u", left);
    ryz_faults_close(faults);

    plan.timeout_ns = 5 * MS;
    (void)simulate(&plan, (struct ryz_drive_options){.t0_ns = 0}, NULL);
    for (uint32_t i = 0; i < 200; i++) {
        cr_assert_eq(fake.rows[i].status, RYZ_REQUEST_TIMEOUT);
        cr_assert_eq(fake.rows[i].t_done - fake.rows[i].t_sched, 5 * MS);
    }
}

Test(simulate, a_deadline_of_the_end_ends_a_request)
{
    struct ryz_traffic_plan plan = plan_of(RYZ_ARRIVAL_CONSTANT);
    plan.rate_per_s = 20.0;
    plan.requests = 50;
    plan.first_deadline_ns = 4 * MS;
    plan.deadline_ns = 5 * MS;
    (void)simulate(&plan, (struct ryz_drive_options){.t0_ns = 0}, NULL);
    for (uint32_t i = 0; i < 50; i++) {
        const struct ryz_request_row *row = &fake.rows[i];
        cr_assert_eq(row->first_deadline_ns, row->t_sched + 4 * MS);
        cr_assert_eq(row->deadline_ns, row->t_sched + 5 * MS);
        cr_assert_eq(row->status, RYZ_REQUEST_TIMEOUT);
        cr_assert_eq(row->t_done, row->deadline_ns);
    }
    plan.deadline_ns = RYZ_NS_PER_S;
    (void)simulate(&plan, (struct ryz_drive_options){.t0_ns = 0}, NULL);
    for (uint32_t i = 0; i < 50; i++) cr_assert_eq(fake.rows[i].status, RYZ_REQUEST_OK);
}
