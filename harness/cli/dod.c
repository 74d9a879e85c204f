/*
 * dod.c - `ryz dod`: runs the scenarios under scenarios/dod/ and prints the whole table.
 *
 * A row is met when the verdict of its scenario is; a row without a scenario says "not built" and
 * counts as missed; a row whose targets cannot apply here says so with the reason.
 */
#include "harness/cli/commands.h"
#include "harness/cli/dod_rows.h"
#include "harness/cli/options.h"

#include "engine/base/size.h"
#include "harness/report/report.h"
#include "harness/run/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct dod_row {
    const char *id, *target, *must;
};

static const struct dod_row rows[] = {
#define X(id, target, must) {id, target, must},
    RYZ_DOD_TABLE(X)
#undef X
};

#define ROW_COUNT RYZ_COUNT_OF(rows)

enum dod_state {
    RYZ_DOD_SKIPPED,
    RYZ_DOD_NOT_BUILT,
    RYZ_DOD_MET,
    RYZ_DOD_MISSED,
    RYZ_DOD_NOT_APPLICABLE,
    RYZ_DOD_INVALID
};

struct dod_result {
    enum dod_state state;
    char detail[256]; /* the targets' numbers, or why there are none */
};

/* Adds "name got (want)" of each target, as long as there is room. */
static void describe(const struct ryz_run_outcome *outcome, struct dod_result *result)
{
    size_t used = 0;
    for (size_t i = 0; i < outcome->target_count && used + 1 < sizeof result->detail; i++) {
        const struct ryz_target_row *target = &outcome->targets[i];
        char got[32], want[32];
        ryz_report_format(target->got, target->unit, got, sizeof got);
        ryz_report_format(target->want, target->unit, want, sizeof want);
        int length =
            snprintf(result->detail + used, sizeof result->detail - used, "%s%s %s (%s %s)",
                     used > 0 ? "; " : "", target->name, got, target->op, want);
        if (length < 0) break;
        used += (size_t)length;
    }
}

static bool all_not_applicable(const struct ryz_run_outcome *outcome)
{
    for (size_t i = 0; i < outcome->target_count; i++) {
        if (outcome->targets[i].verdict != -1) return false;
    }
    return outcome->target_count > 0;
}

/* Path of the row's scenario; false if there is none. */
static bool find_scenario(const char *folder, const struct dod_row *row, char *path,
                          size_t capacity)
{
    (void)snprintf(path, capacity, "%s/%s.ini", folder, row->id);
    return access(path, R_OK) == 0;
}

static void measure(const struct dod_row *row, const char *path, const char *out,
                    struct dod_result *result)
{
    char setting[600];
    (void)fprintf(stderr, "%s: %s\n", row->id, row->target);
    (void)snprintf(setting, sizeof setting, "output.dir=%s", out);
    const char *settings[] = {setting};
    struct ryz_run_options options = {
        .scenario = path, .overrides = {.settings = settings, .count = 1}, .quiet = true};
    struct ryz_run_outcome outcome = {0};
    ryz_run_scenario(&options, &outcome);
    describe(&outcome, result);
    if (outcome.exit_code == RYZ_EXIT_MET) {
        result->state = all_not_applicable(&outcome) ? RYZ_DOD_NOT_APPLICABLE : RYZ_DOD_MET;
    } else if (outcome.exit_code == RYZ_EXIT_MISSED) {
        result->state = RYZ_DOD_MISSED;
    } else {
        result->state = RYZ_DOD_INVALID;
        if (result->detail[0] == '\0') {
            (void)snprintf(result->detail, sizeof result->detail, "could not run (exit %d)",
                           outcome.exit_code);
        }
    }
    free(outcome.targets);
}

static bool wanted(const char *id, const char *const *ids, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(ids[i], id) == 0) return true;
    }
    return count == 0;
}

/* Every id must be a row's. */
static bool check_ids(const char *const *ids, uint32_t count)
{
    const char *names[ROW_COUNT];
    for (size_t i = 0; i < ROW_COUNT; i++) names[i] = rows[i].id;
    for (uint32_t i = 0; i < count; i++) {
        bool known = false;
        for (size_t j = 0; j < ROW_COUNT; j++) known |= strcmp(ids[i], names[j]) == 0;
        if (known) continue;
        (void)fprintf(stderr, "ryz: there is no row \"%s\"; rows are", ids[i]);
        for (size_t j = 0; j < ROW_COUNT; j++) (void)fprintf(stderr, " %s", names[j]);
        (void)fputc('\n', stderr);
        return false;
    }
    return true;
}

static void print_table(const struct dod_result *results)
{
    static const char *const words[] = {"not run", "not built",      "met",
                                        "MISSED",  "not applicable", "INVALID"};
    uint32_t met = 0, measured = 0;
    printf("%-3s %-42s %-38s %-14s %s\n", "id", "target", "must", "verdict", "measured");
    for (size_t i = 0; i < ROW_COUNT; i++) {
        printf("%-3s %-42s %-38s %-14s %s\n", rows[i].id, rows[i].target, rows[i].must,
               words[results[i].state], results[i].detail);
        met += results[i].state == RYZ_DOD_MET;
        measured += results[i].state >= RYZ_DOD_MET;
    }
    printf("\n%u of %zu rows met, %u measured\n", met, ROW_COUNT, measured);
}

int ryz_command_dod(int argc, char **argv)
{
    const char *folder = "scenarios/dod", *out = "results/dod";
    const struct ryz_option options[] = {
        {"scenarios", RYZ_OPTION_TEXT, &folder, "DIR", "where ID.ini are (scenarios/dod)"},
        {"out", RYZ_OPTION_TEXT, &out, "DIR", "where results go (results/dod)"},
    };
    const struct ryz_command_line line = {
        .usage = "ryz dod [ROW ...]",
        .about =
            "Measures the rows of the Definition of Done (all, or those named) and prints the\n"
            "whole table. Exit 0 only if every row that was asked for and applies is met.",
        .options = options,
        .option_count = RYZ_COUNT_OF(options),
        .positional_max = ROW_COUNT};
    const char *ids[ROW_COUNT];
    uint32_t count = 0;
    enum ryz_status status = ryz_options_parse(&line, argc, argv, ids, &count);
    if (status != RYZ_OK) return status == RYZ_CANCELLED ? RYZ_EXIT_MET : RYZ_EXIT_USAGE;
    if (!check_ids(ids, count)) return RYZ_EXIT_USAGE;
    if (access(folder, X_OK) != 0) {
        (void)fprintf(stderr,
                      "ryz: there is no folder \"%s\"; start in the checkout, or name it: "
                      "--scenarios DIR\n",
                      folder);
        return RYZ_EXIT_COULD_NOT;
    }
    struct dod_result results[ROW_COUNT] = {0};
    bool good = true;
    for (size_t i = 0; i < ROW_COUNT; i++) {
        char path[512];
        bool built = find_scenario(folder, &rows[i], path, sizeof path);
        bool asked = wanted(rows[i].id, ids, count);
        if (!built) results[i].state = RYZ_DOD_NOT_BUILT;
        if (built && asked) measure(&rows[i], path, out, &results[i]);
        good &=
            !asked || results[i].state == RYZ_DOD_MET || results[i].state == RYZ_DOD_NOT_APPLICABLE;
    }
    print_table(results);
    return good ? RYZ_EXIT_MET : RYZ_EXIT_MISSED;
}
