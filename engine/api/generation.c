/*
 * generation.c - see generation.h.
 *
 * Leaves to others: JSON in (request.c) and out (codec.c). The idea against lost wake-ups: both
 * sides act under the exchange's lock. The connection looks whether something is there, and if not,
 * notes that it waits and suspends, before it lets the lock go; the engine appends and, if somebody
 * waits, resumes.
 */
#include "engine/api/generation.h"

#include "engine/api/http_loop.h"
#include "engine/base/assert.h"
#include "engine/base/atomic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define STREAM_BYTES_MAX  ((size_t)1 << 20)  /* a reader that is further behind is cut off */
#define WHOLE_BYTES_MAX   ((size_t)64 << 20) /* of an answer that is sent in one piece */
#define RETRY_AFTER_S_MAX 3600               /* a client may come back within the hour */
#define BLOCK_BYTES       (16u << 10)        /* of one write */

/* Caller holds the lock. */
static void wake(struct ryz_exchange *x)
{
    if (!x->generation.waiting) return;
    x->generation.waiting = false;
    MHD_resume_connection(x->connection);
    ryz_http_loop_wake(x->server->loop);
}

/* Ends an answer that will not be finished; the client sees the connection break. Engine thread,
 * caller holds the lock. */
static void break_off(struct ryz_exchange *x, uint64_t engine_id, bool reset)
{
    x->generation.broken = true;
    if (reset) {
        const struct linger linger = {.l_onoff = 1, .l_linger = 0};
        (void)setsockopt(x->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    } else {
        /* It may be stuck in a write; this wakes it. */
        (void)shutdown(x->fd, SHUT_RDWR);
    }
    ryz_engine_cancel(x->server->options.engine, engine_id);
}

static bool is_shown(const struct ryz_exchange *x, const struct ryz_stream_event *event)
{
    return event->done || event->text_length > 0 || x->codec.wants_logprobs ||
           x->codec.return_token_ids;
}

/* Engine thread, caller holds the lock. */
static void keep(struct ryz_exchange *x, const struct ryz_stream_event *event)
{
    struct ryz_server *server = x->server;
    if (!is_shown(x, event) || x->generation.broken) return;
    if (x->stream &&
        ryz_fault_hit(ryz_load_acquire(&server->faults), RYZ_FAULT_NET_WRITE, event->t_ns, NULL)) {
        break_off(x, event->request_id, true);
        return;
    }
    size_t bytes_max = x->stream ? STREAM_BYTES_MAX : WHOLE_BYTES_MAX;
    if (ryz_records_append(&x->generation.arrived, event, bytes_max) != RYZ_OK)
        break_off(x, event->request_id, false);
}

/* A choice is over. One that failed ends the answer, for half of it is none: the others are
 * cancelled. Engine thread, caller holds the lock. */
static void end_choice(struct ryz_exchange *x, const struct ryz_stream_event *event)
{
    struct ryz_generation *g = &x->generation;
    g->open--;
    g->usage.prompt_tokens = event->prompt_tokens;
    g->usage.output_tokens += event->output_tokens;
    if (event->choice == 0) g->usage.cached_tokens = event->cached_tokens;
    bool first = g->first_token_ns == RYZ_TIME_NONE || event->first_token_ns < g->first_token_ns;
    if (event->first_token_ns != RYZ_TIME_NONE && first) g->first_token_ns = event->first_token_ns;
    if (g->ended) return;
    g->finish = event->finish;
    g->status = event->status;
    g->late = event->late;
    g->estimate_ns = event->estimate_ns;
    g->ended = g->open == 0 || event->status != RYZ_OK;
    if (g->ended && g->open > 0 && x->attached)
        ryz_engine_cancel(x->server->options.engine, event->request_id);
}

static void on_event(void *context, const struct ryz_stream_event *event)
{
    struct ryz_exchange *x = context;
    struct ryz_generation *g = &x->generation;
    (void)pthread_mutex_lock(&x->lock);
    bool kept = x->attached && !g->ended;
    if (event->done) end_choice(x, event);
    if (kept) {
        keep(x, event);
        bool ready = g->ended || g->broken || (x->stream && g->arrived.begin != g->arrived.end);
        if (ready) wake(x);
    }
    bool over = g->open == 0;
    (void)pthread_mutex_unlock(&x->lock);
    if (over) ryz_exchange_release(x);
}

/* Joins the open generations; false when the server drains. One step under the lock, so that who
 * drains and then waits for the list to be empty misses nobody. */
static bool list_add(struct ryz_exchange *x)
{
    struct ryz_server *server = x->server;
    (void)pthread_mutex_lock(&server->lock);
    bool open = !ryz_load_acquire(&server->draining);
    if (open) {
        x->next = server->active;
        if (x->next != NULL) x->next->previous = x;
        server->active = x;
        server->active_count++;
    }
    (void)pthread_mutex_unlock(&server->lock);
    return open;
}

static void list_remove(struct ryz_exchange *x)
{
    struct ryz_server *server = x->server;
    (void)pthread_mutex_lock(&server->lock);
    if (x->next != NULL) x->next->previous = x->previous;
    if (x->previous != NULL) {
        x->previous->next = x->next;
    } else {
        server->active = x->next;
    }
    if (--server->active_count == 0) (void)pthread_cond_broadcast(&server->idle);
    (void)pthread_mutex_unlock(&server->lock);
}

void ryz_generation_wake_all(struct ryz_server *server)
{
    (void)pthread_mutex_lock(&server->lock);
    for (struct ryz_exchange *x = server->active; x != NULL; x = x->next) {
        (void)pthread_mutex_lock(&x->lock);
        wake(x);
        (void)pthread_mutex_unlock(&x->lock);
    }
    (void)pthread_mutex_unlock(&server->lock);
}

void ryz_generation_detach(struct ryz_exchange *exchange)
{
    if (!exchange->generation.submitted) return;
    (void)pthread_mutex_lock(&exchange->lock);
    exchange->attached = false;
    bool inside = exchange->generation.open > 0;
    (void)pthread_mutex_unlock(&exchange->lock);
    ryz_disconnect_unwatch(exchange->server->disconnect, exchange->place);
    if (inside) ryz_engine_cancel(exchange->server->options.engine, exchange->engine_id);
    list_remove(exchange);
}

static void set_codec(struct ryz_exchange *x, const struct ryz_api_request *request)
{
    const struct ryz_server *server = x->server;
    x->stream = request->stream;
    x->generation.open = x->choices_left = request->generate.choices;
    x->codec = (struct ryz_codec){
        .choices = request->generate.choices,
        .id = x->id,
        .model = server->model_name,
        .fingerprint = server->fingerprint,
        .tokenizer = server->rules.tokenizer,
        .created_s = ryz_clock_now_ns(server->options.wall) / RYZ_NS_PER_S,
        .chat = request->chat,
        .wants_logprobs = request->generate.wants_logprobs,
        .return_token_ids = request->return_token_ids,
        .include_usage = request->include_usage,
        .top_logprobs = request->generate.top_logprobs,
    };
}

static bool refuse_draining(struct ryz_api_error *error)
{
    return ryz_api_fail(error, RYZ_API_CLOSED, NULL, "The server is shutting down.");
}

/* The engine holds the exchange from here to its last event, if it takes it. */
static bool submit(struct ryz_exchange *x, struct ryz_generate *generate,
                   struct ryz_api_error *error)
{
    struct ryz_error reason = {.status = RYZ_OK};
    if (!list_add(x)) return refuse_draining(error);
    generate->trace = x->trace;
    generate->number = x->number;
    generate->on_event = on_event;
    generate->context = x;
    x->generation.submitted = true;
    (void)ryz_add_acq_rel(&x->holders, 1);
    enum ryz_status status =
        ryz_engine_submit(x->server->options.engine, generate, &x->engine_id, &reason);
    if (status == RYZ_OK) {
        ryz_disconnect_watch(x->server->disconnect, x->place, x->engine_id);
        return true;
    }
    x->generation.submitted = false;
    list_remove(x);
    ryz_exchange_release(x);
    enum ryz_api_error_kind kind =
        status == RYZ_INVALID ? RYZ_API_BAD_VALUE : ryz_api_error_from(status);
    return ryz_api_fail(error, kind, NULL, "The engine refused the request: %s.", reason.text);
}

/* What the server alone knows of a request: its tenant's number, and when its time runs out. */
static bool place(struct ryz_exchange *x, struct ryz_api_request *request,
                  struct ryz_api_error *error)
{
    struct ryz_generate *generate = &request->generate;
    generate->tenant = RYZ_TENANT_DEFAULT;
    if (request->tenant != NULL &&
        ryz_tenants_number(&x->server->tenants, request->tenant, &generate->tenant) != RYZ_OK)
        return ryz_api_fail(error, RYZ_API_TENANTS, "tenant",
                            "The tenant '%.32s' is new, and this server keeps accounts of %u "
                            "tenants at most.",
                            request->tenant, RYZ_TENANTS_MAX);
    x->first_within_ns = request->first_within_ns;
    x->end_within_ns = request->end_within_ns;
    if (x->first_within_ns > 0) generate->first_deadline_ns = x->t0_ns + x->first_within_ns;
    if (x->end_within_ns > 0) generate->deadline_ns = x->t0_ns + x->end_within_ns;
    return true;
}

enum MHD_Result ryz_generation_start(struct ryz_exchange *exchange, bool chat)
{
    struct ryz_server *server = exchange->server;
    const struct ryz_clock *clock = server->options.clock;
    struct ryz_api_request request;
    struct ryz_api_error error;
    if (ryz_load_acquire(&server->draining)) {
        (void)refuse_draining(&error);
        return ryz_exchange_reply_error(exchange, &error);
    }
    const char *body = exchange->body.data != NULL ? exchange->body.data : "";
    bool ok = ryz_api_request_parse(&server->rules, chat, exchange->number, body,
                                    exchange->body.length, &request, &error);
    struct ryz_span times = {.t0_ns = exchange->t0_ns, .t1_ns = ryz_clock_now_ns(clock)};
    times.attr = ok ? request.generate.token_count : 0;
    times.status = (int8_t)(ok ? RYZ_OK : ryz_api_error_status(error.kind));
    ryz_exchange_span(exchange, RYZ_SPAN_PARSE, &times);
    if (ok) {
        set_codec(exchange, &request);
        /* The engine's spans begin where parsing ends, so that the children add up. */
        request.generate.arrived_ns = times.t1_ns;
        ok = place(exchange, &request, &error) && submit(exchange, &request.generate, &error);
        ryz_api_request_deinit(&request);
    }
    ryz_text_deinit(&exchange->body); /* up to 16 MiB, and the answer may take minutes */
    if (!ok) return ryz_exchange_reply_error(exchange, &error);
    return ryz_generation_continue(exchange);
}

/* Waits unless something is there: false means that the connection is now suspended. */
static bool ready_or_suspend(struct ryz_exchange *x)
{
    struct ryz_generation *g = &x->generation;
    (void)pthread_mutex_lock(&x->lock);
    bool ready = g->ended || g->broken || (x->stream && g->arrived.begin != g->arrived.end) ||
                 ryz_load_acquire(&x->server->stopping);
    if (!ready) {
        g->waiting = true;
        MHD_suspend_connection(x->connection);
    }
    (void)pthread_mutex_unlock(&x->lock);
    return ready;
}

/* Takes all that has arrived, by swapping buffers: the engine thread is not kept waiting while the
 * records are formatted. */
static void take_arrived(struct ryz_exchange *x, struct ryz_generation *state)
{
    (void)pthread_mutex_lock(&x->lock);
    if (x->taken.begin == x->taken.end) {
        struct ryz_records empty = x->taken;
        empty.begin = empty.end = 0;
        x->taken = x->generation.arrived;
        x->generation.arrived = empty;
    }
    *state = x->generation;
    (void)pthread_mutex_unlock(&x->lock);
}

/* "3.2 s", "250 ms" */
static void format_duration(int64_t ns, char text[24])
{
    if (ns >= RYZ_NS_PER_S) {
        (void)snprintf(text, 24, "%.1f s", (double)ns / 1e9);
    } else {
        (void)snprintf(text, 24, "%.3g ms", (double)ns / 1e6);
    }
}

/* Whole seconds until it makes sense to come again. */
static uint32_t retry_after(int64_t estimate_ns)
{
    int64_t s = estimate_ns / RYZ_NS_PER_S + (estimate_ns % RYZ_NS_PER_S > 0);
    return s < 1 ? 1 : s > RETRY_AFTER_S_MAX ? RETRY_AFTER_S_MAX : (uint32_t)s;
}

/* The queue did not take it. The estimate counts from now, deadlines from the arrival; between the
 * two lies the parsing, which a person does not see in a tenth of a second. */
static void refused_by_queue(const struct ryz_exchange *x, const struct ryz_generation *state,
                             struct ryz_api_error *error)
{
    char estimate[24], first[24], end[24];
    format_duration(state->estimate_ns, estimate);
    format_duration(x->first_within_ns, first);
    format_duration(x->end_within_ns, end);
    bool known = state->estimate_ns > 0;
    bool first_late = x->first_within_ns > 0 &&
                      (x->end_within_ns == 0 || state->estimate_ns > x->first_within_ns);
    if (state->late && !known) {
        (void)ryz_api_fail(error, RYZ_API_LATE, NULL, "The deadline cannot be kept.");
    } else if (state->late && first_late) {
        (void)ryz_api_fail(error, RYZ_API_LATE, "ttft_deadline_ms",
                           "The first token is expected in %s, after the deadline of %s.", estimate,
                           first);
    } else if (state->late) {
        (void)ryz_api_fail(error, RYZ_API_LATE, "deadline_ms",
                           "The first token is expected in %s, too late for an end within the "
                           "deadline of %s.",
                           estimate, end);
    } else if (known) {
        (void)ryz_api_fail(error, RYZ_API_QUEUE_FULL, NULL,
                           "The queue is full: a first token is expected in %s; please try again "
                           "later.",
                           estimate);
    } else {
        (void)ryz_api_fail(error, RYZ_API_QUEUE_FULL, NULL,
                           "The queue is full; please try again later.");
    }
    error->retry_after_s = retry_after(state->estimate_ns);
}

static bool end_error(const struct ryz_exchange *x, const struct ryz_generation *state,
                      struct ryz_api_error *error)
{
    switch (state->status) {
    case RYZ_OK:
        return false;
    case RYZ_FULL:
        refused_by_queue(x, state, error);
        return true;
    case RYZ_INVALID:
        (void)ryz_api_fail(error, RYZ_API_CONTEXT, x->codec.chat ? "messages" : "prompt",
                           "Prompt and completion need more tokens than the KV cache of this "
                           "server holds. Please reduce their length.");
        return true;
    default:
        (void)ryz_api_fail(error, ryz_api_error_from(state->status), NULL,
                           "The request ended early: %s.", ryz_status_text(state->status));
        return true;
    }
}

/* Formats the next thing to send into x->out. False: nothing is there, or the answer is over. */
static bool format_next(struct ryz_exchange *x, const struct ryz_generation *state)
{
    struct ryz_record record;
    struct ryz_api_error error;
    x->out.length = x->out_sent = 0;
    if (!ryz_records_next(&x->taken, &record)) return false;
    bool ok = x->begun || ryz_codec_begin(&x->codec, &x->out);
    x->begun = true;
    if (!record.done) {
        ok = ok && ryz_codec_token(&x->codec, &record, &x->out);
    } else if (record.finish == RYZ_FINISH_ERROR && end_error(x, state, &error)) {
        x->status = state->status;
        x->finished = true;
        ok = ok && ryz_codec_error(&error, &x->out);
    } else {
        x->finished = --x->choices_left == 0;
        ok = ok && ryz_codec_finish(&x->codec, &record, &x->out);
        if (x->finished) ok = ok && ryz_codec_end(&x->codec, &state->usage, &x->out);
    }
    if (!ok) {
        x->out.length = 0;
        x->status = RYZ_NO_MEMORY;
        x->finished = true;
    }
    return ok;
}

/* Copies formatted bytes, formatting more as they run out; returns how many. */
static size_t fill_block(struct ryz_exchange *x, const struct ryz_generation *state, char *buffer,
                         size_t capacity)
{
    size_t filled = 0;
    while (filled < capacity) {
        if (x->out_sent == x->out.length && (x->finished || !format_next(x, state))) break;
        size_t left = x->out.length - x->out_sent, room = capacity - filled;
        size_t bytes = left < room ? left : room;
        memcpy(buffer + filled, x->out.data + x->out_sent, bytes);
        x->out_sent += bytes;
        filled += bytes;
    }
    return filled;
}

/* libmicrohttpd wants the next bytes of a stream. It gets some, or an end, or 0 and a suspended
 * connection: 0 without a suspension would be asked again at once, or never. */
static ssize_t read_stream(void *context, uint64_t position, char *buffer, size_t capacity)
{
    struct ryz_exchange *x = context;
    (void)position;
    for (;;) {
        struct ryz_generation state;
        take_arrived(x, &state);
        if (state.broken || (state.ended && state.status == RYZ_CANCELLED)) {
            x->status = RYZ_CANCELLED;
            return MHD_CONTENT_READER_END_WITH_ERROR;
        }
        size_t filled = fill_block(x, &state, buffer, capacity);
        if (filled > 0) return (ssize_t)filled;
        if (x->finished)
            return x->status == RYZ_NO_MEMORY ? MHD_CONTENT_READER_END_WITH_ERROR
                                              : MHD_CONTENT_READER_END_OF_STREAM;
        if (!ready_or_suspend(x)) return 0;
        if (ryz_load_acquire(&x->server->stopping)) {
            x->status = RYZ_CLOSED;
            return MHD_CONTENT_READER_END_WITH_ERROR;
        }
    }
}

static enum MHD_Result reply_stream(struct ryz_exchange *x)
{
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, read_stream, x, NULL);
    if (response == NULL) return MHD_NO;
    (void)MHD_add_response_header(response, "Content-Type", "text/event-stream; charset=utf-8");
    (void)MHD_add_response_header(response, "Cache-Control", "no-cache");
    (void)MHD_add_response_header(response, "X-Accel-Buffering", "no"); /* nginx: pass it on */
    return ryz_exchange_queue(x, MHD_HTTP_OK, response);
}

