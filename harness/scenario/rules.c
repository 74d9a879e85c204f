/*
 * rules.c - keys that need, exclude or contradict each other.
 *
 * Leaves to others: single values (values.c). The idea: each check looks at a whole plan and names
 * the line of the key that has to change; a section with a bad value is left alone, because what
 * follows from it would only repeat the message.
 */
#include "harness/scenario/build.h"

#include "engine/base/clock.h"
#include "engine/base/size.h"
#include "harness/scenario/paths.h"
#include "harness/scenario/values.h"

#include <stdio.h>
#include <string.h>

/* One point under inspection. */
struct check {
    struct ryz_built *built;
    struct ryz_settings *settings;
    uint32_t point;
    const struct ryz_plan *plan;
};

/* Where a key was set; where its section starts if it was not; the file if there is no section. */
static struct ryz_origin origin_of(const struct check *check, const struct ryz_instance *instance,
                                   const char *name)
{
    struct ryz_origin origin = {.file = RYZ_FROM_DEFAULT};
    if (instance == NULL) return (struct ryz_origin){.file = 0};
    const struct ryz_key *key = ryz_key_find(instance->section, name);
    if (key != NULL) (void)ryz_build_text(check->built, check->point, instance, key, &origin);
    return origin.file == RYZ_FROM_DEFAULT ? instance->origin : origin;
}

/* Was the key given, by a setting or an axis? A refused value counts as given. */
static bool is_given(const struct check *check, const struct ryz_instance *instance,
                     const char *name)
{
    struct ryz_origin origin = {.file = RYZ_FROM_DEFAULT};
    if (instance == NULL) return false;
    const struct ryz_key *key = ryz_key_find(instance->section, name);
    (void)ryz_build_text(check->built, check->point, instance, key, &origin);
    return origin.file != RYZ_FROM_DEFAULT;
}

static struct ryz_instance *section_of(const struct check *check, enum ryz_section section)
{
    return ryz_settings_find(check->settings, section, "");
}

/* Keys without a default, in [scenario] and in every named section. */
static void check_required(const struct check *check)
{
    const struct ryz_key *key = NULL;
    struct ryz_settings *settings = check->settings;
    if (section_of(check, RYZ_SECTION_SCENARIO) == NULL)
        ryz_settings_mistake(settings, (struct ryz_origin){.file = 0},
                             "there is no [scenario] section, which needs name and schema = 1");
    for (size_t i = 0; (key = ryz_key_at(i)) != NULL; i++) {
        for (uint32_t k = 0; key->fallback == NULL && k < settings->instance_count; k++) {
            struct ryz_instance *instance = &settings->instances[k];
            if (instance->section != key->section || is_given(check, instance, key->name)) continue;
            ryz_settings_mistake(settings, instance->origin, "[%s%s%s] needs %s%s",
                                 ryz_section_name(key->section),
                                 instance->name[0] != '\0' ? "." : "", instance->name, key->name,
                                 strcmp(key->name, "schema") == 0 ? " = 1" : "");
            instance->bad = true;
        }
    }
}

/* For which arrivals a key of [traffic.*] means something; bit = enum ryz_arrival_kind. */
static const struct {
    const char *key;
    unsigned arrivals;
    const char *text;
} traffic_uses[] = {
    {"rate", 1u << RYZ_ARRIVAL_CONSTANT | 1u << RYZ_ARRIVAL_POISSON, "constant and poisson"},
    {"concurrency", 1u << RYZ_ARRIVAL_CLOSED, "closed"},
    {"trace", 1u << RYZ_ARRIVAL_TRACE, "trace"},
    {"format", 1u << RYZ_ARRIVAL_TRACE, "trace"},
    {"window", 1u << RYZ_ARRIVAL_TRACE, "trace"},
    {"speed", 1u << RYZ_ARRIVAL_TRACE, "trace"},
    {"scale_tokens", 1u << RYZ_ARRIVAL_TRACE, "trace"},
    {"prompt", ~(1u << RYZ_ARRIVAL_TRACE), "closed, constant and poisson"},
    {"output", ~(1u << RYZ_ARRIVAL_TRACE), "closed, constant and poisson"},
    {"duration", ~(1u << RYZ_ARRIVAL_TRACE), "closed, constant and poisson"},
};

