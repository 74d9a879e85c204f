/*
 * quantities.h - what can be measured: one table from which names in targets, summary rows,
 * `ryz explain` and docs/metrics.md are made.
 *
 * A metric is "[prefix.]quantity[.statistic]". The prefix narrows it down to a traffic
 * ("interactive.ttft.p99") or to the sweep points where an axis has a value ("q8_0.model.ratio").
 * Latency counts from the scheduled arrival, and a failed request counts as infinitely slow.
 */
#ifndef RYZ_HARNESS_EVALUATE_QUANTITIES_H
#define RYZ_HARNESS_EVALUATE_QUANTITIES_H

#include "engine/base/status.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/*
 * X(enum name, name, kind, unit, better, default statistic, formula, meaning)
 *   kind    SAMPLES: has a distribution, so a statistic is named; NUMBER: one number a run
 *   unit    NS RATE RATIO BYTES COUNT PLAIN
 *   better  LESS, MORE or NEITHER
 *   default statistic if a target names none; NONE: it must
 */
#define RYZ_QUANTITY_TABLE(X)                                                                      \
    /* what a user feels: from measured requests */                                                \
    X(TTFT, "ttft", SAMPLES, NS, LESS, NONE, "t_first - t_sched; +inf if the request failed",      \
      "time to first token, from the scheduled arrival")                                           \
    X(TTFT_SEND, "ttft_send", SAMPLES, NS, LESS, NONE,                                             \
      "t_first - t_send; +inf if the request failed",                                              \
      "time to first token from the actual send: flattering when the generator falls behind")      \
    X(TPOT, "tpot", SAMPLES, NS, LESS, NONE,                                                       \
      "(t_last - t_first) / (out_tok - 1), out_tok >= 2; +inf if the request failed",              \
      "time per output token after the first, one value a request")                                \
    X(ITL, "itl", SAMPLES, NS, LESS, NONE,                                                         \
      "every gap between token arrivals; an arrival of k tokens gives k gaps of gap / k",          \
      "inter-token latency, one value a token; of requests that were answered")                    \
    X(ICL, "icl", SAMPLES, NS, LESS, NONE, "every gap between arrivals, whatever they hold",       \
      "inter-chunk latency: differs from itl where chunks hold several tokens")                    \
    X(E2E, "e2e", SAMPLES, NS, LESS, NONE, "t_done - t_sched; +inf if the request failed",         \
      "end to end, from the scheduled arrival to the end of the answer")                           \
    X(SERVICE, "service", SAMPLES, NS, LESS, NONE, "t_done - t_send; +inf if the request failed",  \
      "from the actual send to the end of the answer")                                             \
    X(NORMALISED, "normalised", SAMPLES, NS, LESS, NONE,                                           \
      "(t_done - t_sched) / out_tok; +inf if the request failed", "end-to-end time a token")       \
    X(QUEUE, "queue", SAMPLES, NS, LESS, NONE, "duration of the engine.queue spans",               \
      "wait in the engine before the first step")                                                  \
    X(PREFILL, "prefill", SAMPLES, NS, LESS, NONE, "duration of the engine.prefill spans",         \
      "first step to first token")                                                                 \
    X(DECODE, "decode", SAMPLES, NS, LESS, NONE, "duration of the engine.decode spans",            \
      "first token to last token in the engine")                                                   \
    X(TOKENS_IN, "tokens.in", SAMPLES, COUNT, NEITHER, NONE, "in_tok", "prompt length")            \
    X(TOKENS_OUT, "tokens.out", SAMPLES, COUNT, NEITHER, NONE, "out_tok of answered requests",     \
      "output length")                                                                             \
    X(THROUGHPUT_REQ, "throughput.req", NUMBER, RATE, MORE, NONE,                                  \
      "requests answered inside the window / length of the window", "answered requests a second")  \
    X(THROUGHPUT_OUT, "throughput.out_tok", NUMBER, RATE, MORE, NONE,                              \
      "output tokens that arrived inside the window / length of the window",                       \
      "output tokens a second")                                                                    \
    X(THROUGHPUT_TOTAL, "throughput.total_tok", NUMBER, RATE, MORE, NONE,                          \
      "(prompt tokens of requests answered inside the window + output tokens that arrived) / "     \
      "length of the window",                                                                      \
      "prompt and output tokens a second")                                                         \
    X(GOODPUT_RATIO, "goodput.ratio", NUMBER, RATIO, MORE, NONE,                                   \
      "requests answered within their slo / requests attempted",                                   \
      "share of requests that were good; without an slo, good is answered")                        \
    X(GOODPUT_RATE, "goodput.rate", NUMBER, RATE, MORE, NONE,                                      \
      "good requests scheduled inside the window / length of the window",                          \
      "good requests a second")                                                                    \
    X(ERRORS, "errors", NUMBER, RATIO, LESS, NONE,                                                 \
      "requests that ended in error_4xx, error_5xx, timeout, shed, late or lost / attempted",      \
      "share of requests that failed; one cancelled by its client has not failed")                 \
    X(SHED, "shed", NUMBER, RATIO, LESS, NONE, "requests with status shed / requests attempted",   \
      "share of requests refused because of load")                                                 \
    X(REJECTED, "rejected.ratio", NUMBER, RATIO, LESS, NONE,                                       \
      "requests with status shed or late / requests attempted",                                    \
      "share of requests refused because of load, or because they would be late")                  \
    X(DEADLINE_KEPT, "deadline.kept", NUMBER, RATIO, MORE, NONE,                                   \
      "ok with t_first <= first_deadline_ns, t_done <= deadline_ns (where given) / "               \
      "attempted with a deadline, not shed or late",                                               \
      "share of admitted requests with deadlines that kept every one they had")                    \
    X(DEADLINE_GOODPUT, "deadline.goodput", NUMBER, RATIO, MORE, NONE,                             \
      "ok with t_first <= first_deadline_ns, t_done <= deadline_ns (where given) / "               \
      "attempted with a deadline",                                                                 \
      "share of requests with deadlines that kept every one; a refused one kept none")             \
    X(TIMEOUTS, "timeouts", NUMBER, RATIO, LESS, NONE,                                             \
      "requests with status timeout / requests attempted", "share of requests that timed out")     \
    X(LOST, "lost", NUMBER, COUNT, LESS, NONE,                                                     \
      "requests with status lost, of all requests, measured or not",                               \
      "requests that ended in neither an answer nor a typed error")                                \
    X(CANCELLED, "cancelled", NUMBER, COUNT, NEITHER, NONE, "requests with status cancelled",      \
      "requests given up by their client on purpose")                                              \
    X(RETRIES, "retries", NUMBER, COUNT, LESS, NONE, "sum of retries",                             \
      "attempts after the first, all requests")                                                    \
    X(REQUESTS, "requests", NUMBER, COUNT, NEITHER, NONE, "rows with measured = 1",                \
      "requests that the other numbers rest on")                                                   \
    X(TRACE_COVERAGE, "trace.coverage", NUMBER, RATIO, MORE, NONE,                                 \
      "requests with a trace id and a root span of that id / all requests, measured or not",       \
      "share of requests that can be found in the traces")                                         \
    X(OUTPUT_DIGEST, "output.digest", NUMBER, PLAIN, NEITHER, NONE,                                \
      "sum of output_hash xor 3 prompt_hash of all requests with status ok, modulo 2^48",          \
      "checksum of prompts and answers: equal numbers mean equal answers")                         \
    X(CACHE_HIT, "cache.hit", NUMBER, RATIO, MORE, NONE, "sum of cached_tok / sum of in_tok",      \
      "share of prompt tokens found in the prefix cache")                                          \
    X(CACHE_HOST_HIT, "cache.host_hit", NUMBER, RATIO, MORE, NONE,                                 \
      "sum of host_tok / sum of in_tok", "share that was found in host memory and copied back")    \
    X(WASTE_RECOMPUTED, "waste.recomputed", NUMBER, RATIO, LESS, NONE,                             \
      "sum of recomputed_tok / sum of computed_tok",                                               \
      "share of the tokens computed for these requests that a preemption had thrown away")         \
    X(WASTE_MISSED, "waste.missed", NUMBER, RATIO, LESS, NONE,                                     \
      "sum of missed_tok / sum of computed_tok",                                                   \
      "share that the prefix cache had had and evicted")                                           \
    X(WASTE_REJECTED, "waste.rejected", NUMBER, RATIO, LESS, NONE,                                 \
      "sum of rejected_tok / sum of computed_tok",                                                 \
      "share that was proposals which were not right")                                             \
    X(WASTE_UNUSED, "waste.unused", NUMBER, RATIO, LESS, NONE,                                     \
      "sum of computed_tok of requests that did not end ok / sum of computed_tok",                 \
      "share that was computed for requests without a full answer")                                \
    X(WASTE_PREEMPTED, "waste.preempted", NUMBER, PLAIN, LESS, NONE,                               \
      "sum of preempted / requests attempted", "preemptions a request")                            \
    X(CACHE_BOUND, "cache.bound", NUMBER, RATIO, MORE, NONE, "fact of the run",                    \
      "share of prompt tokens that a cache without an end would find, were each request done "     \
      "before the next")                                                                           \
    X(CACHE_LRU, "cache.lru", NUMBER, RATIO, MORE, NONE, "fact of the run",                        \
      "the same for a cache of as many blocks as the engine has for KV, host memory included, "    \
      "that forgets what was used least recently")                                                 \
    X(RECOVER, "recover", NUMBER, NS, LESS, NONE,                                                  \
      "end of the fault (a kill: its begin) until 10 requests in a row, by t_sched, were "         \
      "answered "                                                                                  \
      "with a median ttft within 20 % of that before the fault; prefix: the fault",                \
      "time to be back to normal after a fault")                                                   \
    /* what the engine did: from its steps inside the window */                                    \
    X(STEP, "step", SAMPLES, NS, LESS, NONE, "duration_ns of every step",                          \
      "length of an engine step")                                                                  \
    X(STEP_SCHED, "step.sched", SAMPLES, NS, LESS, NONE, "sched_ns of every step",                 \
      "time in the scheduler a step")                                                              \
    X(STEP_FORWARD, "step.forward", SAMPLES, NS, LESS, NONE, "forward_ns of every step",           \
      "time in the forward pass a step")                                                           \
    X(SCHED_SHARE, "sched.share", NUMBER, RATIO, LESS, NONE,                                       \
      "sum of sched_ns / sum of duration_ns", "share of the engine's time spent scheduling")       \
    X(BATCH, "batch", SAMPLES, COUNT, MORE, NONE, "run_count of every step", "requests in a step") \
    X(BATCH_LIMIT, "batch.limit", SAMPLES, COUNT, NEITHER, NONE, "batch_limit after every step",   \
      "requests that may run: max_batch, or less where itl_target wants it")                       \
    X(BATCH_TOKENS, "batch.tokens", SAMPLES, COUNT, MORE, NONE,                                    \
      "prefill_tokens + decode_requests + draft_tokens of every step",                             \
      "tokens computed in a step, proposals included")                                             \
    X(DRAFT_ACCEPT, "draft.accept", NUMBER, RATIO, MORE, NONE,                                     \
      "sum of accepted_1..8 / sum of verified_1..8, grown inside the window",                      \
      "share of the verified proposals that were right")                                           \
    X(DRAFT_GAIN, "draft.gain", NUMBER, PLAIN, MORE, NONE,                                         \
      "(decode_requests + accepted) / decode_requests, summed over the steps",                     \
      "tokens that a stream gets from one pass of the model; 1: no speculation")                   \
    X(KV_UTIL, "kv.util", SAMPLES, RATIO, MORE, MEAN, "kv_used / kv_total after every step",       \
      "share of the KV cache in use")                                                              \
    X(KV_LENT, "kv.lent", SAMPLES, RATIO, NEITHER, MEAN, "kv_lent / kv_total after every step",    \
      "share of the KV cache that tenants are guaranteed, do not use, and others hold")            \
    X(KV_WASTE, "kv.waste", SAMPLES, RATIO, LESS, MEAN, "kv_empty / kv_slots after every step",    \
      "share of the held KV blocks' room without a token: internal fragmentation")                 \
    X(WAITING, "waiting", SAMPLES, COUNT, LESS, NONE, "waiting after every step",                  \
      "requests in the engine's queue")                                                            \
    X(PREEMPTIONS, "preemptions", NUMBER, COUNT, LESS, NONE,                                       \
      "preempt after the last step - before the first", "requests that lost their KV blocks")      \
    X(RECOMPUTE, "recompute.ratio", NUMBER, RATIO, LESS, NONE,                                     \
      "tokens recomputed after preemptions / tokens computed", "share of work done twice")         \
    X(FAILED_STEPS, "steps.failed", NUMBER, COUNT, LESS, NONE, "steps with failed = 1",            \
      "steps that an injected fault failed")                                                       \
    /* the machine */                                                                              \
    X(CPU_UTIL, "cpu.util", SAMPLES, RATIO, NEITHER, MEAN, "cpu of the host's samples",            \
      "share of all cores in use")                                                                 \
    X(CPU_STEAL, "cpu.steal", SAMPLES, RATIO, LESS, MEAN, "steal of the host's samples",           \
      "share of the cores taken by the hypervisor")                                                \
    X(CPU_PROCESS, "cpu.process", SAMPLES, PLAIN, NEITHER, MEAN,                                   \
      "process_cpu of the host's samples", "cores used by this process")                           \
    X(MEM_RSS, "mem.rss", SAMPLES, BYTES, LESS, MAX, "rss of the host's samples",                  \
      "resident memory of this process")                                                           \
    X(GPU_UTIL, "gpu.util", SAMPLES, RATIO, MORE, MEAN, "util of the GPUs' samples",               \
      "share of time with a kernel running")                                                       \
    X(GPU_MEM_UTIL, "gpu.mem.util", SAMPLES, RATIO, MORE, MEAN, "mem_used / mem_total",            \
      "share of device memory in use")                                                             \
    X(GPU_POWER, "gpu.power", SAMPLES, PLAIN, LESS, MEAN, "power_w of the GPUs' samples",          \
      "power in watts")                                                                            \
    /* the generator: a slow generator must not pass for a slow server */                          \
    X(LAG, "harness.lag", SAMPLES, NS, LESS, NONE, "t_send - t_sched of requests that were sent",  \
      "how late the generator sent; beyond its bound the run is INVALID, not slow")                \
    X(HARNESS_CPU, "harness.cpu", SAMPLES, PLAIN, LESS, MEAN, "cpu of the generator's samples",    \
      "cores used by the load generator")                                                          \
    X(HARNESS_DROPPED, "harness.dropped", NUMBER, COUNT, LESS, NONE,                               \
      "requests with status dropped_by_harness",                                                   \
      "arrivals that were never sent; any makes the run INVALID")                                  \
    /* the model */                                                                                \
    X(PERPLEXITY, "accuracy.perplexity", NUMBER, PLAIN, LESS, NONE, "exp(-mean logprob)",          \
      "perplexity of the accuracy text")                                                           \
    X(LOSS, "accuracy.loss", NUMBER, RATIO, LESS, NONE,                                            \
      "upper end of the 95 % interval of exp(mean(base_logprob - logprob)) - 1, over windows",     \
      "how much the perplexity grew against the base, at worst")                                   \
    X(KL, "accuracy.kl", NUMBER, PLAIN, LESS, NONE, "mean kl",                                     \
      "KL divergence of the base's next-token distribution from ours, nats a token")               \
    X(TOP1, "accuracy.top1", NUMBER, RATIO, MORE, NONE, "mean top1",                               \
      "share of tokens where both models would choose the same")                                   \
    X(MODEL_SIZE, "model.size", NUMBER, BYTES, LESS, NONE, "fact of the run",                      \
      "bytes of the weights as served; a target in x or % means model.ratio")                      \
    X(MODEL_RATIO, "model.ratio", NUMBER, RATIO, MORE, NONE, "fact of the run",                    \
      "bytes of the model file / bytes of the weights as served")                                  \
    X(MODEL_PARAMS, "model.params", NUMBER, COUNT, NEITHER, NONE, "fact of the run",               \
      "parameters of the model")                                                                   \
    X(MEMORY_USED, "memory.used", NUMBER, BYTES, LESS, NONE, "fact of the run",                    \
      "what the engine takes: weights, scratch, tables, KV cache and host tier")                   \
    X(MEMORY_LIMIT, "memory.limit", NUMBER, BYTES, NEITHER, NONE, "fact of the run",               \
      "what it may take; 0: no limit")                                                             \
    X(MEMORY_SCRATCH, "memory.activations", NUMBER, BYTES, LESS, NONE, "fact of the run",          \
      "of memory.used: scratch of the forward pass")                                               \
    X(MEMORY_KV, "memory.kv", NUMBER, BYTES, MORE, NONE, "fact of the run",                        \
      "of memory.used: the KV cache and its ledger")                                               \
    /* the traffic and the simulator */                                                            \
    X(CLIPPED, "traffic.clipped", NUMBER, COUNT, LESS, NONE, "fact of the run",                    \
      "requests cut to fit the model's context")                                                   \
    X(LAG_MAX, "traffic.lag_max", NUMBER, NS, LESS, NONE, "fact of the run",                       \
      "the latest send of the whole run, warm-up included")                                        \
    X(COST_P50, "cost.error.p50", NUMBER, RATIO, LESS, NONE, "fact of the run",                    \
      "median relative error of the simulator's cost model on held-out steps")                     \
    X(COST_P90, "cost.error.p90", NUMBER, RATIO, LESS, NONE, "fact of the run",                    \
      "90th percentile of that error")                                                             \
    X(COST_BIAS, "cost.bias", NUMBER, RATIO, NEITHER, NONE, "fact of the run",                     \
      "sum predicted / sum real - 1 on held-out steps")                                            \
    X(COST_SAMPLES, "cost.samples", NUMBER, COUNT, MORE, NONE, "fact of the run",                  \
      "steps the cost model was fitted to")

