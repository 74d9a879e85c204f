/*
 * session.c - the course of one run:
 *
 *   open served system -> t0 -> recorder -> faults, telemetry -> pacer until the last answer
 *     -> close faults, telemetry -> scheduler's configuration, facts -> close recorder -> read back
 */
#include "harness/run/session.h"

#include "engine/base/assert.h"
#include "engine/base/atomic.h"
#include "engine/base/size.h"
#include "engine/memory/budget.h"
#include "harness/chaos/server_records.h"
#include "harness/drive/real_clock.h"
#include "harness/record/recorder.h"
#include "harness/run/observe.h"
#include "harness/run/served.h"
#include "harness/run/traffic_source.h"
#include "harness/run/watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEAD_NS         (100 * RYZ_NS_PER_MS) /* between opening and t0: nothing is late at once */
#define WATCH_PERIOD_NS (250 * RYZ_NS_PER_MS)

struct session {
    const struct ryz_session_options *options;
    const struct ryz_plan *plan;
    bool simulated;
    int64_t t0_ns;
    struct ryz_run_info info;
    struct ryz_observer observer;
    struct ryz_served served;
    struct ryz_traffic_source source;
    struct ryz_recorder *recorder;
    struct ryz_fault faults[RYZ_FAULTS_MAX]; /* times absolute */
    struct ryz_faults *armed;                /* the same as a plan with counters */
    struct ryz_chaos *chaos;
    struct ryz_watch *watch;
    struct ryz_server_records *server_records;
    struct ryz_prefix_bound *bound; /* what a prefix cache could find; NULL without one */
    struct ryz_prefix_bound *lru;   /* what one of the engine's size could; NULL: size unknown */
    struct ryz_drive_summary summary;
    uint64_t sim_digest;
    struct ryz_core_config sim_core;
};

static void describe_run(struct session *session)
{
    static const char *const drivers[] = {"embedded", "http", "simulator"};
    const struct ryz_session_options *options = session->options;
    struct ryz_run_info *info = &session->info;
    info->point = options->point;
    info->repeat = options->repeat;
    info->seed = options->seed;
    info->t0_mono_ns = session->t0_ns;
    info->t0_utc_ns = ryz_clock_now_ns(ryz_real_clock_wall());
    (void)snprintf(info->label, sizeof info->label, "%s", options->label);
    (void)snprintf(info->driver, sizeof info->driver, "%s", drivers[session->plan->engine.target]);
    if (session->served.model != NULL) {
        (void)snprintf(info->model, sizeof info->model, "%s",
                       ryz_model_info(session->served.model)->name);
    }
    info->phase_count = session->plan->traffic_count;
    for (uint32_t i = 0; i < info->phase_count; i++) {
        (void)snprintf(info->phases[i], sizeof info->phases[i], "%s",
                       session->plan->traffic[i].name);
    }
    info->valid = true;
}

static int64_t traffic_length_ns(const struct session *session)
{
    int64_t length = session->source.schedule.last_ns;
    for (uint32_t i = 0; i < session->plan->traffic_count; i++) {
        const struct ryz_traffic_plan *traffic = &session->plan->traffic[i];
        if (traffic->start_ns + traffic->duration_ns > length) {
            length = traffic->start_ns + traffic->duration_ns;
        }
    }
    return length;
}

static enum ryz_status open_recorder(struct session *session, struct ryz_error *error)
{
    session->t0_ns =
        session->simulated ? 0 : ryz_clock_now_ns(ryz_real_clock_monotonic()) + LEAD_NS;
    session->observer.t0_ns = session->t0_ns;
    session->observer.expected_ns = traffic_length_ns(session);
    describe_run(session);
    struct ryz_recorder_options options = {.live_path = session->options->live_path,
                                           .info = &session->info,
                                           .provenance = session->options->provenance};
    enum ryz_status status = ryz_recorder_open(&options, &session->recorder, error);
    if (status != RYZ_OK) return status;
    ryz_store_release(&session->observer.recorder, session->recorder);
    ryz_observer_event(&session->observer, session->t0_ns, RYZ_RUN_EVENT_RUN_BEGIN, 0, 0, "");
    return RYZ_OK;
}

static void note_clipped(struct session *session, uint64_t clipped)
{
    char note[96];
    if (clipped == 0) return;
    (void)snprintf(note, sizeof note, "%llu requests were cut to fit the context of %u tokens",
                   (unsigned long long)clipped, session->served.context_tokens);
    ryz_observer_event(&session->observer, session->t0_ns, RYZ_RUN_EVENT_WARNING, 0,
                       (double)clipped, note);
}

