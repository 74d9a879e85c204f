/*
 * control.h - a local channel through which a harness studies a server in another process.
 *
 * JSON lines over a Unix socket (off by default, mode 0600), one client at a time:
 *   {"op":"faults","seed":S,"t0_ns":T,"faults":[...]}   arms a plan on the server's monotonic clock
 *   {"op":"drain"}   {"op":"stats"}
 *   {"op":"records"}   hands back the steps and spans since the last call
 * Answers: {"ok":true,...} or {"ok":false,"error":"..."}. Records wait in bounded rings; what did
 * not fit is counted in "dropped".
 *
 * A fault is {"name":"slow","point":"engine.step","action":"delay","at_ns":0,"until_ns":9,
 * "permille":1000,"value_ns":5}: times are relative to t0_ns, until_ns may be absent (open end).
 * An empty list disarms. Seeds above 2^63-1 are written as decimal strings.
 *
 * "records" answers with a line a record and one that ends them, all times on the server's
 * monotonic clock (the same for all processes of a machine):
 *   {"step":{"t_ns":..,"duration_ns":..,"sched_ns":..,"forward_ns":..,"prefill_tokens":..,
 *     "decode_requests":..,"context_tokens":..,"run_count":..,"failed":false,"running":..,
 *     "waiting":..,"batch_limit":..,"kv_blocks_used":..,"kv_blocks_total":..,"kv_blocks_lent":..,
 *     "kv_slots":..,"kv_slots_empty":..,"preempted":..}}
 *   {"span":{"trace_id":"32 hex","span_id":"16 hex","parent":"16 hex","request":..,"name":"..",
 *     "t0_ns":..,"t1_ns":..,"attr":..,"worker":..,"status":".."}}
 *   {"ok":true,"end":true,"steps":N,"spans":N,"dropped":N}
 * "stats" answers
 * {"ok":true,"now_ns":..,"active":..,"running":..,"waiting":..,"batch_limit":..,"kv_blocks_used":..,
 *   "kv_blocks_total":..,"kv_blocks_lent":..,"arrived":..,"rejected":..,"finished":..,"cancelled":..,"preempted":..,
 *   "steps":..,"failed_steps":..,"prompt_tokens_computed":..,"tokens_recomputed":..,
 *   "tokens_decoded":..,"kv_alloc_failures":..,"digest":"16 hex","fault_hits":[..]}.
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
/* Ends the conversation and disarms the faults: engine and server are not touched any more. To be
 * called before either is closed; records may still be handed in afterwards (and go nowhere). */
void ryz_control_stop(struct ryz_control *control);
/* Stops unless that was done, and frees. Call it when nobody hands in records any more. NULL is
 * allowed. */
void ryz_control_close(struct ryz_control *control);
/* To be called by the owner of the engine's observer; any thread, never block. */
void ryz_control_step(struct ryz_control *control, const struct ryz_step_record *step);
void ryz_control_span(struct ryz_control *control, const struct ryz_span *span);

#endif
