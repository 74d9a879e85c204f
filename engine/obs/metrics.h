/*
 * metrics.h - the server's counters, gauges and histograms, in Prometheus' text format 0.0.4.
 *
 * One table is the truth for names, types and help texts; updates are relaxed atomics. Histogram
 * buckets follow vLLM's, so that existing dashboards fit.
 */
#ifndef RYZ_OBS_METRICS_H
#define RYZ_OBS_METRICS_H

#include "engine/base/status.h"

#include <stddef.h>
#include <stdint.h>

/* X(enum name, kind, exported name, help) */
#define RYZ_METRIC_TABLE(X)                                                                        \
    X(REQUESTS_RUNNING, GAUGE, "ryz_num_requests_running", "Requests that hold KV blocks")         \
    X(REQUESTS_WAITING, GAUGE, "ryz_num_requests_waiting", "Requests in the queue")                \
    X(BATCH_LIMIT, GAUGE, "ryz_batch_limit", "Requests that may run, as the controller wants it")  \
    X(KV_BLOCKS_USED, GAUGE, "ryz_kv_blocks_used", "KV blocks held by requests")                   \
    X(KV_BLOCKS_LENT, GAUGE, "ryz_kv_blocks_lent",                                                 \
      "KV blocks guaranteed to tenants that do not use them, held by others")                      \
    X(KV_SLOTS_EMPTY, GAUGE, "ryz_kv_slots_empty", "Tokens of room in held KV blocks, not used")   \
    X(KV_BLOCKS_TOTAL, GAUGE, "ryz_kv_blocks_capacity", "KV blocks in the pool")                   \
    X(MEMORY_USED, GAUGE, "ryz_memory_used_bytes", "Weights, scratch, tables and KV cache")        \
    X(MEMORY_LIMIT, GAUGE, "ryz_memory_limit_bytes", "What they may take together; 0: no limit")   \
    X(REQUESTS_ACCEPTED, COUNTER, "ryz_requests_accepted_total", "Requests handed to the engine")  \
    X(REQUESTS_FINISHED, COUNTER, "ryz_requests_finished_total", "Requests answered in full")      \
    X(REQUESTS_REJECTED, COUNTER, "ryz_requests_rejected_total",                                   \
      "Requests refused for lack of room or time")                                                 \
    X(REQUESTS_CANCELLED, COUNTER, "ryz_requests_cancelled_total",                                 \
      "Requests given up by the client")                                                           \
    X(REQUESTS_FAILED, COUNTER, "ryz_requests_failed_total", "Requests that ended in an error")    \
    X(KV_BLOCKS_CACHED, GAUGE, "ryz_kv_blocks_cached", "Free KV blocks with findable contents")    \
    X(CACHE_QUERIES, COUNTER, "ryz_prefix_cache_queries_total",                                    \
      "Tokens asked of the prefix cache")                                                          \
    X(CACHE_HITS, COUNTER, "ryz_prefix_cache_hits_total", "Prompt tokens found in it")             \
    X(CACHE_EVICTIONS, COUNTER, "ryz_prefix_cache_evictions_total",                                \
      "Cached KV blocks overwritten")                                                              \
    X(CACHE_MISSED, COUNTER, "ryz_prefix_cache_evicted_misses_total",                              \
      "KV blocks asked for after they had been overwritten")                                       \
    X(HOST_BLOCKS_USED, GAUGE, "ryz_kv_host_blocks_used", "Host blocks with findable contents")    \
    X(HOST_HITS, COUNTER, "ryz_kv_host_hits_total",                                                \
      "Prompt tokens found in the prefix cache that were in host memory")                          \
    X(HOST_OUT, COUNTER, "ryz_kv_host_blocks_out_total", "KV blocks copied to host memory")        \
    X(HOST_IN, COUNTER, "ryz_kv_host_blocks_in_total", "KV blocks copied back")                    \
    X(HOST_DROPPED, COUNTER, "ryz_kv_host_blocks_dropped_total",                                   \
      "KV blocks lost because the host tier was full")                                             \
    X(PREEMPTIONS, COUNTER, "ryz_num_preemptions_total", "Requests that lost their KV blocks")     \
    X(RECOMPUTED_TOKENS, COUNTER, "ryz_recomputed_tokens_total",                                   \
      "Tokens computed again after preemptions")                                                   \
    X(UNUSED_TOKENS, COUNTER, "ryz_unused_tokens_total",                                           \
      "Tokens computed for requests that did not finish")                                          \
    X(PROMPT_TOKENS, COUNTER, "ryz_prompt_tokens_total", "Prompt tokens computed")                 \
    X(SHARED_TOKENS, COUNTER, "ryz_prompt_tokens_shared_total",                                    \
      "Prompt tokens taken over from another choice")                                              \
    X(GENERATION_TOKENS, COUNTER, "ryz_generation_tokens_total", "Tokens generated")               \
    X(DRAFTS_VERIFIED, COUNTER, "ryz_spec_draft_tokens_total", "Proposals verified")               \
    X(DRAFTS_ACCEPTED, COUNTER, "ryz_spec_accepted_tokens_total", "Of them right")                 \
    X(STEPS, COUNTER, "ryz_engine_steps_total", "Forward passes")                                  \
    X(HTTP_REQUESTS, COUNTER, "ryz_http_requests_total", "HTTP requests of any kind")              \
    X(HTTP_ERRORS, COUNTER, "ryz_http_errors_total", "HTTP answers with status 400 or above")      \
    X(TTFT, HISTOGRAM, "ryz_time_to_first_token_seconds", "Arrival to first token")                \
    X(ITL, HISTOGRAM, "ryz_inter_token_latency_seconds", "Gap between two tokens")                 \
    X(E2E, HISTOGRAM, "ryz_e2e_request_latency_seconds", "Arrival to last token")                  \
    X(QUEUE_TIME, HISTOGRAM, "ryz_request_queue_time_seconds", "Arrival to first step")            \
    X(STEP_TIME, HISTOGRAM, "ryz_engine_step_seconds", "Duration of a forward pass")

