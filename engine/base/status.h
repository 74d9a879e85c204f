/*
 * status.h - what a fallible function returns, and what a person reads when it fails.
 *
 * enum ryz_status says what kind of failure it was (code decides on it); struct ryz_error carries
 * the words (a person reads them). Assertions are for our own bugs; whatever comes from outside
 * (files, sockets, scenarios, environment) gets a status.
 */
#ifndef RYZ_BASE_STATUS_H
#define RYZ_BASE_STATUS_H

#include <stdint.h>

#define RYZ_MUST_USE           __attribute__((warn_unused_result))
#define RYZ_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))

/* X(name, text): one list for codes and texts. */
#define RYZ_STATUS_TABLE(X)                                                                        \
    X(OK, "ok")                                                                                    \
    X(INVALID, "invalid input")                                                                    \
    X(UNSUPPORTED, "valid, but not supported")                                                     \
    X(NOT_FOUND, "not found")                                                                      \
    X(NO_MEMORY, "out of memory")                                                                  \
    X(FULL, "queue or table full")                                                                 \
    X(CLOSED, "closed or shutting down")                                                           \
    X(CANCELLED, "cancelled")                                                                      \
    X(TIMEOUT, "timed out")                                                                        \
    X(IO, "input/output error")                                                                    \
    X(CORRUPT, "data is damaged")                                                                  \
    X(FAULT, "injected fault")                                                                     \
    X(UNAVAILABLE, "not available on this machine")

enum ryz_status {
#define X(name, text) RYZ_##name,
    RYZ_STATUS_TABLE(X)
#undef X
        RYZ_STATUS_COUNT
};

#define RYZ_NO_OFFSET UINT64_MAX

/* Filled where a person will read it; every function takes NULL for "not interested". */
struct ryz_error {
    enum ryz_status status;
    int os_errno;         /* errno of the failing call, 0 if none */
    uint64_t byte_offset; /* position in the input, RYZ_NO_OFFSET if it has none */
    char text[320];       /* one sentence that leads to the next step; empty when status is OK */
};

/* The status in words; never NULL. */
const char *ryz_status_text(enum ryz_status status);
/* The status' name, e.g. "NOT_FOUND"; never NULL. */
const char *ryz_status_name(enum ryz_status status);

/* Fills `error` (may be NULL) and returns `status`, so that a failing function can
 * `return ryz_fail(error, RYZ_INVALID, "...")`. Offset and errno are left unset. */
enum ryz_status ryz_fail(struct ryz_error *error, enum ryz_status status, const char *format, ...)
    RYZ_PRINTF(3, 4);
/* As ryz_fail, with errno's number and text appended. */
enum ryz_status ryz_fail_errno(struct ryz_error *error, enum ryz_status status, int os_errno,
                               const char *format, ...) RYZ_PRINTF(4, 5);
/* As ryz_fail, with a byte offset, which is appended to the text. */
enum ryz_status ryz_fail_at(struct ryz_error *error, enum ryz_status status, uint64_t byte_offset,
                            const char *format, ...) RYZ_PRINTF(4, 5);

/* Puts "subject: " in front of a text that does not name the subject yet, such as the file that a
 * parser of bytes does not know; a long subject loses its end. `error` may be NULL. */
void ryz_error_about(struct ryz_error *error, const char *subject);

#endif
