/* Goal: what is measured and what is good follows the documented rule. Method: hand-made rows. */
#include "tests/unit/evaluate/support_rows.h"

#include <criterion/criterion.h>

static size_t count_measured(const struct ryz_run_data *data)
{
    size_t count = 0, measured = 0;
    const struct ryz_request_row *rows = ryz_run_rows(data, RYZ_TABLE_REQUESTS, &count);
    for (size_t i = 0; i < count; i++) measured += rows[i].measured;
    return measured;
}

/* 100 requests, one every 10 ms, each answered after 40 ms. */
static void hundred(struct ryz_run_data *data)
{
    for (uint64_t i = 0; i < 100; i++) {
        double t = 10.0 * (double)i;
        struct ryz_request_row row = rows_answered(i + 1, t, t + 20, t + 40, 5);
        rows_add(data, &row);
    }
}

Test(windows, measure_yes_takes_everything_from_first_arrival_to_last_answer)
{
    struct ryz_plan plan;
    struct ryz_run_data data = {0};
    struct ryz_windows w;
    rows_plan(&plan);
    hundred(&data);
    ryz_windows_mark(&plan, &data, &w);
    cr_expect_eq(count_measured(&data), 100);
    cr_expect_eq(w.all.begin_ns, 0);
    cr_expect_eq(w.all.end_ns, 1031000000);
    cr_expect_not(w.all.steady);
    ryz_run_data_deinit(&data);
}

Test(windows, measure_no_takes_nothing)
{
    struct ryz_plan plan;
    struct ryz_run_data data = {0};
    struct ryz_windows w;
    rows_plan(&plan);
    plan.traffic[0].measure = RYZ_MEASURE_NO;
    hundred(&data);
    ryz_windows_mark(&plan, &data, &w);
    cr_expect_eq(count_measured(&data), 0);
    cr_expect_not(w.all.measured);
    ryz_run_data_deinit(&data);
}

Test(windows, steady_open_traffic_leaves_out_the_first_tenth_and_the_drain)
{
    struct ryz_plan plan;
    struct ryz_run_data data = {0};
    struct ryz_windows w;
    rows_plan(&plan);
    plan.traffic[0].measure = RYZ_MEASURE_STEADY;
    hundred(&data);
    ryz_windows_mark(&plan, &data, &w);
    cr_expect_eq(w.all.begin_ns, 99000000);
    cr_expect_eq(w.all.end_ns, 990000000);
    cr_expect_eq(count_measured(&data), 90);
    cr_expect(w.all.steady);
    ryz_run_data_deinit(&data);
}

Test(windows, steady_closed_traffic_begins_with_the_first_answer_at_full_concurrency)
{
    struct ryz_plan plan;
    struct ryz_run_data data = {0};
    struct ryz_windows w;
    rows_plan(&plan);
    plan.traffic[0].measure = RYZ_MEASURE_STEADY;
    plan.traffic[0].arrival = RYZ_ARRIVAL_CLOSED;
    plan.traffic[0].concurrency = 3;
    /* Sent at 1, 11, 21 ms; the third is the one that fills the loop. Done at 16, 91, 51 ms. */
    struct ryz_request_row rows[] = {rows_answered(1, 0, 5, 15, 5), rows_answered(2, 10, 50, 90, 5),
                                     rows_answered(3, 20, 30, 50, 5),
                                     rows_answered(4, 55, 60, 70, 5),
                                     rows_answered(5, 95, 99, 120, 5)};
    for (size_t i = 0; i < 5; i++) rows_add(&data, &rows[i]);
    ryz_windows_mark(&plan, &data, &w);
    cr_expect_eq(w.all.begin_ns, 51000000);
    cr_expect_eq(w.all.end_ns, 95000000);
    cr_expect_eq(count_measured(&data), 2);
    ryz_run_data_deinit(&data);
}

Test(windows, a_closed_loop_that_never_filled_has_no_steady_state)
{
    struct ryz_plan plan;
    struct ryz_run_data data = {0};
    struct ryz_windows w;
    rows_plan(&plan);
    plan.traffic[0].measure = RYZ_MEASURE_STEADY;
    plan.traffic[0].arrival = RYZ_ARRIVAL_CLOSED;
    plan.traffic[0].concurrency = 101;
    hundred(&data);
    ryz_windows_mark(&plan, &data, &w);
    cr_expect(w.traffic[0].no_steady_state && !w.all.measured);
    cr_expect_eq(count_measured(&data), 0);
    ryz_run_data_deinit(&data);
}

Test(windows, good_is_answered_and_within_each_limit_of_the_slo)
{
    struct ryz_plan plan;
    struct ryz_run_data data = {0};
    struct ryz_windows w;
    rows_plan(&plan);
    plan.traffic[0].slo = (struct ryz_slo){100000000, 10000000, 300000000};
    struct ryz_request_row rows[] = {
        rows_answered(1, 0, 100, 140, 5), /* just within ttft and tpot */
        rows_answered(2, 0, 101, 141, 5), /* ttft */
        rows_answered(3, 0, 100, 141, 5), /* tpot: 41 ms over 4 gaps */
        rows_answered(4, 0, 90, 300, 50), /* e2e: done at 301 ms */
        rows_answered(5, 0, 90, 90, 1),   /* one token has no tpot */
        rows_failed(6, 0, 10, RYZ_REQUEST_TIMEOUT),
        rows_failed(7, 0, 10, RYZ_REQUEST_CANCELLED)};
    static const uint8_t good[] = {1, 0, 0, 0, 1, 0, 0};
    for (size_t i = 0; i < 7; i++) rows_add(&data, &rows[i]);
    ryz_windows_mark(&plan, &data, &w);
    for (uint64_t i = 0; i < 7; i++)
        cr_expect_eq(ryz_run_data_request(&data, i + 1)->slo_ok, good[i], "request %d", (int)i + 1);
    ryz_run_data_deinit(&data);
}

Test(windows, several_traffics_share_the_widest_window)
{
    struct ryz_plan plan;
    struct ryz_run_data data = {0};
    struct ryz_windows w;
    rows_plan(&plan);
    plan.traffic_count = 2;
    plan.traffic[1] = plan.traffic[0];
    plan.traffic[0].measure = RYZ_MEASURE_NO; /* warm-up */
    struct ryz_request_row warm = rows_answered(1, 0, 1, 2, 2);
    struct ryz_request_row main = rows_answered(2, 100, 120, 140, 2);
    main.phase = 1;
    rows_add(&data, &warm);
    rows_add(&data, &main);
    ryz_windows_mark(&plan, &data, &w);
    cr_expect_eq(w.all.begin_ns, 100000000);
    cr_expect(!w.traffic[0].measured && w.traffic[1].measured);
    cr_expect_eq(count_measured(&data), 1);
    ryz_run_data_deinit(&data);
}
