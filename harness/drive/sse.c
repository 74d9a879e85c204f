/* sse.c - lines to fields to events, after the HTML standard's "event stream interpretation". */
#include "harness/drive/sse.h"

#include <stdlib.h>
#include <string.h>

void ryz_sse_init(struct ryz_sse *sse)
{
    memset(sse, 0, sizeof *sse);
}

void ryz_sse_deinit(struct ryz_sse *sse)
{
    free(sse->line);
    free(sse->data);
    memset(sse, 0, sizeof *sse);
}

/* Appends to a buffer that keeps room for a NUL. */
static enum ryz_status append(char **buffer, size_t *length, size_t *capacity, const char *bytes,
                              size_t count)
{
    if (count > RYZ_SSE_EVENT_MAX - *length) return RYZ_CORRUPT;
    if (*length + count + 1 > *capacity) {
        size_t grown = *capacity == 0 ? 512 : *capacity;
        while (grown < *length + count + 1) grown *= 2;
        char *moved = realloc(*buffer, grown);
        if (moved == NULL) return RYZ_NO_MEMORY;
        *buffer = moved;
        *capacity = grown;
    }
    if (count > 0) memcpy(*buffer + *length, bytes, count);
    *length += count;
    (*buffer)[*length] = '\0';
    return RYZ_OK;
}

static enum ryz_status dispatch(struct ryz_sse *sse, ryz_sse_fn on_event, void *context)
{
    bool go_on = true;
    if (sse->has_data) go_on = on_event(context, sse->data, sse->data_length);
    sse->data_length = 0;
    sse->has_data = false;
    return go_on ? RYZ_OK : RYZ_CANCELLED;
}

static enum ryz_status take_line(struct ryz_sse *sse, ryz_sse_fn on_event, void *context)
{
    size_t length = sse->line_length;
    const char *line = sse->line;
    sse->line_length = 0;
    if (length == 0) return dispatch(sse, on_event, context);
    bool is_data = length >= 4 && memcmp(line, "data", 4) == 0 && (length == 4 || line[4] == ':');
    if (!is_data) return RYZ_OK;
    size_t at = length > 4 ? 5 : 4;
    if (at < length && line[at] == ' ') at++;
    enum ryz_status status = RYZ_OK;
    if (sse->has_data) status = append(&sse->data, &sse->data_length, &sse->data_capacity, "\n", 1);
    if (status == RYZ_OK)
        status = append(&sse->data, &sse->data_length, &sse->data_capacity, line + at, length - at);
    sse->has_data = true;
    return status;
}

enum ryz_status ryz_sse_feed(struct ryz_sse *sse, const char *bytes, size_t length,
                             ryz_sse_fn on_event, void *context)
{
    size_t at = 0;
    enum ryz_status status = RYZ_OK;
    while (at < length && status == RYZ_OK) {
        if (sse->after_cr && bytes[at] == '\n') {
            sse->after_cr = false;
            at++;
            continue;
        }
        sse->after_cr = false;
        size_t end = at;
        while (end < length && bytes[end] != '\n' && bytes[end] != '\r') end++;
        status = append(&sse->line, &sse->line_length, &sse->line_capacity, bytes + at, end - at);
        if (status != RYZ_OK || end == length) break;
        sse->after_cr = bytes[end] == '\r';
        at = end + 1;
        status = take_line(sse, on_event, context);
    }
    return status;
}
