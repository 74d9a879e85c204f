/*
 * Goal: every number is computed by the formula it is published with. Method: hand-made rows with
 * sums done by hand, and sums over made-up runs done another way.
 */
#include "tests/unit/evaluate/support_rows.h"
#include "tests/unit/record/synthetic.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static const double ms = 1e6;

/* Three answered, one failed, one cancelled by its client, one never sent. */
static void six(struct ryz_run_data *data)
{
    struct ryz_request_row rows[] = {rows_answered(1, 0, 100, 300, 11),
                                     rows_answered(2, 10, 60, 100, 5),
                                     rows_answered(3, 20, 50, 50, 1),
                                     rows_failed(4, 30, 40, RYZ_REQUEST_ERROR_5XX),
                                     rows_failed(5, 40, 60, RYZ_REQUEST_CANCELLED),
                                     rows_failed(6, 50, 50, RYZ_REQUEST_DROPPED_BY_HARNESS)};
    rows[5].t_send = INT64_MIN;
    for (size_t i = 0; i < 6; i++) rows_add(data, &rows[i]);
}

static double measure(struct ryz_run_data *data, enum ryz_quantity quantity,
                      enum ryz_statistic statistic)
{
    struct ryz_plan plan;
    rows_plan(&plan);
    return rows_measure(&plan, data, quantity, statistic).value;
}

Test(formulas, latencies_count_from_the_schedule_and_failures_are_infinite)
{
    struct ryz_run_data data = {0};
    six(&data);
    cr_expect_eq(measure(&data, RYZ_Q_TTFT, RYZ_STAT_COUNT), 4);
    cr_expect_eq(measure(&data, RYZ_Q_TTFT, RYZ_STAT_MIN), 30 * ms);
    cr_expect_eq(measure(&data, RYZ_Q_TTFT, RYZ_STAT_P50), 50 * ms);
    cr_expect_eq(measure(&data, RYZ_Q_TTFT, RYZ_STAT_P75), 100 * ms);
    cr_expect_eq(measure(&data, RYZ_Q_TTFT, RYZ_STAT_MAX), (double)INFINITY);
    cr_expect_eq(measure(&data, RYZ_Q_TTFT_SEND, RYZ_STAT_MIN), 29 * ms);
    cr_expect_eq(measure(&data, RYZ_Q_E2E, RYZ_STAT_P75), 301 * ms);
    cr_expect_eq(measure(&data, RYZ_Q_SERVICE, RYZ_STAT_P75), 300 * ms);
    ryz_run_data_deinit(&data);
}

Test(formulas, time_per_token_leaves_out_the_first_and_answers_of_one_token)
{
    struct ryz_run_data data = {0};
    six(&data);
    cr_expect_eq(measure(&data, RYZ_Q_TPOT, RYZ_STAT_COUNT), 3);
    cr_expect_eq(measure(&data, RYZ_Q_TPOT, RYZ_STAT_MIN), 10 * ms);
    cr_expect_eq(measure(&data, RYZ_Q_TPOT, RYZ_STAT_P50), 20 * ms);
    cr_expect_eq(measure(&data, RYZ_Q_NORMALISED, RYZ_STAT_MIN), 91 * ms / 5);
    cr_expect_eq(measure(&data, RYZ_Q_LAG, RYZ_STAT_COUNT), 5);
    cr_expect_eq(measure(&data, RYZ_Q_LAG, RYZ_STAT_MAX), 1 * ms);
    cr_expect_eq(measure(&data, RYZ_Q_TOKENS_OUT, RYZ_STAT_COUNT), 3);
    ryz_run_data_deinit(&data);
}

