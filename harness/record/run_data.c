/*
 * run_data.c - rows in memory, their final order, and reading them from a live file.
 */
#include "harness/record/run_data.h"

#include "engine/base/assert.h"
#include "engine/base/size.h"
#include "harness/record/h5.h"
#include "harness/record/live.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void *ryz_run_rows(const struct ryz_run_data *data, enum ryz_table table, size_t *count)
{
    RYZ_ASSERT((unsigned)table < RYZ_TABLE_COUNT);
    if (count != NULL) *count = data->tables[table].count;
    return data->tables[table].rows;
}

enum ryz_status ryz_run_data_set(struct ryz_run_data *data, enum ryz_table table, const void *rows,
                                 size_t count, struct ryz_error *error)
{
    size_t bytes = 0;
    void *copy = NULL;
    if (!ryz_mul_size(count, ryz_table_spec(table)->row_bytes, &bytes))
        return ryz_fail(error, RYZ_INVALID, "too many rows");
    if (count > 0) {
        copy = malloc(bytes);
        if (copy == NULL) return ryz_fail(error, RYZ_NO_MEMORY, "no memory for %zu rows", count);
        memcpy(copy, rows, bytes);
    }
    free(data->tables[table].rows);
    data->tables[table] = (struct ryz_rows){copy, count};
    return RYZ_OK;
}

enum ryz_status ryz_run_data_add(struct ryz_run_data *data, enum ryz_table table, const void *row,
                                 struct ryz_error *error)
{
    struct ryz_rows *rows = &data->tables[table];
    size_t row_bytes = ryz_table_spec(table)->row_bytes;
    uint8_t *grown = realloc(rows->rows, (rows->count + 1) * row_bytes);
    if (grown == NULL) return ryz_fail(error, RYZ_NO_MEMORY, "no memory for a row");
    memcpy(grown + rows->count * row_bytes, row, row_bytes);
    *rows = (struct ryz_rows){grown, rows->count + 1};
    return RYZ_OK;
}

void ryz_run_data_invalidate(struct ryz_run_data *data, const char *format, ...)
{
    bool first = data->info.invalid_reason[0] == '\0';
    data->info.valid = false;
    if (!first) return;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(data->info.invalid_reason, sizeof data->info.invalid_reason, format, arguments);
    va_end(arguments);
}

void ryz_run_data_deinit(struct ryz_run_data *data)
{
    for (int i = 0; i < RYZ_TABLE_COUNT; i++) free(data->tables[i].rows);
    *data = (struct ryz_run_data){0};
}

/* ---- final order ---- */

/* A sort key and where its row lies: sorting by both is a stable sort by the key. */
struct keyed {
    uint64_t key;
    size_t index;
};

