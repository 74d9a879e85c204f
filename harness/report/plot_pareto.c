/*
 * plot_pareto.c - what can be had for what. Left: accuracy loss against model size (where accuracy
 * was measured). Right: latency against throughput; the line joins the points that no other beats
 * in both.
 */
#include "harness/report/plots.h"

#include "harness/report/figure.h"
#include "harness/report/points.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A point's short name: its values without their keys. */
static void short_name(const struct ryz_points *points, const struct ryz_point_numbers *point,
                       char *text, size_t capacity)
{
    size_t used = 0;
    text[0] = '\0';
    for (uint32_t a = 0; a < points->axis_count && used < capacity; a++)
        used += (size_t)snprintf(text + used, capacity - used, "%s%s", a > 0 ? " " : "",
                                 point->value[a]);
    if (text[0] == '\0') snprintf(text, capacity, "%.60s", point->label);
}

/* ---- accuracy against size ---- */

static bool has_accuracy(const struct ryz_point_numbers *point)
{
    return isfinite(point->model_size) && isfinite(point->loss);
}

static size_t count_accuracy(const struct ryz_points *points)
{
    size_t count = 0;
    for (size_t i = 0; i < points->count; i++) count += has_accuracy(&points->points[i]);
    return count;
}

/* The values that decide size and accuracy: those of the axes named quant, or all. */
static void accuracy_name(const struct ryz_points *points, const struct ryz_point_numbers *point,
                          char *text, size_t capacity)
{
    for (uint32_t a = 0; a < points->axis_count; a++)
        if (strcmp(ryz_points_short_key(points->axes[a]), "quant") == 0) {
            snprintf(text, capacity, "%s", point->value[a]);
            return;
        }
    short_name(points, point, text, capacity);
}

static void accuracy_panel(struct ryz_figure *figure, const struct ryz_points *points)
{
    uint32_t block = ryz_figure_block(figure);
    char seen[32][64];
    size_t seen_count = 0;
    fputs("# size MiB, loss %, its interval, name\n", figure->data);
    for (size_t i = 0; i < points->count; i++) {
        const struct ryz_point_numbers *point = &points->points[i];
        char name[64];
        bool again = false;
        if (!has_accuracy(point)) continue;
        accuracy_name(points, point, name, sizeof name);
        for (size_t s = 0; s < seen_count; s++) again |= strcmp(seen[s], name) == 0;
        if (again || seen_count == 32) continue;
        snprintf(seen[seen_count++], sizeof seen[0], "%s", name);
        double lo = isfinite(point->loss_lo) ? point->loss_lo : point->loss;
        double hi = isfinite(point->loss_hi) ? point->loss_hi : point->loss;
        fprintf(figure->data, "%.6g %.6g %.6g %.6g \"%s\"\n", point->model_size / (1024.0 * 1024),
                100 * (lo + hi) / 2, 100 * lo, 100 * hi, name);
    }
    fprintf(figure->gp,
            "set title 'Accuracy against size'\nset xlabel 'weights as served [MiB]'\n"
            "set ylabel 'growth of perplexity [%%], 95 %% interval'\n"
            "set offsets graph 0.12, graph 0.12, graph 0.12, graph 0.08\n"
            "set arrow 500 from graph 0, first 0 to graph 1, first 0 nohead lc rgb '%s' dt 3 back\n"
            "plot data index %u using 1:2:3:4 with yerrorbars pt 7 ps 1.2 lw 1.6 lc rgb '%s' "
            "notitle, data index %u using 1:2:5 with labels left offset 1,0.6 font ',10' notitle\n"
            "unset arrow 500\n",
            RYZ_GREY, block, RYZ_BLUE, block);
}

/* ---- latency against throughput ---- */

static double latency(const struct ryz_point_numbers *point)
{
    return isfinite(point->e2e_p90) ? point->e2e_p90 : (double)NAN;
}

static bool dominated(const struct ryz_points *points, const struct ryz_point_numbers *point)
{
    for (size_t i = 0; i < points->count; i++) {
        const struct ryz_point_numbers *other = &points->points[i];
        if (other == point || isnan(latency(other))) continue;
        bool as_good =
            other->out_tok_rate >= point->out_tok_rate && latency(other) <= latency(point);
        bool better = other->out_tok_rate > point->out_tok_rate || latency(other) < latency(point);
        if (as_good && better) return true;
    }
    return false;
}

