/*
 * metrics.c - atomics behind a table, and the table as Prometheus text.
 *
 * Leaves to others: when to count. The idea: every series lives in one fixed array indexed by the
 * enum, so an update is one relaxed add and a scrape is one walk. A histogram's count is the sum of
 * its buckets, never a counter of its own: a scrape in the middle of an update stays consistent.
 */
#include "engine/obs/metrics.h"

#include "engine/base/assert.h"
#include "engine/base/atomic.h"
#include "engine/base/clock.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define BOUNDS_MAX 24u

enum kind { RYZ_KIND_COUNTER, RYZ_KIND_GAUGE, RYZ_KIND_HISTOGRAM };

struct description {
    enum kind kind;
    const char *name, *help;
};

static const struct description table[RYZ_METRIC_COUNT] = {
#define X(name, kind, text, help) {RYZ_KIND_##kind, text, help},
    RYZ_METRIC_TABLE(X)
#undef X
};

/* Upper bounds in seconds, ascending; +Inf is implied. */
struct bounds {
    double seconds[BOUNDS_MAX];
    size_t count;
};

#define BOUNDS(...)                                                                                \
    {                                                                                              \
        .seconds = {__VA_ARGS__}, .count = sizeof((double[]){__VA_ARGS__}) / sizeof(double)        \
    }

/* The first three lists are vLLM's; the last is ours, for a step of a small model takes well below
 * the millisecond at which theirs begin. */
static const struct bounds first_token_bounds =
    BOUNDS(.001, .005, .01, .02, .04, .06, .08, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10, 20, 40, 80,
           160, 640, 2560);
static const struct bounds token_bounds =
    BOUNDS(.01, .025, .05, .075, .1, .15, .2, .3, .4, .5, .75, 1, 2.5, 5, 7.5, 10, 20, 40, 80);
static const struct bounds request_bounds = BOUNDS(.3, .5, .8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30,
                                                   40, 50, 60, 120, 240, 480, 960, 1920, 7680);
static const struct bounds step_bounds =
    BOUNDS(.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5);

struct series {
    _Atomic uint64_t value; /* counter; a gauge's int64 as its bits */
    _Atomic uint64_t sum_ns;
    _Atomic uint64_t buckets[BOUNDS_MAX + 1]; /* not cumulative; the last used one is +Inf */
};

struct partition {
    const char *tenant;      /* NULL: no such partition */
    _Atomic uint64_t blocks; /* used << 32 | guaranteed, so that they belong together */
};

struct ryz_metrics {
    struct series series[RYZ_METRIC_COUNT];
    struct partition partitions[RYZ_METRIC_PARTITIONS_MAX];
};

static const struct bounds *bounds_of(enum ryz_metric metric)
{
    switch (metric) {
    case RYZ_METRIC_TTFT:
        return &first_token_bounds;
    case RYZ_METRIC_ITL:
        return &token_bounds;
    case RYZ_METRIC_STEP_TIME:
        return &step_bounds;
    default:
        return &request_bounds;
    }
}

static bool is_a(enum ryz_metric metric, enum kind kind)
{
    return (unsigned)metric < RYZ_METRIC_COUNT && table[metric].kind == kind;
}

enum ryz_status ryz_metrics_open(struct ryz_metrics **out, struct ryz_error *error)
{
    *out = calloc(1, sizeof **out);
    if (*out == NULL) return ryz_fail(error, RYZ_NO_MEMORY, "no memory for the metrics");
    return RYZ_OK;
}

void ryz_metrics_close(struct ryz_metrics *metrics)
{
    free(metrics);
}

void ryz_metrics_add(struct ryz_metrics *metrics, enum ryz_metric counter, uint64_t n)
{
    if (metrics == NULL || !is_a(counter, RYZ_KIND_COUNTER)) return;
    (void)ryz_add_relaxed(&metrics->series[counter].value, n);
}

void ryz_metrics_set(struct ryz_metrics *metrics, enum ryz_metric gauge, int64_t value)
{
    if (metrics == NULL || !is_a(gauge, RYZ_KIND_GAUGE)) return;
    ryz_store_relaxed(&metrics->series[gauge].value, (uint64_t)value);
}

void ryz_metrics_observe_ns(struct ryz_metrics *metrics, enum ryz_metric histogram, int64_t ns)
{
    if (metrics == NULL || !is_a(histogram, RYZ_KIND_HISTOGRAM)) return;
    if (ns < 0) ns = 0;
    const struct bounds *bounds = bounds_of(histogram);
    double seconds = (double)ns / (double)RYZ_NS_PER_S;
    size_t i = 0;
    while (i < bounds->count && seconds > bounds->seconds[i]) i++;
    struct series *series = &metrics->series[histogram];
    (void)ryz_add_relaxed(&series->buckets[i], 1);
    (void)ryz_add_relaxed(&series->sum_ns, (uint64_t)ns);
}

/* A label's value: backslash, quote and line feed are escaped, nothing else may be. */
static void put_label(FILE *out, const char *model)
{
    (void)fputs("model_name=\"", out);
    for (const char *c = model; *c != '\0'; c++) {
        if (*c == '\\' || *c == '"') (void)fputc('\\', out);
        if (*c == '\n') {
            (void)fputs("\\n", out);
        } else {
            (void)fputc(*c, out);
        }
    }
    (void)fputc('"', out);
}

