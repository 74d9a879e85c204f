/*
 * plot_heatmap.c - throughput and latency over the axes of a sweep: a heat map for two axes, lines
 * for one. Further axes are averaged over, and the subtitle says so.
 */
#include "harness/report/plots.h"

#include "harness/evaluate/quantities.h"
#include "harness/report/figure.h"
#include "harness/report/points.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define VALUES_MAX 32u
#define PANELS     3u

#define DECADES_MAX 1.2 /* a wider range of values is coloured by its logarithm */

struct panel {
    const char *title, *unit;
    size_t offset;
    double scale; /* of the lines' axis, into the unit of `axis` */
    const char *axis;
};

static const struct panel panels[PANELS] = {
    {"Output tokens a second", "plain", offsetof(struct ryz_point_numbers, out_tok_rate), 1,
     "tok/s"},
    {"Time to first token, p90", "ns", offsetof(struct ryz_point_numbers, ttft_p90), 1e-6, "ms"},
    {"Time per output token, p90", "ns", offsetof(struct ryz_point_numbers, tpot_p90), 1e-6, "ms"},
};

/* The two axes that are drawn. */
struct grid {
    const struct ryz_points *points;
    uint32_t x, y; /* axes; x == y: there is only one */
    uint32_t nx, ny;
    char xs[VALUES_MAX][32], ys[VALUES_MAX][32];
};

static double number(const struct ryz_point_numbers *point, const struct panel *panel)
{
    double value;
    memcpy(&value, (const char *)point + panel->offset, sizeof value);
    return value;
}

/* Mean over all points with these values; NaN if there is none. */
static double cell(const struct grid *grid, uint32_t x, uint32_t y, const struct panel *panel)
{
    double sum = 0, n = 0;
    for (size_t i = 0; i < grid->points->count; i++) {
        const struct ryz_point_numbers *point = &grid->points->points[i];
        double value = number(point, panel);
        if (strcmp(point->value[grid->x], grid->xs[x]) != 0) continue;
        if (grid->x != grid->y && strcmp(point->value[grid->y], grid->ys[y]) != 0) continue;
        if (isnan(value)) continue;
        sum += value;
        n++;
    }
    return n > 0 ? sum / n : (double)NAN;
}

/* Chooses the axis with the most values for x and the next for y; false if nothing was swept. */
static bool choose_axes(const struct ryz_points *points, struct grid *grid)
{
    uint32_t best = 0, second = 0;
    grid->points = points;
    for (uint32_t a = 0; a < points->axis_count; a++) {
        char values[VALUES_MAX][32];
        uint32_t count = ryz_points_values(points, a, values);
        if (count > best) {
            second = best;
            grid->y = grid->x;
            best = count;
            grid->x = a;
        } else if (count > second) {
            second = count;
            grid->y = a;
        }
    }
    if (best < 2) return false;
    if (second < 2) grid->y = grid->x;
    grid->nx = ryz_points_values(points, grid->x, grid->xs);
    grid->ny = grid->x == grid->y ? 1 : ryz_points_values(points, grid->y, grid->ys);
    return true;
}

static void write_tics(FILE *gp, const char *axis, char values[VALUES_MAX][32], uint32_t count)
{
    fprintf(gp, "set %stics (", axis);
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0) (void)fputs(", ", gp);
        ryz_figure_quote(gp, values[i]);
        fprintf(gp, " %u", i);
    }
    (void)fputs(") scale 0\n", gp);
}

static void begin_panel(FILE *gp, uint32_t p)
{
    double left = 0.075 + 0.315 * p;
    fprintf(gp,
            "set lmargin at screen %.3f\nset rmargin at screen %.3f\n"
            "set tmargin at screen 0.84\nset bmargin at screen 0.16\nset title '%s'\n",
            left, left + 0.255, panels[p].title);
    if (p == 1) (void)fputs("unset label\n", gp);
}

/* Smallest and largest finite value of the grid; false if there is none. */
static bool find_range(const struct grid *grid, uint32_t p, double *least, double *most)
{
    *least = INFINITY;
    *most = -INFINITY;
    for (uint32_t y = 0; y < grid->ny; y++)
        for (uint32_t x = 0; x < grid->nx; x++) {
            double value = cell(grid, x, y, &panels[p]);
            if (!isfinite(value)) continue;
            *least = value < *least ? value : *least;
            *most = value > *most ? value : *most;
        }
    return isfinite(*least);
}

