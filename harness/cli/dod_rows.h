/*
 * dod_rows.h - the Definition of Done: one row a target. A row is measured by scenarios/dod/ID.ini;
 * without that file it is not built.
 */
#ifndef RYZ_HARNESS_CLI_DOD_ROWS_H
#define RYZ_HARNESS_CLI_DOD_ROWS_H

/* X(id, target, must) */
#define RYZ_DOD_TABLE(X)                                                                           \
    X("T1", "every request has a trace id", "100 %")                                               \
    X("T2", "a span for each operation", "each; within 1 % of end-to-end")                         \
    X("T3", "logs carry the trace context", "100 %")                                               \
    X("T4", "a trace viewer shows distributed traces", ">= 3 processes, no orphan")                \
    X("T5", "sampling and export cost", "<= 1 % of throughput")                                    \
    X("L1", "central log collection", "<= 5 s")                                                    \
    X("M1", "metrics and alerts", "<= 10 s")                                                       \
    X("R1", "the circuit breaker opens on failures", "opens; p99 <= 10 ms")                        \
    X("R2", "retry with exponential backoff", "works; <= 5 % extra load")                          \
    X("R3", "fallback when the primary fails", "<= 1 s")                                           \
    X("R4", "health endpoints tell the truth", "hang seen <= 1 s")                                 \
    X("R5", "failover", "<= 100 ms to the next answer")                                            \
    X("R6", "availability under chaos", "error rate <= 0.1 %")                                     \
    X("B1", "batch size follows the load", "5 x throughput of batch 1")                            \
    X("B2", "priority queue", "works under 3 x overload")                                          \
    X("B3", "latency SLA enforcement", "enforced; goodput against FCFS")                           \
    X("B4", "latency cost of batching", "per token <= +50 % in a batch of 8")                      \
    X("Q1", "INT8 and INT4 quantization", "loads, serves, matches the reference")                  \
    X("Q2", "model size", "2-4 x smaller than FP32")                                               \
    X("Q3", "accuracy loss", "< 1 % perplexity, upper 95 % bound")                                 \
    X("Q4", "speed from quantization", "2-4 x FP32")                                               \
    X("Q5", "calibration, pruning, compression", "each reports its loss")                          \
    X("S1", "device memory use", "> 80 % of the KV budget")                                        \
    X("S2", "priority scheduling", "order of service, no starvation")                              \
    X("S3", "resource isolation", "victim's p99 <= 1.1 x alone")                                   \
    X("S4", "scheduling cost", "< 2 % of step time at batch >= 8")                                 \
    X("P1", "several devices", "> 85 % efficiency")                                                \
    X("P2", "speculative decoding", "faster, lossless")                                            \
    X("P3", "serving interface", "official clients pass")                                          \
    X("P4", "caches", "hit rate of the trace's bound")                                             \
    X("P5", "orchestrator", "0 failed requests in a swap")                                         \
    X("P6", "multimodal", "image + text answered")

#endif
