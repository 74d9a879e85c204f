/*
 * rows.h - every table of a results file: one column list per table, from which the C row struct,
 * the HDF5 type, the attributes (units, long names) and docs/results.md are made.
 *
 * A column is X(kind, name, length, unit, meaning); kinds are listed at RYZ_COL_C_*. Rows are
 * written as HDF5 compounds of little-endian fixed types and fixed strings, so that h5py, pandas,
 * Octave and Julia read them in one line. Times are int64 nanoseconds since the run's t0, absent =
 * INT64_MIN (RYZ_TIME_NONE). Raw times are stored, everything else is derived from them.
 * Row structs are plain memory: zero them, fill them, hand them to the recorder.
 */
#ifndef RYZ_HARNESS_RECORD_ROWS_H
#define RYZ_HARNESS_RECORD_ROWS_H

#include "engine/obs/trace.h"
#include "engine/sched/core.h"

#include <stdint.h>

/* How a request ended. X(enum name, value, name in files, meaning) */
#define RYZ_REQUEST_STATUS_TABLE(X)                                                                \
    X(OK, 0, "ok", "answered in full")                                                             \
    X(ERROR_4XX, 1, "error_4xx", "refused as a bad request")                                       \
    X(ERROR_5XX, 2, "error_5xx", "the server failed")                                              \
    X(TIMEOUT, 3, "timeout", "no full answer within the scenario's timeout or the deadline")       \
    X(SHED, 4, "shed", "refused because of load (429, 503)")                                       \
    X(CANCELLED, 5, "cancelled", "given up by the client on purpose (an injected disconnect)")     \
    X(LOST, 6, "lost", "neither an answer nor a typed error came back")                            \
    X(DROPPED_BY_HARNESS, 7, "dropped_by_harness", "never sent; the generator could not keep up")  \
    X(LATE, 8, "late", "refused because a deadline was believed to be out of reach (429)")

enum ryz_request_status {
#define X(name, value, text, help) RYZ_REQUEST_##name = (value),
    RYZ_REQUEST_STATUS_TABLE(X)
#undef X
        RYZ_REQUEST_STATUS_COUNT
};

/* What happened in a run. X(enum name, value, name in files, meaning of who, value and note) */
#define RYZ_RUN_EVENT_TABLE(X)                                                                     \
    X(RUN_BEGIN, 0, "run_begin", "t0 of the run")                                                  \
    X(RUN_END, 1, "run_end", "the last request ended")                                             \
    X(PHASE_BEGIN, 2, "phase_begin", "who: traffic index, note: its name")                         \
    X(PHASE_END, 3, "phase_end", "who: traffic index, note: its name; its last arrival")           \
    X(FAULT_ON, 4, "fault_on", "who: fault index, note: its name")                                 \
    X(FAULT_OFF, 5, "fault_off", "who: fault index, note: its name, value: operations hit")        \
    X(SERVER_UP, 6, "server_up", "the served system answers")                                      \
    X(SERVER_DOWN, 7, "server_down", "the served system is gone")                                  \
    X(BREAKER_OPEN, 8, "breaker_open", "who: worker")                                              \
    X(BREAKER_HALF_OPEN, 9, "breaker_half_open", "who: worker")                                    \
    X(BREAKER_CLOSED, 10, "breaker_closed", "who: worker")                                         \
    X(WARNING, 11, "warning", "note: what a reader of the results must know")                      \
    X(INVALID, 12, "invalid", "note: why the run may not be judged")

enum ryz_run_event_kind {
#define X(name, value, text, help) RYZ_RUN_EVENT_##name = (value),
    RYZ_RUN_EVENT_TABLE(X)
#undef X
        RYZ_RUN_EVENT_COUNT
};

/* Names of the scheduler's events in sched_log. */
#define RYZ_SCHED_EVENT_TABLE(X)                                                                   \
    X(RYZ_EV_ARRIVE, "arrive")                                                                     \
    X(RYZ_EV_PLAN, "plan")                                                                         \
    X(RYZ_EV_STEP_DONE, "step_done")                                                               \
    X(RYZ_EV_TOKEN, "token")                                                                       \
    X(RYZ_EV_CANCEL, "cancel")                                                                     \
    X(RYZ_EV_LIMITS, "limits")                                                                     \
    X(RYZ_EV_FAULT, "fault")                                                                       \
    X(RYZ_EV_HASHES, "hashes")

