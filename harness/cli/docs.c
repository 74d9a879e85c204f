/* docs.c - `ryz docs`: the reference pages that are made from tables. */
#include "harness/cli/commands.h"
#include "harness/cli/options.h"

#include "engine/base/size.h"
#include "harness/evaluate/quantities.h"
#include "harness/record/docs.h"
#include "harness/scenario/docs.h"

#include <errno.h>
#include <stdio.h>

static const struct {
    const char *name;
    void (*write)(FILE *out);
} pages[] = {
    {"scenario.md", ryz_scenario_write_docs},
    {"metrics.md", ryz_quantities_write_markdown},
    {"results.md", ryz_results_write_docs},
};

int ryz_command_docs(int argc, char **argv)
{
    const char *folder = "docs";
    const struct ryz_option options[] = {
        {"write", RYZ_OPTION_TEXT, &folder, "DIR", "folder to write to (docs)"},
    };
    const struct ryz_command_line line = {
        .usage = "ryz docs [--write DIR]",
        .about = "Writes scenario.md, metrics.md and results.md from the tables in the program.",
        .options = options,
        .option_count = RYZ_COUNT_OF(options)};
    enum ryz_status status = ryz_options_parse(&line, argc, argv, NULL, NULL);
    if (status != RYZ_OK) return status == RYZ_CANCELLED ? RYZ_EXIT_MET : RYZ_EXIT_USAGE;
    for (size_t i = 0; i < RYZ_COUNT_OF(pages); i++) {
        char path[512];
        (void)snprintf(path, sizeof path, "%s/%s", folder, pages[i].name);
        FILE *out = fopen(path, "w");
        if (out != NULL) pages[i].write(out);
        if (out == NULL || fclose(out) != 0) {
            struct ryz_error error = {0};
            (void)ryz_fail_errno(&error, RYZ_IO, errno, "cannot write %s", path);
            (void)fprintf(stderr, "ryz: %s\n", error.text);
            return RYZ_EXIT_COULD_NOT;
        }
        printf("%s\n", path);
    }
    return RYZ_EXIT_MET;
}
