/*
 * routes.c - the paths, and the small answers: models, health, metrics.
 *
 * Leaves to others: generations. /healthz tells the truth about the engine's thread, not about the
 * process: a server whose engine shows no life is not healthy, however well it answers.
 */
#include "engine/api/routes.h"

#include "engine/api/generation.h"
#include "engine/base/atomic.h"
#include "engine/base/size.h"
#include "engine/obs/metrics.h"

#include <string.h>

/* An idle engine shows life five times a second; a step of a large model can take seconds. */
#define STUCK_NS (10 * RYZ_NS_PER_S)

static enum MHD_Result answer_completions(struct ryz_exchange *x)
{
    return ryz_generation_start(x, false);
}

static enum MHD_Result answer_chat(struct ryz_exchange *x)
{
    return ryz_generation_start(x, true);
}

static enum MHD_Result reply_json(struct ryz_exchange *x, unsigned int http, ryz_text_writer write)
{
    struct ryz_text text = {0};
    if (!ryz_text_append_json(&text, write, x->server)) {
        ryz_text_deinit(&text);
        return ryz_exchange_reply(x, http, "application/json", NULL, 0);
    }
    return ryz_exchange_reply(x, http, "application/json", text.data, text.length);
}

static void write_model(struct ryz_json *json, const void *context)
{
    const struct ryz_server *server = context;
    ryz_json_object_begin(json);
    ryz_json_key(json, "id");
    ryz_json_string(json, server->model_name);
    ryz_json_key(json, "object");
    ryz_json_string(json, "model");
    ryz_json_key(json, "created");
    ryz_json_i64(json, server->created_s);
    ryz_json_key(json, "owned_by");
    ryz_json_string(json, "ryzanstein");
    ryz_json_key(json, "max_model_len"); /* vLLM's name */
    ryz_json_u64(json, server->rules.context_tokens);
    ryz_json_object_end(json);
}

static void write_models(struct ryz_json *json, const void *context)
{
    ryz_json_object_begin(json);
    ryz_json_key(json, "object");
    ryz_json_string(json, "list");
    ryz_json_key(json, "data");
    ryz_json_array_begin(json);
    write_model(json, context);
    ryz_json_array_end(json);
    ryz_json_object_end(json);
}

static enum MHD_Result answer_models(struct ryz_exchange *x)
{
    return reply_json(x, MHD_HTTP_OK, write_models);
}

static enum MHD_Result answer_model(struct ryz_exchange *x)
{
    struct ryz_api_error error;
    const char *name = x->path + strlen("/v1/models/");
    if (strcmp(name, x->server->model_name) == 0) return reply_json(x, MHD_HTTP_OK, write_model);
    (void)ryz_api_fail(&error, RYZ_API_NO_MODEL, "model", "The model '%.100s' does not exist.",
                       name);
    return ryz_exchange_reply_error(x, &error);
}

static void write_ok(struct ryz_json *json, const void *context)
{
    (void)context;
    ryz_json_raw(json, "{\"status\":\"ok\"}", 15);
}

static void write_draining(struct ryz_json *json, const void *context)
{
    (void)context;
    ryz_json_raw(json, "{\"status\":\"draining\"}", 21);
}

static void write_stuck(struct ryz_json *json, const void *context)
{
    (void)context;
    ryz_json_raw(json, "{\"status\":\"stuck\"}", 18);
}

static enum MHD_Result answer_health(struct ryz_exchange *x)
{
    struct ryz_server *server = x->server;
    if (ryz_load_acquire(&server->draining))
        return reply_json(x, MHD_HTTP_SERVICE_UNAVAILABLE, write_draining);
    int64_t silent_ns =
        ryz_clock_now_ns(server->options.clock) - ryz_engine_heartbeat_ns(server->options.engine);
    if (silent_ns > STUCK_NS) return reply_json(x, MHD_HTTP_SERVICE_UNAVAILABLE, write_stuck);
    return reply_json(x, MHD_HTTP_OK, write_ok);
}

static enum MHD_Result answer_metrics(struct ryz_exchange *x)
{
    struct ryz_metrics *metrics = x->server->options.metrics;
    struct ryz_core_stats stats = ryz_engine_stats(x->server->options.engine);
    ryz_metrics_set(metrics, RYZ_METRIC_REQUESTS_RUNNING, stats.running);
    ryz_metrics_set(metrics, RYZ_METRIC_REQUESTS_WAITING, stats.waiting);
    ryz_metrics_set(metrics, RYZ_METRIC_KV_BLOCKS_USED, stats.kv_blocks_used);
    ryz_metrics_set(metrics, RYZ_METRIC_KV_BLOCKS_TOTAL, stats.kv_blocks_total);
    size_t length = 0;
    char *text = ryz_metrics_render(metrics, x->server->model_name, &length);
    return ryz_exchange_reply(x, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", text,
                              length);
}

static const struct ryz_route routes[] = {
    {"/v1/completions", true, "cmpl", "POST", answer_completions},
    {"/v1/chat/completions", true, "chatcmpl", "POST", answer_chat},
    {"/v1/models", false, NULL, "GET, HEAD", answer_models},
    {"/v1/models/*", false, NULL, "GET, HEAD", answer_model},
    {"/healthz", false, NULL, "GET, HEAD", answer_health},
    {"/health", false, NULL, "GET, HEAD", answer_health}, /* vLLM's name */
    {"/metrics", false, NULL, "GET, HEAD", answer_metrics},
};

static bool matches(const char *pattern, const char *path)
{
    size_t length = strlen(pattern);
    if (pattern[length - 1] != '*') return strcmp(pattern, path) == 0;
    return strncmp(pattern, path, length - 1) == 0 && path[length - 1] != '\0';
}

const struct ryz_route *ryz_route_find(const char *path)
{
    for (size_t i = 0; i < RYZ_COUNT_OF(routes); i++) {
        if (matches(routes[i].path, path)) return &routes[i];
    }
    return NULL;
}

bool ryz_route_allows(const struct ryz_route *route, const char *method)
{
    if (route->post) return strcmp(method, MHD_HTTP_METHOD_POST) == 0;
    return strcmp(method, MHD_HTTP_METHOD_GET) == 0 || strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
}