/* One row a request of the traffic: THE table. Pushed once, when the request has ended. */
#define RYZ_REQUEST_COLUMNS(X)                                                                     \
    X(U64, id, 0, "1", "number of the request in the run, from 1 in order of launch")              \
    X(U32, session, 0, "1", "conversation")                                                        \
    X(U16, turn, 0, "1", "turn in the conversation, from 0")                                       \
    X(U16, phase, 0, "1", "index into the run's phase names ([traffic.NAME])")                     \
    X(U16, tenant, 0, "1", "index of the tenant")                                                  \
    X(I16, priority, 0, "1", "0 is the most urgent")                                               \
    X(I64, t_sched, 0, "ns", "when it should have been sent: latency counts from here")            \
    X(I64, t_send, 0, "ns", "when it was sent")                                                    \
    X(I64, t_accept, 0, "ns", "when the server took it")                                           \
    X(I64, t_first, 0, "ns", "first token at the client")                                          \
    X(I64, t_last, 0, "ns", "last token at the client")                                            \
    X(I64, t_done, 0, "ns", "end of the answer, or of the attempt")                                \
    X(I64, first_deadline_ns, 0, "ns", "when the first token was due; absent: no such deadline")   \
    X(I64, deadline_ns, 0, "ns", "when the whole answer was due; absent: no such deadline")        \
    X(U32, in_tok, 0, "1", "prompt tokens")                                                        \
    X(U32, out_tok, 0, "1", "output tokens received")                                              \
    X(U32, want_tok, 0, "1", "output tokens asked for")                                            \
    X(U32, cached_tok, 0, "1", "prompt tokens found in the prefix cache")                          \
    X(U64, computed_tok, 0, "1", "tokens our engine computed for it; 0 where it did not say")      \
    X(U64, recomputed_tok, 0, "1", "of them, those that a preemption had thrown away")             \
    X(U32, host_tok, 0, "1", "of cached_tok, those copied back from host memory")                  \
    X(U32, missed_tok, 0, "1", "tokens in cached blocks that were evicted before it came")         \
    X(U32, rejected_tok, 0, "1", "proposals verified for it that were not right")                  \
    X(U32, preempted, 0, "1", "how often it lost its KV blocks")                                   \
    X(STATUS, status, 0, "1", "how it ended")                                                      \
    X(U8, retries, 0, "1", "attempts after the first")                                             \
    X(U8, fallback, 0, "1", "1: answered by the fallback")                                         \
    X(U16, fault, 0, "1", "1 + index of the fault it ran into, 0: none")                           \
    X(I16, worker, 0, "1", "worker that served it, -1: unknown")                                   \
    X(U8, slo_ok, 0, "1", "1: ok and within its traffic's slo; set by evaluation")                 \
    X(U8, measured, 0, "1", "1: inside the measured window; set by evaluation")                    \
    X(U32, bytes_in, 0, "byte", "bytes received from the server")                                  \
    X(U32, bytes_out, 0, "byte", "bytes sent to the server")                                       \
    X(BYTES, trace_id, 16, "1", "W3C trace id, all zero: none")                                    \
    X(U64, prompt_hash, 0, "1", "XXH3-64 of the prompt's token ids as little-endian u32")          \
    X(U64, output_hash, 0, "1", "XXH3-64 of the output's token ids as little-endian u32")          \
    X(U64, tok_first, 0, "1", "first row of this request in tokens; set when finalised")           \
    X(U32, tok_count, 0, "1", "its rows in tokens; set when finalised")

/* One row an arrival of tokens at the client. Final files hold them sorted by request. */
#define RYZ_TOKEN_COLUMNS(X)                                                                       \
    X(U64, request, 0, "1", "requests.id")                                                         \
    X(I64, t_ns, 0, "ns", "when it arrived")                                                       \
    X(U16, n, 0, "1", "tokens in this arrival; more than 1 where chunks are not tokens")

