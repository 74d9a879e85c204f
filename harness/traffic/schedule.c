/*
 * schedule.c - draws arrivals and lengths, cuts traces to their window, sorts everything by time.
 *
 * Leaves to others: reading traces (trace_read.c), waiting for the times (drive/pacer.c). The idea:
 * the n-th gap, prompt length and output length of a traffic are hashes of (seed, purpose, traffic,
 * n), so no draw depends on another one or on how many there are.
 */
#include "harness/traffic/schedule.h"

#include "engine/base/assert.h"
#include "engine/base/clock.h"
#include "engine/base/hash.h"
#include "engine/base/rng.h"
#include "engine/base/size.h"
#include "harness/traffic/lengths.h"
#include "harness/traffic/portable_math.h"
#include "harness/traffic/trace_read.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Lengths of a closed traffic without a count that enter the checksum. */
#define ENDLESS_CHECKED 4096u

enum purpose { RYZ_PURPOSE_GAP = 1, RYZ_PURPOSE_PROMPT, RYZ_PURPOSE_OUTPUT };

struct builder {
    struct ryz_schedule *schedule;
    size_t capacity, id_capacity;
    struct ryz_error *error;
};

static uint64_t bits_of(const struct ryz_schedule *schedule, enum purpose purpose, uint32_t traffic,
                        uint64_t number)
{
    uint64_t stream = UINT64_C(0x7472616666696300) + (uint64_t)purpose + ((uint64_t)traffic << 32);
    return ryz_rng_at(schedule->options.seed, stream, number);
}

bool ryz_schedule_fit(uint32_t context, uint32_t *prompt_tokens, uint32_t *output_tokens)
{
    uint64_t total = (uint64_t)*prompt_tokens + *output_tokens;
    if (total <= context) return false;
    RYZ_ASSERT(context >= 2);
    uint32_t half = context / 2;
    uint32_t room = *output_tokens < context - half ? context - *output_tokens : half;
    if (*prompt_tokens > room) *prompt_tokens = room;
    if (*output_tokens > context - *prompt_tokens) *output_tokens = context - *prompt_tokens;
    return true;
}

static struct ryz_arrival draw(const struct ryz_schedule *schedule, uint32_t traffic,
                               uint64_t number, int64_t intended_ns)
{
    const struct ryz_traffic_plan *plan = &schedule->options.traffic[traffic];
    struct ryz_arrival arrival = {
        .intended_ns = intended_ns, .number = number, .traffic = (uint16_t)traffic};
    uint64_t prompt = bits_of(schedule, RYZ_PURPOSE_PROMPT, traffic, number);
    uint64_t output = bits_of(schedule, RYZ_PURPOSE_OUTPUT, traffic, number);
    arrival.prompt_tokens = ryz_lengths_draw(&plan->prompt, prompt);
    arrival.output_tokens = ryz_lengths_draw(&plan->output, output);
    return arrival;
}

static enum ryz_status add(struct builder *builder, struct ryz_arrival arrival)
{
    struct ryz_schedule *schedule = builder->schedule;
    if (schedule->count == RYZ_SCHEDULE_MAX)
        return ryz_fail(builder->error, RYZ_FULL,
                        "traffic \"%s\" brings the schedule beyond %u requests",
                        schedule->options.traffic[arrival.traffic].name, RYZ_SCHEDULE_MAX);
    if (schedule->count == builder->capacity) {
        size_t capacity = builder->capacity == 0 ? 1024 : builder->capacity * 2;
        struct ryz_arrival *arrivals = realloc(schedule->arrivals, capacity * sizeof *arrivals);
        if (arrivals == NULL)
            return ryz_fail(builder->error, RYZ_NO_MEMORY, "no memory for %zu arrivals", capacity);
        schedule->arrivals = arrivals;
        builder->capacity = capacity;
    }
    if (ryz_schedule_fit(schedule->options.context_tokens, &arrival.prompt_tokens,
                         &arrival.output_tokens))
        schedule->clipped++;
    schedule->arrivals[schedule->count++] = arrival;
    return RYZ_OK;
}