bool ryz_rules_traffic_uses(const char *key, enum ryz_arrival_kind arrival)
{
    for (size_t i = 0; i < RYZ_COUNT_OF(traffic_uses); i++) {
        if (strcmp(traffic_uses[i].key, key) == 0)
            return (traffic_uses[i].arrivals & 1u << arrival) != 0;
    }
    return true;
}

/* A key that is written beside an arrival that ignores it was meant to do something. Written
 * elsewhere (an include, --set, a swept arrival), it is a leftover and does no harm. */
static void check_unused(const struct check *check, const struct ryz_instance *instance,
                         const struct ryz_traffic_plan *traffic)
{
    struct ryz_origin arrival = origin_of(check, instance, "arrival");
    if (is_given(check, instance, "arrival") &&
        ryz_settings_winner(check->settings, instance,
                            ryz_key_find(RYZ_SECTION_TRAFFIC, "arrival")) == NULL)
        return; /* swept */
    for (size_t i = 0; i < RYZ_COUNT_OF(traffic_uses); i++) {
        const char *key = traffic_uses[i].key;
        struct ryz_origin origin = origin_of(check, instance, key);
        if ((traffic_uses[i].arrivals & 1u << traffic->arrival) == 0 &&
            is_given(check, instance, key) && origin.file == arrival.file)
            ryz_settings_mistake(check->settings, origin,
                                 "[traffic.%s] %s has no effect here: it is for arrival = %s",
                                 instance->name, key, traffic_uses[i].text);
    }
}

/* Files "[traffic.main] arrival = closed needs concurrency". */
static void need(const struct check *check, const struct ryz_instance *instance, bool good,
                 const char *why)
{
    if (!good)
        ryz_settings_mistake(check->settings, origin_of(check, instance, "arrival"),
                             "[traffic.%s] %s", instance->name, why);
}

static void check_traffic(const struct check *check, const struct ryz_instance *instance,
                          const struct ryz_traffic_plan *traffic)
{
    bool ends = traffic->requests > 0 || traffic->duration_ns > 0;
    switch (traffic->arrival) {
    case RYZ_ARRIVAL_CLOSED:
        need(check, instance, traffic->concurrency > 0,
             "arrival = closed needs concurrency, the requests in flight");
        need(check, instance, ends,
             "arrival = closed needs requests or duration, or it never ends");
        break;
    case RYZ_ARRIVAL_CONSTANT:
    case RYZ_ARRIVAL_POISSON:
        need(check, instance, traffic->rate_per_s > 0.0,
             "this arrival needs a rate, like \"rate = 6 /s\"");
        need(check, instance, ends, "this arrival needs duration or requests, or it never ends");
        break;
    case RYZ_ARRIVAL_TRACE:
        need(check, instance, traffic->trace[0] != '\0', "arrival = trace needs trace, a file");
        need(check, instance, is_given(check, instance, "format"),
             "arrival = trace needs format: azure or mooncake");
        break;
    }
    if (traffic->deadline_ns > 0 && traffic->first_deadline_ns > traffic->deadline_ns)
        ryz_settings_mistake(check->settings, origin_of(check, instance, "ttft_deadline"),
                             "[traffic.%s] ttft_deadline is later than deadline, when the whole "
                             "answer is due",
                             instance->name);
    check_unused(check, instance, traffic);
}

/* Is there a channel into the server? Where spawn names {control}, the run makes one. */
static bool has_control(const struct ryz_engine_plan *engine)
{
    return engine->control[0] != '\0' || strstr(engine->spawn, "{control}") != NULL;
}