Test(formulas, shares_are_of_the_attempted_requests)
{
    struct ryz_run_data data = {0};
    six(&data);
    cr_expect_eq(measure(&data, RYZ_Q_REQUESTS, RYZ_STAT_NONE), 4);
    cr_expect_eq(measure(&data, RYZ_Q_ERRORS, RYZ_STAT_NONE), 0.25);
    cr_expect_eq(measure(&data, RYZ_Q_GOODPUT_RATIO, RYZ_STAT_NONE), 0.75);
    cr_expect_eq(measure(&data, RYZ_Q_SHED, RYZ_STAT_NONE), 0);
    cr_expect_eq(measure(&data, RYZ_Q_CANCELLED, RYZ_STAT_NONE), 1);
    cr_expect_eq(measure(&data, RYZ_Q_HARNESS_DROPPED, RYZ_STAT_NONE), 1);
    cr_expect_eq(measure(&data, RYZ_Q_LOST, RYZ_STAT_NONE), 0);
    ryz_run_data_deinit(&data);
}

Test(formulas, what_the_host_had_is_a_part_of_what_was_found)
{
    struct ryz_run_data data = {0};
    struct ryz_request_row rows[] = {rows_answered(1, 0, 100, 300, 11),
                                     rows_answered(2, 10, 60, 100, 5)};
    rows[0].in_tok = 60, rows[0].cached_tok = 48, rows[0].host_tok = 16;
    rows[1].in_tok = 20;
    for (size_t i = 0; i < 2; i++) rows_add(&data, &rows[i]);
    cr_expect_float_eq(measure(&data, RYZ_Q_CACHE_HIT, RYZ_STAT_NONE), 0.6, 1e-9);
    cr_expect_float_eq(measure(&data, RYZ_Q_CACHE_HOST_HIT, RYZ_STAT_NONE), 0.2, 1e-9);
    ryz_run_data_deinit(&data);
}

Test(formulas, waste_is_a_share_of_the_tokens_computed)
{
    struct ryz_run_data data = {0};
    struct ryz_request_row rows[] = {
        rows_answered(1, 0, 100, 300, 11), rows_answered(2, 10, 60, 100, 5),
        rows_failed(3, 30, 40, RYZ_REQUEST_TIMEOUT), rows_failed(4, 40, 60, RYZ_REQUEST_CANCELLED)};
    cr_expect(isnan(measure(&data, RYZ_Q_WASTE_RECOMPUTED, RYZ_STAT_NONE)), "nobody said");
    rows[0].computed_tok = 50, rows[0].recomputed_tok = 20, rows[0].preempted = 3;
    rows[1].computed_tok = 30, rows[1].missed_tok = 16, rows[1].rejected_tok = 7;
    rows[2].computed_tok = 15;
    rows[3].computed_tok = 5;
    for (size_t i = 0; i < 4; i++) rows_add(&data, &rows[i]);
    cr_expect_float_eq(measure(&data, RYZ_Q_WASTE_RECOMPUTED, RYZ_STAT_NONE), 0.2, 1e-9);
    cr_expect_float_eq(measure(&data, RYZ_Q_WASTE_MISSED, RYZ_STAT_NONE), 0.16, 1e-9);
    cr_expect_float_eq(measure(&data, RYZ_Q_WASTE_REJECTED, RYZ_STAT_NONE), 0.07, 1e-9);
    cr_expect_float_eq(measure(&data, RYZ_Q_WASTE_UNUSED, RYZ_STAT_NONE), 0.2, 1e-9);
    cr_expect_float_eq(measure(&data, RYZ_Q_WASTE_PREEMPTED, RYZ_STAT_NONE), 1, 1e-9);
    ryz_run_data_deinit(&data);
}

Test(formulas, the_digest_of_outputs_depends_on_what_was_said_not_on_when)
{
    struct ryz_run_data data[3];
    double digest[3];
    memset(data, 0, sizeof data);
    for (size_t run = 0; run < 3; run++) {
        for (uint64_t i = 0; i < 3; i++) {
            struct ryz_request_row row = rows_answered(i + 1, 10.0 * (double)i, 20, 40, 5);
            row.t_done += (int64_t)run;
            row.prompt_hash = 100 + i;
            row.output_hash = 7 * i + (run == 2 && i == 1);
            rows_add(&data[run], &row);
        }
        digest[run] = measure(&data[run], RYZ_Q_OUTPUT_DIGEST, RYZ_STAT_NONE);
        ryz_run_data_deinit(&data[run]);
    }
    cr_expect_eq(digest[0], digest[1]);
    cr_expect_neq(digest[0], digest[2]);
}

