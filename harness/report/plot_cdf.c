/*
 * plot_cdf.c - which share of the requests was answered within a time.
 *
 * A curve is a traffic (one point) or a point of a sweep, its repeats pooled; failed requests are
 * part of the 100 %, so the curve of a server that refuses load does not reach the top.
 */
#include "harness/report/plots.h"

#include "harness/evaluate/collect.h"
#include "harness/report/figure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CURVES_MAX 8u
#define STEPS_MAX  300u /* points drawn of a curve */

static const enum ryz_quantity panels[] = {RYZ_Q_TTFT, RYZ_Q_TPOT, RYZ_Q_E2E};
static const char *const panel_titles[] = {"Time to first token", "Time per output token",
                                           "End to end"};
#define PANELS 3u

struct curve {
    char title[160];
    bool dashed;
    uint32_t point;
    int traffic; /* -1: all */
    struct ryz_samples samples[PANELS];
};

struct curves {
    struct curve curve[2 * CURVES_MAX];
    uint32_t count;
    uint32_t points, stride; /* of the first file; every stride-th point is drawn */
};

static struct curve *curve_of(struct curves *curves, uint32_t first, uint32_t point, int traffic)
{
    for (uint32_t i = first; i < curves->count; i++)
        if (curves->curve[i].point == point && curves->curve[i].traffic == traffic)
            return &curves->curve[i];
    if (curves->count - first >= CURVES_MAX) return NULL;
    struct curve *curve = &curves->curve[curves->count++];
    *curve = (struct curve){.point = point, .traffic = traffic};
    return curve;
}

static bool has_measured(const struct ryz_run_data *data, int traffic)
{
    size_t count = 0;
    const struct ryz_request_row *rows = ryz_run_rows(data, RYZ_TABLE_REQUESTS, &count);
    for (size_t i = 0; i < count; i++)
        if (rows[i].measured && rows[i].phase == traffic) return true;
    return false;
}

static void add_run(struct curves *curves, uint32_t first, const struct ryz_run_data *data,
                    bool by_traffic, const char *origin)
{
    const struct ryz_windows none = {0};
    int traffics = by_traffic ? (int)data->info.phase_count : 1;
    for (int t = 0; t < traffics; t++) {
        int traffic = by_traffic ? t : -1;
        if (by_traffic && !has_measured(data, t)) continue;
        struct curve *curve = curve_of(curves, first, data->info.point, traffic);
        if (curve == NULL) continue;
        struct ryz_view view = {.data = data, .windows = &none, .traffic = traffic};
        char label[128];
        ryz_short_label(data->info.label, label, sizeof label);
        const char *name = by_traffic         ? data->info.phases[t]
                           : label[0] != '\0' ? label
                                              : "all requests";
        curve->dashed = first > 0;
        snprintf(curve->title, sizeof curve->title, "%.100s%s%.40s", name,
                 origin[0] != '\0' ? ", " : "", origin);
        for (uint32_t p = 0; p < PANELS; p++)
            ryz_collect_samples(&view, panels[p], &curve->samples[p]);
    }
}

/* Points of a file: the highest number and whether there is more than one. */
static enum ryz_status count_points(const struct ryz_results *results, uint32_t *points,
                                    struct ryz_error *error)
{
    uint32_t runs = ryz_results_run_count(results);
    *points = 0;
    for (uint32_t r = 0; r < runs; r++) {
        struct ryz_run_data data;
        enum ryz_status status = ryz_results_read_run(results, r, 0, &data, error);
        if (status != RYZ_OK) return status;
        if (data.info.point >= *points && data.info.point < runs) *points = data.info.point + 1;
        ryz_run_data_deinit(&data);
    }
    return RYZ_OK;
}

