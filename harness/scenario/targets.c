/*
 * targets.c - "ttft.p99 = <= 250 ms" as far as it can be read without knowing the metrics.
 *
 * Leaves to others: which metrics there are and what their unit is (evaluate/).
 */
#include "harness/scenario/build.h"

#include "engine/base/size.h"
#include "engine/base/units.h"
#include "harness/scenario/values.h"

#include <stdio.h>
#include <string.h>

/* Words of a-z, 0-9 and _, joined by single dots. */
static bool is_metric(const char *name)
{
    size_t length = strlen(name);
    bool good = length > 0 && length < sizeof((struct ryz_target_plan *)0)->metric &&
                name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_.")] == '\0';
    return good && name[0] != '.' && name[length - 1] != '.' && strstr(name, "..") == NULL;
}

static bool read_op(const char **text, enum ryz_op *op)
{
    static const struct {
        const char *text;
        enum ryz_op op;
    } ops[] = {{"<=", RYZ_OP_LE},
               {">=", RYZ_OP_GE},
               {"==", RYZ_OP_EQ},
               {"<", RYZ_OP_LT},
               {">", RYZ_OP_GT}};
    for (size_t i = 0; i < RYZ_COUNT_OF(ops); i++) {
        size_t length = strlen(ops[i].text);
        if (strncmp(*text, ops[i].text, length) == 0) {
            *op = ops[i].op;
            *text += length;
            *text += strspn(*text, " \t");
            return true;
        }
    }
    return false;
}

/* The unit decides what kind of quantity it is; a bare number is a count. */
static bool read_quantity(const char *text, struct ryz_target_plan *target)
{
    static const enum ryz_unit_kind kinds[] = {RYZ_UNIT_TIME,  RYZ_UNIT_RATE,   RYZ_UNIT_RATIO,
                                               RYZ_UNIT_BYTES, RYZ_UNIT_TOKENS, RYZ_UNIT_COUNT};
    for (size_t i = 0; i < RYZ_COUNT_OF(kinds); i++) {
        if (ryz_units_parse(text, kinds[i], &target->value, NULL) == RYZ_OK) {
            const char *unit = text + strspn(text, "0123456789.");
            if (*unit == 'e' || *unit == 'E') unit += 1 + strspn(unit + 1, "+-0123456789");
            unit += strspn(unit, " \t");
            (void)snprintf(target->unit, sizeof target->unit, "%s", unit);
            return true;
        }
    }
    return false;
}

static void read_target(struct ryz_settings *settings, const struct ryz_setting *setting,
                        struct ryz_plan *plan)
{
    struct ryz_target_plan target = {.op = RYZ_OP_LE};
    const char *text = setting->value;
    if (!is_metric(setting->name)) {
        ryz_settings_mistake(settings, setting->origin,
                             "[targets] \"%.60s\" is no metric: write it like \"ttft.p99\", of "
                             "words of a-z, 0-9 and _ with dots between",
                             setting->name);
    } else if (!read_op(&text, &target.op)) {
        ryz_settings_mistake(settings, setting->origin,
                             "[targets] %.60s: \"%.40s\" has no comparison: write \"<= 250 ms\" "
                             "(<= >= == < >)",
                             setting->name, setting->value);
    } else if (!read_quantity(text, &target)) {
        ryz_settings_mistake(settings, setting->origin,
                             "[targets] %.60s: \"%.40s\" is no quantity: write it like \"250 ms\", "
                             "\"6 /s\", \"99 %%\", \"2 x\" or \"0\"",
                             setting->name, text);
    } else if (plan->target_count == RYZ_TARGETS_MAX ||
               strlen(setting->value) >= sizeof target.text) {
        ryz_settings_mistake(settings, setting->origin,
                             "[targets] %.60s: up to %u targets of up to %zu characters",
                             setting->name, RYZ_TARGETS_MAX, sizeof target.text - 1);
    } else {
        (void)snprintf(target.metric, sizeof target.metric, "%s", setting->name);
        (void)snprintf(target.text, sizeof target.text, "%s", setting->value);
        plan->targets[plan->target_count++] = target;
    }
}

void ryz_targets_read(struct ryz_settings *settings, struct ryz_plan *plan)
{
    const struct ryz_instance *instance = ryz_settings_find(settings, RYZ_SECTION_TARGETS, "");
    plan->target_count = 0;
    for (uint32_t i = 0; instance != NULL && i < settings->setting_count; i++) {
        const struct ryz_setting *setting = &settings->settings[i];
        if (setting->instance == (uint32_t)(instance - settings->instances) && !setting->bad &&
            !ryz_settings_is_outdone(settings, i))
            read_target(settings, setting, plan);
    }
}