#define RYZ_SPAN_COLUMNS(X)                                                                        \
    X(BYTES, trace_id, 16, "1", "W3C trace id")                                                    \
    X(U64, span_id, 0, "1", "span")                                                                \
    X(U64, parent, 0, "1", "parent span, 0: root")                                                 \
    X(U64, request, 0, "1", "requests.id, or 0")                                                   \
    X(SPAN, name, 0, "1", "operation")                                                             \
    X(I16, worker, 0, "1", "worker")                                                               \
    X(I64, t0_ns, 0, "ns", "begin")                                                                \
    X(I64, t1_ns, 0, "ns", "end")                                                                  \
    X(I8, status, 0, "1", "enum ryz_status, 0: ok")                                                \
    X(F64, attr, 0, "1", "tokens, where tokens make sense")

#define RYZ_RUN_EVENT_COLUMNS(X)                                                                   \
    X(I64, t_ns, 0, "ns", "when")                                                                  \
    X(EVENT, kind, 0, "1", "what happened")                                                        \
    X(I32, who, 0, "1", "see kind")                                                                \
    X(F64, value, 0, "1", "see kind")                                                              \
    X(STR, note, 96, "1", "see kind")

#define RYZ_GPU_COLUMNS(X)                                                                         \
    X(I64, t_ns, 0, "ns", "when")                                                                  \
    X(I16, gpu, 0, "1", "device")                                                                  \
    X(F32, util, 0, "1", "share of time with a kernel running, 0..1")                              \
    X(U64, mem_used, 0, "byte", "device memory in use")                                            \
    X(U64, mem_total, 0, "byte", "device memory")                                                  \
    X(F32, power_w, 0, "W", "power")                                                               \
    X(F32, temp_c, 0, "degC", "temperature")                                                       \
    X(F32, clk_mhz, 0, "MHz", "clock of the multiprocessors")

#define RYZ_HOST_COLUMNS(X)                                                                        \
    X(I64, t_ns, 0, "ns", "when")                                                                  \
    X(F32, cpu, 0, "1", "share of all cores in use since the last row, 0..1")                      \
    X(F32, steal, 0, "1", "share taken by the hypervisor, 0..1")                                   \
    X(F32, process_cpu, 0, "1", "cores used by this process")                                      \
    X(F32, load1, 0, "1", "load average over one minute")                                          \
    X(U64, rss, 0, "byte", "resident memory of this process")                                      \
    X(U64, mem_available, 0, "byte", "memory available on the host")                               \
    X(U64, mem_total, 0, "byte", "memory of the host")

/* Proposals by how many stood before them in their step. X(n), n = that number + 1. */
#define RYZ_DRAFT_POSITIONS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8)

