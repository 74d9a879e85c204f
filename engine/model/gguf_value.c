/*
 * gguf_value.c - GGUF's tables of kinds and types, and access to metadata values.
 *
 * Leaves to others the file's structure (gguf.c). The idea: values are stored unaligned, so each is
 * copied out; writers differ in the integer kind they pick for a key, so any kind is taken that
 * holds the value.
 */
#include "engine/base/assert.h"
#include "engine/base/size.h"
#include "engine/base/utf8.h"
#include "engine/model/gguf_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define FORMAT_ELEMENTS_MAX 8u /* of an array, shown to a person */

static const struct {
    const char *name;
    size_t bytes;
} kinds[] = {
    [RYZ_GGUF_U8] = {"u8", 1},         [RYZ_GGUF_I8] = {"i8", 1},
    [RYZ_GGUF_U16] = {"u16", 2},       [RYZ_GGUF_I16] = {"i16", 2},
    [RYZ_GGUF_U32] = {"u32", 4},       [RYZ_GGUF_I32] = {"i32", 4},
    [RYZ_GGUF_F32] = {"f32", 4},       [RYZ_GGUF_BOOL] = {"bool", 1},
    [RYZ_GGUF_STRING] = {"string", 0}, [RYZ_GGUF_ARRAY] = {"array", 0},
    [RYZ_GGUF_U64] = {"u64", 8},       [RYZ_GGUF_I64] = {"i64", 8},
    [RYZ_GGUF_F64] = {"f64", 8},
};

/* ggml's types by number; numbers it has withdrawn are missing. */
static const struct ryz_gguf_type types[] = {
    [0] = {"f32", 1, 4},         [1] = {"f16", 1, 2},         [2] = {"q4_0", 32, 18},
    [3] = {"q4_1", 32, 20},      [6] = {"q5_0", 32, 22},      [7] = {"q5_1", 32, 24},
    [8] = {"q8_0", 32, 34},      [9] = {"q8_1", 32, 36},      [10] = {"q2_k", 256, 84},
    [11] = {"q3_k", 256, 110},   [12] = {"q4_k", 256, 144},   [13] = {"q5_k", 256, 176},
    [14] = {"q6_k", 256, 210},   [15] = {"q8_k", 256, 292},   [16] = {"iq2_xxs", 256, 66},
    [17] = {"iq2_xs", 256, 74},  [18] = {"iq3_xxs", 256, 98}, [19] = {"iq1_s", 256, 50},
    [20] = {"iq4_nl", 32, 18},   [21] = {"iq3_s", 256, 110},  [22] = {"iq2_s", 256, 82},
    [23] = {"iq4_xs", 256, 136}, [24] = {"i8", 1, 1},         [25] = {"i16", 1, 2},
    [26] = {"i32", 1, 4},        [27] = {"i64", 1, 8},        [28] = {"f64", 1, 8},
    [29] = {"iq1_m", 256, 56},   [30] = {"bf16", 1, 2},       [34] = {"tq1_0", 256, 54},
    [35] = {"tq2_0", 256, 66},   [39] = {"mxfp4", 32, 17},
};

size_t ryz_gguf_kind_bytes(enum ryz_gguf_kind kind)
{
    return kinds[kind].bytes;
}

const struct ryz_gguf_type *ryz_gguf_type(uint32_t type)
{
    if (type >= RYZ_COUNT_OF(types) || !types[type].name) return NULL;
    return &types[type];
}

const char *ryz_gguf_type_name(uint32_t type)
{
    const struct ryz_gguf_type *known = ryz_gguf_type(type);
    return known ? known->name : NULL;
}

const char *ryz_gguf_kind_name(enum ryz_gguf_kind kind)
{
    return (unsigned)kind < RYZ_COUNT_OF(kinds) ? kinds[kind].name : "?";
}

bool ryz_gguf_text_equal(struct ryz_gguf_text text, const char *other)
{
    return text.length == strlen(other) && memcmp(text.data, other, text.length) == 0;
}

/* ---- elements ---- */

/* Copies element i, whose size is `bytes`. */
static void load(const struct ryz_gguf_entry *entry, uint64_t i, void *value, size_t bytes)
{
    RYZ_ASSERT(i < entry->count);
    memcpy(value, entry->value + i * bytes, bytes);
}

