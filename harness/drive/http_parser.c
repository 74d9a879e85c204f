/*
 * http_parser.c - a state machine: lines until the body, then counted bytes.
 *
 *   STATUS -> HEADER* -> BODY (length) ------------------------> DONE
 *      ^  \               UNTIL_CLOSE --------------(eof)------> DONE
 *      |   \1xx           CHUNK_SIZE -> CHUNK -> CHUNK_END -.
 *      '---'                  ^------------------------------' 0: TRAILER* -> DONE
 *
 * Leaves to others: sockets and what the body means. The idea: lines are collected in a buffer of
 * fixed size, body bytes are passed through without a copy.
 */
#include "harness/drive/http_parser.h"

#include "engine/base/assert.h"

#include <string.h>
#include <strings.h>

enum state {
    RYZ_IN_STATUS,
    RYZ_IN_HEADER,
    RYZ_IN_BODY,
    RYZ_IN_UNTIL_CLOSE,
    RYZ_IN_CHUNK_SIZE,
    RYZ_IN_CHUNK,
    RYZ_IN_CHUNK_END,
    RYZ_IN_TRAILER,
    RYZ_IN_DONE
};

void ryz_http_parser_init(struct ryz_http_parser *parser)
{
    memset(parser, 0, sizeof *parser);
    parser->state = RYZ_IN_STATUS;
    parser->keep_alive = true;
}

static enum ryz_status corrupt(struct ryz_http_parser *parser, const char *reason)
{
    parser->reason = reason;
    return RYZ_CORRUPT;
}

static void finish(struct ryz_http_parser *parser)
{
    parser->state = RYZ_IN_DONE;
    parser->done = true;
}

