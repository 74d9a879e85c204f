/* figure.c - see figure.h. */
#include "harness/report/figure.h"

#include "engine/base/clock.h"
#include "harness/record/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <spawn.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

const char *ryz_colour(uint32_t i)
{
    static const char *const colours[] = {RYZ_BLUE, RYZ_ORANGE, RYZ_GREEN, RYZ_PURPLE,
                                          RYZ_SKY,  "#6A3D9A",  RYZ_GREY,  "#000000"};
    return colours[i % (sizeof colours / sizeof colours[0])];
}

void ryz_caption_make(const struct ryz_results *results, const struct ryz_run_info *info,
                      struct ryz_caption *caption)
{
    const struct ryz_provenance *p = ryz_results_provenance(results);
    snprintf(caption->title, sizeof caption->title, "%s",
             p->title[0] != '\0' ? p->title : "ryz results");
    snprintf(caption->text, sizeof caption->text,
             "%.60s%s%.15s  |  commit %.24s  |  seed %llu  |  %.60s, %u cores  |  %.20s",
             info->model, info->model[0] != '\0' ? "  |  " : "", info->driver,
             p->git_commit[0] != '\0' ? p->git_commit : "unknown", (unsigned long long)p->seed,
             p->cpu[0] != '\0' ? p->cpu : "unknown CPU", p->cores, p->created_utc);
}

void ryz_figure_quote(FILE *out, const char *text)
{
    /* Single quotes: gnuplot expands nothing inside, and a quote is written twice. */
    (void)fputc('\'', out);
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '\'') (void)fputc('\'', out);
        if ((unsigned char)*at >= 32 && *at != 127) (void)fputc(*at, out);
    }
    (void)fputc('\'', out);
}

static void path_of(const struct ryz_figure *figure, const char *suffix, char path[640])
{
    snprintf(path, 640, "%s/%s%s", figure->folder, figure->name, suffix);
}

static void write_head(const struct ryz_figure *figure, const struct ryz_caption *caption,
                       const char *subtitle)
{
    FILE *gp = figure->gp;
    fprintf(gp, "# Made by ryz. gnuplot -c %s.gp makes %s.png, gnuplot -c %s.gp svg makes %s.svg\n",
            figure->name, figure->name, figure->name, figure->name);
    fprintf(gp,
            "if (ARGC > 0 && ARG1 eq 'svg') {\n"
            "    set terminal svg noenhanced size 1280,760 font 'DejaVu Sans,13' background "
            "'white'\n    set output '%s.svg'\n} else {\n"
            "    set terminal pngcairo noenhanced size 1280,760 font 'DejaVu Sans,11' background "
            "'white'\n    set output '%s.png'\n}\n",
            figure->name, figure->name);
    fprintf(gp, "data = '%s.dat'\n", figure->name);
    (void)fputs("set encoding utf8\n"
                "set border 3 lc rgb '#404040'\n"
                "set tics nomirror out tc rgb '#404040'\n"
                "set grid lc rgb '#E2E2E2' lt 1 lw 1\n"
                "set key noenhanced\n",
                gp);
    /* Titles are labels: multiplot's own title cannot be aligned left. */
    (void)fputs("set label 1000 ", gp);
    ryz_figure_quote(gp, caption->title);
    (void)fputs(" at screen 0.012,0.968 left font ',16' front\n", gp);
    (void)fputs("set label 1001 ", gp);
    ryz_figure_quote(gp, subtitle);
    (void)fputs(" at screen 0.012,0.930 left tc rgb '#555555' front\n", gp);
    (void)fputs("set label 1002 ", gp);
    ryz_figure_quote(gp, caption->text);
    (void)fputs(" at screen 0.012,0.018 left font ',9' tc rgb '#7F7F7F' front\n", gp);
}

