/*
 * scope.c - what a target is about: the prefixes of its metrics resolved to a traffic, axis values
 * or a fault, and its unit checked against the metric's.
 */
#include "harness/evaluate/pools.h"

#include "engine/base/size.h"

#include <stdio.h>
#include <string.h>

static const char *const time_units[] = {"ns", "us", "ms", "s", "min", "h"};
static const char *const rate_units[] = {"/s", "/min", "/h"};
static const char *const ratio_units[] = {"%", "x"};
static const char *const byte_units[] = {"B", "KiB", "MiB", "GiB", "kB", "MB", "GB"};
static const char *const count_units[] = {"", "tok"};

static bool one_of(const char *text, const char *const *texts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(text, texts[i]) == 0) return true;
    return false;
}

static bool unit_fits(enum ryz_quantity_unit unit, const char *text)
{
    switch (unit) {
    case RYZ_QUNIT_NS:
        return one_of(text, time_units, RYZ_COUNT_OF(time_units));
    case RYZ_QUNIT_RATE:
        return one_of(text, rate_units, RYZ_COUNT_OF(rate_units));
    case RYZ_QUNIT_RATIO:
        return one_of(text, ratio_units, RYZ_COUNT_OF(ratio_units));
    case RYZ_QUNIT_BYTES:
        return one_of(text, byte_units, RYZ_COUNT_OF(byte_units));
    case RYZ_QUNIT_COUNT:
    case RYZ_QUNIT_PLAIN:
        return one_of(text, count_units, RYZ_COUNT_OF(count_units));
    }
    return false;
}

static const char *unit_example(enum ryz_quantity_unit unit)
{
    switch (unit) {
    case RYZ_QUNIT_NS:
        return "a time such as 250 ms";
    case RYZ_QUNIT_RATE:
        return "a rate such as 6 /s";
    case RYZ_QUNIT_RATIO:
        return "a share such as 99 % or 2 x";
    case RYZ_QUNIT_BYTES:
        return "a size such as 512 MiB";
    case RYZ_QUNIT_COUNT:
    case RYZ_QUNIT_PLAIN:
        break;
    }
    return "a bare number";
}

/* Does `text` begin with the word, followed by a dot or its end? Returns the bytes to skip, or 0.
 */
static size_t begins_with(const char *text, const char *word)
{
    size_t length = strlen(word);
    if (length == 0 || strncmp(text, word, length) != 0) return 0;
    if (text[length] == '.') return length + 1;
    return text[length] == '\0' ? length : 0;
}

static size_t take_value(const struct ryz_plan *plan, const char *text,
                         struct ryz_target_scope *scope)
{
    for (uint32_t a = 0; a < plan->sweep.axis_count; a++)
        for (uint32_t v = 0; v < plan->sweep.axes[a].count; v++) {
            const char *value = plan->sweep.axes[a].values[v];
            size_t length = begins_with(text, value);
            if (length == 0 || scope->values == RYZ_AXES_MAX) continue;
            snprintf(scope->value[scope->values++], sizeof scope->value[0], "%s", value);
            return length;
        }
    return 0;
}

/* One part of the prefix: a traffic, a fault or an axis value; 0 if it is none. */
static size_t take_part(const struct ryz_plan *plan, const char *text,
                        struct ryz_target_scope *scope)
{
    for (uint32_t i = 0; i < plan->traffic_count; i++) {
        size_t length = begins_with(text, plan->traffic[i].name);
        if (length == 0) continue;
        scope->traffic = (int)i;
        return length;
    }
    for (uint32_t i = 0; scope->name.quantity == RYZ_Q_RECOVER && i < plan->fault_count; i++) {
        size_t length = begins_with(text, plan->faults[i].name);
        if (length == 0) continue;
        scope->fault = (int)i;
        return length;
    }
    return take_value(plan, text, scope);
}

