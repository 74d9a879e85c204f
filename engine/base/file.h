/* file.h - reads a whole file into memory, up to a stated size. */
#ifndef RYZ_BASE_FILE_H
#define RYZ_BASE_FILE_H

#include "engine/base/status.h"

#include <stddef.h>

/* *text gets the file's `*size` bytes and a NUL after them and is the caller's to free. A file
 * larger than max_bytes is refused. RYZ_NOT_FOUND, RYZ_IO, RYZ_INVALID (too large),
 * RYZ_NO_MEMORY. */
RYZ_MUST_USE enum ryz_status ryz_file_load(const char *path, size_t max_bytes, char **text,
                                           size_t *size, struct ryz_error *error);

#endif