enum ryz_status ryz_figure_begin(struct ryz_figure *figure, const char *folder, const char *name,
                                 const struct ryz_caption *caption, const char *subtitle,
                                 struct ryz_error *error)
{
    char path[640];
    *figure = (struct ryz_figure){0};
    if (strlen(folder) >= sizeof figure->folder)
        return ryz_fail(error, RYZ_INVALID, "path is too long: %.64s...", folder);
    snprintf(figure->folder, sizeof figure->folder, "%s", folder);
    snprintf(figure->name, sizeof figure->name, "%s", name);
    enum ryz_status status = ryz_folder_make(folder, error);
    if (status != RYZ_OK) return status;
    path_of(figure, ".gp", path);
    figure->gp = fopen(path, "w");
    if (figure->gp == NULL) return ryz_fail_errno(error, RYZ_IO, errno, "cannot write %s", path);
    path_of(figure, ".dat", path);
    figure->data = fopen(path, "w");
    if (figure->data == NULL) {
        status = ryz_fail_errno(error, RYZ_IO, errno, "cannot write %s", path);
        ryz_figure_abandon(figure);
        return status;
    }
    write_head(figure, caption, subtitle);
    return RYZ_OK;
}

static void finish_block(struct ryz_figure *figure)
{
    if (figure->blocks > 0 && ftell(figure->data) == figure->block_begins)
        (void)fputs("NaN NaN NaN NaN NaN\n", figure->data);
}

uint32_t ryz_figure_block(struct ryz_figure *figure, const char *format, ...)
{
    char comment[256];
    va_list arguments;
    finish_block(figure);
    va_start(arguments, format);
    (void)vsnprintf(comment, sizeof comment, format, arguments);
    va_end(arguments);
    for (char *at = comment; *at != '\0'; at++)
        if ((unsigned char)*at < 32) *at = ' ';
    fprintf(figure->data, "%s# %s\n", figure->blocks > 0 ? "\n\n" : "", comment);
    figure->block_begins = ftell(figure->data);
    return figure->blocks++;
}

void ryz_figure_column(FILE *data, const char *text)
{
    (void)fputc('"', data);
    for (const char *at = text; *at != '\0'; at++)
        (void)fputc((unsigned char)*at < 32 || *at == '"' || *at == '\\' ? '_' : *at, data);
    (void)fputc('"', data);
}

/* When fault `who` that began at `on_ns` ended; the run's end if it never did. */
static double fault_end_s(const struct ryz_run_event_row *events, size_t count, size_t on)
{
    double last = (double)events[on].t_ns;
    for (size_t i = on + 1; i < count; i++) {
        last = (double)events[i].t_ns;
        if (events[i].kind == RYZ_RUN_EVENT_FAULT_OFF && events[i].who == events[on].who) break;
    }
    return last / (double)RYZ_NS_PER_S;
}

void ryz_figure_faults(struct ryz_figure *figure, const struct ryz_run_data *data, double top)
{
    size_t count = 0;
    uint32_t n = 0;
    const struct ryz_run_event_row *events = ryz_run_rows(data, RYZ_TABLE_EVENTS, &count);
    for (size_t i = 0; i < count; i++) {
        if (events[i].kind != RYZ_RUN_EVENT_FAULT_ON) continue;
        double begin = (double)events[i].t_ns / (double)RYZ_NS_PER_S;
        double end = fault_end_s(events, count, i);
        n++;
        /* A kill is a moment; a band of no width would not be seen. */
        fprintf(figure->gp,
                "set object %u rect from %.9g, graph 0 to %.9g, graph 1 behind fs solid 0.18 "
                "noborder fc rgb '%s'\n",
                n, begin, end, RYZ_RED);
        fprintf(figure->gp,
                "set arrow %u from %.9g, graph 0 to %.9g, graph 1 nohead lc rgb '%s' lw 1 dt 2\n",
                n, begin, begin, RYZ_RED);
        if (top < 0) continue;
        fprintf(figure->gp, "set label %u ", n);
        ryz_figure_quote(figure->gp, events[i].note);
        fprintf(figure->gp, " at %.9g, graph %.3g left offset 0.4,0 font ',9' tc rgb '%s' front\n",
                begin, top, RYZ_RED);
    }
}

void ryz_figure_log_tics(struct ryz_figure *figure, const char *axis, double from, double to)
{
    static const double steps[] = {1, 2, 5};
    bool first = true, wide = log10(to / from) > 2.5; /* powers of ten are enough */
    fprintf(figure->gp, "set %stics (", axis);
    for (int decade = -9; decade <= 12; decade++)
        for (int s = 0; s < (wide ? 1 : 3); s++) {
            double at = steps[s] * pow(10, decade);
            if (at < from * 0.999 || at > to * 1.001) continue;
            fprintf(figure->gp, "%s'%g' %g", first ? "" : ", ", at, at);
            first = false;
        }
    if (first) fprintf(figure->gp, "'%.3g' %.6g, '%.3g' %.6g", from, from, to, to);
    (void)fputs(")\n", figure->gp);
}

