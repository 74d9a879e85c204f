/*
 * Goal: requests go out on schedule whatever the served system does, latency counts from the
 * schedule, and every request ends in exactly one row.
 * Method: a target in virtual time, so that every time is exact and nothing depends on the machine.
 */
#include "tests/unit/drive/fake_target.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define MS RYZ_NS_PER_MS

static struct fake_target fake;
static const uint32_t text[] = {3, 1, 4, 1, 5, 9, 2, 6};
static const struct ryz_prompts prompts = {
    .seed = 5, .bos = RYZ_PROMPT_NO_BOS, .text = text, .text_count = 8};

static struct ryz_traffic_plan traffic_plan(enum ryz_arrival_kind arrival)
{
    struct ryz_traffic_plan plan = {.arrival = arrival,
                                    .prompt = {.kind = RYZ_LENGTH_UNIFORM, .min = 5, .max = 20},
                                    .output = {.kind = RYZ_LENGTH_FIXED, .min = 4, .max = 4},
                                    .timeout_ns = 60 * RYZ_NS_PER_S,
                                    .priority = 1};
    (void)strcpy(plan.name, "main");
    (void)strcpy(plan.tenant, "default");
    return plan;
}

/* Drives `traffic` against the fake and checks what holds for every drive. */
static struct ryz_drive_summary drive(struct ryz_drive_options options,
                                      const struct ryz_traffic_plan *traffic, uint32_t count)
{
    const struct ryz_schedule_options schedule_options = {
        .traffic = traffic, .traffic_count = count, .seed = 11, .context_tokens = 512};
    struct ryz_schedule schedule;
    struct ryz_drive_summary summary;
    struct ryz_error error = {.text = ""};
    enum ryz_status status = ryz_schedule_open(&schedule_options, &schedule, &error);
    cr_assert_eq(status, RYZ_OK, "%s", error.text);
    options.schedule = &schedule;
    options.prompts = &prompts;
    options.seed = 3;
    options.sink = fake_sink(&fake);
    status = ryz_pacer_run(&options, &fake.base, &fake.clock, &summary, &error);
    cr_assert_eq(status, RYZ_OK, "%s", error.text);
    ryz_schedule_close(&schedule);

    static bool seen[FAKE_ROWS_MAX + 1];
    uint64_t tokens = 0, failed = 0;
    memset(seen, 0, sizeof seen);
    for (uint32_t i = 0; i < fake.row_count; i++) {
        const struct ryz_request_row *row = &fake.rows[i];
        cr_assert(row->id >= 1 && row->id <= fake.row_count && !seen[row->id], "one row each");
        seen[row->id] = true;
        cr_assert_geq(row->t_done, row->t_sched);
        if (row->t_send != RYZ_TIME_NONE) cr_assert_geq(row->t_send, row->t_sched);
        tokens += row->out_tok;
        failed += row->status != RYZ_REQUEST_OK;
    }
    cr_assert_eq(summary.last.ended, fake.row_count);
    cr_assert_eq(summary.last.failed, failed);
    cr_assert_eq(fake.failures, failed);
    cr_assert_eq(summary.last.output_tokens, tokens);
    cr_assert_eq(fake.tokens, tokens);
    cr_assert_eq(fake.spans, fake.row_count);
    cr_assert_eq(summary.last.inflight, 0);
    cr_assert_eq(fake.begins, fake.ends);
    return summary;
}

static int by_schedule(const void *a, const void *b)
{
    const struct ryz_request_row *x = a, *y = b;
    return (x->t_sched > y->t_sched) - (x->t_sched < y->t_sched);
}