/* One row an engine step; the counters are since the engine was opened, after the step. */
#define RYZ_STEP_COLUMNS(X)                                                                        \
    X(I64, t_ns, 0, "ns", "begin of the step")                                                     \
    X(I64, duration_ns, 0, "ns", "whole step: plan, forward pass, sampling")                       \
    X(I64, sched_ns, 0, "ns", "of which the scheduler")                                            \
    X(I64, forward_ns, 0, "ns", "of which the forward pass")                                       \
    X(U32, prefill_tokens, 0, "1", "tokens of chunks longer than one")                             \
    X(U32, decode_requests, 0, "1", "requests that computed their newest token only")              \
    X(U32, draft_tokens, 0, "1", "proposals verified besides")                                     \
    X(U64, context_tokens, 0, "1", "sum over computed tokens of the KV length attended to")        \
    X(U32, run_count, 0, "1", "requests in the batch")                                             \
    X(U8, failed, 0, "1", "1: an injected fault failed it")                                        \
    X(U32, running, 0, "1", "requests that hold KV blocks")                                        \
    X(U32, waiting, 0, "1", "requests in the queue")                                               \
    X(U32, batch_limit, 0, "1", "requests that may run, as the controller wants it; 0: unknown")   \
    X(U32, kv_used, 0, "1", "KV blocks held")                                                      \
    X(U32, kv_total, 0, "1", "KV blocks in the pool")                                              \
    X(U64, arrived, 0, "1", "requests so far")                                                     \
    X(U64, rejected, 0, "1", "refused so far")                                                     \
    X(U64, finished, 0, "1", "finished so far")                                                    \
    X(U64, cancelled, 0, "1", "cancelled so far")                                                  \
    X(U64, preempt, 0, "1", "preemptions so far")                                                  \
    X(U64, prompt_computed, 0, "1", "prompt tokens computed so far, recomputation included")       \
    X(U64, recomputed, 0, "1", "tokens computed again after preemptions so far")                   \
    X(U64, decoded, 0, "1", "tokens decoded so far")                                               \
    X(U64, kv_failures, 0, "1", "injected failures of KV allocation so far")                       \
    X(U32, kv_lent, 0, "1",                                                                        \
      "KV blocks guaranteed to tenants that do not use them, held by others")                      \
    X(U64, kv_slots, 0, "1", "tokens that the held KV blocks have room for")                       \
    X(U64, kv_empty, 0, "1", "of those, how many hold no token: ends of last blocks")              \
    X(U32, kv_cached, 0, "1", "free KV blocks whose contents can be found again")                  \
    X(U64, cache_asked, 0, "1", "tokens asked of the prefix cache so far")                         \
    X(U64, cache_found, 0, "1", "prompt tokens found in it so far")                                \
    X(U64, cache_evicted, 0, "1", "cached blocks overwritten so far")                              \
    X(U64, cache_missed, 0, "1", "blocks asked for after they had been lost, so far")              \
    X(U64, prompt_shared, 0, "1", "prompt tokens taken over from another choice so far")           \
    X(U32, host_used, 0, "1", "host blocks whose contents can be found again")                     \
    X(U64, host_found, 0, "1", "of cache_found, tokens that were in host memory")                  \
    X(U64, host_out, 0, "1", "KV blocks copied to host memory so far")                             \
    X(U64, host_in, 0, "1", "KV blocks copied back so far")                                        \
    X(U64, host_dropped, 0, "1", "KV blocks lost because host memory was full, so far")            \
    X(U64, verified_1, 0, "1", "first proposals of a step verified so far")                        \
    X(U64, verified_2, 0, "1", "second proposals of a step verified so far")                       \
    X(U64, verified_3, 0, "1", "third proposals of a step verified so far")                        \
    X(U64, verified_4, 0, "1", "fourth proposals of a step verified so far")                       \
    X(U64, verified_5, 0, "1", "fifth proposals of a step verified so far")                        \
    X(U64, verified_6, 0, "1", "sixth proposals of a step verified so far")                        \
    X(U64, verified_7, 0, "1", "seventh proposals of a step verified so far")                      \
    X(U64, verified_8, 0, "1", "eighth proposals of a step verified so far")                       \
    X(U64, accepted_1, 0, "1", "of them right, so far")                                            \
    X(U64, accepted_2, 0, "1", "of them right, so far")                                            \
    X(U64, accepted_3, 0, "1", "of them right, so far")                                            \
    X(U64, accepted_4, 0, "1", "of them right, so far")                                            \
    X(U64, accepted_5, 0, "1", "of them right, so far")                                            \
    X(U64, accepted_6, 0, "1", "of them right, so far")                                            \
    X(U64, accepted_7, 0, "1", "of them right, so far")                                            \
    X(U64, accepted_8, 0, "1", "of them right, so far")

/* struct ryz_event of engine/sched/core.h, record for record: what a replay is fed. Its times are
 * those of the core's clock, not relative to t0, so that a replay sees the same numbers. */
#define RYZ_SCHED_LOG_COLUMNS(X)                                                                   \
    X(I64, t_ns, 0, "ns", "when, on the core's own clock")                                         \
    X(U64, request_id, 0, "1", "request, the engine's number")                                     \
    X(I64, duration_ns, 0, "ns", "step_done: duration; limits: step_ns_max")                       \
    X(I64, deadline_ns, 0, "ns", "arrive: deadline of the end")                                    \
    X(SCHED, kind, 0, "1", "kind of event")                                                        \
    X(U32, prompt_tokens, 0, "1", "arrive: prompt; limits: batch_requests_max")                    \
    X(U32, output_tokens_max, 0, "1", "arrive: output asked for; limits: batch_tokens_max")        \
    X(U32, permille, 0, "1", "fault: share of allocations; limits: prefill_chunk_max")             \
    X(U32, slot, 0, "1", "token, cancel: slot of the request")                                     \
    X(U16, tenant, 0, "1", "arrive: tenant")                                                       \
    X(U8, priority, 0, "1", "arrive: priority")                                                    \
    X(U8, flags, 0, "1", "1: end of output (token), 2: failed (step_done)")                        \
    X(I64, first_deadline_ns, 0, "ns",                                                             \
      "arrive: deadline of the first token, 0: none; token, hashes: hash of a block")

