/*
 * serve.c - `ryz serve`: one model, one engine, one HTTP server, until SIGTERM or SIGINT.
 *
 * SIGTERM drains: new requests get 503, those inside finish (or the drain time ends), then exit 0.
 */
#include "engine/api/control.h"
#include "engine/api/server.h"
#include "engine/api/tenants.h"
#include "engine/base/atomic.h"
#include "engine/base/thread_pool.h"
#include "engine/memory/budget.h"
#include "engine/obs/log.h"
#include "engine/obs/metrics.h"
#include "engine/obs/otlp.h"
#include "engine/sched/policy.h"
#include "harness/cli/commands.h"
#include "harness/cli/options.h"
#include "harness/drive/open_files.h"
#include "harness/drive/real_clock.h"
#include "harness/scenario/values.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define LEVEL_NAMES    "debug info warn error"
#define EXPORT_TIME_NS (3 * RYZ_NS_PER_S) /* for the last spans at the end */

struct serve_options {
    const char *speculate, *draft_model;
    const char *model, *host, *quant, *isa, *kv_type, *policy, *admit, *kv_partitions, *memory,
        *control, *otlp, *name, *log_level;
    uint32_t port, threads, max_batch, max_batch_tokens, prefill_chunk, max_queue, context;
    uint32_t queue_tokens, connections, drain_s;
    uint64_t kv_bytes, kv_host_bytes, seed;
    double step_ms, itl_ms, queue_wait_ms, starvation_ms;
    uint32_t draft_tokens;
    bool refuse_late, no_prefix_cache, fixed_headroom;
};

/* Everything that is open, in the order of opening. */
struct serve {
    const struct ryz_clock *monotonic, *wall;
    struct ryz_logger logger;
    struct ryz_metrics *metrics;
    struct ryz_otlp *otlp;
    struct ryz_span_sink export; /* of otlp */
    struct ryz_engine *engine;
    struct ryz_server *server;
    struct ryz_kv_shares_plan shares;
    const char *tenants[RYZ_KV_SHARES_PLAN_MAX]; /* [tenant_count] of the shares, but "default" */
    uint32_t tenant_count;
    _Atomic(struct ryz_control *) control; /* observers may run before it is open */
};

static void write_log_line(void *context, enum ryz_log_level level, const char *line, size_t length)
{
    (void)context;
    (void)level;
    /* One write call a line, so that lines of several threads do not mix. */
    char buffer[4096];
    if (length > sizeof buffer - 1) length = sizeof buffer - 1;
    memcpy(buffer, line, length);
    buffer[length] = '\n';
    ssize_t written = write(STDERR_FILENO, buffer, length + 1);
    (void)written; /* a closed stderr must not end the server */
}

static void on_step(void *context, const struct ryz_step_record *step)
{
    struct serve *serve = context;
    struct ryz_control *control = ryz_load_acquire(&serve->control);
    if (control != NULL) ryz_control_step(control, step);
}

static void on_span(void *context, const struct ryz_span *span)
{
    struct serve *serve = context;
    struct ryz_control *control = ryz_load_acquire(&serve->control);
    if (control != NULL) ryz_control_span(control, span);
    if (serve->otlp != NULL) serve->export.emit(serve->export.context, span);
}

static enum ryz_log_level level_of(const char *text)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    int level = 0;
    while (level < 3 && strcmp(names[level], text) != 0) level++;
    return (enum ryz_log_level)level;
}

static bool complain(const char *text)
{
    (void)fprintf(stderr, "ryz: %s\n", text);
    return false;
}

/* What can be said without opening anything. */
static bool check_given(const struct serve_options *o)
{
    const struct {
        const char *name, *value, *words;
    } worded[] = {{"scheduler", o->policy, RYZ_POLICY_NAMES},
                  {"admit", o->admit, RYZ_ADMIT_NAMES},
                  {"speculate", o->speculate, RYZ_SPECULATE_NAMES},
                  {"kv-type", o->kv_type, "bf16 int8 f32"},
                  {"log-level", o->log_level, LEVEL_NAMES}};
    for (size_t i = 0; i < sizeof worded / sizeof worded[0]; i++)
        if (!ryz_option_is_word(worded[i].name, worded[i].value, worded[i].words)) return false;
    bool drafts = strcmp(o->speculate, "draft") == 0;
    if (o->port > UINT16_MAX) return complain("--port is at most 65535");
    if (drafts && o->draft_model == NULL)
        return complain("--speculate draft needs --draft-model FILE, a small GGUF with the "
                        "vocabulary of the model");
    if (!drafts && o->draft_model != NULL)
        return complain("--draft-model is for --speculate draft");
    if (o->draft_tokens < 1 || o->draft_tokens > RYZ_DRAFT_MAX)
        return complain("--draft-tokens is 1 to 8; --speculate off proposes nothing");
    return true;
}