Test(pacer, sends_open_traffic_on_schedule)
{
    struct ryz_traffic_plan plan = traffic_plan(RYZ_ARRIVAL_CONSTANT);
    plan.rate_per_s = 100.0;
    plan.duration_ns = 2 * RYZ_NS_PER_S;
    fake_open(&fake);
    fake.now_ns = 5 * RYZ_NS_PER_S;
    struct ryz_drive_summary summary =
        drive((struct ryz_drive_options){.t0_ns = 6 * RYZ_NS_PER_S}, &plan, 1);
    cr_assert_eq(fake.row_count, 200);
    for (uint32_t i = 0; i < 200; i++) {
        const struct ryz_request_row *row = &fake.rows[i];
        cr_assert_eq(row->id, i + 1);
        cr_assert_eq(row->t_sched, i * 10 * MS);
        cr_assert_lt(row->t_send - row->t_sched, 20 * RYZ_NS_PER_US);
        cr_assert_eq(row->status, RYZ_REQUEST_OK);
        cr_assert_eq(row->out_tok, 4);
        cr_assert_geq(row->t_first - row->t_sched, 2 * MS);
        cr_assert_lt(row->t_first - row->t_sched, 3 * MS);
        cr_assert_eq(row->t_last - row->t_first, 3 * MS);
        cr_assert_eq(row->output_hash, fake.rows[0].output_hash);
        cr_assert_neq(row->output_hash, 0);
        cr_assert_neq(row->prompt_hash, 0);
    }
    cr_assert_lt(summary.lag_max_ns, 20 * RYZ_NS_PER_US);
    cr_assert_eq(fake.begins, 1);
    fake_close(&fake);
}

/* Coordinated omission: while the server stalls for 3 s, the client cannot send. 300 requests were
 * due in that time. Counted from the schedule their latencies fall from 3 s to 0; counted from the
 * actual send only one of them looks slow. */
Test(pacer, a_stall_shows_in_latencies_from_the_schedule)
{
    struct ryz_traffic_plan plan = traffic_plan(RYZ_ARRIVAL_CONSTANT);
    plan.rate_per_s = 100.0;
    plan.duration_ns = 10 * RYZ_NS_PER_S;
    fake_open(&fake);
    fake.stall_begin_ns = 4 * RYZ_NS_PER_S;
    fake.stall_end_ns = 7 * RYZ_NS_PER_S;
    (void)drive((struct ryz_drive_options){.t0_ns = 0}, &plan, 1);
    cr_assert_eq(fake.row_count, 1000);
    uint32_t slow_from_schedule = 0, slow_from_send = 0;
    for (uint32_t i = 0; i < fake.row_count; i++) {
        const struct ryz_request_row *row = &fake.rows[i];
        cr_assert_eq(row->status, RYZ_REQUEST_OK);
        slow_from_schedule += row->t_first - row->t_sched > 100 * MS;
        slow_from_send += row->t_first - row->t_send > 100 * MS;
    }
    cr_assert(slow_from_schedule >= 285 && slow_from_schedule <= 295, "%u", slow_from_schedule);
    cr_assert_leq(slow_from_send, 2);
    fake_close(&fake);
}

Test(pacer, closed_traffic_keeps_its_concurrency)
{
    struct ryz_traffic_plan plan = traffic_plan(RYZ_ARRIVAL_CLOSED);
    plan.concurrency = 7;
    plan.requests = 100;
    fake_open(&fake);
    (void)drive((struct ryz_drive_options){.t0_ns = 0}, &plan, 1);
    cr_assert_eq(fake.row_count, 100);
    cr_assert_eq(fake.most_inside, 7);
    qsort(fake.rows, 100, sizeof fake.rows[0], by_schedule);
    for (uint32_t i = 0; i < 7; i++) cr_assert_eq(fake.rows[i].t_sched, 0);
    /* Each later one is due at the very moment an earlier one was done. */
    for (uint32_t i = 7; i < 100; i++) {
        uint32_t ended_then = 0;
        for (uint32_t k = 0; k < 100; k++)
            ended_then += fake.rows[k].t_done == fake.rows[i].t_sched;
        cr_assert_gt(ended_then, 0);
    }
    fake_close(&fake);
}

