/* compare.c - see compare.h. */
#include "harness/evaluate/compare.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool same_metric(const struct ryz_summary_row *a, const struct ryz_summary_row *b)
{
    return strcmp(a->metric, b->metric) == 0 && strcmp(a->stat, b->stat) == 0;
}

static const struct ryz_summary_row *find(const struct ryz_summary_row *rows, size_t count,
                                          const struct ryz_summary_row *like)
{
    for (size_t i = 0; i < count; i++)
        if (same_metric(&rows[i], like)) return &rows[i];
    return NULL;
}

static struct ryz_compare_row pair(const struct ryz_summary_row *a, const struct ryz_summary_row *b)
{
    struct ryz_compare_row row = {0};
    bool number = strcmp(a->stat, "value") == 0;
    snprintf(row.metric, sizeof row.metric, "%s%s%s", a->metric, number ? "" : ".",
             number ? "" : a->stat);
    snprintf(row.unit, sizeof row.unit, "%s", a->unit);
    row.a = a->value;
    row.b = b->value;
    row.ratio = a->value != 0 ? b->value / a->value : (double)NAN;
    row.lo = row.hi = (double)NAN;
    return row;
}

enum ryz_status ryz_evaluate_compare_table(const struct ryz_summary_row *a, size_t a_count,
                                           const struct ryz_summary_row *b, size_t b_count,
                                           struct ryz_compare_row **rows, size_t *count,
                                           struct ryz_error *error)
{
    *rows = NULL;
    *count = 0;
    struct ryz_compare_row *out = calloc(a_count + 1, sizeof *out);
    if (out == NULL) return ryz_fail(error, RYZ_NO_MEMORY, "no memory for a comparison");
    for (size_t i = 0; i < a_count; i++) {
        const struct ryz_summary_row *other = find(b, b_count, &a[i]);
        if (other == NULL || !isfinite(a[i].value) || !isfinite(other->value)) continue;
        out[(*count)++] = pair(&a[i], other);
    }
    if (*count == 0) {
        free(out);
        return RYZ_OK;
    }
    *rows = out;
    return RYZ_OK;
}

/* ---- whole files ---- */

/* Summaries of the repeats of one point. */
struct repeats {
    struct ryz_run_data *runs; /* (count) */
    size_t count;
    struct ryz_summary_row *mean; /* of the first one's rows */
    size_t mean_count;
};

static void free_repeats(struct repeats *repeats)
{
    for (size_t i = 0; i < repeats->count; i++) ryz_run_data_deinit(&repeats->runs[i]);
    free(repeats->runs);
    free(repeats->mean);
    *repeats = (struct repeats){0};
}

static double mean_of(const struct repeats *repeats, const struct ryz_summary_row *like)
{
    double sum = 0, n = 0;
    for (size_t r = 0; r < repeats->count; r++) {
        size_t count = 0;
        const struct ryz_summary_row *rows =
            ryz_run_rows(&repeats->runs[r], RYZ_TABLE_SUMMARY, &count);
        const struct ryz_summary_row *row = find(rows, count, like);
        if (row == NULL) continue;
        sum += row->value;
        n++;
    }
    return n > 0 ? sum / n : (double)NAN;
}

static enum ryz_status read_repeats(const struct ryz_results *results, uint32_t point,
                                    struct repeats *repeats, struct ryz_error *error)
{
    uint32_t runs = ryz_results_run_count(results);
    *repeats = (struct repeats){.runs = calloc(runs + 1u, sizeof *repeats->runs)};
    if (repeats->runs == NULL) return ryz_fail(error, RYZ_NO_MEMORY, "no memory for %u runs", runs);
    for (uint32_t r = 0; r < runs; r++) {
        struct ryz_run_data *data = &repeats->runs[repeats->count];
        enum ryz_status status =
            ryz_results_read_run(results, r, RYZ_TABLE_BIT(RYZ_TABLE_SUMMARY), data, error);
        if (status != RYZ_OK) return status;
        if (data->info.point == point)
            repeats->count++;
        else
            ryz_run_data_deinit(data);
    }
    if (repeats->count == 0)
        return ryz_fail(error, RYZ_NOT_FOUND, "the results hold no run of point %u", point);
    size_t count = 0;
    const struct ryz_summary_row *first =
        ryz_run_rows(&repeats->runs[0], RYZ_TABLE_SUMMARY, &count);
    repeats->mean = calloc(count + 1, sizeof *repeats->mean);
    if (repeats->mean == NULL) return ryz_fail(error, RYZ_NO_MEMORY, "no memory for a comparison");
    repeats->mean_count = count;
    for (size_t i = 0; i < count; i++) {
        repeats->mean[i] = first[i];
        repeats->mean[i].value = mean_of(repeats, &first[i]);
    }
    return RYZ_OK;
}

/* Smallest and largest ratio of one repeat of `b` to the mean of a. */
static void spread(const struct repeats *b, const struct ryz_summary_row *like, double a,
                   struct ryz_compare_row *row)
{
    if (b->count < 2 || a == 0) return;
    for (size_t r = 0; r < b->count; r++) {
        size_t count = 0;
        const struct ryz_summary_row *rows = ryz_run_rows(&b->runs[r], RYZ_TABLE_SUMMARY, &count);
        const struct ryz_summary_row *one = find(rows, count, like);
        if (one == NULL) continue;
        double ratio = one->value / a;
        if (!(ratio >= row->lo)) row->lo = ratio;
        if (!(ratio <= row->hi)) row->hi = ratio;
    }
}

enum ryz_status ryz_evaluate_compare_results(const struct ryz_results *a, uint32_t a_point,
                                             const struct ryz_results *b, uint32_t b_point,
                                             struct ryz_compare_row **rows, size_t *count,
                                             struct ryz_error *error)
{
    struct repeats ra = {0}, rb = {0};
    *rows = NULL;
    *count = 0;
    enum ryz_status status = read_repeats(a, a_point, &ra, error);
    if (status == RYZ_OK) status = read_repeats(b, b_point, &rb, error);
    if (status == RYZ_OK)
        status = ryz_evaluate_compare_table(ra.mean, ra.mean_count, rb.mean, rb.mean_count, rows,
                                            count, error);
    for (size_t i = 0, at = 0; status == RYZ_OK && i < ra.mean_count && at < *count; i++) {
        struct ryz_compare_row one = pair(&ra.mean[i], &ra.mean[i]);
        if (strcmp(one.metric, (*rows)[at].metric) != 0) continue;
        spread(&rb, &ra.mean[i], ra.mean[i].value, &(*rows)[at]);
        at++;
    }
    free_repeats(&ra);
    free_repeats(&rb);
    return status;
}
