/* served.c - opens and closes what a scenario serves. */
#include "harness/run/served.h"

#include "engine/base/size.h"
#include "engine/base/thread_pool.h"
#include "engine/memory/kv_store.h"
#include "engine/sched/policy.h"
#include "harness/drive/embedded.h"
#include "harness/drive/http.h"
#include "harness/drive/real_clock.h"
#include "harness/record/results_read.h"
#include "harness/run/command.h"
#include "kernels/kv.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READY_TIMEOUT_NS    (120 * RYZ_NS_PER_S)
#define FOREIGN_CONTEXT     131072u /* a foreign server's context is not known: cut nothing */
#define SIMULATOR_KV_BLOCKS 4096u   /* without a model there is no size of a block */

struct ryz_sched_limits ryz_served_limits(const struct ryz_plan *plan,
                                          const struct ryz_model_info *info)
{
    struct ryz_sched_limits limits = {
        .batch_requests_max = plan->engine.max_batch,
        .batch_tokens_max = plan->engine.max_batch_tokens,
        .prefill_chunk_max = plan->engine.prefill_chunk,
        .kv_block_tokens = RYZ_SERVED_BLOCK_TOKENS,
        .queue_requests_max = plan->engine.max_queue,
        .queue_tokens_max = plan->engine.queue_tokens,
        .itl_target_ns = plan->engine.itl_target_ns,
        .queue_wait_ns_max = plan->engine.queue_wait_ns,
        .starve_ns = plan->engine.starve_ns,
        .admit_late = plan->engine.admit_late,
        .draft_tokens_max =
            strcmp(plan->engine.speculate, "off") != 0 ? plan->engine.draft_tokens : 0,
        .headroom_adapts = strcmp(plan->engine.headroom, "adaptive") == 0,
        .step_ns_max = plan->engine.step_ns_max > 0 ? plan->engine.step_ns_max : RYZ_TIME_NEVER,
    };
    (void)ryz_admit_parse(plan->engine.admit, &limits.admit); /* one of the words it knows */
    if (info == NULL) {
        limits.kv_blocks = SIMULATOR_KV_BLOCKS;
        return limits;
    }
    struct ryz_kv_shape shape = {.n_layers = info->n_layers,
                                 .n_kv_heads = info->n_kv_heads,
                                 .head_dim = info->head_dim,
                                 .block_tokens = RYZ_SERVED_BLOCK_TOKENS,
                                 .n_blocks = 1};
    (void)ryz_kv_type_parse(plan->engine.kv_type, &shape.type); /* BF16 where none is given */
    limits.context_tokens_max = info->context_tokens;
    limits.kv_blocks = (uint32_t)(plan->engine.kv_bytes / ryz_kv_block_bytes(&shape));
    limits.kv_host_blocks = (uint32_t)(plan->engine.kv_host_bytes / ryz_kv_block_bytes(&shape));
    return limits;
}

uint32_t ryz_served_shares(const struct ryz_plan *plan,
                           struct ryz_kv_share shares[RYZ_KV_SHARES_MAX])
{
    const struct ryz_kv_shares_plan *wanted = &plan->engine.kv_shares;
    _Static_assert(RYZ_KV_SHARES_PLAN_MAX == RYZ_KV_SHARES_MAX, "one bound");
    for (uint32_t i = 0; i < wanted->count; i++) {
        uint32_t t = 0; /* the first traffic of the tenant, see flights.c; a plan has one */
        while (t + 1 < plan->traffic_count &&
               strcmp(plan->traffic[t].tenant, wanted->of[i].tenant) != 0)
            t++;
        shares[i] =
            (struct ryz_kv_share){.tenant = (uint16_t)t, .permille = wanted->of[i].permille};
    }
    return wanted->count;
}

static enum ryz_status open_embedded(const struct ryz_plan *plan,
                                     const struct ryz_engine_observer *observer,
                                     struct ryz_served *served, struct ryz_error *error)
{
    const struct ryz_clock *clock = ryz_real_clock_monotonic();
    struct ryz_engine_options options = {
        .model_path = plan->model_path,
        .quant = plan->engine.quant,
        .backend = plan->engine.backend,
        .isa = plan->engine.isa,
        .threads = plan->engine.threads != 0 ? plan->engine.threads : ryz_cpu_count(),
        .policy = plan->engine.scheduler,
        .limits = ryz_served_limits(plan, NULL),
        .memory_bytes = plan->engine.memory.bytes,
        .memory_permille = plan->engine.memory.permille,
        .kv_bytes = plan->engine.kv_bytes,
        .kv_host_bytes = plan->engine.kv_host_bytes,
        .kv_type = plan->engine.kv_type,
        .prefix_cache = plan->engine.prefix_cache,
        .speculate = plan->engine.speculate,
        .draft_model = plan->engine.draft_model,
        .cache_key = plan->seed, /* nobody but the scenario sends prompts */
        .seed = plan->seed,
        .clock = clock,
        .observer = *observer,
    };
    options.share_count = ryz_served_shares(plan, options.shares);
    enum ryz_status status = ryz_engine_open(&options, &served->engine, error);
    if (status != RYZ_OK) return status;
    served->model = ryz_engine_model(served->engine);
    served->context_tokens = ryz_engine_core_config(served->engine).limits.context_tokens_max;
    return ryz_embedded_open(served->engine, clock, &served->target, error);
}

