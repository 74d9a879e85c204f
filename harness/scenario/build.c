/*
 * build.c - one plan from defaults, settings and the values of a sweep's point.
 *
 * Leaves to others: what is wrong with it (rules.c). The idea: a plan is always built from scratch,
 * never changed, so the plan of a point cannot depend on another point.
 */
#include "harness/scenario/build.h"

#include "engine/base/assert.h"
#include "engine/base/clock.h"
#include "engine/base/size.h"
#include "harness/scenario/values.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFILL_CHUNK_AUTO 256u /* tokens */

/* The struct that the keys of a section write to; `ordinal` counts sections of one kind. */
static void *section_base(struct ryz_plan *plan, enum ryz_section section, uint32_t ordinal)
{
    switch (section) {
    case RYZ_SECTION_ENGINE:
        return &plan->engine;
    case RYZ_SECTION_TRAFFIC:
        return &plan->traffic[ordinal];
    case RYZ_SECTION_FAULT:
        return &plan->faults[ordinal];
    case RYZ_SECTION_ACCURACY:
        return &plan->accuracy;
    case RYZ_SECTION_SWEEP:
        return &plan->sweep;
    case RYZ_SECTION_OUTPUT:
        return &plan->output;
    default:
        return plan;
    }
}

const char *ryz_build_text(const struct ryz_built *built, uint32_t point,
                           const struct ryz_instance *instance, const struct ryz_key *key,
                           struct ryz_origin *origin)
{
    const struct ryz_settings *settings = built->settings;
    for (uint32_t i = 0; instance != NULL && i < built->sweep.axis_count; i++) {
        const struct ryz_axis_target *target = &built->targets[i];
        if (target->key == key && &settings->instances[target->instance] == instance) {
            *origin = settings->settings[target->setting].origin;
            return built->sweep.axes[i].values[ryz_sweep_value_index(&built->sweep, point, i)];
        }
    }
    const struct ryz_setting *winner = ryz_settings_winner(settings, instance, key);
    if (winner != NULL) {
        *origin = winner->origin;
        return winner->bad ? NULL : winner->value;
    }
    *origin = (struct ryz_origin){.file = RYZ_FROM_DEFAULT};
    return key->fallback != NULL && key->fallback[0] != '\0' ? key->fallback : NULL;
}

/* Sets all keys of one section. */
static void build_section(const struct ryz_built *built, uint32_t point, enum ryz_section section,
                          const struct ryz_instance *instance, void *base)
{
    const struct ryz_key *key = NULL;
    struct ryz_origin origin;
    for (size_t i = 0; (key = ryz_key_at(i)) != NULL; i++) {
        if (key->section != section) continue;
        const char *text = ryz_build_text(built, point, instance, key, &origin);
        if (text == NULL) continue;
        enum ryz_status status = ryz_value_set(key, text, base, NULL);
        RYZ_ASSERT(status == RYZ_OK); /* it was tried out when it was added */
    }
}

/* `for` was stored as a length: an open end where there is none. */
static void finish_fault(struct ryz_fault *fault, const char *name)
{
    (void)snprintf(fault->name, sizeof fault->name, "%s", name);
    fault->until_ns = fault->until_ns == 0 ? RYZ_TIME_NEVER : fault->at_ns + fault->until_ns;
}

#define KV_AUTO_BYTES (UINT64_C(256) << 20)

/* prefill_chunk = auto: never larger than the step the scenario asks for. kv = auto stays 0 where
 * the engine has to say what the memory leaves. */
static void finish_engine(struct ryz_engine_plan *engine)
{
    if (engine->prefill_chunk == 0)
        engine->prefill_chunk = ryz_min_u32(PREFILL_CHUNK_AUTO, engine->max_batch_tokens);
    if (engine->kv_bytes == 0 && engine->memory.bytes == 0 && engine->memory.permille == 0)
        engine->kv_bytes = KV_AUTO_BYTES;
}

static void build_named(const struct ryz_built *built, uint32_t point,
                        const struct ryz_instance *instance, struct ryz_plan *plan)
{
    if (instance->section == RYZ_SECTION_TRAFFIC) {
        struct ryz_traffic_plan *traffic =
            section_base(plan, instance->section, plan->traffic_count++);
        build_section(built, point, instance->section, instance, traffic);
        (void)snprintf(traffic->name, sizeof traffic->name, "%s", instance->name);
    } else if (instance->section == RYZ_SECTION_FAULT) {
        struct ryz_fault *fault = section_base(plan, instance->section, plan->fault_count++);
        build_section(built, point, instance->section, instance, fault);
        finish_fault(fault, instance->name);
    }
}

void ryz_build(const struct ryz_built *built, uint32_t point, struct ryz_plan *plan)
{
    struct ryz_settings *settings = built->settings;
    memset(plan, 0, sizeof *plan);
    for (unsigned s = 0; s < RYZ_SECTION_COUNT; s++) {
        enum ryz_section section = (enum ryz_section)s;
        if (ryz_section_is_named(section)) continue;
        const struct ryz_instance *instance = ryz_settings_find(settings, section, "");
        build_section(built, point, section, instance, section_base(plan, section, 0));
        if (section == RYZ_SECTION_ENGINE) finish_engine(&plan->engine);
    }
    for (uint32_t i = 0; i < settings->instance_count; i++)
        build_named(built, point, &settings->instances[i], plan);
    plan->accuracy.enabled = plan->mode != RYZ_MODE_PERFORMANCE;
    (void)snprintf(plan->title, sizeof plan->title, "%s",
                   settings->title[0] != '\0' ? settings->title : plan->name);
    plan->source = settings->source;
    plan->source_bytes = settings->source_bytes;
    (void)snprintf(plan->source_path, sizeof plan->source_path, "%s", settings->files[0].path);
}

/* Checks every point, so that the tenth hour of a sweep does not end in a bad combination. */
static void check_points(struct ryz_built *built)
{
    uint32_t count = ryz_sweep_point_count(&built->sweep);
    struct ryz_plan *plan = malloc(sizeof *plan);
    if (plan == NULL) {
        ryz_settings_absent(built->settings, (struct ryz_origin){0, 0}, RYZ_NO_MEMORY,
                            "out of memory");
        return;
    }
    for (uint32_t point = 0; point < count; point++) {
        ryz_build(built, point, plan);
        ryz_rules_check_point(built, point, plan);
        ryz_rules_find_paths(built, point, plan);
    }
    free(plan);
}

enum ryz_status ryz_build_open(const char *path, const struct ryz_overrides *overrides,
                               struct ryz_built **out, struct ryz_error *error)
{
    struct ryz_built *built = calloc(1, sizeof *built);
    struct ryz_settings *settings = ryz_settings_open();
    *out = NULL;
    if (built == NULL || settings == NULL) {
        free(built);
        ryz_settings_release(settings);
        return ryz_fail(error, RYZ_NO_MEMORY, "no memory to read %s", path);
    }
    built->settings = settings;
    enum ryz_status status = ryz_settings_read(settings, path, overrides, error);
    if (status != RYZ_OK) {
        ryz_settings_release(settings);
        free(built);
        return status;
    }
    ryz_sweep_read(built);
    check_points(built);
    ryz_build(built, 0, &built->plan);
    ryz_targets_read(settings, &built->plan);
    ryz_rules_find_paths(built, 0, &built->plan);
    built->sweep.shuffled = built->plan.sweep.shuffled;
    built->sweep.cooldown_ns = built->plan.sweep.cooldown_ns;
    built->plan.sweep = built->sweep;
    ryz_settings_sort_mistakes(settings);
    *out = built;
    return RYZ_OK;
}