/* 0 stays 0, which is no limit. */
static int64_t ms_to_ns(double ms)
{
    return ms > 0.0 ? (int64_t)(ms * 1e6) : 0;
}

/* A key that clients do not know; without entropy the seed must do, which they may guess. */
static uint64_t draw_key(const struct serve_options *o)
{
    uint64_t key = o->seed;
    ssize_t got = getrandom(&key, sizeof key, GRND_NONBLOCK);
    return got == (ssize_t)sizeof key ? key : o->seed;
}

/* Parts of the KV pool: tenants are numbered in the order in which they are given, see
 * open_server; number 0 is "default". */
static enum ryz_status take_shares(struct serve *serve, const struct serve_options *o,
                                   struct ryz_engine_options *options, struct ryz_error *error)
{
    struct ryz_error why;
    if (ryz_value_kv_shares(o->kv_partitions, &serve->shares, &why) != RYZ_OK)
        return ryz_fail(error, RYZ_INVALID, "--kv-partitions: %.150s", why.text);
    for (uint32_t i = 0; i < serve->shares.count; i++) {
        const char *tenant = serve->shares.of[i].tenant;
        bool others = strcmp(tenant, "default") == 0;
        if (!others) serve->tenants[serve->tenant_count++] = tenant;
        options->shares[i] = (struct ryz_kv_share){
            .tenant = (uint16_t)(others ? RYZ_TENANT_DEFAULT : serve->tenant_count),
            .permille = serve->shares.of[i].permille};
        ryz_metrics_name_partition(serve->metrics, i + 1, tenant);
    }
    options->share_count = serve->shares.count;
    if (serve->shares.count > 0) ryz_metrics_name_partition(serve->metrics, 0, "(others)");
    return RYZ_OK;
}

static enum ryz_status open_engine(struct serve *serve, const struct serve_options *o,
                                   struct ryz_error *error)
{
    enum ryz_admit admit = RYZ_ADMIT_PROMPT;
    (void)ryz_admit_parse(o->admit, &admit); /* one of the words it knows, see check_given */
    struct ryz_memory_plan memory;
    struct ryz_error why;
    if (ryz_value_memory(o->memory, &memory, &why) != RYZ_OK)
        return ryz_fail(error, RYZ_INVALID, "--memory: %.150s", why.text);
    struct ryz_engine_options options = {
        .model_path = o->model,
        .quant = o->quant,
        .backend = "cpu",
        .isa = o->isa,
        .threads = o->threads != 0 ? o->threads : ryz_cpu_count(),
        .policy = o->policy,
        .limits = {.batch_requests_max = o->max_batch,
                   .batch_tokens_max = o->max_batch_tokens,
                   .prefill_chunk_max = o->prefill_chunk,
                   .kv_block_tokens = 16,
                   .queue_requests_max = o->max_queue,
                   .queue_tokens_max = o->queue_tokens,
                   .itl_target_ns = ms_to_ns(o->itl_ms),
                   .queue_wait_ns_max = ms_to_ns(o->queue_wait_ms),
                   .starve_ns = ms_to_ns(o->starvation_ms),
                   .admit = admit,
                   .admit_late = !o->refuse_late,
                   .draft_tokens_max = o->draft_tokens,
                   .headroom_adapts = !o->fixed_headroom,
                   .context_tokens_max = o->context,
                   .step_ns_max = o->step_ms > 0.0 ? (int64_t)(o->step_ms * 1e6) : RYZ_TIME_NEVER},
        .memory_bytes = memory.bytes,
        .memory_permille = memory.permille,
        .kv_bytes = o->kv_bytes,
        .kv_host_bytes = o->kv_host_bytes,
        .kv_type = o->kv_type,
        .prefix_cache = !o->no_prefix_cache,
        .speculate = o->speculate,
        .draft_model = o->draft_model,
        .cache_key = draw_key(o),
        .seed = o->seed,
        .clock = serve->monotonic,
        .observer = {.context = serve, .step = on_step, .span = on_span},
        .metrics = serve->metrics,
        .logger = &serve->logger,
    };
    enum ryz_status status = take_shares(serve, o, &options, error);
    return status == RYZ_OK ? ryz_engine_open(&options, &serve->engine, error) : status;
}

