/*
 * exchange.c - see exchange.h.
 *
 * Leaves to others: what is answered (routes.c, generation.c). Here is what all answers share:
 * identity, headers, and the accounts that are written when a request is over.
 */
#include "engine/api/exchange.h"

#include "engine/api/generation.h"
#include "engine/api/routes.h"
#include "engine/base/atomic.h"
#include "engine/obs/log.h"
#include "engine/obs/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Keeps our span ids apart from those that the engine makes from the same seed. */
#define SEED_SALT UINT64_C(0x7365727665722e31)

/* What the log says when the client had left before there was an answer (nginx's number). */
#define HTTP_CLIENT_GONE 499u

/* Span ids of an exchange: its server.request, then its children. */
enum { RYZ_EXCHANGE_SPAN_SELF, RYZ_EXCHANGE_SPAN_PARSE, RYZ_EXCHANGE_SPANS };

static uint64_t span_id(const struct ryz_exchange *x, uint64_t which)
{
    uint64_t seed = x->server->options.seed ^ SEED_SALT;
    return ryz_span_id_make(seed, x->number * RYZ_EXCHANGE_SPANS + which);
}

static void set_trace(struct ryz_exchange *x)
{
    const char *text = MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, "traceparent");
    struct ryz_trace_context client;
    if (ryz_traceparent_parse(text, &client)) {
        x->trace = client;
        x->parent = client.span_id;
    } else {
        ryz_trace_id_make(x->server->options.seed ^ SEED_SALT, x->number, x->trace.trace_id);
        x->trace.sampled = true;
    }
    x->trace.span_id = span_id(x, RYZ_EXCHANGE_SPAN_SELF);
}

/* The client's own id goes back to it if it is short and harmless in a header. */
static void set_request_id(struct ryz_exchange *x)
{
    const char *text = MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, "x-request-id");
    size_t length = text != NULL ? strnlen(text, sizeof x->request_id) : 0;
    bool good = length > 0 && length < sizeof x->request_id;
    for (size_t i = 0; good && i < length; i++) good = text[i] > ' ' && text[i] < 0x7f;
    (void)snprintf(x->request_id, sizeof x->request_id, "%s", good ? text : x->id);
}

static void set_connection(struct ryz_exchange *x)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    x->fd = info != NULL ? info->connect_fd : -1;
    info = MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    x->place = info != NULL ? info->socket_context : NULL;
}

struct ryz_exchange *ryz_exchange_open(struct ryz_server *server, struct MHD_Connection *connection,
                                       const char *method, const char *url)
{
    struct ryz_exchange *x = calloc(1, sizeof *x);
    if (x == NULL) return NULL;
    x->server = server;
    x->connection = connection;
    x->number = ryz_add_relaxed(&server->exchanges, 1) + 1;
    x->t0_ns = ryz_clock_now_ns(server->options.clock);
    (void)snprintf(x->method, sizeof x->method, "%s", method);
    (void)snprintf(x->path, sizeof x->path, "%s", url);
    x->route = ryz_route_find(url);
    set_trace(x);
    (void)snprintf(x->id, sizeof x->id, "%s-%016" PRIx64 "%08" PRIx64,
                   x->route != NULL && x->route->id_prefix != NULL ? x->route->id_prefix : "req",
                   x->trace.span_id, x->number & UINT32_MAX);
    set_request_id(x);
    set_connection(x);
    (void)pthread_mutex_init(&x->lock, NULL);
    atomic_init(&x->holders, 1);
    x->attached = true;
    x->generation.first_token_ns = RYZ_TIME_NONE;
    ryz_disconnect_reading(server->disconnect, x->place);
    ryz_metrics_add(server->options.metrics, RYZ_METRIC_HTTP_REQUESTS, 1);
    return x;
}

void ryz_exchange_release(struct ryz_exchange *exchange)
{
    if (ryz_add_acq_rel(&exchange->holders, -1) != 1) return;
    (void)pthread_mutex_destroy(&exchange->lock);
    ryz_records_deinit(&exchange->generation.arrived);
    ryz_records_deinit(&exchange->taken);
    free(exchange->body.data);
    free(exchange->out.data);
    free(exchange);
}

