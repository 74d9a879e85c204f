/*
 * flights.c - launches, ends and rows of requests.
 *
 * Leaves to others: clocks and targets (pacer.c, simulate.c). The idea: a request ends in end(),
 * once, whatever ended it; that is where its row, its span and the next request of a closed loop
 * come from.
 */
#include "harness/drive/flights.h"

#include "engine/base/assert.h"
#include "engine/base/rng.h"
#include "engine/base/size.h"

#include <stdlib.h>
#include <string.h>

/* Of requests under way, unless the options say otherwise. */
#define INFLIGHT_MAX 16384u

#define GIVE_UP_STREAM UINT64_C(0x6769766575700000)
#define CLIENT_SPANS   UINT64_C(0x636c69656e740000) /* sets the client's span ids apart */

static enum ryz_status push_ready(struct ryz_flights *flights, struct ryz_ready item,
                                  struct ryz_error *error)
{
    if (flights->ready_count == flights->ready_capacity) {
        uint32_t capacity = flights->ready_capacity == 0 ? 64 : flights->ready_capacity * 2;
        struct ryz_ready *grown = realloc(flights->ready, capacity * sizeof *grown);
        if (grown == NULL) return ryz_fail(error, RYZ_NO_MEMORY, "no memory for closed traffic");
        flights->ready = grown;
        flights->ready_capacity = capacity;
    }
    uint32_t at = flights->ready_count++;
    for (; at > 0 && item.t_ns < flights->ready[(at - 1) / 2].t_ns; at = (at - 1) / 2)
        flights->ready[at] = flights->ready[(at - 1) / 2];
    flights->ready[at] = item;
    return RYZ_OK;
}

static struct ryz_ready pop_ready(struct ryz_flights *flights)
{
    struct ryz_ready top = flights->ready[0];
    struct ryz_ready last = flights->ready[--flights->ready_count];
    uint32_t at = 0, count = flights->ready_count;
    for (uint32_t child = 1; child < count; child = 2 * at + 1) {
        if (child + 1 < count && flights->ready[child + 1].t_ns < flights->ready[child].t_ns)
            child++;
        if (last.t_ns <= flights->ready[child].t_ns) break;
        flights->ready[at] = flights->ready[child];
        at = child;
    }
    flights->ready[at] = last;
    return top;
}

/* Lets each closed traffic begin with `concurrency` requests. */
static enum ryz_status prepare_traffic(struct ryz_flights *flights, struct ryz_error *error)
{
    const struct ryz_schedule *schedule = flights->options.schedule;
    for (size_t i = 0; i < schedule->count; i++)
        flights->states[schedule->arrivals[i].traffic].open_left++;
    for (uint32_t t = 0; t < flights->traffic_count; t++) {
        const struct ryz_traffic_plan *plan = &flights->traffic[t];
        if (plan->arrival != RYZ_ARRIVAL_CLOSED) continue;
        for (uint32_t i = 0; i < plan->concurrency; i++) {
            if (plan->requests > 0 && i >= plan->requests) break;
            enum ryz_status status = push_ready(
                flights, (struct ryz_ready){.t_ns = plan->start_ns, .traffic = t}, error);
            if (status != RYZ_OK) return status;
        }
    }
    return RYZ_OK;
}

enum ryz_status ryz_flights_open(const struct ryz_drive_options *options,
                                 struct ryz_flights *flights, struct ryz_error *error)
{
    memset(flights, 0, sizeof *flights);
    flights->options = *options;
    if (flights->options.inflight_max == 0) flights->options.inflight_max = INFLIGHT_MAX;
    flights->traffic = options->schedule->options.traffic;
    flights->traffic_count = options->schedule->options.traffic_count;
    RYZ_ASSERT(flights->traffic_count <= RYZ_TRAFFIC_MAX);
    flights->next_id = 1;
    flights->clipped = options->schedule->clipped;
    flights->prompt = calloc(options->schedule->options.context_tokens, sizeof *flights->prompt);
    flights->lags = calloc(RYZ_LAGS_MAX, sizeof *flights->lags);
    enum ryz_status status = RYZ_OK;
    if (flights->prompt == NULL || flights->lags == NULL)
        status = ryz_fail(error, RYZ_NO_MEMORY, "no memory for the pacer");
    if (status == RYZ_OK) status = ryz_histogram_open(&flights->lag_histogram, error);
    if (status == RYZ_OK) status = prepare_traffic(flights, error);
    if (status != RYZ_OK) ryz_flights_close(flights);
    return status;
}

