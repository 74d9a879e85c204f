/* tables.c - results on a terminal. */
#include "harness/report/report.h"

#include "harness/evaluate/quantities.h"
#include "harness/report/points.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void ryz_report_format(double value, const char *unit, char *text, size_t capacity)
{
    ryz_quantity_format(value, unit, text, capacity);
}

static const struct ryz_summary_row *find(const struct ryz_summary_row *rows, size_t count,
                                          const char *metric, const char *stat)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(rows[i].metric, metric) == 0 && strcmp(rows[i].stat, stat) == 0) return &rows[i];
    return NULL;
}

/* ---- one run ---- */

static void print_distribution(FILE *out, const struct ryz_summary_row *rows, size_t count,
                               const char *metric)
{
    static const char *const stats[] = {"mean", "p50", "p90", "p95", "p99", "max"};
    const struct ryz_summary_row *median = find(rows, count, metric, "p50");
    char text[32];
    fprintf(out, "  %-28s", metric);
    for (size_t s = 0; s < sizeof stats / sizeof stats[0]; s++) {
        const struct ryz_summary_row *row = find(rows, count, metric, stats[s]);
        ryz_report_format(row != NULL ? row->value : (double)NAN, row != NULL ? row->unit : "plain",
                          text, sizeof text);
        fprintf(out, " %10s", text);
    }
    fprintf(out, " %9llu\n", (unsigned long long)(median != NULL ? median->n : 0));
}

/* What the terminal shows of the whole run; the results file holds everything. */
static const char *const shown[] = {"ttft",    "tpot",     "itl",          "e2e",
                                    "queue",   "step",     "batch",        "kv.util",
                                    "waiting", "cpu.util", "gpu.mem.util", "harness.lag"};
/* And of each traffic where there are several. */
static const char *const shown_traffic[] = {"ttft", "tpot", "e2e"};

static void print_distributions(FILE *out, const struct ryz_summary_row *rows, size_t count,
                                const struct ryz_run_info *info)
{
    fprintf(out, "  %-28s %10s %10s %10s %10s %10s %10s %9s\n", "", "mean", "p50", "p90", "p95",
            "p99", "max", "n");
    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++)
        if (find(rows, count, shown[i], "p50") != NULL)
            print_distribution(out, rows, count, shown[i]);
    for (uint32_t t = 0; t < info->phase_count; t++)
        for (size_t i = 0; i < sizeof shown_traffic / sizeof shown_traffic[0]; i++) {
            char metric[64];
            snprintf(metric, sizeof metric, "%s.%s", info->phases[t], shown_traffic[i]);
            if (find(rows, count, metric, "p50") != NULL)
                print_distribution(out, rows, count, metric);
        }
}

/* The part of a metric after a traffic's name; NULL if it belongs to the whole run. */
static const char *after_traffic(const struct ryz_run_info *info, const char *metric)
{
    for (uint32_t t = 0; t < info->phase_count; t++) {
        size_t length = strlen(info->phases[t]);
        enum ryz_quantity quantity;
        /* "batch" is also a quantity, so "batch.tokens" must not pass for a traffic's. */
        if (strncmp(metric, info->phases[t], length) == 0 && metric[length] == '.' &&
            !ryz_quantity_find(metric, &quantity))
            return metric + length + 1;
    }
    return NULL;
}

/* Counts and shares that are 0 say nothing, except where 0 is the news. */
static bool worth_showing(const struct ryz_run_info *info, const struct ryz_summary_row *row)
{
    static const char *const always[] = {"errors", "lost", "goodput.ratio", "trace.coverage"};
    if (strcmp(row->stat, "value") != 0) return false;
    const char *own = after_traffic(info, row->metric);
    if (own != NULL)
        return strcmp(own, "errors") == 0 || strcmp(own, "goodput.ratio") == 0 ||
               strcmp(own, "throughput.out_tok") == 0;
    for (size_t i = 0; i < sizeof always / sizeof always[0]; i++)
        if (strcmp(row->metric, always[i]) == 0) return true;
    return row->value != 0;
}

