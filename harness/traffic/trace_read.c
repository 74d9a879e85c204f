/*
 * trace_read.c - two formats, one line at a time.
 *
 * Leaves to others: windows, speed and scaling (schedule.c). The idea: each format is a function
 * from one line to one row; everything about files, line ends and limits is shared.
 */
#include "harness/traffic/trace_read.h"

#include "engine/base/clock.h"
#include "engine/base/size.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A Mooncake line lists a hash per 512 tokens: 64 KiB hold a prompt of five million. */
#define LINE_MAX_BYTES 65536u

struct reader {
    struct ryz_trace *trace;
    size_t capacity, id_capacity;
    const char *path;
    uint64_t line; /* from 1 */
    struct ryz_error *error;
};

static enum ryz_status corrupt(const struct reader *reader, const char *what)
{
    return ryz_fail(reader->error, RYZ_CORRUPT, "%s:%llu: %s", reader->path,
                    (unsigned long long)reader->line, what);
}

static enum ryz_status add_row(struct reader *reader, const struct ryz_trace_row *row)
{
    struct ryz_trace *trace = reader->trace;
    if (trace->count == RYZ_TRACE_ROWS_MAX)
        return ryz_fail(reader->error, RYZ_FULL, "%s has more than %u rows", reader->path,
                        RYZ_TRACE_ROWS_MAX);
    if (trace->count == reader->capacity) {
        size_t capacity = reader->capacity == 0 ? 1024 : reader->capacity * 2;
        struct ryz_trace_row *rows = realloc(trace->rows, capacity * sizeof *rows);
        if (rows == NULL)
            return ryz_fail(reader->error, RYZ_NO_MEMORY, "no memory for %zu rows of %s", capacity,
                            reader->path);
        trace->rows = rows;
        reader->capacity = capacity;
    }
    trace->rows[trace->count++] = *row;
    return RYZ_OK;
}

/* Reads exactly `digits` decimal digits and the character `after` them; false if they differ. */
static bool read_field(const char **at, int digits, char after, int64_t *value)
{
    int64_t sum = 0;
    for (int i = 0; i < digits; i++) {
        char c = (*at)[i];
        if (c < '0' || c > '9') return false;
        sum = sum * 10 + (c - '0');
    }
    if ((*at)[digits] != after) return false;
    *at += digits + 1;
    *value = sum;
    return true;
}

/* Days since 1970-01-01 of a Gregorian date (H. Hinnant's civil-days algorithm). */
static int64_t days_from_civil(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    int64_t era = year / 400, in_era = year % 400;
    int64_t in_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719468;
}

/* "2023-11-16 18:17:03.9799600", with 0 to 9 digits of fraction, up to the comma. */
static bool read_timestamp(const char **at, int64_t *t_ns)
{
    int64_t year, month, day, hour, minute, second = 0, fraction = 0;
    if (!read_field(at, 4, '-', &year) || !read_field(at, 2, '-', &month) ||
        !read_field(at, 2, ' ', &day) || !read_field(at, 2, ':', &hour) ||
        !read_field(at, 2, ':', &minute))
        return false;
    if (year < 1970 || year > 2200 || month < 1 || month > 12 || day < 1 || day > 31) return false;
    bool whole = read_field(at, 2, ',', &second);
    if (!whole && !read_field(at, 2, '.', &second)) return false;
    if (hour > 23 || minute > 59 || second > 60) return false;
    if (!whole) {
        int64_t unit = RYZ_NS_PER_S;
        for (; **at >= '0' && **at <= '9' && unit > 1; ++*at) {
            unit /= 10;
            fraction += (**at - '0') * unit;
        }
        if (**at != ',') return false;
        ++*at;
    }
    int64_t seconds =
        days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
    *t_ns = seconds * RYZ_NS_PER_S + fraction;
    return true;
}

/* A count of tokens up to the character `after`. */
static bool read_tokens(const char **at, char after, uint32_t *tokens)
{
    uint64_t sum = 0;
    const char *begin = *at;
    for (; **at >= '0' && **at <= '9'; ++*at) {
        sum = sum * 10 + (uint64_t)(**at - '0');
        if (sum > RYZ_TRACE_TOKENS_MAX) return false;
    }
    if (*at == begin || **at != after) return false;
    if (after != '\0') ++*at;
    *tokens = (uint32_t)sum;
    return true;
}

