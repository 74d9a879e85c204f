/* synthetic.c - see synthetic.h. */
#include "tests/unit/record/synthetic.h"

#include "engine/base/assert.h"
#include "engine/base/clock.h"
#include "engine/base/rng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {"interactive", "batch"};

static void add(struct ryz_run_data *data, enum ryz_table table, const void *row)
{
    RYZ_ASSERT(ryz_run_data_add(data, table, row, NULL) == RYZ_OK);
}

static int64_t ms(double value)
{
    return (int64_t)(value * 1e6);
}

static void add_span(struct ryz_run_data *data, const struct ryz_request_row *row,
                     enum ryz_span_name name, int64_t begin, int64_t end)
{
    static const uint64_t root = UINT64_C(0x100000);
    struct ryz_span_row span = {.request = row->id, .name = (uint16_t)name};
    memcpy(span.trace_id, row->trace_id, sizeof span.trace_id);
    span.span_id = root * (name + 1) + row->id;
    span.parent = name == RYZ_SPAN_CLIENT ? 0 : root + row->id;
    span.t0_ns = begin;
    span.t1_ns = end;
    add(data, RYZ_TABLE_SPANS, &span);
}

static void add_answer(struct ryz_run_data *data, struct ryz_request_row *row, int64_t start,
                       double token_ms, struct ryz_rng *rng)
{
    row->t_accept = row->t_send + ms(0.2);
    row->t_first = start + ms(row->in_tok * 0.4 + 5);
    int64_t t = row->t_first;
    for (uint32_t i = 0; i < row->out_tok; i++) {
        struct ryz_token_row token = {.request = row->id, .t_ns = t, .n = 1};
        add(data, RYZ_TABLE_TOKENS, &token);
        row->t_last = t;
        t += ms(token_ms * (0.8 + 0.4 * ryz_rng_unit(rng)));
    }
    row->t_done = row->t_last + ms(0.1);
    add_span(data, row, RYZ_SPAN_QUEUE, row->t_accept, start);
    add_span(data, row, RYZ_SPAN_PREFILL, start, row->t_first);
    add_span(data, row, RYZ_SPAN_DECODE, row->t_first, row->t_last);
}

static void add_engine(struct ryz_run_data *data, int64_t end, const struct synthetic *options)
{
    size_t count = 0;
    const struct ryz_request_row *rows = ryz_run_rows(data, RYZ_TABLE_REQUESTS, &count);
    uint64_t decoded = 0;
    for (int64_t t = 0; t < end; t += ms(options->token_ms)) {
        struct ryz_step_row step = {.t_ns = t, .duration_ns = ms(options->token_ms * 0.9)};
        for (size_t i = 0; i < count; i++) {
            if (rows[i].status != RYZ_REQUEST_OK) continue;
            step.run_count += rows[i].t_first <= t && rows[i].t_last > t;
            step.waiting += rows[i].t_send <= t && rows[i].t_first > t;
        }
        step.decode_requests = step.run_count;
        step.running = step.run_count;
        step.context_tokens = 200u * step.run_count;
        step.sched_ns = ms(0.02);
        step.forward_ns = step.duration_ns - ms(0.1);
        step.kv_total = 512;
        step.kv_used = step.run_count * 20u < 512 ? step.run_count * 20u : 512;
        step.decoded = decoded += step.run_count;
        add(data, RYZ_TABLE_ENGINE, &step);
    }
    for (int64_t t = 0; t < end; t += ms(500)) {
        double load = 0.6 + 0.3 * sin((double)t / 4e9);
        struct ryz_host_row host = {.t_ns = t,
                                    .cpu = (float)load,
                                    .process_cpu = (float)(2 * load),
                                    .rss = UINT64_C(300) << 20,
                                    .mem_total = UINT64_C(8) << 30};
        struct ryz_harness_row harness = {.t_ns = t, .lag_p99_ns = ms(0.1), .cpu = 0.05F};
        add(data, RYZ_TABLE_HOST, &host);
        add(data, RYZ_TABLE_HARNESS, &harness);
    }
}

static void add_events(struct ryz_run_data *data, int64_t on, int64_t off)
{
    struct ryz_run_event_row event = {.t_ns = on, .kind = RYZ_RUN_EVENT_FAULT_ON};
    snprintf(event.note, sizeof event.note, "slow_decode");
    add(data, RYZ_TABLE_EVENTS, &event);
    event.t_ns = off;
    event.kind = RYZ_RUN_EVENT_FAULT_OFF;
    event.value = 17;
    add(data, RYZ_TABLE_EVENTS, &event);
}

static void fill_info(const struct synthetic *options, struct ryz_run_info *info)
{
    info->seed = options->seed;
    info->valid = info->complete = true;
    info->phase_count = options->traffics;
    for (uint32_t i = 0; i < options->traffics; i++)
        snprintf(info->phases[i], sizeof info->phases[i], "%s", names[i]);
    snprintf(info->driver, sizeof info->driver, "synthetic");
    snprintf(info->model, sizeof info->model, "made-up model");
}

