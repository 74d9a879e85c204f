/*
 * server_state.h - what a server consists of; for the files of this room only.
 *
 * Threads: libmicrohttpd's one (all handlers and readers), the engine's (stream events), the
 * disconnect watcher's, and the owner's (open, drain, close). Lock order: server, exchange,
 * libmicrohttpd's own; the watcher's lock and the engine's are leaves.
 */
#ifndef RYZ_API_SERVER_STATE_H
#define RYZ_API_SERVER_STATE_H

#include "engine/api/disconnect.h"
#include "engine/api/request.h"
#include "engine/api/server.h"
#include "engine/api/tenants.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#define RYZ_MODEL_NAME_MAX 128u

struct ryz_exchange;

struct ryz_server {
    struct ryz_server_options options; /* `faults` is not used: see below */
    struct ryz_api_rules rules;
    struct ryz_tenants tenants; /* has its own lock, a leaf */
    char model_name[RYZ_MODEL_NAME_MAX];
    char fingerprint[24]; /* of model and weights: same text, same answers */
    int64_t created_s;
    uint16_t port;
    struct MHD_Daemon *daemon;
    struct ryz_http_loop *loop; /* its thread */
    struct ryz_disconnect *disconnect;
    struct ryz_faults *_Atomic faults; /* of stream writes; borrowed */
    _Atomic uint64_t exchanges;        /* so far; numbers them, 1 is the first */
    _Atomic uint32_t connections;      /* open now */
    _Atomic bool draining;             /* new requests get 503 */
    _Atomic bool stopping;             /* nobody may suspend any more */
    pthread_mutex_t lock;
    pthread_cond_t idle;         /* no generation is open */
    struct ryz_exchange *active; /* lock: list of exchanges with a request in the engine */
    uint32_t active_count;       /* lock */
};

#endif