enum ryz_quantity {
#define X(name, text, kind, unit, better, stat, formula, meaning) RYZ_Q_##name,
    RYZ_QUANTITY_TABLE(X)
#undef X
        RYZ_QUANTITY_COUNT
};

enum ryz_quantity_kind { RYZ_QUANTITY_SAMPLES, RYZ_QUANTITY_NUMBER };

/* X(enum name, name in files, meaning) */
#define RYZ_QUANTITY_UNIT_TABLE(X)                                                                 \
    X(NS, "ns", "nanoseconds; written as ns, us, ms, s, min or h")                                 \
    X(RATE, "s-1", "per second; written as /s, /min or /h")                                        \
    X(RATIO, "1", "a share, 1 = 100 % = 1 x")                                                      \
    X(BYTES, "byte", "bytes; written as B, KiB, MiB, GiB, kB, MB or GB")                           \
    X(COUNT, "count", "a bare number")                                                             \
    X(PLAIN, "plain", "a bare number")

enum ryz_quantity_unit {
#define X(name, text, meaning) RYZ_QUNIT_##name,
    RYZ_QUANTITY_UNIT_TABLE(X)
#undef X
};

enum ryz_quantity_better { RYZ_BETTER_LESS, RYZ_BETTER_MORE, RYZ_BETTER_NEITHER };

