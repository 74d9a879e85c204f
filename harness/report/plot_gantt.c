/*
 * plot_gantt.c - the lives of single requests, one line each: waiting, prefill, decode, and how
 * they ended. With faults the picture begins shortly before the first of them, else its middle is
 * the request that was slowest to its first token.
 */
#include "harness/report/plots.h"

#include "engine/base/clock.h"
#include "harness/evaluate/windows.h"
#include "harness/report/figure.h"

#include <stdlib.h>
#include <string.h>

#define ROWS_MAX    64u
#define ROWS_BEFORE 12u /* requests shown before the first fault */

enum part { RYZ_GANTT_WAIT, RYZ_GANTT_PREFILL, RYZ_GANTT_DECODE, RYZ_GANTT_PARTS };

/* One request's intervals; absent ones begin at RYZ_TIME_NONE. */
struct life {
    const struct ryz_request_row *row;
    int64_t begin[RYZ_GANTT_PARTS], end[RYZ_GANTT_PARTS];
};

static int by_schedule(const void *a, const void *b)
{
    const struct life *x = a, *y = b;
    if (x->row->t_sched != y->row->t_sched) return x->row->t_sched < y->row->t_sched ? -1 : 1;
    return (x->row->id > y->row->id) - (x->row->id < y->row->id);
}

/* Without spans only the client's view is known: waiting, then decoding. */
static struct life client_view(const struct ryz_request_row *row)
{
    struct life life = {.row = row};
    for (int p = 0; p < RYZ_GANTT_PARTS; p++) life.begin[p] = life.end[p] = RYZ_TIME_NONE;
    bool first = row->t_first != RYZ_TIME_NONE;
    life.begin[RYZ_GANTT_WAIT] = row->t_sched;
    life.end[RYZ_GANTT_WAIT] = first ? row->t_first : row->t_done;
    if (!first) return life;
    life.begin[RYZ_GANTT_DECODE] = row->t_first;
    life.end[RYZ_GANTT_DECODE] = row->t_last != RYZ_TIME_NONE ? row->t_last : row->t_done;
    return life;
}

static void add_span(struct life *life, const struct ryz_span_row *span)
{
    if (span->name == RYZ_SPAN_PREFILL) {
        life->begin[RYZ_GANTT_PREFILL] = span->t0_ns;
        life->end[RYZ_GANTT_PREFILL] = span->t1_ns;
        life->end[RYZ_GANTT_WAIT] = span->t0_ns;
    } else if (span->name == RYZ_SPAN_DECODE) {
        life->begin[RYZ_GANTT_DECODE] = span->t0_ns;
        life->end[RYZ_GANTT_DECODE] = span->t1_ns;
    }
}

/* Puts the server's spans into the lives, which are in the order of the requests table. */
static bool add_spans(const struct ryz_run_data *data, struct life *lives, const size_t *place)
{
    size_t count = 0;
    bool any = false;
    const struct ryz_request_row *rows = ryz_run_rows(data, RYZ_TABLE_REQUESTS, NULL);
    const struct ryz_span_row *spans = ryz_run_rows(data, RYZ_TABLE_SPANS, &count);
    for (size_t i = 0; i < count; i++) {
        if (spans[i].name != RYZ_SPAN_PREFILL && spans[i].name != RYZ_SPAN_DECODE) continue;
        const struct ryz_request_row *row = ryz_run_data_request(data, spans[i].request);
        if (row == NULL || place[row - rows] == SIZE_MAX) continue;
        add_span(&lives[place[row - rows]], &spans[i]);
        any = true;
    }
    return any;
}

/* The first life that was scheduled after the first fault; SIZE_MAX without faults. */
static size_t first_faulted(const struct ryz_run_data *data, const struct life *lives, size_t count)
{
    size_t event_count = 0, first = 0;
    const struct ryz_run_event_row *events = ryz_run_rows(data, RYZ_TABLE_EVENTS, &event_count);
    int64_t fault = RYZ_TIME_NONE;
    for (size_t i = 0; i < event_count && fault == RYZ_TIME_NONE; i++)
        if (events[i].kind == RYZ_RUN_EVENT_FAULT_ON) fault = events[i].t_ns;
    if (fault == RYZ_TIME_NONE) return SIZE_MAX;
    while (first < count && lives[first].row->t_sched < fault) first++;
    return first;
}

