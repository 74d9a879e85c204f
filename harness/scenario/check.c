/*
 * check.c - what `ryz check` shows.
 *
 * Leaves to others: reading and checking. The idea: keys are walked in the order of the table, with
 * the text that won and its origin, so what is printed is what was built.
 */
#include "harness/scenario/check.h"

#include "engine/base/clock.h"
#include "engine/base/hash.h"
#include "engine/base/ini.h"
#include "harness/scenario/build.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define KEY_COLUMNS   16
#define VALUE_COLUMNS 28

static const struct ryz_built *built_of(const struct ryz_plan *plan)
{
    return (const struct ryz_built *)(const void *)plan;
}

/* Does an axis of this plan set the key? Not in the plan of a point, which has its value. */
static bool is_swept(const struct ryz_built *built, const struct ryz_instance *instance,
                     const struct ryz_key *key)
{
    for (uint32_t i = 0; !built->is_point && i < built->sweep.axis_count; i++) {
        const struct ryz_axis_target *target = &built->targets[i];
        if (target->key == key && &built->settings->instances[target->instance] == instance)
            return true;
    }
    return false;
}

static void print_line(const char *name, const char *value, const char *origin, FILE *out)
{
    /* A comment that would make the line too long to be read again goes above it. */
    size_t length = strlen(value) + strlen(origin) + KEY_COLUMNS + 8;
    bool above = length > RYZ_INI_LINE_MAX;
    if (above) (void)fprintf(out, "; %.180s\n", origin);
    if (above) {
        (void)fprintf(out, "%-*s = %s\n", KEY_COLUMNS, name, value);
    } else {
        (void)fprintf(out, "%-*s = %-*s ; %s\n", KEY_COLUMNS, name, VALUE_COLUMNS, value, origin);
    }
}

/* A default that this traffic does not use would be refused if it were written down. */
static bool is_idle(const struct ryz_built *built, const struct ryz_instance *instance,
                    const struct ryz_key *key, struct ryz_origin origin)
{
    if (key->section != RYZ_SECTION_TRAFFIC || origin.file != RYZ_FROM_DEFAULT) return false;
    for (uint32_t i = 0; i < built->plan.traffic_count; i++) {
        const struct ryz_traffic_plan *traffic = &built->plan.traffic[i];
        if (strcmp(traffic->name, instance->name) == 0)
            return !ryz_rules_traffic_uses(key->name, traffic->arrival);
    }
    return false;
}

static void print_section(const struct ryz_built *built, enum ryz_section section,
                          const struct ryz_instance *instance, FILE *out)
{
    const struct ryz_key *key = NULL;
    const char *name = instance != NULL ? instance->name : "";
    (void)fprintf(out, "\n[%s%s%s]\n", ryz_section_name(section), name[0] != '\0' ? "." : "", name);
    for (size_t i = 0; (key = ryz_key_at(i)) != NULL; i++) {
        struct ryz_origin origin;
        char where[RYZ_PATH_MAX + 16];
        if (key->section != section || key->type == RYZ_VALUE_FILES) continue;
        const char *text = ryz_build_text(built, built->point, instance, key, &origin);
        if (text == NULL || is_swept(built, instance, key) || is_idle(built, instance, key, origin))
            continue;
        print_line(key->name, text,
                   ryz_settings_where(built->settings, origin, where, sizeof where), out);
    }
}

/* [targets] and the axes of [sweep]: the free keys of a section. */
static void print_free_keys(const struct ryz_built *built, const struct ryz_instance *instance,
                            FILE *out)
{
    const struct ryz_settings *settings = built->settings;
    for (uint32_t i = 0; i < settings->setting_count; i++) {
        const struct ryz_setting *setting = &settings->settings[i];
        char where[RYZ_PATH_MAX + 16];
        if (&settings->instances[setting->instance] != instance || setting->key != NULL ||
            ryz_settings_is_outdone(settings, i))
            continue;
        print_line(setting->name, setting->value,
                   ryz_settings_where(settings, setting->origin, where, sizeof where), out);
    }
}