static void print_numbers(FILE *out, const struct ryz_summary_row *rows, size_t count,
                          const struct ryz_run_info *info)
{
    size_t column = 0;
    for (size_t i = 0; i < count; i++) {
        char text[32];
        if (!worth_showing(info, &rows[i])) continue;
        ryz_report_format(rows[i].value, rows[i].unit, text, sizeof text);
        fprintf(out, "  %-34s %10s%s", rows[i].metric, text, ++column % 2 == 0 ? "\n" : "  ");
    }
    if (column % 2 != 0) (void)fputc('\n', out);
}

void ryz_report_print_run(FILE *out, const struct ryz_run_data *data)
{
    size_t count = 0;
    const struct ryz_summary_row *rows = ryz_run_rows(data, RYZ_TABLE_SUMMARY, &count);
    const struct ryz_run_info *info = &data->info;
    fprintf(out, "\nrun%04u  %s%s%s%s\n", info->run, info->driver,
            info->label[0] != '\0' ? "  " : "", info->label, info->valid ? "" : "  INVALID");
    if (!info->valid) fprintf(out, "  invalid: %s\n", info->invalid_reason);
    if (count == 0) {
        (void)fputs("  nothing was measured\n", out);
        return;
    }
    print_distributions(out, rows, count, info);
    (void)fputc('\n', out);
    print_numbers(out, rows, count, info);
}

/* ---- targets ---- */

static const char *verdict_word(int8_t verdict)
{
    switch (verdict) {
    case 1:
        return "met";
    case 0:
        return "MISSED";
    case -1:
        return "not applicable";
    default:
        return "INVALID";
    }
}

/* Colour only where a person looks, and not against their wish (no-color.org). */
static const char *verdict_colour(FILE *out, int8_t verdict)
{
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): nothing here writes the environment */
    if (!isatty(fileno(out)) || getenv("NO_COLOR") != NULL) return "";
    return verdict == 1 ? "\033[32m" : verdict == -1 ? "\033[2m" : "\033[31m";
}

void ryz_report_print_targets(FILE *out, const struct ryz_target_row *rows, size_t count)
{
    size_t width = strlen("target");
    for (size_t i = 0; i < count; i++)
        width = strlen(rows[i].name) > width ? strlen(rows[i].name) : width;
    fprintf(out, "\n%-14s  %-*s  %14s  %10s  %8s  %s\n", "verdict", (int)width, "target", "want",
            "got", "margin", "");
    for (size_t i = 0; i < count; i++) {
        const struct ryz_target_row *row = &rows[i];
        const char *colour = verdict_colour(out, row->verdict);
        char number[32], want[48], got[32], margin[32] = "";
        ryz_report_format(row->want, row->unit, number, sizeof number);
        snprintf(want, sizeof want, "%s %s", row->op, number);
        ryz_report_format(row->got, row->unit, got, sizeof got);
        if (isfinite(row->margin) && row->want != 0)
            snprintf(margin, sizeof margin, "%+.1f %%", 100 * row->margin);
        fprintf(out, "%s%-14s%s  %-*s  %14s  %10s  %8s  %s\n", colour, verdict_word(row->verdict),
                colour[0] != '\0' ? "\033[0m" : "", (int)width, row->name, want, got, margin,
                row->why);
    }
}

/* ---- comparison ---- */