void ryz_exchange_span(const struct ryz_exchange *exchange, enum ryz_span_name name,
                       const struct ryz_span *times)
{
    const struct ryz_span_sink *sink = &exchange->server->options.spans;
    if (sink->emit == NULL || !exchange->trace.sampled) return;
    bool self = name == RYZ_SPAN_REQUEST;
    struct ryz_span span = *times;
    memcpy(span.trace_id, exchange->trace.trace_id, sizeof span.trace_id);
    span.span_id = self ? exchange->trace.span_id : span_id(exchange, RYZ_EXCHANGE_SPAN_PARSE);
    span.parent = self ? exchange->parent : exchange->trace.span_id;
    span.request = exchange->number;
    span.name = (uint16_t)name;
    sink->emit(sink->context, &span);
}

/* What became of it, for the span. */
static enum ryz_status final_status(const struct ryz_exchange *x,
                                    enum MHD_RequestTerminationCode code)
{
    if (x->status != RYZ_OK) return x->status;
    switch (code) {
    case MHD_REQUEST_TERMINATED_COMPLETED_OK:
        return RYZ_OK;
    case MHD_REQUEST_TERMINATED_TIMEOUT_REACHED:
        return RYZ_TIMEOUT;
    case MHD_REQUEST_TERMINATED_DAEMON_SHUTDOWN:
        return RYZ_CLOSED;
    case MHD_REQUEST_TERMINATED_WITH_ERROR:
    case MHD_REQUEST_TERMINATED_READ_ERROR:
    case MHD_REQUEST_TERMINATED_CLIENT_ABORT:
        break;
    }
    return RYZ_CANCELLED;
}

static const char *finish_name(const struct ryz_exchange *x, const struct ryz_generation *g)
{
    if (!g->submitted) return NULL;
    if (x->status == RYZ_CANCELLED || !g->ended) return "cancelled";
    switch (g->finish) {
    case RYZ_FINISH_STOP:
        return "stop";
    case RYZ_FINISH_LENGTH:
        return "length";
    case RYZ_FINISH_NONE:
    case RYZ_FINISH_ERROR:
        break;
    }
    return g->status == RYZ_CANCELLED ? "cancelled" : "error";
}

static void log_end(const struct ryz_exchange *x, const struct ryz_generation *g, int64_t t1_ns)
{
    const struct ryz_logger *logger = x->server->options.logger;
    struct ryz_log_field fields[10];
    size_t count = 0;
    fields[count++] = RYZ_STR("method", x->method);
    fields[count++] = RYZ_STR("path", x->path);
    fields[count++] = RYZ_U64("status", x->http);
    fields[count++] = RYZ_STR("request_id", x->request_id);
    fields[count++] = RYZ_I64("duration_us", (t1_ns - x->t0_ns) / RYZ_NS_PER_US);
    const char *finish = finish_name(x, g);
    if (finish != NULL) {
        fields[count++] = RYZ_STR("finish", finish);
        fields[count++] = RYZ_U64("prompt_tokens", g->usage.prompt_tokens);
        fields[count++] = RYZ_U64("output_tokens", g->usage.output_tokens);
        if (g->first_token_ns != RYZ_TIME_NONE)
            fields[count++] =
                RYZ_I64("first_token_us", (g->first_token_ns - x->t0_ns) / RYZ_NS_PER_US);
    }
    enum ryz_log_level level = x->http >= 500 ? RYZ_LOG_WARN : RYZ_LOG_INFO;
    /* Probes and scrapes come every few seconds and say nothing while all is well. */
    if (finish == NULL && x->http < 400) level = RYZ_LOG_DEBUG;
    ryz_log(logger, level, "http.request", &x->trace, fields, count);
}