/* X(enum name, name, fraction: -1 none, meaning) */
#define RYZ_STATISTIC_TABLE(X)                                                                     \
    X(MEAN, "mean", -1.0, "arithmetic mean; infinite as soon as one request failed")               \
    X(MIN, "min", -1.0, "smallest")                                                                \
    X(P50, "p50", 0.5, "median")                                                                   \
    X(P75, "p75", 0.75, "75th percentile")                                                         \
    X(P90, "p90", 0.9, "90th percentile; a target needs 44 samples")                               \
    X(P95, "p95", 0.95, "95th percentile; a target needs 90 samples")                              \
    X(P99, "p99", 0.99, "99th percentile; a target needs 459 samples")                             \
    X(P999, "p999", 0.999, "99.9th percentile; a target needs 4603 samples")                       \
    X(MAX, "max", -1.0, "largest")                                                                 \
    X(COUNT, "count", -1.0, "number of samples")

enum ryz_statistic {
    RYZ_STAT_NONE,
#define X(name, text, fraction, meaning) RYZ_STAT_##name,
    RYZ_STATISTIC_TABLE(X)
#undef X
        RYZ_STATISTIC_COUNT
};

struct ryz_quantity_spec {
    const char *name, *formula, *meaning;
    enum ryz_quantity_kind kind;
    enum ryz_quantity_unit unit;
    enum ryz_quantity_better better;
    enum ryz_statistic default_statistic;
};

