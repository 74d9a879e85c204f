/* control_codec.c - lines of the control channel to structs and back. See control.h. */
#include "engine/api/control_codec.h"

#include "engine/base/size.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    enum ryz_control_op op;
} ops[] = {{"faults", RYZ_CONTROL_FAULTS},
           {"drain", RYZ_CONTROL_DRAIN},
           {"stats", RYZ_CONTROL_STATS},
           {"records", RYZ_CONTROL_RECORDS}};

static const struct {
    const char *name;
    enum ryz_fault_action action;
} actions[] = {{"delay", RYZ_FAULT_DELAY},
               {"fail", RYZ_FAULT_FAIL},
               {"disconnect", RYZ_FAULT_DISCONNECT},
               {"kill", RYZ_FAULT_KILL}};

/* An integer of at least `least`; `absent` when the key is not there or null. */
static bool read_i64(const json_t *object, const char *key, const int64_t least_absent[2],
                     int64_t *out, struct ryz_error *error)
{
    const json_t *value = json_object_get(object, key);
    if (value == NULL || json_is_null(value)) {
        *out = least_absent[1];
        return true;
    }
    *out = json_integer_value(value);
    if (json_is_integer(value) && *out >= least_absent[0]) return true;
    (void)ryz_fail(error, RYZ_INVALID, "\"%s\" is an integer of at least %lld", key,
                   (long long)least_absent[0]);
    return false;
}

/* A 64-bit seed: a JSON integer, or a decimal string where that is too small. */
static bool read_seed(const json_t *object, uint64_t *seed, struct ryz_error *error)
{
    const json_t *value = json_object_get(object, "seed");
    *seed = 0;
    if (value == NULL) return true;
    if (json_is_integer(value)) {
        *seed = (uint64_t)json_integer_value(value);
        return true;
    }
    const char *text = json_string_value(value);
    char *end = NULL;
    errno = 0;
    if (text != NULL && text[0] >= '0' && text[0] <= '9') *seed = strtoull(text, &end, 10);
    if (end != NULL && *end == '\0' && errno == 0) return true;
    (void)ryz_fail(error, RYZ_INVALID, "\"seed\" is an integer or a string of digits");
    return false;
}

static bool read_action(const json_t *object, enum ryz_fault_action *action)
{
    const char *name = json_string_value(json_object_get(object, "action"));
    for (size_t i = 0; name != NULL && i < RYZ_COUNT_OF(actions); i++) {
        if (strcmp(actions[i].name, name) != 0) continue;
        *action = actions[i].action;
        return true;
    }
    return false;
}

/* Saturates: a fault that starts after the end of time never does. */
static int64_t add_time(int64_t t0_ns, int64_t offset_ns)
{
    int64_t sum = 0;
    if (offset_ns == RYZ_TIME_NEVER || __builtin_add_overflow(t0_ns, offset_ns, &sum))
        return RYZ_TIME_NEVER;
    return sum;
}

static bool read_fault(const json_t *object, int64_t t0_ns, struct ryz_fault *fault,
                       struct ryz_error *error)
{
    static const int64_t zero[2] = {0, 0}, open_end[2] = {0, RYZ_TIME_NEVER}, all[2] = {0, 1000};
    const char *name = json_string_value(json_object_get(object, "name"));
    const char *point = json_string_value(json_object_get(object, "point"));
    int64_t at_ns = 0, until_ns = 0, permille = 0;
    if (!json_is_object(object) || name == NULL || strlen(name) >= sizeof fault->name) {
        (void)ryz_fail(error, RYZ_INVALID,
                       "a fault is an object with a \"name\" of up to %zu bytes",
                       sizeof fault->name - 1);
        return false;
    }
    (void)snprintf(fault->name, sizeof fault->name, "%s", name);
    if (point == NULL || !ryz_fault_point_parse(point, &fault->point)) {
        (void)ryz_fail(error, RYZ_INVALID, "fault \"%s\": no such \"point\": %.40s", name,
                       point != NULL ? point : "(absent)");
        return false;
    }
    if (!read_action(object, &fault->action)) {
        (void)ryz_fail(error, RYZ_INVALID,
                       "fault \"%s\": \"action\" is delay, fail, disconnect or kill", name);
        return false;
    }
    if (!read_i64(object, "at_ns", zero, &at_ns, error) ||
        !read_i64(object, "until_ns", open_end, &until_ns, error) ||
        !read_i64(object, "permille", all, &permille, error) ||
        !read_i64(object, "value_ns", zero, &fault->value_ns, error))
        return false;
    fault->at_ns = add_time(t0_ns, at_ns);
    fault->until_ns = add_time(t0_ns, until_ns);
    fault->permille = permille > UINT32_MAX ? UINT32_MAX : (uint32_t)permille;
    return true;
}

