/*
 * server.c - libmicrohttpd set up, and its callbacks.
 *
 * Leaves to others: answers (routes.c, generation.c) and the life of a request (exchange.c). One
 * internal epoll thread serves all connections; nothing in it blocks.
 *
 * A body that is too large is read to its end and thrown away, up to a limit, because a client that
 * is still sending would see a reset instead of the 413.
 */
#include "engine/api/server.h"

#include "engine/api/generation.h"
#include "engine/api/http_loop.h"
#include "engine/api/listen.h"
#include "engine/api/routes.h"
#include "engine/base/assert.h"
#include "engine/base/atomic.h"
#include "engine/base/hash.h"
#include "engine/obs/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define HEAD_BYTES_MAX    (32u << 10) /* of a request's head; libmicrohttpd answers 431 */
#define WRITE_TIMEOUT_S   60u         /* a reader that takes nothing for so long is cut off */
#define READ_TIMEOUT_NS   (60 * RYZ_NS_PER_S)
#define DISCARD_MAX       ((uint64_t)64 << 20) /* of a body that is too large */
#define CONNECTIONS_SLACK 16u /* libmicrohttpd's limit is above ours, for it would not refuse */

/* Headers are there, the body is to come. */
static enum MHD_Result on_head(struct ryz_exchange *x)
{
    const char *length =
        MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, "Content-Length");
    const char *expect = MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, "Expect");
    uint64_t announced = length != NULL ? strtoull(length, NULL, 10) : 0;
    bool waits = expect != NULL && announced > x->server->options.body_bytes_max;
    if (!waits && announced <= DISCARD_MAX) return MHD_YES;
    struct ryz_api_error error;
    (void)ryz_api_fail(&error, RYZ_API_TOO_LARGE, NULL,
                       "A body of %" PRIu64 " bytes; this server reads up to %zu.", announced,
                       x->server->options.body_bytes_max);
    x->dispatched = true;
    return ryz_exchange_reply_error(x, &error);
}

static enum MHD_Result on_body(struct ryz_exchange *x, const char *data, size_t length)
{
    x->body_seen += length;
    if (x->body_seen > DISCARD_MAX) return MHD_NO;
    bool wanted =
        x->route != NULL && x->route->post && x->body_seen <= x->server->options.body_bytes_max;
    if (!wanted) return MHD_YES;
    return ryz_text_append(&x->body, data, length) ? MHD_YES : MHD_NO;
}

/* The request is whole. */
static enum MHD_Result dispatch(struct ryz_exchange *x)
{
    struct ryz_api_error error;
    ryz_disconnect_answering(x->server->disconnect, x->place);
    x->dispatched = true;
    if (x->route == NULL) {
        (void)ryz_api_fail(&error, RYZ_API_NO_ROUTE, NULL, "Unknown request URL: %.15s %.100s.",
                           x->method, x->path);
    } else if (!ryz_route_allows(x->route, x->method)) {
        (void)ryz_api_fail(&error, RYZ_API_METHOD, NULL, "Not allowed: %.15s on %.100s.", x->method,
                           x->path);
    } else if (x->body_seen > x->server->options.body_bytes_max) {
        (void)ryz_api_fail(&error, RYZ_API_TOO_LARGE, NULL,
                           "A body of %" PRIu64 " bytes; this server reads up to %zu.",
                           x->body_seen, x->server->options.body_bytes_max);
    } else {
        return x->route->answer(x);
    }
    return ryz_exchange_reply_error(x, &error);
}

/* NOLINTNEXTLINE(readability-function-size): the prototype is libmicrohttpd's */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_bytes, void **state)
{
    (void)version;
    struct ryz_exchange *x = *state;
    if (x == NULL) {
        x = ryz_exchange_open(context, connection, method, url);
        *state = x;
        return x != NULL ? on_head(x) : MHD_NO;
    }
    if (*upload_bytes > 0) {
        size_t length = *upload_bytes;
        *upload_bytes = 0;
        return on_body(x, upload, length);
    }
    return x->dispatched ? ryz_generation_continue(x) : dispatch(x);
}

static void on_completed(void *context, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode code)
{
    (void)context, (void)connection;
    if (*state != NULL) ryz_exchange_complete(*state, code);
    *state = NULL;
}

static enum MHD_Result on_accept(void *context, const struct sockaddr *address, socklen_t length)
{
    const struct ryz_server *server = context;
    (void)address, (void)length;
    return ryz_load_acquire(&server->connections) < server->options.connections_max ? MHD_YES
                                                                                    : MHD_NO;
}