/* One row: how the core that wrote sched_log was opened, and the digest a replay must reach. */
#define RYZ_SCHED_CONFIG_COLUMNS(X)                                                                \
    X(STR, policy, 16, "1", "scheduling policy")                                                   \
    X(U64, seed, 0, "1", "seed of the core's draws")                                               \
    X(U32, prefix_cache, 0, "1", "1: beginnings computed before were found again")                 \
    X(U64, digest, 0, "1", "digest of all decisions")                                              \
    X(I64, step_ns_max, 0, "ns", "believed step length that prefill chunks must keep")             \
    X(I64, itl_target_ns, 0, "ns", "time between tokens that the controller keeps; 0: none")       \
    X(I64, queue_wait_ns_max, 0, "ns",                                                             \
      "believed wait beyond which an arrival is refused; 0: none")                                 \
    X(I64, starve_ns, 0, "ns", "who waited longer goes first; 0: nobody")                          \
    X(U32, admit_late, 0, "1", "1: requests believed to miss their deadline are taken")            \
    X(U32, admit, 0, "1", "blocks free for a start: 0 of the prompt, 1 whole output, 2 a chunk")   \
    X(U32, headroom_adapts, 0, "1", "1: admissions kept more blocks free after preemptions")       \
    X(STR, kv_partitions, 144, "1", "tenant:permille of the KV pool that it is guaranteed, ...")   \
    X(U32, queue_tokens_max, 0, "1", "prompt tokens of waiting requests; 0: no limit")             \
    X(U32, draft_tokens_max, 0, "1", "proposals for one request in one step; 0: none")             \
    X(U32, batch_requests_max, 0, "1", "requests in one step")                                     \
    X(U32, batch_tokens_max, 0, "1", "tokens in one step")                                         \
    X(U32, prefill_chunk_max, 0, "1", "tokens of one request in one step")                         \
    X(U32, kv_block_tokens, 0, "1", "tokens in a KV block")                                        \
    X(U32, kv_blocks, 0, "1", "blocks in the pool")                                                \
    X(U32, kv_host_blocks, 0, "1", "blocks of host memory; 0: none")                               \
    X(U32, queue_requests_max, 0, "1", "waiting requests")                                         \
    X(U32, context_tokens_max, 0, "1", "prompt + output of one request")

/* The load generator watches itself. */
#define RYZ_HARNESS_COLUMNS(X)                                                                     \
    X(I64, t_ns, 0, "ns", "when")                                                                  \
    X(I64, lag_p99_ns, 0, "ns", "p99 of t_send - t_sched since the last row")                      \
    X(F32, cpu, 0, "1", "cores used by the generator")                                             \
    X(F32, steal, 0, "1", "share taken by the hypervisor, 0..1")                                   \
    X(U32, inflight, 0, "1", "requests in flight")                                                 \
    X(U32, dropped, 0, "1", "arrivals never sent, so far")

#define RYZ_LOG_COLUMNS(X)                                                                         \
    X(I64, t_ns, 0, "ns", "when")                                                                  \
    X(U8, level, 0, "1", "0 debug, 1 info, 2 warn, 3 error")                                       \
    X(U64, request, 0, "1", "requests.id, or 0")                                                   \
    X(BYTES, trace_id, 16, "1", "W3C trace id, all zero: none")                                    \
    X(STR, text, 200, "1", "the line")

/* One row a metric and statistic. Written by evaluation, one table a run. */
#define RYZ_SUMMARY_COLUMNS(X)                                                                     \
    X(STR, metric, 64, "1", "[traffic.]quantity")                                                  \
    X(STR, unit, 16, "1", "base unit: ns, s-1, 1 (ratio), byte, ...")                              \
    X(STR, stat, 16, "1", "mean, p50, ..., or value for what has no distribution")                 \
    X(F64, value, 0, "1", "the number; +inf: so many requests failed")                             \
    X(F64, lo, 0, "1", "lower end of the 95 % interval, NaN: none")                                \
    X(F64, hi, 0, "1", "upper end of the 95 % interval, NaN: none")                                \
    X(U64, n, 0, "1", "samples it rests on")                                                       \
    X(STR, window, 8, "1", "run or steady: what was measured")                                     \
    X(STR, formula, 160, "1", "how it was computed")