/* The model file gives the tokenizer; a foreign server may come without. */
static enum ryz_status open_tokenizer(const struct ryz_plan *plan, struct ryz_served *served,
                                      struct ryz_error *error)
{
    served->context_tokens = FOREIGN_CONTEXT;
    if (plan->model_path[0] == '\0') return RYZ_OK;
    enum ryz_status status =
        ryz_model_open(plan->model_path, NULL, &served->tokenizer_model, error);
    if (status != RYZ_OK) return status;
    served->model = served->tokenizer_model;
    served->context_tokens = ryz_model_info(served->model)->context_tokens;
    return RYZ_OK;
}

/* "http://host:port/..." to host and port. */
static enum ryz_status parse_url(const char *url, struct ryz_served *served,
                                 struct ryz_error *error)
{
    const char *host = strstr(url, "://");
    host = host != NULL ? host + 3 : url;
    size_t length = strcspn(host, ":/");
    if (length == 0 || length >= sizeof served->host) {
        return ryz_fail(error, RYZ_INVALID, "engine.url: no host in \"%s\"", url);
    }
    memcpy(served->host, host, length);
    served->host[length] = '\0';
    unsigned long port = host[length] == ':' ? strtoul(host + length + 1, NULL, 10) : 80;
    if (port == 0 || port > UINT16_MAX) {
        return ryz_fail(error, RYZ_INVALID, "engine.url: bad port in \"%s\"", url);
    }
    served->port = (uint16_t)port;
    /* Every OpenAI-compatible server lists its models; health paths differ. */
    const char *path = strchr(host + length, '/');
    (void)snprintf(served->ready_path, sizeof served->ready_path, "%s/models",
                   path != NULL ? path : "");
    return RYZ_OK;
}

/* A socket needs a short path, so it lives in a folder of its own under /tmp. */
static enum ryz_status choose_control_path(const struct ryz_plan *plan, struct ryz_served *served,
                                           struct ryz_error *error)
{
    if (plan->engine.control[0] != '\0') {
        int length =
            snprintf(served->control_path, sizeof served->control_path, "%s", plan->engine.control);
        if (length >= 0 && (size_t)length < sizeof served->control_path) return RYZ_OK;
        return ryz_fail(error, RYZ_INVALID, "engine.control: a socket's path has at most %zu bytes",
                        sizeof served->control_path - 1);
    }
    if (strstr(plan->engine.spawn, "{control}") == NULL) return RYZ_OK;
    char folder[] = "/tmp/ryz-control-XXXXXX";
    if (mkdtemp(folder) == NULL) {
        return ryz_fail(error, RYZ_IO, "cannot make a folder under /tmp for the control socket");
    }
    (void)snprintf(served->control_dir, sizeof served->control_dir, "%s", folder);
    (void)snprintf(served->control_path, sizeof served->control_path, "%s/socket", folder);
    return RYZ_OK;
}

static enum ryz_status spawn_server(const struct ryz_plan *plan, const char *log_path,
                                    struct ryz_served *served, struct ryz_error *error)
{
    char command[4 * RYZ_PATH_MAX] = "";
    enum ryz_status status = choose_control_path(plan, served, error);
    if (status != RYZ_OK) return status;
    if (!ryz_command_fill(plan, served->control_path, command, sizeof command)) {
        return ryz_fail(error, RYZ_INVALID, "engine.spawn: the command line is too long");
    }
    /* Else the run would measure a stranger and never notice that its own server failed to start.
     */
    if (ryz_process_port_answers(served->host, served->port)) {
        return ryz_fail(error, RYZ_UNAVAILABLE,
                        "something answers on %s:%u already; stop it, or take another port in "
                        "engine.url and engine.spawn",
                        served->host, (unsigned)served->port);
    }
    status = ryz_process_open(command, log_path, &served->process, error);
    if (status != RYZ_OK) return status;
    return ryz_process_await(served->process, served->host, served->port, served->ready_path,
                             READY_TIMEOUT_NS, error);
}

static enum ryz_status open_http(const struct ryz_plan *plan, const char *log_path,
                                 struct ryz_served *served, struct ryz_error *error)
{
    enum ryz_status status = open_tokenizer(plan, served, error);
    if (status == RYZ_OK) status = parse_url(plan->engine.url, served, error);
    if (status == RYZ_OK && plan->engine.spawn[0] != '\0') {
        status = spawn_server(plan, log_path, served, error);
    }
    if (status != RYZ_OK) return status;
    struct ryz_http_options options = {
        .url = plan->engine.url,
        .model_name = plan->engine.model_name,
        .text_prompts = strcmp(plan->engine.prompts, "text") == 0,
        .tokenizer = served->model != NULL ? ryz_model_tokenizer(served->model) : NULL,
        .clock = ryz_real_clock_monotonic(),
    };
    return ryz_http_open(&options, &served->target, error);
}