/* Arms the faults where they act and starts the thread that announces them. */
static enum ryz_status open_faults(struct session *session, struct ryz_error *error)
{
    const struct ryz_plan *plan = session->plan;
    if (plan->fault_count == 0) return RYZ_OK;
    for (uint32_t i = 0; i < plan->fault_count; i++) {
        session->faults[i] = plan->faults[i];
        session->faults[i].at_ns += session->t0_ns;
        if (session->faults[i].until_ns != RYZ_TIME_NEVER) {
            session->faults[i].until_ns += session->t0_ns;
        }
    }
    enum ryz_status status = ryz_faults_open(session->faults, plan->fault_count,
                                             session->options->seed, &session->armed, error);
    if (status != RYZ_OK || session->simulated) return status;
    if (session->served.engine != NULL) {
        ryz_engine_set_faults(session->served.engine, session->armed);
    }
    const char *control = session->served.control_path;
    struct ryz_chaos_options options = {
        .faults = session->faults,
        .count = plan->fault_count,
        .seed = session->options->seed,
        .clock = ryz_real_clock_monotonic(),
        .process = session->served.process,
        .host = session->served.host,
        .port = session->served.port,
        .ready_path = session->served.ready_path,
        .control_path = control[0] != '\0' ? control : NULL,
        .on_event = ryz_observer_on_chaos,
        .context = &session->observer,
    };
    return ryz_chaos_open(&options, &session->chaos, error);
}

static void log_sim_event(void *context, const struct ryz_event *event)
{
    (void)ryz_record((struct ryz_recorder *)context, event);
}

/* Of the engine here, or of the simulated one; a server's are not known. */
static struct ryz_sched_limits limits_of(const struct session *session)
{
    const struct ryz_model *model = session->served.model;
    if (session->served.engine != NULL)
        return ryz_engine_core_config(session->served.engine).limits;
    if (!session->simulated) return (struct ryz_sched_limits){.kv_blocks = 0};
    return ryz_served_limits(session->plan, model != NULL ? ryz_model_info(model) : NULL);
}

/* The traffic in virtual time. Without a model the context is the pool's size. */
static enum ryz_status simulate(struct session *session, const struct ryz_drive_options *drive,
                                struct ryz_error *error)
{
    const struct ryz_plan *plan = session->plan;
    struct ryz_sched_limits limits = limits_of(session);
    if (limits.context_tokens_max == 0) {
        limits.context_tokens_max = limits.kv_blocks * limits.kv_block_tokens;
    }
    session->sim_core = (struct ryz_core_config){.limits = limits,
                                                 .policy = plan->engine.scheduler,
                                                 .seed = plan->seed,
                                                 .prefix_cache = plan->engine.prefix_cache,
                                                 .log = log_sim_event,
                                                 .log_context = session->recorder};
    session->sim_core.share_count = ryz_served_shares(plan, session->sim_core.shares);
    struct ryz_sim_config config = {.core = session->sim_core,
                                    .world = ryz_cost_model_source(&session->served.cost),
                                    .noise_cv = session->served.cost.noise_cv,
                                    .draft_accept = session->served.draft_accept,
                                    .seed = session->options->seed,
                                    .faults = session->armed};
    for (uint32_t i = 0; i < plan->fault_count; i++) {
        ryz_observer_event(&session->observer, plan->faults[i].at_ns, RYZ_RUN_EVENT_FAULT_ON,
                           (int32_t)i, 0, plan->faults[i].name);
        if (plan->faults[i].until_ns == RYZ_TIME_NEVER) continue;
        ryz_observer_event(&session->observer, plan->faults[i].until_ns, RYZ_RUN_EVENT_FAULT_OFF,
                           (int32_t)i, 0, plan->faults[i].name);
    }
    return ryz_pacer_simulate(drive, &config, ryz_observer_on_sim_step, &session->observer,
                              &session->sim_digest, &session->summary, error);
}

/* What the engine's prefix cache will be judged by. */
static enum ryz_status open_bounds(struct session *session, struct ryz_error *error)
{
    if (!session->plan->engine.prefix_cache) return RYZ_OK;
    const struct ryz_sched_limits limits = limits_of(session);
    uint64_t blocks = (uint64_t)limits.kv_blocks + limits.kv_host_blocks;
    enum ryz_status status =
        ryz_prefix_bound_open(RYZ_SERVED_BLOCK_TOKENS, 0, &session->bound, error);
    if (status != RYZ_OK || blocks == 0 || blocks > RYZ_PREFIX_BOUND_BLOCKS_MAX) return status;
    return ryz_prefix_bound_open(RYZ_SERVED_BLOCK_TOKENS, (uint32_t)blocks, &session->lru, error);
}

