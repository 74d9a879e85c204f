/*
 * recover.c - how long after a fault the service was back to what it had been.
 */
#include "harness/evaluate/collect.h"

#include "engine/base/clock.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BEFORE_NS (30 * RYZ_NS_PER_S) /* how far back "before the fault" reaches */
#define RUN       10u                 /* requests in a row that must be well */
#define SLACK     1.2                 /* of the median ttft before */

/* When the fault began and ended; NONE where it did not. */
static void find_fault(const struct ryz_view *view, int64_t *on, int64_t *off)
{
    size_t count = 0;
    const struct ryz_run_event_row *events = ryz_run_rows(view->data, RYZ_TABLE_EVENTS, &count);
    *on = *off = RYZ_TIME_NONE;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(events[i].note, view->fault) != 0) continue;
        if (events[i].kind == RYZ_RUN_EVENT_FAULT_ON && *on == RYZ_TIME_NONE) *on = events[i].t_ns;
        if (events[i].kind == RYZ_RUN_EVENT_FAULT_OFF) *off = events[i].t_ns;
    }
}

/* A measured request as this file sees it. */
struct point {
    int64_t t_sched;
    double ttft; /* +inf: failed */
};

static int by_time(const void *a, const void *b)
{
    const struct point *x = a, *y = b;
    return (x->t_sched > y->t_sched) - (x->t_sched < y->t_sched);
}

/* The view's requests by scheduled time, from malloc. */
static struct point *take_points(const struct ryz_view *view, size_t *count)
{
    size_t rows_count = 0;
    const struct ryz_request_row *rows = ryz_run_rows(view->data, RYZ_TABLE_REQUESTS, &rows_count);
    struct point *points = malloc((rows_count + 1) * sizeof *points);
    *count = 0;
    for (size_t i = 0; points != NULL && i < rows_count; i++) {
        const struct ryz_request_row *row = &rows[i];
        if (!row->measured || (view->traffic >= 0 && row->phase != view->traffic)) continue;
        bool ok = row->status == RYZ_REQUEST_OK && row->t_first != RYZ_TIME_NONE;
        if (!ok && !ryz_request_failed(row)) continue;
        points[(*count)++] = (struct point){row->t_sched, ok ? (double)(row->t_first - row->t_sched)
                                                             : (double)INFINITY};
    }
    if (points != NULL) qsort(points, *count, sizeof *points, by_time);
    return points;
}

static double median_between(const struct point *points, size_t count, int64_t from, int64_t to,
                             bool *no_memory)
{
    struct ryz_samples samples = {0};
    for (size_t i = 0; i < count; i++)
        if (points[i].t_sched >= from && points[i].t_sched < to)
            ryz_samples_add(&samples, points[i].ttft);
    double median =
        samples.count < 5 ? (double)NAN : ryz_samples_estimate(&samples, RYZ_STAT_P50).value;
    *no_memory |= samples.no_memory;
    ryz_samples_free(&samples);
    return median;
}

/* Are the RUN requests from points on well? */
static bool well(const struct point *points, double limit, bool *no_memory)
{
    struct ryz_samples samples = {0};
    for (size_t i = 0; i < RUN; i++) ryz_samples_add(&samples, points[i].ttft);
    bool good = ryz_samples_estimate(&samples, RYZ_STAT_P50).value <= limit &&
                isfinite(ryz_samples_estimate(&samples, RYZ_STAT_MAX).value);
    *no_memory |= samples.no_memory;
    ryz_samples_free(&samples);
    return good;
}

void ryz_collect_recover(const struct ryz_view *view, struct ryz_number *out)
{
    int64_t on = RYZ_TIME_NONE, off = RYZ_TIME_NONE;
    size_t count = 0;
    if (view->fault == NULL) return;
    find_fault(view, &on, &off);
    int64_t from = view->fault_kills ? on : off;
    if (on == RYZ_TIME_NONE || from == RYZ_TIME_NONE) return;
    struct point *points = take_points(view, &count);
    out->no_memory = points == NULL;
    if (points == NULL) return;
    double before = median_between(points, count, on - BEFORE_NS, on, &out->no_memory);
    size_t first = 0;
    while (first < count && points[first].t_sched < from) first++;
    /* Traffic that ends with the fault says nothing about what comes after it. */
    out->known = isfinite(before) && count - first >= RUN;
    out->numerator = (double)INFINITY;
    out->denominator = 1;
    out->n = count;
    for (size_t i = first; out->known && i + RUN <= count; i++) {
        if (!well(points + i, before * SLACK, &out->no_memory)) continue;
        out->numerator = (double)(points[i].t_sched - from);
        break;
    }
    free(points);
}