static bool is_swept(const struct check *check, const struct ryz_key *key)
{
    bool swept = false;
    for (uint32_t i = 0; i < check->built->sweep.axis_count; i++)
        swept |= check->built->targets[i].key == key;
    return swept;
}

/* Does the run need the model file, itself or through the server it starts? Elsewhere the file only
 * lends its words and the length of its context. */
static bool needs_model(const struct ryz_engine_plan *engine)
{
    return engine->target == RYZ_TARGET_EMBEDDED ||
           (engine->target == RYZ_TARGET_HTTP && strstr(engine->spawn, "{model}") != NULL);
}

/* Keys of our own engine do not reach a server that does not get them: where they were written for
 * it (a command line, an axis), the run would not measure what it says. */
static void check_unreached(const struct check *check, const struct ryz_instance *instance)
{
    static const char *const keys[] = {
        "isa",           "threads",      "scheduler",   "max_batch",    "max_batch_tokens",
        "prefill_chunk", "kv",           "kv_type",     "max_queue",    "step_target",
        "quant",         "queue_tokens", "queue_wait",  "starvation",   "admit_late",
        "prefix_cache",  "admit",        "headroom",    "itl_target",   "kv_host",
        "kv_partitions", "speculate",    "draft_model", "draft_tokens", "memory"};
    const struct ryz_engine_plan *engine = &check->plan->engine;
    if (engine->target != RYZ_TARGET_HTTP || strstr(engine->spawn, "{engine}") != NULL) return;
    for (size_t i = 0; i < RYZ_COUNT_OF(keys); i++) {
        if (!is_given(check, instance, keys[i])) continue;
        if (is_swept(check, ryz_key_find(RYZ_SECTION_ENGINE, keys[i])) || engine->spawn[0] != '\0')
            ryz_settings_mistake(check->settings, origin_of(check, instance, keys[i]),
                                 "[engine] %s does not reach the server%s", keys[i],
                                 engine->spawn[0] != '\0'
                                     ? ": put {engine} into spawn, which gives ryz serve the keys "
                                       "of this section"
                                     : " at url; a sweep of it needs spawn with {engine}");
    }
}

/* Inside the process a tenant is the number of a traffic. */
static void check_shares(const struct check *check, const struct ryz_instance *instance)
{
    const struct ryz_plan *plan = check->plan;
    if (plan->engine.target == RYZ_TARGET_HTTP) return;
    for (uint32_t i = 0; i < plan->engine.kv_shares.count; i++) {
        const char *tenant = plan->engine.kv_shares.of[i].tenant;
        bool known = false;
        for (uint32_t t = 0; t < plan->traffic_count; t++)
            known |= strcmp(plan->traffic[t].tenant, tenant) == 0;
        if (!known)
            ryz_settings_mistake(check->settings, origin_of(check, instance, "kv_partitions"),
                                 "[engine] kv_partitions: no traffic has tenant = %s", tenant);
    }
}

