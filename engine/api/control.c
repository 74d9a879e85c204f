/*
 * control.c - the control channel's socket, thread and rings.
 *
 * Leaves to others: what a line means (control_codec.c). The idea: records are pushed into rings
 * that never block; the one thread here pops them when a client asks. A client that does not read
 * its answers holds up nobody but itself.
 */
#include "engine/api/control.h"

#include "engine/api/control_codec.h"
#include "engine/api/text.h"
#include "engine/base/assert.h"
#include "engine/base/atomic.h"
#include "engine/base/ring.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LINE_MAX_BYTES  ((size_t)64 << 10) /* of a request: a full plan of faults needs 10 KiB */
#define FLUSH_BYTES     ((size_t)64 << 10) /* of an answer before it is sent */
#define PLANS_MAX       256u               /* plans armed in the life of a server */
#define RECORDS_DEFAULT 65536u

struct ryz_control {
    struct ryz_control_options options;
    struct sockaddr_un address;
    int listen_fd, stop_fd, client_fd; /* client: -1 without one */
    struct ryz_ring *steps, *spans;
    _Atomic uint64_t dropped;
    /* The server may be reading a plan at any moment, so none is closed before all is over. */
    struct ryz_faults *plans[PLANS_MAX];
    uint32_t plan_count;
    uint32_t fault_count; /* of the plan in force */
    char line[LINE_MAX_BYTES];
    size_t line_length;
    struct ryz_text out;
    pthread_t thread;
    bool stopped; /* the owner's: the thread was joined */
};

void ryz_control_step(struct ryz_control *control, const struct ryz_step_record *step)
{
    if (!ryz_ring_push(control->steps, step)) (void)ryz_add_relaxed(&control->dropped, 1);
}

void ryz_control_span(struct ryz_control *control, const struct ryz_span *span)
{
    if (!ryz_ring_push(control->spans, span)) (void)ryz_add_relaxed(&control->dropped, 1);
}

/* Waits until the client's socket is ready for `events`; false when we are to stop. */
static bool wait_for(struct ryz_control *c, int fd, short events)
{
    struct pollfd fds[2] = {{.fd = fd, .events = events}, {.fd = c->stop_fd, .events = POLLIN}};
    while (poll(fds, 2, -1) < 0) {
        if (errno != EINTR) return false;
    }
    return (fds[1].revents & POLLIN) == 0;
}

/* Sends and empties `out`; false when the client is gone or we are to stop. */
static bool flush(struct ryz_control *c)
{
    size_t sent = 0;
    while (sent < c->out.length) {
        ssize_t n = send(c->client_fd, c->out.data + sent, c->out.length - sent,
                         MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) {
            sent += (size_t)n;
            continue;
        }
        bool later = errno == EINTR || errno == EAGAIN;
        if (!later || !wait_for(c, c->client_fd, POLLOUT)) return false;
    }
    c->out.length = 0;
    return true;
}

/* Adds one line to the answer. */
static bool put(struct ryz_control *c, ryz_text_writer write, const void *context)
{
    if (!ryz_text_append_json(&c->out, write, context) || !ryz_text_append(&c->out, "\n", 1))
        return false;
    return c->out.length < FLUSH_BYTES || flush(c);
}

static bool put_error(struct ryz_control *c, const char *message)
{
    return put(c, ryz_control_write_error, message);
}

static bool send_records(struct ryz_control *c)
{
    /* As many as there are now: records that keep coming must not keep us here. */
    size_t steps = ryz_ring_count(c->steps), spans = ryz_ring_count(c->spans);
    struct ryz_control_end end = {0};
    struct ryz_step_record step;
    struct ryz_span span;
    for (; end.steps < steps && ryz_ring_pop(c->steps, &step); end.steps++) {
        if (!put(c, ryz_control_write_step, &step)) return false;
    }
    for (; end.spans < spans && ryz_ring_pop(c->spans, &span); end.spans++) {
        if (!put(c, ryz_control_write_span, &span)) return false;
    }
    end.dropped = ryz_load_relaxed(&c->dropped);
    return put(c, ryz_control_write_end, &end);
}

