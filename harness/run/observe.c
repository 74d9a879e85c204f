/* observe.c - callbacks to rows. */
#include "harness/run/observe.h"

#include "engine/base/atomic.h"
#include "harness/scenario/plan.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FAILURES_TOLD_MAX 5u /* on the terminal; the results hold all */

/* On a terminal a message replaces the progress line. */
static const char *line_start(void)
{
    return isatty(STDERR_FILENO) ? "\r\033[K" : "";
}

static void fill_stats(struct ryz_step_row *row, const struct ryz_core_stats *stats)
{
    row->running = stats->running;
    row->waiting = stats->waiting;
    row->batch_limit = stats->batch_limit;
    row->kv_used = stats->kv_blocks_used;
    row->kv_total = stats->kv_blocks_total;
    row->arrived = stats->arrived;
    row->rejected = stats->rejected;
    row->finished = stats->finished;
    row->cancelled = stats->cancelled;
    row->preempt = stats->preempted;
    row->prompt_computed = stats->prompt_tokens_computed;
    row->recomputed = stats->tokens_recomputed;
    row->decoded = stats->tokens_decoded;
    row->kv_failures = stats->kv_alloc_failures;
    row->kv_lent = stats->kv_blocks_lent;
    row->kv_slots = stats->kv_slots;
    row->kv_empty = stats->kv_slots_empty;
    row->kv_cached = stats->kv_blocks_cached;
    row->cache_asked = stats->cache_lookup_tokens;
    row->cache_found = stats->prompt_tokens_cached;
    row->cache_evicted = stats->cache_evicted_blocks;
    row->cache_missed = stats->cache_missed_blocks;
    row->prompt_shared = stats->prompt_tokens_shared;
    row->host_used = stats->kv_host_blocks_used;
    row->host_found = stats->prompt_tokens_host;
    row->host_out = stats->host_out_blocks;
    row->host_in = stats->host_in_blocks;
    row->host_dropped = stats->host_dropped_blocks;
#define X(n)                                                                                       \
    row->verified_##n = stats->drafts_verified[(n)-1];                                             \
    row->accepted_##n = stats->drafts_accepted[(n)-1];
    RYZ_DRAFT_POSITIONS(X)
#undef X
}

/* NULL before and after the run. The engine's thread, which lives longer, must ask this before it
 * reads t0_ns: the recorder is published after it. */
static struct ryz_recorder *recorder_of(const struct ryz_observer *observer)
{
    return ryz_load_acquire(&observer->recorder);
}

void ryz_observer_on_step(void *context, const struct ryz_step_record *step)
{
    struct ryz_observer *observer = context;
    struct ryz_recorder *recorder = recorder_of(observer);
    if (recorder == NULL) return;
    struct ryz_step_row row = {.t_ns = step->t_ns - observer->t0_ns,
                               .duration_ns = step->duration_ns,
                               .sched_ns = step->sched_ns,
                               .forward_ns = step->forward_ns,
                               .prefill_tokens = step->shape.prefill_tokens,
                               .decode_requests = step->shape.decode_requests,
                               .draft_tokens = step->shape.draft_tokens,
                               .context_tokens = step->shape.context_tokens,
                               .run_count = step->run_count,
                               .failed = step->failed};
    fill_stats(&row, &step->stats);
    (void)ryz_record(recorder, &row);
}

void ryz_observer_on_sim_step(void *context, const struct ryz_sim_step *step)
{
    struct ryz_observer *observer = context;
    struct ryz_recorder *recorder = recorder_of(observer);
    if (recorder == NULL) return;
    struct ryz_step_row row = {.t_ns = step->t_ns - observer->t0_ns,
                               .duration_ns = step->duration_ns,
                               .forward_ns = step->duration_ns,
                               .prefill_tokens = step->shape.prefill_tokens,
                               .decode_requests = step->shape.decode_requests,
                               .draft_tokens = step->shape.draft_tokens,
                               .context_tokens = step->shape.context_tokens,
                               .run_count = step->run_count};
    fill_stats(&row, &step->stats);
    (void)ryz_record(recorder, &row);
}

static void on_sched_event(void *context, const struct ryz_event *event)
{
    struct ryz_observer *observer = context;
    (void)ryz_record(recorder_of(observer), event);
}

void ryz_observer_on_span(void *context, const struct ryz_span *span)
{
    struct ryz_observer *observer = context;
    struct ryz_recorder *recorder = recorder_of(observer);
    if (recorder == NULL || !observer->keep_spans) return;
    struct ryz_span_row row = {.span_id = span->span_id,
                               .parent = span->parent,
                               .request = span->request,
                               .name = span->name,
                               .worker = span->worker,
                               .t0_ns = span->t0_ns - observer->t0_ns,
                               .t1_ns = span->t1_ns - observer->t0_ns,
                               .status = span->status,
                               .attr = span->attr};
    memcpy(row.trace_id, span->trace_id, sizeof row.trace_id);
    (void)ryz_record(recorder, &row);
}

static void on_request(void *context, const struct ryz_request_row *row)
{
    struct ryz_observer *observer = context;
    (void)ryz_record(recorder_of(observer), row);
}