void ryz_flights_close(struct ryz_flights *flights)
{
    for (uint32_t i = 0; i < flights->all_count; i++) {
        free(flights->all[i]->ids);
        free(flights->all[i]);
    }
    free(flights->all);
    free(flights->ready);
    free(flights->prompt);
    free(flights->lags);
    ryz_histogram_close(flights->lag_histogram);
    memset(flights, 0, sizeof *flights);
}

int64_t ryz_flights_due_ns(const struct ryz_flights *flights)
{
    const struct ryz_schedule *schedule = flights->options.schedule;
    if (flights->stopped) return RYZ_TIME_NEVER;
    int64_t due_ns = RYZ_TIME_NEVER;
    if (flights->next_arrival < schedule->count)
        due_ns = schedule->arrivals[flights->next_arrival].intended_ns;
    if (flights->ready_count > 0 && flights->ready[0].t_ns < due_ns)
        due_ns = flights->ready[0].t_ns;
    return due_ns;
}

static struct ryz_flight *take_flight(struct ryz_flights *flights)
{
    struct ryz_flight *flight = flights->free;
    if (flight != NULL) {
        flights->free = flight->next;
        return flight;
    }
    if (flights->all_count == flights->all_capacity) {
        uint32_t capacity = flights->all_capacity == 0 ? 64 : flights->all_capacity * 2;
        struct ryz_flight **grown = realloc(flights->all, capacity * sizeof(struct ryz_flight *));
        if (grown == NULL) return NULL;
        flights->all = grown;
        flights->all_capacity = capacity;
    }
    flight = calloc(1, sizeof *flight);
    if (flight != NULL) flights->all[flights->all_count++] = flight;
    return flight;
}

static void give_back(struct ryz_flights *flights, struct ryz_flight *flight)
{
    flight->next = flights->free;
    flights->free = flight;
}

static bool reserve_ids(struct ryz_flight *flight, uint32_t count)
{
    if (count <= flight->id_capacity) return true;
    uint32_t capacity = flight->id_capacity == 0 ? 64 : flight->id_capacity;
    while (capacity < count) capacity *= 2;
    uint32_t *grown = realloc(flight->ids, capacity * sizeof *grown);
    if (grown == NULL) return false;
    flight->ids = grown;
    flight->id_capacity = capacity;
    return true;
}

static void tell_phase(struct ryz_flights *flights, uint32_t traffic, bool begins, int64_t t_ns)
{
    struct ryz_traffic_state *state = &flights->states[traffic];
    bool *told = begins ? &state->begun : &state->over;
    if (*told) return;
    *told = true;
    if (flights->options.sink.phase != NULL)
        flights->options.sink.phase(flights->options.sink.context, traffic, begins, t_ns);
}

/* Is the request `number` of a closed traffic, due at t_ns, still within its count and duration? */
static bool within(const struct ryz_traffic_plan *plan, uint64_t number, int64_t t_ns)
{
    if (plan->requests > 0 && number >= plan->requests) return false;
    return plan->duration_ns <= 0 || t_ns < plan->start_ns + plan->duration_ns;
}

/* The request that is due first. False: it was closed traffic that is over. */
static bool next_arrival(struct ryz_flights *flights, struct ryz_arrival *arrival)
{
    const struct ryz_schedule *schedule = flights->options.schedule;
    int64_t open_ns = flights->next_arrival < schedule->count
                          ? schedule->arrivals[flights->next_arrival].intended_ns
                          : RYZ_TIME_NEVER;
    if (flights->ready_count == 0 || flights->ready[0].t_ns > open_ns) {
        RYZ_ASSERT(flights->next_arrival < schedule->count);
        *arrival = schedule->arrivals[flights->next_arrival++];
        flights->states[arrival->traffic].open_left--;
        return true;
    }
    struct ryz_ready ready = pop_ready(flights);
    struct ryz_traffic_state *state = &flights->states[ready.traffic];
    bool clipped = false;
    if (!within(&flights->traffic[ready.traffic], state->launched, ready.t_ns) ||
        !ryz_schedule_closed(schedule, ready.traffic, state->launched, arrival, &clipped)) {
        tell_phase(flights, ready.traffic, false, ready.t_ns);
        return false;
    }
    arrival->intended_ns = ready.t_ns;
    flights->clipped += clipped;
    return true;
}