static void on_connection(void *context, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct ryz_server *server = context;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        ryz_disconnect_remove(server->disconnect, *socket_context);
        (void)ryz_add_acq_rel(&server->connections, -1u);
        return;
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (info != NULL) *socket_context = ryz_disconnect_add(server->disconnect, info->connect_fd);
    (void)ryz_add_acq_rel(&server->connections, 1);
}

/* libmicrohttpd's own complaints: malformed requests, broken sockets. */
static void on_message(void *context, const char *format, va_list args) RYZ_PRINTF(2, 0);
static void on_message(void *context, const char *format, va_list args)
{
    const struct ryz_server *server = context;
    char text[256];
    (void)vsnprintf(text, sizeof text, format, args);
    text[strcspn(text, "\r\n")] = '\0';
    RYZ_LOG(server->options.logger, RYZ_LOG_DEBUG, "http.library", NULL, RYZ_STR("message", text));
}

static void on_gone(void *context, uint64_t request_id)
{
    struct ryz_server *server = context;
    ryz_engine_cancel(server->options.engine, request_id);
}

static enum ryz_status start_daemon(struct ryz_server *server, struct ryz_error *error)
{
    const struct ryz_server_options *o = &server->options;
    int fd = -1;
    enum ryz_status status = ryz_listen_tcp(o->host, o->port, &fd, &server->port, error);
    if (status != RYZ_OK) return status;
    unsigned int flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC | MHD_USE_ERROR_LOG;
    server->daemon = MHD_start_daemon(
        flags, 0, on_accept, server, on_request, server, MHD_OPTION_EXTERNAL_LOGGER, on_message,
        server, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_NOTIFY_COMPLETED, on_completed, server,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, server, MHD_OPTION_CONNECTION_LIMIT,
        o->connections_max + CONNECTIONS_SLACK, MHD_OPTION_CONNECTION_TIMEOUT, WRITE_TIMEOUT_S,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEAD_BYTES_MAX, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_END);
    if (server->daemon == NULL) {
        (void)close(fd);
        return ryz_fail(error, RYZ_IO, "cannot start the HTTP server on %s port %u", o->host,
                        server->port);
    }
    status = ryz_http_loop_open(server->daemon, &server->loop, error);
    if (status != RYZ_OK) MHD_stop_daemon(server->daemon);
    return status;
}

static void set_rules(struct ryz_server *server)
{
    const struct ryz_model *model = ryz_engine_model(server->options.engine);
    const struct ryz_model_info *info = ryz_model_info(model);
    (void)snprintf(server->model_name, sizeof server->model_name, "%s", server->options.model_name);
    server->rules = (struct ryz_api_rules){
        .model_name = server->model_name,
        .tokenizer = ryz_model_tokenizer(model),
        .context_tokens = ryz_engine_core_config(server->options.engine).limits.context_tokens_max,
        .seed = server->options.seed,
    };
    server->rules.token_bytes_max = ryz_api_token_bytes_max(server->rules.tokenizer);
    uint64_t print = ryz_hash64(info->name, strlen(info->name));
    print = ryz_hash64_extend(print, info->weight_type, strlen(info->weight_type));
    print = ryz_hash64_extend(print, &info->n_params, sizeof info->n_params);
    (void)snprintf(server->fingerprint, sizeof server->fingerprint, "fp_%012" PRIx64, print >> 16);
    server->created_s = ryz_clock_now_ns(server->options.wall) / RYZ_NS_PER_S;
}

static void release(struct ryz_server *server)
{
    ryz_disconnect_close(server->disconnect);
    (void)pthread_cond_destroy(&server->idle);
    (void)pthread_mutex_destroy(&server->lock);
    ryz_tenants_deinit(&server->tenants);
    free(server);
}

static enum ryz_status check_options(const struct ryz_server_options *o, struct ryz_error *error)
{
    RYZ_ASSERT(o->engine != NULL && o->clock != NULL && o->wall != NULL);
    if (o->connections_max == 0 || o->connections_max > 65535)
        return ryz_fail(error, RYZ_INVALID, "%u connections; 1 to 65535 are possible",
                        o->connections_max);
    if (o->body_bytes_max == 0 || o->body_bytes_max > DISCARD_MAX)
        return ryz_fail(error, RYZ_INVALID, "bodies of %zu bytes; 1 to %" PRIu64 " are possible",
                        o->body_bytes_max, DISCARD_MAX);
    if (strlen(o->model_name) >= RYZ_MODEL_NAME_MAX)
        return ryz_fail(error, RYZ_INVALID, "a model's name has up to %u bytes",
                        RYZ_MODEL_NAME_MAX - 1);
    RYZ_ASSERT(o->tenant_count < RYZ_TENANTS_MAX);
    for (uint32_t i = 0; i < o->tenant_count; i++)
        if (!ryz_tenant_name_valid(o->tenants[i], strlen(o->tenants[i])))
            return ryz_fail(error, RYZ_INVALID, "\"%.40s\" is no tenant's name: 1 to %u of %s",
                            o->tenants[i], RYZ_TENANT_BYTES_MAX, RYZ_TENANT_CHARACTERS);
    return RYZ_OK;
}

