/*
 * json.h - writes JSON into a bounded buffer; reading JSON is jansson's.
 *
 * The writer never allocates. When the buffer is too small it stops adding and says so at the end,
 * so a caller checks once.
 */
#ifndef RYZ_BASE_JSON_H
#define RYZ_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ryz_json {
    char *buffer;    /* caller's */
    size_t capacity; /* bytes, including the terminating NUL */
    size_t length;   /* bytes written so far, without the NUL */
    bool overflow;   /* something did not fit */
    bool comma;      /* the next value needs a comma before it */
};

void ryz_json_init(struct ryz_json *json, char *buffer, size_t capacity);
void ryz_json_object_begin(struct ryz_json *json);
void ryz_json_object_end(struct ryz_json *json);
void ryz_json_array_begin(struct ryz_json *json);
void ryz_json_array_end(struct ryz_json *json);
void ryz_json_key(struct ryz_json *json, const char *key);
/* Invalid UTF-8 becomes U+FFFD; control characters are escaped. */
void ryz_json_string(struct ryz_json *json, const char *text);
void ryz_json_string_n(struct ryz_json *json, const char *text, size_t length);
void ryz_json_u64(struct ryz_json *json, uint64_t value);
void ryz_json_i64(struct ryz_json *json, int64_t value);
/* NaN and infinities are written as null. */
void ryz_json_f64(struct ryz_json *json, double value);
void ryz_json_bool(struct ryz_json *json, bool value);
void ryz_json_null(struct ryz_json *json);
/* Adds text that is already JSON. */
void ryz_json_raw(struct ryz_json *json, const char *text, size_t length);

#endif