static enum ryz_status open_server(struct serve *serve, const struct serve_options *o,
                                   struct ryz_error *error)
{
    const struct ryz_model_info *info = ryz_model_info(ryz_engine_model(serve->engine));
    struct ryz_server_options options = {
        .host = o->host,
        .port = (uint16_t)o->port,
        .model_name = o->name != NULL ? o->name : info->name,
        .engine = serve->engine,
        .metrics = serve->metrics,
        .logger = &serve->logger,
        .clock = serve->monotonic,
        .wall = serve->wall,
        .spans = {.emit = on_span, .context = serve},
        .tenants = serve->tenants,
        .tenant_count = serve->tenant_count,
        .connections_max = o->connections,
        .body_bytes_max = (size_t)16 << 20,
        .seed = o->seed,
    };
    enum ryz_status status = ryz_server_open(&options, &serve->server, error);
    if (status != RYZ_OK || o->control == NULL) return status;
    struct ryz_control_options control_options = {.path = o->control,
                                                  .engine = serve->engine,
                                                  .server = serve->server,
                                                  .clock = serve->monotonic,
                                                  .records_max = 1u << 16};
    struct ryz_control *control = NULL;
    status = ryz_control_open(&control_options, &control, error);
    if (status == RYZ_OK) ryz_store_release(&serve->control, control);
    return status;
}

/* A server that runs out of them would let clients wait instead of refusing them. */
static enum ryz_status check_files(const struct serve_options *o, struct ryz_error *error)
{
    uint32_t possible = ryz_open_files_allow(o->connections);
    if (possible >= o->connections) return RYZ_OK;
    return ryz_fail(error, RYZ_INVALID,
                    "--connections %u: this process may have files open for %u; raise the hard "
                    "limit (ulimit -Hn), or give --connections %u",
                    o->connections, possible, possible);
}

static enum ryz_status open_all(struct serve *serve, const struct serve_options *o,
                                struct ryz_error *error)
{
    enum ryz_status status = check_files(o, error);
    if (status == RYZ_OK) status = ryz_metrics_open(&serve->metrics, error);
    if (status == RYZ_OK && o->otlp != NULL) {
        struct ryz_otlp_options options = {.url = o->otlp,
                                           .service_name = "ryz",
                                           .clock = serve->monotonic,
                                           .wall_offset_ns = ryz_clock_now_ns(serve->wall) -
                                                             ryz_clock_now_ns(serve->monotonic)};
        status = ryz_otlp_open(&options, &serve->otlp, error);
        if (status == RYZ_OK) serve->export = ryz_otlp_sink(serve->otlp);
    }
    if (status == RYZ_OK) status = open_engine(serve, o, error);
    if (status == RYZ_OK) status = open_server(serve, o, error);
    return status;
}

/* The observers use `control` and `otlp`, so the engine goes before them. */
static void close_all(struct serve *serve, int64_t drain_until_ns)
{
    struct ryz_control *control = ryz_load_acquire(&serve->control);
    if (control != NULL) ryz_control_stop(control); /* it talks to server and engine */
    if (serve->server != NULL) ryz_server_close(serve->server, drain_until_ns);
    ryz_engine_close(serve->engine);
    if (control != NULL) ryz_control_close(control);
    if (serve->otlp != NULL) {
        ryz_otlp_close(serve->otlp, ryz_clock_now_ns(serve->monotonic) + EXPORT_TIME_NS, NULL);
    }
    ryz_metrics_close(serve->metrics);
}

static void announce(const struct serve *serve, const struct serve_options *o)
{
    const struct ryz_model_info *info = ryz_model_info(ryz_engine_model(serve->engine));
    (void)fprintf(stderr, "ryz: serving %s (%s, %.1f M parameters) on http://%s:%u\n", info->name,
                  info->weight_type, (double)info->n_params / 1e6, o->host,
                  (unsigned)ryz_server_port(serve->server));
    char memory[192];
    ryz_budget_format(ryz_engine_memory(serve->engine), memory, sizeof memory);
    (void)fprintf(stderr, "ryz: memory: %s\n", memory);
    RYZ_LOG(&serve->logger, RYZ_LOG_INFO, "server.ready", NULL,
            RYZ_U64("port", ryz_server_port(serve->server)), RYZ_STR("model", info->name),
            RYZ_STR("weights", info->weight_type));
}

