/*
 * fixture.h - a server on a made-up engine, with its log lines and spans kept.
 *
 * The clock is the machine's, plus what a test adds: a test of a timeout does not wait for it.
 */
#ifndef RYZ_TESTS_API_FIXTURE_H
#define RYZ_TESTS_API_FIXTURE_H

#include "engine/api/server.h"
#include "engine/obs/log.h"
#include "engine/obs/metrics.h"
#include "tests/api/client.h"
#include "tests/api/fake_engine.h"

#define FIXTURE_SPANS 256u
#define FIXTURE_LINES 256u

struct fixture {
    struct ryz_engine *engine;
    struct ryz_server *server;
    struct ryz_metrics *metrics;
    struct ryz_logger logger;
    uint16_t port;
    pthread_mutex_t lock;
    struct ryz_span spans[FIXTURE_SPANS]; /* lock */
    size_t span_count;                    /* lock */
    char *lines[FIXTURE_LINES];           /* lock */
    size_t line_count;                    /* lock */
};

/* Opens with room for `connections_max` connections and bodies of 4096 bytes. */
void fixture_open(struct fixture *fixture, uint32_t connections_max);
/* Closes at once. */
void fixture_close(struct fixture *fixture);
const struct ryz_clock *fixture_clock(void);
void fixture_advance(int64_t ns);
/* Waits for the n-th log line of a request (from 0), whatever else is logged. */
json_t *fixture_request_line(struct fixture *fixture, size_t n);

#endif