static bool send_stats(struct ryz_control *c)
{
    struct ryz_control_stats stats = {
        .now_ns = ryz_clock_now_ns(c->options.clock),
        .active = ryz_server_active(c->options.server),
        .core = ryz_engine_stats(c->options.engine),
        .digest = ryz_engine_digest(c->options.engine),
        .fault_count = c->fault_count,
    };
    for (uint32_t i = 0; i < c->fault_count; i++)
        stats.fault_hits[i] = ryz_fault_hits(c->plans[c->plan_count - 1], i);
    return put(c, ryz_control_write_stats, &stats);
}

static bool arm(struct ryz_control *c, const struct ryz_control_request *request)
{
    struct ryz_error error = {.status = RYZ_OK};
    struct ryz_faults *plan = NULL;
    if (request->fault_count > 0) {
        if (c->plan_count == PLANS_MAX) return put_error(c, "too many plans; restart the server");
        if (ryz_faults_open(request->faults, request->fault_count, request->seed, &plan, &error) !=
            RYZ_OK)
            return put_error(c, error.text);
        c->plans[c->plan_count++] = plan;
    }
    c->fault_count = request->fault_count;
    ryz_server_set_faults(c->options.server, plan);
    ryz_engine_set_faults(c->options.engine, plan);
    return put(c, ryz_control_write_ok, NULL);
}

/* Answers one line; false ends the connection. */
static bool answer(struct ryz_control *c, const char *line, size_t length)
{
    struct ryz_control_request request;
    struct ryz_error error = {.status = RYZ_OK};
    if (ryz_control_parse(line, length, &request, &error) != RYZ_OK)
        return put_error(c, error.text) && flush(c);
    bool ok = false;
    switch (request.op) {
    case RYZ_CONTROL_FAULTS:
        ok = arm(c, &request);
        break;
    case RYZ_CONTROL_DRAIN:
        ryz_server_drain(c->options.server);
        ok = put(c, ryz_control_write_ok, NULL);
        break;
    case RYZ_CONTROL_STATS:
        ok = send_stats(c);
        break;
    case RYZ_CONTROL_RECORDS:
        ok = send_records(c);
        break;
    }
    return ok && flush(c);
}

/* Answers all whole lines of the buffer and keeps the rest. */
static bool answer_lines(struct ryz_control *c)
{
    size_t begin = 0;
    for (;;) {
        const char *end = memchr(c->line + begin, '\n', c->line_length - begin);
        if (end == NULL) break;
        size_t length = (size_t)(end - (c->line + begin));
        if (!answer(c, c->line + begin, length)) return false;
        begin += length + 1;
    }
    memmove(c->line, c->line + begin, c->line_length - begin);
    c->line_length -= begin;
    if (c->line_length < sizeof c->line) return true;
    return put_error(c, "the line is too long") && flush(c) && false;
}

/* Serves one client to its end. */
static void serve(struct ryz_control *c)
{
    c->line_length = c->out.length = 0;
    while (wait_for(c, c->client_fd, POLLIN)) {
        ssize_t n = recv(c->client_fd, c->line + c->line_length, sizeof c->line - c->line_length,
                         MSG_DONTWAIT);
        if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (n <= 0) break;
        c->line_length += (size_t)n;
        if (!answer_lines(c)) break;
    }
}

static void *run(void *argument)
{
    struct ryz_control *c = argument;
    while (wait_for(c, c->listen_fd, POLLIN)) {
        c->client_fd = accept4(c->listen_fd, NULL, NULL, SOCK_CLOEXEC);
        if (c->client_fd < 0) continue;
        serve(c);
        (void)close(c->client_fd);
        c->client_fd = -1;
    }
    return NULL;
}

