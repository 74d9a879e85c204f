/* windows.c - see windows.h. */
#include "harness/evaluate/windows.h"

#include "engine/base/clock.h"

#include <stdlib.h>

#define RAMP_SHARE 0.10 /* of the arrivals' time that steady open traffic leaves out */

bool ryz_request_failed(const struct ryz_request_row *row)
{
    switch (row->status) {
    case RYZ_REQUEST_OK:
    case RYZ_REQUEST_CANCELLED:
    case RYZ_REQUEST_DROPPED_BY_HARNESS:
        return false;
    default:
        return true;
    }
}

/* Is a - b at most `limit`? Absent times are never within a limit. */
static bool within(int64_t a, int64_t b, int64_t limit_ns)
{
    if (limit_ns == RYZ_TIME_NEVER) return true;
    return a != RYZ_TIME_NONE && b != RYZ_TIME_NONE && a - b <= limit_ns;
}

static bool meets_slo(const struct ryz_request_row *row, const struct ryz_slo *slo)
{
    if (row->status != RYZ_REQUEST_OK) return false;
    if (slo->ttft_ns > 0 && !within(row->t_first, row->t_sched, slo->ttft_ns)) return false;
    if (slo->e2e_ns > 0 && !within(row->t_done, row->t_sched, slo->e2e_ns)) return false;
    if (slo->tpot_ns <= 0 || slo->tpot_ns == RYZ_TIME_NEVER || row->out_tok < 2) return true;
    if (row->t_first == RYZ_TIME_NONE || row->t_last == RYZ_TIME_NONE) return false;
    return (double)(row->t_last - row->t_first) <= (double)slo->tpot_ns * (row->out_tok - 1);
}

/* What one pass over the requests of a traffic finds. */
struct extent {
    size_t count;
    int64_t first_sched, last_sched, last_done;
};

static struct extent find_extent(const struct ryz_request_row *rows, size_t count, uint32_t traffic)
{
    struct extent e = {0, INT64_MAX, INT64_MIN, INT64_MIN};
    for (size_t i = 0; i < count; i++) {
        if (rows[i].phase != traffic || rows[i].t_sched == RYZ_TIME_NONE) continue;
        e.count++;
        if (rows[i].t_sched < e.first_sched) e.first_sched = rows[i].t_sched;
        if (rows[i].t_sched > e.last_sched) e.last_sched = rows[i].t_sched;
        if (rows[i].t_done > e.last_done) e.last_done = rows[i].t_done;
    }
    return e;
}

static int ascending(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* First answer after `concurrency` requests of the traffic had been sent; NONE if that never
 * happened. */
static int64_t closed_loop_full(const struct ryz_request_row *rows, size_t count, uint32_t traffic,
                                uint32_t concurrency, bool *no_memory)
{
    int64_t *sends = malloc((count + 1) * sizeof *sends), first = RYZ_TIME_NONE;
    size_t sent = 0;
    *no_memory |= sends == NULL;
    if (sends == NULL) return RYZ_TIME_NONE;
    for (size_t i = 0; i < count; i++)
        if (rows[i].phase == traffic && rows[i].t_send != RYZ_TIME_NONE)
            sends[sent++] = rows[i].t_send;
    qsort(sends, sent, sizeof *sends, ascending);
    int64_t full = concurrency > 0 && sent >= concurrency ? sends[concurrency - 1] : RYZ_TIME_NONE;
    free(sends);
    if (full == RYZ_TIME_NONE) return RYZ_TIME_NONE;
    for (size_t i = 0; i < count; i++) {
        int64_t done = rows[i].t_done;
        if (rows[i].phase != traffic || done == RYZ_TIME_NONE || done < full) continue;
        if (first == RYZ_TIME_NONE || done < first) first = done;
    }
    return first;
}

static struct ryz_window find_window(const struct ryz_traffic_plan *plan,
                                     const struct ryz_request_row *rows, size_t count,
                                     uint32_t traffic, bool *no_memory)
{
    struct ryz_window w = {.begin_ns = RYZ_TIME_NONE, .end_ns = RYZ_TIME_NONE};
    struct extent e = find_extent(rows, count, traffic);
    enum ryz_measure measure = plan != NULL ? plan->measure : RYZ_MEASURE_YES;
    if (measure == RYZ_MEASURE_NO || e.count == 0) return w;
    if (measure == RYZ_MEASURE_YES) {
        w.measured = true;
        w.begin_ns = e.first_sched;
        w.end_ns = e.last_done > e.last_sched ? e.last_done : e.last_sched;
        return w;
    }
    w.steady = true;
    w.end_ns = e.last_sched;
    if (plan->arrival == RYZ_ARRIVAL_CLOSED)
        w.begin_ns = closed_loop_full(rows, count, traffic, plan->concurrency, no_memory);
    else
        w.begin_ns = e.first_sched + (int64_t)(RAMP_SHARE * (double)(e.last_sched - e.first_sched));
    w.measured = w.begin_ns != RYZ_TIME_NONE && w.begin_ns < w.end_ns;
    w.no_steady_state = !w.measured;
    return w;
}

static void widen(struct ryz_window *all, const struct ryz_window *window)
{
    if (!window->measured) return;
    if (!all->measured) {
        *all = *window;
        return;
    }
    if (window->begin_ns < all->begin_ns) all->begin_ns = window->begin_ns;
    if (window->end_ns > all->end_ns) all->end_ns = window->end_ns;
    all->steady |= window->steady;
}

void ryz_windows_mark(const struct ryz_plan *plan, struct ryz_run_data *data,
                      struct ryz_windows *windows)
{
    static const struct ryz_slo no_slo = {RYZ_TIME_NEVER, RYZ_TIME_NEVER, RYZ_TIME_NEVER};
    size_t count = 0;
    struct ryz_request_row *rows = ryz_run_rows(data, RYZ_TABLE_REQUESTS, &count);
    *windows = (struct ryz_windows){0};
    for (uint32_t t = 0; t < RYZ_PHASES_MAX; t++) {
        const struct ryz_traffic_plan *traffic = t < plan->traffic_count ? &plan->traffic[t] : NULL;
        windows->traffic[t] = find_window(traffic, rows, count, t, &windows->no_memory);
        widen(&windows->all, &windows->traffic[t]);
    }
    for (size_t i = 0; i < count; i++) {
        uint32_t t = rows[i].phase;
        const struct ryz_window *w = t < RYZ_PHASES_MAX ? &windows->traffic[t] : NULL;
        rows[i].measured = w != NULL && w->measured && rows[i].t_sched >= w->begin_ns &&
                           rows[i].t_sched <= w->end_ns;
        rows[i].slo_ok =
            meets_slo(&rows[i], t < plan->traffic_count ? &plan->traffic[t].slo : &no_slo);
    }
}