/* Constant and Poisson arrivals until the duration or the count is reached. */
static enum ryz_status add_drawn(struct builder *builder, uint32_t traffic)
{
    struct ryz_schedule *schedule = builder->schedule;
    const struct ryz_traffic_plan *plan = &schedule->options.traffic[traffic];
    if (!(plan->rate_per_s > 0.0) || (plan->duration_ns <= 0 && plan->requests == 0))
        return ryz_fail(builder->error, RYZ_INVALID,
                        "traffic \"%s\" needs a rate, and a duration or a number of requests",
                        plan->name);
    double expected = plan->rate_per_s * (double)plan->duration_ns / (double)RYZ_NS_PER_S;
    if (plan->duration_ns > 0 && expected > RYZ_SCHEDULE_MAX &&
        (plan->requests == 0 || plan->requests > RYZ_SCHEDULE_MAX))
        return ryz_fail(builder->error, RYZ_FULL,
                        "traffic \"%s\" would bring some %.3g requests; a schedule holds %u",
                        plan->name, expected, RYZ_SCHEDULE_MAX);
    double t_s = 0.0; /* since the start of this traffic */
    for (uint64_t n = 0; plan->requests == 0 || n < plan->requests; n++) {
        if (plan->arrival == RYZ_ARRIVAL_CONSTANT) {
            t_s = (double)n / plan->rate_per_s;
        } else {
            /* 1 - u is in (0, 1]: the logarithm is finite. */
            double unit = ryz_u64_to_unit(bits_of(schedule, RYZ_PURPOSE_GAP, traffic, n));
            t_s -= ryz_portable_log(1.0 - unit) / plan->rate_per_s;
        }
        double t_ns = t_s * (double)RYZ_NS_PER_S;
        if (plan->duration_ns > 0 && t_ns >= (double)plan->duration_ns) return RYZ_OK;
        if (t_ns > 4e18)
            return ryz_fail(builder->error, RYZ_INVALID, "traffic \"%s\" is too long", plan->name);
        enum ryz_status status =
            add(builder, draw(schedule, traffic, n, plan->start_ns + (int64_t)t_ns));
        if (status != RYZ_OK) return status;
    }
    return RYZ_OK;
}

static double factor_of(const struct ryz_traffic_plan *plan)
{
    return plan->scale_tokens > 0.0 ? plan->scale_tokens : 1.0;
}

static uint32_t scale(uint32_t tokens, double factor)
{
    double scaled = floor(tokens * factor + 0.5);
    return scaled < 1.0                    ? 1
           : scaled > RYZ_TRACE_TOKENS_MAX ? RYZ_TRACE_TOKENS_MAX
                                           : (uint32_t)scaled;
}

/* Copies the hash ids of a row; where they lie now goes to the arrival. */
static enum ryz_status add_ids(struct builder *builder, const struct ryz_trace *trace,
                               const struct ryz_trace_row *row, struct ryz_arrival *arrival)
{
    struct ryz_schedule *schedule = builder->schedule;
    size_t wanted = schedule->id_count + row->id_count;
    if (row->id_count == 0) return RYZ_OK;
    if (wanted > RYZ_TRACE_IDS_MAX)
        return ryz_fail(builder->error, RYZ_FULL,
                        "traffic \"%s\" brings the schedule beyond %u hash_ids",
                        schedule->options.traffic[arrival->traffic].name, RYZ_TRACE_IDS_MAX);
    if (wanted > builder->id_capacity) {
        size_t capacity = builder->id_capacity == 0 ? 1024 : builder->id_capacity * 2;
        while (capacity < wanted) capacity *= 2;
        uint64_t *grown = realloc(schedule->ids, capacity * sizeof *grown);
        if (grown == NULL)
            return ryz_fail(builder->error, RYZ_NO_MEMORY, "no memory for %zu hash_ids", capacity);
        schedule->ids = grown;
        builder->id_capacity = capacity;
    }
    memcpy(schedule->ids + schedule->id_count, trace->ids + row->id_first,
           row->id_count * sizeof *schedule->ids);
    arrival->id_first = (uint32_t)schedule->id_count;
    arrival->id_count = row->id_count;
    schedule->id_count = wanted;
    return RYZ_OK;
}