static size_t slowest(const struct life *lives, size_t count)
{
    size_t worst = 0;
    int64_t most = -1;
    for (size_t i = 0; i < count; i++) {
        int64_t first = lives[i].row->t_first;
        int64_t ttft = first == RYZ_TIME_NONE ? 0 : first - lives[i].row->t_sched;
        if (ttft > most) worst = i, most = ttft;
    }
    return worst;
}

/* Index of the first life to show; *why says what was chosen. */
static size_t choose_first(const struct ryz_run_data *data, const struct life *lives, size_t count,
                           const char **why)
{
    *why = "";
    if (count <= ROWS_MAX) return 0;
    size_t first = first_faulted(data, lives, count), before = ROWS_BEFORE;
    *why = ", around the first fault";
    if (first == SIZE_MAX) {
        first = slowest(lives, count);
        before = ROWS_MAX / 2;
        *why = ", around the slowest first token";
    }
    first = first > before ? first - before : 0;
    return first > count - ROWS_MAX ? count - ROWS_MAX : first;
}

static uint32_t write_part(struct ryz_figure *figure, const struct life *lives, size_t count,
                           enum part part)
{
    static const char *const names[RYZ_GANTT_PARTS] = {"waiting", "prefill", "decode"};
    uint32_t block = ryz_figure_block(figure, "%s: begin s, end s, line", names[part]);
    for (size_t i = 0; i < count; i++) {
        int64_t begin = lives[i].begin[part], end = lives[i].end[part];
        if (begin == RYZ_TIME_NONE || end == RYZ_TIME_NONE || end < begin) continue;
        fprintf(figure->data, "%.9g %.9g %zu\n", (double)begin / 1e9, (double)end / 1e9, i);
    }
    return block;
}

/* Ends of requests that were not answered: time, line, status name. Returns how many. */
static uint32_t write_failures(struct ryz_figure *figure, const struct life *lives, size_t count,
                               uint32_t *block)
{
    uint32_t failures = 0;
    *block = ryz_figure_block(figure, "not answered: s, line, status");
    for (size_t i = 0; i < count; i++) {
        const struct ryz_request_row *row = lives[i].row;
        int64_t end = row->t_done != RYZ_TIME_NONE ? row->t_done : row->t_sched;
        if (row->status == RYZ_REQUEST_OK) continue;
        fprintf(figure->data, "%.9g %zu %s\n", (double)end / 1e9, i,
                ryz_request_status_name((enum ryz_request_status)row->status));
        failures++;
    }
    return failures;
}

static void write_axes(const struct ryz_figure *figure, const struct ryz_run_data *data,
                       const struct life *lives, size_t count)
{
    FILE *gp = figure->gp;
    double begin = (double)lives[0].row->t_sched / 1e9, end = begin;
    for (size_t i = 0; i < count; i++)
        for (int p = 0; p < RYZ_GANTT_PARTS; p++)
            if (lives[i].end[p] != RYZ_TIME_NONE && (double)lives[i].end[p] / 1e9 > end)
                end = (double)lives[i].end[p] / 1e9;
    double margin = (end - begin) * 0.01 + 1e-6;
    fprintf(gp,
            "set lmargin at screen 0.075\nset rmargin at screen 0.985\n"
            "set tmargin at screen 0.865\nset bmargin at screen 0.115\n"
            "set xrange [%.9g:%.9g]\nset yrange [%zu:-1]\n"
            "set xlabel 'time since the start of the run [s]' offset 0,0.4\n"
            "set ylabel 'request'\n"
            "set key at screen 0.985,0.93 right center horizontal Left reverse samplen 1.5 width "
            "-1 font ',10'\n"
            "set ytics (",
            begin - margin, end + margin, count);
    size_t step = count / 16 + 1;
    for (size_t i = 0; i < count; i += step)
        fprintf(gp, "%s'%llu' %zu", i > 0 ? ", " : "", (unsigned long long)lives[i].row->id, i);
    (void)fputs(")\n", gp);
    (void)data;
}