static void check_engine(const struct check *check)
{
    const struct ryz_engine_plan *engine = &check->plan->engine;
    const struct ryz_instance *instance = section_of(check, RYZ_SECTION_ENGINE);
    struct ryz_settings *settings = check->settings;
    struct ryz_origin target = origin_of(check, instance, "target");
    bool model = check->plan->model_path[0] != '\0';
    if (engine->target == RYZ_TARGET_EMBEDDED && !model)
        ryz_settings_mistake(settings, target,
                             "the embedded engine needs a model: [model] path = FILE.gguf");
    if (engine->target == RYZ_TARGET_SIMULATOR && engine->cost[0] == '\0')
        ryz_settings_mistake(settings, target,
                             "the simulator needs [engine] cost = RESULTS.h5 of a run on the "
                             "embedded engine");
    if (engine->target == RYZ_TARGET_HTTP && needs_model(engine) && !model)
        ryz_settings_mistake(settings, origin_of(check, instance, "spawn"),
                             "[engine] spawn names {model}, but there is no [model] path");
    if (engine->target == RYZ_TARGET_HTTP && engine->url[0] == '\0')
        ryz_settings_mistake(settings, target,
                             "[engine] target = http needs url, like http://127.0.0.1:8080/v1");
    if (engine->url[0] != '\0' && strncmp(engine->url, "http://", 7) != 0 &&
        strncmp(engine->url, "https://", 8) != 0)
        ryz_settings_mistake(settings, origin_of(check, instance, "url"),
                             "[engine] url: it starts with http:// or https://");
    if (engine->prefill_chunk > engine->max_batch_tokens)
        ryz_settings_mistake(settings, origin_of(check, instance, "prefill_chunk"),
                             "[engine] prefill_chunk %u is larger than max_batch_tokens %u",
                             engine->prefill_chunk, engine->max_batch_tokens);
    if (engine->kv_host_bytes > 0 && !engine->prefix_cache)
        ryz_settings_mistake(settings, origin_of(check, instance, "kv_host"),
                             "[engine] kv_host keeps what the prefix cache evicts: it needs "
                             "prefix_cache = yes");
    if (engine->kv_host_bytes > 0 && engine->target == RYZ_TARGET_SIMULATOR && !model)
        ryz_settings_mistake(settings, origin_of(check, instance, "kv_host"),
                             "[engine] kv_host in the simulator needs a [model] path, which gives "
                             "the size of a block");
    if (strcmp(engine->speculate, "draft") == 0 && engine->draft_model[0] == '\0' &&
        engine->target != RYZ_TARGET_SIMULATOR)
        ryz_settings_mistake(settings, origin_of(check, instance, "speculate"),
                             "[engine] speculate = draft needs draft_model = FILE.gguf, a small "
                             "model with the vocabulary of the model");
    if (engine->target == RYZ_TARGET_SIMULATOR && is_given(check, instance, "memory"))
        ryz_settings_mistake(settings, origin_of(check, instance, "memory"),
                             "[engine] memory: the simulator has none; give it kv");
    check_unreached(check, instance);
    check_shares(check, instance);
    if (engine->target != RYZ_TARGET_EMBEDDED && check->plan->mode != RYZ_MODE_PERFORMANCE)
        ryz_settings_mistake(settings, target,
                             "accuracy is measured on the embedded engine only: set target = "
                             "embedded, or mode = performance");
}

/* Can the target be hit there? "" or the reason why not. */
static const char *fault_place(const struct ryz_engine_plan *engine, enum ryz_fault_point point)
{
    bool server = engine->target == RYZ_TARGET_HTTP;
    switch (point) {
    case RYZ_FAULT_SERVER:
        return server && engine->spawn[0] != '\0'
                   ? ""
                   : "needs target = http and a spawn command: ryz kills only what it started";
    case RYZ_FAULT_NET_WRITE:
        return server && has_control(engine) ? ""
                                             : "needs target = http and control, the socket of ryz "
                                               "serve (or {control} in spawn)";
    case RYZ_FAULT_CLIENT:
        return "";
    default:
        return !server || has_control(engine) ? ""
                                              : "reaches into the engine: over http it needs "
                                                "control, the socket of ryz serve (or {control} "
                                                "in spawn)";
    }
}