static enum ryz_status drive(struct session *session, struct ryz_error *error)
{
    enum ryz_status status = open_bounds(session, error);
    if (status != RYZ_OK) return status;
    struct ryz_drive_options options = {.schedule = &session->source.schedule,
                                        .prompts = &session->source.prompts,
                                        .bound = session->bound,
                                        .lru = session->lru,
                                        .t0_ns = session->t0_ns,
                                        .seed = session->options->seed,
                                        .faults = session->armed,
                                        .plan_faults = session->plan->faults,
                                        .plan_fault_count = session->plan->fault_count,
                                        .stop = session->options->stop,
                                        .sink = ryz_observer_of_drive(&session->observer)};
    if (session->simulated) return simulate(session, &options, error);
    return ryz_pacer_run(&options, session->served.target, ryz_real_clock_monotonic(),
                         &session->summary, error);
}

/* What the spawned server tells of itself comes over its control channel. */
static enum ryz_status follow_server(struct session *session, struct ryz_error *error)
{
    if (session->served.control_path[0] == '\0') return RYZ_OK;
    struct ryz_control_records sink = {
        .context = &session->observer, .step = ryz_observer_on_step, .span = ryz_observer_on_span};
    return ryz_server_records_open(session->served.control_path, &sink, &session->server_records,
                                   error);
}

static void unfollow_server(struct session *session)
{
    uint64_t dropped = 0;
    ryz_server_records_close(session->server_records, &dropped, NULL);
    session->server_records = NULL;
    if (dropped == 0) return;
    char note[96];
    (void)snprintf(note, sizeof note, "the server could not keep %llu records",
                   (unsigned long long)dropped);
    ryz_observer_event(&session->observer, session->t0_ns + session->summary.end_ns,
                       RYZ_RUN_EVENT_WARNING, 0, (double)dropped, note);
}

static void record_core(struct session *session, const struct ryz_core_config *config,
                        uint64_t digest)
{
    const struct ryz_sched_limits *limits = &config->limits;
    struct ryz_sched_config_row row = {.seed = config->seed,
                                       .prefix_cache = config->prefix_cache,
                                       .digest = digest,
                                       .step_ns_max = limits->step_ns_max,
                                       .itl_target_ns = limits->itl_target_ns,
                                       .queue_wait_ns_max = limits->queue_wait_ns_max,
                                       .starve_ns = limits->starve_ns,
                                       .admit_late = limits->admit_late,
                                       .draft_tokens_max = limits->draft_tokens_max,
                                       .admit = (uint32_t)limits->admit,
                                       .headroom_adapts = limits->headroom_adapts,
                                       .queue_tokens_max = limits->queue_tokens_max,
                                       .batch_requests_max = limits->batch_requests_max,
                                       .batch_tokens_max = limits->batch_tokens_max,
                                       .prefill_chunk_max = limits->prefill_chunk_max,
                                       .kv_block_tokens = limits->kv_block_tokens,
                                       .kv_blocks = limits->kv_blocks,
                                       .kv_host_blocks = limits->kv_host_blocks,
                                       .queue_requests_max = limits->queue_requests_max,
                                       .context_tokens_max = limits->context_tokens_max};
    (void)snprintf(row.policy, sizeof row.policy, "%s", config->policy);
    for (uint32_t i = 0, used = 0; i < config->share_count; i++)
        used += (uint32_t)snprintf(row.kv_partitions + used, sizeof row.kv_partitions - used,
                                   "%s%u:%u", i > 0 ? " " : "", config->shares[i].tenant,
                                   config->shares[i].permille);
    (void)ryz_record(session->recorder, &row);
}

static void note_fault_hits(struct session *session)
{
    for (uint32_t i = 0; session->armed != NULL && i < session->plan->fault_count; i++) {
        char note[96];
        uint64_t hits = ryz_fault_hits(session->armed, i);
        if (hits == 0) continue;
        (void)snprintf(note, sizeof note, "fault %s hit %llu operations",
                       session->plan->faults[i].name, (unsigned long long)hits);
        ryz_observer_event(&session->observer, session->t0_ns + session->summary.end_ns,
                           RYZ_RUN_EVENT_WARNING, (int32_t)i, (double)hits, note);
    }
}

