/*
 * Goal: a results file says what was put in, in types any reader understands, and a damaged one is
 * refused with words. Method: round trips of made-up rows; looking at the file through HDF5 itself;
 * files that were cut, flipped or built wrong on purpose.
 */
#include "harness/record/results_file.h"
#include "harness/record/results_read.h"
#include "tests/unit/record/support.h"
#include "tests/unit/record/synthetic.h"

#include <criterion/criterion.h>
#include <hdf5.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void write_file(const char *path, uint32_t runs)
{
    struct ryz_provenance provenance;
    struct ryz_results_file *file = NULL;
    struct ryz_error error = {0};
    struct synthetic options = {.seed = 5,
                                .requests = 300,
                                .rate_per_s = 20,
                                .token_ms = 4,
                                .fail_share = 0.2,
                                .fault = true,
                                .traffics = 2,
                                .max_batch = 4};
    synthetic_provenance(&provenance);
    cr_assert_eq(ryz_results_create(path, &provenance, &file, &error), RYZ_OK, "%s", error.text);
    for (uint32_t r = 0; r < runs; r++) {
        struct ryz_run_data data;
        options.seed += r;
        synthetic_run(&options, &data);
        synthetic_accuracy(r, 0.01, &data);
        struct ryz_summary_row row;
        support_fill(RYZ_TABLE_SUMMARY, r, &row);
        cr_assert_eq(ryz_run_data_add(&data, RYZ_TABLE_SUMMARY, &row, NULL), RYZ_OK);
        data.info.point = r;
        if (r == 1) ryz_run_data_invalidate(&data, "on purpose");
        cr_assert_eq(ryz_results_add_run(file, &data, &error), RYZ_OK, "%s", error.text);
        cr_assert_eq(data.info.run, r);
        ryz_run_data_deinit(&data);
    }
    const char *keys[] = {"engine.quant", "engine.max_batch"};
    struct ryz_point_row point = {.point = 1, .state = 2};
    struct ryz_target_row target = {.want = 1, .got = (double)INFINITY, .verdict = -2};
    strcpy(point.label, "engine.quant=q8_0");
    cr_assert_eq(ryz_results_set_axes(file, keys, 2, &error), RYZ_OK);
    cr_assert_eq(ryz_results_add_table(file, RYZ_TABLE_POINTS, &point, 1, &error), RYZ_OK);
    cr_assert_eq(ryz_results_add_table(file, RYZ_TABLE_TARGETS, &target, 1, &error), RYZ_OK);
    cr_assert_eq(access(path, F_OK), -1, "the file has its name before it is whole");
    cr_assert_eq(ryz_results_commit(file, true, &error), RYZ_OK, "%s", error.text);
}

Test(record_results, runs_come_back_row_by_row)
{
    char path[512];
    snprintf(path, sizeof path, "%s", support_path("results.h5"));
    write_file(path, 2);
    struct ryz_results *results = NULL;
    struct ryz_error error = {0};
    struct ryz_run_data got, want;
    struct synthetic options = {.seed = 5,
                                .requests = 300,
                                .rate_per_s = 20,
                                .token_ms = 4,
                                .fail_share = 0.2,
                                .fault = true,
                                .traffics = 2,
                                .max_batch = 4};
    cr_assert_eq(ryz_results_open(path, &results, &error), RYZ_OK, "%s", error.text);
    cr_assert_eq(ryz_results_run_count(results), 2);
    cr_expect(ryz_results_complete(results));
    cr_assert_eq(ryz_results_read_run(results, 0, RYZ_TABLES_ALL, &got, &error), RYZ_OK, "%s",
                 error.text);
    synthetic_run(&options, &want);
    synthetic_accuracy(0, 0.01, &want);
    for (int t = 0; t < RYZ_TABLE_COUNT; t++) {
        size_t bytes = ryz_table_spec((enum ryz_table)t)->row_bytes, wrong = 0;
        if (t == RYZ_TABLE_SUMMARY) continue;
        cr_assert_eq(got.tables[t].count, want.tables[t].count, "table %d", t);
        for (size_t i = 0; i < got.tables[t].count; i++)
            wrong += !support_equal((enum ryz_table)t, (char *)got.tables[t].rows + i * bytes,
                                    (char *)want.tables[t].rows + i * bytes);
        cr_expect_eq(wrong, 0, "%zu rows of table %d", wrong, t);
    }
    cr_expect_eq(got.tables[RYZ_TABLE_SUMMARY].count, 1);
    cr_expect(got.info.valid && got.info.complete);
    cr_expect_str_eq(got.info.phases[1], "batch");
    ryz_run_data_deinit(&got);
    cr_assert_eq(ryz_results_read_run(results, 1, 0, &got, &error), RYZ_OK);
    cr_expect_not(got.info.valid);
    cr_expect_str_eq(got.info.invalid_reason, "on purpose");
    cr_expect_eq(got.tables[RYZ_TABLE_REQUESTS].count, 0, "no table was asked for");
    ryz_run_data_deinit(&got);
    cr_expect_eq(ryz_results_read_run(results, 2, 0, &got, &error), RYZ_NOT_FOUND);
    ryz_run_data_deinit(&want);
    ryz_results_close(results);
}