void ryz_plan_print(const struct ryz_plan *plan, FILE *out)
{
    const struct ryz_built *built = built_of(plan);
    struct ryz_settings *settings = built->settings;
    (void)fprintf(out, "; %.180s\n", plan->title);
    for (unsigned s = 0; s < RYZ_SECTION_COUNT; s++) {
        enum ryz_section section = (enum ryz_section)s;
        const struct ryz_instance *instance = ryz_settings_find(settings, section, "");
        bool optional = section == RYZ_SECTION_ACCURACY || section == RYZ_SECTION_MODEL ||
                        section == RYZ_SECTION_SWEEP || section == RYZ_SECTION_TARGETS;
        if (!ryz_section_is_named(section) && (instance != NULL || !optional)) {
            print_section(built, section, instance, out);
            if (instance != NULL && !(built->is_point && section == RYZ_SECTION_SWEEP))
                print_free_keys(built, instance, out);
        }
        for (uint32_t i = 0; ryz_section_is_named(section) && i < settings->instance_count; i++) {
            if (settings->instances[i].section == section)
                print_section(built, section, &settings->instances[i], out);
        }
    }
}

/* Length of one stream from the start of the traffic clock. */
static int64_t stream_ns(const struct ryz_traffic_plan *traffic)
{
    double ns = -1.0;
    if (traffic->arrival == RYZ_ARRIVAL_TRACE) {
        if (traffic->window_end_ns != RYZ_TIME_NEVER)
            ns = (double)(traffic->window_end_ns - traffic->window_begin_ns) / traffic->speed;
    } else {
        bool open = traffic->arrival != RYZ_ARRIVAL_CLOSED;
        if (traffic->duration_ns > 0) ns = (double)traffic->duration_ns;
        if (open && traffic->requests > 0 && traffic->rate_per_s > 0.0) {
            double by_count = traffic->requests / traffic->rate_per_s * 1e9;
            if (ns < 0.0 || by_count < ns) ns = by_count;
        }
    }
    if (ns < 0.0 || ns > 1e18) return RYZ_TIME_NONE;
    return (int64_t)ns + traffic->start_ns;
}

int64_t ryz_plan_traffic_ns(const struct ryz_plan *plan)
{
    int64_t longest = 0;
    for (uint32_t i = 0; i < plan->traffic_count; i++) {
        int64_t ns = stream_ns(&plan->traffic[i]);
        if (ns == RYZ_TIME_NONE) return RYZ_TIME_NONE;
        if (ns > longest) longest = ns;
    }
    return longest;
}

/* "8 min 55 s": a plan is no more exact than that. */
static void format_length(double ns, char *text, size_t capacity)
{
    double seconds = ceil(ns / 1e9);
    if (seconds < 120.0) {
        (void)snprintf(text, capacity, "%.0f s", seconds);
    } else if (seconds < 3600.0) {
        (void)snprintf(text, capacity, "%.0f min %.0f s", floor(seconds / 60.0),
                       fmod(seconds, 60.0));
    } else {
        (void)snprintf(text, capacity, "%.0f h %.0f min", floor(seconds / 3600.0),
                       floor(fmod(seconds, 3600.0) / 60.0));
    }
}

/* Points, runs and how long the traffic of all of them lasts. */
static void print_size(const struct ryz_built *built, FILE *out)
{
    uint32_t points = ryz_sweep_point_count(&built->sweep), unknown = 0;
    uint64_t runs = (uint64_t)points * built->plan.repeats;
    double total_ns = (double)(runs - 1) * (double)built->plan.sweep.cooldown_ns;
    struct ryz_plan *plan = malloc(sizeof *plan);
    if (plan == NULL) return;
    for (uint32_t point = 0; point < points; point++) {
        ryz_build(built, point, plan);
        int64_t ns = ryz_plan_traffic_ns(plan);
        unknown += ns == RYZ_TIME_NONE;
        if (ns != RYZ_TIME_NONE) total_ns += (double)ns * built->plan.repeats;
    }
    free(plan);
    char length[48];
    format_length(total_ns, length, sizeof length);
    (void)fprintf(out, "\n; %u point%s x %u repeat%s = %" PRIu64 " run%s\n", points,
                  points == 1 ? "" : "s", built->plan.repeats, built->plan.repeats == 1 ? "" : "s",
                  runs, runs == 1 ? "" : "s");
    if (unknown == 0) {
        (void)fprintf(out, "; traffic lasts %s in all; loading and draining come on top\n", length);
    } else {
        (void)fprintf(out,
                      "; traffic lasts at least %s in all: closed loops without duration and "
                      "traces without an end take as long as they take\n",
                      length);
    }
}