/* Numbers of a run that no other table yields, such as model.size; read by evaluation. */
#define RYZ_FACT_COLUMNS(X)                                                                        \
    X(STR, metric, 64, "1", "quantity, as in docs/metrics.md")                                     \
    X(F64, value, 0, "1", "in the quantity's base unit")

#define RYZ_TARGET_COLUMNS(X)                                                                      \
    X(STR, name, 64, "1", "metric, as the scenario names it")                                      \
    X(STR, op, 4, "1", "<=, >=, ==, <, >")                                                         \
    X(F64, want, 0, "1", "bound in the metric's base unit")                                        \
    X(F64, got, 0, "1", "measured, NaN: nothing to measure")                                       \
    X(STR, unit, 16, "1", "base unit")                                                             \
    X(F64, margin, 0, "1", "(want - got) / |want|, sign such that >= 0 is met")                    \
    X(I8, verdict, 0, "1", "1 met, 0 missed, -1 not applicable, -2 invalid")                       \
    X(STR, why, 192, "1", "where the number comes from, or why there is none")

/* The sweep's grid; the attribute `axes` names the keys of v0 .. v5. */
#define RYZ_POINT_COLUMNS(X)                                                                       \
    X(U32, point, 0, "1", "number of the point")                                                   \
    X(U8, state, 0, "1", "0 to do, 1 running, 2 done, 3 invalid")                                  \
    X(STR, label, 192, "1", "key=value ...")                                                       \
    X(STR, v0, 32, "1", "value of the first axis")                                                 \
    X(STR, v1, 32, "1", "value of the second axis")                                                \
    X(STR, v2, 32, "1", "value of the third axis")                                                 \
    X(STR, v3, 32, "1", "value of the fourth axis")                                                \
    X(STR, v4, 32, "1", "value of the fifth axis")                                                 \
    X(STR, v5, 32, "1", "value of the sixth axis")

#define RYZ_INPUT_COLUMNS(X)                                                                       \
    X(STR, path, 256, "1", "file as the scenario names it")                                        \
    X(STR, role, 16, "1", "model, trace, accuracy, cost, baseline")                                \
    X(U64, bytes, 0, "byte", "size")                                                               \
    X(STR, sha256, 65, "1", "SHA-256 in hex")                                                      \
    X(U64, rows, 0, "1", "lines of a text file, 0: binary")                                        \
    X(STR, first_line, 256, "1", "first line of a text file")

/* One row a scored token of the accuracy text. */
#define RYZ_ACCURACY_COLUMNS(X)                                                                    \
    X(U32, item, 0, "1", "position of the token in the scored text")                               \
    X(U32, window, 0, "1", "context window it was scored in; intervals resample whole windows")    \
    X(F64, logprob, 0, "1", "natural logarithm of the token's probability")                        \
    X(F64, base_logprob, 0, "1", "the same under the base model, NaN: no base")                    \
    X(F64, kl, 0, "1", "KL divergence of the base's distribution from ours, nats, NaN: no base")   \
    X(I8, top1, 0, "1", "1: both models' likeliest token agree, 0: not, -1: no base")

/* Two results side by side. */
#define RYZ_COMPARE_COLUMNS(X)                                                                     \
    X(STR, metric, 80, "1", "[traffic.]quantity.statistic")                                        \
    X(STR, unit, 16, "1", "base unit")                                                             \
    X(F64, a, 0, "1", "first result")                                                              \
    X(F64, b, 0, "1", "second result")                                                             \
    X(F64, ratio, 0, "1", "b / a, NaN: undefined")                                                 \
    X(F64, lo, 0, "1", "lower end of the 95 % interval of the ratio, NaN: none")                   \
    X(F64, hi, 0, "1", "upper end of the 95 % interval of the ratio, NaN: none")

/*
 * X(enum name, dataset, row struct, column list, rows a chunk, what it holds)
 * The live tables come first: the recorder takes exactly these. The rest is written afterwards.
 */