/* "HTTP/1.1 200 OK" */
static enum ryz_status read_status(struct ryz_http_parser *parser)
{
    const char *line = parser->line;
    bool good =
        strncmp(line, "HTTP/1.", 7) == 0 && (line[7] == '0' || line[7] == '1') && line[8] == ' ';
    for (int i = 9; good && i < 12; i++) good = line[i] >= '0' && line[i] <= '9';
    if (!good || (line[12] != ' ' && line[12] != '\0'))
        return corrupt(parser, "the answer does not begin like HTTP/1.1");
    parser->status = (uint32_t)((line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0'));
    if (parser->status < 100) return corrupt(parser, "the answer has an impossible status");
    if (line[7] == '0') parser->keep_alive = false;
    parser->state = RYZ_IN_HEADER;
    return RYZ_OK;
}

/* Is `word` one of the comma-separated words of a header's value? Case does not matter. */
static bool has_word(const char *value, const char *word)
{
    size_t n = strlen(word);
    for (const char *at = value; *at != '\0';) {
        at += strspn(at, " \t,");
        size_t length = strcspn(at, " \t,;");
        if (length == n && strncasecmp(at, word, n) == 0) return true;
        at += length;
        at += strcspn(at, ",");
    }
    return false;
}

static enum ryz_status read_length(struct ryz_http_parser *parser, const char *value)
{
    uint64_t length = 0;
    const char *at = value;
    for (; *at >= '0' && *at <= '9'; at++) {
        length = length * 10 + (uint64_t)(*at - '0');
        if (length > RYZ_HTTP_BODY_MAX) return corrupt(parser, "the answer is too long");
    }
    if (at == value || *at != '\0') return corrupt(parser, "Content-Length is not a number");
    if (parser->has_length && parser->remaining != length)
        return corrupt(parser, "there are two different Content-Lengths");
    parser->has_length = true;
    parser->remaining = length;
    return RYZ_OK;
}

/* "Name: value" */
static enum ryz_status read_header(struct ryz_http_parser *parser)
{
    char *line = parser->line, *colon = strchr(line, ':');
    if (colon == NULL || colon == line || line[0] == ' ' || line[0] == '\t')
        return corrupt(parser, "a header line has no name");
    *colon = '\0';
    char *value = colon + 1 + strspn(colon + 1, " \t");
    size_t length = strlen(value);
    while (length > 0 && (value[length - 1] == ' ' || value[length - 1] == '\t'))
        value[--length] = '\0';
    if (strcasecmp(line, "content-length") == 0) return read_length(parser, value);
    if (strcasecmp(line, "transfer-encoding") == 0) {
        if (strcasecmp(value, "chunked") != 0)
            return corrupt(parser, "the answer has an unknown Transfer-Encoding");
        parser->chunked = true;
    } else if (strcasecmp(line, "connection") == 0) {
        if (has_word(value, "close")) parser->keep_alive = false;
        if (has_word(value, "keep-alive")) parser->keep_alive = true;
    } else if (strcasecmp(line, "content-type") == 0) {
        parser->event_stream = has_word(value, "text/event-stream");
    } else if (strcasecmp(line, "content-encoding") == 0 && strcasecmp(value, "identity") != 0) {
        return corrupt(parser, "the answer is compressed though nobody asked for it");
    }
    return RYZ_OK;
}

/* The empty line behind the headers: how long will the body be? */
static void end_head(struct ryz_http_parser *parser)
{
    if (parser->status < 200) { /* 100 Continue and the like: the real answer follows */
        bool keep_alive = parser->keep_alive;
        ryz_http_parser_init(parser);
        parser->keep_alive = keep_alive;
        return;
    }
    parser->has_head = true;
    if (parser->status == 204 || parser->status == 304) {
        finish(parser);
    } else if (parser->chunked) {
        parser->state = RYZ_IN_CHUNK_SIZE;
    } else if (parser->has_length) {
        parser->state = RYZ_IN_BODY;
        if (parser->remaining == 0) finish(parser);
    } else {
        parser->until_close = true;
        parser->keep_alive = false;
        parser->state = RYZ_IN_UNTIL_CLOSE;
    }
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* "1a;extension" */
static enum ryz_status read_chunk_size(struct ryz_http_parser *parser)
{
    uint64_t size = 0;
    const char *at = parser->line;
    for (; hex_digit(*at) >= 0; at++) {
        size = size * 16 + (uint64_t)hex_digit(*at);
        if (size > RYZ_HTTP_BODY_MAX) return corrupt(parser, "a chunk is too long");
    }
    if (at == parser->line || (*at != '\0' && *at != ';' && *at != ' ' && *at != '\t'))
        return corrupt(parser, "a chunk has no size");
    parser->remaining = size;
    parser->state = size > 0 ? RYZ_IN_CHUNK : RYZ_IN_TRAILER;
    return RYZ_OK;
}

static enum ryz_status take_line(struct ryz_http_parser *parser)
{
    bool empty = parser->line_length == 0;
    switch ((enum state)parser->state) {
    case RYZ_IN_STATUS:
        return empty ? corrupt(parser, "the answer begins with an empty line")
                     : read_status(parser);
    case RYZ_IN_HEADER:
        if (!empty) return read_header(parser);
        end_head(parser);
        return RYZ_OK;
    case RYZ_IN_CHUNK_SIZE:
        return read_chunk_size(parser);
    case RYZ_IN_CHUNK_END:
        if (!empty) return corrupt(parser, "a chunk is longer than its size says");
        parser->state = RYZ_IN_CHUNK_SIZE;
        return RYZ_OK;
    case RYZ_IN_TRAILER:
        if (empty) finish(parser);
        return RYZ_OK;
    case RYZ_IN_BODY:
    case RYZ_IN_UNTIL_CLOSE:
    case RYZ_IN_CHUNK:
    case RYZ_IN_DONE:
        break;
    }
    ryz_assert_fail("a line inside a body", __FILE__, __LINE__);
}

/* Adds one byte to the line; its end is LF or CR LF. */
static enum ryz_status add_to_line(struct ryz_http_parser *parser, char c)
{
    if (++parser->header_bytes > RYZ_HTTP_HEADERS_MAX && parser->state <= RYZ_IN_HEADER)
        return corrupt(parser, "the headers are too long");
    if (c == '\n') {
        if (parser->line_length > 0 && parser->line[parser->line_length - 1] == '\r')
            parser->line_length--;
        parser->line[parser->line_length] = '\0';
        enum ryz_status status = take_line(parser);
        parser->line_length = 0;
        return status;
    }
    if (c == '\0' || parser->line_length + 1 >= RYZ_HTTP_LINE_MAX)
        return corrupt(parser, "a line of the answer is too long or holds a NUL");
    parser->line[parser->line_length++] = c;
    return RYZ_OK;
}

static bool in_body(const struct ryz_http_parser *parser)
{
    return parser->state == RYZ_IN_BODY || parser->state == RYZ_IN_CHUNK ||
           parser->state == RYZ_IN_UNTIL_CLOSE;
}

/* Passes on what belongs to the body; returns how many bytes. */
static size_t take_body(struct ryz_http_parser *parser, const char *bytes, size_t length,
                        ryz_http_body_fn on_body, void *context)
{
    size_t n = length;
    if (parser->state != RYZ_IN_UNTIL_CLOSE) {
        if (n > parser->remaining) n = (size_t)parser->remaining;
        parser->remaining -= n;
    }
    if (n > 0 && on_body != NULL) on_body(context, bytes, n);
    if (parser->remaining == 0 && parser->state == RYZ_IN_BODY) finish(parser);
    if (parser->remaining == 0 && parser->state == RYZ_IN_CHUNK) parser->state = RYZ_IN_CHUNK_END;
    return n;
}

enum ryz_status ryz_http_parser_feed(struct ryz_http_parser *parser, const char *bytes,
                                     size_t length, size_t *used, ryz_http_body_fn on_body,
                                     void *context)
{
    size_t at = 0;
    enum ryz_status status = RYZ_OK;
    while (at < length && !parser->done && status == RYZ_OK) {
        if (in_body(parser))
            at += take_body(parser, bytes + at, length - at, on_body, context);
        else
            status = add_to_line(parser, bytes[at++]);
    }
    *used = at;
    return status;
}

enum ryz_status ryz_http_parser_eof(struct ryz_http_parser *parser)
{
    if (parser->state == RYZ_IN_UNTIL_CLOSE) finish(parser);
    if (!parser->done) return corrupt(parser, "the connection ended in the middle of the answer");
    return RYZ_OK;
}