/* Ends what runs beside the traffic, in the order in which it may still report. */
static void end_run(struct session *session)
{
    ryz_watch_close(session->watch);
    session->watch = NULL;
    unfollow_server(session);
    ryz_chaos_close(session->chaos); /* a server that it started again ends with it */
    session->chaos = NULL;
    note_fault_hits(session);
    if (session->served.engine != NULL) {
        ryz_engine_set_faults(session->served.engine, NULL);
        struct ryz_core_config config = ryz_engine_core_config(session->served.engine);
        uint64_t digest = ryz_engine_digest(session->served.engine);
        record_core(session, &config, digest);
    } else if (session->simulated) {
        record_core(session, &session->sim_core, session->sim_digest);
    }
    ryz_observer_event(&session->observer, session->t0_ns + session->summary.end_ns,
                       RYZ_RUN_EVENT_RUN_END, 0, 0, "");
}

struct facts {
    struct ryz_fact_row rows[16];
    size_t count;
};

static void add_fact(struct facts *facts, const char *metric, double value)
{
    RYZ_ASSERT(facts->count < RYZ_COUNT_OF(facts->rows));
    struct ryz_fact_row *row = &facts->rows[facts->count++];
    row->value = value;
    (void)snprintf(row->metric, sizeof row->metric, "%s", metric);
}

static void add_memory(struct facts *facts, const struct ryz_budget *memory)
{
    add_fact(facts, "memory.used", (double)memory->used_bytes);
    add_fact(facts, "memory.limit", (double)memory->limit_bytes);
    add_fact(facts, "memory.activations", (double)ryz_budget_of(memory, "activations"));
    add_fact(facts, "memory.kv", (double)ryz_budget_of(memory, "KV"));
}

static void add_bound(struct facts *facts, const char *metric, const struct ryz_prefix_bound *bound)
{
    if (bound == NULL) return;
    struct ryz_prefix_bound_result result = ryz_prefix_bound_result(bound);
    if (result.prompt_tokens > 0)
        add_fact(facts, metric, (double)result.hit_tokens / (double)result.prompt_tokens);
}

/* Numbers that no table holds. */
static enum ryz_status add_facts(const struct session *session, struct ryz_run_data *data,
                                 struct ryz_error *error)
{
    const struct ryz_cost_model *cost = &session->served.cost;
    struct facts facts = {0};
    add_fact(&facts, "traffic.clipped", (double)session->summary.clipped);
    add_fact(&facts, "traffic.lag_max", (double)session->summary.lag_max_ns);
    if (session->served.engine != NULL) {
        const struct ryz_model_info *info = ryz_model_info(session->served.model);
        add_fact(&facts, "model.size", (double)info->weight_bytes);
        add_fact(&facts, "model.ratio", (double)info->file_bytes / (double)info->weight_bytes);
        add_fact(&facts, "model.params", (double)info->n_params);
        add_memory(&facts, ryz_engine_memory(session->served.engine));
    }
    if (session->simulated) {
        add_fact(&facts, "cost.error.p50", cost->error_p50);
        add_fact(&facts, "cost.error.p90", cost->error_p90);
        add_fact(&facts, "cost.bias", cost->bias);
        add_fact(&facts, "cost.samples", (double)cost->fitted);
    }
    if (!session->summary.bound_lost) {
        add_bound(&facts, "cache.bound", session->bound);
        add_bound(&facts, "cache.lru", session->lru);
    }
    return ryz_run_data_set(data, RYZ_TABLE_FACTS, facts.rows, facts.count, error);
}

/* A server numbers requests in its own way: its spans find their request by the trace id. Those of
 * other requests, such as the probe that awaited the server, belong to none. */
struct traced {
    uint8_t trace_id[16];
    uint64_t request;
};

static int compare_traced(const void *a, const void *b)
{
    const struct traced *x = a, *y = b;
    return memcmp(x->trace_id, y->trace_id, sizeof x->trace_id);
}