Test(pacer, closed_traffic_ends_with_its_duration)
{
    struct ryz_traffic_plan plan = traffic_plan(RYZ_ARRIVAL_CLOSED);
    plan.concurrency = 3;
    plan.duration_ns = 500 * MS;
    plan.start_ns = 100 * MS;
    fake_open(&fake);
    (void)drive((struct ryz_drive_options){.t0_ns = 0}, &plan, 1);
    /* 5 ms a request: about 3 * 500 / 5. */
    cr_assert(fake.row_count > 250 && fake.row_count <= 303, "%u", fake.row_count);
    for (uint32_t i = 0; i < fake.row_count; i++) {
        cr_assert_geq(fake.rows[i].t_sched, 100 * MS);
        cr_assert_lt(fake.rows[i].t_sched, 600 * MS);
    }
    fake_close(&fake);
}

Test(pacer, a_request_without_answer_times_out_and_is_cancelled)
{
    struct ryz_traffic_plan plan = traffic_plan(RYZ_ARRIVAL_POISSON);
    plan.rate_per_s = 20.0;
    plan.requests = 30;
    plan.timeout_ns = 700 * MS;
    fake_open(&fake);
    fake.silent = true;
    struct ryz_drive_summary summary = drive((struct ryz_drive_options){.t0_ns = 0}, &plan, 1);
    cr_assert_eq(fake.row_count, 30);
    cr_assert_eq(fake.cancels, 30);
    cr_assert_eq(summary.unreturned, 0);
    for (uint32_t i = 0; i < 30; i++) {
        cr_assert_eq(fake.rows[i].status, RYZ_REQUEST_TIMEOUT);
        cr_assert_eq(fake.rows[i].t_done - fake.rows[i].t_send, 700 * MS);
        cr_assert_eq(fake.rows[i].t_first, RYZ_TIME_NONE);
    }
    fake_close(&fake);
}

Test(pacer, a_target_that_lets_nothing_go_does_not_hold_the_pacer)
{
    struct ryz_traffic_plan plan = traffic_plan(RYZ_ARRIVAL_CONSTANT);
    plan.rate_per_s = 20.0;
    plan.requests = 5;
    plan.timeout_ns = 100 * MS;
    fake_open(&fake);
    fake.silent = fake.holds_ghosts = true;
    struct ryz_drive_summary summary = drive((struct ryz_drive_options){.t0_ns = 0}, &plan, 1);
    cr_assert_eq(summary.unreturned, 5);
    cr_assert_eq(fake.row_count, 5);
    fake_close(&fake);
}

Test(pacer, refusals_are_rows_with_a_status)
{
    const struct {
        enum ryz_status refusal;
        enum ryz_request_status status;
    } cases[] = {{RYZ_FULL, RYZ_REQUEST_SHED},
                 {RYZ_CLOSED, RYZ_REQUEST_SHED},
                 {RYZ_INVALID, RYZ_REQUEST_ERROR_4XX},
                 {RYZ_IO, RYZ_REQUEST_ERROR_5XX},
                 {RYZ_UNAVAILABLE, RYZ_REQUEST_DROPPED_BY_HARNESS}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ryz_traffic_plan plan = traffic_plan(RYZ_ARRIVAL_CLOSED);
        plan.concurrency = 2;
        plan.requests = 20;
        fake_open(&fake);
        fake.refuse_with = cases[i].refusal;
        struct ryz_drive_summary summary = drive((struct ryz_drive_options){.t0_ns = 0}, &plan, 1);
        cr_assert_eq(fake.row_count, 20);
        for (uint32_t k = 0; k < 20; k++) cr_assert_eq(fake.rows[k].status, cases[i].status);
        /* A refused client waits before it comes back: 20 requests by 2 clients are 10 rounds. */
        cr_assert_geq(summary.end_ns, 9 * 50 * MS);
        fake_close(&fake);
    }
}

Test(pacer, arrivals_beyond_the_limit_are_dropped_and_counted)
{
    struct ryz_traffic_plan plan = traffic_plan(RYZ_ARRIVAL_CONSTANT);
    plan.rate_per_s = 1000.0;
    plan.requests = 100;
    fake_open(&fake);
    fake.first_ns = RYZ_NS_PER_S;
    struct ryz_drive_summary summary =
        drive((struct ryz_drive_options){.t0_ns = 0, .inflight_max = 40}, &plan, 1);
    cr_assert_eq(fake.row_count, 100);
    cr_assert_eq(summary.last.dropped, 60);
    cr_assert_eq(summary.last.sent, 40);
    cr_assert_eq(fake.most_inside, 40);
    fake_close(&fake);
}

