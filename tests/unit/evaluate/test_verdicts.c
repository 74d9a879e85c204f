/*
 * Goal: verdicts, margins, validity and exit codes. Method: small runs with known numbers, targets
 * on both sides of them.
 */
#include "tests/unit/evaluate/support_rows.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double ms = 1e6;

/* `count` answered requests with ttft = `ttft_ms`, at a point of a sweep. */
static struct ryz_run_data run_of(uint32_t point, const char *label, uint64_t count, double ttft_ms)
{
    struct ryz_run_data data = {.info = {.point = point}};
    for (uint64_t i = 1; i <= count; i++) {
        double t = 10.0 * (double)i;
        struct ryz_request_row row = rows_answered(i, t, t + ttft_ms, t + ttft_ms + 20, 3);
        row.t_send = row.t_sched;
        rows_add(&data, &row);
    }
    strcpy(data.info.label, label);
    return data;
}

static struct ryz_evaluator *open_evaluator(const struct ryz_plan *plan)
{
    struct ryz_evaluator *evaluator = NULL;
    struct ryz_error error = {0};
    cr_assert_eq(ryz_evaluator_open(plan, &evaluator, &error), RYZ_OK, "%s", error.text);
    return evaluator;
}

static void add(struct ryz_evaluator *evaluator, const struct ryz_plan *plan,
                struct ryz_run_data data)
{
    struct ryz_error error = {0};
    cr_assert_eq(ryz_evaluator_add(evaluator, plan, &data, &error), RYZ_OK, "%s", error.text);
    ryz_run_data_deinit(&data);
}

/* Judges one run of 100 requests with a ttft of 50 ms against the plan's targets. */
static int judge(const struct ryz_plan *plan, struct ryz_target_row *rows)
{
    struct ryz_evaluator *evaluator = open_evaluator(plan);
    add(evaluator, plan, run_of(0, "", 100, 50));
    ryz_evaluator_judge(evaluator, rows);
    int code = ryz_evaluator_exit_code(evaluator, rows, plan->target_count);
    ryz_evaluator_close(evaluator);
    return code;
}

Test(verdicts, each_comparison_is_met_or_missed_with_its_margin)
{
    static const struct {
        enum ryz_op op;
        double want_ms;
        int8_t verdict;
        double margin;
    } cases[] = {{RYZ_OP_LE, 50, 1, 0},    {RYZ_OP_LE, 40, 0, -0.25}, {RYZ_OP_LE, 100, 1, 0.5},
                 {RYZ_OP_LT, 50, 0, 0},    {RYZ_OP_LT, 100, 1, 0.5},  {RYZ_OP_GE, 50, 1, 0},
                 {RYZ_OP_GE, 100, 0, -.5}, {RYZ_OP_GT, 50, 0, 0},     {RYZ_OP_GT, 40, 1, 0.25},
                 {RYZ_OP_EQ, 50, 1, 0},    {RYZ_OP_EQ, 40, 0, -0.25}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ryz_plan plan;
        struct ryz_target_row row;
        rows_plan(&plan);
        rows_target(&plan, "ttft.p90", cases[i].op, cases[i].want_ms * ms, "ms");
        int code = judge(&plan, &row);
        cr_expect_eq(row.verdict, cases[i].verdict, "case %zu", i);
        cr_expect_float_eq(row.margin, cases[i].margin, 1e-9, "case %zu", i);
        cr_expect_eq(row.got, 50 * ms);
        cr_expect_str_eq(row.unit, "ns");
        cr_expect_eq(code, cases[i].verdict == 1 ? 0 : 1, "case %zu", i);
    }
}

Test(verdicts, a_percentile_of_too_few_samples_is_invalid_not_met)
{
    struct ryz_plan plan;
    struct ryz_target_row row;
    rows_plan(&plan);
    rows_target(&plan, "ttft.p99", RYZ_OP_LE, 1000 * ms, "ms");
    cr_expect_eq(judge(&plan, &row), 3);
    cr_expect_eq(row.verdict, -2);
    cr_expect(strstr(row.why, "459") != NULL, "%s", row.why);
    cr_expect_eq(row.got, 50 * ms, "the number is still shown");
}

