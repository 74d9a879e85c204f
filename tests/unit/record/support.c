/* support.c - see support.h. */
#include "tests/unit/record/support.h"

#include "engine/base/assert.h"
#include "engine/base/rng.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[256];

static int remove_one(const char *path, const struct stat *info, int flag, struct FTW *at)
{
    (void)info;
    (void)flag;
    (void)at;
    return remove(path);
}

static void remove_folder(void)
{
    if (folder[0] != '\0') nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

const char *support_path(const char *name)
{
    static char paths[2][512];
    static unsigned turn;
    if (folder[0] == '\0') {
        const char *tmp = getenv("TMPDIR");
        snprintf(folder, sizeof folder, "%.200s/ryz-test-XXXXXX", tmp != NULL ? tmp : "/tmp");
        RYZ_ASSERT(mkdtemp(folder) != NULL);
        RYZ_ASSERT(atexit(remove_folder) == 0);
    }
    char *path = paths[turn++ % 2];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void fill_text(uint64_t number, uint32_t column, char *text, uint32_t length)
{
    char words[64];
    snprintf(words, sizeof words, "text %llu of column %u", (unsigned long long)number, column);
    memset(text, 0, length);
    snprintf(text, length, "%s", words);
}

void support_fill(enum ryz_table table, uint64_t number, void *row)
{
    const struct ryz_table_spec *spec = ryz_table_spec(table);
    memset(row, 0, spec->row_bytes);
    for (uint32_t c = 0; c < spec->column_count; c++) {
        const struct ryz_column *column = &spec->columns[c];
        uint8_t *field = (uint8_t *)row + column->offset;
        uint64_t bits = ryz_rng_at(number, table, c);
        uint16_t small = (uint16_t)(bits % 7);
        uint32_t sched = 1 + (uint32_t)(bits % 7);
        double real = (double)(bits % 1000003) / 7;
        float single = (float)real;
        switch (column->kind) {
        case RYZ_COL_U8:
        case RYZ_COL_I8:
            memcpy(field, &bits, 1);
            break;
        case RYZ_COL_U16:
        case RYZ_COL_I16:
            memcpy(field, &bits, 2);
            break;
        case RYZ_COL_U32:
        case RYZ_COL_I32:
            memcpy(field, &bits, 4);
            break;
        case RYZ_COL_U64:
        case RYZ_COL_I64:
            memcpy(field, &bits, 8);
            break;
        case RYZ_COL_F32:
            memcpy(field, &single, 4);
            break;
        case RYZ_COL_F64:
            memcpy(field, &real, 8);
            break;
        case RYZ_COL_STATUS:
        case RYZ_COL_SPAN:
        case RYZ_COL_EVENT:
            memcpy(field, &small, 2);
            break;
        case RYZ_COL_SCHED:
            memcpy(field, &sched, 4);
            break;
        case RYZ_COL_STR:
            fill_text(number, c, (char *)field, column->length);
            break;
        case RYZ_COL_BYTES:
            for (uint32_t i = 0; i < column->length; i++) field[i] = (uint8_t)(bits >> (i % 8 * 8));
            break;
        }
    }
}

static size_t kind_bytes(const struct ryz_column *column)
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
    default:
        return column->length;
    }
}

bool support_equal(enum ryz_table table, const void *a, const void *b)
{
    const struct ryz_table_spec *spec = ryz_table_spec(table);
    for (uint32_t c = 0; c < spec->column_count; c++) {
        const struct ryz_column *column = &spec->columns[c];
        const uint8_t *x = (const uint8_t *)a + column->offset;
        const uint8_t *y = (const uint8_t *)b + column->offset;
        bool equal = column->kind == RYZ_COL_STR ? strcmp((const char *)x, (const char *)y) == 0
                                                 : memcmp(x, y, kind_bytes(column)) == 0;
        if (!equal) return false;
    }
    return true;
}

size_t support_file_bytes(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 ? (size_t)info.st_size : 0;
}