static bool read_faults(const json_t *root, struct ryz_control_request *request,
                        struct ryz_error *error)
{
    static const int64_t t0[2] = {0, 0};
    int64_t t0_ns = 0;
    const json_t *faults = json_object_get(root, "faults");
    if (!read_seed(root, &request->seed, error) || !read_i64(root, "t0_ns", t0, &t0_ns, error))
        return false;
    if (!json_is_array(faults) || json_array_size(faults) > RYZ_FAULTS_MAX) {
        (void)ryz_fail(error, RYZ_INVALID, "\"faults\" is a list of up to %u faults",
                       RYZ_FAULTS_MAX);
        return false;
    }
    for (size_t i = 0; i < json_array_size(faults); i++) {
        struct ryz_fault *fault = &request->faults[request->fault_count++];
        if (!read_fault(json_array_get(faults, i), t0_ns, fault, error)) return false;
    }
    return true;
}

static bool read_request(const json_t *root, struct ryz_control_request *request,
                         struct ryz_error *error)
{
    const char *name = json_string_value(json_object_get(root, "op"));
    for (size_t i = 0; name != NULL && i < RYZ_COUNT_OF(ops); i++) {
        if (strcmp(ops[i].name, name) != 0) continue;
        request->op = ops[i].op;
        return request->op != RYZ_CONTROL_FAULTS || read_faults(root, request, error);
    }
    (void)ryz_fail(error, RYZ_INVALID, "\"op\" is faults, drain, stats or records");
    return false;
}

enum ryz_status ryz_control_parse(const char *line, size_t length,
                                  struct ryz_control_request *request, struct ryz_error *error)
{
    json_error_t reason;
    *request = (struct ryz_control_request){0};
    json_t *root = json_loadb(line, length, JSON_REJECT_DUPLICATES, &reason);
    if (root == NULL) return ryz_fail(error, RYZ_INVALID, "not JSON: %s", reason.text);
    bool ok = read_request(root, request, error);
    json_decref(root);
    return ok ? RYZ_OK : RYZ_INVALID;
}

static void put_u64(struct ryz_json *json, const char *key, uint64_t value)
{
    ryz_json_key(json, key);
    ryz_json_u64(json, value);
}

static void put_i64(struct ryz_json *json, const char *key, int64_t value)
{
    ryz_json_key(json, key);
    ryz_json_i64(json, value);
}

static void put_string(struct ryz_json *json, const char *key, const char *value)
{
    ryz_json_key(json, key);
    ryz_json_string(json, value);
}

static void put_bool(struct ryz_json *json, const char *key, bool value)
{
    ryz_json_key(json, key);
    ryz_json_bool(json, value);
}

/* As hex: 64-bit ids do not survive readers that take numbers for doubles. */
static void put_id(struct ryz_json *json, const char *key, uint64_t id)
{
    char text[17];
    ryz_span_id_format(id, text);
    put_string(json, key, text);
}

void ryz_control_write_error(struct ryz_json *json, const void *message)
{
    ryz_json_object_begin(json);
    put_bool(json, "ok", false);
    put_string(json, "error", message);
    ryz_json_object_end(json);
}

void ryz_control_write_ok(struct ryz_json *json, const void *nothing)
{
    (void)nothing;
    ryz_json_object_begin(json);
    put_bool(json, "ok", true);
    ryz_json_object_end(json);
}

static void put_counts(struct ryz_json *json, const char *key, const uint64_t counts[RYZ_DRAFT_MAX])
{
    ryz_json_key(json, key);
    ryz_json_array_begin(json);
    for (uint32_t i = 0; i < RYZ_DRAFT_MAX; i++) ryz_json_u64(json, counts[i]);
    ryz_json_array_end(json);
}

