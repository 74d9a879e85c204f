/*
 * http.c - many requests at once over keep-alive connections, on one thread.
 *
 *   exchange: one request and its answer          connection: a socket, serves one exchange
 *   submit -> exchange + (idle or new) connection -> send -> head -> events -> DONE
 *                                   ^                                  |
 *                                   '---- idle <---- kept alive -------'
 *
 * Leaves to others: the bytes (http_parser.c, sse.c, openai.c) and when to send (pacer.c). The
 * idea: every exchange leaves through conclude(), once; there its status is decided and its DONE
 * queued.
 */
#include "harness/drive/http.h"

#include "engine/base/assert.h"
#include "engine/base/size.h"
#include "harness/drive/http_address.h"
#include "harness/drive/http_parser.h"
#include "harness/drive/open_files.h"
#include "harness/drive/openai.h"
#include "harness/drive/sse.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define CONNECTIONS_MAX    4096u
#define CONNECT_TIMEOUT_NS (5 * RYZ_NS_PER_S)
#define RECEIVE_BYTES      65536u
#define EVENTS_MAX         64
#define LATE_CODE          "deadline_unreachable" /* how our server says so */
#define WHOLE_BODY_MAX     (1u << 20)             /* of an answer that is no stream */

struct http;
struct exchange;

struct connection {
    int fd;
    bool connecting;
    bool used_before; /* served an exchange already: the server may be closing it right now */
    bool dead;        /* closed; freed once no event of this round can mean it */
    int64_t connect_until_ns;
    struct exchange *exchange; /* NULL: idle */
    struct connection *next;   /* idle or dead list */
};

struct exchange {
    struct http *http;
    void *flight;
    struct connection *connection; /* NULL: concluded */
    char *request;                 /* head and body */
    size_t request_bytes, sent_bytes;
    struct ryz_http_parser parser;
    struct ryz_sse sse;
    char *whole; /* body of an answer that is no stream */
    size_t whole_bytes;
    bool accepted;  /* ACCEPTED was queued */
    bool finished;  /* a finish_reason or [DONE] was seen */
    bool failed;    /* the answer says that it failed */
    bool timed_out; /* because a deadline passed */
    bool malformed; /* the answer is no completion */
    bool tried_again;
    uint32_t prompt_tokens, output_tokens, cached_tokens; /* the server's own figures */
    uint64_t bytes_in, bytes_out;
    struct exchange *previous, *next; /* all that are not concluded */
};

struct queued {
    struct ryz_answer answer;
    struct exchange *exchange; /* to be freed with its DONE */
};

struct http {
    struct ryz_target base; /* first: a target is its implementation */
    struct ryz_http_address address;
    const struct ryz_clock *clock;
    struct ryz_openai_style style;
    char model[256];
    uint32_t connections_max, connection_count;
    int64_t connect_timeout_ns;
    int epoll_fd;
    struct connection *idle, *dead;
    struct exchange *first; /* exchanges under way */
    struct queued *queue;   /* (queue_count) answers from queue_at on */
    size_t queue_at, queue_count, queue_capacity;
    uint32_t connecting;
    struct ryz_openai_piece piece; /* scratch */
    char refusal[192];             /* words of the last answer that was an error */
    char buffer[RECEIVE_BYTES];
};

static struct http *as_http(struct ryz_target *target)
{
    return (struct http *)(void *)target;
}

static void queue_answer(struct http *http, struct exchange *exchange,
                         const struct ryz_answer *answer)
{
    if (http->queue_at > 0 && http->queue_at == http->queue_count)
        http->queue_at = http->queue_count = 0;
    if (http->queue_count == http->queue_capacity) {
        size_t capacity = http->queue_capacity == 0 ? 256 : http->queue_capacity * 2;
        struct queued *grown = realloc(http->queue, capacity * sizeof *grown);
        /* A DONE that is lost would leave a request without its row; the harness cannot go on. */
        RYZ_ASSERT(grown != NULL);
        http->queue = grown;
        http->queue_capacity = capacity;
    }
    http->queue[http->queue_count++] = (struct queued){.answer = *answer, .exchange = exchange};
}