/* The rows of the window, with the trace's clock slowed down or sped up. */
static enum ryz_status add_rows(struct builder *builder, uint32_t traffic,
                                const struct ryz_trace *trace)
{
    const struct ryz_traffic_plan *plan = &builder->schedule->options.traffic[traffic];
    int64_t end_ns = plan->window_end_ns > 0 ? plan->window_end_ns : INT64_MAX;
    double speed = plan->speed > 0.0 ? plan->speed : 1.0;
    double factor = factor_of(plan);
    uint64_t number = 0;
    for (size_t i = 0; i < trace->count; i++) {
        const struct ryz_trace_row *row = &trace->rows[i];
        if (row->t_ns < plan->window_begin_ns || row->t_ns >= end_ns) continue;
        double t_ns = (double)(row->t_ns - plan->window_begin_ns) / speed;
        if (plan->requests > 0 && number == plan->requests) break;
        if (t_ns > 4e18) break;
        struct ryz_arrival arrival = {.intended_ns = plan->start_ns + (int64_t)t_ns,
                                      .number = number++,
                                      .prompt_tokens = scale(row->prompt_tokens, factor),
                                      .output_tokens = scale(row->output_tokens, factor),
                                      .traffic = (uint16_t)traffic};
        enum ryz_status status = add_ids(builder, trace, row, &arrival);
        if (status == RYZ_OK) status = add(builder, arrival);
        if (status != RYZ_OK) return status;
    }
    if (number == 0)
        return ryz_fail(builder->error, RYZ_INVALID,
                        "traffic \"%s\": the window holds no row of %s, which covers %.0f s",
                        plan->name, plan->trace,
                        (double)trace->rows[trace->count - 1].t_ns / (double)RYZ_NS_PER_S);
    return RYZ_OK;
}

static enum ryz_status add_trace(struct builder *builder, uint32_t traffic)
{
    const struct ryz_traffic_plan *plan = &builder->schedule->options.traffic[traffic];
    struct ryz_trace trace;
    enum ryz_status status = ryz_trace_open(plan->trace, plan->format, &trace, builder->error);
    if (status != RYZ_OK) return status;
    status = add_rows(builder, traffic, &trace);
    ryz_trace_close(&trace);
    return status;
}

static enum ryz_status check_closed(const struct ryz_traffic_plan *plan, struct ryz_error *error)
{
    if (plan->concurrency == 0 || (plan->requests == 0 && plan->duration_ns <= 0))
        return ryz_fail(error, RYZ_INVALID,
                        "traffic \"%s\" needs a concurrency, and a duration or a number of "
                        "requests",
                        plan->name);
    return RYZ_OK;
}

bool ryz_schedule_closed(const struct ryz_schedule *schedule, uint32_t traffic, uint64_t number,
                         struct ryz_arrival *arrival, bool *clipped)
{
    const struct ryz_traffic_plan *plan = &schedule->options.traffic[traffic];
    RYZ_ASSERT(traffic < schedule->options.traffic_count);
    RYZ_ASSERT(plan->arrival == RYZ_ARRIVAL_CLOSED);
    if (plan->requests > 0 && number >= plan->requests) return false;
    *arrival = draw(schedule, traffic, number, plan->start_ns);
    bool cut = ryz_schedule_fit(schedule->options.context_tokens, &arrival->prompt_tokens,
                                &arrival->output_tokens);
    if (clipped != NULL) *clipped = cut;
    return true;
}

struct ryz_prompt_parts ryz_schedule_parts(const struct ryz_schedule *schedule,
                                           const struct ryz_arrival *arrival)
{
    const struct ryz_traffic_plan *plan = &schedule->options.traffic[arrival->traffic];
    if (arrival->id_count == 0) return (struct ryz_prompt_parts){0};
    RYZ_ASSERT((size_t)arrival->id_first + arrival->id_count <= schedule->id_count);
    struct ryz_prompt_parts parts = {.ids = schedule->ids + arrival->id_first,
                                     .count = arrival->id_count,
                                     .tokens = RYZ_TRACE_ID_TOKENS * factor_of(plan)};
    /* The first traffic that reads this file. */
    while (strcmp(schedule->options.traffic[parts.source].trace, plan->trace) != 0) parts.source++;
    RYZ_ASSERT(parts.source <= arrival->traffic);
    return parts;
}

