/*
 * Goal: a response is read the same wherever the network cuts it, and what is no response is
 * refused with a reason.
 * Method: every response is fed in two pieces cut at every byte, and byte by byte; hostile ones
 * come from a table and from mutations of good ones.
 */
#include "engine/base/rng.h"
#include "harness/drive/http_parser.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

struct body {
    char text[4096];
    size_t length;
};

static void collect(void *context, const char *bytes, size_t length)
{
    struct body *body = context;
    cr_assert_gt(length, 0);
    cr_assert_lt(body->length + length, sizeof body->text);
    memcpy(body->text + body->length, bytes, length);
    body->length += length;
    body->text[body->length] = '\0';
}

struct good {
    const char *bytes;
    const char *body;
    uint32_t status;
    bool keep_alive, event_stream;
    bool until_close;
};

static const struct good goods[] = {
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello", 200, true, false, false},
    {"HTTP/1.1 200\nContent-Length:3 \n\nabc", "abc", 200, true, false, false},
    {"HTTP/1.1 204 No Content\r\n\r\n", "", 204, true, false, false},
    {"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
     "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1A;x=y\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\n"
     "Trailer: 1\r\n\r\n",
     "abcabcdefghijklmnopqrstuvwxyz", 200, true, true, false},
    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 429 Too Many Requests\r\nConnection: close\r\n"
     "Content-Length: 2\r\n\r\n{}",
     "{}", 429, false, false, false},
    {"HTTP/1.0 500 Oops\r\n\r\nall the rest", "all the rest", 500, false, false, true},
    {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive, x\r\n\r\n", "", 200, true,
     false, false},
};

/* Feeds bytes[0 .. length) in pieces that end at `cuts`; checks against `expected`. */
static void check(const struct good *expected, const size_t *cuts, size_t cut_count)
{
    struct ryz_http_parser parser;
    struct body body = {.length = 0};
    ryz_http_parser_init(&parser);
    size_t at = 0, length = strlen(expected->bytes), used = 0;
    for (size_t i = 0; i <= cut_count; i++) {
        size_t end = i < cut_count ? cuts[i] : length;
        enum ryz_status status =
            ryz_http_parser_feed(&parser, expected->bytes + at, end - at, &used, collect, &body);
        cr_assert_eq(status, RYZ_OK, "%s", parser.reason);
        cr_assert_eq(used, end - at);
        at = end;
    }
    if (expected->until_close) {
        cr_assert_not(parser.done);
        cr_assert_eq(ryz_http_parser_eof(&parser), RYZ_OK);
    }
    cr_assert(parser.done);
    cr_assert_eq(parser.status, expected->status);
    cr_assert_eq(parser.keep_alive, expected->keep_alive);
    cr_assert_eq(parser.event_stream, expected->event_stream);
    cr_assert_eq(body.length, strlen(expected->body));
    cr_assert_eq(memcmp(body.text, expected->body, body.length), 0);
}

static void cut_everywhere(const struct good *good)
{
    size_t length = strlen(good->bytes);
    size_t all[1024];
    for (size_t i = 0; i <= length; i++) {
        check(good, &i, 1);
        for (size_t j = i; j <= length; j++) {
            size_t cuts[] = {i, j};
            check(good, cuts, 2);
        }
        all[i] = i;
    }
    check(good, all, length + 1);
}

/* A loop, not parameters: those travel to another process, where these pointers mean nothing. */
Test(http_parser, reads_the_same_wherever_it_is_cut)
{
    for (size_t i = 0; i < sizeof goods / sizeof goods[0]; i++) cut_everywhere(&goods[i]);
}

Test(http_parser, stops_behind_the_end_of_the_response)
{
    const char *two = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabHTTP/1.1 404 No\r\n";
    struct ryz_http_parser parser;
    struct body body = {.length = 0};
    size_t used = 0;
    ryz_http_parser_init(&parser);
    cr_assert_eq(ryz_http_parser_feed(&parser, two, strlen(two), &used, collect, &body), RYZ_OK);
    cr_assert(parser.done);
    cr_assert_eq(strncmp(two + used, "HTTP/1.1 404", 12), 0);
}