/* Adds the curves of one file. */
static enum ryz_status add_file(struct curves *curves, const struct ryz_results *results,
                                bool name_origin, struct ryz_error *error)
{
    uint32_t runs = ryz_results_run_count(results), first = curves->count, points = 0;
    enum ryz_status status = count_points(results, &points, error);
    uint32_t stride = (points + CURVES_MAX - 1) / CURVES_MAX;
    if (first == 0) {
        curves->points = points;
        curves->stride = stride;
    }
    for (uint32_t r = 0; status == RYZ_OK && r < runs; r++) {
        struct ryz_run_data data;
        status = ryz_results_read_run(results, r, RYZ_TABLE_BIT(RYZ_TABLE_REQUESTS), &data, error);
        if (status != RYZ_OK) break;
        if (stride < 2 || data.info.point % stride == 0)
            add_run(curves, first, &data, points < 2, name_origin ? data.info.driver : "");
        ryz_run_data_deinit(&data);
    }
    return status;
}

static void write_curve(FILE *out, struct ryz_samples *samples)
{
    ryz_samples_estimate(samples, RYZ_STAT_MIN); /* sorts */
    size_t step = samples->count / STEPS_MAX + 1;
    double n = (double)samples->count;
    for (size_t i = 0; i < samples->count; i += step) {
        if (isinf(samples->values[i])) break;
        /* A log axis has no zero. */
        double ms = samples->values[i] / 1e6;
        fprintf(out, "%.6g %.6g\n", ms > 1e-3 ? ms : 1e-3, 100 * (double)(i + 1) / n);
    }
    double last = NAN, share = NAN;
    for (size_t i = samples->count; i > 0 && isnan(last); i--)
        if (!isinf(samples->values[i - 1])) {
            last = samples->values[i - 1] / 1e6;
            share = 100 * (double)i / n;
        }
    if (!isnan(last)) fprintf(out, "%.6g %.6g\n", last > 1e-3 ? last : 1e-3, share);
}

static double failed_percent(const struct ryz_samples *samples)
{
    size_t failed = 0;
    for (size_t i = 0; i < samples->count; i++) failed += isinf(samples->values[i]) != 0;
    return samples->count > 0 ? 100.0 * (double)failed / (double)samples->count : 0;
}

/* The x range must not be left to a curve of equal values. */
static void write_range(struct ryz_figure *figure, const struct curves *curves, uint32_t panel)
{
    double least = INFINITY, most = 0;
    for (uint32_t c = 0; c < curves->count; c++)
        for (size_t i = 0; i < curves->curve[c].samples[panel].count; i++) {
            double ms = curves->curve[c].samples[panel].values[i] / 1e6;
            if (isinf(ms)) continue;
            if (ms > 1e-3 && ms < least) least = ms;
            if (ms > most) most = ms;
        }
    if (!isfinite(least) || most <= least) {
        least = isfinite(least) ? least / 2 : 0.1;
        most = least * 4;
    }
    fprintf(figure->gp, "set xrange [%.4g:%.4g]\n", least / 1.15, most * 1.15);
    ryz_figure_log_tics(figure, "x", least / 1.15, most * 1.15);
}

/* A curve of the second file has the colour of its counterpart. */
static const char *colour_of(const struct curves *curves, uint32_t c)
{
    for (uint32_t i = 0; i < c; i++)
        if (curves->curve[i].point == curves->curve[c].point &&
            curves->curve[i].traffic == curves->curve[c].traffic)
            return ryz_colour(i);
    return ryz_colour(c);
}

static void write_panel(struct ryz_figure *figure, struct curves *curves, uint32_t panel)
{
    FILE *gp = figure->gp;
    double left = 0.055 + 0.32 * panel;
    fprintf(gp,
            "set lmargin at screen %.3f\nset rmargin at screen %.3f\n"
            "set tmargin at screen 0.855\nset bmargin at screen 0.255\n",
            left, left + 0.285);
    fprintf(gp, "set title '%s' offset 0,-0.6\nset xlabel '%s [ms]' offset 0,0.4\n",
            panel_titles[panel], ryz_quantity_spec(panels[panel])->name);
    fprintf(gp, "%s\n",
            panel == 0 ? "set ylabel 'share of requests [%]' offset 1.2,0" : "unset ylabel");
    write_range(figure, curves, panel);
    (void)fputs("plot ", gp);
    for (uint32_t c = 0; c < curves->count; c++) {
        struct curve *curve = &curves->curve[c];
        uint32_t block = ryz_figure_block(figure, "%s of %s: ms, %%",
                                          ryz_quantity_spec(panels[panel])->name, curve->title);
        write_curve(figure->data, &curve->samples[panel]);
        fprintf(gp, "data index %u using 1:2 with lines lw 2.2%s lc rgb '%s' notitle%s", block,
                curve->dashed ? " dt (8,5)" : "", colour_of(curves, c),
                c + 1 < curves->count ? ", \\\n     " : "\n");
    }
}