#define RYZ_LIVE_TABLES(X)                                                                         \
    X(REQUESTS, "requests", ryz_request_row, RYZ_REQUEST_COLUMNS, 4096, "requests of the traffic") \
    X(TOKENS, "tokens", ryz_token_row, RYZ_TOKEN_COLUMNS, 16384, "arrivals of output tokens")      \
    X(SPANS, "spans", ryz_span_row, RYZ_SPAN_COLUMNS, 16384, "trace spans, client and server")     \
    X(EVENTS, "events", ryz_run_event_row, RYZ_RUN_EVENT_COLUMNS, 256, "what happened in the run") \
    X(TELEMETRY, "telemetry", ryz_gpu_row, RYZ_GPU_COLUMNS, 1024, "GPUs over time")                \
    X(HOST, "host", ryz_host_row, RYZ_HOST_COLUMNS, 1024, "the machine over time")                 \
    X(ENGINE, "engine", ryz_step_row, RYZ_STEP_COLUMNS, 4096, "steps of the engine")               \
    X(SCHED_LOG, "sched_log", ryz_event, RYZ_SCHED_LOG_COLUMNS, 8192, "events fed to the core")    \
    X(SCHED_CONFIG, "sched_config", ryz_sched_config_row, RYZ_SCHED_CONFIG_COLUMNS, 16,            \
      "how the core was opened")                                                                   \
    X(HARNESS, "harness", ryz_harness_row, RYZ_HARNESS_COLUMNS, 1024, "the generator over time")   \
    X(LOGS, "logs", ryz_log_row, RYZ_LOG_COLUMNS, 1024, "log lines")

#define RYZ_FINAL_TABLES(X)                                                                        \
    X(SUMMARY, "summary", ryz_summary_row, RYZ_SUMMARY_COLUMNS, 256, "metrics of the run")         \
    X(FACTS, "facts", ryz_fact_row, RYZ_FACT_COLUMNS, 64, "numbers no other table yields")         \
    X(TARGETS, "targets", ryz_target_row, RYZ_TARGET_COLUMNS, 64, "the scenario's targets")        \
    X(POINTS, "points", ryz_point_row, RYZ_POINT_COLUMNS, 64, "points of the sweep")               \
    X(INPUTS, "inputs", ryz_input_row, RYZ_INPUT_COLUMNS, 16, "files the run read")                \
    X(ACCURACY, "accuracy", ryz_accuracy_row, RYZ_ACCURACY_COLUMNS, 4096, "scored tokens")         \
    X(COMPARE, "compare", ryz_compare_row, RYZ_COMPARE_COLUMNS, 64, "two results side by side")

enum ryz_table {
#define X(name, dataset, type, columns, chunk, help) RYZ_TABLE_##name,
    RYZ_LIVE_TABLES(X) RYZ_TABLE_LIVE_COUNT,
    RYZ_TABLE_BEFORE_FINAL = RYZ_TABLE_LIVE_COUNT - 1,
    RYZ_FINAL_TABLES(X)
#undef X
        RYZ_TABLE_COUNT
};

/* Kinds of columns and their C fields; STATUS, SPAN, EVENT and SCHED are enums in the file. */
#define RYZ_COL_C_U8(name, length)     uint8_t name;
#define RYZ_COL_C_U16(name, length)    uint16_t name;
#define RYZ_COL_C_U32(name, length)    uint32_t name;
#define RYZ_COL_C_U64(name, length)    uint64_t name;
#define RYZ_COL_C_I8(name, length)     int8_t name;
#define RYZ_COL_C_I16(name, length)    int16_t name;
#define RYZ_COL_C_I32(name, length)    int32_t name;
#define RYZ_COL_C_I64(name, length)    int64_t name;
#define RYZ_COL_C_F32(name, length)    float name;
#define RYZ_COL_C_F64(name, length)    double name;
#define RYZ_COL_C_STR(name, length)    char name[length];    /* NUL-terminated */
#define RYZ_COL_C_BYTES(name, length)  uint8_t name[length]; /* u8[length] in the file */
#define RYZ_COL_C_STATUS(name, length) uint16_t name;        /* enum ryz_request_status */
#define RYZ_COL_C_SPAN(name, length)   uint16_t name;        /* enum ryz_span_name */
#define RYZ_COL_C_EVENT(name, length)  uint16_t name;        /* enum ryz_run_event_kind */
#define RYZ_COL_C_SCHED(name, length)  uint32_t name;        /* enum ryz_event_kind */

