/* results.c - `ryz results recover|list`: what can be done with results files besides plotting. */
#include "harness/cli/commands.h"
#include "harness/cli/options.h"

#include "engine/base/size.h"
#include "harness/record/results_file.h"
#include "harness/record/results_read.h"

#include <stdio.h>
#include <string.h>

static int fail(const struct ryz_error *error)
{
    (void)fprintf(stderr, "ryz: %s\n", error->text);
    return RYZ_EXIT_COULD_NOT;
}

/* Live files, then the file to write. */
static int recover(const char *const *paths, uint32_t count)
{
    if (count < 2) {
        (void)fputs("usage: ryz results recover LIVE.h5 [LIVE.h5 ...] OUT.h5\n"
                    "An interrupted run leaves its live files in <output.dir>/.live.\n",
                    stderr);
        return RYZ_EXIT_USAGE;
    }
    struct ryz_error error = {0};
    uint32_t recovered = 0;
    if (ryz_results_recover(paths, count - 1, paths[count - 1], &recovered, &error) != RYZ_OK) {
        return fail(&error);
    }
    printf("%s: %u of %u run(s) recovered\n", paths[count - 1], recovered, count - 1);
    return RYZ_EXIT_MET;
}

static void print_run(const struct ryz_run_data *data)
{
    printf("run%04u  point %u repeat %u  %s%s%s\n", data->info.run, data->info.point,
           data->info.repeat, data->info.driver, data->info.label[0] != '\0' ? "  " : "",
           data->info.label);
    if (!data->info.complete) puts("         interrupted");
    if (!data->info.valid) printf("         INVALID: %s\n", data->info.invalid_reason);
    for (int table = 0; table < RYZ_TABLE_COUNT; table++) {
        size_t count = data->tables[table].count;
        if (count > 0) printf("         %-14s %zu rows\n", ryz_table_spec(table)->name, count);
    }
}

static int list(const char *path)
{
    struct ryz_results *results = NULL;
    struct ryz_error error = {0};
    if (ryz_results_open(path, &results, &error) != RYZ_OK) return fail(&error);
    const struct ryz_provenance *provenance = ryz_results_provenance(results);
    printf("%s\n%s, commit %s, seed %llu, %s\n", provenance->title, provenance->created_utc,
           provenance->git_commit, (unsigned long long)provenance->seed, provenance->cpu);
    int code = RYZ_EXIT_MET;
    for (uint32_t run = 0; run < ryz_results_run_count(results); run++) {
        struct ryz_run_data data = {0};
        if (ryz_results_read_run(results, run, RYZ_TABLES_ALL, &data, &error) != RYZ_OK) {
            code = fail(&error);
            break;
        }
        print_run(&data);
        ryz_run_data_deinit(&data);
    }
    ryz_results_close(results);
    return code;
}

int ryz_command_results(int argc, char **argv)
{
    const struct ryz_command_line line = {
        .usage = "ryz results recover LIVE.h5 [LIVE.h5 ...] OUT.h5 | ryz results list FILE.h5",
        .about = "recover: makes an ordinary results file of what an interrupted run had\n"
                 "         acknowledged (its live files are in <output.dir>/.live).\n"
                 "list:    says what a results file holds.",
        .positional_min = 1,
        .positional_max = 66};
    const char *words[66];
    uint32_t count = 0;
    enum ryz_status status = ryz_options_parse(&line, argc, argv, words, &count);
    if (status != RYZ_OK) return status == RYZ_CANCELLED ? RYZ_EXIT_MET : RYZ_EXIT_USAGE;
    if (strcmp(words[0], "recover") == 0) return recover(words + 1, count - 1);
    if (strcmp(words[0], "list") == 0 && count == 2) return list(words[1]);
    (void)fprintf(stderr, "usage: %s\n", line.usage);
    return RYZ_EXIT_USAGE;
}