static void write_legend(struct ryz_figure *figure, const struct curves *curves)
{
    for (uint32_t c = 0; c < curves->count; c++) {
        const struct curve *curve = &curves->curve[c];
        char title[256];
        snprintf(title, sizeof title, "%s (n %zu, failed %.3g %%)", curve->title,
                 curve->samples[0].count, failed_percent(&curve->samples[0]));
        ryz_figure_legend(figure, c, title, curve->dashed, colour_of(curves, c));
    }
}

static enum ryz_status draw(const struct ryz_plot_context *context, struct curves *curves,
                            struct ryz_error *error)
{
    struct ryz_figure figure;
    struct ryz_caption caption;
    struct ryz_run_data data;
    uint32_t run = ryz_plots_choose_run(context->results);
    enum ryz_status status = ryz_results_read_run(context->results, run, 0, &data, error);
    if (status != RYZ_OK) return status;
    ryz_caption_make(context->results, &data.info, &caption);
    ryz_run_data_deinit(&data);
    char subtitle[192] = "Latency from the scheduled arrival; where requests failed, a curve ends "
                         "below 100 %";
    if (curves->stride > 1)
        snprintf(subtitle + strlen(subtitle), sizeof subtitle - strlen(subtitle),
                 "; %u of %u points", (curves->points + curves->stride - 1) / curves->stride,
                 curves->points);
    status = ryz_figure_begin(&figure, context->folder, "cdf", &caption, subtitle, error);
    if (status != RYZ_OK) return status;
    (void)fputs("set multiplot\nset logscale x 10\nset format x '%g'\nset yrange [0:100.5]\n"
                "set ytics (0,25,50,75,90,99)\nset mxtics default\nunset key\n",
                figure.gp);
    write_legend(&figure, curves);
    for (uint32_t p = 0; p < PANELS; p++) {
        write_panel(&figure, curves, p);
        if (p == 0) (void)fputs("unset label\n", figure.gp);
    }
    (void)fputs("unset multiplot\n", figure.gp);
    return ryz_figure_end(&figure, context->result, error);
}

enum ryz_status ryz_plot_cdf(const struct ryz_plot_context *context, struct ryz_error *error)
{
    size_t samples = 0;
    bool no_memory = false;
    struct curves *curves = calloc(1, sizeof *curves);
    if (curves == NULL) return ryz_fail(error, RYZ_NO_MEMORY, "no memory for a figure");
    bool both = context->other != NULL;
    enum ryz_status status = add_file(curves, context->results, both, error);
    if (status == RYZ_OK && both) status = add_file(curves, context->other, both, error);
    for (uint32_t c = 0; c < curves->count; c++) {
        samples += curves->curve[c].samples[0].count;
        for (uint32_t p = 0; p < PANELS; p++) no_memory |= curves->curve[c].samples[p].no_memory;
    }
    if (status == RYZ_OK && no_memory)
        status = ryz_fail(error, RYZ_NO_MEMORY, "no memory for the curves of a figure");
    if (status == RYZ_OK && samples > 0) status = draw(context, curves, error);
    for (uint32_t c = 0; c < curves->count; c++)
        for (uint32_t p = 0; p < PANELS; p++) ryz_samples_free(&curves->curve[c].samples[p]);
    free(curves);
    return status;
}
