/*
 * targets.c - "ttft.p99 = <= 250 ms" and "a.ttft.p99 = <= 1.2 x of b.ttft.p99 + b.step.max" as far
 * as they can be read without knowing the metrics.
 *
 * Leaves to others: which metrics there are and what their unit is (evaluate/).
 */
#include "harness/scenario/build.h"

#include "engine/base/size.h"
#include "engine/base/units.h"
#include "harness/scenario/values.h"

#include <stdio.h>
#include <string.h>

#define WORD_LETTERS "abcdefghijklmnopqrstuvwxyz0123456789_/@%"
#define SIZE_LETTERS WORD_LETTERS "BKMGi"

/* Words of a-z, 0-9 and _, joined by single dots; '/', '@' and '%' for swept rates and shares,
 * "5/s.ttft.p99", and the units of a swept size, "64MiB.cache.hit", in a word that begins with a
 * digit. */
static bool is_metric(const char *name)
{
    size_t length = strlen(name);
    bool good = length > 0 && length < sizeof((struct ryz_target_plan *)0)->metric;
    for (const char *word = name; good && *word != '\0';) {
        bool number = *word >= '0' && *word <= '9';
        word += strspn(word, number ? SIZE_LETTERS : WORD_LETTERS);
        good = *word == '.' || *word == '\0';
        if (*word == '.') word++;
    }
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

/* text[0 .. length) without the blanks around it; cut off at the capacity. */
static void copy_trimmed(const char *text, size_t length, char *out, size_t capacity)
{
    while (length > 0 && strchr(" \t", *text) != NULL) {
        text++;
        length--;
    }
    while (length > 0 && strchr(" \t", text[length - 1]) != NULL) length--;
    (void)snprintf(out, capacity, "%.*s", (int)length, text);
}

/* The word "of" between blanks; NULL if there is none. */
static const char *find_of(const char *text)
{
    for (const char *at = strstr(text, "of"); at != NULL; at = strstr(at + 1, "of")) {
        bool before = at > text && strchr(" \t", at[-1]) != NULL;
        if (before && strchr(" \t", at[2]) != NULL) return at; /* also at the end of the text */
    }
    return NULL;
}

static bool read_metric(struct ryz_settings *settings, const struct ryz_setting *setting,
                        const char *text, size_t length, char *out, size_t capacity)
{
    char metric[RYZ_PATH_MAX];
    copy_trimmed(text, length, metric, sizeof metric);
    if (is_metric(metric)) {
        (void)snprintf(out, capacity, "%.63s", metric);
        return true;
    }
    ryz_settings_mistake(settings, setting->origin,
                         "[targets] %.60s: \"%.60s\" is no metric: write it like "
                         "\"1.2 x of OTHER.ttft.p99\" or \"1.2 x of OTHER.ttft.p99 + step.max\"",
                         setting->name, metric);
    return false;
}

/* "FACTOR of METRIC" or "FACTOR of METRIC + METRIC"; `of` is where the word stands. */
static bool read_factor(struct ryz_settings *settings, const struct ryz_setting *setting,
                        const char *text, const char *of, struct ryz_target_plan *target)
{
    char factor[RYZ_PATH_MAX];
    const char *metric = of + strlen("of"), *plus = strchr(metric, '+');
    size_t length = plus != NULL ? (size_t)(plus - metric) : strlen(metric);
    copy_trimmed(text, (size_t)(of - text), factor, sizeof factor);
    if (!read_quantity(factor, target) ||
        (strcmp(target->unit, "x") != 0 && strcmp(target->unit, "%") != 0)) {
        ryz_settings_mistake(settings, setting->origin,
                             "[targets] %.60s: \"%.40s\" is no factor: write it like "
                             "\"1.5 x of OTHER.METRIC\" or \"150 %% of OTHER.METRIC\"",
                             setting->name, factor);
        return false;
    }
    return read_metric(settings, setting, metric, length, target->of, sizeof target->of) &&
           (plus == NULL || read_metric(settings, setting, plus + 1, strlen(plus + 1), target->plus,
                                        sizeof target->plus));
}

/* "file:line" of a message; of a long path the end. */
static void note_origin(const struct ryz_settings *settings, struct ryz_origin origin,
                        struct ryz_target_plan *target)
{
    char where[RYZ_PATH_MAX + 32];
    (void)ryz_settings_where(settings, origin, where, sizeof where);
    size_t length = strlen(where), room = sizeof target->where - 1;
    (void)snprintf(target->where, sizeof target->where, "%.47s",
                   where + (length > room ? length - room : 0));
}

/* The right side behind its comparison; false after a mistake was filed. */
static bool read_bound(struct ryz_settings *settings, const struct ryz_setting *setting,
                       const char *text, struct ryz_target_plan *target)
{
    const char *of = find_of(text);
    if (of != NULL) return read_factor(settings, setting, text, of, target);
    if (read_quantity(text, target)) return true;
    ryz_settings_mistake(settings, setting->origin,
                         "[targets] %.60s: \"%.40s\" is no quantity: write it like \"250 ms\", "
                         "\"6 /s\", \"99 %%\", \"2 x\", \"0\" or \"1.5 x of OTHER.METRIC\"",
                         setting->name, text);
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
    } else if (plan->target_count == RYZ_TARGETS_MAX ||
               strlen(setting->value) >= sizeof target.text) {
        ryz_settings_mistake(settings, setting->origin,
                             "[targets] %.60s: up to %u targets of up to %zu characters",
                             setting->name, RYZ_TARGETS_MAX, sizeof target.text - 1);
    } else if (read_bound(settings, setting, text, &target)) {
        note_origin(settings, setting->origin, &target);
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