static void note_lag(struct ryz_flights *flights, int64_t lag_ns)
{
    if (flights->lag_count < RYZ_LAGS_MAX) flights->lags[flights->lag_count++] = lag_ns;
    ryz_histogram_record(flights->lag_histogram, lag_ns);
    if (lag_ns > flights->lag_max_ns) flights->lag_max_ns = lag_ns;
}

/* Simulated time may be close to its end. */
static int64_t add_ns(int64_t t_ns, int64_t more_ns)
{
    return t_ns < RYZ_TIME_NEVER - more_ns ? t_ns + more_ns : RYZ_TIME_NEVER;
}

/* A cache of the engine's size cannot hold what the engine will refuse: that is not lost. */
static void show_prompt(struct ryz_flights *flights, struct ryz_prefix_bound *bound,
                        const struct ryz_prefix_bound_request *request)
{
    if (bound == NULL || flights->bound_lost) return;
    enum ryz_status status = ryz_prefix_bound_add(bound, request, NULL, NULL);
    flights->bound_lost = status != RYZ_OK && status != RYZ_INVALID;
}

static void fill_row(struct ryz_flights *flights, struct ryz_request_row *row,
                     const struct ryz_arrival *arrival)
{
    const struct ryz_traffic_plan *plan = &flights->traffic[arrival->traffic];
    *row = ryz_request_row_blank(flights->next_id++);
    row->session = arrival->session;
    row->turn = arrival->turn;
    row->phase = arrival->traffic;
    row->tenant = arrival->traffic;
    for (uint32_t t = 0; t < arrival->traffic; t++) { /* the first traffic of the same tenant */
        if (strcmp(flights->traffic[t].tenant, plan->tenant) != 0) continue;
        row->tenant = (uint16_t)t;
        break;
    }
    row->priority = (int16_t)plan->priority;
    row->t_sched = arrival->intended_ns;
    if (plan->first_deadline_ns > 0)
        row->first_deadline_ns = add_ns(row->t_sched, plan->first_deadline_ns);
    if (plan->deadline_ns > 0) row->deadline_ns = add_ns(row->t_sched, plan->deadline_ns);
    row->in_tok = arrival->prompt_tokens;
    row->want_tok = arrival->output_tokens;
    ryz_trace_id_make(flights->options.seed, row->id, row->trace_id);
    const struct ryz_prompt_parts parts = ryz_schedule_parts(flights->options.schedule, arrival);
    ryz_prompts_fill_parts(flights->options.prompts, &parts, arrival->traffic, arrival->number,
                           flights->prompt, arrival->prompt_tokens);
    row->prompt_hash = ryz_prompts_hash(flights->prompt, arrival->prompt_tokens);
    const struct ryz_prefix_bound_request shown = {.tokens = flights->prompt,
                                                   .prompt_tokens = arrival->prompt_tokens,
                                                   .output_tokens = arrival->output_tokens,
                                                   .tenant = row->tenant};
    show_prompt(flights, flights->options.bound, &shown);
    show_prompt(flights, flights->options.lru, &shown);
}

/* 1 + index of the scenario's fault that was on at t_ns, 0 if none was. */
static uint16_t fault_at(const struct ryz_flights *flights, int64_t t_ns)
{
    for (uint32_t i = 0; i < flights->options.plan_fault_count; i++) {
        const struct ryz_fault *fault = &flights->options.plan_faults[i];
        if (t_ns >= fault->at_ns && t_ns < fault->until_ns) return (uint16_t)(i + 1);
    }
    return 0;
}

static uint16_t fault_named(const struct ryz_flights *flights, const char *name)
{
    for (uint32_t i = 0; i < flights->options.plan_fault_count; i++) {
        if (strcmp(flights->options.plan_faults[i].name, name) == 0) return (uint16_t)(i + 1);
    }
    return 0;
}

/* Draws whether this client will disconnect, and after how many tokens: anywhere in the first half
 * of its answer, so that there is something left to save by noticing. */