static enum ryz_status draw(const struct ryz_plot_context *context, const struct ryz_run_data *data,
                            const struct life *lives, size_t count, const char *why,
                            struct ryz_error *error)
{
    static const char *const names[RYZ_GANTT_PARTS] = {"waiting", "prefill", "decode"};
    static const char *const colours[RYZ_GANTT_PARTS] = {"#C8C8C8", RYZ_ORANGE, RYZ_BLUE};
    struct ryz_figure figure;
    struct ryz_caption caption;
    char subtitle[256];
    uint32_t failures_block = 0;
    ryz_caption_make(context->results, &data->info, &caption);
    snprintf(subtitle, sizeof subtitle, "%zu requests of run %u%s%s%.160s", count, data->info.run,
             why, data->info.label[0] != '\0' ? ": " : "", data->info.label);
    enum ryz_status status =
        ryz_figure_begin(&figure, context->folder, "gantt", &caption, subtitle, error);
    if (status != RYZ_OK) return status;
    write_axes(&figure, data, lives, count);
    ryz_figure_faults(&figure, data, 0.985);
    (void)fputs("plot ", figure.gp);
    for (int p = 0; p < RYZ_GANTT_PARTS; p++) {
        uint32_t block = write_part(&figure, lives, count, (enum part)p);
        fprintf(figure.gp,
                "data index %u using 1:3:1:2:($3-0.38):($3+0.38) with boxxyerror fs solid 1 "
                "noborder lc rgb '%s' title '%s', \\\n     ",
                block, colours[p], names[p]);
    }
    uint32_t failures = write_failures(&figure, lives, count, &failures_block);
    if (failures > 0)
        fprintf(figure.gp,
                "data index %u using 1:2 with points pt 2 ps 0.9 lw 2 lc rgb '%s' title "
                "'not answered'\n",
                failures_block, RYZ_RED);
    else
        (void)fputs("1/0 notitle\n", figure.gp);
    return ryz_figure_end(&figure, context->result, error);
}

static enum ryz_status draw_run(const struct ryz_plot_context *context,
                                const struct ryz_run_data *data, struct ryz_error *error)
{
    size_t count = 0, shown = 0;
    const struct ryz_request_row *rows = ryz_run_rows(data, RYZ_TABLE_REQUESTS, &count);
    struct life *lives = calloc(count + 1, sizeof *lives);
    size_t *place = calloc(count + 1, sizeof *place);
    enum ryz_status status = RYZ_OK;
    if (lives == NULL || place == NULL) {
        status = ryz_fail(error, RYZ_NO_MEMORY, "no memory for a figure");
        goto out;
    }
    for (size_t i = 0; i < count; i++) {
        if (rows[i].t_sched == RYZ_TIME_NONE) continue;
        lives[shown++] = client_view(&rows[i]);
    }
    if (shown == 0) goto out;
    qsort(lives, shown, sizeof *lives, by_schedule);
    const char *why = "";
    size_t first = choose_first(data, lives, shown, &why);
    size_t chosen = shown - first < ROWS_MAX ? shown - first : ROWS_MAX;
    for (size_t i = 0; i < count; i++) place[i] = SIZE_MAX;
    for (size_t i = 0; i < chosen; i++) place[lives[first + i].row - rows] = i;
    add_spans(data, lives + first, place);
    status = draw(context, data, lives + first, chosen, why, error);
out:
    free(place);
    free(lives);
    return status;
}

enum ryz_status ryz_plot_gantt(const struct ryz_plot_context *context, struct ryz_error *error)
{
    const uint32_t tables = RYZ_TABLE_BIT(RYZ_TABLE_REQUESTS) | RYZ_TABLE_BIT(RYZ_TABLE_SPANS) |
                            RYZ_TABLE_BIT(RYZ_TABLE_EVENTS);
    struct ryz_run_data data;
    uint32_t run = ryz_plots_choose_run(context->results);
    enum ryz_status status = ryz_results_read_run(context->results, run, tables, &data, error);
    if (status != RYZ_OK) return status;
    status = draw_run(context, &data, error);
    ryz_run_data_deinit(&data);
    return status;
}