static enum ryz_status read_azure(struct reader *reader, const char *line)
{
    static const char header[] = "TIMESTAMP,ContextTokens,GeneratedTokens";
    if (reader->line == 1) {
        return strcmp(line, header) == 0
                   ? RYZ_OK
                   : corrupt(reader, "the first line must be "
                                     "\"TIMESTAMP,ContextTokens,GeneratedTokens\"");
    }
    struct ryz_trace_row row = {0};
    if (!read_timestamp(&line, &row.t_ns))
        return corrupt(reader, "the row must begin like \"2023-11-16 18:17:03.9799600,\"");
    if (!read_tokens(&line, ',', &row.prompt_tokens) ||
        !read_tokens(&line, '\0', &row.output_tokens))
        return corrupt(reader,
                       "two whole numbers of tokens must follow the time, and nothing else");
    return add_row(reader, &row);
}

/* A non-negative whole number of a JSON object that is not beyond `limit`. */
static bool read_member(const json_t *object, const char *key, int64_t limit, int64_t *value)
{
    const json_t *member = json_object_get(object, key);
    if (!json_is_integer(member)) return false;
    *value = json_integer_value(member);
    return *value >= 0 && *value <= limit;
}

static enum ryz_status add_id(struct reader *reader, uint64_t id)
{
    struct ryz_trace *trace = reader->trace;
    if (trace->id_count == RYZ_TRACE_IDS_MAX)
        return ryz_fail(reader->error, RYZ_FULL, "%s:%llu: more than %u hash_ids so far",
                        reader->path, (unsigned long long)reader->line, RYZ_TRACE_IDS_MAX);
    if (trace->id_count == reader->id_capacity) {
        size_t capacity = reader->id_capacity == 0 ? 1024 : reader->id_capacity * 2;
        uint64_t *ids = realloc(trace->ids, capacity * sizeof *ids);
        if (ids == NULL)
            return ryz_fail(reader->error, RYZ_NO_MEMORY, "no memory for %zu hash_ids of %s",
                            capacity, reader->path);
        trace->ids = ids;
        reader->id_capacity = capacity;
    }
    trace->ids[trace->id_count++] = id;
    return RYZ_OK;
}

/* The hash_ids of a row, if it has some. */
static enum ryz_status read_ids(struct reader *reader, const json_t *object,
                                struct ryz_trace_row *row)
{
    const json_t *ids = json_object_get(object, "hash_ids");
    row->id_first = (uint32_t)reader->trace->id_count;
    if (ids == NULL) return RYZ_OK;
    if (!json_is_array(ids)) return corrupt(reader, "hash_ids must be a list");
    size_t count = json_array_size(ids);
    if (count > ryz_ceil_div_u32(row->prompt_tokens, RYZ_TRACE_ID_TOKENS))
        return corrupt(reader, "more hash_ids than input_length has blocks of 512 tokens");
    for (size_t i = 0; i < count; i++) {
        const json_t *id = json_array_get(ids, i);
        if (!json_is_integer(id) || json_integer_value(id) < 0)
            return corrupt(reader, "hash_ids must be whole numbers that are not negative");
        enum ryz_status status = add_id(reader, (uint64_t)json_integer_value(id));
        if (status != RYZ_OK) return status;
    }
    row->id_count = (uint32_t)count;
    return RYZ_OK;
}

static enum ryz_status read_mooncake(struct reader *reader, const char *line)
{
    json_error_t why;
    json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, &why);
    if (object == NULL) return corrupt(reader, "not a JSON object");
    int64_t ms = 0, prompt = 0, output = 0;
    bool good = read_member(object, "timestamp", INT64_MAX / RYZ_NS_PER_MS, &ms) &&
                read_member(object, "input_length", RYZ_TRACE_TOKENS_MAX, &prompt) &&
                read_member(object, "output_length", RYZ_TRACE_TOKENS_MAX, &output);
    struct ryz_trace_row row = {.prompt_tokens = (uint32_t)prompt,
                                .output_tokens = (uint32_t)output};
    if (good) row.t_ns = ms * RYZ_NS_PER_MS; /* of sensible size */
    enum ryz_status status =
        good ? read_ids(reader, object, &row)
             : corrupt(reader, "timestamp (ms), input_length and output_length must be whole "
                               "numbers, not negative, and of sensible size");
    json_decref(object);
    return status == RYZ_OK ? add_row(reader, &row) : status;
}

