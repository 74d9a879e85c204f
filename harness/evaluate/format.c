/* format.c - numbers for people: three digits and the unit one would choose. */
#include "harness/evaluate/quantities.h"

#include <math.h>
#include <string.h>

struct scale {
    double factor;
    const char *name;
};

static const struct scale times[] = {{1, "ns"},  {1e3, "us"},   {1e6, "ms"},
                                     {1e9, "s"}, {60e9, "min"}, {3600e9, "h"}};
static const struct scale bytes[] = {
    {1, "B"}, {1024.0, "KiB"}, {1024.0 * 1024, "MiB"}, {1024.0 * 1024 * 1024, "GiB"}};

/* Three digits, but no exponent for the numbers people meet. */
static void digits(double value, char *text, size_t capacity)
{
    double size = fabs(value);
    bool whole = value == floor(value) && size < 1e6;
    if (size >= 1e7 || (size > 0 && size < 1e-3))
        (void)snprintf(text, capacity, "%.3g", value);
    else if (whole || size >= 99.95)
        (void)snprintf(text, capacity, "%.0f", value);
    else
        (void)snprintf(text, capacity, "%.*f", size >= 9.995 ? 1 : size >= 0.9995 ? 2 : 3, value);
}

static void scaled(double value, const struct scale *scales, size_t count, char *text,
                   size_t capacity)
{
    char number[32];
    size_t best = 0;
    /* 0.9995: 999.7 us is printed as "1.00 ms", not as "1000 us". */
    for (size_t i = 1; i < count; i++)
        if (fabs(value) >= 0.9995 * scales[i].factor) best = i;
    digits(value / scales[best].factor, number, sizeof number);
    snprintf(text, capacity, "%s %s", number, scales[best].name);
}

static void ratio(double value, char *text, size_t capacity)
{
    char number[32];
    bool factor = fabs(value) > 1.5;
    digits(factor ? value : 100 * value, number, sizeof number);
    snprintf(text, capacity, "%s %s", number, factor ? "x" : "%");
}

void ryz_quantity_format(double value, const char *unit, char *text, size_t capacity)
{
    char number[32];
    bool time = strcmp(unit, "ns") == 0;
    if (isnan(value)) {
        snprintf(text, capacity, "-");
    } else if (isinf(value)) {
        snprintf(text, capacity, "%s", time ? "failed" : value > 0 ? "inf" : "-inf");
    } else if (time) {
        scaled(value, times, sizeof times / sizeof times[0], text, capacity);
    } else if (strcmp(unit, "byte") == 0) {
        scaled(value, bytes, sizeof bytes / sizeof bytes[0], text, capacity);
    } else if (strcmp(unit, "1") == 0) {
        ratio(value, text, capacity);
    } else {
        bool bare = strcmp(unit, "count") == 0 || strcmp(unit, "plain") == 0;
        digits(value, number, sizeof number);
        snprintf(text, capacity, "%s%s%s", number, bare ? "" : " ",
                 bare                       ? ""
                 : strcmp(unit, "s-1") == 0 ? "/s"
                                            : unit);
    }
}
