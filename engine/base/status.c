/* status.c - texts of the statuses and the three ways to fill an error. */
#include "engine/base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const texts[RYZ_STATUS_COUNT] = {
#define X(name, text) text,
    RYZ_STATUS_TABLE(X)
#undef X
};

static const char *const names[RYZ_STATUS_COUNT] = {
#define X(name, text) #name,
    RYZ_STATUS_TABLE(X)
#undef X
};

const char *ryz_status_text(enum ryz_status status)
{
    return (unsigned)status < RYZ_STATUS_COUNT ? texts[status] : "unknown status";
}

const char *ryz_status_name(enum ryz_status status)
{
    return (unsigned)status < RYZ_STATUS_COUNT ? names[status] : "UNKNOWN";
}

static void fill(struct ryz_error *error, enum ryz_status status, const char *format, va_list args)
    RYZ_PRINTF(3, 0);
static void fill(struct ryz_error *error, enum ryz_status status, const char *format, va_list args)
{
    *error = (struct ryz_error){.status = status, .byte_offset = RYZ_NO_OFFSET};
    (void)vsnprintf(error->text, sizeof error->text, format, args);
}

/* Appends to the text; what does not fit is cut, which a message survives. */
static void append(struct ryz_error *error, const char *format, ...) RYZ_PRINTF(2, 3);
static void append(struct ryz_error *error, const char *format, ...)
{
    size_t used = strlen(error->text);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(error->text + used, sizeof error->text - used, format, args);
    va_end(args);
}

enum ryz_status ryz_fail(struct ryz_error *error, enum ryz_status status, const char *format, ...)
{
    if (error != NULL) {
        va_list args;
        va_start(args, format);
        fill(error, status, format, args);
        va_end(args);
    }
    return status;
}

enum ryz_status ryz_fail_errno(struct ryz_error *error, enum ryz_status status, int os_errno,
                               const char *format, ...)
{
    if (error != NULL) {
        va_list args;
        va_start(args, format);
        fill(error, status, format, args);
        va_end(args);
        char reason[96];
        /* The GNU variant: it may return a text of its own instead of the buffer. */
        append(error, ": %s", strerror_r(os_errno, reason, sizeof reason));
        error->os_errno = os_errno;
    }
    return status;
}

enum ryz_status ryz_fail_at(struct ryz_error *error, enum ryz_status status, uint64_t byte_offset,
                            const char *format, ...)
{
    if (error != NULL) {
        va_list args;
        va_start(args, format);
        fill(error, status, format, args);
        va_end(args);
        append(error, " (at byte %llu)", (unsigned long long)byte_offset);
        error->byte_offset = byte_offset;
    }
    return status;
}

void ryz_error_about(struct ryz_error *error, const char *subject)
{
    if (error == NULL || strstr(error->text, subject) != NULL) return;
    struct ryz_error about = *error;
    about.text[0] = '\0';
    append(&about, "%.160s: ", subject);
    append(&about, "%s", error->text);
    *error = about;
}
