/*
 * http_parser.h - reads HTTP/1.1 responses from bytes as they come, in pieces of any size.
 *
 * Knows Content-Length, chunked bodies, bodies until the connection's end and 1xx answers.
 * Everything has a limit, and what a server may not send is an error with a reason, never a guess.
 */
#ifndef RYZ_HARNESS_DRIVE_HTTP_PARSER_H
#define RYZ_HARNESS_DRIVE_HTTP_PARSER_H

#include "engine/base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RYZ_HTTP_LINE_MAX    4096u  /* a status, header or chunk line */
#define RYZ_HTTP_HEADERS_MAX 65536u /* bytes of all headers */
#define RYZ_HTTP_BODY_MAX    (UINT64_C(1) << 40)

struct ryz_http_parser {
    int state;         /* private */
    bool done;         /* the response is complete */
    bool keep_alive;   /* the connection may be used again */
    bool has_head;     /* status and headers are complete */
    bool event_stream; /* Content-Type is text/event-stream */
    uint32_t status;
    const char *reason; /* of a failure: a constant text */
    uint64_t remaining; /* bytes of the body or chunk still to come */
    bool chunked, has_length, until_close;
    uint32_t header_bytes;
    uint32_t line_length;
    char line[RYZ_HTTP_LINE_MAX];
};

/* Gets a piece of the body; `bytes` is borrowed. */
typedef void (*ryz_http_body_fn)(void *context, const char *bytes, size_t length);

void ryz_http_parser_init(struct ryz_http_parser *parser);
/* Reads up to `length` bytes, stops behind the end of the response; *used says how many were read.
 * RYZ_CORRUPT: not a response we accept, see parser->reason. */
RYZ_MUST_USE enum ryz_status ryz_http_parser_feed(struct ryz_http_parser *parser, const char *bytes,
                                                  size_t length, size_t *used,
                                                  ryz_http_body_fn on_body, void *context);
/* The connection has ended: completes a body that lasts until then; RYZ_CORRUPT if anything was
 * missing. */
RYZ_MUST_USE enum ryz_status ryz_http_parser_eof(struct ryz_http_parser *parser);

#endif
