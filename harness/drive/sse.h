/*
 * sse.h - server-sent events: from the bytes of a stream to the data of its events.
 *
 *   data: {"a":1}\n\n            -> {"a":1}
 *   data: one\ndata: two\r\n\r\n -> one\ntwo
 *
 * Comments and other fields are skipped; lines end with LF, CR LF or CR.
 */
#ifndef RYZ_HARNESS_DRIVE_SSE_H
#define RYZ_HARNESS_DRIVE_SSE_H

#include "engine/base/status.h"

#include <stdbool.h>
#include <stddef.h>

#define RYZ_SSE_EVENT_MAX (1u << 20) /* bytes of one event's data, or of one line */

struct ryz_sse {
    char *line; /* (line_capacity) of which line_length are filled */
    size_t line_length, line_capacity;
    char *data; /* (data_capacity) of which data_length are filled */
    size_t data_length, data_capacity;
    bool has_data; /* the event has a data field, perhaps an empty one */
    bool after_cr; /* an LF that comes now belongs to the CR before */
};

/* Gets the data of one event, NUL-terminated, borrowed. False ends the feeding. */
typedef bool (*ryz_sse_fn)(void *context, char *data, size_t length);

void ryz_sse_init(struct ryz_sse *sse);
void ryz_sse_deinit(struct ryz_sse *sse);
/* RYZ_CORRUPT: an event is too long; RYZ_CANCELLED: on_event said so; RYZ_NO_MEMORY. */
RYZ_MUST_USE enum ryz_status ryz_sse_feed(struct ryz_sse *sse, const char *bytes, size_t length,
                                          ryz_sse_fn on_event, void *context);

#endif
