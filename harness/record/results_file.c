/*
 * results_file.c - creates, grows, finishes and recovers results files.
 */
#include "harness/record/results_file.h"

#include "engine/base/assert.h"
#include "harness/record/folder.h"
#include "harness/record/h5.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_BYTES 1024

struct ryz_results_file {
    char path[PATH_BYTES], part[PATH_BYTES + 8];
    hid_t file;
    uint32_t runs;
};

/* Where a table lies: NULL for those of a run. */
static const char *table_group(enum ryz_table table)
{
    switch (table) {
    case RYZ_TABLE_POINTS:
        return "sweep";
    case RYZ_TABLE_INPUTS:
        return "provenance";
    case RYZ_TABLE_TARGETS:
    case RYZ_TABLE_COMPARE:
        return "/";
    default:
        return NULL;
    }
}

static enum ryz_status sync_file(hid_t file, const char *part, struct ryz_error *error)
{
    void *handle = NULL;
    if (H5Fflush(file, H5F_SCOPE_GLOBAL) < 0)
        return ryz_h5_fail(error, RYZ_IO, "cannot flush %s", part);
    if (H5Fget_vfd_handle(file, H5P_DEFAULT, &handle) < 0 || handle == NULL) return RYZ_OK;
    if (fsync(*(int *)handle) != 0)
        return ryz_fail_errno(error, RYZ_IO, errno, "cannot sync %s", part);
    return RYZ_OK;
}