void ryz_exchange_complete(struct ryz_exchange *exchange, enum MHD_RequestTerminationCode code)
{
    struct ryz_server *server = exchange->server;
    ryz_generation_detach(exchange);
    ryz_disconnect_reading(server->disconnect, exchange->place);
    (void)pthread_mutex_lock(&exchange->lock);
    struct ryz_generation generation = exchange->generation;
    (void)pthread_mutex_unlock(&exchange->lock);
    exchange->status = final_status(exchange, code);
    if (exchange->http == 0) exchange->http = HTTP_CLIENT_GONE;
    if (exchange->http >= 400) ryz_metrics_add(server->options.metrics, RYZ_METRIC_HTTP_ERRORS, 1);
    struct ryz_span times = {.t0_ns = exchange->t0_ns,
                             .t1_ns = ryz_clock_now_ns(server->options.clock),
                             .attr = generation.usage.output_tokens,
                             .status = (int8_t)exchange->status};
    ryz_exchange_span(exchange, RYZ_SPAN_REQUEST, &times);
    log_end(exchange, &generation, times.t1_ns);
    ryz_exchange_release(exchange);
}

enum MHD_Result ryz_exchange_queue(struct ryz_exchange *exchange, unsigned int http,
                                   struct MHD_Response *response)
{
    char traceparent[56], trace_id[33];
    ryz_traceparent_format(&exchange->trace, traceparent);
    ryz_trace_id_format(exchange->trace.trace_id, trace_id);
    (void)MHD_add_response_header(response, "traceparent", traceparent);
    (void)MHD_add_response_header(response, "x-trace-id", trace_id);
    (void)MHD_add_response_header(response, "x-request-id", exchange->request_id);
    enum MHD_Result result = MHD_queue_response(exchange->connection, http, response);
    if (result == MHD_YES) exchange->http = http;
    MHD_destroy_response(response);
    return result;
}

/* The error of a last resort: needs no memory of ours. */
static struct MHD_Response *out_of_memory(void)
{
    static char text[] = "{\"error\":{\"message\":\"The server is out of memory.\",\"type\":"
                         "\"server_error\",\"param\":null,\"code\":\"out_of_memory\"}}";
    return MHD_create_response_from_buffer(sizeof text - 1, text, MHD_RESPMEM_PERSISTENT);
}

enum MHD_Result ryz_exchange_reply(struct ryz_exchange *exchange, unsigned int http,
                                   const char *content_type, char *data, size_t length)
{
    struct MHD_Response *response = NULL;
    if (data != NULL)
        response = MHD_create_response_from_buffer(length, data, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        free(data);
        response = out_of_memory();
        http = ryz_api_error_http(RYZ_API_NO_MEMORY);
        content_type = "application/json";
        exchange->status = RYZ_NO_MEMORY;
        if (response == NULL) return MHD_NO;
    }
    (void)MHD_add_response_header(response, "Content-Type", content_type);
    return ryz_exchange_queue(exchange, http, response);
}

enum MHD_Result ryz_exchange_reply_error(struct ryz_exchange *exchange,
                                         const struct ryz_api_error *error)
{
    char text[RYZ_API_ERROR_BYTES];
    size_t length = ryz_api_error_json(error, text);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(length, text, MHD_RESPMEM_MUST_COPY);
    if (response == NULL) return MHD_NO;
    exchange->status = ryz_api_error_status(error->kind);
    (void)MHD_add_response_header(response, "Content-Type", "application/json");
    if (error->retry_after_s > 0) {
        char seconds[16];
        (void)snprintf(seconds, sizeof seconds, "%" PRIu32, error->retry_after_s);
        (void)MHD_add_response_header(response, "Retry-After", seconds);
    }
    if (error->kind == RYZ_API_CLOSED)
        (void)MHD_add_response_header(response, "Connection", "close");
    if (error->kind == RYZ_API_METHOD && exchange->route != NULL)
        (void)MHD_add_response_header(response, "Allow", exchange->route->allow);
    return ryz_exchange_queue(exchange, ryz_api_error_http(error->kind), response);
}