Test(formulas, throughput_is_what_arrived_inside_the_window)
{
    struct ryz_run_data data = {0};
    six(&data); /* the window: 0 to 301 ms */
    cr_expect_float_eq(measure(&data, RYZ_Q_THROUGHPUT_REQ, RYZ_STAT_NONE), 3 / 0.301, 1e-9);
    cr_expect_float_eq(measure(&data, RYZ_Q_THROUGHPUT_OUT, RYZ_STAT_NONE), 17 / 0.301, 1e-9);
    cr_expect_float_eq(measure(&data, RYZ_Q_THROUGHPUT_TOTAL, RYZ_STAT_NONE), 47 / 0.301, 1e-9);
    cr_expect_float_eq(measure(&data, RYZ_Q_GOODPUT_RATE, RYZ_STAT_NONE), 3 / 0.301, 1e-9);
    ryz_run_data_deinit(&data);
}

Test(formulas, steady_throughput_counts_tokens_by_their_own_times)
{
    struct ryz_run_data data = {0};
    struct ryz_plan plan;
    rows_plan(&plan);
    plan.traffic[0].measure = RYZ_MEASURE_STEADY;
    /* The window is 100 to 1000 ms. Request 1 begins before it, request 3 ends after it. */
    struct ryz_request_row rows[] = {rows_answered(1, 0, 50, 150, 3),
                                     rows_answered(2, 500, 550, 600, 2),
                                     rows_answered(3, 1000, 1100, 1200, 2)};
    const struct ryz_token_row tokens[] = {{.request = 1, .t_ns = (int64_t)(50 * ms), .n = 1},
                                           {.request = 1, .t_ns = (int64_t)(100 * ms), .n = 1},
                                           {.request = 1, .t_ns = (int64_t)(150 * ms), .n = 1},
                                           {.request = 2, .t_ns = (int64_t)(550 * ms), .n = 2},
                                           {.request = 3, .t_ns = (int64_t)(1100 * ms), .n = 2}};
    for (size_t i = 0; i < 3; i++) rows_add(&data, &rows[i]);
    cr_assert_eq(ryz_run_data_set(&data, RYZ_TABLE_TOKENS, tokens, 5, NULL), RYZ_OK);
    struct ryz_estimate out = rows_measure(&plan, &data, RYZ_Q_THROUGHPUT_OUT, RYZ_STAT_NONE);
    struct ryz_estimate req = rows_measure(&plan, &data, RYZ_Q_THROUGHPUT_REQ, RYZ_STAT_NONE);
    cr_expect_float_eq(out.value, 4 / 0.9, 1e-9);
    cr_expect_float_eq(req.value, 2 / 0.9, 1e-9);
    ryz_run_data_deinit(&data);
}

Test(formulas, a_chunk_of_several_tokens_gives_as_many_gaps)
{
    struct ryz_run_data data = {0};
    struct ryz_request_row row = rows_answered(1, 0, 10, 70, 6);
    const struct ryz_token_row tokens[] = {{.request = 1, .t_ns = (int64_t)(10 * ms), .n = 2},
                                           {.request = 1, .t_ns = (int64_t)(40 * ms), .n = 3},
                                           {.request = 1, .t_ns = (int64_t)(70 * ms), .n = 1}};
    rows_add(&data, &row);
    cr_assert_eq(ryz_run_data_set(&data, RYZ_TABLE_TOKENS, tokens, 3, NULL), RYZ_OK);
    cr_expect_eq(measure(&data, RYZ_Q_ITL, RYZ_STAT_COUNT), 4);
    cr_expect_eq(measure(&data, RYZ_Q_ITL, RYZ_STAT_MIN), 10 * ms);
    cr_expect_eq(measure(&data, RYZ_Q_ITL, RYZ_STAT_MAX), 30 * ms);
    cr_expect_eq(measure(&data, RYZ_Q_ICL, RYZ_STAT_COUNT), 2);
    cr_expect_eq(measure(&data, RYZ_Q_ICL, RYZ_STAT_MIN), 30 * ms);
    ryz_run_data_deinit(&data);
}

