/* fixture.c - see fixture.h. */
#include "tests/api/fixture.h"

#include "engine/base/atomic.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static _Atomic int64_t added_ns;

static int64_t monotonic(void *context)
{
    struct timespec now;
    (void)context;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * RYZ_NS_PER_S + now.tv_nsec + ryz_load_relaxed(&added_ns);
}

static int64_t wall(void *context)
{
    (void)context;
    return INT64_C(1767323045) * RYZ_NS_PER_S;
}

static const struct ryz_clock test_clock = {.now_ns = monotonic}, test_wall = {.now_ns = wall};

const struct ryz_clock *fixture_clock(void)
{
    return &test_clock;
}

void fixture_advance(int64_t ns)
{
    (void)ryz_add_relaxed(&added_ns, ns);
}

static void keep_span(void *context, const struct ryz_span *span)
{
    struct fixture *f = context;
    (void)pthread_mutex_lock(&f->lock);
    if (f->span_count < FIXTURE_SPANS) f->spans[f->span_count++] = *span;
    (void)pthread_mutex_unlock(&f->lock);
}

static void keep_line(void *context, enum ryz_log_level level, const char *line, size_t length)
{
    struct fixture *f = context;
    (void)level, (void)length;
    (void)pthread_mutex_lock(&f->lock);
    if (f->line_count < FIXTURE_LINES) f->lines[f->line_count++] = strdup(line);
    (void)pthread_mutex_unlock(&f->lock);
}

void fixture_open(struct fixture *fixture, uint32_t connections_max)
{
    struct ryz_error error = {.text = ""};
    memset(fixture, 0, sizeof *fixture);
    (void)pthread_mutex_init(&fixture->lock, NULL);
    fixture->engine = fake_open();
    fixture->engine->heartbeat_ns = monotonic(NULL);
    fixture->logger = (struct ryz_logger){
        .write = keep_line, .context = fixture, .wall = &test_wall, .level = RYZ_LOG_DEBUG};
    cr_assert_eq(ryz_metrics_open(&fixture->metrics, NULL), RYZ_OK);
    const struct ryz_server_options options = {
        .host = "127.0.0.1",
        .model_name = "m",
        .engine = fixture->engine,
        .metrics = fixture->metrics,
        .logger = &fixture->logger,
        .clock = &test_clock,
        .wall = &test_wall,
        .spans = {.emit = keep_span, .context = fixture},
        .connections_max = connections_max,
        .body_bytes_max = 4096,
        .seed = 1,
    };
    cr_assert_eq(ryz_server_open(&options, &fixture->server, &error), RYZ_OK, "%s", error.text);
    fixture->port = ryz_server_port(fixture->server);
    cr_assert_neq(fixture->port, 0);
}

void fixture_close(struct fixture *fixture)
{
    ryz_server_close(fixture->server, 0);
    fake_close(fixture->engine);
    ryz_metrics_close(fixture->metrics);
    for (size_t i = 0; i < fixture->line_count; i++) free(fixture->lines[i]);
    (void)pthread_mutex_destroy(&fixture->lock);
}

/* The n-th request line that is there now; NULL if there is none. */
static json_t *find_line(struct fixture *f, size_t n)
{
    json_t *found = NULL;
    (void)pthread_mutex_lock(&f->lock);
    for (size_t i = 0; i < f->line_count && found == NULL; i++) {
        if (strstr(f->lines[i], "\"event\":\"http.request\"") == NULL || n-- > 0) continue;
        found = json_loads(f->lines[i], JSON_REJECT_DUPLICATES, NULL);
        cr_assert_not_null(found, "%s", f->lines[i]);
    }
    (void)pthread_mutex_unlock(&f->lock);
    return found;
}

json_t *fixture_request_line(struct fixture *fixture, size_t n)
{
    const struct timespec pause = {.tv_nsec = 2000000};
    for (int i = 0; i < 10000; i++) { /* the line is written after the answer's last byte */
        json_t *line = find_line(fixture, n);
        if (line != NULL) return line;
        (void)nanosleep(&pause, NULL);
    }
    cr_assert_fail("no log line of request %zu", n);
    return NULL;
}