static void draw_disconnect(struct ryz_flights *flights, struct ryz_flight *flight, int64_t now_ns)
{
    const struct ryz_fault *fault = NULL;
    if (!ryz_fault_hit(flights->options.faults, RYZ_FAULT_CLIENT, flights->options.t0_ns + now_ns,
                       &fault))
        return;
    uint32_t half = flight->row.want_tok > 2 ? flight->row.want_tok / 2 : 1;
    uint64_t bits = ryz_rng_at(flights->options.seed, GIVE_UP_STREAM, flight->row.id);
    flight->gives_up_at = 1 + (uint32_t)(bits % half);
    flight->row.fault = fault_named(flights, fault->name);
}

static void emit_row(struct ryz_flights *flights, const struct ryz_request_row *row,
                     const char *reason)
{
    const struct ryz_drive_sink *sink = &flights->options.sink;
    flights->progress.ended++;
    flights->progress.output_tokens += row->out_tok;
    if (row->status != RYZ_REQUEST_OK) flights->progress.failed++;
    if (row->status == RYZ_REQUEST_DROPPED_BY_HARNESS) flights->progress.dropped++;
    if (row->t_done > flights->end_ns) flights->end_ns = row->t_done;
    if (row->status != RYZ_REQUEST_OK && sink->failure != NULL)
        sink->failure(sink->context, row->id, row->t_done, (enum ryz_request_status)row->status,
                      reason != NULL ? reason : "");
    if (sink->span != NULL) {
        int64_t t0_ns = flights->options.t0_ns;
        struct ryz_span span = {.request = row->id,
                                .t0_ns = t0_ns + row->t_sched,
                                .t1_ns = t0_ns + row->t_done,
                                .attr = row->out_tok,
                                .name = RYZ_SPAN_CLIENT,
                                .status =
                                    (int8_t)(row->status == RYZ_REQUEST_OK ? RYZ_OK : RYZ_FAULT)};
        span.span_id = ryz_span_id_make(flights->options.seed ^ CLIENT_SPANS, row->id);
        memcpy(span.trace_id, row->trace_id, sizeof span.trace_id);
        sink->span(sink->context, &span);
    }
    if (sink->request != NULL) sink->request(sink->context, row);
}

static void link_flight(struct ryz_flights *flights, struct ryz_flight *flight)
{
    struct ryz_traffic_state *state = &flights->states[flight->arrival.traffic];
    flight->previous = state->last;
    flight->next = NULL;
    if (state->last != NULL)
        state->last->next = flight;
    else
        state->first = flight;
    state->last = flight;
    flights->progress.inflight++;
}

static void unlink_flight(struct ryz_flights *flights, struct ryz_flight *flight)
{
    struct ryz_traffic_state *state = &flights->states[flight->arrival.traffic];
    if (flight->previous != NULL)
        flight->previous->next = flight->next;
    else
        state->first = flight->next;
    if (flight->next != NULL)
        flight->next->previous = flight->previous;
    else
        state->last = flight->previous;
    RYZ_ASSERT(flights->progress.inflight > 0);
    flights->progress.inflight--;
}

/* A place of a closed loop is free again: its next request is due when this one ended. */
static void follow_up(struct ryz_flights *flights, const struct ryz_request_row *row)
{
    const struct ryz_traffic_plan *plan = &flights->traffic[row->phase];
    if (plan->arrival != RYZ_ARRIVAL_CLOSED) return;
    bool refused = row->status != RYZ_REQUEST_OK && row->t_first == RYZ_TIME_NONE &&
                   row->status != RYZ_REQUEST_TIMEOUT;
    int64_t t_ns = row->t_done + (refused ? RYZ_CLOSED_BACKOFF_NS : 0);
    /* Without memory the loop runs with one client less; the heap had room for it before. */
    (void)!push_ready(flights, (struct ryz_ready){.t_ns = t_ns, .traffic = row->phase}, NULL);
}