Test(formulas, a_request_is_covered_by_a_root_span_of_its_own_trace)
{
    struct ryz_run_data data = {0};
    struct ryz_span_row spans[4] = {{.request = 1, .name = RYZ_SPAN_CLIENT},
                                    {.request = 2, .name = RYZ_SPAN_QUEUE},  /* no root */
                                    {.request = 3, .name = RYZ_SPAN_CLIENT}, /* another trace */
                                    {.request = 4, .name = RYZ_SPAN_REQUEST}};
    for (uint64_t i = 1; i <= 4; i++) {
        struct ryz_request_row row = rows_answered(i, 0, 1, 2, 2);
        memset(row.trace_id, (int)i, 16);
        memset(spans[i - 1].trace_id, i == 3 ? 99 : (int)i, 16);
        rows_add(&data, &row);
    }
    struct ryz_request_row untraced = rows_answered(5, 0, 1, 2, 2);
    rows_add(&data, &untraced);
    cr_expect(isnan(measure(&data, RYZ_Q_TRACE_COVERAGE, RYZ_STAT_NONE)), "no spans, no number");
    cr_assert_eq(ryz_run_data_set(&data, RYZ_TABLE_SPANS, spans, 4, NULL), RYZ_OK);
    cr_expect_eq(measure(&data, RYZ_Q_TRACE_COVERAGE, RYZ_STAT_NONE), 0.4);
    ryz_run_data_deinit(&data);
}

Test(formulas, engine_numbers_come_from_the_steps_inside_the_window)
{
    struct ryz_run_data data = {0};
    struct ryz_request_row row = rows_answered(1, 100, 150, 200, 2);
    struct ryz_step_row steps[5] = {{0}};
    for (int i = 0; i < 5; i++) {
        steps[i].t_ns = (int64_t)((50 + 40 * i) * ms); /* 50 90 130 170 210: three are outside */
        steps[i].duration_ns = (int64_t)(10 * ms);
        steps[i].sched_ns = (int64_t)(i * ms);
        steps[i].run_count = (uint32_t)i;
        steps[i].batch_limit = i == 2 ? 0 : 6; /* 0: unknown */
        steps[i].kv_used = 10u * (uint32_t)i;
        steps[i].kv_total = 100;
        steps[i].preempt = (uint64_t)(7 * i);
    }
    rows_add(&data, &row);
    cr_assert_eq(ryz_run_data_set(&data, RYZ_TABLE_ENGINE, steps, 5, NULL), RYZ_OK);
    cr_expect_eq(measure(&data, RYZ_Q_BATCH, RYZ_STAT_COUNT), 2);
    cr_expect_eq(measure(&data, RYZ_Q_BATCH, RYZ_STAT_MEAN), 2.5);
    cr_expect_eq(measure(&data, RYZ_Q_BATCH_LIMIT, RYZ_STAT_COUNT), 1);
    cr_expect_eq(measure(&data, RYZ_Q_BATCH_LIMIT, RYZ_STAT_MEAN), 6);
    cr_expect_float_eq(measure(&data, RYZ_Q_KV_UTIL, RYZ_STAT_MAX), 0.3, 1e-12);
    cr_expect_eq(measure(&data, RYZ_Q_SCHED_SHARE, RYZ_STAT_NONE), 0.25);
    cr_expect_eq(measure(&data, RYZ_Q_PREEMPTIONS, RYZ_STAT_NONE), 7);
    steps[3].preempt = 2; /* the server was started again */
    cr_assert_eq(ryz_run_data_set(&data, RYZ_TABLE_ENGINE, steps, 5, NULL), RYZ_OK);
    cr_expect_eq(measure(&data, RYZ_Q_PREEMPTIONS, RYZ_STAT_NONE), 2);
    ryz_run_data_deinit(&data);
}