/* Connections. */

static void watch(struct http *http, struct connection *connection, uint32_t events, int operation)
{
    struct epoll_event event = {.events = events, .data.ptr = connection};
    int rc = epoll_ctl(http->epoll_fd, operation, connection->fd, &event);
    RYZ_ASSERT(rc == 0);
}

static void close_connection(struct http *http, struct connection *connection)
{
    RYZ_ASSERT(!connection->dead && connection->exchange == NULL);
    if (connection->connecting) http->connecting--;
    /* close() takes it out of the epoll set only where no other process has it, and a server that
     * is started again holds every descriptor between its fork and its exec. */
    (void)epoll_ctl(http->epoll_fd, EPOLL_CTL_DEL, connection->fd, NULL);
    (void)close(connection->fd);
    connection->dead = true;
    connection->next = http->dead;
    http->dead = connection;
    http->connection_count--;
}

static void drop_idle(struct http *http, struct connection *connection)
{
    struct connection **at = &http->idle;
    while (*at != connection) at = &(*at)->next;
    *at = connection->next;
    close_connection(http, connection);
}

static void free_dead(struct http *http)
{
    while (http->dead != NULL) {
        struct connection *connection = http->dead;
        http->dead = connection->next;
        free(connection);
    }
}

/* A new socket on its way to the server; NULL with errno. */
static struct connection *connect_anew(struct http *http)
{
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL) return NULL;
    int family = http->address.socket_address.ss_family;
    connection->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (connection->fd < 0) {
        free(connection);
        return NULL;
    }
    int one = 1; /* requests go out at once */
    (void)setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    int rc = connect(connection->fd, (const struct sockaddr *)&http->address.socket_address,
                     http->address.socket_address_bytes);
    if (rc != 0 && errno != EINPROGRESS) {
        int why = errno;
        (void)close(connection->fd);
        free(connection);
        errno = why;
        return NULL;
    }
    connection->connecting = true;
    connection->connect_until_ns = ryz_clock_now_ns(http->clock) + http->connect_timeout_ns;
    http->connecting++;
    http->connection_count++;
    watch(http, connection, EPOLLIN | EPOLLOUT, EPOLL_CTL_ADD);
    return connection;
}