Test(record_results, tables_of_the_whole_file_come_back)
{
    char path[512];
    snprintf(path, sizeof path, "%s", support_path("results.h5"));
    write_file(path, 1);
    struct ryz_results *results = NULL;
    struct ryz_rows rows;
    const char *keys[6];
    cr_assert_eq(ryz_results_open(path, &results, NULL), RYZ_OK);
    cr_assert_eq(ryz_results_axes(results, keys), 2);
    cr_expect_str_eq(keys[1], "engine.max_batch");
    cr_assert_eq(ryz_results_read_table(results, RYZ_TABLE_TARGETS, &rows, NULL), RYZ_OK);
    cr_assert_eq(rows.count, 1);
    const struct ryz_target_row *target = rows.rows;
    cr_expect(isinf(target->got) && target->verdict == -2);
    free(rows.rows);
    cr_assert_eq(ryz_results_read_table(results, RYZ_TABLE_POINTS, &rows, NULL), RYZ_OK);
    cr_assert_eq(rows.count, 1);
    cr_expect_str_eq(((struct ryz_point_row *)rows.rows)->label, "engine.quant=q8_0");
    free(rows.rows);
    cr_assert_eq(ryz_results_read_table(results, RYZ_TABLE_INPUTS, &rows, NULL), RYZ_OK);
    cr_expect_eq(rows.count, 0, "an absent table is empty");
    const struct ryz_provenance *provenance = ryz_results_provenance(results);
    cr_expect_str_eq(provenance->git_commit, "git_commit of a test");
    struct ryz_provenance want;
    synthetic_provenance(&want);
    cr_assert_eq(provenance->scenario_bytes, want.scenario_bytes);
    cr_expect(memcmp(provenance->scenario, want.scenario, want.scenario_bytes) == 0);
    ryz_results_close(results);
}

Test(record_results, an_existing_file_is_never_overwritten)
{
    char path[512];
    snprintf(path, sizeof path, "%s", support_path("results.h5"));
    write_file(path, 1);
    struct ryz_provenance provenance;
    struct ryz_results_file *file = NULL;
    struct ryz_error error = {0};
    synthetic_provenance(&provenance);
    cr_expect_eq(ryz_results_create(path, &provenance, &file, &error), RYZ_INVALID);
    const char *live = "whatever.h5";
    cr_expect_eq(ryz_results_recover(&live, 1, path, NULL, &error), RYZ_INVALID);
}

Test(record_results, a_discarded_file_leaves_nothing_behind)
{
    char path[512], part[520];
    struct ryz_provenance provenance;
    struct ryz_results_file *file = NULL;
    snprintf(path, sizeof path, "%s", support_path("results.h5"));
    snprintf(part, sizeof part, "%s.part", path);
    synthetic_provenance(&provenance);
    cr_assert_eq(ryz_results_create(path, &provenance, &file, NULL), RYZ_OK);
    cr_assert_eq(access(part, F_OK), 0);
    ryz_results_discard(file);
    cr_expect_eq(access(part, F_OK), -1);
    cr_expect_eq(access(path, F_OK), -1);
}

