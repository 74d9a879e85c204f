/* check.c - `ryz check`: all mistakes of a scenario at once, or what it would do. */
#include "harness/cli/commands.h"
#include "harness/cli/options.h"

#include "engine/base/size.h"
#include "harness/evaluate/evaluator.h"
#include "harness/scenario/check.h"

#include <stdio.h>

/* Do the targets name metrics that there are? A scenario with other mistakes is left to those. */
static bool targets_are_good(const char *path, const struct ryz_overrides *overrides)
{
    struct ryz_plan *plan = NULL;
    struct ryz_evaluator *evaluator = NULL;
    struct ryz_error error;
    if (ryz_plan_open(path, overrides, &plan, &error) != RYZ_OK) return true;
    bool good = ryz_evaluator_open(plan, &evaluator, &error) == RYZ_OK;
    if (!good) printf("%s\n", error.text);
    ryz_evaluator_close(evaluator);
    ryz_plan_close(plan);
    return good;
}

int ryz_command_check(int argc, char **argv)
{
    struct ryz_option_list settings = {0};
    const struct ryz_option options[] = {
        {"set", RYZ_OPTION_LIST, &settings, "KEY=VALUE", "override a key, e.g. engine.max_batch=4"},
    };
    const struct ryz_command_line line = {
        .usage = "ryz check SCENARIO.ini [--set KEY=VALUE]",
        .about = "Lists every mistake with file, line and key, or prints the whole plan: each key\n"
                 "with its value and where it came from, the runs, and the time they will take.",
        .options = options,
        .option_count = RYZ_COUNT_OF(options),
        .positional_min = 1,
        .positional_max = 1};
    const char *path = NULL;
    enum ryz_status status = ryz_options_parse(&line, argc, argv, &path, NULL);
    if (status != RYZ_OK) return status == RYZ_CANCELLED ? RYZ_EXIT_MET : RYZ_EXIT_USAGE;
    struct ryz_overrides overrides = {.settings = settings.items, .count = settings.count};
    if (!targets_are_good(path, &overrides)) return RYZ_EXIT_USAGE;
    status = ryz_plan_check(path, &overrides, stdout);
    if (status == RYZ_OK) return RYZ_EXIT_MET;
    return status == RYZ_INVALID ? RYZ_EXIT_USAGE : RYZ_EXIT_COULD_NOT;
}
