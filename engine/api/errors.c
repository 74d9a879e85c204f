/* errors.c - error objects. See errors.h. */
#include "engine/api/errors.h"

#include "engine/base/assert.h"
#include "engine/base/json.h"

#include <stdarg.h>
#include <stdio.h>

static const struct {
    unsigned int http;
    const char *type, *code;
} table[RYZ_API_ERROR_COUNT] = {
#define X(name, http, type, code) {http, type, code},
    RYZ_API_ERROR_TABLE(X)
#undef X
};

bool ryz_api_fail(struct ryz_api_error *error, enum ryz_api_error_kind kind, const char *param,
                  const char *format, ...)
{
    error->kind = kind;
    error->retry_after_s =
        kind == RYZ_API_QUEUE_FULL || kind == RYZ_API_LATE || kind == RYZ_API_CLOSED;
    (void)snprintf(error->param, sizeof error->param, "%s", param != NULL ? param : "");
    va_list args;
    va_start(args, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_start is two lines above */
    (void)vsnprintf(error->message, sizeof error->message, format, args);
    va_end(args);
    return false;
}

unsigned int ryz_api_error_http(enum ryz_api_error_kind kind)
{
    RYZ_ASSERT((unsigned)kind < RYZ_API_ERROR_COUNT);
    return table[kind].http;
}

enum ryz_status ryz_api_error_status(enum ryz_api_error_kind kind)
{
    switch (kind) {
    case RYZ_API_NO_MODEL:
    case RYZ_API_NO_ROUTE:
        return RYZ_NOT_FOUND;
    case RYZ_API_UNSUPPORTED:
        return RYZ_UNSUPPORTED;
    case RYZ_API_QUEUE_FULL:
    case RYZ_API_LATE:
    case RYZ_API_TENANTS:
        return RYZ_FULL;
    case RYZ_API_FAULT:
        return RYZ_FAULT;
    case RYZ_API_NO_MEMORY:
        return RYZ_NO_MEMORY;
    case RYZ_API_CLOSED:
        return RYZ_CLOSED;
    case RYZ_API_TIMEOUT:
        return RYZ_TIMEOUT;
    case RYZ_API_INTERNAL:
        return RYZ_IO;
    default:
        return RYZ_INVALID;
    }
}

enum ryz_api_error_kind ryz_api_error_from(enum ryz_status status)
{
    switch (status) {
    case RYZ_FULL:
        return RYZ_API_QUEUE_FULL;
    case RYZ_CLOSED:
    case RYZ_CANCELLED:
        return RYZ_API_CLOSED;
    case RYZ_INVALID:
        return RYZ_API_CONTEXT; /* all else was checked before the engine saw it */
    case RYZ_TIMEOUT:
        return RYZ_API_TIMEOUT;
    case RYZ_FAULT:
        return RYZ_API_FAULT;
    case RYZ_NO_MEMORY:
        return RYZ_API_NO_MEMORY;
    default:
        return RYZ_API_INTERNAL;
    }
}

size_t ryz_api_error_json(const struct ryz_api_error *error, char text[RYZ_API_ERROR_BYTES])
{
    struct ryz_json json;
    ryz_json_init(&json, text, RYZ_API_ERROR_BYTES);
    ryz_json_object_begin(&json);
    ryz_json_key(&json, "error");
    ryz_json_object_begin(&json);
    ryz_json_key(&json, "message");
    ryz_json_string(&json, error->message);
    ryz_json_key(&json, "type");
    ryz_json_string(&json, table[error->kind].type);
    ryz_json_key(&json, "param");
    if (error->param[0] == '\0') {
        ryz_json_null(&json);
    } else {
        ryz_json_string(&json, error->param);
    }
    ryz_json_key(&json, "code");
    ryz_json_string(&json, table[error->kind].code);
    ryz_json_object_end(&json);
    ryz_json_object_end(&json);
    /* 464 characters of at most six bytes each, and the frame. */
    RYZ_ASSERT(!json.overflow);
    return json.length;
}