Test(formulas, proportions_have_wilsons_interval)
{
    struct ryz_plan plan;
    struct ryz_run_data data = {0};
    rows_plan(&plan);
    for (uint64_t i = 0; i < 100; i++) {
        struct ryz_request_row row =
            i < 10 ? rows_failed(i, 0, 1, RYZ_REQUEST_SHED) : rows_answered(i, 0, 1, 2, 2);
        rows_add(&data, &row);
    }
    struct ryz_estimate e = rows_measure(&plan, &data, RYZ_Q_ERRORS, RYZ_STAT_NONE);
    cr_expect_eq(e.value, 0.1);
    cr_expect_float_eq(e.lo, 0.0552, 1e-4); /* Wilson, 10 of 100, 95 % */
    cr_expect_float_eq(e.hi, 0.1744, 1e-4);
    cr_expect_eq(e.n, 100);
    ryz_run_data_deinit(&data);
}

Test(formulas, deadlines_are_kept_by_answers_that_come_in_time)
{
    struct ryz_run_data data = {0};
    cr_expect(isnan(measure(&data, RYZ_Q_DEADLINE_KEPT, RYZ_STAT_NONE)));
    struct ryz_request_row row = rows_answered(1, 0, 10, 20, 3); /* done at 21 ms */
    rows_add(&data, &row);
    cr_expect(isnan(measure(&data, RYZ_Q_DEADLINE_KEPT, RYZ_STAT_NONE)), "nobody had a deadline");
    cr_expect(isnan(measure(&data, RYZ_Q_DEADLINE_GOODPUT, RYZ_STAT_NONE)));
    static const struct {
        double first, end; /* ms; 0: none */
    } dues[] = {
        {10, 0}, {0, 21},  {10, 21}, /* kept, to the instant */
        {9, 21}, {10, 20}, {9, 0},   /* one of them missed */
    };
    for (uint64_t i = 0; i < 6; i++) {
        row = rows_answered(2 + i, 0, 10, 20, 3);
        if (dues[i].first > 0) row.first_deadline_ns = (int64_t)(dues[i].first * ms);
        if (dues[i].end > 0) row.deadline_ns = (int64_t)(dues[i].end * ms);
        rows_add(&data, &row);
    }
    cr_expect_eq(measure(&data, RYZ_Q_DEADLINE_KEPT, RYZ_STAT_NONE), 0.5);
    cr_expect_eq(measure(&data, RYZ_Q_DEADLINE_GOODPUT, RYZ_STAT_NONE), 0.5);
    static const enum ryz_request_status ends[] = {RYZ_REQUEST_SHED, RYZ_REQUEST_LATE,
                                                   RYZ_REQUEST_ERROR_5XX, RYZ_REQUEST_TIMEOUT};
    for (uint64_t i = 0; i < 4; i++) {
        row = rows_failed(20 + i, 0, 1, ends[i]);
        row.deadline_ns = (int64_t)(500 * ms);
        rows_add(&data, &row);
    }
    row = rows_failed(30, 0, 1, RYZ_REQUEST_CANCELLED); /* was not attempted to the end */
    row.deadline_ns = (int64_t)(500 * ms);
    rows_add(&data, &row);
    cr_expect_eq(measure(&data, RYZ_Q_DEADLINE_KEPT, RYZ_STAT_NONE), 3.0 / 8.0);
    cr_expect_eq(measure(&data, RYZ_Q_DEADLINE_GOODPUT, RYZ_STAT_NONE), 3.0 / 10.0);
    cr_expect_eq(measure(&data, RYZ_Q_REJECTED, RYZ_STAT_NONE), 2.0 / 11.0);
    cr_expect_eq(measure(&data, RYZ_Q_SHED, RYZ_STAT_NONE), 1.0 / 11.0);
    cr_expect_eq(measure(&data, RYZ_Q_ERRORS, RYZ_STAT_NONE), 4.0 / 11.0);
    ryz_run_data_deinit(&data);
}