static int compare_keyed(const void *a, const void *b)
{
    const struct keyed *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static enum ryz_status sort_requests(struct ryz_rows *table, struct ryz_error *error)
{
    struct ryz_request_row *rows = table->rows;
    bool sorted = true;
    for (size_t i = 1; i < table->count; i++) sorted &= rows[i - 1].id <= rows[i].id;
    if (sorted) return RYZ_OK;
    struct keyed *keys = malloc(table->count * sizeof *keys);
    struct ryz_request_row *out = malloc(table->count * sizeof *out);
    if (keys == NULL || out == NULL) {
        free(keys);
        free(out);
        return ryz_fail(error, RYZ_NO_MEMORY, "no memory to sort %zu requests", table->count);
    }
    for (size_t i = 0; i < table->count; i++) keys[i] = (struct keyed){rows[i].id, i};
    qsort(keys, table->count, sizeof *keys, compare_keyed);
    for (size_t i = 0; i < table->count; i++) out[i] = rows[keys[i].index];
    free(keys);
    free(rows);
    table->rows = out;
    return RYZ_OK;
}

/* First request with this id; count if there is none. */
static size_t find_request(const struct ryz_request_row *rows, size_t count, uint64_t id)
{
    size_t begin = 0, end = count;
    while (begin < end) {
        size_t middle = begin + (end - begin) / 2;
        if (rows[middle].id < id)
            begin = middle + 1;
        else
            end = middle;
    }
    return begin < count && rows[begin].id == id ? begin : count;
}

struct ryz_request_row *ryz_run_data_request(const struct ryz_run_data *data, uint64_t id)
{
    size_t count = 0;
    struct ryz_request_row *rows = ryz_run_rows(data, RYZ_TABLE_REQUESTS, &count);
    size_t i = find_request(rows, count, id);
    return i < count ? &rows[i] : NULL;
}

/* Counts each request's tokens; returns how many belong to none. */
static size_t count_tokens(struct ryz_request_row *requests, size_t request_count,
                           const struct ryz_token_row *tokens, size_t token_count)
{
    size_t orphans = 0, at = request_count;
    for (size_t i = 0; i < token_count; i++) {
        if (at >= request_count || requests[at].id != tokens[i].request)
            at = find_request(requests, request_count, tokens[i].request);
        if (at < request_count)
            requests[at].tok_count++;
        else
            orphans++;
    }
    return orphans;
}

/* Moves each token to its request's place; `orphan` has room for those that belong to none. */
static void scatter_tokens(struct ryz_request_row *requests, size_t request_count,
                           const struct ryz_rows *in, struct ryz_token_row *out,
                           struct keyed *orphan)
{
    const struct ryz_token_row *tokens = in->rows;
    size_t at = request_count, orphans = 0;
    for (size_t i = 0; i < in->count; i++) {
        if (at >= request_count || requests[at].id != tokens[i].request)
            at = find_request(requests, request_count, tokens[i].request);
        if (at < request_count)
            out[requests[at].tok_first + requests[at].tok_count++] = tokens[i];
        else
            orphan[orphans++] = (struct keyed){tokens[i].request, i};
    }
    if (orphans > 0) qsort(orphan, orphans, sizeof *orphan, compare_keyed);
    for (size_t i = 0; i < orphans; i++) out[in->count - orphans + i] = tokens[orphan[i].index];
}

static enum ryz_status sort_tokens(struct ryz_rows *request_table, struct ryz_rows *token_table,
                                   struct ryz_error *error)
{
    struct ryz_request_row *requests = request_table->rows;
    size_t request_count = request_table->count, first = 0;
    for (size_t i = 0; i < request_count; i++) requests[i].tok_first = requests[i].tok_count = 0;
    size_t orphans = count_tokens(requests, request_count, token_table->rows, token_table->count);
    for (size_t i = 0; i < request_count; i++) {
        requests[i].tok_first = first;
        first += requests[i].tok_count;
        requests[i].tok_count = 0;
    }
    if (token_table->count == 0) return RYZ_OK;
    struct ryz_token_row *out = malloc(token_table->count * sizeof *out);
    struct keyed *orphan = malloc((orphans + 1) * sizeof *orphan);
    if (out == NULL || orphan == NULL) {
        free(out);
        free(orphan);
        return ryz_fail(error, RYZ_NO_MEMORY, "no memory to sort %zu tokens", token_table->count);
    }
    scatter_tokens(requests, request_count, token_table, out, orphan);
    free(orphan);
    free(token_table->rows);
    token_table->rows = out;
    return RYZ_OK;
}

enum ryz_status ryz_run_data_finalise(struct ryz_run_data *data, struct ryz_error *error)
{
    enum ryz_status status = sort_requests(&data->tables[RYZ_TABLE_REQUESTS], error);
    if (status != RYZ_OK) return status;
    return sort_tokens(&data->tables[RYZ_TABLE_REQUESTS], &data->tables[RYZ_TABLE_TOKENS], error);
}

/* ---- live files ---- */

/* Reads one of the live file's small u64 datasets, matching its entries by table name. */
static bool read_counts(hid_t file, const char *name, uint64_t out[RYZ_TABLE_LIVE_COUNT])
{
    char names[RYZ_LIVE_TABLES_MAX][32];
    uint64_t values[RYZ_LIVE_TABLES_MAX] = {0};
    size_t count = 0;
    memset(out, 0, RYZ_TABLE_LIVE_COUNT * sizeof *out);
    hid_t dataset = H5Dopen2(file, name, H5P_DEFAULT);
    if (dataset < 0) return false;
    hid_t space = H5Dget_space(dataset);
    hssize_t points = space >= 0 ? H5Sget_simple_extent_npoints(space) : -1;
    bool ok = ryz_h5_get_texts(dataset, "tables", names[0], sizeof names[0], RYZ_LIVE_TABLES_MAX,
                               &count) &&
              points == (hssize_t)count &&
              H5Dread(dataset, H5T_NATIVE_UINT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0;
    for (size_t i = 0; ok && i < count; i++)
        for (int t = 0; t < RYZ_TABLE_LIVE_COUNT; t++)
            if (strcmp(names[i], ryz_table_spec((enum ryz_table)t)->name) == 0) out[t] = values[i];
    if (space >= 0) H5Sclose(space);
    H5Dclose(dataset);
    return ok;
}

static enum ryz_status open_live(const char *path, hid_t *file, struct ryz_error *error)
{
    *file = -1;
    if (access(path, R_OK) != 0)
        return ryz_fail_errno(error, errno == ENOENT ? RYZ_NOT_FOUND : RYZ_IO, errno,
                              "cannot open %s", path);
    hid_t list = H5Pcreate(H5P_FILE_ACCESS);
    if (list < 0) return ryz_h5_fail(error, RYZ_NO_MEMORY, "HDF5 gives no property list");
    *file = H5Fopen(path, H5F_ACC_RDONLY | H5F_ACC_SWMR_READ, list);
    H5Pclose(list);
    char schema[64] = "";
    if (*file < 0)
        return ryz_h5_fail(error, RYZ_CORRUPT,
                           "%s is not a readable live file; if its file system "
                           "has no locks, set HDF5_USE_FILE_LOCKING=FALSE",
                           path);
    ryz_h5_get_text(*file, "schema", schema, sizeof schema);
    if (strcmp(schema, RYZ_LIVE_SCHEMA) == 0) return RYZ_OK;
    H5Fclose(*file);
    *file = -1;
    return ryz_fail(error, RYZ_UNSUPPORTED,
                    "%s is no live file of ryz (schema \"%s\", want \"%s\")", path, schema,
                    RYZ_LIVE_SCHEMA);
}

/* What the counts say about the run as a whole. */
static void judge(struct ryz_run_data *data, bool closed)
{
    uint64_t dropped = 0;
    data->info.complete = closed;
    data->info.valid = true;
    for (int t = 0; t < RYZ_TABLE_LIVE_COUNT; t++) dropped += data->info.dropped[t];
    if (!closed)
        ryz_run_data_invalidate(data, "the run was interrupted; these rows were recovered");
    if (dropped > 0)
        ryz_run_data_invalidate(data, "the recorder dropped %llu rows",
                                (unsigned long long)dropped);
}

static enum ryz_status read_live_tables(hid_t file, const uint64_t acked[RYZ_TABLE_LIVE_COUNT],
                                        struct ryz_run_data *data, struct ryz_error *error)
{
    enum ryz_status status = RYZ_OK;
    hid_t group = H5Gopen2(file, "run", H5P_DEFAULT);
    if (group < 0) return ryz_h5_fail(error, RYZ_CORRUPT, "the live file has no run");
    struct ryz_run_info info;
    ryz_h5_info_read(group, &info);
    memcpy(info.dropped, data->info.dropped, sizeof info.dropped);
    data->info = info;
    for (int t = 0; status == RYZ_OK && t < RYZ_TABLE_LIVE_COUNT; t++) {
        const struct ryz_table_spec *spec = ryz_table_spec((enum ryz_table)t);
        if (acked[t] == 0) continue;
        status = ryz_h5_table_read(group, spec, spec->name, acked[t], &data->tables[t], error);
        if (status == RYZ_OK && data->tables[t].count < acked[t])
            status = ryz_fail(error, RYZ_CORRUPT, "table %s has %zu of %llu acknowledged rows",
                              spec->name, data->tables[t].count, (unsigned long long)acked[t]);
    }
    H5Gclose(group);
    return status;
}

static enum ryz_status read_live_provenance(hid_t file, struct ryz_provenance *provenance,
                                            struct ryz_error *error)
{
    hid_t group = H5Gopen2(file, "provenance", H5P_DEFAULT);
    if (group < 0) return ryz_h5_fail(error, RYZ_CORRUPT, "the live file has no provenance");
    enum ryz_status status = ryz_h5_provenance_read(group, provenance, error);
    H5Gclose(group);
    return status;
}

enum ryz_status ryz_run_data_open_live(const char *live_path, struct ryz_run_data *data,
                                       struct ryz_provenance *provenance, struct ryz_error *error)
{
    uint64_t acked[RYZ_TABLE_LIVE_COUNT] = {0};
    uint8_t closed = 0;
    hid_t file = -1;
    ryz_h5_quiet();
    *data = (struct ryz_run_data){0};
    if (provenance != NULL) *provenance = (struct ryz_provenance){0};
    enum ryz_status status = open_live(live_path, &file, error);
    if (status != RYZ_OK) return status;
    hid_t flag = H5Dopen2(file, "closed", H5P_DEFAULT);
    if (flag < 0 || H5Dread(flag, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, &closed) < 0 ||
        !read_counts(file, "acked", acked) || !read_counts(file, "dropped", data->info.dropped))
        status = ryz_h5_fail(error, RYZ_CORRUPT, "%s: its row counts cannot be read", live_path);
    if (flag >= 0) H5Dclose(flag);
    if (status == RYZ_OK) status = read_live_tables(file, acked, data, error);
    if (status == RYZ_OK && provenance != NULL)
        status = read_live_provenance(file, provenance, error);
    H5Fclose(file);
    if (status == RYZ_OK) {
        judge(data, closed == 1);
        status = ryz_run_data_finalise(data, error);
    }
    if (status == RYZ_OK) return RYZ_OK;
    ryz_run_data_deinit(data);
    if (provenance != NULL) ryz_provenance_deinit(provenance);
    return status;
}
