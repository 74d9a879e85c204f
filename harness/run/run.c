/*
 * run.c - the course of `ryz run`: every point and repeat of a scenario, then the verdict.
 *
 * Keeps no rows of a run once they are in the results file; tables and pictures are made from that
 * file, so what is shown is what is stored.
 */
#include "harness/run/run.h"

#include "engine/base/atomic.h"
#include "engine/base/thread_pool.h"
#include "harness/cli/commands.h"
#include "harness/evaluate/evaluator.h"
#include "harness/record/results_file.h"
#include "harness/report/report.h"
#include "harness/run/accuracy.h"
#include "harness/run/dry_run.h"
#include "harness/run/run_files.h"
#include "harness/run/session.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SCORED_MAX 16u

/* Accuracy is the same for all points with the same weights and KV storage: computed once each. */
struct scored {
    char what[48]; /* "q8_0", "q8_0, int8 KV": what differs, for the cache and to print */
    struct ryz_accuracy_result result;
};

struct course {
    const struct ryz_run_options *options;
    struct ryz_plan *plan;
    struct ryz_provenance provenance;
    struct ryz_run_files files;
    struct ryz_results_file *results;
    struct ryz_evaluator *evaluator;
    struct ryz_point_row *points; /* (point_count) */
    uint32_t *order;              /* (point_count) */
    uint32_t point_count, runs_done;
    uint32_t runs_whole; /* of those done: not cut short by the user */
    struct scored scored[SCORED_MAX];
    uint32_t scored_count;
    struct ryz_error error;
};

/* Set by SIGINT and SIGTERM: end the run in order, keep what was measured. */
static _Atomic uint32_t stop_requested;

static void on_stop_signal(int signal_number)
{
    /* A second signal ends the process at once. */
    (void)signal(signal_number, SIG_DFL);
    ryz_store_release(&stop_requested, 1u);
}

static bool says(const struct course *course)
{
    return !course->options->quiet;
}

static uint64_t seed_of_repeat(const struct ryz_plan *plan, uint32_t repeat)
{
    /* The same seed for every point: they differ in what is swept, not in their traffic. */
    return repeat == 0 ? plan->seed : plan->seed + UINT64_C(0x9e3779b97f4a7c15) * repeat;
}

static enum ryz_status open_course(struct course *course)
{
    struct ryz_error *error = &course->error;
    const struct ryz_run_options *options = course->options;
    enum ryz_status status =
        ryz_plan_open(options->scenario, &options->overrides, &course->plan, error);
    if (status != RYZ_OK) return status;
    status = ryz_evaluator_open(course->plan, &course->evaluator, error);
    if (status != RYZ_OK) return status;
    course->point_count = ryz_plan_point_count(course->plan);
    course->points = calloc(course->point_count, sizeof *course->points);
    course->order = calloc(course->point_count, sizeof *course->order);
    if (course->points == NULL || course->order == NULL) {
        return ryz_fail(error, RYZ_NO_MEMORY, "no memory for %u points", course->point_count);
    }
    ryz_plan_order(course->plan, course->order);
    ryz_provenance_collect(&course->provenance, options->argc, options->argv, 1);
    course->provenance.seed = course->plan->seed;
    course->provenance.scenario = course->plan->source;
    course->provenance.scenario_bytes = course->plan->source_bytes;
    (void)snprintf(course->provenance.title, sizeof course->provenance.title, "%s",
                   course->plan->title);
    return ryz_run_files_name(course->plan, &course->provenance, &course->files, error);
}

static enum ryz_status create_results(struct course *course)
{
    struct ryz_input_row inputs[RYZ_INPUTS_MAX];
    uint32_t input_count = 0;
    struct ryz_error *error = &course->error;
    enum ryz_status status = ryz_run_files_inputs(course->plan, inputs, &input_count, error);
    if (status == RYZ_OK) status = ryz_run_files_make_folder(course->plan, &course->files, error);
    if (status == RYZ_OK) {
        status =
            ryz_results_create(course->files.results, &course->provenance, &course->results, error);
    }
    if (status == RYZ_OK && input_count > 0) {
        status =
            ryz_results_add_table(course->results, RYZ_TABLE_INPUTS, inputs, input_count, error);
    }
    return status;
}

static void show_share(void *context, double share)
{
    const char *what = context;
    if (!isatty(STDERR_FILENO)) return;
    (void)fprintf(stderr, "\r\033[K  accuracy of %s: %.0f %%", what, share * 100);
    (void)fflush(stderr);
}

