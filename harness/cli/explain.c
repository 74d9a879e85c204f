/* explain.c - `ryz explain`: what a metric means and how it is computed. */
#include "harness/cli/commands.h"
#include "harness/cli/options.h"

#include "harness/evaluate/quantities.h"

#include <stdio.h>

int ryz_command_explain(int argc, char **argv)
{
    const struct ryz_command_line line = {
        .usage = "ryz explain [METRIC]",
        .about =
            "Says what a metric means, its formula, unit and statistics: ryz explain ttft.p99.\n"
            "Without a metric it lists all of them.",
        .positional_max = 1};
    const char *metric = NULL;
    enum ryz_status status = ryz_options_parse(&line, argc, argv, &metric, NULL);
    if (status != RYZ_OK) return status == RYZ_CANCELLED ? RYZ_EXIT_MET : RYZ_EXIT_USAGE;
    struct ryz_error error = {0};
    if (ryz_quantity_explain(metric, stdout, &error) == RYZ_OK) return RYZ_EXIT_MET;
    (void)fprintf(stderr, "ryz: %s\n", error.text);
    return RYZ_EXIT_USAGE;
}