/* Makes room for our socket. Whatever else lies at the path stays: it is not ours. */
static enum ryz_status remove_old(const char *path, struct ryz_error *error)
{
    struct stat info;
    if (lstat(path, &info) != 0) return RYZ_OK;
    if (!S_ISSOCK(info.st_mode))
        return ryz_fail(error, RYZ_INVALID,
                        "%.200s exists and is no socket; choose another control path", path);
    if (unlink(path) != 0)
        return ryz_fail_errno(error, RYZ_IO, errno, "cannot replace the socket %.200s", path);
    return RYZ_OK;
}

static enum ryz_status open_socket(struct ryz_control *c, struct ryz_error *error)
{
    const char *path = c->options.path;
    if (strlen(path) == 0 || strlen(path) >= sizeof c->address.sun_path)
        return ryz_fail(error, RYZ_INVALID, "a socket's path has 1 to %zu bytes: \"%.150s\"",
                        sizeof c->address.sun_path - 1, path);
    enum ryz_status status = remove_old(path, error);
    if (status != RYZ_OK) return status;
    c->address.sun_family = AF_UNIX;
    memcpy(c->address.sun_path, path, strlen(path) + 1);
    c->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    c->stop_fd = eventfd(0, EFD_CLOEXEC);
    /* Linux gives the socket's file the mode of the descriptor: no moment with a wider one. */
    bool ok = c->listen_fd >= 0 && c->stop_fd >= 0 && fchmod(c->listen_fd, 0600) == 0 &&
              bind(c->listen_fd, (const struct sockaddr *)&c->address, sizeof c->address) == 0 &&
              chmod(path, 0600) == 0 && listen(c->listen_fd, 1) == 0;
    return ok ? RYZ_OK
              : ryz_fail_errno(error, RYZ_IO, errno, "cannot open the control socket %.200s", path);
}

static void release(struct ryz_control *c)
{
    if (c->listen_fd >= 0) {
        (void)close(c->listen_fd);
        if (c->address.sun_path[0] != '\0') (void)unlink(c->address.sun_path);
    }
    if (c->stop_fd >= 0) (void)close(c->stop_fd);
    ryz_ring_close(c->steps);
    ryz_ring_close(c->spans);
    for (uint32_t i = 0; i < c->plan_count; i++) ryz_faults_close(c->plans[i]);
    ryz_text_deinit(&c->out);
    free(c);
}

enum ryz_status ryz_control_open(const struct ryz_control_options *options,
                                 struct ryz_control **out, struct ryz_error *error)
{
    *out = NULL;
    struct ryz_control *c = calloc(1, sizeof *c);
    if (c == NULL) return ryz_fail(error, RYZ_NO_MEMORY, "no memory for the control channel");
    c->options = *options;
    c->listen_fd = c->stop_fd = c->client_fd = -1;
    size_t capacity = options->records_max > 0 ? options->records_max : RECORDS_DEFAULT;
    enum ryz_status status =
        ryz_ring_open(capacity, sizeof(struct ryz_step_record), &c->steps, error);
    if (status == RYZ_OK)
        status = ryz_ring_open(capacity, sizeof(struct ryz_span), &c->spans, error);
    if (status == RYZ_OK) status = open_socket(c, error);
    if (status == RYZ_OK) {
        int reason = pthread_create(&c->thread, NULL, run, c);
        if (reason != 0)
            status = ryz_fail_errno(error, RYZ_NO_MEMORY, reason, "cannot start a thread");
    }
    if (status != RYZ_OK) {
        release(c);
        return status;
    }
    *out = c;
    return RYZ_OK;
}

void ryz_control_stop(struct ryz_control *control)
{
    if (control->stopped) return;
    const uint64_t one = 1;
    ssize_t written = write(control->stop_fd, &one, sizeof one);
    RYZ_ASSERT(written == (ssize_t)sizeof one);
    (void)pthread_join(control->thread, NULL);
    control->stopped = true;
    if (control->plan_count == 0) return;
    ryz_server_set_faults(control->options.server, NULL);
    ryz_engine_set_faults(control->options.engine, NULL);
}

void ryz_control_close(struct ryz_control *control)
{
    if (control == NULL) return;
    ryz_control_stop(control);
    release(control);
}
