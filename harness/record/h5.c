/* h5.c - errors, row types and tables in HDF5; attributes are in h5_attributes.c. */
#include "harness/record/h5.h"

#include "engine/base/assert.h"
#include "engine/base/clock.h"
#include "engine/base/size.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "rows are packed by copying; a big-endian machine needs swaps here");

/* Deflate cannot shrink further than about 1:1032; a file that claims more rows is damaged. */
#define INFLATE_MAX 1100u

void ryz_h5_quiet(void)
{
    /* Every file is closed by hand. HDF5's own closing at exit crashes after a failed close (seen
     * in 1.10.8 on a full disk); the call counts only before the library's first use. */
    H5dont_atexit();
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

static herr_t innermost(unsigned n, const H5E_error2_t *entry, void *context)
{
    if (n == 0) snprintf(context, 128, "%s", entry->desc != NULL ? entry->desc : "");
    return 0;
}

enum ryz_status ryz_h5_fail(struct ryz_error *error, enum ryz_status status, const char *format,
                            ...)
{
    char text[256], reason[128] = "";
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, innermost, reason);
    H5Eclear2(H5E_DEFAULT);
    if (reason[0] == '\0') return ryz_fail(error, status, "%s", text);
    return ryz_fail(error, status, "%s (HDF5: %s)", text, reason);
}

/* ---- row types ---- */

static size_t column_bytes(const struct ryz_column *column)
{
    switch (column->kind) {
    case RYZ_COL_U8:
    case RYZ_COL_I8:
        return 1;
    case RYZ_COL_U16:
    case RYZ_COL_I16:
    case RYZ_COL_STATUS:
    case RYZ_COL_SPAN:
    case RYZ_COL_EVENT:
        return 2;
    case RYZ_COL_U32:
    case RYZ_COL_I32:
    case RYZ_COL_F32:
    case RYZ_COL_SCHED:
        return 4;
    case RYZ_COL_U64:
    case RYZ_COL_I64:
    case RYZ_COL_F64:
        return 8;
    case RYZ_COL_STR:
    case RYZ_COL_BYTES:
        break;
    }
    return column->length;
}

size_t ryz_h5_packed_bytes(const struct ryz_table_spec *spec)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < spec->column_count; i++) bytes += column_bytes(&spec->columns[i]);
    return bytes;
}

void ryz_h5_pack(const struct ryz_table_spec *spec, const void *rows, size_t count, uint8_t *out)
{
    const uint8_t *row = rows;
    RYZ_ASSERT(rows != NULL);
    RYZ_ASSERT(out != NULL);
    for (size_t r = 0; r < count; r++, row += spec->row_bytes)
        for (uint32_t i = 0; i < spec->column_count; i++) {
            size_t bytes = column_bytes(&spec->columns[i]);
            memcpy(out, row + spec->columns[i].offset, bytes);
            out += bytes;
        }
}

struct enum_member {
    const char *name;
    uint32_t value;
};

static const struct enum_member status_members[] = {
#define X(name, value, text, help) {text, value},
    RYZ_REQUEST_STATUS_TABLE(X)
#undef X
};
static const struct enum_member span_members[] = {
#define X(name, text, help) {text, RYZ_SPAN_##name},
    RYZ_SPAN_TABLE(X)
#undef X
};
static const struct enum_member event_members[] = {
#define X(name, value, text, help) {text, value},
    RYZ_RUN_EVENT_TABLE(X)
#undef X
};
static const struct enum_member sched_members[] = {
#define X(value, text) {text, value},
    RYZ_SCHED_EVENT_TABLE(X)
#undef X
};

/* The members of an enum column; NULL for other kinds. */
static const struct enum_member *enum_members(enum ryz_column_kind kind, size_t *count)
{
    switch (kind) {
    case RYZ_COL_STATUS:
        *count = RYZ_COUNT_OF(status_members);
        return status_members;
    case RYZ_COL_SPAN:
        *count = RYZ_COUNT_OF(span_members);
        return span_members;
    case RYZ_COL_EVENT:
        *count = RYZ_COUNT_OF(event_members);
        return event_members;
    case RYZ_COL_SCHED:
        *count = RYZ_COUNT_OF(sched_members);
        return sched_members;
    default:
        *count = 0;
        return NULL;
    }
}

