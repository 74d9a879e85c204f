/*
 * control.h - a local channel through which a harness studies a server in another process.
 *
 * JSON lines over a Unix socket (off by default, mode 0600), one client at a time:
 *   {"op":"faults","seed":S,"t0_ns":T,"faults":[...]}   arms a plan on the server's monotonic clock
 *   {"op":"drain"} / {"op":"stats"}
 *   {"op":"records"}   hands back the steps and spans since the last call, then {"end":true,...}
 * Answers: {"ok":true,...} or {"ok":false,"error":"..."}. Records wait in bounded rings; what did
 * not fit is counted in "dropped".
 */
#ifndef RYZ_API_CONTROL_H
#define RYZ_API_CONTROL_H

#include "engine/api/server.h"

struct ryz_control_options {
    const char *path;          /* of the socket; an old one is replaced */
    struct ryz_engine *engine; /* borrowed */
    struct ryz_server *server; /* borrowed */
    const struct ryz_clock *clock;
    uint32_t records_max; /* ring capacity, each kind */
};

struct ryz_control;

RYZ_MUST_USE enum ryz_status ryz_control_open(const struct ryz_control_options *options,
                                              struct ryz_control **out, struct ryz_error *error);
void ryz_control_close(struct ryz_control *control);
/* To be called by the owner of the engine's observer; any thread, never block. */
void ryz_control_step(struct ryz_control *control, const struct ryz_step_record *step);
void ryz_control_span(struct ryz_control *control, const struct ryz_span *span);

#endif