const struct ryz_quantity_spec *ryz_quantity_spec(enum ryz_quantity quantity);
/* By its exact name; false if there is none. */
bool ryz_quantity_find(const char *name, enum ryz_quantity *quantity);
const char *ryz_quantity_unit_text(enum ryz_quantity_unit unit);
/* "p99"; "value" for RYZ_STAT_NONE. */
const char *ryz_statistic_name(enum ryz_statistic statistic);
/* 0.99 for p99; -1 for those that are no percentile. */
double ryz_statistic_fraction(enum ryz_statistic statistic);

/* A value as a person reads it, with three digits: "12.3 ms", "98.5 %", "1.88 x"; "-" for NaN,
 * "failed" for an infinite time. `unit` is a text of the units' table; an unknown one is appended.
 */
void ryz_quantity_format(double value, const char *unit, char *text, size_t capacity);

struct ryz_metric_name {
    char prefix[64]; /* what stands before the quantity, without the dot; "" if nothing */
    enum ryz_quantity quantity;
    enum ryz_statistic statistic; /* NONE for numbers */
};

/* Takes "[prefix.]quantity[.statistic]" apart; the longest quantity name wins. RYZ_INVALID with the
 * nearest names otherwise. */
RYZ_MUST_USE enum ryz_status ryz_metric_name_parse(const char *text, struct ryz_metric_name *out,
                                                   struct ryz_error *error);

/* What `ryz explain [METRIC]` prints: one metric (any form ryz_metric_name_parse takes, or a
 * quantity alone), or all for NULL. */
RYZ_MUST_USE enum ryz_status ryz_quantity_explain(const char *metric, FILE *out,
                                                  struct ryz_error *error);
/* docs/metrics.md. */
void ryz_quantities_write_markdown(FILE *out);

#endif