static void heat_panel(struct ryz_figure *figure, struct grid *grid, uint32_t p)
{
    double least, most;
    uint32_t block = ryz_figure_block(figure, "%s: x, y, colour, text", panels[p].title);
    bool any = find_range(grid, p, &least, &most);
    bool logarithm = any && least > 0 && log10(most / least) > DECADES_MAX;
    for (uint32_t y = 0; y < grid->ny; y++)
        for (uint32_t x = 0; x < grid->nx; x++) {
            double value = cell(grid, x, y, &panels[p]);
            char text[32];
            if (!isfinite(value)) continue;
            ryz_report_format(value, panels[p].unit, text, sizeof text);
            fprintf(figure->data, "%u %u %.6g \"%s\"\n", x, y, logarithm ? log10(value) : value,
                    text);
        }
    begin_panel(figure->gp, p);
    if (!any) {
        (void)fputs("plot 1/0 notitle\n", figure->gp);
        return;
    }
    if (logarithm) {
        least = log10(least);
        most = log10(most);
    }
    if (most <= least) most = least + (least != 0 ? fabs(least) : 1);
    double middle = (least + most) / 2;
    /* Dark is always the better end: much throughput, little latency. */
    fprintf(figure->gp, "set palette defined (%s)\nset cbrange [%.6g:%.6g]\n",
            p == 0 ? "0 '#F7FBFF', 0.5 '#6BAED6', 1 '#08306B'"
                   : "0 '#08306B', 0.5 '#6BAED6', 1 '#F7FBFF'",
            least, most);
    fprintf(figure->gp,
            "plot data index %u using 1:2:($1-0.49):($1+0.49):($2-0.49):($2+0.49):3 with "
            "boxxyerror fs solid 1 noborder lc palette notitle, \\\n"
            "     data index %u using 1:2:($3 %s %.6g ? strcol(4) : '') with labels "
            "tc rgb 'white' notitle, \\\n"
            "     data index %u using 1:2:($3 %s %.6g ? '' : strcol(4)) with labels "
            "tc rgb 'black' notitle\n",
            block, block, p == 0 ? ">" : "<", middle, block, p == 0 ? ">" : "<", middle);
}

static void line_panel(struct ryz_figure *figure, struct grid *grid, uint32_t p)
{
    uint32_t block = ryz_figure_block(figure, "%s: x, value", panels[p].title);
    bool any = false;
    for (uint32_t x = 0; x < grid->nx; x++) {
        double value = cell(grid, x, 0, &panels[p]);
        if (!isfinite(value)) continue;
        fprintf(figure->data, "%u %.6g\n", x, value * panels[p].scale);
        any = true;
    }
    begin_panel(figure->gp, p);
    fprintf(figure->gp, "set yrange [0:*]\nset ylabel '%s'\n", panels[p].axis);
    if (any)
        fprintf(figure->gp,
                "plot data index %u using 1:2 with linespoints pt 7 ps 1.2 lw 2.2 lc rgb '%s' "
                "notitle\n",
                block, ryz_colour(p));
    else
        (void)fputs("plot 1/0 notitle\n", figure->gp);
}

static enum ryz_status draw(const struct ryz_plot_context *context, struct grid *grid,
                            struct ryz_error *error)
{
    const struct ryz_points *points = grid->points;
    struct ryz_figure figure;
    struct ryz_caption caption;
    struct ryz_run_data data;
    char subtitle[320];
    bool two = grid->x != grid->y;
    enum ryz_status status = ryz_results_read_run(context->results, 0, 0, &data, error);
    if (status != RYZ_OK) return status;
    ryz_caption_make(context->results, &data.info, &caption);
    ryz_run_data_deinit(&data);
    snprintf(subtitle, sizeof subtitle, "Sweep of %s%s%s%s", points->axes[grid->x],
             two ? " and " : "", two ? points->axes[grid->y] : "",
             points->axis_count > (two ? 2u : 1u) ? "; mean over the other axes" : "");
    status = ryz_figure_begin(&figure, context->folder, "heatmap", &caption, subtitle, error);
    if (status != RYZ_OK) return status;
    (void)fputs("set multiplot\nunset colorbox\nset xlabel ", figure.gp);
    ryz_figure_quote(figure.gp, ryz_points_short_key(points->axes[grid->x]));
    (void)fputs("\n", figure.gp);
    fprintf(figure.gp, "set xrange [-0.5:%u.5]\n", grid->nx - 1);
    write_tics(figure.gp, "x", grid->xs, grid->nx);
    if (two) {
        fprintf(figure.gp, "unset grid\nset border 0\nset yrange [%u.5:-0.5]\nset ylabel ",
                grid->ny - 1);
        ryz_figure_quote(figure.gp, ryz_points_short_key(points->axes[grid->y]));
        (void)fputs("\n", figure.gp);
        write_tics(figure.gp, "y", grid->ys, grid->ny);
    }
    for (uint32_t p = 0; p < PANELS; p++) {
        if (two)
            heat_panel(&figure, grid, p);
        else
            line_panel(&figure, grid, p);
        if (two && p == 0) (void)fputs("unset ylabel\n", figure.gp);
    }
    (void)fputs("unset multiplot\n", figure.gp);
    return ryz_figure_end(&figure, context->result, error);
}

enum ryz_status ryz_plot_heatmap(const struct ryz_plot_context *context, struct ryz_error *error)
{
    struct ryz_points points;
    enum ryz_status status = ryz_points_read(context->results, &points, error);
    if (status != RYZ_OK) return status;
    struct grid *grid = calloc(1, sizeof *grid);
    if (grid == NULL) {
        ryz_points_free(&points);
        return ryz_fail(error, RYZ_NO_MEMORY, "no memory for a figure");
    }
    if (choose_axes(&points, grid)) status = draw(context, grid, error);
    free(grid);
    ryz_points_free(&points);
    return status;
}