/* The scored text for the weights and KV storage of this plan, from the cache or anew. */
static enum ryz_status score(struct course *course, const struct ryz_plan *plan,
                             const struct ryz_accuracy_result **result)
{
    char what[sizeof course->scored[0].what];
    bool plain = strcmp(plan->engine.kv_type, "bf16") == 0;
    (void)snprintf(what, sizeof what, "%s%s%s%s", plan->engine.quant, plain ? "" : ", ",
                   plain ? "" : plan->engine.kv_type, plain ? "" : " KV");
    for (uint32_t i = 0; i < course->scored_count; i++) {
        *result = &course->scored[i].result;
        if (strcmp(course->scored[i].what, what) == 0) return RYZ_OK;
    }
    if (course->scored_count == SCORED_MAX) {
        return ryz_fail(&course->error, RYZ_FULL, "more than %u weight and KV types in one sweep",
                        SCORED_MAX);
    }
    struct scored *scored = &course->scored[course->scored_count];
    (void)snprintf(scored->what, sizeof scored->what, "%s", what);
    struct ryz_accuracy_options options = {
        .model_path = plan->model_path,
        .quant = plan->engine.quant,
        .kv_type = plan->engine.kv_type,
        .against = plan->accuracy.against,
        .isa = plan->engine.isa,
        .threads = plan->engine.threads != 0 ? plan->engine.threads : ryz_cpu_count(),
        .text_path = plan->accuracy.set,
        .tokens_max = plan->accuracy.tokens_max,
        .context = plan->accuracy.context,
        .progress = says(course) ? show_share : NULL,
        .progress_context = scored->what,
    };
    enum ryz_status status = ryz_accuracy_run(&options, &scored->result, &course->error);
    if (status != RYZ_OK) return status;
    course->scored_count++;
    *result = &scored->result;
    if (says(course)) {
        (void)fprintf(stderr, "%s  accuracy of %s: perplexity %.4f over %zu tokens\n",
                      isatty(STDERR_FILENO) ? "\r\033[K" : "", scored->what,
                      scored->result.perplexity, scored->result.count);
    }
    return RYZ_OK;
}

static enum ryz_status add_accuracy(struct course *course, const struct ryz_plan *plan,
                                    struct ryz_run_data *data)
{
    const struct ryz_accuracy_result *result = NULL;
    if (plan->mode == RYZ_MODE_PERFORMANCE || !plan->accuracy.enabled) return RYZ_OK;
    enum ryz_status status = score(course, plan, &result);
    if (status != RYZ_OK) return status;
    return ryz_run_data_set(data, RYZ_TABLE_ACCURACY, result->rows, result->count, &course->error);
}

/* An accuracy-only run has no traffic: no live file, only a description. */
static void describe_silent_run(const struct ryz_plan *plan, uint32_t point, const char *label,
                                struct ryz_run_data *data)
{
    struct timespec now;
    (void)timespec_get(&now, TIME_UTC);
    data->info = (struct ryz_run_info){.point = point,
                                       .seed = plan->seed,
                                       .t0_utc_ns = now.tv_sec * INT64_C(1000000000) + now.tv_nsec,
                                       .complete = true,
                                       .valid = true};
    (void)snprintf(data->info.label, sizeof data->info.label, "%s", label);
    (void)snprintf(data->info.driver, sizeof data->info.driver, "embedded");
}

static enum ryz_status perform(struct course *course, const struct ryz_plan *plan, uint32_t point,
                               uint32_t repeat, struct ryz_run_data *data)
{
    const char *label = course->points[point].label;
    if (plan->mode == RYZ_MODE_ACCURACY) {
        describe_silent_run(plan, point, label, data);
        return RYZ_OK;
    }
    char live[900], log[900];
    ryz_run_files_live(&course->files, course->runs_done, live, sizeof live);
    (void)snprintf(log, sizeof log, "%s/server.log", course->files.folder);
    struct ryz_session_options options = {.plan = plan,
                                          .point = point,
                                          .repeat = repeat,
                                          .label = label,
                                          .live_path = live,
                                          .log_path = log,
                                          .provenance = &course->provenance,
                                          .seed = seed_of_repeat(plan, repeat),
                                          .stop = &stop_requested,
                                          .progress = says(course)};
    return ryz_session_run(&options, data, &course->error);
}