static hid_t enum_type(enum ryz_column_kind kind)
{
    size_t count = 0;
    const struct enum_member *members = enum_members(kind, &count);
    bool wide = kind == RYZ_COL_SCHED;
    hid_t type = H5Tenum_create(wide ? H5T_STD_U32LE : H5T_STD_U16LE);
    for (size_t i = 0; type >= 0 && i < count; i++) {
        uint16_t narrow = (uint16_t)members[i].value;
        const void *value = wide ? (const void *)&members[i].value : (const void *)&narrow;
        if (H5Tenum_insert(type, members[i].name, value) < 0) {
            H5Tclose(type);
            return -1;
        }
    }
    return type;
}

static hid_t string_type(size_t bytes)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    if (type >= 0 && (H5Tset_size(type, bytes) < 0 || H5Tset_strpad(type, H5T_STR_NULLTERM) < 0)) {
        H5Tclose(type);
        return -1;
    }
    return type;
}

/* The type of a column in the file (little-endian) or in memory (native, enums as integers); to be
 * closed. */
static hid_t column_type(const struct ryz_column *column, bool memory)
{
    hsize_t length = column->length;
    switch (column->kind) {
    case RYZ_COL_U8:
        return H5Tcopy(H5T_STD_U8LE);
    case RYZ_COL_U16:
        return H5Tcopy(H5T_STD_U16LE);
    case RYZ_COL_U32:
        return H5Tcopy(H5T_STD_U32LE);
    case RYZ_COL_U64:
        return H5Tcopy(H5T_STD_U64LE);
    case RYZ_COL_I8:
        return H5Tcopy(H5T_STD_I8LE);
    case RYZ_COL_I16:
        return H5Tcopy(H5T_STD_I16LE);
    case RYZ_COL_I32:
        return H5Tcopy(H5T_STD_I32LE);
    case RYZ_COL_I64:
        return H5Tcopy(H5T_STD_I64LE);
    case RYZ_COL_F32:
        return H5Tcopy(H5T_IEEE_F32LE);
    case RYZ_COL_F64:
        return H5Tcopy(H5T_IEEE_F64LE);
    case RYZ_COL_STR:
        return string_type(column->length);
    case RYZ_COL_BYTES:
        return H5Tarray_create2(H5T_STD_U8LE, 1, &length);
    case RYZ_COL_STATUS:
    case RYZ_COL_SPAN:
    case RYZ_COL_EVENT:
        return memory ? H5Tcopy(H5T_STD_U16LE) : enum_type(column->kind);
    case RYZ_COL_SCHED:
        return memory ? H5Tcopy(H5T_STD_U32LE) : enum_type(column->kind);
    }
    return -1;
}

static bool insert_column(hid_t compound, const struct ryz_column *column, size_t offset,
                          bool memory)
{
    hid_t type = column_type(column, memory);
    if (type < 0) return false;
    bool ok = H5Tinsert(compound, column->name, offset, type) >= 0;
    H5Tclose(type);
    return ok;
}

hid_t ryz_h5_file_type(const struct ryz_table_spec *spec)
{
    hid_t compound = H5Tcreate(H5T_COMPOUND, ryz_h5_packed_bytes(spec));
    size_t offset = 0;
    for (uint32_t i = 0; compound >= 0 && i < spec->column_count; i++) {
        if (!insert_column(compound, &spec->columns[i], offset, false)) {
            H5Tclose(compound);
            return -1;
        }
        offset += column_bytes(&spec->columns[i]);
    }
    return compound;
}

/* ---- writing ---- */

/* Attributes that let a reader do without this source: units, meanings, enum names. */
static bool describe(hid_t dataset, const struct ryz_table_spec *spec)
{
    const char *names[64], *units[64], *meanings[64];
    RYZ_ASSERT(spec->column_count <= RYZ_COUNT_OF(names));
    for (uint32_t i = 0; i < spec->column_count; i++) {
        names[i] = spec->columns[i].name;
        units[i] = spec->columns[i].unit;
        meanings[i] = spec->columns[i].meaning;
    }
    bool ok = ryz_h5_set_text(dataset, "title", spec->help) &&
              ryz_h5_set_texts(dataset, "columns", names, spec->column_count) &&
              ryz_h5_set_texts(dataset, "units", units, spec->column_count) &&
              ryz_h5_set_texts(dataset, "long_name", meanings, spec->column_count);
    for (uint32_t i = 0; ok && i < spec->column_count; i++) {
        size_t count = 0;
        const struct enum_member *members = enum_members(spec->columns[i].kind, &count);
        if (members == NULL) continue;
        const char *texts[32];
        char attribute[48];
        RYZ_ASSERT(count <= RYZ_COUNT_OF(texts));
        for (size_t m = 0; m < count; m++) texts[m] = members[m].name;
        snprintf(attribute, sizeof attribute, "names_%s", spec->columns[i].name);
        ok = ryz_h5_set_texts(dataset, attribute, texts, count);
    }
    return ok;
}