static enum MHD_Result reply_whole(struct ryz_exchange *x, const struct ryz_generation *state)
{
    struct ryz_text answer = {0};
    bool ok = ryz_codec_whole(&x->codec, &x->taken, &state->usage, &answer);
    if (!ok) {
        free(answer.data);
        answer = (struct ryz_text){0};
    }
    return ryz_exchange_reply(x, MHD_HTTP_OK, "application/json", answer.data, answer.length);
}

enum MHD_Result ryz_generation_continue(struct ryz_exchange *exchange)
{
    struct ryz_generation state;
    struct ryz_api_error error;
    if (!ready_or_suspend(exchange)) return MHD_YES;
    take_arrived(exchange, &state);
    if (state.broken || (state.ended && state.status == RYZ_CANCELLED)) {
        exchange->status = RYZ_CANCELLED;
        return MHD_NO; /* nobody is there to be answered */
    }
    bool has_tokens = state.usage.output_tokens > 0 || !state.ended;
    if (state.ended && state.status != RYZ_OK && !(exchange->stream && has_tokens)) {
        (void)end_error(exchange, &state, &error);
        return ryz_exchange_reply_error(exchange, &error);
    }
    if (exchange->stream && exchange->taken.begin != exchange->taken.end)
        return reply_stream(exchange);
    if (state.ended) return reply_whole(exchange, &state);
    (void)refuse_draining(&error);
    return ryz_exchange_reply_error(exchange, &error);
}