static enum ryz_status run_once(struct course *course, const struct ryz_plan *plan, uint32_t point,
                                uint32_t repeat)
{
    struct ryz_run_data data = {0};
    if (says(course)) {
        (void)fprintf(stderr, "run %u of %u  %s\n", course->runs_done + 1,
                      course->point_count * course->plan->repeats, course->points[point].label);
    }
    enum ryz_status status = perform(course, plan, point, repeat, &data);
    if (says(course) && isatty(STDERR_FILENO)) (void)fputs("\r\033[K", stderr);
    if (status == RYZ_OK && repeat == 0) status = add_accuracy(course, plan, &data);
    if (status == RYZ_OK) {
        status = ryz_evaluator_add(course->evaluator, plan, &data, &course->error);
    }
    if (status == RYZ_OK) status = ryz_results_add_run(course->results, &data, &course->error);
    if (status == RYZ_OK) {
        course->points[point].state = data.info.valid ? 2 : 3;
        course->runs_done++;
        course->runs_whole += data.info.complete;
        if (!data.info.valid) {
            (void)fprintf(stderr, "ryz: this run is INVALID: %s\n", data.info.invalid_reason);
        }
        if (says(course) && course->point_count == 1) ryz_report_print_run(stdout, &data);
    }
    ryz_run_data_deinit(&data);
    return status;
}

static void cool_down(int64_t ns)
{
    struct timespec rest = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    if (ns > 0) (void)nanosleep(&rest, NULL);
}

/* Copies the values of the axes into the point's row: "key=value key=value". */
static void fill_point_values(struct ryz_point_row *row)
{
    char *const values[] = {row->v0, row->v1, row->v2, row->v3, row->v4, row->v5};
    const char *at = row->label;
    for (int i = 0; i < 6 && *at != '\0'; i++) {
        const char *equals = strchr(at, '=');
        if (equals == NULL) return;
        size_t length = strcspn(equals + 1, " ");
        (void)snprintf(values[i], sizeof row->v0, "%.*s", (int)length, equals + 1);
        at = equals + 1 + length;
        at += *at == ' ';
    }
}

static enum ryz_status run_points(struct course *course)
{
    enum ryz_status status = RYZ_OK;
    for (uint32_t i = 0; i < course->point_count && status == RYZ_OK; i++) {
        uint32_t point = course->order[i];
        struct ryz_point_row *row = &course->points[point];
        struct ryz_plan *plan = NULL;
        row->point = point;
        status = ryz_plan_point(course->plan, point, &plan, row->label, sizeof row->label,
                                &course->error);
        if (status != RYZ_OK) break;
        fill_point_values(row);
        for (uint32_t repeat = 0; repeat < course->plan->repeats && status == RYZ_OK; repeat++) {
            if (ryz_load_acquire(&stop_requested) != 0) break;
            if (course->runs_done > 0) cool_down(course->plan->sweep.cooldown_ns);
            row->state = 1;
            status = run_once(course, plan, point, repeat);
        }
        ryz_plan_close(plan);
    }
    return status;
}

/* The live files have done their duty once the results file is whole; not before, for a kill in the
 * middle of writing a later run may damage the file that grows. */
static void remove_live_files(const struct course *course)
{
    char live[900];
    for (uint32_t run = 0; run < course->runs_done; run++) {
        ryz_run_files_live(&course->files, run, live, sizeof live);
        (void)unlink(live);
    }
}

/* Verdicts and points into the file, which then gets its name. */
static enum ryz_status commit(struct course *course, struct ryz_run_outcome *outcome)
{
    struct ryz_error *error = &course->error;
    const struct ryz_sweep_plan *sweep = &course->plan->sweep;
    outcome->target_count = course->plan->target_count;
    outcome->targets = calloc(outcome->target_count + 1, sizeof *outcome->targets);
    if (outcome->targets == NULL) return ryz_fail(error, RYZ_NO_MEMORY, "no memory for verdicts");
    ryz_evaluator_judge(course->evaluator, outcome->targets);
    outcome->exit_code =
        ryz_evaluator_exit_code(course->evaluator, outcome->targets, outcome->target_count);
    const char *axes[RYZ_AXES_MAX];
    for (uint32_t i = 0; i < sweep->axis_count; i++) axes[i] = sweep->axes[i].key;
    enum ryz_status status = RYZ_OK;
    if (outcome->target_count > 0) {
        status = ryz_results_add_table(course->results, RYZ_TABLE_TARGETS, outcome->targets,
                                       outcome->target_count, error);
    }
    if (status == RYZ_OK) {
        status = ryz_results_add_table(course->results, RYZ_TABLE_POINTS, course->points,
                                       course->point_count, error);
    }
    if (status == RYZ_OK && sweep->axis_count > 0) {
        status = ryz_results_set_axes(course->results, axes, sweep->axis_count, error);
    }
    if (status != RYZ_OK) return status;
    bool complete = course->runs_whole == course->point_count * course->plan->repeats;
    struct ryz_results_file *results = course->results;
    course->results = NULL;
    status = ryz_results_commit(results, complete, error);
    if (status == RYZ_OK) {
        remove_live_files(course);
        (void)snprintf(outcome->results_path, sizeof outcome->results_path, "%.511s",
                       course->files.results);
    }
    return status;
}