static enum ryz_status print_mistakes(const struct ryz_settings *settings, FILE *out)
{
    enum ryz_status status = settings->mistakes[0].status;
    for (uint32_t i = 0; i < settings->mistake_count && i < RYZ_MISTAKES_MAX; i++) {
        const struct ryz_mistake *mistake = &settings->mistakes[i];
        char where[RYZ_PATH_MAX + 16];
        (void)fprintf(out, "%s: %s\n",
                      ryz_settings_where(settings, mistake->origin, where, sizeof where),
                      mistake->text);
        if (mistake->status == RYZ_INVALID) status = RYZ_INVALID;
    }
    if (settings->mistake_count > RYZ_MISTAKES_MAX)
        (void)fprintf(out, "and %u more\n", settings->mistake_count - RYZ_MISTAKES_MAX);
    return status;
}

enum ryz_status ryz_plan_check(const char *path, const struct ryz_overrides *overrides, FILE *out)
{
    struct ryz_built *built = NULL;
    struct ryz_error error;
    enum ryz_status status = ryz_build_open(path, overrides, &built, &error);
    if (status != RYZ_OK) {
        (void)fprintf(out, "%s\n", error.text);
        return status;
    }
    if (built->settings->mistake_count > 0) {
        status = print_mistakes(built->settings, out);
    } else {
        ryz_plan_print(&built->plan, out);
        print_size(built, out);
    }
    ryz_plan_close(&built->plan);
    return status;
}

static uint64_t extend(uint64_t digest, const char *text)
{
    return ryz_hash64_extend(digest, text, strlen(text) + 1);
}

uint64_t ryz_plan_digest(const struct ryz_plan *plan)
{
    const struct ryz_built *built = built_of(plan);
    struct ryz_settings *settings = built->settings;
    uint64_t digest = 0;
    const struct ryz_key *key = NULL;
    for (size_t i = 0; (key = ryz_key_at(i)) != NULL; i++) {
        for (uint32_t k = 0; k <= settings->instance_count; k++) {
            struct ryz_origin origin;
            /* One round more for a section that was never opened and has defaults only. */
            const struct ryz_instance *instance =
                k < settings->instance_count ? &settings->instances[k] : NULL;
            bool closed = instance == NULL && !ryz_section_is_named(key->section) &&
                          ryz_settings_find(settings, key->section, "") == NULL;
            if (!closed && (instance == NULL || instance->section != key->section)) continue;
            const char *text = ryz_build_text(built, built->point, instance, key, &origin);
            if (text == NULL || key->type == RYZ_VALUE_FILES) continue;
            digest = extend(digest, ryz_section_name(key->section));
            digest = extend(digest, instance != NULL ? instance->name : "");
            digest = extend(extend(digest, key->name), text);
        }
    }
    for (uint32_t i = 0; i < plan->target_count; i++)
        digest = extend(extend(digest, plan->targets[i].metric), plan->targets[i].text);
    for (uint32_t i = 0; !built->is_point && i < built->sweep.axis_count; i++) {
        const struct ryz_axis *axis = &built->sweep.axes[i];
        digest = extend(digest, axis->key);
        for (uint32_t v = 0; v < axis->count; v++) digest = extend(digest, axis->values[v]);
    }
    return digest;
}
