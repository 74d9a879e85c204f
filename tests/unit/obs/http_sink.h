/*
 * http_sink.h - a collector for tests: takes POSTs, keeps the last body, answers as told.
 *
 * One thread, one connection at a time, port 0.
 */
#ifndef RYZ_TESTS_OBS_HTTP_SINK_H
#define RYZ_TESTS_OBS_HTTP_SINK_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_sink {
    int listen_fd;
    uint16_t port;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int answers[16];   /* status codes of the first answers; then 200. 0: never answer */
    const char *body;  /* of the answers; NULL: "{}" */
    char *last_body;   /* lock */
    char target[64];   /* lock: path of the last request */
    uint64_t requests; /* lock */
    uint64_t spans;    /* lock: of requests that were answered with 200 */
    bool stopping;     /* lock */
};

void http_sink_open(struct http_sink *sink);
/* Blocks until that many requests have been answered. */
void http_sink_wait(struct http_sink *sink, uint64_t requests);
void http_sink_close(struct http_sink *sink);

#endif