/* The names a prefix may have, for the message. */
static void list_prefixes(const struct ryz_plan *plan, char *text, size_t capacity)
{
    size_t used = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < plan->traffic_count && used < capacity; i++)
        used += (size_t)snprintf(text + used, capacity - used, " %s", plan->traffic[i].name);
    for (uint32_t a = 0; a < plan->sweep.axis_count; a++)
        for (uint32_t v = 0; v < plan->sweep.axes[a].count && used < capacity; v++)
            used += (size_t)snprintf(text + used, capacity - used, " %s",
                                     plan->sweep.axes[a].values[v]);
}

/* "dod/B2.ini:40: " for the begin of a message; "" where nobody knows. */
struct place {
    char text[64];
};

static struct place place_of(const struct ryz_target_plan *target)
{
    struct place place = {""};
    if (target->where[0] != '\0')
        (void)snprintf(place.text, sizeof place.text, "%s: ", target->where);
    return place;
}

static enum ryz_status resolve_prefix(const struct ryz_plan *plan,
                                      const struct ryz_target_plan *target,
                                      struct ryz_target_scope *scope, struct ryz_error *error)
{
    const char *rest = scope->name.prefix;
    while (*rest != '\0') {
        size_t length = take_part(plan, rest, scope);
        if (length == 0) {
            char known[160];
            list_prefixes(plan, known, sizeof known);
            return ryz_fail(error, RYZ_INVALID,
                            "%s[targets] %s: \"%.40s\" is neither a traffic nor a swept value; "
                            "there are:%s",
                            place_of(target).text, scope->metric, rest,
                            known[0] != '\0' ? known : " none");
        }
        rest += length;
    }
    return RYZ_OK;
}

static enum ryz_status resolve_term(const struct ryz_plan *plan,
                                    const struct ryz_target_plan *target, const char *metric,
                                    struct ryz_target_scope *scope, struct ryz_error *error)
{
    struct ryz_error inner;
    *scope = (struct ryz_target_scope){.metric = metric, .traffic = -1, .fault = -1};
    if (ryz_metric_name_parse(metric, &scope->name, &inner) != RYZ_OK)
        return ryz_fail(error, RYZ_INVALID, "%s[targets] %.300s", place_of(target).text,
                        inner.text);
    enum ryz_status status = resolve_prefix(plan, target, scope, error);
    if (status != RYZ_OK) return status;
    if (scope->name.quantity == RYZ_Q_RECOVER && scope->fault < 0)
        return ryz_fail(error, RYZ_INVALID, "%s[targets] %s: name the fault, as in FAULT.recover",
                        place_of(target).text, metric);
    return RYZ_OK;
}

enum ryz_quantity_unit ryz_scope_unit(const struct ryz_target_scope *scope)
{
    bool counts = scope->name.statistic == RYZ_STAT_COUNT;
    return counts ? RYZ_QUNIT_COUNT : ryz_quantity_spec(scope->name.quantity)->unit;
}

/* A target against a quantity: the unit is the metric's. */
static enum ryz_status check_quantity(const struct ryz_target_plan *target,
                                      struct ryz_target_scope *scope, struct ryz_error *error)
{
    bool ratio = unit_fits(RYZ_QUNIT_RATIO, target->unit);
    /* "model.size >= 2 x" is how people say it. */
    if (scope->name.quantity == RYZ_Q_MODEL_SIZE && ratio) scope->name.quantity = RYZ_Q_MODEL_RATIO;
    scope->of_tightest = scope->name.quantity == RYZ_Q_LAG && ratio;
    if (scope->of_tightest || unit_fits(ryz_scope_unit(scope), target->unit)) return RYZ_OK;
    return ryz_fail(error, RYZ_INVALID, "%s[targets] %s = %.60s: %s wants %s",
                    place_of(target).text, target->metric, target->text,
                    ryz_quantity_spec(scope->name.quantity)->name,
                    unit_example(ryz_scope_unit(scope)));
}

/* A target against other metrics: each of the metric's unit, and each axis value of one axis only,
 * or it would be open which point is meant. */
