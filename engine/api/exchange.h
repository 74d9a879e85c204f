/*
 * exchange.h - one HTTP request from its head to its end, and its answer.
 *
 * Made when the head has been read, it carries the trace context from then on, so that every
 * answer, refusals too, has the trace id in its headers, in the log line and in the span. Two
 * parties hold it: libmicrohttpd until the request is completed, and the engine until its last
 * event; the later one frees it.
 */
#ifndef RYZ_API_EXCHANGE_H
#define RYZ_API_EXCHANGE_H

#include "engine/api/codec.h"
#include "engine/api/server_state.h"

struct ryz_route;

/* How an answer of the engine stands; guarded by the exchange's lock. */
struct ryz_generation {
    struct ryz_records arrived;    /* from the engine, not yet taken */
    bool submitted;                /* the engine has it */
    uint32_t open;                 /* choices whose last event has not come */
    bool ended;                    /* nothing more will come: all choices are over, or one failed */
    bool broken;                   /* to be cut off: reader too slow, injected reset, no memory */
    bool waiting;                  /* the connection is suspended until something arrives */
    enum ryz_status status;        /* with `ended` */
    struct ryz_usage usage;        /* of the choices that are over */
    enum ryz_finish_reason finish; /* of the one that was over last */
    int64_t first_token_ns;        /* RYZ_TIME_NONE: there was none */
    bool late;                     /* with `ended` and FULL: a deadline is out of reach */
    int64_t estimate_ns; /* with `ended` and FULL: believed time to the first token; 0: ? */
};

struct ryz_exchange {
    struct ryz_server *server; /* not to be touched by the engine thread once detached */
    struct MHD_Connection *connection;
    int fd;                  /* of the connection */
    struct ryz_place *place; /* of the connection in the disconnect watcher */
    const struct ryz_route *route;
    char method[16], path[256]; /* for the log */
    char id[48];                /* "chatcmpl-...", also the request id that clients see */
    char request_id[80];        /* x-request-id: the client's, or `id` */
    uint64_t number;
    struct ryz_trace_context trace; /* span_id is our server.request */
    uint64_t parent;                /* the client's span, 0: none */
    int64_t t0_ns;

    struct ryz_text body; /* of the request */
    uint64_t body_seen;   /* bytes that came, kept or not */
    bool dispatched;
    int64_t first_within_ns, end_within_ns; /* deadlines, from t0_ns; 0: none */
    unsigned int http;                      /* status of the answer, 0: none yet */
    enum ryz_status status;
    bool stream;

    pthread_mutex_t lock;
    _Atomic int holders;
    bool attached; /* lock: libmicrohttpd still has it; `fd` is open */
    struct ryz_generation generation;
    uint64_t engine_id;
    struct ryz_exchange *next, *previous; /* server's lock */
    /* libmicrohttpd's thread only: */
    struct ryz_codec codec;
    uint32_t choices_left;    /* to be finished in a stream */
    struct ryz_records taken; /* from `arrived`, being written */
    struct ryz_text out;      /* formatted, from out_sent on not yet sent */
    size_t out_sent;
    bool begun, finished;
};

/* Makes an exchange for a request whose head has arrived; NULL when out of memory. */
struct ryz_exchange *ryz_exchange_open(struct ryz_server *server, struct MHD_Connection *connection,
                                       const char *method, const char *url);
/* Drops one holder. */
void ryz_exchange_release(struct ryz_exchange *exchange);
/* libmicrohttpd is through with it: span, log line, counters; drops its hold. */
void ryz_exchange_complete(struct ryz_exchange *exchange, enum MHD_RequestTerminationCode code);

/* Answers with `length` bytes allocated by malloc, which are freed even on failure; NULL is
 * answered like "out of memory". */
enum MHD_Result ryz_exchange_reply(struct ryz_exchange *exchange, unsigned int http,
                                   const char *content_type, char *data, size_t length);
enum MHD_Result ryz_exchange_reply_error(struct ryz_exchange *exchange,
                                         const struct ryz_api_error *error);
/* Adds the headers that every answer has, and queues it; drops the response. */
enum MHD_Result ryz_exchange_queue(struct ryz_exchange *exchange, unsigned int http,
                                   struct MHD_Response *response);
/* Emits the exchange's own span (server.request) or its child server.parse; of *times the times,
 * attr and status are used. */
void ryz_exchange_span(const struct ryz_exchange *exchange, enum ryz_span_name name,
                       const struct ryz_span *times);

#endif
