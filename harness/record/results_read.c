/* results_read.c - see results_read.h. Everything in the file is checked before it is believed. */
#include "harness/record/results_read.h"

#include "engine/base/assert.h"
#include "harness/record/h5.h"
#include "harness/record/live.h"
#include "harness/record/results_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RUNS_MAX 10000u /* run0000 .. run9999 */
#define AXES_MAX 6u

struct ryz_results {
    hid_t file;
    char path[512];
    uint32_t runs;
    bool complete;
    struct ryz_provenance provenance;
    uint32_t axis_count;
    char axes[AXES_MAX][64];
};

/* ---- opening ---- */

/* Why did H5Fopen refuse? A live file is the usual reason, and has its own remedy. */
static enum ryz_status explain_refusal(const char *path, struct ryz_error *error)
{
    struct ryz_error reason = {0};
    enum ryz_status status = ryz_h5_fail(&reason, RYZ_CORRUPT, "it is damaged");
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY | H5F_ACC_SWMR_READ, H5P_DEFAULT);
    H5Eclear2(H5E_DEFAULT);
    if (file >= 0) {
        H5Fclose(file);
        return ryz_fail(error, RYZ_INVALID,
                        "%s is the live file of an unfinished run; `ryz results recover %s OUT.h5` "
                        "makes a results file of it (never use h5clear on it)",
                        path, path);
    }
    if (H5Fis_hdf5(path) > 0)
        return ryz_fail(error, status, "%s cannot be opened: %.160s", path, reason.text);
    H5Eclear2(H5E_DEFAULT);
    return ryz_fail(error, status, "%s is not an HDF5 file, or its head is damaged", path);
}

static enum ryz_status check_schema(hid_t file, const char *path, struct ryz_error *error)
{
    char schema[64];
    ryz_h5_get_text(file, "schema", schema, sizeof schema);
    if (strcmp(schema, RYZ_RESULTS_SCHEMA) == 0) return RYZ_OK;
    if (strcmp(schema, RYZ_LIVE_SCHEMA) == 0)
        return ryz_fail(error, RYZ_INVALID,
                        "%s is a live file; `ryz results recover %s OUT.h5` makes a results file "
                        "of it",
                        path, path);
    return ryz_fail(error, RYZ_UNSUPPORTED, "%s has schema \"%s\"; this program reads \"%s\"", path,
                    schema, RYZ_RESULTS_SCHEMA);
}

static uint32_t count_runs(hid_t file)
{
    char name[24];
    uint32_t runs = 0;
    for (; runs < RUNS_MAX; runs++) {
        snprintf(name, sizeof name, "run%04u", runs);
        if (H5Lexists(file, name, H5P_DEFAULT) <= 0) break;
    }
    return runs;
}

static bool read_complete(hid_t file)
{
    uint8_t value = 0;
    if (H5Lexists(file, "complete", H5P_DEFAULT) <= 0) return false;
    hid_t set = H5Dopen2(file, "complete", H5P_DEFAULT);
    if (set < 0) return false;
    hid_t space = H5Dget_space(set);
    bool ok = space >= 0 && H5Sget_simple_extent_npoints(space) == 1 &&
              H5Dread(set, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, &value) >= 0;
    if (space >= 0) H5Sclose(space);
    H5Dclose(set);
    return ok && value == 1;
}

static enum ryz_status read_head(struct ryz_results *results, struct ryz_error *error)
{
    hid_t group = H5Gopen2(results->file, "provenance", H5P_DEFAULT);
    if (group < 0) return ryz_h5_fail(error, RYZ_CORRUPT, "%s has no provenance", results->path);
    enum ryz_status status = ryz_h5_provenance_read(group, &results->provenance, error);
    H5Gclose(group);
    group = H5Gopen2(results->file, "sweep", H5P_DEFAULT);
    if (group >= 0) {
        size_t count = 0;
        ryz_h5_get_texts(group, "axes", results->axes[0], sizeof results->axes[0], AXES_MAX,
                         &count);
        results->axis_count = (uint32_t)count;
        H5Gclose(group);
    }
    results->complete = read_complete(results->file);
    results->runs = count_runs(results->file);
    return status;
}

enum ryz_status ryz_results_open(const char *path, struct ryz_results **out,
                                 struct ryz_error *error)
{
    *out = NULL;
    ryz_h5_quiet();
    if (access(path, R_OK) != 0) {
        int os_errno = errno;
        return ryz_fail_errno(error, os_errno == ENOENT ? RYZ_NOT_FOUND : RYZ_IO, os_errno,
                              "cannot open %s", path);
    }
    struct ryz_results *results = calloc(1, sizeof *results);
    if (results == NULL) return ryz_fail(error, RYZ_NO_MEMORY, "no memory to open %s", path);
    snprintf(results->path, sizeof results->path, "%s", path);
    results->file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    enum ryz_status status =
        results->file < 0 ? explain_refusal(path, error) : check_schema(results->file, path, error);
    if (status == RYZ_OK) status = read_head(results, error);
    if (status != RYZ_OK) {
        ryz_results_close(results);
        return status;
    }
    *out = results;
    return RYZ_OK;
}

void ryz_results_close(struct ryz_results *results)
{
    if (results == NULL) return;
    if (results->file >= 0) H5Fclose(results->file);
    ryz_provenance_deinit(&results->provenance);
    free(results);
}

uint32_t ryz_results_run_count(const struct ryz_results *results)
{
    return results->runs;
}