#define RYZ_COL_FIELD(kind, name, length, unit, meaning) RYZ_COL_C_##kind(name, length)

struct ryz_request_row {
    RYZ_REQUEST_COLUMNS(RYZ_COL_FIELD)
};
struct ryz_token_row {
    RYZ_TOKEN_COLUMNS(RYZ_COL_FIELD)
};
struct ryz_span_row {
    RYZ_SPAN_COLUMNS(RYZ_COL_FIELD)
};
struct ryz_run_event_row {
    RYZ_RUN_EVENT_COLUMNS(RYZ_COL_FIELD)
};
struct ryz_gpu_row {
    RYZ_GPU_COLUMNS(RYZ_COL_FIELD)
};
struct ryz_host_row {
    RYZ_HOST_COLUMNS(RYZ_COL_FIELD)
};
struct ryz_step_row {
    RYZ_STEP_COLUMNS(RYZ_COL_FIELD)
};
struct ryz_sched_config_row {
    RYZ_SCHED_CONFIG_COLUMNS(RYZ_COL_FIELD)
};
struct ryz_harness_row {
    RYZ_HARNESS_COLUMNS(RYZ_COL_FIELD)
};
struct ryz_log_row {
    RYZ_LOG_COLUMNS(RYZ_COL_FIELD)
};
struct ryz_summary_row {
    RYZ_SUMMARY_COLUMNS(RYZ_COL_FIELD)
};
struct ryz_fact_row {
    RYZ_FACT_COLUMNS(RYZ_COL_FIELD)
};
struct ryz_target_row {
    RYZ_TARGET_COLUMNS(RYZ_COL_FIELD)
};
struct ryz_point_row {
    RYZ_POINT_COLUMNS(RYZ_COL_FIELD)
};
struct ryz_input_row {
    RYZ_INPUT_COLUMNS(RYZ_COL_FIELD)
};
struct ryz_accuracy_row {
    RYZ_ACCURACY_COLUMNS(RYZ_COL_FIELD)
};
struct ryz_compare_row {
    RYZ_COMPARE_COLUMNS(RYZ_COL_FIELD)
};

/* A request row with every time absent and the rest zero: what a driver starts from. */
static inline struct ryz_request_row ryz_request_row_blank(uint64_t id)
{
    struct ryz_request_row row = {.id = id, .worker = -1};
    row.t_sched = row.t_send = row.t_accept = INT64_MIN;
    row.t_first = row.t_last = row.t_done = INT64_MIN;
    row.first_deadline_ns = row.deadline_ns = INT64_MIN;
    return row;
}

const char *ryz_request_status_name(enum ryz_request_status status); /* never NULL */
const char *ryz_run_event_name(enum ryz_run_event_kind kind);        /* never NULL */

/* One column as data. */
enum ryz_column_kind {
    RYZ_COL_U8,
    RYZ_COL_U16,
    RYZ_COL_U32,
    RYZ_COL_U64,
    RYZ_COL_I8,
    RYZ_COL_I16,
    RYZ_COL_I32,
    RYZ_COL_I64,
    RYZ_COL_F32,
    RYZ_COL_F64,
    RYZ_COL_STR,
    RYZ_COL_BYTES,
    RYZ_COL_STATUS,
    RYZ_COL_SPAN,
    RYZ_COL_EVENT,
    RYZ_COL_SCHED
};

struct ryz_column {
    const char *name;
    const char *unit;
    const char *meaning;
    enum ryz_column_kind kind;
    uint32_t length; /* bytes of STR and BYTES, else 0 */
    uint32_t offset; /* in the row struct */
};

struct ryz_table_spec {
    const char *name; /* dataset */
    const char *help;
    const struct ryz_column *columns;
    uint32_t column_count;
    uint32_t row_bytes; /* of the row struct */
    uint32_t chunk_rows;
};

/* The table as data; table < RYZ_TABLE_COUNT. */
const struct ryz_table_spec *ryz_table_spec(enum ryz_table table);

#endif
