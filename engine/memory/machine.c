/* machine.c - see machine.h. Files that are absent (no cgroup, another version) limit nothing. */
#include "engine/memory/machine.h"

#include "engine/base/size.h"
#include "engine/obs/proc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX  8192
#define GROUP_MAX 512
/* What version 1 writes for "no limit" is the largest multiple of a page; no machine has a quarter
 * of it. */
#define NO_LIMIT (UINT64_C(1) << 61)

/* The beginning of a file as text; false: it cannot be read. */
static bool read_text(const char *path, char text[TEXT_MAX])
{
    FILE *file = fopen(path, "re");
    if (file == NULL) return false;
    size_t length = fread(text, 1, TEXT_MAX - 1, file);
    bool failed = ferror(file) != 0;
    (void)fclose(file);
    text[length] = '\0';
    return !failed && length > 0;
}

bool ryz_machine_parse_limit(const char *text, uint64_t *bytes)
{
    char *end = NULL;
    if (text[0] < '0' || text[0] > '9') return false; /* "max" */
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || (*end != '\n' && *end != '\0') || value >= NO_LIMIT) return false;
    *bytes = value;
    return true;
}

bool ryz_machine_parse_cgroup(const char *text, char *path, size_t capacity)
{
    for (const char *line = text; line != NULL && *line != '\0';) {
        size_t length = strcspn(line, "\n");
        if (strncmp(line, "0::/", 4) == 0 && length - 3 < capacity) {
            memcpy(path, line + 3, length - 3);
            path[length - 3] = '\0';
            return true;
        }
        line += length;
        if (*line == '\n') line++;
    }
    return false;
}

/* Lowers *bytes to the limit in a file, if there is one. */
static void apply_limit(const char *path, uint64_t *bytes)
{
    char text[TEXT_MAX];
    uint64_t limit = 0;
    if (read_text(path, text) && ryz_machine_parse_limit(text, &limit))
        *bytes = ryz_min_u64(*bytes, limit);
}

/* The cgroup's own limit and those of all above it. */
static void apply_cgroups(uint64_t *bytes)
{
    char text[TEXT_MAX], group[GROUP_MAX] = "/", path[GROUP_MAX + 64];
    if (read_text("/proc/self/cgroup", text))
        (void)ryz_machine_parse_cgroup(text, group, sizeof group);
    for (;;) {
        (void)snprintf(path, sizeof path, "/sys/fs/cgroup%s/memory.max", group);
        apply_limit(path, bytes);
        char *slash = strrchr(group, '/');
        if (slash == NULL) break;
        *slash = '\0';
    }
    apply_limit("/sys/fs/cgroup/memory/memory.limit_in_bytes", bytes);
}

enum ryz_status ryz_machine_memory(uint64_t *bytes, struct ryz_error *error)
{
    char text[TEXT_MAX];
    uint64_t total = 0, available = 0;
    if (!read_text("/proc/meminfo", text) || !ryz_proc_parse_memory(text, &total, &available))
        return ryz_fail(error, RYZ_UNAVAILABLE,
                        "the kernel does not say how much memory there is; give memory as a size");
    apply_cgroups(&available);
    *bytes = available;
    return RYZ_OK;
}