static void check_fault(const struct check *check, const struct ryz_instance *instance,
                        const struct ryz_fault *fault)
{
    struct ryz_settings *settings = check->settings;
    const char *point = ryz_fault_point_name(fault->point);
    struct ryz_origin origin;
    const struct ryz_key *action = ryz_key_find(RYZ_SECTION_FAULT, "do");
    const char *text = ryz_build_text(check->built, check->point, instance, action, &origin);
    if (!ryz_fault_point_allows(fault->point, fault->action))
        ryz_settings_mistake(settings, origin, "[fault.%s] \"%s\" cannot happen at %s",
                             instance->name, text, point);
    const char *why = fault_place(&check->plan->engine, fault->point);
    if (why[0] != '\0')
        ryz_settings_mistake(settings, origin_of(check, instance, "where"), "[fault.%s] %s %s",
                             instance->name, point, why);
    bool share = is_given(check, instance, "share");
    if (share && text != NULL && ryz_value_action_has_share(text))
        ryz_settings_mistake(settings, origin_of(check, instance, "share"),
                             "[fault.%s] the share is given twice, here and in \"do = %s\"",
                             instance->name, text);
    if (fault->action == RYZ_FAULT_KILL && (share || is_given(check, instance, "for")))
        ryz_settings_mistake(settings, origin,
                             "[fault.%s] a kill happens once, at its time: it has no %s",
                             instance->name, share ? "share" : "for");
}

static void check_accuracy(const struct check *check)
{
    const struct ryz_instance *instance = section_of(check, RYZ_SECTION_ACCURACY);
    if (!check->plan->accuracy.enabled || check->plan->accuracy.set[0] != '\0') return;
    struct ryz_origin origin = origin_of(check, section_of(check, RYZ_SECTION_SCENARIO), "mode");
    if (instance != NULL) origin = instance->origin;
    ryz_settings_mistake(check->settings, origin,
                         "this mode measures accuracy and needs [accuracy] set = TEXT");
}

/* The file's name is made from a template: only known placeholders, no folders. */
static void check_output(const struct check *check)
{
    const struct ryz_instance *instance = section_of(check, RYZ_SECTION_OUTPUT);
    const struct ryz_output_plan *output = &check->plan->output;
    struct ryz_origin origin = origin_of(check, instance, "hdf5");
    for (const char *at = strchr(output->hdf5, '{'); at != NULL; at = strchr(at + 1, '{')) {
        size_t length = strcspn(at, "}");
        char word[16];
        (void)snprintf(word, sizeof word, "%.*s", length > 1 ? (int)length - 1 : 0, at + 1);
        if (at[length] != '}' || ryz_value_index_of("name commit time seed", word) < 0)
            ryz_settings_mistake(check->settings, origin,
                                 "[output] hdf5: there are {name} {commit} {time} {seed}, but no "
                                 "\"%.20s\"",
                                 at);
    }
    if (strchr(output->hdf5, '/') != NULL)
        ryz_settings_mistake(check->settings, origin,
                             "[output] hdf5 is a file name; its folder goes to dir");
    if (ryz_value_index_of(output->plots, "none") >= 0 && strcmp(output->plots, "none") != 0)
        ryz_settings_mistake(check->settings, origin_of(check, instance, "plots"),
                             "[output] plots: \"none\" stands alone");
}

void ryz_rules_check_point(struct ryz_built *built, uint32_t point, const struct ryz_plan *plan)
{
    struct ryz_settings *settings = built->settings;
    const struct check check = {built, settings, point, plan};
    check_required(&check);
    const struct ryz_instance *engine = section_of(&check, RYZ_SECTION_ENGINE);
    const struct ryz_instance *scenario = section_of(&check, RYZ_SECTION_SCENARIO);
    bool engine_good = engine == NULL || !engine->bad;
    if (engine_good) check_engine(&check);
    uint32_t traffic = 0, fault = 0;
    for (uint32_t i = 0; i < settings->instance_count; i++) {
        const struct ryz_instance *instance = &settings->instances[i];
        if (instance->section == RYZ_SECTION_TRAFFIC) {
            const struct ryz_traffic_plan *stream = &plan->traffic[traffic++];
            if (!instance->bad) check_traffic(&check, instance, stream);
        } else if (instance->section == RYZ_SECTION_FAULT) {
            const struct ryz_fault *one = &plan->faults[fault++];
            if (!instance->bad && engine_good) check_fault(&check, instance, one);
        }
    }
    if (scenario == NULL || scenario->bad) return;
    if (traffic == 0 && plan->mode != RYZ_MODE_ACCURACY)
        ryz_settings_mistake(settings, (struct ryz_origin){.file = 0},
                             "there is no traffic: a [traffic.main] section says what is sent");
    check_accuracy(&check);
    check_output(&check);
}

