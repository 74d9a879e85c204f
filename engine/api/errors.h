/*
 * errors.h - every way a request can be refused: HTTP status, OpenAI's type and code, one table.
 *
 * The answer is OpenAI's object: {"error":{"message":...,"type":...,"param":...,"code":...}}.
 */
#ifndef RYZ_API_ERRORS_H
#define RYZ_API_ERRORS_H

#include "engine/base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* X(enum name, HTTP status, type, code) */
#define RYZ_API_ERROR_TABLE(X)                                                                     \
    X(BAD_JSON, 400, "invalid_request_error", "invalid_json")                                      \
    X(MISSING, 400, "invalid_request_error", "missing_required_parameter")                         \
    X(BAD_TYPE, 400, "invalid_request_error", "invalid_type")                                      \
    X(BAD_VALUE, 400, "invalid_request_error", "invalid_value")                                    \
    X(UNKNOWN, 400, "invalid_request_error", "unknown_parameter")                                  \
    X(UNSUPPORTED, 400, "invalid_request_error", "unsupported_parameter")                          \
    X(CONTEXT, 400, "invalid_request_error", "context_length_exceeded")                            \
    X(NO_MODEL, 404, "invalid_request_error", "model_not_found")                                   \
    X(NO_ROUTE, 404, "invalid_request_error", "not_found")                                         \
    X(METHOD, 405, "invalid_request_error", "method_not_allowed")                                  \
    X(TOO_LARGE, 413, "invalid_request_error", "request_too_large")                                \
    X(QUEUE_FULL, 429, "rate_limit_error", "queue_full")                                           \
    X(LATE, 429, "rate_limit_error", "deadline_unreachable")                                       \
    X(TENANTS, 429, "rate_limit_error", "too_many_tenants")                                        \
    X(INTERNAL, 500, "server_error", "internal_error")                                             \
    X(FAULT, 500, "server_error", "injected_fault")                                                \
    X(NO_MEMORY, 503, "server_error", "out_of_memory")                                             \
    X(CLOSED, 503, "server_error", "shutting_down")                                                \
    X(TIMEOUT, 504, "server_error", "timeout")

enum ryz_api_error_kind {
#define X(name, http, type, code) RYZ_API_##name,
    RYZ_API_ERROR_TABLE(X)
#undef X
        RYZ_API_ERROR_COUNT
};

struct ryz_api_error {
    enum ryz_api_error_kind kind;
    char param[64]; /* the field that is wrong, "" if none is */
    char message[400];
    uint32_t retry_after_s; /* of the header Retry-After; 0: no such header */
};

/* Fills *error and returns false, so that a parser can `return ryz_api_fail(...)`. `param` may be
 * NULL; both texts are cut where they do not fit. Retry-After is 1 s where waiting helps, unless
 * the caller knows better. */
bool ryz_api_fail(struct ryz_api_error *error, enum ryz_api_error_kind kind, const char *param,
                  const char *format, ...) RYZ_PRINTF(4, 5);
unsigned int ryz_api_error_http(enum ryz_api_error_kind kind);
/* The status under which spans and logs file an error. */
enum ryz_status ryz_api_error_status(enum ryz_api_error_kind kind);
/* How a client is told what the engine said. */
enum ryz_api_error_kind ryz_api_error_from(enum ryz_status status);
/* Writes the object into `text`; always fits into RYZ_API_ERROR_BYTES. Returns its length. */
#define RYZ_API_ERROR_BYTES 4096u
size_t ryz_api_error_json(const struct ryz_api_error *error, char text[RYZ_API_ERROR_BYTES]);

#endif
