/*
 * Goal: whatever a server does, each request ends in one answer whose status says what happened,
 * and good answers are counted exactly. Method: a small server with good and bad manners on a free
 * port; no assertion depends on how long something takes.
 */
#include "harness/drive/http.h"
#include "harness/drive/real_clock.h"
#include "harness/traffic/prompts.h"
#include "tests/unit/drive/fake_server.h"

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define REQUESTS_MAX 64

/* What came back for a request. */
struct heard {
    uint32_t accepted, dones, tokens;
    bool ids_known;
    uint32_t ids[256];
    struct ryz_answer done;
};

static struct heard heard[REQUESTS_MAX];
static struct fake_server server;

static struct ryz_target *open_target(uint16_t port, bool text)
{
    char url[64];
    struct ryz_target *target = NULL;
    struct ryz_error error = {.text = ""};
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u/v1/", port);
    const struct ryz_http_options options = {.url = url,
                                             .model_name = "fake-model",
                                             .text_prompts = text,
                                             .clock = ryz_real_clock_monotonic()};
    enum ryz_status status = ryz_http_open(&options, &target, &error);
    cr_assert_eq(status, RYZ_OK, "%s", error.text);
    memset(heard, 0, sizeof heard);
    return target;
}

static void *ask(struct ryz_target *target, uint32_t i, uint32_t tokens)
{
    static uint32_t prompt[2000];
    for (uint32_t k = 0; k < 2000; k++) prompt[k] = k;
    struct ryz_ask request = {.flight = &heard[i],
                              .number = i + 1,
                              .tokens = prompt,
                              .prompt_tokens = 3 + i * 30,
                              .output_tokens = tokens,
                              .ignore_eos = true};
    void *handle = NULL;
    ryz_trace_id_make(1, i, request.trace.trace_id);
    request.trace.span_id = 9;
    cr_assert_eq(target->ops->submit(target, &request, &handle, NULL), RYZ_OK);
    return handle;
}

static uint32_t poll_once(struct ryz_target *target)
{
    struct ryz_answer answers[7];
    int64_t until_ns = ryz_clock_now_ns(ryz_real_clock_monotonic()) + 20 * RYZ_NS_PER_MS;
    size_t count = target->ops->poll(target, until_ns, answers, 7);
    uint32_t dones = 0;
    for (size_t i = 0; i < count; i++) {
        struct heard *h = answers[i].flight;
        cr_assert_eq(h->dones, 0, "an answer after DONE");
        switch (answers[i].kind) {
        case RYZ_ANSWER_ACCEPTED:
            h->accepted++;
            break;
        case RYZ_ANSWER_TOKENS:
            h->ids_known = answers[i].ids_known;
            for (uint32_t k = 0; k < answers[i].token_count && h->ids_known; k++)
                h->ids[h->tokens + k] = answers[i].ids[k];
            h->tokens += answers[i].token_count;
            break;
        case RYZ_ANSWER_DONE:
            h->dones++;
            h->done = answers[i];
            dones++;
            break;
        }
    }
    return dones;
}

static void poll_all(struct ryz_target *target, uint32_t count)
{
    for (uint32_t dones = 0; dones < count;) dones += poll_once(target);
}

/* `rounds` times `width` requests at once against a server with these manners. */
static void run(enum fake_manners manners, uint32_t width, uint32_t rounds)
{
    fake_server_open(&server, manners);
    struct ryz_target *target = open_target(server.port, manners == FAKE_NO_IDS);
    for (uint32_t r = 0; r < rounds; r++) {
        for (uint32_t i = 0; i < width; i++) (void)ask(target, r * width + i, 5 + i);
        poll_all(target, width);
    }
    ryz_target_close(target);
    fake_server_close(&server);
    for (uint32_t i = 0; i < width * rounds; i++) {
        cr_assert_eq(heard[i].dones, 1);
        cr_assert_gt(heard[i].done.bytes_out, 0);
        if (heard[i].done.status == RYZ_REQUEST_OK)
            cr_assert_null(heard[i].done.reason);
        else
            cr_assert_not_null(heard[i].done.reason);
    }
}