Test(formulas, recovery_is_the_time_from_the_fault_to_ten_good_requests)
{
    struct ryz_plan plan;
    struct ryz_run_data data = {0};
    struct ryz_windows w;
    rows_plan(&plan);
    struct ryz_run_event_row events[2] = {
        {.t_ns = (int64_t)(1000 * ms), .kind = RYZ_RUN_EVENT_FAULT_ON},
        {.t_ns = (int64_t)(1500 * ms), .kind = RYZ_RUN_EVENT_FAULT_OFF}};
    strcpy(events[0].note, "slow");
    strcpy(events[1].note, "slow");
    /* ttft 20 ms before, 200 ms until the requests of 1,800 ms, then 22 ms. */
    for (uint64_t i = 0; i < 300; i++) {
        double t = 10.0 * (double)i, wait = t < 1000 ? 20 : t < 1800 ? 200 : 22;
        struct ryz_request_row row = rows_answered(i + 1, t, t + wait, t + wait + 10, 2);
        rows_add(&data, &row);
    }
    cr_assert_eq(ryz_run_data_set(&data, RYZ_TABLE_EVENTS, events, 2, NULL), RYZ_OK);
    ryz_windows_mark(&plan, &data, &w);
    struct ryz_view view = {.data = &data, .windows = &w, .traffic = -1, .fault = "slow"};
    struct ryz_number number;
    ryz_collect_number(&view, RYZ_Q_RECOVER, &number);
    /* The median of ten is good as soon as six (nearest rank: five) of them are. */
    cr_expect_eq(number.numerator, 250 * ms);
    view.fault_kills = true;
    ryz_collect_number(&view, RYZ_Q_RECOVER, &number);
    cr_expect_eq(number.numerator, 750 * ms, "a kill counts from its begin");
    view.fault = "another";
    ryz_collect_number(&view, RYZ_Q_RECOVER, &number);
    cr_expect_not(number.known);
    ryz_run_data_deinit(&data);
}

Test(formulas, facts_are_numbers_by_name)
{
    struct ryz_run_data data = {0};
    struct ryz_request_row row = rows_answered(1, 0, 1, 2, 2);
    struct ryz_fact_row fact = {.metric = "model.ratio", .value = 1.88};
    rows_add(&data, &row);
    cr_assert_eq(ryz_run_data_set(&data, RYZ_TABLE_FACTS, &fact, 1, NULL), RYZ_OK);
    cr_expect_eq(measure(&data, RYZ_Q_MODEL_RATIO, RYZ_STAT_NONE), 1.88);
    cr_expect(isnan(measure(&data, RYZ_Q_MODEL_SIZE, RYZ_STAT_NONE)));
    ryz_run_data_deinit(&data);
}

Test(formulas, sums_over_a_made_up_run_agree_with_sums_done_another_way)
{
    struct synthetic options = {.seed = 9,
                                .requests = 500,
                                .rate_per_s = 20,
                                .token_ms = 5,
                                .fail_share = 0.4,
                                .fault = true,
                                .traffics = 2,
                                .max_batch = 4};
    struct ryz_run_data data;
    struct ryz_plan plan;
    double failed = 0, out = 0, end = 0, begin = (double)INFINITY;
    size_t count = 0;
    synthetic_run(&options, &data);
    synthetic_plan(&options, &plan);
    const struct ryz_request_row *rows = ryz_run_rows(&data, RYZ_TABLE_REQUESTS, &count);
    for (size_t i = 0; i < count; i++) {
        failed += rows[i].status != RYZ_REQUEST_OK;
        out += rows[i].out_tok;
        begin = fmin(begin, (double)rows[i].t_sched);
        end = fmax(end, (double)rows[i].t_done);
    }
    cr_assert_gt(failed, 10);
    cr_expect_float_eq(rows_measure(&plan, &data, RYZ_Q_ERRORS, RYZ_STAT_NONE).value,
                       failed / (double)count, 1e-12);
    cr_expect_float_eq(rows_measure(&plan, &data, RYZ_Q_THROUGHPUT_OUT, RYZ_STAT_NONE).value,
                       out / (end - begin) * 1e9, 1e-6);
    cr_expect_eq(rows_measure(&plan, &data, RYZ_Q_TRACE_COVERAGE, RYZ_STAT_NONE).value, 1);
    cr_expect_eq(rows_measure(&plan, &data, RYZ_Q_QUEUE, RYZ_STAT_COUNT).value,
                 (double)count - failed);
    ryz_run_data_deinit(&data);
}
