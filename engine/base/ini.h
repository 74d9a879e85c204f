/*
 * ini.h - INI files whose every mistake is found and named with its line.
 *
 * Lines are split by inih, but a reader of ours sees each line first and keeps from inih what it
 * would misread in silence: over-long lines, broken headers, indented continuations, `:` as a
 * separator. What the keys mean is the caller's business.
 *
 *   ; a comment line            # another
 *   [section]                   ; empty sections are reported too
 *   key = value                 ; a comment after a blank
 */
#ifndef RYZ_BASE_INI_H
#define RYZ_BASE_INI_H

#include "engine/base/status.h"

#include <stddef.h>
#include <stdint.h>

#define RYZ_INI_LINE_MAX 190u              /* bytes of a line; inih's buffer is 200 */
#define RYZ_INI_NAME_MAX 48u               /* bytes of a section's name and of a key */
#define RYZ_INI_FILE_MAX ((size_t)1 << 20) /* bytes of a file */

/* One header or one key; the texts live until the callback returns. */
struct ryz_ini_item {
    const char *section; /* never empty */
    const char *key;     /* NULL: this is the header line of `section` */
    const char *value;   /* trimmed, without its comment, may be ""; NULL for a header */
    uint32_t line;       /* from 1 */
};

struct ryz_ini_sink {
    void (*item)(void *context, const struct ryz_ini_item *item);
    /* A line that was skipped, and why (no file name, no newline); may be NULL. After a broken
     * header the keys up to the next good one are skipped without further words. */
    void (*mistake)(void *context, uint32_t line, const char *why);
    void *context;
};

/* Reads a whole file of up to RYZ_INI_FILE_MAX bytes; *text gets a NUL after its `*size` bytes and
 * is the caller's to free. RYZ_NOT_FOUND, RYZ_IO, RYZ_INVALID (too large), RYZ_NO_MEMORY. */
RYZ_MUST_USE enum ryz_status ryz_ini_load(const char *path, char **text, size_t *size,
                                          struct ryz_error *error);
/* Goes through text[0 .. size) to its end, whatever is in it. RYZ_INVALID if there was a mistake;
 * *error has the first, as "name:line: why". */
RYZ_MUST_USE enum ryz_status ryz_ini_parse(const char *text, size_t size, const char *name,
                                           const struct ryz_ini_sink *sink,
                                           struct ryz_error *error);
/* Both in one. */
RYZ_MUST_USE enum ryz_status ryz_ini_read(const char *path, const struct ryz_ini_sink *sink,
                                          struct ryz_error *error);

#endif
