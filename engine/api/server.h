/*
 * server.h - the OpenAI-compatible HTTP server over one engine.
 *
 *   POST /v1/completions, /v1/chat/completions (SSE or whole)   GET /v1/models, /healthz, /metrics
 *
 * Parsing, limits, error objects, streams and disconnects live here; scheduling does not.
 */
#ifndef RYZ_API_SERVER_H
#define RYZ_API_SERVER_H

#include "engine/runtime/engine.h"

struct ryz_server_options {
    const char *host;          /* "127.0.0.1" */
    uint16_t port;             /* 0: any free one, see ryz_server_port */
    const char *model_name;    /* as /v1/models shows it */
    struct ryz_engine *engine; /* borrowed */
    struct ryz_metrics *metrics;
    const struct ryz_logger *logger;
    const struct ryz_clock *clock; /* monotonic */
    const struct ryz_clock *wall;  /* since 1970, for `created` */
    struct ryz_span_sink spans;    /* server.request and server.parse */
    /* [tenant_count] names whose tenants are numbered from 1 on before any other, as the engine's
     * KV partitions want it; "default" is 0. Borrowed for the call. */
    const char *const *tenants;
    uint32_t tenant_count;
    uint32_t connections_max;  /* more are refused */
    size_t body_bytes_max;     /* larger requests get 413 */
    uint64_t seed;             /* of trace ids that we make */
    struct ryz_faults *faults; /* net.write; may be NULL */
};

struct ryz_server;

RYZ_MUST_USE enum ryz_status ryz_server_open(const struct ryz_server_options *options,
                                             struct ryz_server **out, struct ryz_error *error);
/* Stops listening, lets streams end until the deadline (0: at once), then closes. */
void ryz_server_close(struct ryz_server *server, int64_t drain_until_ns);
uint16_t ryz_server_port(const struct ryz_server *server);
/* Stops taking new requests: they get 503, /healthz says draining. */
void ryz_server_drain(struct ryz_server *server);
/* Streams open now. */
uint32_t ryz_server_active(const struct ryz_server *server);
void ryz_server_set_faults(struct ryz_server *server, struct ryz_faults *faults);

#endif
