/*
 * fake_server.h - a small HTTP server that answers completions well or badly, on request.
 *
 * One thread per connection, any free port. Each answer of max_tokens tokens has ids 100, 101, ...
 */
#ifndef RYZ_TESTS_DRIVE_FAKE_SERVER_H
#define RYZ_TESTS_DRIVE_FAKE_SERVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum fake_manners {
    FAKE_GOOD,
    FAKE_BYTE_BY_BYTE, /* good, one byte a packet */
    FAKE_NO_IDS,       /* good, chunks of text without ids; usage says twice as many tokens */
    FAKE_WHOLE,        /* no stream: one JSON answer */
    FAKE_CLOSES,       /* good, "Connection: close", body until the end */
    FAKE_DROPS_IDLE,   /* good, promises to keep the connection and closes it */
    FAKE_HELD,         /* good, but only after fake_release */
    FAKE_RESETS,       /* resets the connection after two tokens */
    FAKE_CUTS,         /* closes it after two tokens */
    FAKE_NO_END,       /* ends the stream without saying so */
    FAKE_ERROR_EVENT,  /* an error object after two tokens */
    FAKE_GARBAGE,      /* no HTTP */
    FAKE_BAD_JSON,     /* events that are no JSON */
    FAKE_SILENT,       /* never answers */
    FAKE_400,
    FAKE_429,
    FAKE_429_LATE,      /* a deadline is out of reach */
    FAKE_504,           /* a deadline has passed */
    FAKE_TIMEOUT_EVENT, /* it passes after two tokens */
    FAKE_500,
    FAKE_503
};

struct fake_server {
    uint16_t port;
    int fd;
    pthread_t thread;
    _Atomic uint32_t manners;
    _Atomic uint32_t requests;    /* heard */
    _Atomic uint32_t connections; /* accepted */
    _Atomic uint32_t held;        /* requests that wait for fake_release */
    _Atomic uint32_t left;        /* connections that the client closed */
    _Atomic uint32_t traced;      /* requests with a traceparent */
    bool released, stopping;
    pthread_mutex_t lock;
    pthread_cond_t release;
};

void fake_server_open(struct fake_server *server, enum fake_manners manners);
void fake_server_close(struct fake_server *server);
void fake_server_release(struct fake_server *server);

#endif