static hid_t creation_list(const struct ryz_table_spec *spec, bool live)
{
    /* A live chunk is written anew at each flush until it is full: small ones save disk traffic,
     * and fit into HDF5's chunk cache of 1 MiB. */
    hsize_t chunk = live && spec->chunk_rows >= 128 ? spec->chunk_rows / 8 : spec->chunk_rows;
    hid_t list = H5Pcreate(H5P_DATASET_CREATE);
    if (list < 0) return -1;
    bool ok = H5Pset_chunk(list, 1, &chunk) >= 0;
    if (ok && !live)
        ok = H5Pset_shuffle(list) >= 0 && H5Pset_deflate(list, 1) >= 0 &&
             H5Pset_fletcher32(list) >= 0;
    if (ok) return list;
    H5Pclose(list);
    return -1;
}

enum ryz_status ryz_h5_table_create(hid_t parent, const struct ryz_table_spec *spec,
                                    const char *name, bool live, hid_t *dataset,
                                    struct ryz_error *error)
{
    hsize_t none = 0, unlimited = H5S_UNLIMITED;
    *dataset = -1;
    hid_t type = ryz_h5_file_type(spec);
    hid_t space = H5Screate_simple(1, &none, &unlimited);
    hid_t list = creation_list(spec, live);
    if (type >= 0 && space >= 0 && list >= 0)
        *dataset = H5Dcreate2(parent, name, type, space, H5P_DEFAULT, list, H5P_DEFAULT);
    if (*dataset >= 0 && !describe(*dataset, spec)) {
        H5Dclose(*dataset);
        *dataset = -1;
    }
    if (list >= 0) H5Pclose(list);
    if (space >= 0) H5Sclose(space);
    if (type >= 0) H5Tclose(type);
    if (*dataset < 0) return ryz_h5_fail(error, RYZ_IO, "cannot create table %s", name);
    return RYZ_OK;
}

enum ryz_status ryz_h5_table_append(hid_t dataset, hid_t file_type, uint64_t first,
                                    const uint8_t *packed, size_t count, struct ryz_error *error)
{
    hsize_t begin = first, length = count, size = first + count;
    bool ok = H5Dset_extent(dataset, &size) >= 0;
    hid_t file_space = ok ? H5Dget_space(dataset) : -1;
    hid_t memory_space = H5Screate_simple(1, &length, NULL);
    ok = file_space >= 0 && memory_space >= 0 &&
         H5Sselect_hyperslab(file_space, H5S_SELECT_SET, &begin, NULL, &length, NULL) >= 0 &&
         H5Dwrite(dataset, file_type, memory_space, file_space, H5P_DEFAULT, packed) >= 0;
    if (memory_space >= 0) H5Sclose(memory_space);
    if (file_space >= 0) H5Sclose(file_space);
    if (!ok) return ryz_h5_fail(error, RYZ_IO, "cannot write %zu rows; is the disk full?", count);
    return RYZ_OK;
}

