/* file.c - whole files; grows its buffer as it reads, so pipes and /proc work too. */
#include "engine/base/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define FIRST_BYTES ((size_t)64 * 1024)

/* Reads up to `limit` bytes, the buffer doubling on the way; NULL when out of memory. */
static char *read_up_to(FILE *file, size_t limit, size_t *size)
{
    size_t capacity = limit < FIRST_BYTES ? limit : FIRST_BYTES;
    char *bytes = malloc(capacity + 1);
    *size = 0;
    while (bytes != NULL) {
        *size += fread(bytes + *size, 1, capacity - *size, file);
        if (*size < capacity || capacity == limit) break;
        capacity = capacity > limit / 2 ? limit : capacity * 2;
        char *larger = realloc(bytes, capacity + 1);
        if (larger == NULL) free(bytes);
        bytes = larger;
    }
    return bytes;
}

enum ryz_status ryz_file_load(const char *path, size_t max_bytes, char **text, size_t *size,
                              struct ryz_error *error)
{
    *text = NULL;
    *size = 0;
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        enum ryz_status status = errno == ENOENT || errno == ENOTDIR ? RYZ_NOT_FOUND : RYZ_IO;
        return ryz_fail_errno(error, status, errno, "cannot open %s", path);
    }
    enum ryz_status status = RYZ_OK;
    /* One byte more than allowed shows that a file is too large, without asking its size. */
    size_t got = 0;
    char *bytes = read_up_to(file, max_bytes + 1, &got);
    if (bytes == NULL) {
        status = ryz_fail(error, RYZ_NO_MEMORY, "no memory to read %s", path);
    } else if (ferror(file) != 0) {
        status = ryz_fail_errno(error, RYZ_IO, errno, "cannot read %s", path);
    } else if (got > max_bytes) {
        status = ryz_fail(error, RYZ_INVALID, "%s: larger than %zu KiB", path, max_bytes / 1024);
    }
    (void)fclose(file); /* read only: nothing can be lost */
    if (status != RYZ_OK || bytes == NULL) {
        free(bytes);
        return status;
    }
    bytes[got] = '\0';
    *text = bytes;
    *size = got;
    return RYZ_OK;
}
