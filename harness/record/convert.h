/*
 * convert.h - from the records of engine and simulator to rows. t0_ns is the run's zero on the
 * clock that stamped the record.
 */
#ifndef RYZ_HARNESS_RECORD_CONVERT_H
#define RYZ_HARNESS_RECORD_CONVERT_H

#include "engine/base/clock.h"
#include "engine/obs/telemetry.h"
#include "engine/obs/trace.h"
#include "engine/runtime/engine.h"
#include "harness/record/rows.h"

#include <stdio.h>
#include <string.h>

/* Absent times stay absent. */
static inline int64_t ryz_row_time(int64_t t_ns, int64_t t0_ns)
{
    return t_ns == RYZ_TIME_NONE ? RYZ_TIME_NONE : t_ns - t0_ns;
}

static inline void ryz_row_core_stats(struct ryz_step_row *row, const struct ryz_core_stats *s)
{
    row->running = s->running;
    row->waiting = s->waiting;
    row->kv_used = s->kv_blocks_used;
    row->kv_total = s->kv_blocks_total;
    row->arrived = s->arrived;
    row->rejected = s->rejected;
    row->finished = s->finished;
    row->cancelled = s->cancelled;
    row->preempt = s->preempted;
    row->prompt_computed = s->prompt_tokens_computed;
    row->recomputed = s->tokens_recomputed;
    row->decoded = s->tokens_decoded;
    row->kv_failures = s->kv_alloc_failures;
}

static inline struct ryz_step_row ryz_row_step(const struct ryz_step_record *step, int64_t t0_ns)
{
    struct ryz_step_row row = {0};
    row.t_ns = ryz_row_time(step->t_ns, t0_ns);
    row.duration_ns = step->duration_ns;
    row.sched_ns = step->sched_ns;
    row.forward_ns = step->forward_ns;
    row.prefill_tokens = step->shape.prefill_tokens;
    row.decode_requests = step->shape.decode_requests;
    row.context_tokens = step->shape.context_tokens;
    row.run_count = step->run_count;
    row.failed = step->failed;
    ryz_row_core_stats(&row, &step->stats);
    return row;
}

static inline struct ryz_span_row ryz_row_span(const struct ryz_span *span, int64_t t0_ns)
{
    struct ryz_span_row row = {0};
    memcpy(row.trace_id, span->trace_id, sizeof row.trace_id);
    row.span_id = span->span_id;
    row.parent = span->parent;
    row.request = span->request;
    row.name = span->name;
    row.worker = span->worker;
    row.t0_ns = ryz_row_time(span->t0_ns, t0_ns);
    row.t1_ns = ryz_row_time(span->t1_ns, t0_ns);
    row.status = span->status;
    row.attr = span->attr;
    return row;
}

static inline struct ryz_host_row ryz_row_host(const struct ryz_host_sample *s, int64_t t_ns)
{
    return (struct ryz_host_row){.t_ns = t_ns,
                                 .cpu = s->cpu_util,
                                 .steal = s->cpu_steal,
                                 .process_cpu = s->process_cpu,
                                 .load1 = s->load1,
                                 .rss = s->rss_bytes,
                                 .mem_available = s->mem_available_bytes,
                                 .mem_total = s->mem_total_bytes};
}

static inline struct ryz_gpu_row ryz_row_gpu(const struct ryz_gpu_sample *s, int gpu, int64_t t_ns)
{
    return (struct ryz_gpu_row){.t_ns = t_ns,
                                .gpu = (int16_t)gpu,
                                .util = s->util,
                                .mem_used = s->mem_used_bytes,
                                .mem_total = s->mem_total_bytes,
                                .power_w = s->power_w,
                                .temp_c = s->temp_c,
                                .clk_mhz = s->clock_mhz};
}

static inline struct ryz_run_event_row ryz_row_event(int64_t t_ns, enum ryz_run_event_kind kind,
                                                     int32_t who, double value, const char *note)
{
    struct ryz_run_event_row row = {
        .t_ns = t_ns, .kind = (uint16_t)kind, .who = who, .value = value};
    snprintf(row.note, sizeof row.note, "%s", note != NULL ? note : "");
    return row;
}

#endif