static enum ryz_status check_reference(const struct ryz_plan *plan,
                                       const struct ryz_target_plan *target,
                                       const struct ryz_target_scope *metric,
                                       const struct ryz_target_scope *other,
                                       struct ryz_error *error)
{
    enum ryz_quantity_unit unit = ryz_scope_unit(metric), others = ryz_scope_unit(other);
    if (unit != others || !unit_fits(RYZ_QUNIT_RATIO, target->unit))
        return ryz_fail(error, RYZ_INVALID,
                        "%s[targets] %s is in %s and %s in %s: nothing to compare",
                        place_of(target).text, metric->metric, ryz_quantity_unit_text(unit),
                        other->metric, ryz_quantity_unit_text(others));
    for (uint32_t i = 0; i < other->values; i++) {
        uint32_t axes = 0;
        for (uint32_t a = 0; a < plan->sweep.axis_count; a++)
            for (uint32_t v = 0; v < plan->sweep.axes[a].count; v++)
                axes += strcmp(plan->sweep.axes[a].values[v], other->value[i]) == 0;
        if (axes > 1)
            return ryz_fail(error, RYZ_INVALID,
                            "%s[targets] %s: \"%s\" is a value of several axes; write one of them "
                            "differently",
                            place_of(target).text, other->metric, other->value[i]);
    }
    return RYZ_OK;
}

enum ryz_status ryz_scope_resolve(const struct ryz_plan *plan, const struct ryz_target_plan *target,
                                  struct ryz_target_scope *scopes, struct ryz_error *error)
{
    const char *const metrics[RYZ_TERM_COUNT] = {target->metric, target->of, target->plus};
    enum ryz_status status = RYZ_OK;
    for (int t = 0; status == RYZ_OK && t < RYZ_TERM_COUNT; t++) {
        scopes[t] = (struct ryz_target_scope){.metric = NULL};
        if (t == RYZ_TERM_METRIC || metrics[t][0] != '\0')
            status = resolve_term(plan, target, metrics[t], &scopes[t], error);
    }
    if (status == RYZ_OK && scopes[RYZ_TERM_OF].metric == NULL)
        status = check_quantity(target, &scopes[RYZ_TERM_METRIC], error);
    for (int t = RYZ_TERM_OF; status == RYZ_OK && t < RYZ_TERM_COUNT; t++)
        if (scopes[t].metric != NULL)
            status = check_reference(plan, target, &scopes[RYZ_TERM_METRIC], &scopes[t], error);
    return status;
}

bool ryz_scope_matches(const struct ryz_target_scope *scope, const char *label)
{
    for (uint32_t i = 0; i < scope->values; i++) {
        bool found = false;
        size_t length = strlen(scope->value[i]);
        for (const char *at = strchr(label, '='); at != NULL && !found; at = strchr(at + 1, '=')) {
            char after = strncmp(at + 1, scope->value[i], length) == 0 ? at[1 + length] : 'x';
            found = after == ' ' || after == '\0';
        }
        if (!found) return false;
    }
    return true;
}

/* Value of a grid point on an axis; the last axis varies fastest. */
static const char *value_at(const struct ryz_sweep_plan *sweep, uint32_t point, uint32_t axis)
{
    for (uint32_t a = sweep->axis_count; a-- > axis + 1;) point /= sweep->axes[a].count;
    return sweep->axes[axis].values[point % sweep->axes[axis].count];
}

/* The value that the scope names on this axis; NULL if none. */
static const char *named_value(const struct ryz_axis *axis, const struct ryz_target_scope *scope)
{
    for (uint32_t i = 0; i < scope->values; i++)
        for (uint32_t v = 0; v < axis->count; v++)
            if (strcmp(axis->values[v], scope->value[i]) == 0) return scope->value[i];
    return NULL;
}

bool ryz_scope_pairs(const struct ryz_plan *plan, const struct ryz_target_scope *reference,
                     uint32_t point, uint32_t other)
{
    const struct ryz_sweep_plan *sweep = &plan->sweep;
    for (uint32_t a = 0; a < sweep->axis_count; a++) {
        const char *wanted = named_value(&sweep->axes[a], reference);
        if (wanted == NULL) wanted = value_at(sweep, point, a);
        if (strcmp(value_at(sweep, other, a), wanted) != 0) return false;
    }
    return true;
}
