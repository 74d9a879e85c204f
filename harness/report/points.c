/* points.c - see points.h. */
#include "harness/report/points.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUES_MAX 32u

const char *ryz_points_short_key(const char *key)
{
    const char *dot = strrchr(key, '.');
    return dot != NULL ? dot + 1 : key;
}

/* The i-th number of a point, in the order of the table. */
static double *number(struct ryz_point_numbers *point, size_t i)
{
    double *const fields[] = {
#define X(field, metric, stat, heading) &point->field,
        RYZ_POINT_NUMBERS(X)
#undef X
    };
    return fields[i];
}

static const struct {
    const char *metric, *stat;
} wanted[] = {
#define X(field, metric, stat, heading) {metric, stat},
    RYZ_POINT_NUMBERS(X)
#undef X
};
#define WANTED (sizeof wanted / sizeof wanted[0])

/* Values of the axes out of "key=value key=value". */
static void split_label(struct ryz_point_numbers *point, uint32_t axis_count)
{
    const char *at = point->label;
    for (uint32_t i = 0; i < axis_count && at != NULL; i++) {
        const char *equals = strchr(at, '=');
        if (equals == NULL) return;
        size_t length = strcspn(equals + 1, " ");
        snprintf(point->value[i], sizeof point->value[i], "%.*s", (int)length, equals + 1);
        at = equals + 1 + length;
    }
}

static struct ryz_point_numbers *find_point(struct ryz_points *points,
                                            const struct ryz_run_info *info)
{
    for (size_t i = 0; i < points->count; i++)
        if (points->points[i].point == info->point) return &points->points[i];
    struct ryz_point_numbers *point = &points->points[points->count++];
    *point = (struct ryz_point_numbers){.point = info->point};
    snprintf(point->label, sizeof point->label, "%s", info->label);
    split_label(point, points->axis_count);
    for (size_t i = 0; i < WANTED; i++) *number(point, i) = (double)NAN;
    point->loss_lo = point->loss_hi = (double)NAN;
    return point;
}

/* Sums and counts of one point's numbers while runs are read. */
struct sums {
    double sum[WANTED];
    uint32_t n[WANTED];
};

static void add_run(struct ryz_point_numbers *point, struct sums *sums,
                    const struct ryz_run_data *data)
{
    size_t count = 0;
    const struct ryz_summary_row *rows = ryz_run_rows(data, RYZ_TABLE_SUMMARY, &count);
    point->runs++;
    point->invalid_runs += !data->info.valid;
    for (size_t r = 0; r < count; r++)
        for (size_t i = 0; i < WANTED; i++) {
            if (strcmp(rows[r].metric, wanted[i].metric) != 0) continue;
            if (strcmp(rows[r].stat, wanted[i].stat) != 0) continue;
            sums->sum[i] += rows[r].value;
            sums->n[i]++;
            *number(point, i) = sums->sum[i] / sums->n[i];
            if (strcmp(wanted[i].metric, "accuracy.loss") != 0) continue;
            point->loss_lo = rows[r].lo;
            point->loss_hi = rows[r].hi;
        }
}

static int by_number(const void *a, const void *b)
{
    const struct ryz_point_numbers *x = a, *y = b;
    return (x->point > y->point) - (x->point < y->point);
}

/* Reads all runs into points that have room for them. */
static enum ryz_status read_runs(const struct ryz_results *results, uint32_t runs,
                                 struct ryz_points *points, struct sums *sums,
                                 struct ryz_error *error)
{
    for (uint32_t r = 0; r < runs; r++) {
        struct ryz_run_data data;
        enum ryz_status status =
            ryz_results_read_run(results, r, RYZ_TABLE_BIT(RYZ_TABLE_SUMMARY), &data, error);
        if (status != RYZ_OK) return status;
        struct ryz_point_numbers *point = find_point(points, &data.info);
        add_run(point, &sums[point - points->points], &data);
        ryz_run_data_deinit(&data);
    }
    qsort(points->points, points->count, sizeof *points->points, by_number);
    return RYZ_OK;
}

enum ryz_status ryz_points_read(const struct ryz_results *results, struct ryz_points *points,
                                struct ryz_error *error)
{
    uint32_t runs = ryz_results_run_count(results);
    const char *keys[6];
    *points = (struct ryz_points){.axis_count = ryz_results_axes(results, keys)};
    for (uint32_t i = 0; i < points->axis_count; i++)
        (void)snprintf(points->axes[i], sizeof points->axes[i], "%s", keys[i]);
    points->points = calloc(runs + 1u, sizeof *points->points);
    struct sums *sums = calloc(runs + 1u, sizeof *sums);
    enum ryz_status status = RYZ_OK;
    if (points->points == NULL || sums == NULL)
        status = ryz_fail(error, RYZ_NO_MEMORY, "no memory for %u runs", runs);
    else
        status = read_runs(results, runs, points, sums, error);
    free(sums);
    if (status != RYZ_OK) ryz_points_free(points);
    return status;
}

void ryz_points_free(struct ryz_points *points)
{
    free(points->points);
    *points = (struct ryz_points){0};
}

uint32_t ryz_points_values(const struct ryz_points *points, uint32_t axis, char values[32][32])
{
    uint32_t count = 0;
    for (size_t i = 0; i < points->count; i++) {
        const char *value = points->points[i].value[axis];
        bool known = false;
        for (uint32_t v = 0; v < count; v++) known |= strcmp(values[v], value) == 0;
        if (!known && count < VALUES_MAX) snprintf(values[count++], 32, "%s", value);
    }
    return count;
}