static void on_tokens(void *context, uint64_t request, int64_t t_ns, uint32_t count)
{
    struct ryz_observer *observer = context;
    if (!observer->keep_tokens) return;
    struct ryz_token_row row = {
        .request = request, .t_ns = t_ns, .n = (uint16_t)(count < UINT16_MAX ? count : UINT16_MAX)};
    (void)ryz_record(recorder_of(observer), &row);
}

void ryz_observer_event(struct ryz_observer *observer, int64_t t_ns, enum ryz_run_event_kind kind,
                        int32_t who, double value, const char *note)
{
    struct ryz_run_event_row row = {
        .t_ns = t_ns - observer->t0_ns, .kind = (uint16_t)kind, .who = who, .value = value};
    (void)snprintf(row.note, sizeof row.note, "%s", note);
    (void)ryz_record(recorder_of(observer), &row);
}

static void on_phase(void *context, uint32_t traffic, bool begins, int64_t t_ns)
{
    struct ryz_observer *observer = context;
    ryz_observer_event(observer, observer->t0_ns + t_ns,
                       begins ? RYZ_RUN_EVENT_PHASE_BEGIN : RYZ_RUN_EVENT_PHASE_END,
                       (int32_t)traffic, 0, observer->plan->traffic[traffic].name);
}

static void on_failure(void *context, uint64_t request, int64_t t_ns,
                       enum ryz_request_status status, const char *reason)
{
    struct ryz_observer *observer = context;
    if (!observer->progress || observer->failures_told >= FAILURES_TOLD_MAX) return;
    observer->failures_told++;
    (void)fprintf(stderr, "%s  %.1f s: request %llu: %s%s%s%s\n", line_start(), (double)t_ns / 1e9,
                  (unsigned long long)request, ryz_request_status_name(status),
                  reason != NULL ? ": " : "", reason != NULL ? reason : "",
                  observer->failures_told == FAILURES_TOLD_MAX ? " (further ones are only recorded)"
                                                               : "");
}

static void on_progress(void *context, const struct ryz_drive_progress *progress)
{
    struct ryz_observer *observer = context;
    struct ryz_harness_row row = {.t_ns = progress->t_ns,
                                  .lag_p99_ns = progress->lag_p99_ns,
                                  .inflight = progress->inflight,
                                  .dropped = (uint32_t)progress->dropped,
                                  .cpu = (float)progress->cpu_cores};
    (void)ryz_record(recorder_of(observer), &row);
    if (!observer->progress || !isatty(STDERR_FILENO)) return;
    double seconds = (double)progress->t_ns / 1e9;
    (void)fprintf(stderr, "\r\033[K  %3.0f s", seconds);
    if (observer->expected_ns > 0) {
        (void)fprintf(stderr, " of %.0f", (double)observer->expected_ns / 1e9);
    }
    (void)fprintf(stderr, "  sent %llu  done %llu  failed %llu  in flight %u  %.0f tokens/s",
                  (unsigned long long)progress->sent, (unsigned long long)progress->ended,
                  (unsigned long long)progress->failed, progress->inflight,
                  seconds > 0 ? (double)progress->output_tokens / seconds : 0);
    (void)fflush(stderr);
}

void ryz_observer_on_chaos(void *context, int64_t t_ns, enum ryz_chaos_event_kind kind,
                           uint32_t fault, double value, const char *note)
{
    struct ryz_observer *observer = context;
    static const enum ryz_run_event_kind kinds[] = {
        [RYZ_CHAOS_FAULT_ON] = RYZ_RUN_EVENT_FAULT_ON,
        [RYZ_CHAOS_FAULT_OFF] = RYZ_RUN_EVENT_FAULT_OFF,
        [RYZ_CHAOS_SERVER_KILLED] = RYZ_RUN_EVENT_SERVER_DOWN,
        [RYZ_CHAOS_SERVER_READY] = RYZ_RUN_EVENT_SERVER_UP,
        [RYZ_CHAOS_TROUBLE] = RYZ_RUN_EVENT_INVALID,
    };
    ryz_observer_event(observer, t_ns, kinds[kind], (int32_t)fault, value, note);
    if (!observer->progress) return;
    static const char *const words[] = {
        "fault on:", "fault off:", "server killed:", "server is back:", "trouble:"};
    (void)fprintf(stderr, "%s  %.1f s: %s %s\n", line_start(),
                  (double)(t_ns - observer->t0_ns) / 1e9, words[kind], note);
}

struct ryz_engine_observer ryz_observer_of_engine(struct ryz_observer *observer)
{
    return (struct ryz_engine_observer){.context = observer,
                                        .step = ryz_observer_on_step,
                                        .event = on_sched_event,
                                        .span = ryz_observer_on_span};
}

struct ryz_drive_sink ryz_observer_of_drive(struct ryz_observer *observer)
{
    return (struct ryz_drive_sink){.context = observer,
                                   .request = on_request,
                                   .tokens = on_tokens,
                                   .span = ryz_observer_on_span,
                                   .progress = on_progress,
                                   .phase = on_phase,
                                   .failure = on_failure};
}