void synthetic_run(const struct synthetic *options, struct ryz_run_data *data)
{
    struct ryz_rng rng;
    int64_t *free_at = calloc(options->max_batch, sizeof *free_at), t = 0, end = 0;
    *data = (struct ryz_run_data){0};
    RYZ_ASSERT(free_at != NULL);
    ryz_rng_init(&rng, options->seed, 1);
    fill_info(options, &data->info);
    int64_t length = (int64_t)((double)options->requests / options->rate_per_s * 1e9);
    int64_t on = length * 2 / 5, off = length * 11 / 20;
    for (uint64_t i = 1; i <= options->requests; i++) {
        struct ryz_request_row row = ryz_request_row_blank(i);
        t += (int64_t)(-log1p(-ryz_rng_unit(&rng)) / options->rate_per_s * 1e9);
        row.phase = (uint16_t)ryz_rng_below(&rng, options->traffics);
        row.t_sched = t;
        row.t_send = t + ms(0.05 * ryz_rng_unit(&rng));
        row.in_tok = 20 + (uint32_t)ryz_rng_below(&rng, 200);
        row.want_tok = row.out_tok = 4 + (uint32_t)ryz_rng_below(&rng, 40);
        ryz_trace_id_make(options->seed, i, row.trace_id);
        bool hit = options->fault && t >= on && t < off;
        uint32_t slot = 0;
        for (uint32_t s = 1; s < options->max_batch; s++)
            if (free_at[s] < free_at[slot]) slot = s;
        int64_t start = free_at[slot] > row.t_send ? free_at[slot] : row.t_send + ms(0.3);
        if (hit && ryz_rng_unit(&rng) < options->fail_share) {
            row.status = RYZ_REQUEST_ERROR_5XX;
            row.out_tok = 0;
            row.t_done = row.t_send + ms(3);
            row.fault = 1;
        } else {
            add_answer(data, &row, start, options->token_ms * (hit ? 3 : 1), &rng);
            free_at[slot] = row.t_last;
        }
        add_span(data, &row, RYZ_SPAN_CLIENT, row.t_sched, row.t_done);
        end = row.t_done > end ? row.t_done : end;
        add(data, RYZ_TABLE_REQUESTS, &row);
    }
    free(free_at);
    if (options->fault) add_events(data, on, off);
    add_engine(data, end, options);
    RYZ_ASSERT(ryz_run_data_finalise(data, NULL) == RYZ_OK);
}

void synthetic_plan(const struct synthetic *options, struct ryz_plan *plan)
{
    *plan = (struct ryz_plan){.repeats = 1, .seed = options->seed};
    plan->traffic_count = options->traffics;
    for (uint32_t i = 0; i < options->traffics; i++) {
        struct ryz_traffic_plan *traffic = &plan->traffic[i];
        snprintf(traffic->name, sizeof traffic->name, "%s", names[i]);
        traffic->arrival = RYZ_ARRIVAL_POISSON;
        traffic->measure = RYZ_MEASURE_YES;
        traffic->slo = (struct ryz_slo){RYZ_TIME_NEVER, RYZ_TIME_NEVER, RYZ_TIME_NEVER};
    }
    if (!options->fault) return;
    plan->fault_count = 1;
    snprintf(plan->faults[0].name, sizeof plan->faults[0].name, "slow_decode");
}

void synthetic_accuracy(uint64_t seed, double loss, struct ryz_run_data *data)
{
    struct ryz_rng rng;
    ryz_rng_init(&rng, seed, 2);
    for (uint32_t i = 0; i < 2000; i++) {
        double base = -0.5 - 4 * ryz_rng_unit(&rng);
        double noise = (ryz_rng_unit(&rng) - 0.5) * 0.1;
        struct ryz_accuracy_row row = {.item = i,
                                       .window = i / 50,
                                       .logprob = base - loss - noise,
                                       .base_logprob = base,
                                       .kl = loss / 2,
                                       .top1 = ryz_rng_unit(&rng) > loss};
        add(data, RYZ_TABLE_ACCURACY, &row);
    }
}

void synthetic_provenance(struct ryz_provenance *provenance)
{
    static const char scenario[] = "[scenario]\nname = made_up\nschema = 1\n";
    *provenance = (struct ryz_provenance){0};
#define X(name, bytes, help)                                                                       \
    snprintf(provenance->name, sizeof provenance->name, "%s of a test", #name);
    RYZ_PROVENANCE_TEXTS(X)
#undef X
    snprintf(provenance->title, sizeof provenance->title, "A made-up run; nothing was measured");
    provenance->cores = 2;
    provenance->ram_bytes = UINT64_C(8) << 30;
    provenance->seed = 42;
    provenance->scenario = scenario;
    provenance->scenario_bytes = sizeof scenario - 1;
}