enum ryz_status ryz_h5_table_write(hid_t parent, const struct ryz_table_spec *spec,
                                   const char *name, const void *rows, size_t count,
                                   struct ryz_error *error)
{
    size_t packed_bytes = ryz_h5_packed_bytes(spec);
    RYZ_ASSERT(packed_bytes > 0 && spec->chunk_rows > 0);
    hid_t dataset = -1;
    enum ryz_status status = ryz_h5_table_create(parent, spec, name, false, &dataset, error);
    if (status != RYZ_OK) return status;
    /* Whole chunks at a time: each is compressed once. */
    uint8_t *packed = malloc(packed_bytes * spec->chunk_rows);
    hid_t type = ryz_h5_file_type(spec);
    if (packed == NULL || type < 0)
        status = ryz_fail(error, RYZ_NO_MEMORY, "no memory to write table %s", name);
    for (size_t i = 0; status == RYZ_OK && i < count; i += spec->chunk_rows) {
        size_t n = count - i < spec->chunk_rows ? count - i : spec->chunk_rows;
        ryz_h5_pack(spec, (const uint8_t *)rows + i * spec->row_bytes, n, packed);
        status = ryz_h5_table_append(dataset, type, i, packed, n, error);
    }
    if (type >= 0) H5Tclose(type);
    free(packed);
    if (H5Dclose(dataset) < 0 && status == RYZ_OK)
        status = ryz_h5_fail(error, RYZ_IO, "cannot finish table %s", name);
    return status;
}

/* ---- reading ---- */

static bool member_fits(hid_t member, const struct ryz_column *column)
{
    H5T_class_t class = H5Tget_class(member);
    switch (column->kind) {
    case RYZ_COL_F32:
    case RYZ_COL_F64:
        return class == H5T_FLOAT;
    case RYZ_COL_STR:
        return class == H5T_STRING && H5Tis_variable_str(member) == 0;
    case RYZ_COL_BYTES: {
        hsize_t length = 0;
        if (class != H5T_ARRAY || H5Tget_array_ndims(member) != 1) return false;
        if (H5Tget_array_dims2(member, &length) < 0 || length != column->length) return false;
        return H5Tget_size(member) == column->length;
    }
    default:
        return class == H5T_INTEGER || class == H5T_ENUM;
    }
}

/* Memory type of the columns that the file has; absent[i] marks the others. */
static hid_t reading_type(hid_t file_type, const struct ryz_table_spec *spec, const char *name,
                          bool *absent, struct ryz_error *error)
{
    hid_t compound = H5Tcreate(H5T_COMPOUND, spec->row_bytes);
    for (uint32_t i = 0; compound >= 0 && i < spec->column_count; i++) {
        const struct ryz_column *column = &spec->columns[i];
        int index = H5Tget_member_index(file_type, column->name);
        absent[i] = index < 0;
        if (absent[i] && i > 0) continue;
        hid_t member = absent[i] ? -1 : H5Tget_member_type(file_type, (unsigned)index);
        bool ok = member >= 0 && member_fits(member, column) &&
                  insert_column(compound, column, column->offset, true);
        if (member >= 0) H5Tclose(member);
        if (!ok) {
            H5Tclose(compound);
            ryz_h5_fail(error, RYZ_CORRUPT, "table %s: column %s is missing or of another type",
                        name, column->name);
            return -1;
        }
    }
    return compound;
}

static void fill_absent(const struct ryz_table_spec *spec, const bool *absent,
                        struct ryz_rows *rows)
{
    const int64_t none = RYZ_TIME_NONE;
    const double nan64 = (double)NAN;
    const float nan32 = (float)NAN;
    for (uint32_t c = 0; c < spec->column_count; c++) {
        if (!absent[c]) continue;
        const struct ryz_column *column = &spec->columns[c];
        for (size_t i = 0; i < rows->count; i++) {
            uint8_t *field = (uint8_t *)rows->rows + i * spec->row_bytes + column->offset;
            switch (column->kind) {
            case RYZ_COL_I64:
                memcpy(field, &none, sizeof none);
                break;
            case RYZ_COL_F64:
                memcpy(field, &nan64, sizeof nan64);
                break;
            case RYZ_COL_F32:
                memcpy(field, &nan32, sizeof nan32);
                break;
            default:
                memset(field, 0, column_bytes(column));
                break;
            }
        }
    }
}

/* A fixed string in the file may fill its field; C wants its NUL. */
static void terminate_texts(const struct ryz_table_spec *spec, struct ryz_rows *rows)
{
    for (uint32_t c = 0; c < spec->column_count; c++) {
        const struct ryz_column *column = &spec->columns[c];
        if (column->kind != RYZ_COL_STR) continue;
        char *text = (char *)rows->rows + column->offset;
        for (size_t i = 0; i < rows->count; i++, text += spec->row_bytes)
            text[column->length - 1] = '\0';
    }
}