static int by_rate(const void *a, const void *b)
{
    const struct ryz_point_numbers *const *x = a, *const *y = b;
    double rx = (*x)->out_tok_rate, ry = (*y)->out_tok_rate;
    return (rx > ry) - (rx < ry);
}

static size_t usable(const struct ryz_points *points, const struct ryz_point_numbers **sorted)
{
    size_t count = 0;
    for (size_t i = 0; i < points->count; i++) {
        const struct ryz_point_numbers *point = &points->points[i];
        if (isfinite(point->out_tok_rate) && !isnan(latency(point))) sorted[count++] = point;
    }
    qsort(sorted, count, sizeof *sorted, by_rate);
    return count;
}

static void latency_panel(struct ryz_figure *figure, const struct ryz_points *points,
                          const struct ryz_point_numbers *const *sorted, size_t count)
{
    uint32_t all = ryz_figure_block(figure);
    fputs("# tok/s, e2e p90 s, name\n", figure->data);
    for (size_t i = 0; i < count; i++) {
        char name[160];
        short_name(points, sorted[i], name, sizeof name);
        fprintf(figure->data, "%.6g %.6g \"%s\"\n", sorted[i]->out_tok_rate,
                latency(sorted[i]) / 1e9, name);
    }
    uint32_t front = ryz_figure_block(figure);
    fputs("# the front: tok/s, e2e p90 s\n", figure->data);
    for (size_t i = 0; i < count; i++)
        if (!dominated(points, sorted[i]))
            fprintf(figure->data, "%.6g %.6g\n", sorted[i]->out_tok_rate, latency(sorted[i]) / 1e9);
    fprintf(figure->gp,
            "set title 'Latency against throughput'\nset xlabel 'output tokens a second'\n"
            "set ylabel 'e2e p90 [s]'\nset offsets graph 0.05, graph 0.16, graph 0.10, graph 0.05\n"
            "set key top left samplen 2 font ',10'\n"
            "plot data index %u using 1:2 with lines lw 2 lc rgb '%s' title 'not beaten in both', "
            "\\\n     data index %u using 1:2 with points pt 7 ps 1.1 lc rgb '%s' notitle, \\\n"
            "     data index %u using 1:2:3 with labels left offset 0.9,0.4 font ',9' notitle\n",
            front, RYZ_ORANGE, all, RYZ_BLUE, all);
}

static void set_panel(FILE *gp, double left, double right)
{
    fprintf(gp,
            "set lmargin at screen %.3f\nset rmargin at screen %.3f\n"
            "set tmargin at screen 0.84\nset bmargin at screen 0.14\n",
            left, right);
}

static enum ryz_status draw(const struct ryz_plot_context *context, const struct ryz_points *points,
                            const struct ryz_point_numbers **sorted, struct ryz_error *error)
{
    struct ryz_figure figure;
    struct ryz_caption caption;
    struct ryz_run_data data;
    size_t count = usable(points, sorted), accuracy = count_accuracy(points);
    bool left = accuracy >= 2, right = count >= 2;
    if (!left && !right) return RYZ_OK;
    enum ryz_status status = ryz_results_read_run(context->results, 0, 0, &data, error);
    if (status != RYZ_OK) return status;
    ryz_caption_make(context->results, &data.info, &caption);
    ryz_run_data_deinit(&data);
    status = ryz_figure_begin(&figure, context->folder, "pareto", &caption,
                              "Points of the sweep, mean of their repeats", error);
    if (status != RYZ_OK) return status;
    fputs("set multiplot\n", figure.gp);
    if (left) {
        set_panel(figure.gp, 0.075, right ? 0.48 : 0.97);
        accuracy_panel(&figure, points);
        fputs("unset label 1000\nunset label 1001\nunset label 1002\n", figure.gp);
    }
    if (right) {
        set_panel(figure.gp, left ? 0.56 : 0.075, 0.97);
        latency_panel(&figure, points, sorted, count);
    }
    fputs("unset multiplot\n", figure.gp);
    return ryz_figure_end(&figure, context->result, error);
}

enum ryz_status ryz_plot_pareto(const struct ryz_plot_context *context, struct ryz_error *error)
{
    struct ryz_points points;
    enum ryz_status status = ryz_points_read(context->results, &points, error);
    if (status != RYZ_OK) return status;
    const struct ryz_point_numbers **sorted = calloc(points.count + 1, sizeof *sorted);
    if (sorted == NULL)
        status = ryz_fail(error, RYZ_NO_MEMORY, "no memory for a figure");
    else
        status = draw(context, &points, sorted, error);
    free(sorted);
    ryz_points_free(&points);
    return status;
}