/* Gives the exchange a connection, a kept one unless `fresh`; false with errno. */
static bool attach(struct http *http, struct exchange *exchange, bool fresh)
{
    struct connection *connection = fresh ? NULL : http->idle;
    if (connection != NULL) {
        http->idle = connection->next;
        watch(http, connection, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
    } else {
        connection = connect_anew(http);
        if (connection == NULL) return false;
    }
    connection->exchange = exchange;
    exchange->connection = connection;
    exchange->sent_bytes = 0;
    ryz_http_parser_init(&exchange->parser);
    return true;
}

/* Exchanges. */

static void free_exchange(struct exchange *exchange)
{
    ryz_sse_deinit(&exchange->sse);
    free(exchange->whole);
    free(exchange->request);
    free(exchange);
}

/* Ends an exchange: its connection is kept or closed, its DONE queued. */
static void conclude(struct exchange *exchange, int64_t now_ns, enum ryz_request_status status,
                     const char *reason, bool keep)
{
    struct http *http = exchange->http;
    struct connection *connection = exchange->connection;
    if (connection != NULL) {
        connection->exchange = NULL;
        connection->used_before = true;
        if (keep) {
            watch(http, connection, EPOLLIN, EPOLL_CTL_MOD);
            connection->next = http->idle;
            http->idle = connection;
        } else {
            close_connection(http, connection);
        }
    }
    exchange->connection = NULL;
    if (exchange->previous != NULL)
        exchange->previous->next = exchange->next;
    else
        http->first = exchange->next;
    if (exchange->next != NULL) exchange->next->previous = exchange->previous;
    struct ryz_answer done = {
        .flight = exchange->flight,
        .kind = RYZ_ANSWER_DONE,
        .t_ns = now_ns,
        .status = status,
        .prompt_tokens = exchange->prompt_tokens,
        .output_tokens = exchange->output_tokens,
        .cached_tokens = exchange->cached_tokens,
        .bytes_in = (uint32_t)ryz_min_u64(exchange->bytes_in, UINT32_MAX),
        .bytes_out = (uint32_t)ryz_min_u64(exchange->bytes_out, UINT32_MAX),
        .reason = status == RYZ_REQUEST_OK ? NULL : reason,
    };
    queue_answer(http, exchange, &done);
}

static void queue_tokens(struct exchange *exchange, int64_t now_ns,
                         const struct ryz_openai_piece *piece)
{
    struct ryz_answer answer = {
        .flight = exchange->flight, .kind = RYZ_ANSWER_TOKENS, .t_ns = now_ns};
    if (!piece->ids_known) {
        answer.token_count = 1; /* as good a guess as any; the usage figures correct the sum */
        if (piece->has_text) queue_answer(exchange->http, exchange, &answer);
        return;
    }
    answer.ids_known = true;
    for (uint32_t at = 0; at < piece->id_count; at += answer.token_count) {
        answer.token_count = ryz_min_u32(piece->id_count - at, RYZ_ANSWER_IDS_MAX);
        memcpy(answer.ids, piece->ids + at, answer.token_count * sizeof *answer.ids);
        queue_answer(exchange->http, exchange, &answer);
    }
}

static bool take_piece(struct exchange *exchange, const char *json, size_t length)
{
    struct ryz_openai_piece *piece = &exchange->http->piece;
    if (ryz_openai_piece_read(json, length, piece) != RYZ_OK) {
        exchange->malformed = true;
        return false;
    }
    exchange->failed |= piece->failed;
    exchange->timed_out |= piece->timed_out;
    exchange->finished |= piece->finished;
    if (piece->prompt_tokens > 0) exchange->prompt_tokens = piece->prompt_tokens;
    if (piece->output_tokens > 0) exchange->output_tokens = piece->output_tokens;
    if (piece->cached_tokens > 0) exchange->cached_tokens = piece->cached_tokens;
    queue_tokens(exchange, ryz_clock_now_ns(exchange->http->clock), piece);
    return true;
}

static bool on_sse_event(void *context, char *data, size_t length)
{
    struct exchange *exchange = context;
    if (strcmp(data, "[DONE]") == 0) {
        exchange->finished = true;
        return true;
    }
    return take_piece(exchange, data, length);
}

static void keep_whole(struct exchange *exchange, const char *bytes, size_t length)
{
    if (exchange->whole == NULL) exchange->whole = malloc(WHOLE_BODY_MAX);
    if (exchange->whole == NULL || length > WHOLE_BODY_MAX - exchange->whole_bytes) {
        exchange->malformed = true;
        return;
    }
    memcpy(exchange->whole + exchange->whole_bytes, bytes, length);
    exchange->whole_bytes += length;
}

/* Of an error only the beginning matters: a person reads it. */
static void keep_beginning(struct exchange *exchange, const char *bytes, size_t length)
{
    size_t room = WHOLE_BODY_MAX - exchange->whole_bytes;
    keep_whole(exchange, bytes, length < room ? length : room);
}

static void on_body(void *context, const char *bytes, size_t length)
{
    struct exchange *exchange = context;
    if (exchange->malformed) return;
    if (exchange->parser.status != 200) {
        keep_beginning(exchange, bytes, length);
    } else if (!exchange->parser.event_stream) {
        keep_whole(exchange, bytes, length);
    } else if (ryz_sse_feed(&exchange->sse, bytes, length, on_sse_event, exchange) != RYZ_OK) {
        exchange->malformed = true;
    }
}

/* "400: the server's own words"; stays until the next error answer of this target. */
static const char *describe_refusal(const struct exchange *exchange)
{
    char words[160];
    struct http *http = exchange->http;
    ryz_openai_error_text(exchange->whole, exchange->whole_bytes, words, sizeof words);
    (void)snprintf(http->refusal, sizeof http->refusal, "%u%s%s", exchange->parser.status,
                   words[0] != '\0' ? ": " : " without a word", words);
    return http->refusal;
}

/* The status of a complete answer. */
static enum ryz_request_status judge(const struct exchange *exchange, const char **reason)
{
    uint32_t code = exchange->parser.status;
    if (code != 200) {
        *reason = describe_refusal(exchange);
        bool late = ryz_openai_error_is(exchange->whole, exchange->whole_bytes, LATE_CODE);
        if (code == 429 && late) return RYZ_REQUEST_LATE;
        if (code == 429 || code == 503) return RYZ_REQUEST_SHED;
        if (code == 504) return RYZ_REQUEST_TIMEOUT;
        return code >= 500 ? RYZ_REQUEST_ERROR_5XX : RYZ_REQUEST_ERROR_4XX;
    }
    if (exchange->malformed) {
        *reason = "the answer is malformed";
        return RYZ_REQUEST_ERROR_5XX;
    }
    if (exchange->failed) {
        *reason = exchange->timed_out ? "its deadline passed" : "the answer ends with an error";
        if (exchange->timed_out) return RYZ_REQUEST_TIMEOUT;
        return RYZ_REQUEST_ERROR_5XX;
    }
    *reason = "the stream ended without saying so";
    return exchange->finished ? RYZ_REQUEST_OK : RYZ_REQUEST_LOST;
}

static void conclude_answer(struct exchange *exchange, int64_t now_ns, bool leftover)
{
    const char *reason = NULL;
    if (exchange->parser.status == 200 && !exchange->parser.event_stream && !exchange->malformed)
        (void)take_piece(exchange, exchange->whole, exchange->whole_bytes);
    enum ryz_request_status status = judge(exchange, &reason);
    bool keep = exchange->parser.keep_alive && !leftover && !exchange->malformed &&
                exchange->sent_bytes == exchange->request_bytes;
    conclude(exchange, now_ns, status, reason, keep);
}

/* The connection broke. A kept connection may have been closed by the server before our request
 * reached it; then nothing was asked yet, and the request goes out once more on a new one. */
static void broken(struct exchange *exchange, int64_t now_ns, enum ryz_request_status status,
                   const char *reason)
{
    struct http *http = exchange->http;
    struct connection *connection = exchange->connection;
    bool stale = connection->used_before && exchange->bytes_in == 0 && !exchange->tried_again;
    if (!stale) {
        conclude(exchange, now_ns, status, reason, false);
        return;
    }
    exchange->tried_again = true;
    connection->exchange = NULL;
    close_connection(http, connection);
    exchange->connection = NULL;
    if (!attach(http, exchange, true)) conclude(exchange, now_ns, status, reason, false);
}

static void send_some(struct http *http, struct exchange *exchange)
{
    struct connection *connection = exchange->connection;
    while (exchange->sent_bytes < exchange->request_bytes) {
        ssize_t n = send(connection->fd, exchange->request + exchange->sent_bytes,
                         exchange->request_bytes - exchange->sent_bytes, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
        if (n < 0) {
            broken(exchange, ryz_clock_now_ns(http->clock), RYZ_REQUEST_LOST,
                   "the connection broke while the request was sent");
            return;
        }
        exchange->sent_bytes += (size_t)n;
        exchange->bytes_out += (uint64_t)n;
    }
    watch(http, connection, EPOLLIN, EPOLL_CTL_MOD);
}

static void take_bytes(struct http *http, struct exchange *exchange, size_t length)
{
    int64_t now_ns = ryz_clock_now_ns(http->clock);
    size_t used = 0;
    exchange->bytes_in += length;
    enum ryz_status status =
        ryz_http_parser_feed(&exchange->parser, http->buffer, length, &used, on_body, exchange);
    if (status != RYZ_OK) {
        conclude(exchange, now_ns, RYZ_REQUEST_ERROR_5XX, exchange->parser.reason, false);
        return;
    }
    if (exchange->parser.has_head && exchange->parser.status == 200 && !exchange->accepted) {
        /* Queued behind tokens of the same read; only its time matters. */
        struct ryz_answer answer = {
            .flight = exchange->flight, .kind = RYZ_ANSWER_ACCEPTED, .t_ns = now_ns};
        exchange->accepted = true;
        queue_answer(http, exchange, &answer);
    }
    if (exchange->parser.done)
        conclude_answer(exchange, now_ns, used < length);
    else if (exchange->malformed)
        conclude(exchange, now_ns, RYZ_REQUEST_ERROR_5XX, "the answer is malformed", false);
}

static void take_end(struct http *http, struct exchange *exchange)
{
    int64_t now_ns = ryz_clock_now_ns(http->clock);
    if (ryz_http_parser_eof(&exchange->parser) == RYZ_OK)
        conclude_answer(exchange, now_ns, true);
    else
        broken(exchange, now_ns, RYZ_REQUEST_LOST, "the connection ended in the middle");
}

/* Reads until the socket has no more, or the exchange is over. */
static void receive_some(struct http *http, struct exchange *exchange)
{
    const struct connection *connection = exchange->connection;
    while (exchange->connection == connection) {
        ssize_t n = recv(connection->fd, http->buffer, sizeof http->buffer, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
        if (n < 0) {
            broken(exchange, ryz_clock_now_ns(http->clock), RYZ_REQUEST_LOST,
                   errno == ECONNRESET ? "the connection was reset" : "the connection broke");
            return;
        }
        if (n == 0) {
            take_end(http, exchange);
            return;
        }
        take_bytes(http, exchange, (size_t)n);
        if ((size_t)n < sizeof http->buffer) return; /* level-triggered: the rest comes again */
    }
}

static const char *connect_failure(int why)
{
    return why == ECONNREFUSED ? "the connection was refused"
           : why == ETIMEDOUT  ? "no connection within the timeout"
                               : "cannot connect";
}

static bool finish_connect(struct http *http, struct connection *connection)
{
    int why = 0;
    socklen_t length = sizeof why;
    connection->connecting = false;
    http->connecting--;
    if (getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &why, &length) != 0) why = errno;
    if (why == 0) return true;
    /* Nobody took the request: the server is down, which the client knows at once. */
    conclude(connection->exchange, ryz_clock_now_ns(http->clock), RYZ_REQUEST_ERROR_5XX,
             connect_failure(why), false);
    return false;
}

static void handle(struct http *http, struct connection *connection, uint32_t events)
{
    if (connection->dead) return;
    if (connection->exchange == NULL) { /* an idle one has nothing to say: the server closes it */
        drop_idle(http, connection);
        return;
    }
    struct exchange *exchange = connection->exchange;
    if (connection->connecting && !finish_connect(http, connection)) return;
    if ((events & EPOLLOUT) != 0 && exchange->sent_bytes < exchange->request_bytes)
        send_some(http, exchange);
    if (exchange->connection == connection && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
        receive_some(http, exchange);
}

static void expire_connects(struct http *http)
{
    if (http->connecting == 0) return;
    int64_t now_ns = ryz_clock_now_ns(http->clock);
    for (struct exchange *exchange = http->first; exchange != NULL;) {
        struct exchange *next = exchange->next;
        const struct connection *connection = exchange->connection;
        if (connection->connecting && now_ns >= connection->connect_until_ns)
            conclude(exchange, now_ns, RYZ_REQUEST_ERROR_5XX, connect_failure(ETIMEDOUT), false);
        exchange = next;
    }
}

/* Waits for the sockets until until_ns and handles what they have. */
static void wait_for_sockets(struct http *http, int64_t until_ns)
{
    struct epoll_event events[EVENTS_MAX];
    int64_t wait_ns = until_ns - ryz_clock_now_ns(http->clock);
    if (wait_ns < 0) wait_ns = 0;
    if (http->connecting > 0 && wait_ns > 100 * RYZ_NS_PER_MS) wait_ns = 100 * RYZ_NS_PER_MS;
    struct timespec wait = {.tv_sec = (time_t)(wait_ns / RYZ_NS_PER_S),
                            .tv_nsec = (long)(wait_ns % RYZ_NS_PER_S)};
    /* epoll_wait counts in milliseconds; ppoll on the epoll descriptor has nanoseconds. */
    struct pollfd fd = {.fd = http->epoll_fd, .events = POLLIN};
    if (ppoll(&fd, 1, &wait, NULL) > 0) {
        int count = epoll_wait(http->epoll_fd, events, EVENTS_MAX, 0);
        for (int i = 0; i < count; i++) handle(http, events[i].data.ptr, events[i].events);
        free_dead(http);
    }
    expire_connects(http);
    free_dead(http);
}

/* The vtable. */

static char *make_request(const struct http *http, const struct ryz_ask *ask, size_t *bytes)
{
    size_t body_bytes = 0;
    char *body = ryz_openai_request(&http->style, ask, ryz_clock_now_ns(http->clock), &body_bytes);
    if (body == NULL) return NULL;
    char trace[56], *request = malloc(body_bytes + 1024);
    ryz_traceparent_format(&ask->trace, trace);
    int head = -1;
    if (request != NULL)
        head =
            snprintf(request, 1024,
                     "POST %s/completions HTTP/1.1\r\nHost: %s:%s\r\nUser-Agent: ryz\r\n"
                     "Content-Type: application/json\r\nAccept: text/event-stream\r\n"
                     "traceparent: %s\r\nContent-Length: %zu\r\n\r\n",
                     http->address.path, http->address.host, http->address.port, trace, body_bytes);
    if (head < 0 || head >= 1024) {
        free(request);
        free(body);
        return NULL;
    }
    memcpy(request + head, body, body_bytes);
    *bytes = (size_t)head + body_bytes;
    free(body);
    return request;
}

static enum ryz_status http_submit(struct ryz_target *target, const struct ryz_ask *ask,
                                   void **handle_out, struct ryz_error *error)
{
    struct http *http = as_http(target);
    if (http->idle == NULL && http->connection_count >= http->connections_max)
        return ryz_fail(error, RYZ_UNAVAILABLE, "%u connections are open already",
                        http->connection_count);
    struct exchange *exchange = calloc(1, sizeof *exchange);
    if (exchange == NULL) return ryz_fail(error, RYZ_NO_MEMORY, "no memory for a request");
    exchange->http = http;
    exchange->flight = ask->flight;
    ryz_sse_init(&exchange->sse);
    exchange->request = make_request(http, ask, &exchange->request_bytes);
    if (exchange->request == NULL) {
        free_exchange(exchange);
        return ryz_fail(error, RYZ_NO_MEMORY, "no memory for a request");
    }
    exchange->next = http->first;
    if (http->first != NULL) http->first->previous = exchange;
    http->first = exchange;
    *handle_out = exchange;
    if (!attach(http, exchange, false)) {
        conclude(exchange, ryz_clock_now_ns(http->clock), RYZ_REQUEST_ERROR_5XX,
                 connect_failure(errno), false);
        return RYZ_OK; /* its DONE is queued */
    }
    if (!exchange->connection->connecting) send_some(http, exchange);
    return RYZ_OK;
}

static void http_cancel(struct ryz_target *target, void *handle_in)
{
    struct exchange *exchange = handle_in;
    if (exchange->connection == NULL) return; /* concluded; its DONE is on the way */
    /* Closing the connection is how HTTP says it. */
    conclude(exchange, ryz_clock_now_ns(as_http(target)->clock), RYZ_REQUEST_CANCELLED, "cancelled",
             false);
}

static size_t http_poll(struct ryz_target *target, int64_t until_ns, struct ryz_answer *answers,
                        size_t capacity)
{
    struct http *http = as_http(target);
    wait_for_sockets(http, http->queue_at < http->queue_count ? 0 : until_ns);
    size_t count = 0;
    for (; count < capacity && http->queue_at < http->queue_count; http->queue_at++) {
        struct queued *queued = &http->queue[http->queue_at];
        answers[count++] = queued->answer;
        if (queued->answer.kind == RYZ_ANSWER_DONE) free_exchange(queued->exchange);
    }
    return count;
}

static void http_close(struct ryz_target *target)
{
    struct http *http = as_http(target);
    while (http->first != NULL) http_cancel(target, http->first);
    for (; http->queue_at < http->queue_count; http->queue_at++) {
        struct queued *queued = &http->queue[http->queue_at];
        if (queued->answer.kind == RYZ_ANSWER_DONE) free_exchange(queued->exchange);
    }
    while (http->idle != NULL) drop_idle(http, http->idle);
    free_dead(http);
    (void)close(http->epoll_fd);
    free(http->queue);
    free(http);
}

static const struct ryz_target_ops http_ops = {
    .name = "http",
    .submit = http_submit,
    .cancel = http_cancel,
    .poll = http_poll,
    .close = http_close,
};

static enum ryz_status find_model(struct http *http, const char *name, struct ryz_error *error)
{
    char *body = http->buffer;
    uint32_t code = 0;
    if (name != NULL && name[0] != '\0') {
        if (strlen(name) >= sizeof http->model)
            return ryz_fail(error, RYZ_INVALID, "the model's name is too long");
        (void)snprintf(http->model, sizeof http->model, "%s", name);
        return RYZ_OK;
    }
    enum ryz_status status = ryz_http_get(&http->address, "/models", http->connect_timeout_ns, body,
                                          sizeof http->buffer, &code, error);
    if (status != RYZ_OK) return status;
    if (code != 200 || !ryz_openai_first_model(body, strlen(body), http->model, sizeof http->model))
        return ryz_fail(error, RYZ_IO,
                        "http://%s:%s%s/models lists no model (HTTP %u); set engine.model_name",
                        http->address.host, http->address.port, http->address.path, code);
    return RYZ_OK;
}

enum ryz_status ryz_http_open(const struct ryz_http_options *options, struct ryz_target **out,
                              struct ryz_error *error)
{
    *out = NULL;
    struct http *http = calloc(1, sizeof *http);
    if (http == NULL) return ryz_fail(error, RYZ_NO_MEMORY, "no memory for a target");
    http->base.ops = &http_ops;
    http->clock = options->clock;
    http->connections_max =
        options->connections_max > 0 ? options->connections_max : CONNECTIONS_MAX;
    http->connect_timeout_ns =
        options->connect_timeout_ns > 0 ? options->connect_timeout_ns : CONNECT_TIMEOUT_NS;
    http->style = (struct ryz_openai_style){.model = http->model,
                                            .text_prompts = options->text_prompts,
                                            .tokenizer = options->tokenizer};
    enum ryz_status status = ryz_http_address_open(options->url, &http->address, error);
    if (status == RYZ_OK) status = find_model(http, options->model_name, error);
    if (status != RYZ_OK) goto out_free;
    /* Many requests at once need many sockets; without them the socket call says what is missing.
     */
    (void)ryz_open_files_allow(http->connections_max);
    http->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (http->epoll_fd < 0) {
        status = ryz_fail_errno(error, RYZ_IO, errno, "cannot open an epoll descriptor");
        goto out_free;
    }
    *out = &http->base;
    return RYZ_OK;

out_free:
    free(http);
    return status;
}