Test(http_parser, an_end_in_the_middle_is_no_answer)
{
    const char *bytes = goods[3].bytes;
    for (size_t length = 0; length < strlen(bytes); length++) {
        struct ryz_http_parser parser;
        struct body body = {.length = 0};
        size_t used = 0;
        ryz_http_parser_init(&parser);
        cr_assert_eq(ryz_http_parser_feed(&parser, bytes, length, &used, collect, &body), RYZ_OK);
        cr_assert_eq(ryz_http_parser_eof(&parser), RYZ_CORRUPT, "after %zu bytes", length);
        cr_assert_not_null(parser.reason);
    }
}

static const char *const bads[] = {
    "SSH-2.0-OpenSSH_9.2\r\n",
    "HTTP/2 200 OK\r\n",
    "HTTP/1.1 20x OK\r\n",
    "HTTP/1.1 099 Low\r\n",
    "HTTP/1.1 2000 OK\r\n",
    "\r\n",
    "HTTP/1.1 200 OK\r\nno colon\r\n",
    "HTTP/1.1 200 OK\r\n: no name\r\n",
    "HTTP/1.1 200 OK\r\n folded: x\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 1e3\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n",
    "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n",
};

Test(http_parser, refuses_what_is_no_response)
{
    for (size_t i = 0; i < sizeof bads / sizeof bads[0]; i++) {
        struct ryz_http_parser parser;
        struct body body = {.length = 0};
        size_t used = 0;
        ryz_http_parser_init(&parser);
        enum ryz_status status =
            ryz_http_parser_feed(&parser, bads[i], strlen(bads[i]), &used, collect, &body);
        cr_assert_eq(status, RYZ_CORRUPT, "%s", bads[i]);
        cr_assert_not_null(parser.reason);
    }
}

Test(http_parser, limits_lines_and_headers)
{
    struct ryz_http_parser parser;
    size_t used = 0;
    char line[64];
    enum ryz_status status = RYZ_OK;
    ryz_http_parser_init(&parser);
    status = ryz_http_parser_feed(&parser, "HTTP/1.1 200 OK\r\n", 17, &used, NULL, NULL);
    for (int i = 0; i < 10000 && status == RYZ_OK; i++) {
        int n = snprintf(line, sizeof line, "header-%d: some value\r\n", i);
        status = ryz_http_parser_feed(&parser, line, (size_t)n, &used, NULL, NULL);
    }
    cr_assert_eq(status, RYZ_CORRUPT);
    ryz_http_parser_init(&parser);
    status = RYZ_OK;
    for (int i = 0; i < 10000 && status == RYZ_OK; i++)
        status = ryz_http_parser_feed(&parser, "x", 1, &used, NULL, NULL);
    cr_assert_eq(status, RYZ_CORRUPT);
}

/* No crash and no endless loop on damaged responses; sanitizers watch the memory. */
Test(http_parser, survives_damaged_responses)
{
    struct ryz_rng rng;
    uint64_t seed = 77;
    ryz_rng_init(&rng, seed, 0);
    uint32_t refused = 0;
    for (int round = 0; round < 20000; round++) {
        const struct good *good = &goods[ryz_rng_below(&rng, sizeof goods / sizeof goods[0])];
        char bytes[512];
        size_t length = strlen(good->bytes), used = 0;
        memcpy(bytes, good->bytes, length);
        for (int k = 0; k < 3; k++)
            bytes[ryz_rng_below(&rng, length)] = (char)ryz_rng_below(&rng, 256);
        struct ryz_http_parser parser;
        struct body body = {.length = 0};
        ryz_http_parser_init(&parser);
        enum ryz_status status =
            ryz_http_parser_feed(&parser, bytes, length, &used, collect, &body);
        cr_assert_leq(used, length);
        if (status == RYZ_OK) status = ryz_http_parser_eof(&parser);
        refused += status != RYZ_OK;
    }
    cr_assert_gt(refused, 1000, "seed %lu", (unsigned long)seed);
}