Test(verdicts, what_was_not_measured_is_not_applicable_and_says_why)
{
    struct ryz_plan plan;
    struct ryz_target_row rows[2];
    rows_plan(&plan);
    rows_target(&plan, "gpu.mem.util", RYZ_OP_GE, 0.8, "%");
    rows_target(&plan, "accuracy.loss", RYZ_OP_LE, 0.01, "%");
    cr_expect_eq(judge(&plan, rows), 0);
    cr_expect_eq(rows[0].verdict, -1);
    cr_expect(strstr(rows[0].why, "GPU") != NULL);
    cr_expect(isnan(rows[0].got) && isnan(rows[0].margin));
    cr_expect_eq(rows[1].verdict, -1);
    cr_expect(strstr(rows[1].why, "accuracy") != NULL);
}

Test(verdicts, failures_miss_a_latency_target)
{
    struct ryz_plan plan;
    struct ryz_target_row row;
    rows_plan(&plan);
    rows_target(&plan, "ttft.p90", RYZ_OP_LE, 1000 * ms, "ms");
    struct ryz_evaluator *evaluator = open_evaluator(&plan);
    struct ryz_run_data data = run_of(0, "", 80, 50);
    for (uint64_t i = 0; i < 20; i++) {
        struct ryz_request_row failed = rows_failed(1000 + i, 5, 6, RYZ_REQUEST_SHED);
        failed.t_send = failed.t_sched;
        rows_add(&data, &failed);
    }
    add(evaluator, &plan, data);
    ryz_evaluator_judge(evaluator, &row);
    cr_expect_eq(row.verdict, 0);
    cr_expect(isinf(row.got) && isinf(row.margin) && row.margin < 0);
    cr_expect_eq(ryz_evaluator_exit_code(evaluator, &row, 1), 1);
    ryz_evaluator_close(evaluator);
}

static void sweep_of_two(struct ryz_plan *plan)
{
    rows_plan(plan);
    plan->sweep.axis_count = 1;
    strcpy(plan->sweep.axes[0].key, "engine.max_batch");
    plan->sweep.axes[0].count = 2;
    strcpy(plan->sweep.axes[0].values[0], "8");
    strcpy(plan->sweep.axes[0].values[1], "16");
}

Test(verdicts, a_target_without_a_prefix_holds_at_every_point_and_shows_the_worst)
{
    struct ryz_plan plan;
    struct ryz_target_row rows[3];
    sweep_of_two(&plan);
    rows_target(&plan, "ttft.p90", RYZ_OP_LE, 100 * ms, "ms");
    rows_target(&plan, "8.ttft.p90", RYZ_OP_LE, 100 * ms, "ms");
    rows_target(&plan, "16.main.ttft.p90", RYZ_OP_LE, 100 * ms, "ms");
    struct ryz_evaluator *evaluator = open_evaluator(&plan);
    add(evaluator, &plan, run_of(0, "engine.max_batch=8", 100, 50));
    add(evaluator, &plan, run_of(1, "engine.max_batch=16", 100, 200));
    ryz_evaluator_judge(evaluator, rows);
    cr_expect(rows[0].verdict == 0 && rows[0].got == 200 * ms);
    cr_expect(strstr(rows[0].why, "engine.max_batch=16") != NULL, "%s", rows[0].why);
    cr_expect(rows[1].verdict == 1 && rows[1].got == 50 * ms);
    cr_expect(rows[2].verdict == 0 && rows[2].got == 200 * ms);
    ryz_evaluator_close(evaluator);
}

Test(verdicts, repeats_of_a_point_are_pooled)
{
    struct ryz_plan plan;
    struct ryz_target_row rows[2];
    rows_plan(&plan);
    rows_target(&plan, "ttft.p90", RYZ_OP_LE, 100 * ms, "ms");
    rows_target(&plan, "ttft.count", RYZ_OP_EQ, 60, "");
    struct ryz_evaluator *evaluator = open_evaluator(&plan);
    for (int i = 0; i < 3; i++) add(evaluator, &plan, run_of(0, "", 20, 50));
    ryz_evaluator_judge(evaluator, rows);
    cr_expect_eq(rows[0].verdict, 1, "60 samples are enough where 20 are not");
    cr_expect_eq(rows[1].verdict, 1);
    ryz_evaluator_close(evaluator);
}