static void put_histogram(FILE *out, enum ryz_metric metric, const struct series *series,
                          const char *model)
{
    const struct bounds *bounds = bounds_of(metric);
    const char *name = table[metric].name;
    uint64_t cumulative = 0;
    for (size_t i = 0; i <= bounds->count; i++) {
        cumulative += ryz_load_relaxed(&series->buckets[i]);
        (void)fprintf(out, "%s_bucket{", name);
        put_label(out, model);
        if (i < bounds->count) {
            (void)fprintf(out, ",le=\"%g\"} %" PRIu64 "\n", bounds->seconds[i], cumulative);
        } else {
            (void)fprintf(out, ",le=\"+Inf\"} %" PRIu64 "\n", cumulative);
        }
    }
    uint64_t sum = ryz_load_relaxed(&series->sum_ns);
    (void)fprintf(out, "%s_sum{", name);
    put_label(out, model);
    (void)fprintf(out, "} %" PRIu64 ".%09" PRIu64 "\n%s_count{", sum / (uint64_t)RYZ_NS_PER_S,
                  sum % (uint64_t)RYZ_NS_PER_S, name);
    put_label(out, model);
    (void)fprintf(out, "} %" PRIu64 "\n", cumulative);
}

static void put_series(FILE *out, enum ryz_metric metric, const struct series *series,
                       const char *model)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    const struct description *d = &table[metric];
    (void)fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", d->name, d->help, d->name, kinds[d->kind]);
    if (d->kind == RYZ_KIND_HISTOGRAM) {
        put_histogram(out, metric, series, model);
        return;
    }
    uint64_t value = ryz_load_relaxed(&series->value);
    (void)fprintf(out, "%s{", d->name);
    put_label(out, model);
    if (d->kind == RYZ_KIND_COUNTER) {
        (void)fprintf(out, "} %" PRIu64 "\n", value);
    } else {
        (void)fprintf(out, "} %" PRId64 "\n", (int64_t)value);
    }
}

static void put_partition(FILE *out, const char *name, const char *tenant, const char *model,
                          uint32_t blocks)
{
    (void)fprintf(out, "%s{", name);
    put_label(out, model);
    (void)fprintf(out, ",tenant=\"%s\"} %" PRIu32 "\n", tenant, blocks);
}

/* Gauges with a tenant each, where the KV pool has partitions. */
static void put_partitions(FILE *out, const struct ryz_metrics *metrics, const char *model)
{
    static const char *const names[] = {"ryz_kv_partition_blocks_used",
                                        "ryz_kv_partition_blocks_guaranteed",
                                        "ryz_kv_partition_blocks_borrowed"};
    static const char *const helps[] = {"KV blocks held by a tenant's requests",
                                        "KV blocks that a tenant is sure of",
                                        "KV blocks that it holds beyond those"};
    bool any = false;
    for (uint32_t i = 0; i < RYZ_METRIC_PARTITIONS_MAX; i++)
        any |= metrics->partitions[i].tenant != NULL;
    for (uint32_t kind = 0; any && kind < 3; kind++) {
        (void)fprintf(out, "# HELP %s %s\n# TYPE %s gauge\n", names[kind], helps[kind],
                      names[kind]);
        for (uint32_t i = 0; i < RYZ_METRIC_PARTITIONS_MAX; i++) {
            const struct partition *p = &metrics->partitions[i];
            uint64_t blocks = ryz_load_relaxed(&p->blocks);
            uint32_t used = (uint32_t)(blocks >> 32), guaranteed = (uint32_t)blocks;
            const uint32_t values[] = {used, guaranteed, used > guaranteed ? used - guaranteed : 0};
            if (p->tenant != NULL) put_partition(out, names[kind], p->tenant, model, values[kind]);
        }
    }
}

void ryz_metrics_name_partition(struct ryz_metrics *metrics, uint32_t partition, const char *tenant)
{
    RYZ_ASSERT(partition < RYZ_METRIC_PARTITIONS_MAX);
    if (metrics != NULL) metrics->partitions[partition].tenant = tenant;
}

void ryz_metrics_set_partition(struct ryz_metrics *metrics, uint32_t partition,
                               uint32_t used_blocks, uint32_t guaranteed_blocks)
{
    RYZ_ASSERT(partition < RYZ_METRIC_PARTITIONS_MAX);
    if (metrics == NULL) return;
    ryz_store_relaxed(&metrics->partitions[partition].blocks,
                      (uint64_t)used_blocks << 32 | guaranteed_blocks);
}

char *ryz_metrics_render(const struct ryz_metrics *metrics, const char *model, size_t *length)
{
    static const struct ryz_metrics empty;
    if (metrics == NULL) metrics = &empty;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL) return NULL;
    for (int i = 0; i < RYZ_METRIC_COUNT; i++)
        put_series(out, (enum ryz_metric)i, &metrics->series[i], model);
    put_partitions(out, metrics, model);
    bool failed = ferror(out) != 0;
    if (fclose(out) != 0 || failed) {
        free(text);
        return NULL;
    }
    if (length != NULL) *length = size;
    return text;
}