static void assert_good(uint32_t width, uint32_t rounds)
{
    for (uint32_t i = 0; i < width * rounds; i++) {
        const struct heard *h = &heard[i];
        cr_assert_eq(h->done.status, RYZ_REQUEST_OK, "%s", h->done.reason);
        cr_assert_eq(h->accepted, 1);
        cr_assert_eq(h->tokens, 5 + i % width);
        cr_assert(h->ids_known);
        for (uint32_t k = 0; k < h->tokens; k++) cr_assert_eq(h->ids[k], 100 + k);
        cr_assert_eq(h->done.prompt_tokens, 77);
        cr_assert_eq(h->done.output_tokens, h->tokens);
        cr_assert_gt(h->done.bytes_in, 0);
    }
}

Test(http, good_answers_are_counted_exactly_and_connections_are_kept)
{
    run(FAKE_GOOD, 8, 4);
    assert_good(8, 4);
    cr_assert_eq(server.requests, 32);
    cr_assert_eq(server.traced, 32);
    cr_assert_leq(server.connections, 8);
}

Test(http, answers_that_come_byte_by_byte_are_the_same)
{
    run(FAKE_BYTE_BY_BYTE, 3, 2);
    assert_good(3, 2);
}

Test(http, answers_until_the_connection_ends_are_the_same)
{
    run(FAKE_CLOSES, 4, 2);
    assert_good(4, 2);
    cr_assert_eq(server.connections, 8);
}

Test(http, a_kept_connection_that_the_server_closed_is_no_failure)
{
    run(FAKE_DROPS_IDLE, 4, 8);
    assert_good(4, 8);
}

Test(http, without_ids_chunks_are_counted_and_usage_is_passed_on)
{
    run(FAKE_NO_IDS, 4, 1);
    for (uint32_t i = 0; i < 4; i++) {
        cr_assert_eq(heard[i].done.status, RYZ_REQUEST_OK);
        cr_assert_eq(heard[i].tokens, 5 + i);
        cr_assert_not(heard[i].ids_known);
        cr_assert_eq(heard[i].done.output_tokens, 2 * (5 + i));
    }
}

Test(http, an_answer_that_is_no_stream_counts_too)
{
    run(FAKE_WHOLE, 2, 2);
    for (uint32_t i = 0; i < 4; i++) {
        cr_assert_eq(heard[i].done.status, RYZ_REQUEST_OK);
        cr_assert_eq(heard[i].done.output_tokens, 5 + i % 2);
    }
}

Test(http, every_failure_has_its_status)
{
    const struct {
        enum fake_manners manners;
        enum ryz_request_status status;
        uint32_t tokens;
    } cases[] = {
        {FAKE_400, RYZ_REQUEST_ERROR_4XX, 0},
        {FAKE_429, RYZ_REQUEST_SHED, 0},
        {FAKE_500, RYZ_REQUEST_ERROR_5XX, 0},
        {FAKE_503, RYZ_REQUEST_SHED, 0},
        {FAKE_CUTS, RYZ_REQUEST_LOST, 2},
        {FAKE_NO_END, RYZ_REQUEST_LOST, 2},
        {FAKE_GARBAGE, RYZ_REQUEST_ERROR_5XX, 0},
        {FAKE_ERROR_EVENT, RYZ_REQUEST_ERROR_5XX, 2},
        {FAKE_429_LATE, RYZ_REQUEST_LATE, 0},
        {FAKE_504, RYZ_REQUEST_TIMEOUT, 0},
        {FAKE_TIMEOUT_EVENT, RYZ_REQUEST_TIMEOUT, 2},
    };
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        run(cases[c].manners, 3, 2);
        for (uint32_t i = 0; i < 6; i++) {
            cr_assert_eq(heard[i].done.status, cases[c].status, "manners %d gave %d: %s",
                         (int)cases[c].manners, (int)heard[i].done.status, heard[i].done.reason);
            cr_assert_eq(heard[i].tokens, cases[c].tokens);
        }
    }
}