Test(verdicts, an_invalid_run_makes_its_targets_invalid)
{
    struct ryz_plan plan;
    struct ryz_target_row row;
    rows_plan(&plan);
    rows_target(&plan, "ttft.p90", RYZ_OP_LE, 100 * ms, "ms");
    struct ryz_evaluator *evaluator = open_evaluator(&plan);
    struct ryz_run_data data = run_of(0, "", 100, 50);
    ryz_run_data_invalidate(&data, "the recorder dropped 3 rows");
    add(evaluator, &plan, data);
    ryz_evaluator_judge(evaluator, &row);
    cr_expect_eq(row.verdict, -2);
    cr_expect_str_eq(row.why, "the recorder dropped 3 rows");
    cr_expect_str_eq(ryz_evaluator_invalid_reason(evaluator), "the recorder dropped 3 rows");
    cr_expect_eq(ryz_evaluator_exit_code(evaluator, &row, 1), 3);
    cr_expect_eq(ryz_evaluator_exit_code(evaluator, &row, 0), 3, "also without any target");
    ryz_evaluator_close(evaluator);
}

/* ---- the generator's own faults ---- */

static struct ryz_run_data lagging(double lag_ms)
{
    struct ryz_run_data data = run_of(0, "", 100, 50);
    size_t count = 0;
    struct ryz_request_row *rows = ryz_run_rows(&data, RYZ_TABLE_REQUESTS, &count);
    for (size_t i = 0; i < count; i++) rows[i].t_send = rows[i].t_sched + (int64_t)(lag_ms * ms);
    return data;
}

static int judge_lag(const struct ryz_plan *plan, double lag_ms, struct ryz_target_row *rows)
{
    struct ryz_evaluator *evaluator = open_evaluator(plan);
    add(evaluator, plan, lagging(lag_ms));
    ryz_evaluator_judge(evaluator, rows);
    int code = ryz_evaluator_exit_code(evaluator, rows, plan->target_count);
    ryz_evaluator_close(evaluator);
    return code;
}

Test(verdicts, a_late_generator_makes_the_run_invalid_not_slow)
{
    struct ryz_plan plan;
    struct ryz_target_row row;
    rows_plan(&plan);
    rows_target(&plan, "ttft.p90", RYZ_OP_LE, 100 * ms, "ms"); /* so the lag's bound is 5 ms */
    cr_expect_eq(judge_lag(&plan, 4.9, &row), 0);
    cr_expect_eq(judge_lag(&plan, 5.1, &row), 3);
    cr_expect(strstr(row.why, "late") != NULL, "%s", row.why);
}

Test(verdicts, the_lag_has_a_floor_of_one_millisecond)
{
    struct ryz_plan plan;
    struct ryz_target_row row;
    rows_plan(&plan);
    rows_target(&plan, "tpot.p90", RYZ_OP_LE, 11 * ms, "ms");
    cr_expect_eq(judge_lag(&plan, 0.9, &row), 0);
    cr_expect_eq(judge_lag(&plan, 1.1, &row), 3);
}

Test(verdicts, a_lag_target_in_percent_is_of_the_tightest_latency_target)
{
    struct ryz_plan plan;
    struct ryz_target_row rows[3];
    rows_plan(&plan);
    rows_target(&plan, "ttft.p90", RYZ_OP_LE, 100 * ms, "ms");
    rows_target(&plan, "e2e.p90", RYZ_OP_LE, 1000 * ms, "ms");
    rows_target(&plan, "harness.lag.p99", RYZ_OP_LE, 0.2, "%");
    cr_expect_eq(judge_lag(&plan, 19, rows), 0);
    cr_expect(rows[2].verdict == 1 && rows[2].want == 20 * ms);
    cr_expect_eq(judge_lag(&plan, 21, rows), 3);
    cr_expect_eq(rows[2].verdict, -2, "100 samples do for the lag's own p99");
}

Test(verdicts, arrivals_that_were_never_sent_make_the_run_invalid)
{
    struct ryz_plan plan;
    rows_plan(&plan);
    struct ryz_evaluator *evaluator = open_evaluator(&plan);
    struct ryz_run_data data = run_of(0, "", 100, 50);
    struct ryz_request_row row = rows_failed(999, 1, 1, RYZ_REQUEST_DROPPED_BY_HARNESS);
    rows_add(&data, &row);
    cr_assert_eq(ryz_evaluator_add(evaluator, &plan, &data, NULL), RYZ_OK);
    cr_expect_not(data.info.valid);
    cr_expect(strstr(data.info.invalid_reason, "never sent") != NULL);
    ryz_run_data_deinit(&data);
    ryz_evaluator_close(evaluator);
}

