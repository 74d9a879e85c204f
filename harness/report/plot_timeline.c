/*
 * plot_timeline.c - the run over time, one above the other: what users felt, what came out, what
 * the engine did, what the machine did. Faults are shaded through all panels.
 */
#include "harness/report/plots.h"

#include "engine/base/clock.h"
#include "harness/evaluate/windows.h"
#include "harness/report/figure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BINS 150u

static double seconds(int64_t t_ns)
{
    return (double)t_ns / (double)RYZ_NS_PER_S;
}

/* Sums and counts over equal slices of the run's time. */
struct bins {
    double width_s;
    double sum[BINS], n[BINS];
};

static void bins_add(struct bins *bins, int64_t t_ns, double value)
{
    double at = seconds(t_ns) / bins->width_s;
    if (!(at >= 0) || at >= BINS || isnan(value)) return;
    bins->sum[(size_t)at] += value;
    bins->n[(size_t)at] += 1;
}

/* Writes one block: time, then the sum a second, or the mean of the slices that have any. */
static uint32_t bins_write(struct ryz_figure *figure, const struct bins *bins, bool rate,
                           const char *what)
{
    uint32_t block = ryz_figure_block(figure, "s, %s", what);
    for (size_t i = 0; i < BINS; i++) {
        double middle = ((double)i + 0.5) * bins->width_s;
        if (rate)
            fprintf(figure->data, "%.6g %.6g\n", middle, bins->sum[i] / bins->width_s);
        else if (bins->n[i] > 0)
            fprintf(figure->data, "%.6g %.6g\n", middle, bins->sum[i] / bins->n[i]);
    }
    return block;
}

static double run_end_s(const struct ryz_run_data *data)
{
    size_t count = 0;
    int64_t end = RYZ_NS_PER_MS;
    const struct ryz_request_row *rows = ryz_run_rows(data, RYZ_TABLE_REQUESTS, &count);
    for (size_t i = 0; i < count; i++) {
        if (rows[i].t_done > end) end = rows[i].t_done;
        if (rows[i].t_sched > end) end = rows[i].t_sched;
    }
    return seconds(end);
}

/* ---- panels ---- */

struct panels {
    struct ryz_figure *figure;
    const struct ryz_run_data *data;
    double width_s, end_s;
    uint32_t count, index; /* how many there will be, and which is next */
};

static void begin_panel(struct panels *panels, const char *ylabel)
{
    FILE *gp = panels->figure->gp;
    double height = (0.885 - 0.10) / panels->count;
    double top = 0.885 - height * panels->index;
    bool last = panels->index + 1 == panels->count;
    if (panels->index == 1) (void)fputs("unset label\n", gp);
    fprintf(gp, "set tmargin at screen %.4f\nset bmargin at screen %.4f\n", top - 0.012,
            top - height + 0.028);
    fprintf(gp, "set ylabel '%s'\n", ylabel);
    (void)fputs(
        last ? "set format x '%g'\nset xlabel 'time since the start of the run [s]' offset 0,0.4\n"
             : "set format x ''\nunset xlabel\n",
        gp);
    ryz_figure_faults(panels->figure, panels->data, panels->index == 0 ? 1.07 : -1);
    /* The legend of the first panel goes above the names of the faults. */
    fprintf(gp, "set key at %s\n",
            panels->index == 0 ? "screen 0.985,0.93 right center" : "graph 1,1 right bottom");
    panels->index++;
}

/* Points of one traffic's answered requests; widens the range. Returns how many. */
static uint32_t write_answers(struct panels *panels, uint32_t phase, double *least, double *most)
{
    size_t count = 0;
    uint32_t written = 0;
    const struct ryz_request_row *rows = ryz_run_rows(panels->data, RYZ_TABLE_REQUESTS, &count);
    for (size_t i = 0; i < count; i++) {
        if (rows[i].phase != phase || rows[i].status != RYZ_REQUEST_OK) continue;
        if (rows[i].t_first == RYZ_TIME_NONE) continue;
        double ttft = fmax((double)(rows[i].t_first - rows[i].t_sched) / 1e6, 1e-3);
        (void)fprintf(panels->figure->data, "%.6g %.6g\n", seconds(rows[i].t_sched), ttft);
        *most = fmax(*most, ttft);
        *least = fmin(*least, ttft);
        written++;
    }
    return written;
}