static void draw(struct course *course)
{
    struct ryz_plot_options options = {.results_path = course->files.results,
                                       .folder = course->files.folder,
                                       .plots = course->plan->output.plots};
    struct ryz_plot_result plots = {0};
    struct ryz_error error = {0};
    if (strcmp(options.plots, "none") == 0 || options.plots[0] == '\0') return;
    if (ryz_report_plots(&options, &plots, &error) != RYZ_OK) {
        (void)fprintf(stderr, "ryz: no pictures: %s\n", error.text);
        return;
    }
    if (plots.no_gnuplot) {
        printf("pictures: gnuplot is not installed; its inputs are in %s\n", course->files.folder);
        return;
    }
    printf("pictures: %u in %s", plots.made, course->files.folder);
    if (plots.failed > 0) printf(" (%u failed, see the .log files there)", plots.failed);
    putchar('\n');
}

static void show(struct course *course, const struct ryz_run_outcome *outcome)
{
    static const char *const words[] = {"all targets met", "a target was missed", "regression",
                                        "INVALID"};
    struct ryz_error error = {0};
    if (says(course) && course->point_count > 1 &&
        ryz_report_print_sweep(stdout, course->files.results, &error) != RYZ_OK) {
        (void)fprintf(stderr, "ryz: no table of the sweep: %s\n", error.text);
    }
    if (says(course) && outcome->target_count > 0) {
        ryz_report_print_targets(stdout, outcome->targets, outcome->target_count);
    }
    printf("\nresults:  %s\n", course->files.results);
    draw(course);
    const char *reason = ryz_evaluator_invalid_reason(course->evaluator);
    printf("verdict:  %s%s%s\n", words[outcome->exit_code],
           outcome->exit_code == RYZ_EXIT_INVALID && reason[0] != '\0' ? ": " : "",
           outcome->exit_code == RYZ_EXIT_INVALID ? reason : "");
}

static void close_course(struct course *course)
{
    ryz_results_discard(course->results);
    ryz_evaluator_close(course->evaluator);
    for (uint32_t i = 0; i < course->scored_count; i++) free(course->scored[i].result.rows);
    free(course->points);
    free(course->order);
    ryz_provenance_deinit(&course->provenance);
    ryz_plan_close(course->plan);
}

static int exit_code_of(enum ryz_status status)
{
    return status == RYZ_INVALID ? RYZ_EXIT_USAGE : RYZ_EXIT_COULD_NOT;
}

/* What was measured before a failure is kept as an incomplete file. */
static void keep_what_there_is(struct course *course, struct ryz_run_outcome *outcome)
{
    struct ryz_error first = course->error;
    if (course->runs_done == 0 || commit(course, outcome) != RYZ_OK) {
        (void)fprintf(stderr, "ryz: %s\n", first.text);
        (void)rmdir(course->files.folder); /* stays where it holds a log */
        return;
    }
    (void)fprintf(stderr, "ryz: %s\nryz: the %u run(s) before that are in %s\n", first.text,
                  course->runs_done, course->files.results);
}

void ryz_run_scenario(const struct ryz_run_options *options, struct ryz_run_outcome *outcome)
{
    struct course course = {.options = options};
    *outcome = (struct ryz_run_outcome){0};
    enum ryz_status status = open_course(&course);
    if (status != RYZ_OK) {
        (void)fprintf(stderr, "ryz: %s\n", course.error.text);
        outcome->exit_code = exit_code_of(status);
        goto out_close;
    }
    if (options->dry_run) {
        status = ryz_dry_run(course.plan, stdout, &course.error);
        if (status != RYZ_OK) (void)fprintf(stderr, "ryz: %s\n", course.error.text);
        outcome->exit_code = status == RYZ_OK ? RYZ_EXIT_MET : RYZ_EXIT_COULD_NOT;
        goto out_close;
    }
    (void)signal(SIGINT, on_stop_signal);
    (void)signal(SIGTERM, on_stop_signal);
    if (says(&course)) printf("%s\n", course.plan->title);
    status = create_results(&course);
    if (status == RYZ_OK) status = run_points(&course);
    if (status != RYZ_OK) {
        keep_what_there_is(&course, outcome);
        outcome->exit_code = RYZ_EXIT_COULD_NOT;
        goto out_close;
    }
    status = commit(&course, outcome);
    if (status != RYZ_OK) {
        (void)fprintf(stderr, "ryz: %s\n", course.error.text);
        outcome->exit_code = RYZ_EXIT_COULD_NOT;
        goto out_close;
    }
    show(&course, outcome);
out_close:
    close_course(&course);
}