#define RYZ_METRIC_PARTITIONS_MAX 16u

enum ryz_metric {
#define X(name, kind, text, help) RYZ_METRIC_##name,
    RYZ_METRIC_TABLE(X)
#undef X
        RYZ_METRIC_COUNT
};

struct ryz_metrics; /* opaque; every function is thread-safe and takes NULL for "no metrics" */

RYZ_MUST_USE enum ryz_status ryz_metrics_open(struct ryz_metrics **out, struct ryz_error *error);
void ryz_metrics_close(struct ryz_metrics *metrics);
void ryz_metrics_add(struct ryz_metrics *metrics, enum ryz_metric counter, uint64_t n);
void ryz_metrics_set(struct ryz_metrics *metrics, enum ryz_metric gauge, int64_t value);
/* Records a duration in a histogram. */
void ryz_metrics_observe_ns(struct ryz_metrics *metrics, enum ryz_metric histogram, int64_t ns);
/* Names a partition of the KV pool (below RYZ_METRIC_PARTITIONS_MAX) by its tenant, which makes its
 * gauges appear; before other threads know the metrics. `tenant` is borrowed for good. */
void ryz_metrics_name_partition(struct ryz_metrics *metrics, uint32_t partition,
                                const char *tenant);
void ryz_metrics_set_partition(struct ryz_metrics *metrics, uint32_t partition,
                               uint32_t used_blocks, uint32_t guaranteed_blocks);
/* Writes the exposition text (NUL-terminated), freed by the caller with free(); NULL when out of
 * memory. `model` becomes the label model_name. */
char *ryz_metrics_render(const struct ryz_metrics *metrics, const char *model, size_t *length);

#endif