Test(http, a_reset_loses_the_request)
{
    run(FAKE_RESETS, 3, 2);
    for (uint32_t i = 0; i < 6; i++) {
        cr_assert_eq(heard[i].done.status, RYZ_REQUEST_LOST);
        cr_assert_leq(heard[i].tokens, 2); /* a reset may overtake what was sent before it */
    }
}

Test(http, events_that_are_no_json_fail_the_request)
{
    run(FAKE_BAD_JSON, 2, 2);
    for (uint32_t i = 0; i < 4; i++) {
        cr_assert_eq(heard[i].done.status, RYZ_REQUEST_ERROR_5XX);
        cr_assert(strstr(heard[i].done.reason, "malformed") != NULL);
    }
}

Test(http, a_server_that_is_not_there_refuses)
{
    /* A port that was free a moment ago and that nobody listens on. */
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    struct ryz_target *target = open_target(ntohs(address.sin_port), false);
    for (uint32_t i = 0; i < 3; i++) (void)ask(target, i, 4);
    poll_all(target, 3);
    for (uint32_t i = 0; i < 3; i++) {
        cr_assert_eq(heard[i].done.status, RYZ_REQUEST_ERROR_5XX);
        cr_assert(strstr(heard[i].done.reason, "refused") != NULL, "%s", heard[i].done.reason);
    }
    ryz_target_close(target);
    (void)close(fd);
}

Test(http, requests_go_out_while_the_server_holds_all_answers)
{
    fake_server_open(&server, FAKE_HELD);
    struct ryz_target *target = open_target(server.port, false);
    for (uint32_t i = 0; i < 20; i++) (void)ask(target, i, 5);
    while (server.held < 20) cr_assert_eq(poll_once(target), 0);
    fake_server_release(&server);
    poll_all(target, 20);
    for (uint32_t i = 0; i < 20; i++) cr_assert_eq(heard[i].done.status, RYZ_REQUEST_OK);
    ryz_target_close(target);
    fake_server_close(&server);
}

Test(http, a_cancelled_request_closes_its_connection)
{
    fake_server_open(&server, FAKE_SILENT);
    struct ryz_target *target = open_target(server.port, false);
    void *handles[4];
    for (uint32_t i = 0; i < 4; i++) handles[i] = ask(target, i, 5);
    while (server.requests < 4) cr_assert_eq(poll_once(target), 0);
    for (uint32_t i = 0; i < 3; i++) target->ops->cancel(target, handles[i]);
    target->ops->cancel(target, handles[0]); /* twice: nothing more happens */
    poll_all(target, 3);
    for (uint32_t i = 0; i < 3; i++) cr_assert_eq(heard[i].done.status, RYZ_REQUEST_CANCELLED);
    while (server.left < 3) continue;
    cr_assert_eq(heard[3].dones, 0);
    ryz_target_close(target); /* gives up the fourth */
    fake_server_close(&server);
    cr_assert_eq(server.left, 4);
}

Test(http, finds_the_model_or_says_what_is_wrong)
{
    char url[64];
    struct ryz_target *target = NULL;
    struct ryz_error error = {.text = ""};
    fake_server_open(&server, FAKE_GOOD);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u/v1", server.port);
    struct ryz_http_options options = {.url = url, .clock = ryz_real_clock_monotonic()};
    cr_assert_eq(ryz_http_open(&options, &target, &error), RYZ_OK, "%s", error.text);
    ryz_target_close(target);
    fake_server_close(&server);
    cr_assert_neq(ryz_http_open(&options, &target, &error), RYZ_OK);
    cr_assert(strstr(error.text, "no server") != NULL, "%s", error.text);
    const char *bads[] = {
        "https://x/v1",       "ftp://x",       "http://",     "http://:80",  "http://a:b",
        "http://a:123456789", "http://a b/v1", "http://u@h/", "http://[::1", "http://h/?q"};
    for (size_t i = 0; i < sizeof bads / sizeof bads[0]; i++) {
        options.url = bads[i];
        enum ryz_status status = ryz_http_open(&options, &target, &error);
        cr_assert(status == RYZ_INVALID || status == RYZ_UNSUPPORTED, "%s: %s", bads[i],
                  error.text);
        cr_assert_null(target);
    }
}
