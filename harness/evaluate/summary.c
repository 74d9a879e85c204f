/* summary.c - the summary table of a run: every quantity that the run has something to say about,
 * over all measured traffic and, where there are several, for each of them. */
#include "harness/evaluate/pools.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define P999_MIN 1000u /* below, p999 is the maximum by another name */

/* Where rows go, and what stands in front of their names. */
struct sink {
    struct ryz_run_data *data;
    const char *prefix;
    const char *window;
    struct ryz_error *error;
};

static enum ryz_status put(const struct sink *sink, const struct ryz_quantity_spec *spec,
                           enum ryz_statistic statistic, const struct ryz_estimate *e)
{
    struct ryz_summary_row row = {0};
    bool counts = statistic == RYZ_STAT_COUNT;
    snprintf(row.metric, sizeof row.metric, "%s%s%s", sink->prefix,
             sink->prefix[0] != '\0' ? "." : "", spec->name);
    snprintf(row.unit, sizeof row.unit, "%s",
             ryz_quantity_unit_text(counts ? RYZ_QUNIT_COUNT : spec->unit));
    snprintf(row.stat, sizeof row.stat, "%s", ryz_statistic_name(statistic));
    snprintf(row.window, sizeof row.window, "%s", sink->window);
    snprintf(row.formula, sizeof row.formula, "%s", spec->formula);
    row.value = e->value;
    row.lo = e->lo;
    row.hi = e->hi;
    row.n = e->n;
    return ryz_run_data_add(sink->data, RYZ_TABLE_SUMMARY, &row, sink->error);
}

static enum ryz_status put_samples(const struct sink *sink, const struct ryz_view *view,
                                   enum ryz_quantity quantity)
{
    const struct ryz_quantity_spec *spec = ryz_quantity_spec(quantity);
    struct ryz_samples samples = {0};
    enum ryz_status status = RYZ_OK;
    ryz_collect_samples(view, quantity, &samples);
    if (samples.no_memory)
        status =
            ryz_fail(sink->error, RYZ_NO_MEMORY, "no memory for the samples of %s", spec->name);
    for (int s = 1; status == RYZ_OK && samples.count > 0 && s < RYZ_STATISTIC_COUNT; s++) {
        if (s == RYZ_STAT_COUNT || (s == RYZ_STAT_P999 && samples.count < P999_MIN)) continue;
        struct ryz_estimate e = ryz_samples_estimate(&samples, (enum ryz_statistic)s);
        status = put(sink, spec, (enum ryz_statistic)s, &e);
    }
    ryz_samples_free(&samples);
    return status;
}

static enum ryz_status put_number(const struct sink *sink, const struct ryz_view *view,
                                  enum ryz_quantity quantity)
{
    struct ryz_number number;
    ryz_collect_number(view, quantity, &number);
    if (number.no_memory)
        return ryz_fail(sink->error, RYZ_NO_MEMORY, "no memory for %s",
                        ryz_quantity_spec(quantity)->name);
    struct ryz_estimate e = ryz_number_estimate(&number);
    if (isnan(e.value)) return RYZ_OK;
    return put(sink, ryz_quantity_spec(quantity), RYZ_STAT_NONE, &e);
}

/* Quantities that belong to the run as a whole, not to one of its traffics. */
static bool of_the_run(enum ryz_quantity quantity)
{
    return quantity >= RYZ_Q_STEP && quantity != RYZ_Q_LAG && quantity != RYZ_Q_HARNESS_DROPPED;
}

static enum ryz_status summarise_view(const struct sink *sink, const struct ryz_view *view)
{
    enum ryz_status status = RYZ_OK;
    for (int q = 0; status == RYZ_OK && q < RYZ_QUANTITY_COUNT; q++) {
        enum ryz_quantity quantity = (enum ryz_quantity)q;
        if (view->traffic >= 0 && of_the_run(quantity)) continue;
        if (ryz_quantity_spec(quantity)->kind == RYZ_QUANTITY_SAMPLES)
            status = put_samples(sink, view, quantity);
        else
            status = put_number(sink, view, quantity);
    }
    return status;
}

/* How long a fault hurt, one row a fault. */
static enum ryz_status summarise_faults(const struct ryz_plan *plan, struct sink *sink,
                                        struct ryz_view *view)
{
    enum ryz_status status = RYZ_OK;
    for (uint32_t i = 0; status == RYZ_OK && i < plan->fault_count; i++) {
        view->fault = plan->faults[i].name;
        view->fault_kills = plan->faults[i].action == RYZ_FAULT_KILL;
        sink->prefix = plan->faults[i].name;
        status = put_number(sink, view, RYZ_Q_RECOVER);
    }
    return status;
}

enum ryz_status ryz_summarise(const struct ryz_plan *plan, struct ryz_run_data *data,
                              const struct ryz_windows *windows, struct ryz_error *error)
{
    struct ryz_view view = {.data = data, .windows = windows, .traffic = -1};
    struct sink sink = {data, "", windows->all.steady ? "steady" : "run", error};
    uint32_t measured = 0;
    enum ryz_status status = ryz_run_data_set(data, RYZ_TABLE_SUMMARY, NULL, 0, error);
    if (status == RYZ_OK) status = summarise_view(&sink, &view);
    if (status == RYZ_OK) status = summarise_faults(plan, &sink, &view);
    view.fault = NULL;
    for (uint32_t t = 0; t < plan->traffic_count && t < RYZ_PHASES_MAX; t++)
        measured += windows->traffic[t].measured;
    for (uint32_t t = 0; measured > 1 && t < plan->traffic_count && t < RYZ_PHASES_MAX; t++) {
        if (status != RYZ_OK || !windows->traffic[t].measured) continue;
        view.traffic = (int)t;
        sink.prefix = plan->traffic[t].name;
        sink.window = windows->traffic[t].steady ? "steady" : "run";
        status = summarise_view(&sink, &view);
    }
    return status;
}