int64_t ryz_gguf_integer(const struct ryz_gguf_entry *entry, uint64_t i)
{
    union {
        uint8_t u8;
        int8_t i8;
        uint16_t u16;
        int16_t i16;
        uint32_t u32;
        int32_t i32;
        int64_t i64;
    } value;
    size_t bytes = ryz_gguf_kind_bytes(entry->kind);
    RYZ_ASSERT(bytes > 0 && bytes <= sizeof value);
    load(entry, i, &value, bytes);
    switch (entry->kind) {
    case RYZ_GGUF_BOOL:
    case RYZ_GGUF_U8:
        return value.u8;
    case RYZ_GGUF_I8:
        return value.i8;
    case RYZ_GGUF_U16:
        return value.u16;
    case RYZ_GGUF_I16:
        return value.i16;
    case RYZ_GGUF_U32:
        return value.u32;
    case RYZ_GGUF_I32:
        return value.i32;
    case RYZ_GGUF_U64:
    case RYZ_GGUF_I64:
        return value.i64;
    case RYZ_GGUF_F32:
    case RYZ_GGUF_F64:
    case RYZ_GGUF_STRING:
    case RYZ_GGUF_ARRAY:
        break;
    }
    ryz_assert_fail("an integer kind", __FILE__, __LINE__);
}

double ryz_gguf_number(const struct ryz_gguf_entry *entry, uint64_t i)
{
    if (entry->kind == RYZ_GGUF_F32) {
        float value;
        load(entry, i, &value, sizeof value);
        return (double)value;
    }
    if (entry->kind == RYZ_GGUF_F64) {
        double value;
        load(entry, i, &value, sizeof value);
        return value;
    }
    if (entry->kind == RYZ_GGUF_U64) return (double)(uint64_t)ryz_gguf_integer(entry, i);
    return (double)ryz_gguf_integer(entry, i);
}

struct ryz_gguf_text ryz_gguf_next_text(const struct ryz_gguf_entry *entry, uint64_t *cursor)
{
    RYZ_ASSERT(entry->kind == RYZ_GGUF_STRING);
    uint64_t length;
    RYZ_ASSERT(*cursor <= entry->value_bytes && entry->value_bytes - *cursor >= sizeof length);
    memcpy(&length, entry->value + *cursor, sizeof length);
    *cursor += sizeof length;
    RYZ_ASSERT(entry->value_bytes - *cursor >= length);
    struct ryz_gguf_text text = {(const char *)entry->value + *cursor, length};
    *cursor += length;
    return text;
}

/* ---- scalars by key ---- */

static bool is_integer(enum ryz_gguf_kind kind)
{
    return ryz_gguf_kind_bytes(kind) > 0 && kind != RYZ_GGUF_F32 && kind != RYZ_GGUF_F64 &&
           kind != RYZ_GGUF_BOOL;
}

static enum ryz_status find_entry(const struct ryz_gguf *gguf, const char *key,
                                  const struct ryz_gguf_entry **entry, struct ryz_error *error)
{
    *entry = ryz_gguf_find(gguf, key);
    if (*entry) return RYZ_OK;
    return ryz_fail(error, RYZ_NOT_FOUND, "the model has no key \"%s\"", key);
}

static enum ryz_status wrong_kind(const struct ryz_gguf_entry *entry, const char *key,
                                  const char *wanted, struct ryz_error *error)
{
    return ryz_fail_at(error, RYZ_CORRUPT, entry->offset, "the key \"%s\" is %s%s, not %s", key,
                       entry->is_array ? "an array of " : "", ryz_gguf_kind_name(entry->kind),
                       wanted);
}

enum ryz_status ryz_gguf_get_u32(const struct ryz_gguf *gguf, const char *key, uint32_t *value,
                                 struct ryz_error *error)
{
    const struct ryz_gguf_entry *entry;
    enum ryz_status status = find_entry(gguf, key, &entry, error);
    if (status != RYZ_OK) return status;
    if (entry->is_array || !is_integer(entry->kind)) {
        return wrong_kind(entry, key, "an integer", error);
    }
    int64_t integer = ryz_gguf_integer(entry, 0);
    if (integer < 0 || integer > UINT32_MAX) {
        return ryz_fail_at(error, RYZ_CORRUPT, entry->offset,
                           "the key \"%s\" is out of range (0 .. %" PRIu32 ")", key, UINT32_MAX);
    }
    *value = (uint32_t)integer;
    return RYZ_OK;
}

enum ryz_status ryz_gguf_get_f32(const struct ryz_gguf *gguf, const char *key, float *value,
                                 struct ryz_error *error)
{
    const struct ryz_gguf_entry *entry;
    enum ryz_status status = find_entry(gguf, key, &entry, error);
    if (status != RYZ_OK) return status;
    if (entry->is_array || (entry->kind != RYZ_GGUF_F32 && entry->kind != RYZ_GGUF_F64)) {
        return wrong_kind(entry, key, "a floating-point number", error);
    }
    *value = (float)ryz_gguf_number(entry, 0);
    return RYZ_OK;
}