/* Beside the file that names it; on the command line, from where ryz was started. */
static const char *folder_of(const struct check *check, const struct ryz_origin origin)
{
    return origin.file >= 0 ? check->settings->files[origin.file].folder : NULL;
}

/* Resolves one path in place; empties it where there is no such file. */
static void try_path(const struct check *check, const struct ryz_instance *instance,
                     const char *name, char *path)
{
    char found[RYZ_PATH_MAX] = "";
    const char *folder = folder_of(check, origin_of(check, instance, name));
    if (path[0] == '\0') return;
    if (ryz_paths_find(path, folder, ryz_paths_data_folder(), found, sizeof found, NULL) != RYZ_OK)
        found[0] = '\0';
    memcpy(path, found, strlen(found) + 1); /* both have RYZ_PATH_MAX bytes */
}

/* Resolves one path in place; `command` tells how to get such a file. */
static void find_path(const struct check *check, const struct ryz_instance *instance,
                      const char *name, char *path, const char *command)
{
    char found[RYZ_PATH_MAX], text[sizeof check->settings->mistakes[0].text];
    struct ryz_error error;
    struct ryz_origin origin = origin_of(check, instance, name);
    const char *folder = folder_of(check, origin);
    if (path[0] == '\0') return;
    enum ryz_status status =
        ryz_paths_find(path, folder, ryz_paths_data_folder(), found, sizeof found, &error);
    if (status == RYZ_OK) {
        memcpy(path, found, strlen(found) + 1); /* both have RYZ_PATH_MAX bytes */
        return;
    }
    int room = (int)(sizeof text - 64 - strlen(command) - strlen(name));
    (void)snprintf(text, sizeof text, "[%s%s%s] %s: %.*s; get it with: %s",
                   ryz_section_name(instance->section), instance->name[0] != '\0' ? "." : "",
                   instance->name, name, room, error.text, command);
    ryz_settings_absent(check->settings, origin, status, text);
}

void ryz_rules_find_paths(struct ryz_built *built, uint32_t point, struct ryz_plan *plan)
{
    struct ryz_settings *settings = built->settings;
    const struct check check = {built, settings, point, plan};
    enum ryz_target_kind target = plan->engine.target;
    bool simulated = target == RYZ_TARGET_SIMULATOR;
    if (needs_model(&plan->engine))
        find_path(&check, section_of(&check, RYZ_SECTION_MODEL), "path", plan->model_path,
                  "tools/get-model.sh smollm2");
    else
        try_path(&check, section_of(&check, RYZ_SECTION_MODEL), "path", plan->model_path);
    if (strcmp(plan->engine.speculate, "draft") == 0 && !simulated)
        find_path(&check, section_of(&check, RYZ_SECTION_ENGINE), "draft_model",
                  plan->engine.draft_model, "git pull");
    if (simulated)
        find_path(&check, section_of(&check, RYZ_SECTION_ENGINE), "cost", plan->engine.cost,
                  "ryz run, on the embedded engine");
    if (plan->accuracy.enabled)
        find_path(&check, section_of(&check, RYZ_SECTION_ACCURACY), "set", plan->accuracy.set,
                  "tools/get-data.sh");
    uint32_t traffic = 0;
    for (uint32_t i = 0; i < settings->instance_count; i++) {
        const struct ryz_instance *instance = &settings->instances[i];
        if (instance->section != RYZ_SECTION_TRAFFIC) continue;
        struct ryz_traffic_plan *stream = &plan->traffic[traffic++];
        if (stream->arrival == RYZ_ARRIVAL_TRACE)
            find_path(&check, instance, "trace", stream->trace, "tools/get-data.sh");
    }
}