static int by_time(const void *a, const void *b)
{
    const struct ryz_arrival *x = a, *y = b;
    if (x->intended_ns != y->intended_ns) return x->intended_ns < y->intended_ns ? -1 : 1;
    if (x->traffic != y->traffic) return x->traffic < y->traffic ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

static uint64_t extend(uint64_t digest, const struct ryz_arrival *arrival)
{
    uint64_t words[4] = {(uint64_t)arrival->intended_ns, arrival->number,
                         (uint64_t)arrival->prompt_tokens << 32 | arrival->output_tokens,
                         (uint64_t)arrival->session << 32 | (uint64_t)arrival->turn << 16 |
                             arrival->traffic};
    return ryz_hash64_extend(digest, words, sizeof words);
}

static uint64_t checksum(const struct ryz_schedule *schedule)
{
    uint64_t digest = 0;
    for (size_t i = 0; i < schedule->count; i++) {
        const struct ryz_arrival *arrival = &schedule->arrivals[i];
        digest = extend(digest, arrival);
        if (arrival->id_count == 0) continue;
        digest = ryz_hash64_extend(digest, schedule->ids + arrival->id_first,
                                   arrival->id_count * sizeof *schedule->ids);
    }
    for (uint32_t t = 0; t < schedule->options.traffic_count; t++) {
        const struct ryz_traffic_plan *plan = &schedule->options.traffic[t];
        struct ryz_arrival arrival;
        if (plan->arrival != RYZ_ARRIVAL_CLOSED) continue;
        uint64_t count = plan->requests > 0 ? plan->requests : ENDLESS_CHECKED;
        for (uint64_t n = 0; n < count && ryz_schedule_closed(schedule, t, n, &arrival, NULL); n++)
            digest = extend(digest, &arrival);
        digest = ryz_hash64_extend(digest, &plan->concurrency, sizeof plan->concurrency);
    }
    return digest;
}

static enum ryz_status add_traffic(struct builder *builder, uint32_t traffic)
{
    const struct ryz_traffic_plan *plan = &builder->schedule->options.traffic[traffic];
    if (plan->start_ns < 0 || plan->start_ns > INT64_MAX / 4)
        return ryz_fail(builder->error, RYZ_INVALID, "traffic \"%s\" starts at an odd time",
                        plan->name);
    switch (plan->arrival) {
    case RYZ_ARRIVAL_CLOSED:
        return check_closed(plan, builder->error);
    case RYZ_ARRIVAL_CONSTANT:
    case RYZ_ARRIVAL_POISSON:
        return add_drawn(builder, traffic);
    case RYZ_ARRIVAL_TRACE:
        return add_trace(builder, traffic);
    }
    return ryz_fail(builder->error, RYZ_INVALID, "traffic \"%s\" has no arrival kind", plan->name);
}

enum ryz_status ryz_schedule_open(const struct ryz_schedule_options *options,
                                  struct ryz_schedule *schedule, struct ryz_error *error)
{
    memset(schedule, 0, sizeof *schedule);
    schedule->options = *options;
    if (options->context_tokens < 2)
        return ryz_fail(error, RYZ_INVALID, "a context of %u tokens holds no prompt and output",
                        options->context_tokens);
    struct builder builder = {.schedule = schedule, .error = error};
    for (uint32_t t = 0; t < options->traffic_count; t++) {
        enum ryz_status status = add_traffic(&builder, t);
        if (status != RYZ_OK) {
            ryz_schedule_close(schedule);
            return status;
        }
    }
    if (schedule->count > 0) {
        qsort(schedule->arrivals, schedule->count, sizeof *schedule->arrivals, by_time);
        schedule->last_ns = schedule->arrivals[schedule->count - 1].intended_ns;
    }
    schedule->checksum = checksum(schedule);
    return RYZ_OK;
}

void ryz_schedule_close(struct ryz_schedule *schedule)
{
    free(schedule->arrivals);
    free(schedule->ids);
    memset(schedule, 0, sizeof *schedule);
}