/* Failed requests at one height above all answered ones. Returns how many. */
static uint32_t write_failures(struct panels *panels, double height)
{
    size_t count = 0;
    uint32_t failures = 0;
    const struct ryz_request_row *rows = ryz_run_rows(panels->data, RYZ_TABLE_REQUESTS, &count);
    for (size_t i = 0; i < count; i++) {
        if (!ryz_request_failed(&rows[i])) continue;
        (void)fprintf(panels->figure->data, "%.6g %.6g\n", seconds(rows[i].t_sched), height);
        failures++;
    }
    return failures;
}

static void request_panel(struct panels *panels)
{
    const struct ryz_run_info *info = &panels->data->info;
    struct ryz_figure *figure = panels->figure;
    uint32_t blocks[RYZ_PHASES_MAX] = {0}, used[RYZ_PHASES_MAX] = {0};
    double most = 1, least = INFINITY;
    for (uint32_t p = 0; p < info->phase_count; p++) {
        blocks[p] = ryz_figure_block(figure, "%s: s, ttft in ms", info->phases[p]);
        used[p] = write_answers(panels, p, &least, &most);
    }
    uint32_t block = ryz_figure_block(figure, "failed: s, at a height");
    uint32_t failures = write_failures(panels, most * 1.6);
    begin_panel(panels, "ttft [ms]");
    least = isfinite(least) && least > 1e-3 ? least / 1.5 : most / 10;
    (void)fprintf(figure->gp, "set logscale y 10\nset yrange [%.4g:%.4g]\n", least, most * 4);
    ryz_figure_log_tics(figure, "y", least, most * 4);
    (void)fputs("plot ", figure->gp);
    for (uint32_t p = 0; p < info->phase_count; p++) {
        if (used[p] == 0) continue;
        (void)fprintf(figure->gp,
                      "data index %u using 1:2 with points pt 7 ps 0.45 lc rgb '%s' title ",
                      blocks[p], ryz_colour(p));
        ryz_figure_quote(figure->gp, info->phases[p]);
        (void)fputs(", \\\n     ", figure->gp);
    }
    if (failures > 0)
        (void)fprintf(figure->gp,
                      "data index %u using 1:2 with points pt 2 ps 0.8 lw 1.5 lc rgb '%s' title "
                      "'failed (%u)'\n",
                      block, RYZ_RED, failures);
    else
        (void)fputs("1/0 notitle\n", figure->gp);
    (void)fputs("unset logscale y\nset yrange [0:*]\nset ytics auto\n", figure->gp);
}

static void throughput_panel(struct panels *panels)
{
    size_t count = 0;
    struct bins bins = {.width_s = panels->width_s};
    const struct ryz_token_row *tokens = ryz_run_rows(panels->data, RYZ_TABLE_TOKENS, &count);
    for (size_t i = 0; i < count; i++) bins_add(&bins, tokens[i].t_ns, tokens[i].n);
    if (count == 0) {
        const struct ryz_request_row *rows = ryz_run_rows(panels->data, RYZ_TABLE_REQUESTS, &count);
        for (size_t i = 0; i < count; i++)
            if (rows[i].t_done != RYZ_TIME_NONE) bins_add(&bins, rows[i].t_done, rows[i].out_tok);
    }
    uint32_t block = bins_write(panels->figure, &bins, true, "output tokens a second");
    begin_panel(panels, "output [tok/s]");
    fprintf(panels->figure->gp,
            "plot data index %u using 1:2 with fillsteps fs solid 1 noborder lc rgb '#BFE3D8' "
            "notitle, data index %u using 1:2 with steps lw 1.4 lc rgb '%s' notitle\n",
            block, block, RYZ_GREEN);
}

static void engine_panel(struct panels *panels)
{
    size_t count = 0;
    struct bins batch = {.width_s = panels->width_s}, waiting = {.width_s = panels->width_s};
    struct bins limit = {.width_s = panels->width_s};
    bool moves = false; /* the controller's limit; one that stands still is no news */
    const struct ryz_step_row *steps = ryz_run_rows(panels->data, RYZ_TABLE_ENGINE, &count);
    for (size_t i = 0; i < count; i++) {
        bins_add(&batch, steps[i].t_ns, steps[i].run_count);
        bins_add(&waiting, steps[i].t_ns, steps[i].waiting);
        bins_add(&limit, steps[i].t_ns, steps[i].batch_limit);
        moves = moves || steps[i].batch_limit != steps[0].batch_limit;
    }
    uint32_t b = bins_write(panels->figure, &batch, false, "requests in a step, mean");
    uint32_t w = bins_write(panels->figure, &waiting, false, "requests waiting, mean");
    uint32_t l =
        moves ? bins_write(panels->figure, &limit, false, "requests that may run, mean") : 0;
    begin_panel(panels, "requests");
    FILE *gp = panels->figure->gp;
    fprintf(gp,
            "plot data index %u using 1:2 with lines lw 1.8 lc rgb '%s' title 'batch', "
            "data index %u using 1:2 with lines lw 1.4 lc rgb '%s' title 'waiting'",
            b, RYZ_BLUE, w, RYZ_ORANGE);
    if (moves)
        fprintf(gp, ", data index %u using 1:2 with lines lw 1.2 dt 2 lc rgb '%s' title 'limit'", l,
                RYZ_GREY);
    (void)fputc('\n', gp);
}