/* ---- types ---- */

/* No variable length, no native order, nothing nested but arrays of bytes. */
static void expect_portable(hid_t type, const char *name)
{
    switch (H5Tget_class(type)) {
    case H5T_INTEGER:
    case H5T_FLOAT:
    case H5T_ENUM:
        cr_expect(H5Tget_size(type) == 1 || H5Tget_order(type) == H5T_ORDER_LE, "%s", name);
        break;
    case H5T_STRING:
        cr_expect_eq(H5Tis_variable_str(type), 0, "%s", name);
        break;
    case H5T_ARRAY:
        cr_expect_eq(H5Tget_array_ndims(type), 1, "%s", name);
        break;
    default:
        cr_expect(false, "%s has a class that pandas and Julia do not read", name);
    }
}

Test(record_results, columns_are_little_endian_fixed_types_with_units_beside_them)
{
    char path[512];
    snprintf(path, sizeof path, "%s", support_path("results.h5"));
    write_file(path, 1);
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    cr_assert_geq(file, 0);
    for (int t = 0; t < RYZ_TABLE_LIVE_COUNT; t++) {
        const struct ryz_table_spec *spec = ryz_table_spec((enum ryz_table)t);
        char name[64];
        size_t packed = 0;
        snprintf(name, sizeof name, "run0000/%s", spec->name);
        hid_t dataset = H5Dopen2(file, name, H5P_DEFAULT);
        cr_assert_geq(dataset, 0, "%s", name);
        hid_t type = H5Dget_type(dataset);
        cr_assert_eq(H5Tget_nmembers(type), (int)spec->column_count);
        for (unsigned i = 0; i < spec->column_count; i++) {
            char *member_name = H5Tget_member_name(type, i);
            hid_t member = H5Tget_member_type(type, i);
            cr_expect_str_eq(member_name, spec->columns[i].name);
            cr_expect_eq(H5Tget_member_offset(type, i), packed, "%s is not packed", name);
            packed += H5Tget_size(member);
            expect_portable(member, member_name);
            H5Tclose(member);
            H5free_memory(member_name);
        }
        cr_expect_eq(H5Tget_size(type), packed);
        cr_expect(H5Aexists(dataset, "units") > 0 && H5Aexists(dataset, "columns") > 0 &&
                  H5Aexists(dataset, "long_name") > 0);
        H5Tclose(type);
        H5Dclose(dataset);
    }
    H5Fclose(file);
}

Test(record_results, python_reads_a_table_in_one_line)
{
    char path[512], command[1400];
    snprintf(path, sizeof path, "%s", support_path("results.h5"));
    write_file(path, 1);
    const char *python = getenv("RYZ_PYTHON") != NULL ? getenv("RYZ_PYTHON") : "python3";
    snprintf(command, sizeof command, "%s -c 'import h5py' 2>/dev/null", python);
    if (system(command) != 0) cr_skip_test("h5py is not installed");
    snprintf(command, sizeof command,
             "%s -c 'import h5py; f = h5py.File(\"%s\"); r = f[\"run0000/requests\"][:]; "
             "t = f[\"run0000/tokens\"][:]; "
             "assert len(r) == 300 and r[\"trace_id\"].shape == (300, 16); "
             "assert r[\"id\"].tolist() == list(range(1, 301)); "
             "assert r[\"out_tok\"].sum() == len(t) > 0; "
             "e = h5py.check_enum_dtype(f[\"run0000/requests\"].dtype[\"status\"]); "
             "assert e[\"ok\"] == 0 and e[\"lost\"] == 6; "
             "assert f.attrs[\"schema\"] == b\"ryz-results/1\"; "
             "assert f[\"provenance/scenario_ini\"][()].startswith(b\"[scenario]\")'",
             python, path);
    cr_expect_eq(system(command), 0);
}

/* ---- damage ---- */