/* Reads one line without its end (LF or CR LF); *more is false at the end of the file. */
static enum ryz_status read_line(struct reader *reader, FILE *file, char *line, bool *more)
{
    size_t length = 0;
    int c = 0;
    while ((c = getc(file)) != EOF && c != '\n') {
        if (length + 1 >= LINE_MAX_BYTES) return corrupt(reader, "the line is too long");
        if (c == '\0') return corrupt(reader, "there is a NUL byte: this is no text file");
        line[length++] = (char)c;
    }
    if (ferror(file))
        return ryz_fail_errno(reader->error, RYZ_IO, errno, "cannot read %s", reader->path);
    *more = c != EOF || length > 0;
    if (length > 0 && line[length - 1] == '\r') length--;
    line[length] = '\0';
    return RYZ_OK;
}

static enum ryz_status read_all(struct reader *reader, FILE *file, enum ryz_trace_format format)
{
    char *line = calloc(1, LINE_MAX_BYTES);
    if (line == NULL) return ryz_fail(reader->error, RYZ_NO_MEMORY, "no memory for a line");
    enum ryz_status status = RYZ_OK;
    for (bool more = true; status == RYZ_OK;) {
        reader->line++;
        status = read_line(reader, file, line, &more);
        if (status != RYZ_OK || !more) break;
        if (line[0] == '\0') continue;
        status = format == RYZ_TRACE_AZURE ? read_azure(reader, line) : read_mooncake(reader, line);
    }
    free(line);
    if (status == RYZ_OK && reader->trace->count == 0)
        status = ryz_fail(reader->error, RYZ_CORRUPT, "%s has no rows", reader->path);
    return status;
}

/* Rows carry their number while they are sorted, which makes the order stable. */
struct numbered {
    struct ryz_trace_row row;
    size_t number;
};

static int by_time(const void *a, const void *b)
{
    const struct numbered *x = a, *y = b;
    if (x->row.t_ns != y->row.t_ns) return x->row.t_ns < y->row.t_ns ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

static enum ryz_status sort_rows(struct ryz_trace *trace, struct ryz_error *error)
{
    bool sorted = true;
    for (size_t i = 1; i < trace->count && sorted; i++)
        sorted = trace->rows[i - 1].t_ns <= trace->rows[i].t_ns;
    if (!sorted) {
        struct numbered *rows = malloc(trace->count * sizeof *rows);
        if (rows == NULL) return ryz_fail(error, RYZ_NO_MEMORY, "no memory to sort a trace");
        for (size_t i = 0; i < trace->count; i++)
            rows[i] = (struct numbered){.row = trace->rows[i], .number = i};
        qsort(rows, trace->count, sizeof *rows, by_time);
        for (size_t i = 0; i < trace->count; i++) trace->rows[i] = rows[i].row;
        free(rows);
    }
    int64_t origin_ns = trace->rows[0].t_ns;
    for (size_t i = 0; i < trace->count; i++) trace->rows[i].t_ns -= origin_ns;
    return RYZ_OK;
}

enum ryz_status ryz_trace_open(const char *path, enum ryz_trace_format format,
                               struct ryz_trace *trace, struct ryz_error *error)
{
    memset(trace, 0, sizeof *trace);
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return ryz_fail_errno(error, errno == ENOENT ? RYZ_NOT_FOUND : RYZ_IO, errno,
                              "cannot open trace %s", path);
    struct reader reader = {.trace = trace, .path = path, .error = error};
    enum ryz_status status = read_all(&reader, file, format);
    (void)fclose(file);
    if (status == RYZ_OK) status = sort_rows(trace, error);
    if (status != RYZ_OK) ryz_trace_close(trace);
    return status;
}

void ryz_trace_close(struct ryz_trace *trace)
{
    free(trace->rows);
    free(trace->ids);
    memset(trace, 0, sizeof *trace);
}