Test(pacer, injected_disconnects_cancel_in_the_first_half_of_the_answer)
{
    struct ryz_traffic_plan plan = traffic_plan(RYZ_ARRIVAL_CONSTANT);
    struct ryz_fault fault = {.name = "leave",
                              .point = RYZ_FAULT_CLIENT,
                              .action = RYZ_FAULT_DISCONNECT,
                              .at_ns = RYZ_NS_PER_S,
                              .until_ns = 2 * RYZ_NS_PER_S,
                              .permille = 500};
    struct ryz_faults *faults = NULL;
    cr_assert_eq(ryz_faults_open(&fault, 1, 1, &faults, NULL), RYZ_OK);
    plan.rate_per_s = 100.0;
    plan.duration_ns = 3 * RYZ_NS_PER_S;
    plan.output.min = plan.output.max = 20;
    fake_open(&fake);
    (void)drive(
        (struct ryz_drive_options){
            .t0_ns = 0, .faults = faults, .plan_faults = &fault, .plan_fault_count = 1},
        &plan, 1);
    uint32_t left = 0;
    for (uint32_t i = 0; i < fake.row_count; i++) {
        const struct ryz_request_row *row = &fake.rows[i];
        if (row->status == RYZ_REQUEST_OK) {
            cr_assert_eq(row->out_tok, 20);
            cr_assert_eq(row->fault, 0);
            continue;
        }
        cr_assert_eq(row->status, RYZ_REQUEST_CANCELLED);
        cr_assert_eq(row->fault, 1);
        cr_assert(row->out_tok >= 1 && row->out_tok <= 10);
        cr_assert(row->t_sched >= RYZ_NS_PER_S && row->t_sched < 2 * RYZ_NS_PER_S);
        left++;
    }
    cr_assert_eq(left, fake.cancels);
    cr_assert_eq(left, ryz_fault_hits(faults, 0));
    cr_assert(left > 25 && left < 75, "%u of 100", left);
    ryz_faults_close(faults);
    fake_close(&fake);
}

static _Atomic uint32_t stop;

static void stop_at_the_tenth(void *context, const struct ryz_request_row *row)
{
    struct fake_target *f = context;
    f->rows[f->row_count++] = *row;
    if (f->row_count == 10) stop = 1;
}

Test(pacer, stopping_gives_up_what_is_in_flight)
{
    struct ryz_traffic_plan plan = traffic_plan(RYZ_ARRIVAL_CLOSED);
    const struct ryz_schedule_options schedule_options = {
        .traffic = &plan, .traffic_count = 1, .seed = 11, .context_tokens = 512};
    struct ryz_schedule schedule;
    struct ryz_drive_summary summary;
    plan.concurrency = 4;
    plan.requests = 1000;
    fake_open(&fake);
    cr_assert_eq(ryz_schedule_open(&schedule_options, &schedule, NULL), RYZ_OK);
    struct ryz_drive_options options = {
        .schedule = &schedule,
        .prompts = &prompts,
        .stop = &stop,
        .sink = {.context = &fake, .request = stop_at_the_tenth},
    };
    cr_assert_eq(ryz_pacer_run(&options, &fake.base, &fake.clock, &summary, NULL), RYZ_OK);
    cr_assert_lt(fake.row_count, 20);
    uint32_t cancelled = 0;
    for (uint32_t i = 0; i < fake.row_count; i++)
        cancelled += fake.rows[i].status == RYZ_REQUEST_CANCELLED;
    cr_assert_gt(cancelled, 0);
    cr_assert_eq(fake.inside, 0);
    ryz_schedule_close(&schedule);
    fake_close(&fake);
}

