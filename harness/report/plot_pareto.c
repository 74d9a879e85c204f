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

/* The value of the only axis, or those of all but the first, which has the colour. */
static void label_of(const struct ryz_points *points, const struct ryz_point_numbers *point,
                     char *text, size_t capacity)
{
    size_t used = 0;
    uint32_t first = points->axis_count > 1 ? 1 : 0;
    text[0] = '\0';
    for (uint32_t a = first; a < points->axis_count && used < capacity; a++)
        used += (size_t)snprintf(text + used, capacity - used, "%s%s", a > first ? " " : "",
                                 point->value[a]);
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
    ryz_short_label(point->label, text, capacity);
}

static void accuracy_panel(struct ryz_figure *figure, const struct ryz_points *points)
{
    uint32_t block = ryz_figure_block(figure, "size MiB, loss %%, its interval, name");
    char seen[32][64];
    size_t seen_count = 0;
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
        fprintf(figure->data, "%.6g %.6g %.6g %.6g ", point->model_size / (1024.0 * 1024),
                100 * (lo + hi) / 2, 100 * lo, 100 * hi);
        ryz_figure_column(figure->data, name);
        (void)fputc('\n', figure->data);
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

/* The points of the right panel and how they are scaled. */
struct field {
    const struct ryz_points *points;
    const struct ryz_point_numbers **sorted; /* (count) by throughput */
    size_t count;
    double x_least, x_most, y_least, y_most;
    bool logarithm; /* of the latency axis */
};

static void collect(struct field *field)
{
    for (size_t i = 0; i < field->points->count; i++) {
        const struct ryz_point_numbers *point = &field->points->points[i];
        if (!isfinite(point->out_tok_rate) || isnan(latency(point))) continue;
        double x = point->out_tok_rate, y = latency(point) / 1e9;
        bool first = field->count == 0;
        field->x_least = first || x < field->x_least ? x : field->x_least;
        field->x_most = first || x > field->x_most ? x : field->x_most;
        field->y_least = first || y < field->y_least ? y : field->y_least;
        field->y_most = first || y > field->y_most ? y : field->y_most;
        field->sorted[field->count++] = point;
    }
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): they are pointers */
    qsort(field->sorted, field->count, sizeof *field->sorted, by_rate);
    field->logarithm = field->y_least > 0 && field->y_most / field->y_least > 15;
}

/* Where a point lies in the panel, 0..1 each way. */
static void place(const struct field *field, const struct ryz_point_numbers *point, double *x,
                  double *y)
{
    double value = latency(point) / 1e9, least = field->y_least, most = field->y_most;
    *x = field->x_most > field->x_least
             ? (point->out_tok_rate - field->x_least) / (field->x_most - field->x_least)
             : 0.5;
    if (field->logarithm) {
        value = log10(value);
        least = log10(least);
        most = log10(most);
    }
    *y = most > least ? (value - least) / (most - least) : 0.5;
}

/* Writes labels of points that do not cover one another; those of the front come first. */
static uint32_t write_labels(struct ryz_figure *figure, const struct field *field)
{
    double xs[64], ys[64];
    size_t placed = 0;
    uint32_t block = ryz_figure_block(figure, "labels: tok/s, e2e p90 s, text");
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < field->count && placed < 64; i++) {
            const struct ryz_point_numbers *point = field->sorted[i];
            char text[160];
            bool covered = false;
            if (dominated(field->points, point) == (pass == 0)) continue;
            place(field, point, &xs[placed], &ys[placed]);
            for (size_t k = 0; k < placed; k++)
                covered |= fabs(xs[k] - xs[placed]) < 0.07 && fabs(ys[k] - ys[placed]) < 0.04;
            if (covered) continue;
            placed++;
            label_of(field->points, point, text, sizeof text);
            fprintf(figure->data, "%.6g %.6g ", point->out_tok_rate, latency(point) / 1e9);
            ryz_figure_column(figure->data, text);
            (void)fputc('\n', figure->data);
        }
    return block;
}

static uint32_t write_front(struct ryz_figure *figure, const struct field *field)
{
    uint32_t block = ryz_figure_block(figure, "the front: tok/s, e2e p90 s");
    for (size_t i = 0; i < field->count; i++)
        if (!dominated(field->points, field->sorted[i]))
            fprintf(figure->data, "%.6g %.6g\n", field->sorted[i]->out_tok_rate,
                    latency(field->sorted[i]) / 1e9);
    return block;
}

static uint32_t write_group(struct ryz_figure *figure, const struct field *field, const char *value)
{
    uint32_t block = ryz_figure_block(figure, "%s: tok/s, e2e p90 s", value);
    for (size_t i = 0; i < field->count; i++)
        if (strcmp(field->sorted[i]->value[0], value) == 0)
            fprintf(figure->data, "%.6g %.6g\n", field->sorted[i]->out_tok_rate,
                    latency(field->sorted[i]) / 1e9);
    return block;
}