static enum ryz_status open_and_read(const char *path, struct ryz_error *error)
{
    struct ryz_results *results = NULL;
    struct ryz_run_data data;
    struct ryz_rows rows;
    enum ryz_status status = ryz_results_open(path, &results, error);
    if (status != RYZ_OK) return status;
    for (uint32_t r = 0; status == RYZ_OK && r < ryz_results_run_count(results); r++) {
        status = ryz_results_read_run(results, r, RYZ_TABLES_ALL, &data, error);
        ryz_run_data_deinit(&data);
    }
    if (status == RYZ_OK) {
        status = ryz_results_read_table(results, RYZ_TABLE_TARGETS, &rows, error);
        free(rows.rows);
    }
    ryz_results_close(results);
    return status;
}

static void put_bytes(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(bytes, 1, size, file), size);
    cr_assert_eq(fclose(file), 0);
}

static char *take_bytes(const char *path, size_t *size)
{
    *size = support_file_bytes(path);
    char *bytes = malloc(*size + 1);
    FILE *file = fopen(path, "rb");
    cr_assert(bytes != NULL && file != NULL && *size > 0);
    cr_assert_eq(fread(bytes, 1, *size, file), *size);
    fclose(file);
    return bytes;
}

Test(record_results, what_is_no_results_file_is_refused_with_words)
{
    struct ryz_error error = {0};
    char path[512];
    snprintf(path, sizeof path, "%s", support_path("strange.h5"));
    cr_expect_eq(open_and_read(path, &error), RYZ_NOT_FOUND);
    put_bytes(path, "hello, this is a text", 21);
    cr_expect_eq(open_and_read(path, &error), RYZ_CORRUPT);
    cr_expect(strstr(error.text, path) != NULL, "%s", error.text);
    put_bytes(path, "", 0);
    cr_expect_eq(open_and_read(path, &error), RYZ_CORRUPT);
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    H5Fclose(file);
    cr_expect_eq(open_and_read(path, &error), RYZ_UNSUPPORTED);
    cr_expect(strstr(error.text, RYZ_RESULTS_SCHEMA) != NULL, "%s", error.text);
}

Test(record_results, a_file_that_was_cut_is_refused_wherever_it_was_cut)
{
    char path[512], cut[512];
    size_t size = 0;
    snprintf(path, sizeof path, "%s", support_path("results.h5"));
    snprintf(cut, sizeof cut, "%s", support_path("cut.h5"));
    write_file(path, 1);
    char *bytes = take_bytes(path, &size);
    for (size_t i = 0; i < 24; i++) {
        struct ryz_error error = {0};
        put_bytes(cut, bytes, size * i / 24);
        cr_expect_neq(open_and_read(cut, &error), RYZ_OK, "cut at %zu of 24", i);
        cr_expect(error.text[0] != '\0');
    }
    free(bytes);
}

Test(record_results, a_flipped_bit_in_the_rows_is_found_by_the_checksum)
{
    char path[512], name[] = "run0000/requests";
    size_t size = 0;
    snprintf(path, sizeof path, "%s", support_path("results.h5"));
    write_file(path, 1);
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    hid_t dataset = H5Dopen2(file, name, H5P_DEFAULT), space = H5Dget_space(dataset);
    haddr_t address = 0;
    hsize_t offset = 0, bytes_in_chunk = 0;
    unsigned filters = 0;
    cr_assert_geq(
        H5Dget_chunk_info(dataset, space, 0, &offset, &filters, &address, &bytes_in_chunk), 0);
    H5Sclose(space);
    H5Dclose(dataset);
    H5Fclose(file);
    char *bytes = take_bytes(path, &size);
    bytes[address + bytes_in_chunk / 2] ^= 4;
    put_bytes(path, bytes, size);
    free(bytes);
    struct ryz_error error = {0};
    cr_expect_eq(open_and_read(path, &error), RYZ_CORRUPT);
    cr_expect(strstr(error.text, "requests") != NULL, "%s", error.text);
}