/* check_options has seen that there is room, and that they are names. */
static void name_tenants(struct ryz_server *server)
{
    for (uint32_t i = 0; i < server->options.tenant_count; i++) {
        uint16_t number = 0;
        enum ryz_status status =
            ryz_tenants_number(&server->tenants, server->options.tenants[i], &number);
        RYZ_ASSERT(status == RYZ_OK && number == i + 1);
    }
    server->options.tenants = NULL;
}

enum ryz_status ryz_server_open(const struct ryz_server_options *options, struct ryz_server **out,
                                struct ryz_error *error)
{
    *out = NULL;
    enum ryz_status status = check_options(options, error);
    if (status != RYZ_OK) return status;
    struct ryz_server *server = calloc(1, sizeof *server);
    if (server == NULL) return ryz_fail(error, RYZ_NO_MEMORY, "no memory for a server");
    server->options = *options;
    ryz_store_release(&server->faults, options->faults);
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&server->lock, NULL);
    (void)pthread_cond_init(&server->idle, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    ryz_tenants_init(&server->tenants);
    name_tenants(server);
    set_rules(server);
    const struct ryz_disconnect_options watch = {.connections_max = options->connections_max,
                                                 .clock = options->clock,
                                                 .read_timeout_ns = READ_TIMEOUT_NS,
                                                 .gone = on_gone,
                                                 .context = server};
    status = ryz_disconnect_open(&watch, &server->disconnect, error);
    if (status == RYZ_OK) status = start_daemon(server, error);
    if (status != RYZ_OK) {
        release(server);
        return status;
    }
    RYZ_LOG(options->logger, RYZ_LOG_INFO, "server.open", NULL, RYZ_STR("host", options->host),
            RYZ_U64("port", server->port), RYZ_STR("model", server->model_name));
    *out = server;
    return RYZ_OK;
}

void ryz_server_drain(struct ryz_server *server)
{
    ryz_store_release(&server->draining, true);
}

/* Waits for open generations; true if none is left. */
static bool wait_idle(struct ryz_server *server, int64_t until_ns)
{
    const struct timespec until = {.tv_sec = (time_t)(until_ns / RYZ_NS_PER_S),
                                   .tv_nsec = (long)(until_ns % RYZ_NS_PER_S)};
    int rc = 0;
    (void)pthread_mutex_lock(&server->lock);
    while (server->active_count > 0 && rc == 0 && until_ns > 0)
        rc = pthread_cond_timedwait(&server->idle, &server->lock, &until);
    bool idle = server->active_count == 0;
    (void)pthread_mutex_unlock(&server->lock);
    return idle;
}

void ryz_server_close(struct ryz_server *server, int64_t drain_until_ns)
{
    if (server == NULL) return;
    ryz_server_drain(server);
    MHD_socket listening = MHD_quiesce_daemon(server->daemon);
    if (listening != MHD_INVALID_SOCKET) (void)close(listening);
    bool idle = wait_idle(server, drain_until_ns);
    RYZ_LOG(server->options.logger, RYZ_LOG_INFO, "server.close", NULL,
            RYZ_U64("cut_off", idle ? 0 : ryz_server_active(server)));
    ryz_store_release(&server->stopping, true);
    ryz_generation_wake_all(server);
    ryz_http_loop_close(server->loop);
    MHD_stop_daemon(server->daemon);
    release(server);
}

uint16_t ryz_server_port(const struct ryz_server *server)
{
    return server->port;
}

uint32_t ryz_server_active(const struct ryz_server *server)
{
    /* Reading a count is no change, so a const server may be locked for it. */
    union {
        const pthread_mutex_t *shown;
        pthread_mutex_t *lock;
    } cast = {.shown = &server->lock};
    (void)pthread_mutex_lock(cast.lock);
    uint32_t count = server->active_count;
    (void)pthread_mutex_unlock(cast.lock);
    return count;
}

void ryz_server_set_faults(struct ryz_server *server, struct ryz_faults *faults)
{
    ryz_store_release(&server->faults, faults);
}