enum ryz_status ryz_gguf_get_bool(const struct ryz_gguf *gguf, const char *key, bool *value,
                                  struct ryz_error *error)
{
    const struct ryz_gguf_entry *entry;
    enum ryz_status status = find_entry(gguf, key, &entry, error);
    if (status != RYZ_OK) return status;
    if (entry->is_array || entry->kind != RYZ_GGUF_BOOL) {
        return wrong_kind(entry, key, "a boolean", error);
    }
    *value = ryz_gguf_integer(entry, 0) != 0;
    return RYZ_OK;
}

enum ryz_status ryz_gguf_get_text(const struct ryz_gguf *gguf, const char *key,
                                  struct ryz_gguf_text *value, struct ryz_error *error)
{
    const struct ryz_gguf_entry *entry;
    enum ryz_status status = find_entry(gguf, key, &entry, error);
    if (status != RYZ_OK) return status;
    if (entry->is_array || entry->kind != RYZ_GGUF_STRING) {
        return wrong_kind(entry, key, "a string", error);
    }
    uint64_t cursor = 0;
    *value = ryz_gguf_next_text(entry, &cursor);
    return RYZ_OK;
}

/* ---- for a person ---- */

/* A bounded buffer that is always terminated. */
struct printer {
    char *text;
    size_t capacity, length;
};

static void put(struct printer *printer, const char *piece)
{
    while (*piece && printer->length + 1 < printer->capacity) {
        printer->text[printer->length++] = *piece++;
    }
    printer->text[printer->length] = '\0';
}

/* Writes one character as it is, or escaped where a terminal or a log could stumble over it;
 * returns its length in `text`. */
static size_t put_character(struct printer *printer, const char *text, size_t length)
{
    unsigned char byte = (unsigned char)text[0];
    char piece[8];
    size_t bytes = ryz_utf8_char_bytes(text, length);
    bool control = byte < 0x20 || byte == 0x7f || (byte == 0xc2 && (unsigned char)text[1] < 0xa0);
    if (byte == '\n') {
        put(printer, "\\n");
    } else if (byte == '"' || byte == '\\') {
        (void)snprintf(piece, sizeof piece, "\\%c", byte);
        put(printer, piece);
    } else if (bytes == 0 || control) {
        (void)snprintf(piece, sizeof piece, "\\x%02x", byte);
        put(printer, piece);
        return 1;
    } else if (printer->capacity - printer->length > bytes) {
        (void)snprintf(piece, sizeof piece, "%.*s", (int)bytes, text);
        put(printer, piece);
    } else {
        printer->capacity = printer->length + 1; /* no room for all of it: full */
    }
    return bytes;
}

static void put_text(struct printer *printer, struct ryz_gguf_text text)
{
    put(printer, "\"");
    for (size_t i = 0; i < text.length && printer->length + 1 < printer->capacity;) {
        i += put_character(printer, text.data + i, text.length - i);
    }
    put(printer, "\"");
}

static void put_element(struct printer *printer, const struct ryz_gguf_entry *entry, uint64_t i,
                        uint64_t *cursor)
{
    char piece[48];
    if (entry->kind == RYZ_GGUF_STRING) {
        put_text(printer, ryz_gguf_next_text(entry, cursor));
        return;
    }
    if (entry->kind == RYZ_GGUF_BOOL) {
        put(printer, ryz_gguf_integer(entry, i) ? "true" : "false");
        return;
    }
    if (entry->kind == RYZ_GGUF_U64) {
        (void)snprintf(piece, sizeof piece, "%" PRIu64, (uint64_t)ryz_gguf_integer(entry, i));
    } else if (is_integer(entry->kind)) {
        (void)snprintf(piece, sizeof piece, "%" PRId64, ryz_gguf_integer(entry, i));
    } else {
        (void)snprintf(piece, sizeof piece, "%.9g", ryz_gguf_number(entry, i));
    }
    put(printer, piece);
}

void ryz_gguf_format(const struct ryz_gguf_entry *entry, char *text, size_t capacity)
{
    RYZ_ASSERT(capacity >= 1);
    struct printer printer = {text, capacity, 0};
    uint64_t cursor = 0;
    text[0] = '\0';
    if (entry->is_array) {
        char head[32];
        (void)snprintf(head, sizeof head, "[%" PRIu64 "]", entry->count);
        put(&printer, head);
    }
    for (uint64_t i = 0; i < entry->count && i < FORMAT_ELEMENTS_MAX; i++) {
        if (entry->is_array) put(&printer, " ");
        put_element(&printer, entry, i, &cursor);
    }
    if (entry->count > FORMAT_ELEMENTS_MAX) put(&printer, " ...");
}