/* Waits for SIGTERM or SIGINT, which are blocked in every thread. */
static void wait_for_signal(const sigset_t *signals)
{
    int signal_number = 0;
    while (sigwait(signals, &signal_number) != 0) {
    }
}

/* Lets what is inside end; a second signal or the drain time cuts it short. */
static void drain(struct serve *serve, const sigset_t *signals, uint32_t drain_s)
{
    ryz_server_drain(serve->server);
    ryz_engine_drain(serve->engine);
    RYZ_LOG(&serve->logger, RYZ_LOG_INFO, "server.draining", NULL,
            RYZ_U64("active", ryz_engine_active(serve->engine)));
    int64_t end = ryz_clock_now_ns(serve->monotonic) + (int64_t)drain_s * RYZ_NS_PER_S;
    const struct timespec pause = {.tv_nsec = 20 * RYZ_NS_PER_MS};
    while (ryz_server_active(serve->server) > 0 && ryz_clock_now_ns(serve->monotonic) < end) {
        if (sigtimedwait(signals, NULL, &pause) > 0) break;
    }
}

static int serve_until_signal(const struct serve_options *o)
{
    struct serve serve = {.monotonic = ryz_real_clock_monotonic(), .wall = ryz_real_clock_wall()};
    serve.logger = (struct ryz_logger){.write = write_log_line, .wall = serve.wall};
    serve.logger.level = level_of(o->log_level);
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);

    struct ryz_error error = {0};
    if (open_all(&serve, o, &error) != RYZ_OK) {
        (void)fprintf(stderr, "ryz: %s\n", error.text);
        close_all(&serve, 0);
        return RYZ_EXIT_COULD_NOT;
    }
    announce(&serve, o);
    wait_for_signal(&signals);
    drain(&serve, &signals, o->drain_s);
    close_all(&serve, 0);
    return RYZ_EXIT_MET;
}

/* As the command line leaves them: the defaults first. */
static struct serve_options given = {.host = "127.0.0.1",
                                     .model = "models/ryz-tiny.gguf",
                                     .port = 8080,
                                     .quant = "as_is",
                                     .isa = "auto",
                                     .kv_type = "bf16",
                                     .speculate = "off",
                                     .draft_tokens = 4,
                                     .policy = "fcfs",
                                     .admit = "prompt",
                                     .kv_partitions = "none",
                                     .memory = "none",
                                     .log_level = "info",
                                     .max_batch = 16,
                                     .max_batch_tokens = 512,
                                     .prefill_chunk = 256,
                                     .max_queue = 256,
                                     .connections = 1024,
                                     .drain_s = 30,
                                     .seed = 1};

