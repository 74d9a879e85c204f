/*
 * sweep.c - the axes of a sweep and the grid they span.
 *
 * Leaves to others: building the plan of a point (build.c) and running it. The idea: a point is a
 * number; its digits in the mixed radix of the axes' counts are the indices of the values.
 */
#include "harness/scenario/build.h"

#include "engine/base/rng.h"
#include "engine/base/units.h"
#include "harness/scenario/values.h"

#include <stdio.h>
#include <string.h>

/* Sections whose keys make sense as an axis; the others describe the file or its results. */
static bool is_sweepable(enum ryz_section section)
{
    return section == RYZ_SECTION_ENGINE || section == RYZ_SECTION_MODEL ||
           section == RYZ_SECTION_TRAFFIC || section == RYZ_SECTION_FAULT ||
           section == RYZ_SECTION_ACCURACY;
}

/* The next value of an axis: values are separated by " | " where there is one in the text, else by
 * blanks, so that "fixed 64 | fixed 256" can be swept too. */
static bool next_value(const char **rest, bool bars, char *value, size_t capacity)
{
    if (!bars) return ryz_value_next_word(rest, value, capacity);
    if (**rest == '\0') return false;
    size_t length = strcspn(*rest, "|");
    const char *from = *rest;
    *rest += length + ((*rest)[length] == '|');
    while (length > 0 && strchr(" \t", *from) != NULL) {
        from++;
        length--;
    }
    while (length > 0 && strchr(" \t", from[length - 1]) != NULL) length--;
    (void)snprintf(value, capacity, "%.*s", (int)length, from);
    return true;
}

/* Tries one value out; false after a mistake was filed. */
static bool check_value(struct ryz_settings *settings, const struct ryz_setting *setting,
                        const struct ryz_axis *axis, const struct ryz_key *key, const char *value)
{
    struct ryz_error error;
    for (uint32_t i = 0; i < axis->count; i++) {
        if (strcmp(axis->values[i], value) == 0) {
            ryz_settings_mistake(settings, setting->origin, "[sweep] %s: \"%s\" is there twice",
                                 axis->key, value);
            return false;
        }
    }
    if (ryz_value_set(key, value, &settings->scratch, &error) == RYZ_OK) return true;
    const char *hint = value[strspn(value, "0123456789.")] == '\0' && value[0] != '\0' &&
                               key->type != RYZ_VALUE_ENUM && key->type != RYZ_VALUE_WORD
                           ? "; in a list the unit follows without a blank"
                           : "";
    ryz_settings_mistake(settings, setting->origin, "[sweep] %s: %s%s", axis->key, error.text,
                         hint);
    return false;
}

static void read_values(struct ryz_settings *settings, const struct ryz_setting *setting,
                        const struct ryz_key *key, struct ryz_axis *axis)
{
    char value[RYZ_PATH_MAX];
    bool bars = strchr(setting->value, '|') != NULL;
    for (const char *rest = setting->value; next_value(&rest, bars, value, sizeof value);) {
        if (axis->count == RYZ_VALUES_MAX || strlen(value) >= sizeof axis->values[0]) {
            ryz_settings_mistake(settings, setting->origin,
                                 "[sweep] %s: up to %u values of up to %zu characters", axis->key,
                                 RYZ_VALUES_MAX, sizeof axis->values[0] - 1);
            return;
        }
        if (!check_value(settings, setting, axis, key, value)) return;
        (void)snprintf(axis->values[axis->count++], sizeof axis->values[0], "%.31s", value);
    }
}

/* A key that the command line fixes cannot be swept as well: which of the two was meant? */
static void refuse_fixed(struct ryz_settings *settings, const struct ryz_instance *instance,
                         const struct ryz_key *key, const char *path)
{
    const struct ryz_setting *winner = ryz_settings_winner(settings, instance, key);
    if (winner != NULL && winner->origin.file == RYZ_FROM_COMMAND_LINE)
        ryz_settings_mistake(settings, winner->origin,
                             "this key is swept; set the axis instead: --set \"sweep.%s=%s\"", path,
                             winner->value);
}