/* Number of rows to read, after checking that the file can hold what it claims. */
static enum ryz_status row_count(hid_t dataset, hid_t file_type, const char *name, uint64_t limit,
                                 size_t *count, struct ryz_error *error)
{
    hsize_t rows = 0;
    hid_t space = H5Dget_space(dataset);
    bool ok = space >= 0 && H5Sget_simple_extent_ndims(space) == 1 &&
              H5Sget_simple_extent_dims(space, &rows, NULL) == 1;
    if (space >= 0) H5Sclose(space);
    size_t row_bytes = H5Tget_size(file_type), bytes = 0;
    if (!ok || row_bytes == 0 || !ryz_mul_size(rows, row_bytes, &bytes))
        return ryz_h5_fail(error, RYZ_CORRUPT, "table %s is not a list of rows", name);
    if (rows > limit) rows = limit;
    if (bytes / INFLATE_MAX > H5Dget_storage_size(dataset))
        return ryz_h5_fail(
            error, RYZ_CORRUPT, "table %s claims %llu rows but holds only %llu bytes", name,
            (unsigned long long)rows, (unsigned long long)H5Dget_storage_size(dataset));
    *count = (size_t)rows;
    return RYZ_OK;
}

static enum ryz_status read_rows(hid_t dataset, hid_t type, const char *name,
                                 const struct ryz_table_spec *spec, struct ryz_rows *rows,
                                 struct ryz_error *error)
{
    hsize_t zero = 0, length = rows->count;
    hid_t file_space = H5Dget_space(dataset);
    hid_t memory_space = H5Screate_simple(1, &length, NULL);
    rows->rows = calloc(rows->count, spec->row_bytes);
    enum ryz_status status = RYZ_OK;
    if (rows->rows == NULL)
        status = ryz_fail(error, RYZ_NO_MEMORY, "no memory for %zu rows of %s", rows->count, name);
    else if (file_space < 0 || memory_space < 0 ||
             H5Sselect_hyperslab(file_space, H5S_SELECT_SET, &zero, NULL, &length, NULL) < 0 ||
             H5Dread(dataset, type, memory_space, file_space, H5P_DEFAULT, rows->rows) < 0)
        status =
            ryz_h5_fail(error, RYZ_CORRUPT, "table %s is damaged: its rows cannot be read", name);
    if (memory_space >= 0) H5Sclose(memory_space);
    if (file_space >= 0) H5Sclose(file_space);
    if (status != RYZ_OK) {
        free(rows->rows);
        *rows = (struct ryz_rows){NULL, 0};
    }
    return status;
}

enum ryz_status ryz_h5_table_read(hid_t parent, const struct ryz_table_spec *spec, const char *name,
                                  uint64_t limit, struct ryz_rows *rows, struct ryz_error *error)
{
    bool absent[64] = {false};
    RYZ_ASSERT(spec->column_count <= RYZ_COUNT_OF(absent));
    *rows = (struct ryz_rows){NULL, 0};
    if (H5Lexists(parent, name, H5P_DEFAULT) <= 0) return RYZ_OK;
    hid_t dataset = H5Dopen2(parent, name, H5P_DEFAULT);
    if (dataset < 0) return ryz_h5_fail(error, RYZ_CORRUPT, "table %s cannot be opened", name);
    hid_t file_type = H5Dget_type(dataset), type = -1;
    enum ryz_status status = RYZ_OK;
    if (file_type < 0 || H5Tget_class(file_type) != H5T_COMPOUND)
        status = ryz_h5_fail(error, RYZ_CORRUPT, "table %s has no columns", name);
    if (status == RYZ_OK) status = row_count(dataset, file_type, name, limit, &rows->count, error);
    if (status == RYZ_OK && rows->count > 0) {
        type = reading_type(file_type, spec, name, absent, error);
        status = type < 0 ? RYZ_CORRUPT : read_rows(dataset, type, name, spec, rows, error);
    }
    if (status == RYZ_OK && rows->count > 0) {
        fill_absent(spec, absent, rows);
        terminate_texts(spec, rows);
    }
    if (status != RYZ_OK) *rows = (struct ryz_rows){NULL, 0};
    if (type >= 0) H5Tclose(type);
    if (file_type >= 0) H5Tclose(file_type);
    H5Dclose(dataset);
    return status;
}
