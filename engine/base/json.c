/*
 * json.c - a JSON writer without a heap and without a stack.
 *
 * Leaves to others: balancing begin and end, unique keys, reading. The idea: one flag says whether
 * the next value needs a comma; every begin and every key clears it, every value and end sets it.
 */
#include "engine/base/json.h"

#include "engine/base/utf8.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ryz_json_init(struct ryz_json *json, char *buffer, size_t capacity)
{
    *json = (struct ryz_json){.buffer = buffer, .capacity = capacity, .overflow = capacity == 0};
    if (capacity > 0) buffer[0] = '\0';
}

/* Adds all of it or, from the first piece that does not fit, nothing more. */
static void put(struct ryz_json *json, const char *text, size_t length)
{
    if (json->overflow || length >= json->capacity - json->length) {
        json->overflow = true;
        return;
    }
    memcpy(json->buffer + json->length, text, length);
    json->length += length;
    json->buffer[json->length] = '\0';
}

static void separate(struct ryz_json *json)
{
    if (json->comma) put(json, ",", 1);
    json->comma = true;
}

static void begin(struct ryz_json *json, const char *bracket)
{
    separate(json);
    put(json, bracket, 1);
    json->comma = false;
}

static void end(struct ryz_json *json, const char *bracket)
{
    put(json, bracket, 1);
    json->comma = true;
}

void ryz_json_object_begin(struct ryz_json *json)
{
    begin(json, "{");
}

void ryz_json_object_end(struct ryz_json *json)
{
    end(json, "}");
}

void ryz_json_array_begin(struct ryz_json *json)
{
    begin(json, "[");
}

void ryz_json_array_end(struct ryz_json *json)
{
    end(json, "]");
}

/* The escape of one ASCII character that may not stand as it is; returns its length, 0 if it may.
 */
static size_t escape(unsigned char c, char out[8])
{
    static const char shorts[] = "\"\"\\\\\bb\ff\nn\rr\tt"; /* pairs: character, letter */
    for (size_t i = 0; i + 1 < sizeof shorts; i += 2) {
        if ((unsigned char)shorts[i] == c) {
            out[0] = '\\';
            out[1] = shorts[i + 1];
            return 2;
        }
    }
    if (c >= 0x20 && c != 0x7f) return 0;
    return (size_t)snprintf(out, 8, "\\u%04x", c);
}

static void put_string(struct ryz_json *json, const char *text, size_t length)
{
    put(json, "\"", 1);
    size_t start = 0, at = 0; /* [start, at) may be copied as it is */
    while (at < length) {
        char special[8];
        size_t bytes = ryz_utf8_char_bytes(text + at, length - at);
        size_t special_bytes = bytes == 1 ? escape((unsigned char)text[at], special) : 0;
        if (bytes != 0 && special_bytes == 0) {
            at += bytes;
            continue;
        }
        put(json, text + start, at - start);
        if (bytes == 0) {
            put(json, "\xef\xbf\xbd", 3);
        } else {
            put(json, special, special_bytes);
        }
        at++;
        start = at;
    }
    put(json, text + start, length - start);
    put(json, "\"", 1);
}

void ryz_json_key(struct ryz_json *json, const char *key)
{
    separate(json);
    put_string(json, key, strlen(key));
    put(json, ":", 1);
    json->comma = false;
}

void ryz_json_string(struct ryz_json *json, const char *text)
{
    ryz_json_string_n(json, text, strlen(text));
}

void ryz_json_string_n(struct ryz_json *json, const char *text, size_t length)
{
    separate(json);
    put_string(json, text, length);
}

void ryz_json_u64(struct ryz_json *json, uint64_t value)
{
    char text[24];
    ryz_json_raw(json, text, (size_t)snprintf(text, sizeof text, "%" PRIu64, value));
}

void ryz_json_i64(struct ryz_json *json, int64_t value)
{
    char text[24];
    ryz_json_raw(json, text, (size_t)snprintf(text, sizeof text, "%" PRId64, value));
}

void ryz_json_f64(struct ryz_json *json, double value)
{
    if (!isfinite(value)) {
        ryz_json_null(json);
        return;
    }
    /* The shortest of the three that reads back as the same number. */
    char text[32];
    int length = 0;
    for (int digits = 15; digits <= 17; digits++) {
        length = snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) break;
    }
    ryz_json_raw(json, text, (size_t)length);
}

void ryz_json_bool(struct ryz_json *json, bool value)
{
    ryz_json_raw(json, value ? "true" : "false", value ? 4 : 5);
}

void ryz_json_null(struct ryz_json *json)
{
    ryz_json_raw(json, "null", 4);
}

void ryz_json_raw(struct ryz_json *json, const char *text, size_t length)
{
    separate(json);
    put(json, text, length);
}