/* The one end of every request that was launched. */
static void end(struct ryz_flights *flights, struct ryz_flight *flight, int64_t t_ns,
                enum ryz_request_status status, const char *reason)
{
    struct ryz_request_row *row = &flight->row;
    RYZ_ASSERT(!flight->ghost);
    row->status = (uint16_t)status;
    row->t_done = t_ns;
    if (flight->ids_known && row->out_tok > 0)
        row->output_hash = ryz_prompts_hash(flight->ids, row->out_tok);
    if (status != RYZ_REQUEST_OK && row->fault == 0) row->fault = fault_at(flights, t_ns);
    unlink_flight(flights, flight);
    emit_row(flights, row, reason);
    follow_up(flights, row);
}

static void become_ghost(struct ryz_flights *flights, struct ryz_flight *flight)
{
    flight->ghost = true;
    flights->ghosts++;
}

struct ryz_flight *ryz_flights_launch(struct ryz_flights *flights, int64_t now_ns)
{
    struct ryz_arrival arrival;
    if (!next_arrival(flights, &arrival)) return NULL;
    struct ryz_traffic_state *state = &flights->states[arrival.traffic];
    const struct ryz_traffic_plan *plan = &flights->traffic[arrival.traffic];
    state->launched++;
    tell_phase(flights, arrival.traffic, true, arrival.intended_ns);
    if (plan->arrival != RYZ_ARRIVAL_CLOSED && state->open_left == 0)
        tell_phase(flights, arrival.traffic, false, arrival.intended_ns);

    uint32_t inside = flights->progress.inflight + flights->ghosts;
    struct ryz_flight *flight =
        inside < flights->options.inflight_max ? take_flight(flights) : NULL;
    if (flight == NULL || !reserve_ids(flight, arrival.output_tokens)) {
        struct ryz_request_row row;
        fill_row(flights, &row, &arrival);
        row.t_done = now_ns;
        row.status = RYZ_REQUEST_DROPPED_BY_HARNESS;
        if (flight != NULL) give_back(flights, flight);
        emit_row(flights, &row, "too many requests are under way");
        follow_up(flights, &row);
        return NULL;
    }
    fill_row(flights, &flight->row, &arrival);
    flight->arrival = arrival;
    flight->handle = NULL;
    flight->ghost = false;
    flight->ids_known = true;
    flight->gives_up_at = 0;
    flight->row.t_send = now_ns;
    flight->timeout_ns = plan->timeout_ns > 0 ? add_ns(now_ns, plan->timeout_ns) : RYZ_TIME_NEVER;
    note_lag(flights, now_ns - arrival.intended_ns);
    draw_disconnect(flights, flight, now_ns);
    link_flight(flights, flight);
    flights->progress.sent++;
    return flight;
}

/* A row's time on the target's clock; an absent one is 0. */
static int64_t absolute(const struct ryz_flights *flights, int64_t t_ns)
{
    return t_ns == RYZ_TIME_NONE ? 0 : add_ns(t_ns, flights->options.t0_ns);
}

struct ryz_ask ryz_flights_ask(const struct ryz_flights *flights, struct ryz_flight *flight)
{
    const struct ryz_request_row *row = &flight->row;
    struct ryz_ask ask = {.flight = flight,
                          .number = row->id,
                          .tokens = flights->prompt,
                          .prompt_tokens = row->in_tok,
                          .output_tokens = row->want_tok,
                          .ignore_eos = flights->traffic[row->phase].ignore_eos,
                          .priority = (uint8_t)row->priority,
                          .tenant = row->tenant,
                          .tenant_name = flights->traffic[row->phase].tenant,
                          .intended_ns = flights->options.t0_ns + row->t_sched,
                          .first_deadline_ns = absolute(flights, row->first_deadline_ns),
                          .deadline_ns = absolute(flights, row->deadline_ns)};
    memcpy(ask.trace.trace_id, row->trace_id, sizeof ask.trace.trace_id);
    ask.trace.span_id = ryz_span_id_make(flights->options.seed ^ CLIENT_SPANS, row->id);
    ask.trace.sampled = true;
    return ask;
}

void ryz_flights_accepted(struct ryz_flights *flights, struct ryz_flight *flight, int64_t t_ns)
{
    (void)flights;
    if (!flight->ghost) flight->row.t_accept = t_ns;
}

