/* run.c - `ryz run`: the command line around harness/run. */
#include "harness/cli/commands.h"
#include "harness/cli/options.h"

#include "engine/base/size.h"
#include "harness/run/run.h"

#include <stdio.h>
#include <stdlib.h>

int ryz_command_run(int argc, char **argv)
{
    struct ryz_option_list settings = {0};
    const char *target = NULL, *cost = NULL, *out = NULL, *url = NULL;
    struct ryz_run_options run = {.argc = argc, .argv = argv};
    const struct ryz_option options[] = {
        {"set", RYZ_OPTION_LIST, &settings, "KEY=VALUE", "override a key, e.g. engine.max_batch=4"},
        {"target", RYZ_OPTION_TEXT, &target, "KIND", "embedded, http or simulator"},
        {"url", RYZ_OPTION_TEXT, &url, "URL", "with --target http: the server"},
        {"cost", RYZ_OPTION_TEXT, &cost, "FILE.h5",
         "with --target simulator: results to fit step costs to"},
        {"out", RYZ_OPTION_TEXT, &out, "DIR", "folder of the results"},
        {"dry-run", RYZ_OPTION_FLAG, &run.dry_run, NULL,
         "print the arrivals and what a prefix cache could find, send nothing"},
        {"quiet", RYZ_OPTION_FLAG, &run.quiet, NULL, "only the verdict"},
    };
    const struct ryz_command_line line = {
        .usage = "ryz run SCENARIO.ini [options]",
        .about =
            "Runs a scenario and ends with a verdict, an HDF5 file and pictures. Exit code:\n"
            "0 targets met, 1 missed, 2 regression, 3 INVALID, 4 could not run, 64 bad scenario.",
        .options = options,
        .option_count = RYZ_COUNT_OF(options),
        .positional_min = 1,
        .positional_max = 1};
    enum ryz_status status = ryz_options_parse(&line, argc, argv, &run.scenario, NULL);
    if (status != RYZ_OK) return status == RYZ_CANCELLED ? RYZ_EXIT_MET : RYZ_EXIT_USAGE;

    /* The short options are settings under another name. */
    char texts[4][600];
    const char *const keys[4] = {"engine.target", "engine.url", "engine.cost", "output.dir"};
    const char *const values[4] = {target, url, cost, out};
    for (int i = 0; i < 4; i++) {
        if (values[i] == NULL) continue;
        if (settings.count == RYZ_OPTION_LIST_MAX) {
            (void)fprintf(stderr, "ryz: at most %u settings\n", RYZ_OPTION_LIST_MAX);
            return RYZ_EXIT_USAGE;
        }
        (void)snprintf(texts[i], sizeof texts[i], "%s=%s", keys[i], values[i]);
        settings.items[settings.count++] = texts[i];
    }
    run.overrides = (struct ryz_overrides){.settings = settings.items, .count = settings.count};
    struct ryz_run_outcome outcome = {0};
    ryz_run_scenario(&run, &outcome);
    free(outcome.targets);
    return outcome.exit_code;
}
