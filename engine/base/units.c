/*
 * units.c - reads and writes quantities with their units.
 *
 * Leaves to others: ranges that make sense for a key. The idea: one table of units; the kind asked
 * for selects its rows, so a wrong unit can be named with the right ones beside it.
 */
#include "engine/base/units.h"

#include "engine/base/size.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct unit {
    enum ryz_unit_kind kind;
    const char *name;
    double factor; /* base units in one of these */
};

/* Per kind in ascending order, as ryz_units_format wants it. */
static const struct unit units[] = {
    {RYZ_UNIT_TIME, "ns", 1.0},          {RYZ_UNIT_TIME, "us", 1e3},
    {RYZ_UNIT_TIME, "ms", 1e6},          {RYZ_UNIT_TIME, "s", 1e9},
    {RYZ_UNIT_TIME, "min", 60e9},        {RYZ_UNIT_TIME, "h", 3600e9},
    {RYZ_UNIT_RATE, "/h", 1.0 / 3600.0}, {RYZ_UNIT_RATE, "/min", 1.0 / 60.0},
    {RYZ_UNIT_RATE, "/s", 1.0},          {RYZ_UNIT_RATIO, "%", 0.01},
    {RYZ_UNIT_RATIO, "x", 1.0},          {RYZ_UNIT_BYTES, "B", 1.0},
    {RYZ_UNIT_BYTES, "kB", 1e3},         {RYZ_UNIT_BYTES, "KiB", 1024.0},
    {RYZ_UNIT_BYTES, "MB", 1e6},         {RYZ_UNIT_BYTES, "MiB", 1024.0 * 1024.0},
    {RYZ_UNIT_BYTES, "GB", 1e9},         {RYZ_UNIT_BYTES, "GiB", 1024.0 * 1024.0 * 1024.0},
    {RYZ_UNIT_TOKENS, "tok", 1.0},
};

/* What a kind is called, an example of it, and whether its unit may be left out. */
static const struct {
    const char *noun, *example, *allowed;
    bool bare;
} kinds[] = {
    [RYZ_UNIT_TIME] = {"a time", "250 ms", "ns us ms s min h", false},
    [RYZ_UNIT_RATE] = {"a rate", "6 /s", "/s /min /h", false},
    [RYZ_UNIT_RATIO] = {"a ratio", "5 %", "% x", false},
    [RYZ_UNIT_BYTES] = {"a size", "256 MiB", "B KiB MiB GiB kB MB GB", false},
    [RYZ_UNIT_TOKENS] = {"a number of tokens", "256 tok", "tok", true},
    [RYZ_UNIT_COUNT] = {"a plain number", "16", "none", true},
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static const char *skip_digits(const char *at)
{
    while (is_digit(*at)) at++;
    return at;
}

/* End of the decimal number at the start of `text`; `text` itself if there is none. strtod alone
 * would also take "inf", "nan", hexadecimal, signs and leading blanks. */
static const char *number_end(const char *text)
{
    const char *at = skip_digits(text);
    if (at == text) return text;
    if (at[0] == '.' && is_digit(at[1])) at = skip_digits(at + 1);
    if (at[0] == 'e' || at[0] == 'E') {
        const char *exponent = at + 1;
        if (*exponent == '+' || *exponent == '-') exponent++;
        if (is_digit(*exponent)) at = skip_digits(exponent);
    }
    return at;
}

/* Factor of the unit called `name` (length bytes); false if the kind has none of that name. */
static bool find_unit(enum ryz_unit_kind kind, const char *name, size_t length, double *factor)
{
    for (size_t i = 0; i < RYZ_COUNT_OF(units); i++) {
        if (units[i].kind == kind && strlen(units[i].name) == length &&
            memcmp(units[i].name, name, length) == 0) {
            *factor = units[i].factor;
            return true;
        }
    }
    return false;
}

enum ryz_status ryz_units_parse(const char *text, enum ryz_unit_kind kind, double *value,
                                struct ryz_error *error)
{
    const char *noun = kinds[kind].noun, *example = kinds[kind].example;
    const char *end = number_end(text);
    if (text[0] == '\0')
        return ryz_fail(error, RYZ_INVALID, "%s is missing: write it like \"%s\"", noun, example);
    if (end == text)
        return ryz_fail(error, RYZ_INVALID, "\"%.40s\" is not %s: write it like \"%s\"", text, noun,
                        example);
    double number = strtod(text, NULL), factor = 1.0;
    const char *name = end;
    while (*name == ' ' || *name == '\t') name++;
    size_t length = strlen(name);
    while (length > 0 && (name[length - 1] == ' ' || name[length - 1] == '\t')) length--;
    if (length == 0 && !kinds[kind].bare)
        return ryz_fail(error, RYZ_INVALID,
                        "\"%.40s\" has no unit: %s is written like \"%s\" (units: %s)", text, noun,
                        example, kinds[kind].allowed);
    if (length > 0 && !find_unit(kind, name, length, &factor))
        return ryz_fail(error, RYZ_INVALID, "\"%.40s\" is not %s: write it like \"%s\" (units: %s)",
                        text, noun, example, kinds[kind].allowed);
    if (!isfinite(number * factor))
        return ryz_fail(error, RYZ_INVALID, "\"%.40s\" is too large", text);
    *value = number * factor;
    return RYZ_OK;
}

void ryz_units_format(double value, enum ryz_unit_kind kind, char *text, size_t capacity)
{
    const struct unit *best = NULL;
    for (size_t i = 0; i < RYZ_COUNT_OF(units); i++) {
        const struct unit *u = &units[i];
        if (u->kind != kind) continue;
        bool binary = kind != RYZ_UNIT_BYTES || u->factor == 1.0 || u->name[1] == 'i';
        /* Ratios up to 1 read better in percent, and rates per second unless they are slow. */
        bool large = kind == RYZ_UNIT_RATIO  ? fabs(value) > 1.0
                     : kind == RYZ_UNIT_RATE ? fabs(value) >= 0.1 * u->factor
                                             : fabs(value) >= u->factor;
        if (best == NULL || (binary && large)) best = u;
    }
    if (kind == RYZ_UNIT_TIME && value == 0.0) best = &units[3]; /* "0 s" */
    if (kind == RYZ_UNIT_RATE && value == 0.0) best = &units[8]; /* "0 /s" */
    if (best == NULL || kind == RYZ_UNIT_TOKENS) {
        (void)snprintf(text, capacity, "%.9g", value);
    } else {
        (void)snprintf(text, capacity, "%.9g %s", value / best->factor, best->name);
    }
}