static void read_axis(struct ryz_built *built, uint32_t index)
{
    struct ryz_settings *settings = built->settings;
    const struct ryz_setting *setting = &settings->settings[index];
    struct ryz_instance *instance = NULL;
    const struct ryz_key *key = NULL;
    struct ryz_error error;
    if (built->sweep.axis_count == RYZ_AXES_MAX) {
        ryz_settings_mistake(settings, setting->origin, "[sweep] more than %u axes", RYZ_AXES_MAX);
        return;
    }
    if (ryz_settings_resolve(settings, setting->name, &instance, &key, &error) != RYZ_OK) {
        ryz_settings_mistake(settings, setting->origin, "[sweep] %s: %s", setting->name,
                             error.text);
        return;
    }
    if (!is_sweepable(key->section)) {
        ryz_settings_mistake(settings, setting->origin, "[sweep] %s: keys of [%s] are not swept",
                             setting->name, ryz_section_name(key->section));
        return;
    }
    if (instance == NULL)
        instance = ryz_settings_section(settings, ryz_section_name(key->section), setting->origin);
    refuse_fixed(settings, instance, key, setting->name);
    uint32_t number = built->sweep.axis_count++;
    struct ryz_axis *axis = &built->sweep.axes[number];
    (void)snprintf(axis->key, sizeof axis->key, "%s", setting->name);
    built->targets[number] = (struct ryz_axis_target){
        .instance = (uint32_t)(instance - settings->instances), .key = key, .setting = index};
    read_values(settings, setting, key, axis);
    if (axis->count == 0) built->sweep.axis_count--; /* its mistake is on file */
}

void ryz_sweep_read(struct ryz_built *built)
{
    struct ryz_settings *settings = built->settings;
    struct ryz_instance *instance = ryz_settings_find(settings, RYZ_SECTION_SWEEP, "");
    if (instance == NULL) return;
    for (uint32_t i = 0; i < settings->setting_count; i++) {
        const struct ryz_setting *setting = &settings->settings[i];
        if (setting->instance == (uint32_t)(instance - settings->instances) &&
            setting->key == NULL && !setting->bad && !ryz_settings_is_outdone(settings, i))
            read_axis(built, i);
    }
    uint64_t points = 1;
    for (uint32_t i = 0; i < built->sweep.axis_count; i++) points *= built->sweep.axes[i].count;
    if (points > RYZ_POINTS_MAX) {
        ryz_settings_mistake(settings, instance->origin, "[sweep] %llu points; a grid has up to %u",
                             (unsigned long long)points, RYZ_POINTS_MAX);
        built->sweep.axis_count = 0;
    }
}

uint32_t ryz_sweep_point_count(const struct ryz_sweep_plan *sweep)
{
    uint32_t count = 1;
    for (uint32_t i = 0; i < sweep->axis_count; i++) count *= sweep->axes[i].count;
    return count;
}

uint32_t ryz_sweep_value_index(const struct ryz_sweep_plan *sweep, uint32_t point, uint32_t axis)
{
    for (uint32_t i = sweep->axis_count; i-- > axis + 1;) point /= sweep->axes[i].count;
    return point % sweep->axes[axis].count;
}

void ryz_sweep_label(const struct ryz_sweep_plan *sweep, uint32_t point, char *label,
                     size_t capacity)
{
    size_t used = 0;
    if (capacity > 0) label[0] = '\0';
    for (uint32_t i = 0; i < sweep->axis_count && used < capacity; i++) {
        const struct ryz_axis *axis = &sweep->axes[i];
        int length = snprintf(label + used, capacity - used, "%s%s=%s", i > 0 ? " " : "", axis->key,
                              axis->values[ryz_sweep_value_index(sweep, point, i)]);
        used += length > 0 ? (size_t)length : 0;
    }
}

uint32_t ryz_plan_point_count(const struct ryz_plan *plan)
{
    return ryz_sweep_point_count(&plan->sweep);
}

void ryz_plan_order(const struct ryz_plan *plan, uint32_t *order)
{
    uint32_t count = ryz_plan_point_count(plan);
    struct ryz_rng rng;
    ryz_rng_init(&rng, plan->seed, UINT64_C(0x7377656570)); /* "sweep" */
    for (uint32_t i = 0; i < count; i++) order[i] = i;
    for (uint32_t i = count; plan->sweep.shuffled && i > 1; i--) {
        uint32_t j = (uint32_t)ryz_rng_below(&rng, i);
        uint32_t swapped = order[i - 1];
        order[i - 1] = order[j];
        order[j] = swapped;
    }
}
