/* proc.c - picks numbers out of the texts of /proc. See proc.h. */
#include "engine/obs/proc.h"

#include "engine/base/size.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* Reads one decimal number after blanks and moves *text behind it. */
static bool read_u64(const char **text, uint64_t *value)
{
    const char *at = *text + strspn(*text, " \t");
    if (*at < '0' || *at > '9') return false;
    char *end = NULL;
    errno = 0;
    unsigned long long number = strtoull(at, &end, 10);
    if (errno != 0) return false;
    *text = end;
    *value = number;
    return true;
}

bool ryz_proc_parse_cpu(const char *text, struct ryz_proc_cpu *cpu)
{
    /* user nice system idle iowait irq softirq steal; old kernels end after idle. */
    uint64_t fields[8] = {0};
    size_t count = 0;
    if (strncmp(text, "cpu ", 4) != 0) return false;
    text += 4;
    while (count < RYZ_COUNT_OF(fields) && read_u64(&text, &fields[count])) count++;
    if (count < 4) return false;
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++) total += fields[i];
    *cpu = (struct ryz_proc_cpu){.total = total, .idle = fields[3] + fields[4], .steal = fields[7]};
    return true;
}

/* Moves behind `count` blank-separated words. */
static bool skip_words(const char **text, int count)
{
    for (int i = 0; i < count; i++) {
        const char *at = *text + strspn(*text, " ");
        size_t length = strcspn(at, " \n");
        if (length == 0) return false;
        *text = at + length;
    }
    return true;
}

bool ryz_proc_parse_self_ticks(const char *text, uint64_t *ticks)
{
    /* The command's name stands in brackets and may itself hold brackets and blanks: only the last
     * one closes it. State is the third field, utime the 14th, stime the 15th. */
    const char *at = strrchr(text, ')');
    uint64_t user = 0, system = 0;
    if (at == NULL) return false;
    at++;
    if (!skip_words(&at, 11) || !read_u64(&at, &user) || !read_u64(&at, &system)) return false;
    *ticks = user + system;
    return true;
}

bool ryz_proc_parse_resident_pages(const char *text, uint64_t *pages)
{
    uint64_t size = 0;
    return read_u64(&text, &size) && read_u64(&text, pages);
}

static bool find_kib(const char *text, const char *key, uint64_t *bytes)
{
    size_t length = strlen(key);
    for (const char *line = text; line != NULL && *line != '\0';) {
        uint64_t kib = 0;
        const char *at = line + length;
        if (strncmp(line, key, length) == 0 && read_u64(&at, &kib) && kib <= UINT64_MAX / 1024) {
            *bytes = kib * 1024;
            return true;
        }
        line = strchr(line, '\n');
        if (line != NULL) line++;
    }
    return false;
}

bool ryz_proc_parse_memory(const char *text, uint64_t *total_bytes, uint64_t *available_bytes)
{
    uint64_t total = 0, available = 0;
    if (!find_kib(text, "MemTotal:", &total)) return false;
    if (!find_kib(text, "MemAvailable:", &available)) return false;
    *total_bytes = total;
    *available_bytes = available;
    return true;
}

bool ryz_proc_parse_load(const char *text, float *load1)
{
    char *end = NULL;
    float value = strtof(text, &end);
    if (end == text || !isfinite(value) || value < 0) return false;
    *load1 = value;
    return true;
}