void ryz_figure_legend(struct ryz_figure *figure, uint32_t i, const char *title, bool dashed,
                       const char *colour)
{
    char text[256];
    snprintf(text, sizeof text, "%s  %s", dashed ? "╍╍" : "━━", title);
    fprintf(figure->gp, "set label %u ", 1100 + i);
    ryz_figure_quote(figure->gp, text);
    fprintf(figure->gp, " at screen %.3f,%.3f left font ',10' tc rgb '%s' front\n",
            i / 4 % 2 == 0 ? 0.055 : 0.53, 0.135 - 0.026 * (i % 4), colour);
}

void ryz_short_label(const char *label, char *text, size_t capacity)
{
    size_t used = 0;
    const char *word = label;
    text[0] = '\0';
    while (*word != '\0' && used + 1 < capacity) {
        size_t length = strcspn(word, " ");
        const char *key = word;
        for (size_t i = 0; i < length && word[i] != '='; i++)
            if (word[i] == '.') key = word + i + 1;
        used += (size_t)snprintf(text + used, capacity - used, "%s%.*s", used > 0 ? " " : "",
                                 (int)(word + length - key), key);
        word += length;
        word += strspn(word, " ");
    }
}

/* ---- gnuplot ---- */

/* Runs gnuplot in the figure's folder, its words into <name>.log. Returns its exit code, 127 if it
 * is not there. */
static int run_gnuplot(const struct ryz_figure *figure, const char *kind)
{
    char script[40], log[40];
    snprintf(script, sizeof script, "%s.gp", figure->name);
    snprintf(log, sizeof log, "%s.log", figure->name);
    char word[3][10] = {"gnuplot", "-c", ""};
    char argument[8];
    snprintf(argument, sizeof argument, "%s", kind);
    char *arguments[] = {word[0], word[1], script, argument, NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid = 0;
    int wait_status = 0, result;
    if (posix_spawn_file_actions_init(&actions) != 0) return 126;
    result = posix_spawn_file_actions_addchdir_np(&actions, figure->folder);
    if (result == 0)
        result =
            posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0666);
    if (result == 0) result = posix_spawn_file_actions_adddup2(&actions, 1, 2);
    if (result == 0)
        result = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    if (result == 0) result = posix_spawnp(&pid, "gnuplot", &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (result != 0) return result == ENOENT ? 127 : 126;
    while (waitpid(pid, &wait_status, 0) < 0)
        if (errno != EINTR) return 126;
    return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 126;
}

static void remove_log(const struct ryz_figure *figure)
{
    char path[640];
    path_of(figure, ".log", path);
    if (unlink(path) != 0) errno = 0;
}

enum ryz_status ryz_figure_end(struct ryz_figure *figure, struct ryz_plot_result *result,
                               struct ryz_error *error)
{
    finish_block(figure);
    bool failed = ferror(figure->gp) != 0 || ferror(figure->data) != 0;
    failed |= fclose(figure->gp) != 0;
    failed |= fclose(figure->data) != 0;
    figure->gp = figure->data = NULL;
    if (failed)
        return ryz_fail(error, RYZ_IO, "cannot write %s/%s.gp", figure->folder, figure->name);
    if (result->no_gnuplot) return RYZ_OK;
    remove_log(figure);
    int png = run_gnuplot(figure, "png");
    if (png == 127) {
        result->no_gnuplot = true;
        remove_log(figure);
        return RYZ_OK;
    }
    int svg = run_gnuplot(figure, "svg");
    bool good = png == 0 && svg == 0;
    result->made += good;
    result->failed += !good;
    /* Its words are of use only where it refused. */
    if (good) remove_log(figure);
    return RYZ_OK;
}

void ryz_figure_abandon(struct ryz_figure *figure)
{
    static const char *const suffixes[] = {".gp", ".dat"};
    if (figure->gp != NULL) (void)fclose(figure->gp);
    if (figure->data != NULL) (void)fclose(figure->data);
    figure->gp = figure->data = NULL;
    for (size_t i = 0; i < 2; i++) {
        char path[640];
        path_of(figure, suffixes[i], path);
        if (unlink(path) != 0) errno = 0;
    }
}