bool ryz_flights_tokens(struct ryz_flights *flights, struct ryz_flight *flight, int64_t t_ns,
                        uint32_t count, const uint32_t *ids)
{
    struct ryz_request_row *row = &flight->row;
    if (flight->ghost || count == 0) return false;
    if (row->t_first == RYZ_TIME_NONE) row->t_first = t_ns;
    row->t_last = t_ns;
    if (ids == NULL || !reserve_ids(flight, row->out_tok + count)) flight->ids_known = false;
    if (flight->ids_known) memcpy(flight->ids + row->out_tok, ids, count * sizeof *ids);
    row->out_tok += count;
    if (flights->options.sink.tokens != NULL)
        flights->options.sink.tokens(flights->options.sink.context, row->id, t_ns, count);
    if (flight->gives_up_at == 0 || row->out_tok < flight->gives_up_at) return false;
    end(flights, flight, t_ns, RYZ_REQUEST_CANCELLED, "the client disconnected (injected)");
    become_ghost(flights, flight);
    return true;
}

void ryz_flights_waste(struct ryz_flight *flight, const struct ryz_waste *waste)
{
    flight->row.computed_tok = waste->computed_tokens;
    flight->row.recomputed_tok = waste->recomputed_tokens;
    flight->row.missed_tok = waste->missed_tokens;
    flight->row.host_tok = waste->host_tokens;
    flight->row.rejected_tok = waste->rejected_tokens;
    flight->row.preempted = waste->preemptions;
}

void ryz_flights_done(struct ryz_flights *flights, struct ryz_flight *flight, int64_t t_ns,
                      enum ryz_request_status status, const char *reason)
{
    if (flight->ghost) {
        RYZ_ASSERT(flights->ghosts > 0);
        flights->ghosts--;
    } else {
        end(flights, flight, t_ns, status, reason);
    }
    give_back(flights, flight);
}

int64_t ryz_flights_timeout_ns(const struct ryz_flights *flights)
{
    int64_t earliest_ns = RYZ_TIME_NEVER;
    for (uint32_t t = 0; t < flights->traffic_count; t++) {
        const struct ryz_flight *first = flights->states[t].first;
        if (first != NULL && first->timeout_ns < earliest_ns) earliest_ns = first->timeout_ns;
    }
    return earliest_ns;
}

struct ryz_flight *ryz_flights_expire(struct ryz_flights *flights, int64_t now_ns, bool all)
{
    for (uint32_t t = 0; t < flights->traffic_count; t++) {
        struct ryz_flight *first = flights->states[t].first;
        if (first == NULL || (!all && first->timeout_ns > now_ns)) continue;
        bool late = first->timeout_ns <= now_ns;
        end(flights, first, late ? first->timeout_ns : now_ns,
            late ? RYZ_REQUEST_TIMEOUT : RYZ_REQUEST_CANCELLED,
            late ? "no full answer within the timeout" : "the run was stopped");
        become_ghost(flights, first);
        return first;
    }
    return NULL;
}

bool ryz_flights_over(const struct ryz_flights *flights)
{
    return flights->progress.inflight == 0 && ryz_flights_due_ns(flights) == RYZ_TIME_NEVER;
}

static int by_value(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

void ryz_flights_report(struct ryz_flights *flights, int64_t now_ns)
{
    struct ryz_drive_progress *progress = &flights->progress;
    progress->t_ns = now_ns;
    progress->lag_p99_ns = 0;
    if (flights->lag_count > 0) {
        qsort(flights->lags, flights->lag_count, sizeof *flights->lags, by_value);
        uint32_t rank = (uint32_t)(((uint64_t)flights->lag_count * 99 + 99) / 100); /* ceil */
        progress->lag_p99_ns = flights->lags[rank - 1];
        flights->lag_count = 0;
    }
    if (flights->options.sink.progress != NULL)
        flights->options.sink.progress(flights->options.sink.context, progress);
}

void ryz_flights_summarise(const struct ryz_flights *flights, struct ryz_drive_summary *summary)
{
    *summary = (struct ryz_drive_summary){
        .last = flights->progress,
        .lag_p50_ns = ryz_histogram_quantile(flights->lag_histogram, 0.5),
        .lag_p99_ns = ryz_histogram_quantile(flights->lag_histogram, 0.99),
        .lag_max_ns = flights->lag_max_ns,
        .end_ns = flights->end_ns,
        .clipped = flights->clipped,
        .bound_lost = flights->bound_lost,
        .unreturned = flights->ghosts,
    };
}
