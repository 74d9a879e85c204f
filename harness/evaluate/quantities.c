/* quantities.c - the table of quantities as data, names, explanations and the reference page. */
#include "harness/evaluate/quantities.h"

#include "engine/base/assert.h"
#include "engine/base/size.h"
#include "engine/base/suggest.h"

#include <string.h>

#define KIND(kind)     RYZ_QUANTITY_##kind
#define UNIT(unit)     RYZ_QUNIT_##unit
#define BETTER(better) RYZ_BETTER_##better

static const struct ryz_quantity_spec specs[RYZ_QUANTITY_COUNT] = {
#define X(id, text, kind, unit, better, stat, formula, meaning)                                    \
    {text, formula, meaning, KIND(kind), UNIT(unit), BETTER(better), RYZ_STAT_##stat},
    RYZ_QUANTITY_TABLE(X)
#undef X
};

static const struct {
    const char *name, *meaning;
    double fraction;
} statistics[RYZ_STATISTIC_COUNT] = {{"value", "the number itself", -1.0},
#define X(id, text, fraction, meaning) {text, meaning, fraction},
                                     RYZ_STATISTIC_TABLE(X)
#undef X
};

const struct ryz_quantity_spec *ryz_quantity_spec(enum ryz_quantity quantity)
{
    RYZ_ASSERT((unsigned)quantity < RYZ_QUANTITY_COUNT);
    return &specs[quantity];
}

bool ryz_quantity_find(const char *name, enum ryz_quantity *quantity)
{
    for (int i = 0; i < RYZ_QUANTITY_COUNT; i++) {
        if (strcmp(specs[i].name, name) != 0) continue;
        *quantity = (enum ryz_quantity)i;
        return true;
    }
    return false;
}

const char *ryz_quantity_unit_text(enum ryz_quantity_unit unit)
{
    static const char *const texts[] = {
#define X(id, text, meaning) text,
        RYZ_QUANTITY_UNIT_TABLE(X)
#undef X
    };
    RYZ_ASSERT((unsigned)unit < RYZ_COUNT_OF(texts));
    return texts[unit];
}

const char *ryz_statistic_name(enum ryz_statistic statistic)
{
    RYZ_ASSERT((unsigned)statistic < RYZ_STATISTIC_COUNT);
    return statistics[statistic].name;
}

double ryz_statistic_fraction(enum ryz_statistic statistic)
{
    RYZ_ASSERT((unsigned)statistic < RYZ_STATISTIC_COUNT);
    return statistics[statistic].fraction;
}

/* ---- names ---- */

static enum ryz_statistic find_statistic(const char *name)
{
    for (int i = 1; i < RYZ_STATISTIC_COUNT; i++)
        if (strcmp(statistics[i].name, name) == 0) return (enum ryz_statistic)i;
    return RYZ_STAT_NONE;
}

/* Does text[0 .. length) end in the quantity's name, at the start of a word? *start gets where. */
static bool ends_in(const char *text, size_t length, const char *name, size_t *start)
{
    size_t bytes = strlen(name);
    if (bytes > length || memcmp(text + length - bytes, name, bytes) != 0) return false;
    *start = length - bytes;
    return *start == 0 || text[*start - 1] == '.';
}

/* The longest quantity that text[0 .. length) ends in; false if none. */
static bool longest(const char *text, size_t length, enum ryz_quantity *quantity, size_t *start)
{
    size_t best = 0, at = 0;
    for (int i = 0; i < RYZ_QUANTITY_COUNT; i++) {
        size_t bytes = strlen(specs[i].name);
        if (bytes <= best || !ends_in(text, length, specs[i].name, &at)) continue;
        best = bytes;
        *quantity = (enum ryz_quantity)i;
        *start = at;
    }
    return best > 0;
}

/* The quantity nearest to the text, without its statistic, or to its tail after any dot. */
static const char *nearest(const char *text)
{
    const char *best = specs[0].name, *dot = strrchr(text, '.');
    const char *end = text + strlen(text);
    if (dot != NULL && find_statistic(dot + 1) != RYZ_STAT_NONE) end = dot;
    size_t least = SIZE_MAX;
    for (const char *tail = text; tail != NULL && tail < end;) {
        size_t length = (size_t)(end - tail);
        if (length > RYZ_SUGGEST_WORD_MAX) length = RYZ_SUGGEST_WORD_MAX;
        for (int i = 0; i < RYZ_QUANTITY_COUNT; i++) {
            size_t edits = ryz_suggest_edits(tail, length, specs[i].name, strlen(specs[i].name));
            if (edits >= least) continue;
            least = edits;
            best = specs[i].name;
        }
        tail = strchr(tail, '.');
        if (tail != NULL) tail++;
    }
    return best;
}

static enum ryz_status unknown(const char *text, struct ryz_error *error)
{
    const char *near = nearest(text);
    enum ryz_quantity quantity = RYZ_Q_TTFT;
    bool samples = ryz_quantity_find(near, &quantity) &&
                   specs[quantity].kind == RYZ_QUANTITY_SAMPLES &&
                   specs[quantity].default_statistic == RYZ_STAT_NONE;
    return ryz_fail(error, RYZ_INVALID,
                    "\"%.60s\" is no metric; did you mean \"%s%s\"? `ryz explain` lists them all",
                    text, near, samples ? ".p90" : "");
}

enum ryz_status ryz_metric_name_parse(const char *text, struct ryz_metric_name *out,
                                      struct ryz_error *error)
{
    size_t length = strlen(text), start = 0;
    const char *dot = strrchr(text, '.');
    enum ryz_statistic statistic = dot != NULL ? find_statistic(dot + 1) : RYZ_STAT_NONE;
    *out = (struct ryz_metric_name){.statistic = statistic};
    /* "cost.error.p50" is a quantity of its own, so the whole text is tried first. */
    bool whole = longest(text, length, &out->quantity, &start);
    if (whole)
        out->statistic = specs[out->quantity].default_statistic;
    else if (statistic == RYZ_STAT_NONE ||
             !longest(text, (size_t)(dot - text), &out->quantity, &start))
        return unknown(text, error);
    const struct ryz_quantity_spec *spec = &specs[out->quantity];
    if (spec->kind == RYZ_QUANTITY_SAMPLES && out->statistic == RYZ_STAT_NONE)
        return ryz_fail(error, RYZ_INVALID,
                        "\"%.60s\" needs a statistic: %s.mean, .min, .p50, .p75, .p90, .p95, .p99, "
                        ".p999, .max or .count",
                        text, spec->name);
    if (spec->kind == RYZ_QUANTITY_NUMBER && out->statistic != RYZ_STAT_NONE)
        return ryz_fail(error, RYZ_INVALID, "\"%.60s\": %s is one number and has no statistics",
                        text, spec->name);
    size_t prefix = start > 0 ? start - 1 : 0;
    if (prefix >= sizeof out->prefix)
        return ryz_fail(error, RYZ_INVALID, "\"%.60s\": the part before %s is too long", text,
                        spec->name);
    memcpy(out->prefix, text, prefix);
    out->prefix[prefix] = '\0';
    return RYZ_OK;
}

/* ---- explanations ---- */

static const char *better_text(enum ryz_quantity_better better)
{
    static const char *const texts[] = {"less is better", "more is better", "neither is better"};
    return texts[better];
}

static void explain_one(const struct ryz_quantity_spec *spec, FILE *out)
{
    fprintf(out, "%s\n  meaning   %s\n  formula   %s\n  unit      %s, %s\n", spec->name,
            spec->meaning, spec->formula, ryz_quantity_unit_text(spec->unit),
            better_text(spec->better));
    if (spec->kind == RYZ_QUANTITY_NUMBER) {
        fprintf(out, "  in targets  %s\n", spec->name);
        return;
    }
    fprintf(out, "  in targets  %s.STATISTIC, one of", spec->name);
    for (int i = 1; i < RYZ_STATISTIC_COUNT; i++) fprintf(out, " %s", statistics[i].name);
    if (spec->default_statistic != RYZ_STAT_NONE)
        fprintf(out, " (%s if none is named)", statistics[spec->default_statistic].name);
    (void)fputc('\n', out);
}

enum ryz_status ryz_quantity_explain(const char *metric, FILE *out, struct ryz_error *error)
{
    struct ryz_metric_name name;
    enum ryz_quantity quantity;
    if (metric == NULL) {
        for (int i = 0; i < RYZ_QUANTITY_COUNT; i++)
            fprintf(out, "%-22s %s\n", specs[i].name, specs[i].meaning);
        return RYZ_OK;
    }
    if (!ryz_quantity_find(metric, &quantity)) {
        enum ryz_status status = ryz_metric_name_parse(metric, &name, error);
        if (status != RYZ_OK) return status;
        quantity = name.quantity;
    }
    explain_one(&specs[quantity], out);
    return RYZ_OK;
}

static void write_statistics(FILE *out)
{
    (void)fputs(
        "\n## Statistics\n\n"
        "Percentiles are exact, by nearest rank: the ceil(p n)-th smallest of n values, so every\n"
        "percentile is a value that was measured. A failed request counts as +inf, so a server\n"
        "that refuses load does not look faster. An interval is the distribution-free 95 % one\n"
        "between two order statistics; a mean's is 1.96 standard errors.\n\n"
        "| statistic | what it is |\n|---|---|\n",
        out);
    for (int i = 1; i < RYZ_STATISTIC_COUNT; i++)
        fprintf(out, "| `%s` | %s |\n", statistics[i].name, statistics[i].meaning);
}

void ryz_quantities_write_markdown(FILE *out)
{
    (void)fputs(
        "# Metrics\n\n"
        "Made from the table in `harness/evaluate/quantities.h`; `ryz docs` writes it anew.\n\n"
        "A metric is `[prefix.]quantity[.statistic]`. The prefix is a traffic's name\n"
        "(`interactive.ttft.p99`), the value of a swept key (`q8_0.model.ratio`), a fault's name\n"
        "(`kill.recover`), or several of them joined by dots. Times in formulas are columns of\n"
        "`requests` (see results.md); latency counts from the scheduled arrival.\n\n"
        "| quantity | unit | better | meaning | formula |\n|---|---|---|---|---|\n",
        out);
    for (int i = 0; i < RYZ_QUANTITY_COUNT; i++) {
        static const char *const better[] = {"less", "more", "-"};
        const struct ryz_quantity_spec *spec = &specs[i];
        fprintf(out, "| `%s%s` | %s | %s | %s | %s |\n", spec->name,
                spec->kind == RYZ_QUANTITY_SAMPLES ? ".*" : "", ryz_quantity_unit_text(spec->unit),
                better[spec->better], spec->meaning, spec->formula);
    }
    (void)fputs("\n`.*` stands for a statistic.\n\n## Units\n\n| unit | meaning |\n|---|---|\n",
                out);
#define X(id, text, meaning) fprintf(out, "| %s | %s |\n", text, meaning);
    RYZ_QUANTITY_UNIT_TABLE(X)
#undef X
    write_statistics(out);
}