bool ryz_results_complete(const struct ryz_results *results)
{
    return results->complete;
}

const struct ryz_provenance *ryz_results_provenance(const struct ryz_results *results)
{
    return &results->provenance;
}

uint32_t ryz_results_axes(const struct ryz_results *results, const char *keys[6])
{
    for (uint32_t i = 0; i < results->axis_count; i++) keys[i] = results->axes[i];
    return results->axis_count;
}

/* ---- rows ---- */

static void read_info(hid_t group, uint32_t run, struct ryz_run_info *info)
{
    uint64_t number = 0;
    ryz_h5_info_read(group, info);
    info->run = run;
    if (ryz_h5_get_u64(group, "complete", &number)) info->complete = number == 1;
    if (ryz_h5_get_u64(group, "valid", &number)) info->valid = number == 1;
    ryz_h5_get_text(group, "invalid_reason", info->invalid_reason, sizeof info->invalid_reason);
    for (int t = 0; t < RYZ_TABLE_LIVE_COUNT; t++) {
        char name[48];
        snprintf(name, sizeof name, "dropped_%s", ryz_table_spec((enum ryz_table)t)->name);
        ryz_h5_get_u64(group, name, &info->dropped[t]);
    }
}

/* Index columns come from the file; a damaged one must not lead outside the tokens. */
static enum ryz_status check_token_index(const struct ryz_run_data *data, struct ryz_error *error)
{
    size_t requests = 0, tokens = data->tables[RYZ_TABLE_TOKENS].count;
    const struct ryz_request_row *rows = ryz_run_rows(data, RYZ_TABLE_REQUESTS, &requests);
    for (size_t i = 0; i < requests; i++)
        if (rows[i].tok_count > 0 &&
            (rows[i].tok_first > tokens || rows[i].tok_count > tokens - rows[i].tok_first))
            return ryz_fail(error, RYZ_CORRUPT,
                            "request %llu claims tokens that are not in the file",
                            (unsigned long long)rows[i].id);
    return RYZ_OK;
}

static enum ryz_status read_accuracy(const struct ryz_results *results, const char *run,
                                     struct ryz_rows *rows, struct ryz_error *error)
{
    hid_t group = H5Gopen2(results->file, "accuracy", H5P_DEFAULT);
    if (group < 0) return RYZ_OK;
    enum ryz_status status =
        ryz_h5_table_read(group, ryz_table_spec(RYZ_TABLE_ACCURACY), run, UINT64_MAX, rows, error);
    H5Gclose(group);
    return status;
}

static bool is_run_table(int table)
{
    return table < RYZ_TABLE_LIVE_COUNT || table == RYZ_TABLE_SUMMARY || table == RYZ_TABLE_FACTS;
}

enum ryz_status ryz_results_read_run(const struct ryz_results *results, uint32_t run,
                                     uint32_t tables, struct ryz_run_data *data,
                                     struct ryz_error *error)
{
    char name[24];
    *data = (struct ryz_run_data){0};
    ryz_h5_quiet();
    if (run >= results->runs)
        return ryz_fail(error, RYZ_NOT_FOUND, "%s has %u runs, no run %u", results->path,
                        results->runs, run);
    snprintf(name, sizeof name, "run%04u", run);
    hid_t group = H5Gopen2(results->file, name, H5P_DEFAULT);
    if (group < 0)
        return ryz_h5_fail(error, RYZ_CORRUPT, "%s: %s cannot be opened", results->path, name);
    read_info(group, run, &data->info);
    enum ryz_status status = RYZ_OK;
    for (int t = 0; status == RYZ_OK && t < RYZ_TABLE_COUNT; t++) {
        const struct ryz_table_spec *spec = ryz_table_spec((enum ryz_table)t);
        if ((tables & RYZ_TABLE_BIT(t)) == 0 || !is_run_table(t)) continue;
        status = ryz_h5_table_read(group, spec, spec->name, UINT64_MAX, &data->tables[t], error);
    }
    if (status == RYZ_OK && (tables & RYZ_TABLE_BIT(RYZ_TABLE_ACCURACY)) != 0)
        status = read_accuracy(results, name, &data->tables[RYZ_TABLE_ACCURACY], error);
    if (status == RYZ_OK && (tables & RYZ_TABLE_BIT(RYZ_TABLE_TOKENS)) != 0)
        status = check_token_index(data, error);
    H5Gclose(group);
    if (status != RYZ_OK) ryz_run_data_deinit(data);
    return status;
}

enum ryz_status ryz_results_read_table(const struct ryz_results *results, enum ryz_table table,
                                       struct ryz_rows *rows, struct ryz_error *error)
{
    const char *where = table == RYZ_TABLE_POINTS   ? "sweep"
                        : table == RYZ_TABLE_INPUTS ? "provenance"
                                                    : "/";
    RYZ_ASSERT(table == RYZ_TABLE_POINTS || table == RYZ_TABLE_INPUTS ||
               table == RYZ_TABLE_TARGETS || table == RYZ_TABLE_COMPARE);
    *rows = (struct ryz_rows){NULL, 0};
    ryz_h5_quiet();
    hid_t group = H5Gopen2(results->file, where, H5P_DEFAULT);
    if (group < 0) {
        H5Eclear2(H5E_DEFAULT);
        return RYZ_OK;
    }
    const struct ryz_table_spec *spec = ryz_table_spec(table);
    enum ryz_status status = ryz_h5_table_read(group, spec, spec->name, UINT64_MAX, rows, error);
    H5Gclose(group);
    return status;
}