static const struct ryz_option options[] = {
    {"model", RYZ_OPTION_TEXT, &given.model, "FILE", "GGUF file (models/ryz-tiny.gguf)"},
    {"host", RYZ_OPTION_TEXT, &given.host, "ADDRESS", "address to listen on (127.0.0.1)"},
    {"port", RYZ_OPTION_U32, &given.port, "N", "port, 0: any free one (8080)"},
    {"name", RYZ_OPTION_TEXT, &given.name, "NAME", "model name to answer to (the file's own)"},
    {"quant", RYZ_OPTION_TEXT, &given.quant, "TYPE", "as_is f32 f16 bf16 q8_0 q4_0 q4_1 (as_is)"},
    {"threads", RYZ_OPTION_U32, &given.threads, "N", "threads of the forward pass (all cores)"},
    {"isa", RYZ_OPTION_TEXT, &given.isa, "NAME", "auto ref avx2 avx512 (auto)"},
    {"scheduler", RYZ_OPTION_TEXT, &given.policy, "NAME", RYZ_POLICY_NAMES " (fcfs)"},
    {"max-batch", RYZ_OPTION_U32, &given.max_batch, "N", "requests in one step (16)"},
    {"max-batch-tokens", RYZ_OPTION_U32, &given.max_batch_tokens, "N", "tokens in one step (512)"},
    {"prefill-chunk", RYZ_OPTION_U32, &given.prefill_chunk, "N", "prompt tokens in one step (256)"},
    {"max-queue", RYZ_OPTION_U32, &given.max_queue, "N", "waiting requests before 429 (256)"},
    {"queue-tokens", RYZ_OPTION_U32, &given.queue_tokens, "N",
     "prompt tokens of waiting requests before 429 (no limit)"},
    {"queue-wait", RYZ_OPTION_F64, &given.queue_wait_ms, "MS",
     "believed wait for a first token before 429 (no limit)"},
    {"starvation", RYZ_OPTION_F64, &given.starvation_ms, "MS",
     "a request that waited longer goes first (no limit)"},
    {"refuse-late", RYZ_OPTION_FLAG, &given.refuse_late, NULL,
     "429 for requests that are believed to miss a deadline (they are taken)"},
    {"admit", RYZ_OPTION_TEXT, &given.admit, "WHAT",
     "KV blocks to be free for a start: " RYZ_ADMIT_NAMES " (prompt)"},
    {"fixed-headroom", RYZ_OPTION_FLAG, &given.fixed_headroom, NULL,
     "1 % of the KV blocks stay free at a start (more after preemptions)"},
    {"no-prefix-cache", RYZ_OPTION_FLAG, &given.no_prefix_cache, NULL,
     "compute every prompt anew (beginnings of a tenant's prompts are found again)"},
    {"speculate", RYZ_OPTION_TEXT, &given.speculate, "HOW",
     "verify proposals for the next tokens: " RYZ_SPECULATE_NAMES " (off)"},
    {"draft-model", RYZ_OPTION_TEXT, &given.draft_model, "FILE",
     "small GGUF with the same vocabulary, for --speculate draft"},
    {"draft-tokens", RYZ_OPTION_U32, &given.draft_tokens, "N",
     "most proposals for a request in a step, 1 to 8 (4)"},
    {"step-target", RYZ_OPTION_F64, &given.step_ms, "MS",
     "believed step length that prefill chunks keep (no limit)"},
    {"itl-target", RYZ_OPTION_F64, &given.itl_ms, "MS",
     "time between tokens: fewer run at once where more would miss it (no limit)"},
    {"context", RYZ_OPTION_U32, &given.context, "N", "prompt + output tokens (the model's)"},
    {"memory", RYZ_OPTION_TEXT, &given.memory, "SIZE",
     "weights, scratch, tables and KV cache together: 4GiB, or 60% of the machine (no limit)"},
    {"kv", RYZ_OPTION_BYTES, &given.kv_bytes, "SIZE",
     "KV cache, e.g. 512MiB (what --memory leaves, else 256MiB)"},
    {"kv-host", RYZ_OPTION_BYTES, &given.kv_host_bytes, "SIZE",
     "host memory for KV blocks that are evicted (none)"},
    {"kv-type", RYZ_OPTION_TEXT, &given.kv_type, "TYPE",
     "bf16, or int8: nearly twice the tokens (bf16)"},
    {"kv-partitions", RYZ_OPTION_TEXT, &given.kv_partitions, "SHARES",
     "parts of it that tenants are guaranteed, e.g. \"a@40% b@20%\" (none)"},
    {"connections", RYZ_OPTION_U32, &given.connections, "N", "open connections (1024)"},
    {"control", RYZ_OPTION_TEXT, &given.control, "PATH",
     "Unix socket for fault plans and records (off)"},
    {"otlp", RYZ_OPTION_TEXT, &given.otlp, "URL",
     "export spans, e.g. http://127.0.0.1:4318/v1/traces (off)"},
    {"seed", RYZ_OPTION_U64, &given.seed, "N", "seed of trace ids and fault draws (1)"},
    {"log-level", RYZ_OPTION_TEXT, &given.log_level, "LEVEL", LEVEL_NAMES " (info)"},
    {"drain", RYZ_OPTION_U32, &given.drain_s, "SECONDS", "time to finish after SIGTERM (30)"},
};

int ryz_command_serve(int argc, char **argv)
{
    const struct ryz_command_line line = {
        .usage = "ryz serve [--model FILE] [--port N] [options]",
        .about = "Serves a model over HTTP: /v1/completions, /v1/chat/completions, /v1/models,\n"
                 "/healthz, /metrics. SIGTERM drains and ends.",
        .options = options,
        .option_count = sizeof options / sizeof options[0]};
    enum ryz_status status = ryz_options_parse(&line, argc, argv, NULL, NULL);
    if (status != RYZ_OK) return status == RYZ_CANCELLED ? RYZ_EXIT_MET : RYZ_EXIT_USAGE;
    if (!check_given(&given)) return RYZ_EXIT_USAGE;
    return serve_until_signal(&given);
}