void ryz_control_write_step(struct ryz_json *json, const void *step_record)
{
    const struct ryz_step_record *step = step_record;
    ryz_json_object_begin(json);
    ryz_json_key(json, "step");
    ryz_json_object_begin(json);
    put_i64(json, "t_ns", step->t_ns);
    put_i64(json, "duration_ns", step->duration_ns);
    put_i64(json, "sched_ns", step->sched_ns);
    put_i64(json, "forward_ns", step->forward_ns);
    put_u64(json, "prefill_tokens", step->shape.prefill_tokens);
    put_u64(json, "decode_requests", step->shape.decode_requests);
    put_u64(json, "draft_tokens", step->shape.draft_tokens);
    put_u64(json, "context_tokens", step->shape.context_tokens);
    put_u64(json, "run_count", step->run_count);
    put_bool(json, "failed", step->failed);
    put_u64(json, "running", step->stats.running);
    put_u64(json, "waiting", step->stats.waiting);
    put_u64(json, "batch_limit", step->stats.batch_limit);
    put_u64(json, "kv_blocks_used", step->stats.kv_blocks_used);
    put_u64(json, "kv_blocks_total", step->stats.kv_blocks_total);
    put_u64(json, "kv_blocks_lent", step->stats.kv_blocks_lent);
    put_u64(json, "kv_slots", step->stats.kv_slots);
    put_u64(json, "kv_slots_empty", step->stats.kv_slots_empty);
    put_u64(json, "preempted", step->stats.preempted);
    if (step->shape.draft_tokens > 0) {
        put_counts(json, "drafts_verified", step->stats.drafts_verified);
        put_counts(json, "drafts_accepted", step->stats.drafts_accepted);
    }
    ryz_json_object_end(json);
    ryz_json_object_end(json);
}

void ryz_control_write_span(struct ryz_json *json, const void *span)
{
    const struct ryz_span *s = span;
    char trace_id[33];
    ryz_trace_id_format(s->trace_id, trace_id);
    ryz_json_object_begin(json);
    ryz_json_key(json, "span");
    ryz_json_object_begin(json);
    put_string(json, "trace_id", trace_id);
    put_id(json, "span_id", s->span_id);
    put_id(json, "parent", s->parent);
    put_u64(json, "request", s->request);
    put_string(json, "name", ryz_span_name((enum ryz_span_name)s->name));
    put_i64(json, "t0_ns", s->t0_ns);
    put_i64(json, "t1_ns", s->t1_ns);
    ryz_json_key(json, "attr");
    ryz_json_f64(json, s->attr);
    put_i64(json, "worker", s->worker);
    put_string(json, "status", ryz_status_name((enum ryz_status)s->status));
    ryz_json_object_end(json);
    ryz_json_object_end(json);
}

void ryz_control_write_end(struct ryz_json *json, const void *end)
{
    const struct ryz_control_end *e = end;
    ryz_json_object_begin(json);
    put_bool(json, "ok", true);
    put_bool(json, "end", true);
    put_u64(json, "steps", e->steps);
    put_u64(json, "spans", e->spans);
    put_u64(json, "dropped", e->dropped);
    ryz_json_object_end(json);
}

void ryz_control_write_stats(struct ryz_json *json, const void *stats)
{
    const struct ryz_control_stats *s = stats;
    ryz_json_object_begin(json);
    put_bool(json, "ok", true);
    put_i64(json, "now_ns", s->now_ns);
    put_u64(json, "active", s->active);
    put_u64(json, "running", s->core.running);
    put_u64(json, "waiting", s->core.waiting);
    put_u64(json, "batch_limit", s->core.batch_limit);
    put_u64(json, "kv_blocks_used", s->core.kv_blocks_used);
    put_u64(json, "kv_blocks_total", s->core.kv_blocks_total);
    put_u64(json, "kv_blocks_lent", s->core.kv_blocks_lent);
    put_u64(json, "arrived", s->core.arrived);
    put_u64(json, "rejected", s->core.rejected);
    put_u64(json, "finished", s->core.finished);
    put_u64(json, "cancelled", s->core.cancelled);
    put_u64(json, "preempted", s->core.preempted);
    put_u64(json, "steps", s->core.steps);
    put_u64(json, "failed_steps", s->core.failed_steps);
    put_u64(json, "prompt_tokens_computed", s->core.prompt_tokens_computed);
    put_u64(json, "tokens_recomputed", s->core.tokens_recomputed);
    put_u64(json, "tokens_decoded", s->core.tokens_decoded);
    put_u64(json, "kv_alloc_failures", s->core.kv_alloc_failures);
    put_id(json, "digest", s->digest);
    ryz_json_key(json, "fault_hits");
    ryz_json_array_begin(json);
    for (uint32_t i = 0; i < s->fault_count; i++) ryz_json_u64(json, s->fault_hits[i]);
    ryz_json_array_end(json);
    ryz_json_object_end(json);
}