static void machine_panel(struct panels *panels, bool engine)
{
    size_t count = 0;
    struct bins kv = {.width_s = panels->width_s}, cpu = {.width_s = panels->width_s};
    const struct ryz_step_row *steps = ryz_run_rows(panels->data, RYZ_TABLE_ENGINE, &count);
    for (size_t i = 0; i < count; i++)
        if (steps[i].kv_total > 0)
            bins_add(&kv, steps[i].t_ns, 100.0 * steps[i].kv_used / steps[i].kv_total);
    const struct ryz_host_row *host = ryz_run_rows(panels->data, RYZ_TABLE_HOST, &count);
    for (size_t i = 0; i < count; i++) bins_add(&cpu, host[i].t_ns, 100 * (double)host[i].cpu);
    bool watched = count > 0;
    uint32_t k = bins_write(panels->figure, &kv, false, "share of the KV cache in use, %");
    uint32_t c = bins_write(panels->figure, &cpu, false, "share of the cores in use, %");
    begin_panel(panels, "in use [%]");
    FILE *gp = panels->figure->gp;
    (void)fputs("set yrange [0:105]\nplot ", gp);
    if (engine)
        fprintf(gp, "data index %u using 1:2 with lines lw 1.8 lc rgb '%s' title 'KV cache'%s", k,
                RYZ_PURPLE, watched ? ", \\\n     " : "\n");
    if (watched)
        fprintf(gp, "data index %u using 1:2 with lines lw 1.2 lc rgb '%s' title 'CPU'\n", c,
                RYZ_GREY);
}

static void draw_panels(struct panels *panels)
{
    size_t steps = 0, host = 0;
    ryz_run_rows(panels->data, RYZ_TABLE_ENGINE, &steps);
    ryz_run_rows(panels->data, RYZ_TABLE_HOST, &host);
    panels->count = 2 + (steps > 0) + (steps > 0 || host > 0);
    fprintf(panels->figure->gp,
            "set multiplot\nset lmargin at screen 0.075\nset rmargin at screen 0.985\n"
            "set xrange [0:%.6g]\nset key at graph 1,1.0 right bottom horizontal Left reverse "
            "samplen 1.5 width 1 "
            "font ',10'\n",
            panels->end_s);
    request_panel(panels);
    throughput_panel(panels);
    if (steps > 0) engine_panel(panels);
    if (steps > 0 || host > 0) machine_panel(panels, steps > 0);
    (void)fputs("unset multiplot\n", panels->figure->gp);
}

enum ryz_status ryz_plot_timeline(const struct ryz_plot_context *context, struct ryz_error *error)
{
    const uint32_t tables = RYZ_TABLE_BIT(RYZ_TABLE_REQUESTS) | RYZ_TABLE_BIT(RYZ_TABLE_TOKENS) |
                            RYZ_TABLE_BIT(RYZ_TABLE_ENGINE) | RYZ_TABLE_BIT(RYZ_TABLE_EVENTS) |
                            RYZ_TABLE_BIT(RYZ_TABLE_HOST);
    struct ryz_figure figure;
    struct ryz_caption caption;
    struct ryz_run_data data;
    char subtitle[256];
    uint32_t run = ryz_plots_choose_run(context->results);
    enum ryz_status status = ryz_results_read_run(context->results, run, tables, &data, error);
    if (status != RYZ_OK) return status;
    if (data.tables[RYZ_TABLE_REQUESTS].count == 0) goto out_data;
    ryz_caption_make(context->results, &data.info, &caption);
    snprintf(subtitle, sizeof subtitle, "Run %u over time%s%.180s", run,
             data.info.label[0] != '\0' ? ": " : "", data.info.label);
    status = ryz_figure_begin(&figure, context->folder, "timeline", &caption, subtitle, error);
    if (status != RYZ_OK) goto out_data;
    struct panels panels = {.figure = &figure, .data = &data, .end_s = run_end_s(&data)};
    panels.width_s = panels.end_s / BINS;
    draw_panels(&panels);
    status = ryz_figure_end(&figure, context->result, error);
out_data:
    ryz_run_data_deinit(&data);
    return status;
}