static void latency_axes(struct ryz_figure *figure, const struct field *field)
{
    const struct ryz_points *points = field->points;
    char title[160] = "Latency against throughput";
    double pad = 0.12 * (field->x_most - field->x_least) + 1e-9;
    if (points->axis_count > 0)
        snprintf(title + strlen(title), sizeof title - strlen(title), "; labels: %s%s",
                 ryz_points_short_key(points->axes[points->axis_count > 1 ? 1 : 0]),
                 points->axis_count > 2 ? ", ..." : "");
    (void)fputs("set title ", figure->gp);
    ryz_figure_quote(figure->gp, title);
    fprintf(figure->gp,
            "\nset xlabel 'output tokens a second'\nset ylabel 'e2e p90 [s]'\nset "
            "offsets\n"
            "set xrange [%.6g:%.6g]\n"
            "set key top right vertical maxrows 12 Left reverse samplen 1.6 width 1 font ',10'\n",
            field->x_least - pad, field->x_most + pad);
    if (!field->logarithm) {
        fprintf(figure->gp, "set yrange [0:%.6g]\n", field->y_most * 1.15);
        return;
    }
    fprintf(figure->gp, "set logscale y 10\nset yrange [%.6g:%.6g]\n", field->y_least / 1.5,
            field->y_most * 2.5);
    ryz_figure_log_tics(figure, "y", field->y_least / 1.5, field->y_most * 2.5);
}

static void latency_panel(struct ryz_figure *figure, const struct field *field)
{
    const struct ryz_points *points = field->points;
    char values[32][32] = {{0}};
    uint32_t groups = points->axis_count > 1 ? ryz_points_values(points, 0, values) : 1;
    latency_axes(figure, field);
    fprintf(figure->gp,
            "plot data index %u using 1:2 with lines lw 2 dt (8,5) lc rgb '%s' title "
            "'not beaten in both'",
            write_front(figure, field), RYZ_GREY);
    for (uint32_t g = 0; g < groups; g++) {
        uint32_t block = points->axis_count > 1
                             ? write_group(figure, field, values[g])
                             : ryz_figure_block(figure, "points: tok/s, e2e p90 s");
        if (points->axis_count <= 1)
            for (size_t i = 0; i < field->count; i++)
                fprintf(figure->data, "%.6g %.6g\n", field->sorted[i]->out_tok_rate,
                        latency(field->sorted[i]) / 1e9);
        fprintf(figure->gp,
                ", \\\n     data index %u using 1:2 with points pt 7 ps 1.2 lc rgb '%s' "
                "title ",
                block, ryz_colour(g));
        char title[112] = "";
        if (points->axis_count > 1)
            (void)snprintf(title, sizeof title, "%.63s=%.31s",
                           ryz_points_short_key(points->axes[0]), values[g]);
        ryz_figure_quote(figure->gp, title);
    }
    fprintf(figure->gp,
            ", \\\n     data index %u using 1:2:3 with labels left offset 0.9,0.4 font "
            "',10' tc rgb '#404040' notitle\n",
            write_labels(figure, field));
}

static void set_panel(FILE *gp, double left, double right)
{
    fprintf(gp,
            "set lmargin at screen %.3f\nset rmargin at screen %.3f\n"
            "set tmargin at screen 0.82\nset bmargin at screen 0.14\n",
            left, right);
}

static enum ryz_status draw(const struct ryz_plot_context *context, struct field *field,
                            struct ryz_error *error)
{
    const struct ryz_points *points = field->points;
    struct ryz_figure figure;
    struct ryz_caption caption;
    struct ryz_run_data data;
    collect(field);
    bool left = count_accuracy(points) >= 2, right = field->count >= 2;
    if (!left && !right) return RYZ_OK;
    enum ryz_status status = ryz_results_read_run(context->results, 0, 0, &data, error);
    if (status != RYZ_OK) return status;
    ryz_caption_make(context->results, &data.info, &caption);
    ryz_run_data_deinit(&data);
    status = ryz_figure_begin(&figure, context->folder, "pareto", &caption,
                              "Points of the sweep, mean of their repeats", error);
    if (status != RYZ_OK) return status;
    (void)fputs("set multiplot\n", figure.gp);
    if (left) {
        set_panel(figure.gp, 0.075, right ? 0.48 : 0.97);
        accuracy_panel(&figure, points);
        (void)fputs("unset label\n", figure.gp);
    }
    if (right) {
        set_panel(figure.gp, left ? 0.56 : 0.075, 0.97);
        latency_panel(&figure, field);
    }
    (void)fputs("unset multiplot\n", figure.gp);
    return ryz_figure_end(&figure, context->result, error);
}

enum ryz_status ryz_plot_pareto(const struct ryz_plot_context *context, struct ryz_error *error)
{
    struct ryz_points points;
    enum ryz_status status = ryz_points_read(context->results, &points, error);
    if (status != RYZ_OK) return status;
    struct field field = {.points = &points};
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): they are pointers */
    field.sorted = calloc(points.count + 1, sizeof *field.sorted);
    if (field.sorted == NULL)
        status = ryz_fail(error, RYZ_NO_MEMORY, "no memory for a figure");
    else
        status = draw(context, &field, error);
    free(field.sorted);
    ryz_points_free(&points);
    return status;
}