Test(verdicts, no_steady_state_makes_the_run_invalid)
{
    struct ryz_plan plan;
    rows_plan(&plan);
    plan.traffic[0].measure = RYZ_MEASURE_STEADY;
    plan.traffic[0].arrival = RYZ_ARRIVAL_CLOSED;
    plan.traffic[0].concurrency = 1000;
    struct ryz_evaluator *evaluator = open_evaluator(&plan);
    add(evaluator, &plan, run_of(0, "", 100, 50));
    cr_expect(strstr(ryz_evaluator_invalid_reason(evaluator), "steady") != NULL);
    ryz_evaluator_close(evaluator);
}

/* ---- mistakes in targets ---- */

static void expect_mistake(const char *metric, double value, const char *unit, const char *hint)
{
    struct ryz_plan plan;
    struct ryz_evaluator *evaluator = NULL;
    struct ryz_error error = {0};
    sweep_of_two(&plan);
    rows_target(&plan, metric, RYZ_OP_LE, value, unit);
    cr_expect_eq(ryz_evaluator_open(&plan, &evaluator, &error), RYZ_INVALID, "%s", metric);
    cr_expect(strstr(error.text, hint) != NULL, "%s: \"%s\"", metric, error.text);
    cr_expect_null(evaluator);
}

Test(verdicts, targets_that_mean_nothing_are_refused_before_the_run)
{
    expect_mistake("tttf.p90", 1, "ms", "did you mean");
    expect_mistake("ttft", 1, "ms", "needs a statistic");
    expect_mistake("ttft.p90", 1, "%", "wants a time");
    expect_mistake("ttft.p90", 1, "", "wants a time");
    expect_mistake("errors", 1, "", "wants a share");
    expect_mistake("lost", 1, "%", "wants a bare number");
    expect_mistake("throughput.req", 1, "s", "wants a rate");
    expect_mistake("model.size", 1, "ms", "wants a size");
    expect_mistake("mian.ttft.p90", 1, "ms", "there are: main 8 16");
    expect_mistake("main.recover", 1, "s", "name the fault");
}

/* ---- bounds that are multiples of another metric ---- */

static void relative(struct ryz_plan *plan, const char *metric, enum ryz_op op, double factor,
                     const char *of, const char *plus)
{
    struct ryz_target_plan *target = &plan->targets[plan->target_count];
    rows_target(plan, metric, op, factor, "x");
    strcpy(target->of, of);
    strcpy(target->plus, plus);
}

/* Two points of 100 requests each: ttft 50 ms at a batch of 8, `ttft_ms` at 16. */
static int judge_two(const struct ryz_plan *plan, double ttft_ms, struct ryz_target_row *rows)
{
    struct ryz_evaluator *evaluator = open_evaluator(plan);
    add(evaluator, plan, run_of(0, "engine.max_batch=8", 100, 50));
    add(evaluator, plan, run_of(1, "engine.max_batch=16", 100, ttft_ms));
    ryz_evaluator_judge(evaluator, rows);
    int code = ryz_evaluator_exit_code(evaluator, rows, plan->target_count);
    ryz_evaluator_close(evaluator);
    return code;
}

Test(verdicts, a_bound_may_be_a_multiple_of_another_points_metric)
{
    struct ryz_plan plan;
    struct ryz_target_row rows[3];
    sweep_of_two(&plan);
    relative(&plan, "16.ttft.p90", RYZ_OP_LE, 1.2, "8.ttft.p90", "");
    relative(&plan, "16.ttft.p90", RYZ_OP_GE, 1.2, "8.main.ttft.p90", "");
    relative(&plan, "16.ttft.p90", RYZ_OP_LE, 1.2, "8.ttft.p90", "8.main.ttft.min");
    cr_expect_eq(judge_two(&plan, 100, rows), 1);
    cr_expect(rows[0].verdict == 0 && rows[0].got == 2 && rows[0].want == 1.2);
    cr_expect_float_eq(rows[0].margin, -0.8 / 1.2, 1e-9);
    cr_expect_str_eq(rows[0].unit, "1");
    cr_expect(strstr(rows[0].why, "100 ms (n 100) against 50 ms (n 100)") != NULL, "%s",
              rows[0].why);
    cr_expect(strstr(rows[0].why, "engine.max_batch=16") != NULL, "%s", rows[0].why);
    cr_expect_eq(rows[1].verdict, 1);
    cr_expect_float_eq(rows[2].want, 2.2, 1e-9, "the addend in multiples of the reference");
    cr_expect(rows[2].verdict == 1 && rows[2].got == 2);
    cr_expect(strstr(rows[2].why, "+ 50 ms") != NULL, "%s", rows[2].why);
}

