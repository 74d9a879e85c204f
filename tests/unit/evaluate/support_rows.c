/* support_rows.c - see support_rows.h. */
#include "tests/unit/evaluate/support_rows.h"

#include "engine/base/assert.h"
#include "engine/base/clock.h"

#include <stdio.h>
#include <string.h>

static int64_t ms(double value)
{
    return (int64_t)(value * 1e6);
}

struct ryz_request_row rows_answered(uint64_t id, double sched, double first, double last,
                                     uint32_t out_tok)
{
    struct ryz_request_row row = ryz_request_row_blank(id);
    row.t_sched = ms(sched);
    row.t_send = ms(sched + 1);
    row.t_first = ms(first);
    row.t_last = ms(last);
    row.t_done = ms(last + 1);
    row.out_tok = row.want_tok = out_tok;
    row.in_tok = 10;
    return row;
}

struct ryz_request_row rows_failed(uint64_t id, double sched, double done,
                                   enum ryz_request_status status)
{
    struct ryz_request_row row = ryz_request_row_blank(id);
    row.t_sched = ms(sched);
    row.t_send = ms(sched + 1);
    row.t_done = ms(done);
    row.want_tok = 5;
    row.in_tok = 10;
    row.status = (uint16_t)status;
    return row;
}

void rows_add(struct ryz_run_data *data, const struct ryz_request_row *row)
{
    data->info.valid = data->info.complete = true;
    RYZ_ASSERT(ryz_run_data_add(data, RYZ_TABLE_REQUESTS, row, NULL) == RYZ_OK);
}

void rows_plan(struct ryz_plan *plan)
{
    *plan = (struct ryz_plan){.traffic_count = 1, .repeats = 1};
    struct ryz_traffic_plan *traffic = &plan->traffic[0];
    strcpy(traffic->name, "main");
    traffic->arrival = RYZ_ARRIVAL_POISSON;
    traffic->measure = RYZ_MEASURE_YES;
    traffic->slo = (struct ryz_slo){RYZ_TIME_NEVER, RYZ_TIME_NEVER, RYZ_TIME_NEVER};
}

void rows_target(struct ryz_plan *plan, const char *metric, enum ryz_op op, double value,
                 const char *unit)
{
    struct ryz_target_plan *target = &plan->targets[plan->target_count++];
    *target = (struct ryz_target_plan){.op = op, .value = value};
    snprintf(target->metric, sizeof target->metric, "%s", metric);
    snprintf(target->unit, sizeof target->unit, "%s", unit);
    snprintf(target->text, sizeof target->text, "%g %s", value, unit);
}

struct ryz_estimate rows_measure(const struct ryz_plan *plan, struct ryz_run_data *data,
                                 enum ryz_quantity quantity, enum ryz_statistic statistic)
{
    struct ryz_windows windows;
    struct ryz_view view = {.data = data, .windows = &windows, .traffic = -1};
    RYZ_ASSERT(ryz_run_data_finalise(data, NULL) == RYZ_OK);
    ryz_windows_mark(plan, data, &windows);
    if (ryz_quantity_spec(quantity)->kind == RYZ_QUANTITY_NUMBER) {
        struct ryz_number number;
        ryz_collect_number(&view, quantity, &number);
        return ryz_number_estimate(&number);
    }
    struct ryz_samples samples = {0};
    ryz_collect_samples(&view, quantity, &samples);
    struct ryz_estimate e = ryz_samples_estimate(&samples, statistic);
    ryz_samples_free(&samples);
    return e;
}