#define DRAFT_ACCEPT_UNKNOWN 0.6 /* where no proposal was recorded */

/* What became of the proposals up to this step of a recorded run. */
static void add_drafts(const struct ryz_step_row *step, double *verified, double *accepted)
{
    /* One that was never right or wrong because another before it was wrong is not counted. */
    const uint64_t right[] = {step->accepted_1, step->accepted_2, step->accepted_3,
                              step->accepted_4, step->accepted_5, step->accepted_6,
                              step->accepted_7, step->accepted_8};
    const uint64_t all[] = {step->verified_1, step->verified_2, step->verified_3, step->verified_4,
                            step->verified_5, step->verified_6, step->verified_7, step->verified_8};
    for (size_t i = 0; i < RYZ_COUNT_OF(all); i++) {
        double reached = i == 0 ? (double)all[0] : fmin((double)right[i - 1], (double)all[i]);
        *verified += reached;
        *accepted += (double)right[i];
    }
}

/* Collects the steps of all runs of a results file as samples; *samples is malloc'ed. */
static enum ryz_status read_samples(const struct ryz_results *results,
                                    struct ryz_cost_sample **samples, size_t *count,
                                    double *draft_accept, struct ryz_error *error)
{
    double verified = 0.0, accepted = 0.0;
    for (uint32_t run = 0; run < ryz_results_run_count(results); run++) {
        struct ryz_run_data data = {0};
        enum ryz_status status =
            ryz_results_read_run(results, run, RYZ_TABLE_BIT(RYZ_TABLE_ENGINE), &data, error);
        if (status != RYZ_OK) return status;
        size_t rows = 0;
        const struct ryz_step_row *steps = ryz_run_rows(&data, RYZ_TABLE_ENGINE, &rows);
        struct ryz_cost_sample *more = realloc(*samples, (*count + rows + 1) * sizeof **samples);
        if (more != NULL) *samples = more;
        for (size_t i = 0; more != NULL && i < rows; i++) {
            if (steps[i].failed) continue;
            more[(*count)++] =
                (struct ryz_cost_sample){.shape = {.prefill_tokens = steps[i].prefill_tokens,
                                                   .decode_requests = steps[i].decode_requests,
                                                   .draft_tokens = steps[i].draft_tokens,
                                                   .context_tokens = steps[i].context_tokens},
                                         .duration_ns = steps[i].duration_ns};
        }
        if (rows > 0) add_drafts(&steps[rows - 1], &verified, &accepted);
        ryz_run_data_deinit(&data);
        if (more == NULL) return ryz_fail(error, RYZ_NO_MEMORY, "no memory for recorded steps");
    }
    *draft_accept = verified > 0.0 ? accepted / verified : DRAFT_ACCEPT_UNKNOWN;
    return RYZ_OK;
}

static enum ryz_status open_simulator(const struct ryz_plan *plan, struct ryz_served *served,
                                      struct ryz_error *error)
{
    enum ryz_status status = open_tokenizer(plan, served, error);
    if (status != RYZ_OK) return status;
    struct ryz_results *results = NULL;
    struct ryz_cost_sample *samples = NULL;
    size_t count = 0;
    status = ryz_results_open(plan->engine.cost, &results, error);
    if (status != RYZ_OK) return status;
    status = read_samples(results, &samples, &count, &served->draft_accept, error);
    if (status == RYZ_OK) {
        status = ryz_cost_model_fit(samples, count, plan->seed, &served->cost, error);
    }
    free(samples);
    ryz_results_close(results);
    return status;
}

enum ryz_status ryz_served_open(const struct ryz_plan *plan,
                                const struct ryz_engine_observer *observer, const char *log_path,
                                struct ryz_served *served, struct ryz_error *error)
{
    *served = (struct ryz_served){0};
    enum ryz_status status = RYZ_OK;
    switch (plan->engine.target) {
    case RYZ_TARGET_EMBEDDED:
        status = open_embedded(plan, observer, served, error);
        break;
    case RYZ_TARGET_HTTP:
        status = open_http(plan, log_path, served, error);
        break;
    case RYZ_TARGET_SIMULATOR:
        status = open_simulator(plan, served, error);
        break;
    }
    if (status != RYZ_OK) ryz_served_close(served);
    return status;
}

void ryz_served_close(struct ryz_served *served)
{
    ryz_target_close(served->target);
    ryz_process_close(served->process);
    ryz_engine_close(served->engine);
    ryz_model_close(served->tokenizer_model);
    if (served->control_dir[0] != '\0') {
        (void)unlink(served->control_path);
        (void)rmdir(served->control_dir);
    }
    *served = (struct ryz_served){0};
}