Test(verdicts, a_reference_keeps_the_axes_that_it_does_not_name)
{
    struct ryz_plan plan;
    struct ryz_target_row rows[2];
    sweep_of_two(&plan);
    plan.sweep.axis_count = 2;
    plan.sweep.axes[1] =
        (struct ryz_axis){.key = "engine.scheduler", .values = {"fcfs", "edf"}, .count = 2};
    relative(&plan, "edf.ttft.p90", RYZ_OP_LE, 0.5, "fcfs.ttft.p90", "");
    relative(&plan, "ttft.p90", RYZ_OP_LE, 1, "ttft.p90", "");
    struct ryz_evaluator *evaluator = open_evaluator(&plan);
    add(evaluator, &plan, run_of(0, "engine.max_batch=8 engine.scheduler=fcfs", 100, 100));
    add(evaluator, &plan, run_of(3, "engine.max_batch=16 engine.scheduler=edf", 100, 60));
    add(evaluator, &plan, run_of(2, "engine.max_batch=16 engine.scheduler=fcfs", 100, 200));
    add(evaluator, &plan, run_of(1, "engine.max_batch=8 engine.scheduler=edf", 100, 50));
    ryz_evaluator_judge(evaluator, rows);
    cr_expect(rows[0].verdict == 1 && rows[0].got == 0.5, "the worse pair is that at 8");
    cr_expect(strstr(rows[0].why, "50 ms (n 100) against 100 ms") != NULL, "%s", rows[0].why);
    cr_expect(rows[1].verdict == 1 && rows[1].got == 1, "without any name: the point itself");
    ryz_evaluator_close(evaluator);
}

Test(verdicts, a_multiple_needs_both_numbers_and_enough_samples_of_both)
{
    struct ryz_plan plan;
    struct ryz_target_row rows[4];
    sweep_of_two(&plan);
    relative(&plan, "16.ttft.p90", RYZ_OP_LE, 9, "8.step.p50", "");
    relative(&plan, "16.step.p50", RYZ_OP_LE, 9, "8.ttft.p90", "");
    relative(&plan, "16.ttft.p90", RYZ_OP_LE, 9, "8.ttft.p99", "");
    relative(&plan, "16.errors", RYZ_OP_LE, 9, "8.errors", "");
    cr_expect_eq(judge_two(&plan, 100, rows), 3);
    cr_expect(rows[0].verdict == -1 && strstr(rows[0].why, "8.step.p50: ") != NULL, "%s",
              rows[0].why);
    cr_expect(rows[1].verdict == -1 && strstr(rows[1].why, "16.step.p50: ") != NULL, "%s",
              rows[1].why);
    cr_expect(rows[2].verdict == -2 && strstr(rows[2].why, "459") != NULL, "%s", rows[2].why);
    cr_expect_eq(rows[3].verdict, -2, "there is no multiple of 0");
    cr_expect(isnan(rows[3].got));
}

Test(verdicts, a_reference_that_failed_or_never_ran_excuses_nothing)
{
    struct ryz_plan plan;
    struct ryz_target_row row;
    sweep_of_two(&plan);
    relative(&plan, "8.ttft.p90", RYZ_OP_LE, 1.2, "16.ttft.p90", "");
    struct ryz_run_data failed = {.info = {.point = 1, .label = "engine.max_batch=16"}};
    for (uint64_t i = 0; i < 50; i++) {
        struct ryz_request_row shed = rows_failed(i, 5, 6, RYZ_REQUEST_SHED);
        rows_add(&failed, &shed);
    }
    struct ryz_evaluator *evaluator = open_evaluator(&plan);
    add(evaluator, &plan, run_of(0, "engine.max_batch=8", 100, 50));
    add(evaluator, &plan, failed);
    ryz_evaluator_judge(evaluator, &row);
    cr_expect(row.verdict == -2 && strstr(row.why, "against failed") != NULL, "%s", row.why);
    ryz_evaluator_close(evaluator);
    evaluator = open_evaluator(&plan);
    add(evaluator, &plan, run_of(0, "engine.max_batch=8", 100, 50));
    ryz_evaluator_judge(evaluator, &row);
    cr_expect(row.verdict == -1 && strstr(row.why, "no run at such a point") != NULL, "%s",
              row.why);
    struct ryz_run_data data = run_of(1, "engine.max_batch=16", 100, 50);
    ryz_run_data_invalidate(&data, "the recorder dropped 3 rows");
    add(evaluator, &plan, data);
    ryz_evaluator_judge(evaluator, &row);
    cr_expect_eq(row.verdict, -2);
    cr_expect_str_eq(row.why, "the recorder dropped 3 rows");
    ryz_evaluator_close(evaluator);
}