/* Replaces run0000/tokens by a dataset of another shape. */
static void replace_tokens(const char *path, hid_t type, hsize_t rows, int rank)
{
    hsize_t dims[2] = {rows, 2}, most[2] = {H5S_UNLIMITED, 2}, chunk[2] = {16, 2};
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    cr_assert_geq(file, 0);
    cr_assert_geq(H5Ldelete(file, "run0000/tokens", H5P_DEFAULT), 0);
    hid_t list = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(rank, dims, most);
    H5Pset_chunk(list, rank, chunk);
    hid_t dataset = H5Dcreate2(file, "run0000/tokens", type, space, H5P_DEFAULT, list, H5P_DEFAULT);
    cr_assert_geq(dataset, 0);
    H5Dclose(dataset);
    H5Sclose(space);
    H5Pclose(list);
    H5Fclose(file);
}

static void expect_corrupt(const char *path, const char *what)
{
    struct ryz_error error = {0};
    cr_expect_eq(open_and_read(path, &error), RYZ_CORRUPT, "%s", what);
    cr_expect(strstr(error.text, "tokens") != NULL, "%s: %s", what, error.text);
}

Test(record_results, tables_of_another_shape_are_refused)
{
    char path[512];
    snprintf(path, sizeof path, "%s", support_path("results.h5"));
    write_file(path, 1);
    hid_t text = H5Tcopy(H5T_C_S1);
    H5Tset_size(text, H5T_VARIABLE);
    hid_t good = H5Tcreate(H5T_COMPOUND, 18), bad = H5Tcreate(H5T_COMPOUND, 8 + sizeof(char *));
    H5Tinsert(good, "request", 0, H5T_STD_U64LE);
    H5Tinsert(good, "t_ns", 8, H5T_STD_I64LE);
    H5Tinsert(good, "n", 16, H5T_STD_U16LE);
    H5Tinsert(bad, "request", 0, H5T_STD_U64LE);
    H5Tinsert(bad, "t_ns", 8, text);
    replace_tokens(path, H5T_STD_U64LE, 10, 1);
    expect_corrupt(path, "a list of numbers");
    replace_tokens(path, good, 10, 2);
    expect_corrupt(path, "a matrix of rows");
    replace_tokens(path, good, (hsize_t)1 << 50, 1);
    expect_corrupt(path, "more rows than the file can hold");
    replace_tokens(path, good, (hsize_t)1 << 61, 1);
    expect_corrupt(path, "more bytes than there are numbers");
    replace_tokens(path, bad, 10, 1);
    expect_corrupt(path, "a text for a time");
    H5Tclose(bad);
    H5Tclose(good);
    H5Tclose(text);
}

Test(record_results, a_column_that_an_older_file_lacks_reads_as_absent)
{
    char path[512];
    snprintf(path, sizeof path, "%s", support_path("results.h5"));
    write_file(path, 1);
    hid_t old = H5Tcreate(H5T_COMPOUND, 4 + 8);
    struct ryz_results *results = NULL;
    struct ryz_run_data data;
    uint8_t rows[2][12] = {{0}};
    H5Tinsert(old, "extra", 0, H5T_STD_U32LE);
    H5Tinsert(old, "request", 4, H5T_STD_U64LE);
    replace_tokens(path, old, 2, 1);
    rows[1][4] = 9;
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    hid_t dataset = H5Dopen2(file, "run0000/tokens", H5P_DEFAULT);
    cr_assert_geq(H5Dwrite(dataset, old, H5S_ALL, H5S_ALL, H5P_DEFAULT, rows), 0);
    H5Dclose(dataset);
    H5Fclose(file);
    H5Tclose(old);
    cr_assert_eq(ryz_results_open(path, &results, NULL), RYZ_OK);
    cr_assert_eq(ryz_results_read_run(results, 0, RYZ_TABLE_BIT(RYZ_TABLE_TOKENS), &data, NULL),
                 RYZ_OK);
    const struct ryz_token_row *tokens = data.tables[RYZ_TABLE_TOKENS].rows;
    cr_assert_eq(data.tables[RYZ_TABLE_TOKENS].count, 2);
    cr_expect(tokens[1].request == 9 && tokens[1].t_ns == INT64_MIN && tokens[1].n == 0);
    ryz_run_data_deinit(&data);
    ryz_results_close(results);
}