static enum ryz_status join_spans(struct ryz_run_data *data, struct ryz_error *error)
{
    size_t request_count = 0, span_count = 0;
    const struct ryz_request_row *requests = ryz_run_rows(data, RYZ_TABLE_REQUESTS, &request_count);
    struct ryz_span_row *spans = ryz_run_rows(data, RYZ_TABLE_SPANS, &span_count);
    if (request_count == 0 || span_count == 0) return RYZ_OK;
    struct traced *sorted = calloc(request_count, sizeof *sorted);
    if (sorted == NULL) return ryz_fail(error, RYZ_NO_MEMORY, "no memory to join spans");
    for (size_t i = 0; i < request_count; i++) {
        memcpy(sorted[i].trace_id, requests[i].trace_id, sizeof sorted[i].trace_id);
        sorted[i].request = requests[i].id;
    }
    qsort(sorted, request_count, sizeof *sorted, compare_traced);
    for (size_t i = 0; i < span_count; i++) {
        struct traced key = {0};
        memcpy(key.trace_id, spans[i].trace_id, sizeof key.trace_id);
        const struct traced *found =
            bsearch(&key, sorted, request_count, sizeof *sorted, compare_traced);
        spans[i].request = found != NULL ? found->request : 0;
    }
    free(sorted);
    return RYZ_OK;
}

static void judge_validity(const struct session *session, struct ryz_run_data *data)
{
    uint64_t dropped = 0;
    for (int table = 0; table < RYZ_TABLE_LIVE_COUNT; table++) dropped += data->info.dropped[table];
    if (dropped > 0) {
        ryz_run_data_invalidate(data, "%llu rows could not be recorded",
                                (unsigned long long)dropped);
    }
    if (session->summary.last.dropped > 0) {
        ryz_run_data_invalidate(data, "the load generator could not send %llu requests",
                                (unsigned long long)session->summary.last.dropped);
    }
    if (session->options->stop != NULL && ryz_load_acquire(session->options->stop) != 0) {
        ryz_run_data_invalidate(data, "stopped by the user");
        data->info.complete = false;
    }
    size_t count = 0;
    const struct ryz_run_event_row *events = ryz_run_rows(data, RYZ_TABLE_EVENTS, &count);
    for (size_t i = 0; i < count; i++) {
        if (events[i].kind == RYZ_RUN_EVENT_INVALID) {
            ryz_run_data_invalidate(data, "%s", events[i].note);
        }
    }
}

static enum ryz_status open_session(struct session *session, struct ryz_error *error)
{
    struct ryz_engine_observer engine = ryz_observer_of_engine(&session->observer);
    enum ryz_status status = ryz_served_open(session->plan, &engine, session->options->log_path,
                                             &session->served, error);
    if (status != RYZ_OK) return status;
    status = ryz_traffic_source_open(session->plan, session->options->seed, session->served.model,
                                     session->served.context_tokens, &session->source, error);
    if (status != RYZ_OK) return status;
    status = open_recorder(session, error);
    if (status != RYZ_OK) return status;
    status = open_faults(session, error);
    if (status == RYZ_OK) status = follow_server(session, error);
    if (status != RYZ_OK || session->simulated) return status;
    return ryz_watch_open(session->recorder, ryz_real_clock_monotonic(), session->t0_ns,
                          WATCH_PERIOD_NS, &session->watch, error);
}

enum ryz_status ryz_session_run(const struct ryz_session_options *options,
                                struct ryz_run_data *data, struct ryz_error *error)
{
    struct session session = {
        .options = options,
        .plan = options->plan,
        .simulated = options->plan->engine.target == RYZ_TARGET_SIMULATOR,
        .observer = {.keep_tokens = options->plan->output.tokens,
                     .keep_spans = options->plan->output.spans,
                     .plan = options->plan,
                     .progress = options->progress},
    };
    *data = (struct ryz_run_data){0};
    enum ryz_status status = open_session(&session, error);
    if (status == RYZ_OK) status = drive(&session, error);
    if (status == RYZ_OK) note_clipped(&session, session.summary.clipped);
    if (session.recorder != NULL) end_run(&session);
    struct ryz_error close_error = {0};
    /* From here on nothing reports: the pacer has ended, and the engine is idle. */
    ryz_store_release(&session.observer.recorder, NULL);
    enum ryz_status closed = ryz_recorder_close(session.recorder, &close_error);
    if (status == RYZ_OK && closed != RYZ_OK) {
        status = closed;
        if (error != NULL) *error = close_error;
    }
    if (status == RYZ_OK) status = ryz_run_data_open_live(options->live_path, data, NULL, error);
    if (status == RYZ_OK) status = join_spans(data, error);
    if (status == RYZ_OK) status = add_facts(&session, data, error);
    if (status == RYZ_OK) judge_validity(&session, data);
    ryz_prefix_bound_close(session.bound);
    ryz_prefix_bound_close(session.lru);
    ryz_traffic_source_close(&session.source);
    ryz_served_close(&session.served);
    ryz_faults_close(session.armed);
    return status;
}