static void expect_bad_reference(const char *metric, const char *of, const char *plus,
                                 const char *hint)
{
    struct ryz_plan plan;
    struct ryz_evaluator *evaluator = NULL;
    struct ryz_error error = {0};
    sweep_of_two(&plan);
    plan.sweep.axis_count = 2;
    plan.sweep.axes[1] =
        (struct ryz_axis){.key = "engine.max_queue", .values = {"16", "32"}, .count = 2};
    relative(&plan, metric, RYZ_OP_LE, 2, of, plus);
    strcpy(plan.targets[0].where, "s.ini:11");
    cr_expect_eq(ryz_evaluator_open(&plan, &evaluator, &error), RYZ_INVALID, "%s", of);
    cr_expect(strstr(error.text, hint) != NULL, "%s: \"%s\"", of, error.text);
    cr_expect_eq(strncmp(error.text, "s.ini:11: [targets] ", 20), 0, "%s", error.text);
    cr_expect_null(evaluator);
}

Test(verdicts, references_that_mean_nothing_are_refused_before_the_run)
{
    expect_bad_reference("ttft.p90", "8.tttf.p90", "", "did you mean \"ttft.p90\"");
    expect_bad_reference("ttft.p90", "8.ttft.p90", "step.maxx", "did you mean");
    expect_bad_reference("ttft.p90", "9.ttft.p90", "", "there are: main 8 16");
    expect_bad_reference("ttft.p90", "8.errors", "", "nothing to compare");
    expect_bad_reference("ttft.p90", "8.ttft.p90", "kv.util.max", "nothing to compare");
    expect_bad_reference("ttft.p90", "16.ttft.p90", "", "of several axes");
}

Test(verdicts, model_size_in_multiples_means_the_ratio)
{
    struct ryz_plan plan;
    struct ryz_target_row row;
    struct ryz_fact_row fact = {.metric = "model.ratio", .value = 1.88};
    rows_plan(&plan);
    rows_target(&plan, "model.size", RYZ_OP_GE, 1.85, "x");
    struct ryz_evaluator *evaluator = open_evaluator(&plan);
    struct ryz_run_data data = run_of(0, "", 10, 50);
    cr_assert_eq(ryz_run_data_set(&data, RYZ_TABLE_FACTS, &fact, 1, NULL), RYZ_OK);
    add(evaluator, &plan, data);
    ryz_evaluator_judge(evaluator, &row);
    cr_expect(row.verdict == 1 && row.got == 1.88);
    ryz_evaluator_close(evaluator);
}

Test(verdicts, the_summary_holds_each_traffic_where_there_are_several)
{
    struct ryz_plan plan;
    rows_plan(&plan);
    plan.traffic_count = 2;
    plan.traffic[1] = plan.traffic[0];
    strcpy(plan.traffic[1].name, "batch");
    struct ryz_evaluator *evaluator = open_evaluator(&plan);
    struct ryz_run_data data = run_of(0, "", 100, 50);
    size_t count = 0, found = 0;
    struct ryz_request_row *rows = ryz_run_rows(&data, RYZ_TABLE_REQUESTS, &count);
    for (size_t i = 0; i < count; i += 2) rows[i].phase = 1;
    cr_assert_eq(ryz_evaluator_add(evaluator, &plan, &data, NULL), RYZ_OK);
    const struct ryz_summary_row *summary = ryz_run_rows(&data, RYZ_TABLE_SUMMARY, &count);
    for (size_t i = 0; i < count; i++) {
        bool median = strcmp(summary[i].stat, "p50") == 0;
        found += median && strcmp(summary[i].metric, "ttft") == 0 && summary[i].n == 100;
        found += median && strcmp(summary[i].metric, "main.ttft") == 0 && summary[i].n == 50;
        found += median && strcmp(summary[i].metric, "batch.ttft") == 0 && summary[i].n == 50;
        cr_expect(summary[i].formula[0] != '\0' && summary[i].unit[0] != '\0');
    }
    cr_expect_eq(found, 3);
    ryz_run_data_deinit(&data);
    ryz_evaluator_close(evaluator);
}