static enum ryz_status write_head(hid_t file, const struct ryz_provenance *provenance,
                                  struct ryz_error *error)
{
    static const char *const groups[] = {"sweep", "accuracy"};
    const char *title = provenance->title[0] != '\0' ? provenance->title : "ryz results";
    enum ryz_status status = RYZ_OK;
    bool ok = ryz_h5_set_text(file, "schema", RYZ_RESULTS_SCHEMA) &&
              ryz_h5_set_text(file, "title", title) &&
              ryz_h5_set_text(file, "created_utc", provenance->created_utc) &&
              ryz_h5_set_text(file, "Conventions", "ryz-1 NeXus-style") &&
              ryz_h5_set_text(file, "default", "run0000");
    for (size_t i = 0; ok && i < sizeof groups / sizeof groups[0]; i++) {
        hid_t group = H5Gcreate2(file, groups[i], H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
        ok = group >= 0 && H5Gclose(group) >= 0;
    }
    hid_t group = H5Gcreate2(file, "provenance", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    if (!ok || group < 0)
        status = ryz_h5_fail(error, RYZ_IO, "cannot write the head of the results");
    else
        status = ryz_h5_provenance_write(group, provenance, error);
    if (group >= 0) H5Gclose(group);
    return status;
}

enum ryz_status ryz_results_create(const char *path, const struct ryz_provenance *provenance,
                                   struct ryz_results_file **out, struct ryz_error *error)
{
    *out = NULL;
    ryz_h5_quiet();
    if (strlen(path) >= PATH_BYTES)
        return ryz_fail(error, RYZ_INVALID, "path is too long: %.64s...", path);
    if (access(path, F_OK) == 0)
        return ryz_fail(error, RYZ_INVALID, "%s exists already; results are never overwritten",
                        path);
    enum ryz_status status = ryz_folder_make_parent(path, error);
    if (status != RYZ_OK) return status;
    struct ryz_results_file *results = calloc(1, sizeof *results);
    if (results == NULL) return ryz_fail(error, RYZ_NO_MEMORY, "no memory for a results file");
    snprintf(results->path, sizeof results->path, "%s", path);
    snprintf(results->part, sizeof results->part, "%s.part", path);
    results->file = H5Fcreate(results->part, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    if (results->file < 0) {
        status = ryz_h5_fail(error, RYZ_IO, "cannot create %s", results->part);
        free(results);
        return status;
    }
    status = write_head(results->file, provenance, error);
    if (status != RYZ_OK) {
        ryz_results_discard(results);
        return status;
    }
    *out = results;
    return RYZ_OK;
}

/* ---- runs ---- */

static bool write_run_attributes(hid_t group, const struct ryz_run_info *info)
{
    const char *names[RYZ_TABLE_LIVE_COUNT];
    bool ok = ryz_h5_info_write(group, info) && ryz_h5_set_text(group, "NX_class", "NXentry") &&
              ryz_h5_set_u64(group, "complete", info->complete) &&
              ryz_h5_set_u64(group, "valid", info->valid) &&
              ryz_h5_set_text(group, "invalid_reason", info->invalid_reason);
    for (int t = 0; t < RYZ_TABLE_LIVE_COUNT; t++)
        names[t] = ryz_table_spec((enum ryz_table)t)->name;
    ok = ok && ryz_h5_set_texts(group, "recorded_tables", names, RYZ_TABLE_LIVE_COUNT);
    for (int t = 0; ok && t < RYZ_TABLE_LIVE_COUNT; t++) {
        char name[48];
        if (info->dropped[t] == 0) continue;
        snprintf(name, sizeof name, "dropped_%s", names[t]);
        ok = ryz_h5_set_u64(group, name, info->dropped[t]);
    }
    return ok;
}

static enum ryz_status write_run_tables(hid_t group, const struct ryz_run_data *data,
                                        struct ryz_error *error)
{
    enum ryz_status status = RYZ_OK;
    for (int t = 0; status == RYZ_OK && t < RYZ_TABLE_COUNT; t++) {
        const struct ryz_table_spec *spec = ryz_table_spec((enum ryz_table)t);
        const struct ryz_rows *rows = &data->tables[t];
        bool here = t < RYZ_TABLE_LIVE_COUNT ||
                    ((t == RYZ_TABLE_SUMMARY || t == RYZ_TABLE_FACTS) && rows->count > 0);
        if (here)
            status = ryz_h5_table_write(group, spec, spec->name, rows->rows, rows->count, error);
    }
    return status;
}

static enum ryz_status write_accuracy(hid_t file, const char *run, const struct ryz_rows *rows,
                                      struct ryz_error *error)
{
    if (rows->count == 0) return RYZ_OK;
    hid_t group = H5Gopen2(file, "accuracy", H5P_DEFAULT);
    if (group < 0) return ryz_h5_fail(error, RYZ_IO, "the results file has no /accuracy");
    enum ryz_status status = ryz_h5_table_write(group, ryz_table_spec(RYZ_TABLE_ACCURACY), run,
                                                rows->rows, rows->count, error);
    H5Gclose(group);
    return status;
}

enum ryz_status ryz_results_add_run(struct ryz_results_file *results, struct ryz_run_data *data,
                                    struct ryz_error *error)
{
    char name[24];
    snprintf(name, sizeof name, "run%04u", results->runs);
    data->info.run = results->runs;
    hid_t group = H5Gcreate2(results->file, name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    if (group < 0) return ryz_h5_fail(error, RYZ_IO, "cannot add %s", name);
    /* The number is taken even if the rest fails: a group's name cannot be used twice. */
    results->runs++;
    enum ryz_status status = RYZ_OK;
    if (!write_run_attributes(group, &data->info))
        status = ryz_h5_fail(error, RYZ_IO, "cannot describe %s", name);
    if (status == RYZ_OK) status = write_run_tables(group, data, error);
    if (status == RYZ_OK)
        status = write_accuracy(results->file, name, &data->tables[RYZ_TABLE_ACCURACY], error);
    H5Gclose(group);
    if (status == RYZ_OK) status = sync_file(results->file, results->part, error);
    return status;
}

/* ---- tables of the whole file ---- */

enum ryz_status ryz_results_add_table(struct ryz_results_file *results, enum ryz_table table,
                                      const void *rows, size_t count, struct ryz_error *error)
{
    const char *where = table_group(table);
    RYZ_ASSERT(where != NULL);
    const struct ryz_table_spec *spec = ryz_table_spec(table);
    hid_t group = H5Gopen2(results->file, where, H5P_DEFAULT);
    if (group < 0) return ryz_h5_fail(error, RYZ_IO, "the results file has no group %s", where);
    enum ryz_status status = ryz_h5_table_write(group, spec, spec->name, rows, count, error);
    H5Gclose(group);
    return status;
}

enum ryz_status ryz_results_set_axes(struct ryz_results_file *results, const char *const *keys,
                                     uint32_t count, struct ryz_error *error)
{
    hid_t group = H5Gopen2(results->file, "sweep", H5P_DEFAULT);
    bool ok = group >= 0 && ryz_h5_set_texts(group, "axes", keys, count);
    if (group >= 0) H5Gclose(group);
    return ok ? RYZ_OK : ryz_h5_fail(error, RYZ_IO, "cannot name the axes of the sweep");
}

/* ---- the end ---- */

static bool write_complete(hid_t file, bool complete)
{
    const uint8_t value = complete;
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t set = space < 0 ? -1
                          : H5Dcreate2(file, "complete", H5T_STD_U8LE, space, H5P_DEFAULT,
                                       H5P_DEFAULT, H5P_DEFAULT);
    bool ok =
        set >= 0 && H5Dwrite(set, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, &value) >= 0;
    if (set >= 0) H5Dclose(set);
    if (space >= 0) H5Sclose(space);
    return ok;
}

enum ryz_status ryz_results_commit(struct ryz_results_file *results, bool complete,
                                   struct ryz_error *error)
{
    enum ryz_status status = RYZ_OK;
    if (!write_complete(results->file, complete))
        status = ryz_h5_fail(error, RYZ_IO, "cannot complete %s", results->part);
    if (status == RYZ_OK) status = sync_file(results->file, results->part, error);
    if (H5Fclose(results->file) < 0 && status == RYZ_OK)
        status = ryz_h5_fail(error, RYZ_IO, "cannot close %s", results->part);
    if (status == RYZ_OK && rename(results->part, results->path) != 0)
        status = ryz_fail_errno(error, RYZ_IO, errno, "cannot rename %s", results->part);
    if (status == RYZ_OK) ryz_folder_sync_parent(results->path);
    free(results);
    return status;
}

void ryz_results_discard(struct ryz_results_file *results)
{
    if (results == NULL) return;
    if (H5Fclose(results->file) < 0) H5Eclear2(H5E_DEFAULT);
    if (unlink(results->part) != 0) errno = 0;
    free(results);
}

/* ---- recovery ---- */

/* Adds one live file's run; creates the results file with the first one's provenance. */
static enum ryz_status recover_one(const char *live_path, const char *out_path,
                                   struct ryz_results_file **results, struct ryz_error *error)
{
    struct ryz_run_data data;
    struct ryz_provenance provenance;
    enum ryz_status status = ryz_run_data_open_live(live_path, &data, &provenance, error);
    if (status != RYZ_OK) return status;
    if (*results == NULL) status = ryz_results_create(out_path, &provenance, results, error);
    RYZ_ASSERT(status != RYZ_OK || *results != NULL);
    if (status == RYZ_OK) status = ryz_results_add_run(*results, &data, error);
    ryz_provenance_deinit(&provenance);
    ryz_run_data_deinit(&data);
    return status;
}

enum ryz_status ryz_results_recover(const char *const *live_paths, uint32_t count,
                                    const char *out_path, uint32_t *recovered,
                                    struct ryz_error *error)
{
    struct ryz_results_file *results = NULL;
    struct ryz_error one = {0};
    enum ryz_status status = RYZ_NOT_FOUND;
    uint32_t runs = 0;
    if (recovered != NULL) *recovered = 0;
    if (access(out_path, F_OK) == 0)
        return ryz_fail(error, RYZ_INVALID, "%s exists already; results are never overwritten",
                        out_path);
    for (uint32_t i = 0; i < count; i++) {
        enum ryz_status result = recover_one(live_paths[i], out_path, &results, &one);
        runs += result == RYZ_OK;
        if (result == RYZ_OK || runs > 0) continue;
        status = result;
    }
    if (recovered != NULL) *recovered = runs;
    if (runs > 0) {
        status = ryz_results_commit(results, false, error);
        if (status == RYZ_OK && runs < count && error != NULL) *error = one;
        return status;
    }
    ryz_results_discard(results);
    if (count == 0) return ryz_fail(error, status, "there is no live file to recover");
    return ryz_fail(error, status, "nothing could be recovered: %.240s", one.text);
}