void ryz_report_print_compare(FILE *out, const char *a, const char *b,
                              const struct ryz_compare_row *rows, size_t count)
{
    fprintf(out, "\n%-36s  %14.14s  %14.14s  %9s\n", "metric", a, b, "b / a");
    for (size_t i = 0; i < count; i++) {
        char left[32], right[32], ratio[32], spread[48] = "";
        ryz_report_format(rows[i].a, rows[i].unit, left, sizeof left);
        ryz_report_format(rows[i].b, rows[i].unit, right, sizeof right);
        if (isnan(rows[i].ratio))
            snprintf(ratio, sizeof ratio, "-");
        else
            snprintf(ratio, sizeof ratio, "%.3f", rows[i].ratio);
        if (!isnan(rows[i].lo) && !isnan(rows[i].hi))
            snprintf(spread, sizeof spread, "  repeats %.3f .. %.3f", rows[i].lo, rows[i].hi);
        fprintf(out, "%-36s  %14s  %14s  %9s%s\n", rows[i].metric, left, right, ratio, spread);
    }
}

/* ---- sweep ---- */

struct column {
    const char *heading, *unit;
    size_t offset;
};

static const char *unit_of(const char *metric)
{
    enum ryz_quantity quantity;
    if (!ryz_quantity_find(metric, &quantity)) return "plain";
    return ryz_quantity_unit_text(ryz_quantity_spec(quantity)->unit);
}

static double field(const struct ryz_point_numbers *point, size_t offset)
{
    double value;
    memcpy(&value, (const char *)point + offset, sizeof value);
    return value;
}

/* Columns that no point has a number for are left out. */
static size_t choose_columns(const struct ryz_points *points, struct column *columns)
{
    static const struct {
        const char *heading, *metric;
        size_t offset;
    } all[] = {
#define X(name, metric, stat, heading) {heading, metric, offsetof(struct ryz_point_numbers, name)},
        RYZ_POINT_NUMBERS(X)
#undef X
    };
    size_t count = 0;
    for (size_t c = 0; c < sizeof all / sizeof all[0]; c++) {
        bool any = false;
        for (size_t i = 0; i < points->count; i++)
            any |= !isnan(field(&points->points[i], all[c].offset));
        if (!any) continue;
        columns[count++] = (struct column){all[c].heading, unit_of(all[c].metric), all[c].offset};
    }
    return count;
}

static void print_points(FILE *out, const struct ryz_points *points)
{
    struct column columns[32];
    size_t column_count = choose_columns(points, columns);
    int width[RYZ_REPORT_AXES_MAX];
    for (uint32_t a = 0; a < points->axis_count; a++) {
        width[a] = (int)strlen(ryz_points_short_key(points->axes[a]));
        for (size_t i = 0; i < points->count; i++) {
            int length = (int)strlen(points->points[i].value[a]);
            width[a] = length > width[a] ? length : width[a];
        }
    }
    (void)fputc('\n', out);
    for (uint32_t a = 0; a < points->axis_count; a++)
        fprintf(out, "%-*s  ", width[a], ryz_points_short_key(points->axes[a]));
    for (size_t c = 0; c < column_count; c++) fprintf(out, " %10s", columns[c].heading);
    (void)fputc('\n', out);
    for (size_t i = 0; i < points->count; i++) {
        const struct ryz_point_numbers *point = &points->points[i];
        for (uint32_t a = 0; a < points->axis_count; a++)
            fprintf(out, "%-*s  ", width[a], point->value[a]);
        for (size_t c = 0; c < column_count; c++) {
            char text[32];
            ryz_report_format(field(point, columns[c].offset), columns[c].unit, text, sizeof text);
            fprintf(out, " %10s", text);
        }
        fprintf(out, "%s\n", point->invalid_runs > 0 ? "  INVALID" : "");
    }
}

enum ryz_status ryz_report_print_sweep(FILE *out, const char *results_path, struct ryz_error *error)
{
    struct ryz_results *results = NULL;
    struct ryz_points points;
    enum ryz_status status = ryz_results_open(results_path, &results, error);
    if (status != RYZ_OK) return status;
    status = ryz_points_read(results, &points, error);
    if (status == RYZ_OK) {
        print_points(out, &points);
        ryz_points_free(&points);
    }
    ryz_results_close(results);
    return status;
}