Test(pacer, deadlines_count_from_the_schedule_and_are_told_in_absolute_times)
{
    struct ryz_traffic_plan plan = traffic_plan(RYZ_ARRIVAL_CONSTANT);
    plan.rate_per_s = 10.0;
    plan.requests = 5;
    plan.priority = 2;
    plan.first_deadline_ns = 30 * MS;
    (void)strcpy(plan.tenant, "batch");
    for (int with_end = 0; with_end < 2; with_end++) {
        plan.deadline_ns = with_end != 0 ? 90 * MS : 0;
        fake_open(&fake);
        fake.now_ns = RYZ_NS_PER_S;
        fake.stall_begin_ns = RYZ_NS_PER_S + 50 * MS; /* sends late; deadlines do not move */
        fake.stall_end_ns = RYZ_NS_PER_S + 450 * MS;
        (void)drive((struct ryz_drive_options){.t0_ns = RYZ_NS_PER_S}, &plan, 1);
        cr_assert_eq(fake.row_count, 5);
        int64_t last_ns = 0;
        for (uint32_t i = 0; i < 5; i++) {
            const struct ryz_request_row *row = &fake.rows[i];
            cr_assert_eq(row->first_deadline_ns, row->t_sched + 30 * MS);
            cr_assert_eq(row->deadline_ns, with_end != 0 ? row->t_sched + 90 * MS : RYZ_TIME_NONE);
            if (row->t_sched > last_ns) last_ns = row->t_sched;
        }
        cr_assert_eq(fake.last.first_deadline_ns, RYZ_NS_PER_S + last_ns + 30 * MS);
        cr_assert_eq(fake.last.deadline_ns, with_end != 0 ? RYZ_NS_PER_S + last_ns + 90 * MS : 0);
        cr_assert_eq(fake.last.priority, 2);
        cr_assert_str_eq(fake.last.tenant_name, "batch");
        fake_close(&fake);
    }
}

Test(pacer, several_traffics_run_side_by_side)
{
    struct ryz_traffic_plan plans[3] = {traffic_plan(RYZ_ARRIVAL_POISSON),
                                        traffic_plan(RYZ_ARRIVAL_CLOSED),
                                        traffic_plan(RYZ_ARRIVAL_CONSTANT)};
    plans[0].rate_per_s = 50.0;
    plans[0].duration_ns = 2 * RYZ_NS_PER_S;
    plans[1].concurrency = 2;
    plans[1].requests = 60;
    plans[2].rate_per_s = 10.0;
    plans[2].requests = 15;
    plans[2].start_ns = RYZ_NS_PER_S;
    (void)strcpy(plans[1].tenant, "other");
    fake_open(&fake);
    (void)drive((struct ryz_drive_options){.t0_ns = 0}, plans, 3);
    uint32_t of[3] = {0, 0, 0};
    for (uint32_t i = 0; i < fake.row_count; i++) {
        const struct ryz_request_row *row = &fake.rows[i];
        of[row->phase]++;
        cr_assert_eq(row->tenant, row->phase == 1 ? 1 : 0);
        cr_assert_eq(row->status, RYZ_REQUEST_OK);
    }
    cr_assert(of[0] > 60 && of[0] < 140, "%u", of[0]);
    cr_assert_eq(of[1], 60);
    cr_assert_eq(of[2], 15);
    cr_assert_eq(fake.begins, 7);
    fake_close(&fake);
}

Test(pacer, chunks_without_ids_are_corrected_by_nothing_and_have_no_hash)
{
    struct ryz_traffic_plan plan = traffic_plan(RYZ_ARRIVAL_CONSTANT);
    plan.rate_per_s = 10.0;
    plan.requests = 3;
    fake_open(&fake);
    fake.knows_ids = false;
    (void)drive((struct ryz_drive_options){.t0_ns = 0}, &plan, 1);
    for (uint32_t i = 0; i < 3; i++) {
        cr_assert_eq(fake.rows[i].out_tok, 4);
        cr_assert_eq(fake.rows[i].output_hash, 0);
    }
    fake_close(&fake);
}
