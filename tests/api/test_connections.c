/*
 * test_connections.c - clients that leave, dawdle, flood or lie.
 *
 * Goal: whatever a client does, its request leaves the engine, nobody else notices, and the server
 * answers the next one. Method: the test plays both the client and the engine; timeouts are tested
 * by moving the clock, never by waiting for them.
 */
#include "engine/base/rng.h"
#include "engine/base/size.h"
#include "tests/api/fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static struct fixture f;

static void set_up(void)
{
    fixture_open(&f, 8);
}

static void tear_down(void)
{
    fixture_close(&f);
}

TestSuite(connections, .init = set_up, .fini = tear_down, .timeout = 120);

#define STREAM "{\"prompt\":\"a\",\"stream\":true}"
#define WHOLE  "{\"prompt\":\"a\"}"

static void assert_alive(void)
{
    struct answer answer;
    f.engine->heartbeat_ns = ryz_clock_now_ns(fixture_clock());
    ask(f.port, "/healthz", NULL, &answer);
    cr_assert_eq(answer.status, 200);
    answer_deinit(&answer);
}

static void pause_ms(int ms)
{
    const struct timespec pause = {.tv_nsec = ms * 1000000L};
    (void)nanosleep(&pause, NULL);
}

/* Waits until no generation is open. */
static void await_idle(void)
{
    for (int i = 0; i < 10000 && ryz_server_active(f.server) > 0; i++) pause_ms(2);
    cr_assert_eq(ryz_server_active(f.server), 0);
}

/* Waits until the server closes the connection. */
static void await_close(struct client *client)
{
    char byte = 0;
    while (recv(client->fd, &byte, 1, 0) > 0) {
    }
}

static void leave(struct client *client, int how)
{
    if (how == 0) {
        client_close(client);
    } else if (how == 1) {
        client_reset(client);
    } else {
        (void)shutdown(client->fd, SHUT_WR);
    }
}

Test(connections, a_client_that_leaves_cancels_its_request)
{
    size_t n = 0;
    for (int how = 0; how < 3; how++) {
        for (int stream = 0; stream < 2; stream++, n++) {
            struct client client;
            client_open(&client, f.port);
            client_post(&client, "/v1/completions", "", stream ? STREAM : WHOLE);
            struct fake_job *job = fake_take(f.engine);
            cr_assert_not(job->cancelled);
            leave(&client, how);
            fake_await_cancel(f.engine, job);
            fake_end(job, RYZ_CANCELLED, RYZ_FINISH_ERROR, "");
            await_idle();
            json_t *line = fixture_request_line(&f, n);
            cr_assert_str_eq(text_at(line, "finish"), "cancelled");
            cr_assert_eq(integer_at(line, "status"), 499);
            json_decref(line);
            if (how == 2) client_close(&client);
        }
    }
    assert_alive();
}

Test(connections, a_client_that_leaves_in_mid_stream_cancels_its_request)
{
    for (int how = 0; how < 3; how++) {
        struct client client;
        struct answer head;
        client_open(&client, f.port);
        client_post(&client, "/v1/completions", "", STREAM);
        struct fake_job *job = fake_take(f.engine);
        fake_token(job, 'a');
        client_read_head(&client, &head);
        free(client_read_event(&client, NULL));
        leave(&client, how);
        fake_await_cancel(f.engine, job);
        fake_token(job, 'b'); /* one was on its way */
        fake_end(job, RYZ_CANCELLED, RYZ_FINISH_ERROR, "");
        await_idle();
        if (how == 2) client_close(&client);
    }
    assert_alive();
}

Test(connections, the_engine_may_end_a_request_long_after_its_client_left)
{
    struct client client;
    client_open(&client, f.port);
    client_post(&client, "/v1/completions", "", STREAM);
    struct fake_job *job = fake_take(f.engine);
    fake_token(job, 'a');
    client_reset(&client);
    fake_await_cancel(f.engine, job);
    assert_alive();
    fake_token(job, 'b');
    fake_end(job, RYZ_CANCELLED, RYZ_FINISH_ERROR, "");
    await_idle();
}

Test(connections, a_reader_that_falls_behind_is_cut_off)
{
    struct client client;
    static char text[4096];
    memset(text, 'x', sizeof text);
    client_open(&client, f.port);
    client_post(&client, "/v1/completions", "", STREAM);
    struct fake_job *job = fake_take(f.engine);
    uint32_t sent = 0;
    for (; !job->cancelled && sent < 100000; sent++) fake_token_text(job, 'x', text, sizeof text);
    cr_assert(job->cancelled, "400 MB were buffered for a client that reads nothing");
    cr_assert_gt(sent, 200, "cut off with hardly anything unread");
    fake_end(job, RYZ_CANCELLED, RYZ_FINISH_ERROR, "");
    await_idle();
    await_close(&client);
    client_close(&client);
    assert_alive();
}

Test(connections, an_injected_reset_breaks_the_stream_and_cancels)
{
    const struct ryz_fault fault = {.name = "reset",
                                    .point = RYZ_FAULT_NET_WRITE,
                                    .action = RYZ_FAULT_DISCONNECT,
                                    .until_ns = RYZ_TIME_NEVER,
                                    .permille = 1000};
    struct ryz_faults *faults = NULL;
    cr_assert_eq(ryz_faults_open(&fault, 1, 1, &faults, NULL), RYZ_OK);
    struct client client;
    struct answer head;
    bool whole = true;
    client_open(&client, f.port);
    client_post(&client, "/v1/completions", "", STREAM);
    struct fake_job *job = fake_take(f.engine);
    fake_token(job, 'a');
    client_read_head(&client, &head);
    free(client_read_event(&client, NULL));
    ryz_server_set_faults(f.server, faults);
    fake_token(job, 'b');
    fake_await_cancel(f.engine, job);
    cr_assert_null(client_read_event(&client, &whole));
    cr_assert_not(whole, "the stream looks as if it had ended well");
    fake_end(job, RYZ_CANCELLED, RYZ_FINISH_ERROR, "");
    await_idle();
    cr_assert_geq(ryz_fault_hits(faults, 0), 1);
    ryz_server_set_faults(f.server, NULL);
    ryz_faults_close(faults);
    client_close(&client);
    assert_alive();
}

Test(connections, a_request_that_never_becomes_whole_is_cut_off)
{
    static const char *const pieces[] = {
        "", "GET /healthz HTTP/1.1\r\nHost: t\r\nX-Slow: ",
        "POST /v1/completions HTTP/1.1\r\nHost: t\r\nContent-Length: 100\r\n\r\n{\"prompt\""};
    for (size_t i = 0; i < RYZ_COUNT_OF(pieces); i++) {
        struct client client;
        client_open(&client, f.port);
        client_send_text(&client, pieces[i]);
        assert_alive(); /* and the pieces have arrived */
        fixture_advance(61 * RYZ_NS_PER_S);
        await_close(&client);
        client_close(&client);
    }
    assert_alive();
}

Test(connections, a_request_in_the_engine_may_take_longer_than_reading_may)
{
    struct client client;
    struct answer answer;
    client_open(&client, f.port);
    client_post(&client, "/v1/completions", "", WHOLE);
    struct fake_job *job = fake_take(f.engine);
    fixture_advance(3600 * RYZ_NS_PER_S);
    pause_ms(600); /* two looks at the deadlines */
    cr_assert_not(job->cancelled);
    fake_token(job, 'a');
    fake_end(job, RYZ_OK, RYZ_FINISH_LENGTH, "");
    client_read(&client, &answer);
    cr_assert_eq(answer.status, 200);
    answer_deinit(&answer);
    client_close(&client);
}

Test(connections, pipelined_requests_are_answered_in_order)
{
    struct client client;
    struct answer answer;
    client_open(&client, f.port);
    client_get(&client, "/healthz");
    client_post(&client, "/v1/completions", "", WHOLE);
    client_get(&client, "/v1/models");
    client_post(&client, "/v1/completions", "", STREAM);
    client_get(&client, "/healthz");
    client_read(&client, &answer);
    cr_assert_not_null(strstr(answer.body, "\"ok\""));
    answer_deinit(&answer);
    struct fake_job *job = fake_take(f.engine);
    fake_token(job, 'p');
    fake_end(job, RYZ_OK, RYZ_FINISH_LENGTH, "");
    client_read(&client, &answer);
    cr_assert_not_null(strstr(answer.body, "\"text\":\"p\""));
    answer_deinit(&answer);
    client_read(&client, &answer);
    cr_assert_not_null(strstr(answer.body, "\"list\""));
    answer_deinit(&answer);
    fake_end(fake_take(f.engine), RYZ_OK, RYZ_FINISH_STOP, "s");
    client_read(&client, &answer);
    cr_assert_not_null(strstr(answer.body, "[DONE]"));
    answer_deinit(&answer);
    client_read(&client, &answer);
    cr_assert_not_null(strstr(answer.body, "\"ok\""));
    answer_deinit(&answer);
    client_close(&client);
}

Test(connections, more_than_the_allowed_connections_are_refused)
{
    struct client clients[8], one_more;
    struct answer answer;
    for (size_t i = 0; i < RYZ_COUNT_OF(clients); i++) {
        client_open(&clients[i], f.port);
        client_get(&clients[i], "/healthz");
        client_read(&clients[i], &answer);
        cr_assert_eq(answer.status, 200);
        answer_deinit(&answer);
    }
    client_open(&one_more, f.port); /* by the kernel */
    client_get(&one_more, "/healthz");
    client_read(&one_more, &answer);
    cr_assert_eq(answer.status, 0, "connection nine of eight was answered");
    answer_deinit(&answer);
    client_close(&one_more);
    client_close(&clients[0]);
    for (int i = 0; i < 1000; i++) { /* the place is free once the server has seen the end */
        ask(f.port, "/healthz", NULL, &answer);
        bool served = answer.status == 200;
        answer_deinit(&answer);
        if (served) break;
        cr_assert_lt(i, 999);
        pause_ms(2);
    }
    for (size_t i = 1; i < RYZ_COUNT_OF(clients); i++) client_close(&clients[i]);
}

/* Sends bytes and hangs up, reading whatever comes. */
static void throw_at_server(const char *bytes, size_t length)
{
    struct client client;
    client_open(&client, f.port);
    client_send(&client, bytes, length);
    (void)shutdown(client.fd, SHUT_WR);
    await_close(&client);
    client_close(&client);
}

Test(connections, bytes_that_are_no_http_do_no_harm)
{
    static const char *const texts[] = {
        "\r\n\r\n\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "POST /v1/completions HTTP/1.1\r\nHost: t\r\nContent-Length: -1\r\n\r\n",
        "POST /v1/completions HTTP/1.1\r\nHost: t\r\nContent-Length: abc\r\n\r\n",
        "POST /v1/completions HTTP/1.1\r\nHost: t\r\nContent-Length: "
        "99999999999999999999999999999\r\n\r\n",
        "POST /v1/completions HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "POST /v1/completions HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
        "ffffffffffffffffff\r\n",
        "GET /%00%ff%zz HTTP/1.1\r\nHost: t\r\n\r\n",
        "\x16\x03\x01\x02\x01\x01\xfc\x03\x03 a TLS hello",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"};
    for (size_t i = 0; i < RYZ_COUNT_OF(texts); i++) throw_at_server(texts[i], strlen(texts[i]));
    struct ryz_rng rng;
    ryz_rng_init(&rng, 4711, 0);
    for (int round = 0; round < 60; round++) {
        char bytes[300];
        size_t length = ryz_rng_below(&rng, sizeof bytes);
        for (size_t i = 0; i < length; i++) bytes[i] = (char)ryz_rng_below(&rng, 256);
        throw_at_server(bytes, length);
    }
    assert_alive();
}

Test(connections, a_flood_of_headers_is_refused)
{
    struct client client;
    struct answer answer;
    static char name[64];
    client_open(&client, f.port);
    client_send_text(&client, "GET /healthz HTTP/1.1\r\nHost: t\r\n");
    for (int i = 0; i < 5000; i++) {
        (void)snprintf(name, sizeof name, "X-Header-%d: value value value value\r\n", i);
        client_send_text(&client, name);
    }
    client_send_text(&client, "\r\n");
    client_read_head(&client, &answer);
    cr_assert(answer.status == 0 || answer.status == 413 || answer.status == 431, "%d",
              answer.status);
    client_close(&client);
    assert_alive();
}

Test(connections, random_bodies_are_answered_and_nothing_stays_open)
{
    static const char seed[] = "{\"prompt\":\"hello\",\"max_tokens\":5,\"stream\":false}";
    struct ryz_rng rng;
    struct client client;
    uint32_t refused = 0;
    ryz_rng_init(&rng, 99, 0);
    client_open(&client, f.port);
    for (int round = 0; round < 300; round++) {
        char body[sizeof seed];
        struct answer answer;
        memcpy(body, seed, sizeof seed);
        body[0] = (char)(1 + ryz_rng_below(&rng, 255)); /* never again an object */
        body[ryz_rng_below(&rng, sizeof seed - 1)] = (char)(1 + ryz_rng_below(&rng, 255));
        if (body[0] == '{') continue;
        client_post(&client, "/v1/completions", "", body);
        client_read(&client, &answer);
        cr_assert_eq(answer.status, 400, "%s", body);
        refused++;
        answer_deinit(&answer);
    }
    client_close(&client);
    cr_assert_gt(refused, 200);
    cr_assert_eq(f.engine->job_count, 0);
    assert_alive();
}

/* What close() finds: suspended connections of both kinds, one stream in mid-flight. */
Test(connections, a_server_can_be_closed_over_open_requests)
{
    struct fixture own;
    struct client clients[3];
    struct fake_job *jobs[3];
    struct answer head;
    bool whole = true;
    fixture_open(&own, 8);
    for (int i = 0; i < 3; i++) {
        client_open(&clients[i], own.port);
        client_post(&clients[i], "/v1/completions", "", i == 0 ? WHOLE : STREAM);
        jobs[i] = fake_take(own.engine);
    }
    fake_token(jobs[2], 'a');
    client_read_head(&clients[2], &head);
    free(client_read_event(&clients[2], NULL));
    ryz_server_close(own.server, 0);
    cr_assert_null(client_read_event(&clients[2], &whole));
    cr_assert_not(whole);
    for (int i = 0; i < 3; i++) {
        fake_await_cancel(own.engine, jobs[i]);
        fake_token(jobs[i], 'x'); /* the server is gone; the exchange is not */
        fake_end(jobs[i], RYZ_CANCELLED, RYZ_FINISH_ERROR, "");
        client_close(&clients[i]);
    }
    fake_close(own.engine);
    ryz_metrics_close(own.metrics);
    for (size_t i = 0; i < own.line_count; i++) free(own.lines[i]);
}

struct closing {
    struct ryz_server *server;
    int64_t until_ns;
};

static void *close_server(void *argument)
{
    const struct closing *closing = argument;
    ryz_server_close(closing->server, closing->until_ns);
    return NULL;
}

Test(connections, a_drain_waits_for_streams_to_end)
{
    struct fixture own;
    struct client client;
    struct answer answer;
    pthread_t thread;
    fixture_open(&own, 8);
    client_open(&client, own.port);
    client_post(&client, "/v1/completions", "", STREAM);
    struct fake_job *job = fake_take(own.engine);
    fake_token(job, 'a');
    struct closing closing = {own.server, ryz_clock_now_ns(fixture_clock()) + 60 * RYZ_NS_PER_S};
    cr_assert_eq(pthread_create(&thread, NULL, close_server, &closing), 0);
    pause_ms(50);
    fake_token(job, 'b');
    fake_end(job, RYZ_OK, RYZ_FINISH_LENGTH, "");
    client_read(&client, &answer);
    cr_assert(answer.whole, "%d %s", answer.status, answer.body);
    cr_assert_not_null(strstr(answer.body, "[DONE]"));
    answer_deinit(&answer);
    client_close(&client);
    (void)pthread_join(thread, NULL);
    fake_close(own.engine);
    ryz_metrics_close(own.metrics);
    for (size_t i = 0; i < own.line_count; i++) free(own.lines[i]);
}

Test(connections, a_port_that_is_taken_is_named_in_the_error)
{
    struct ryz_error error = {.text = ""};
    struct ryz_server *server = NULL;
    const struct ryz_server_options options = {.host = "127.0.0.1",
                                               .port = f.port,
                                               .model_name = "m",
                                               .engine = f.engine,
                                               .clock = fixture_clock(),
                                               .wall = fixture_clock(),
                                               .connections_max = 1,
                                               .body_bytes_max = 1};
    cr_assert_eq(ryz_server_open(&options, &server, &error), RYZ_IO);
    cr_assert_null(server);
    char port[16];
    (void)snprintf(port, sizeof port, "%u", f.port);
    cr_assert_not_null(strstr(error.text, port), "%s", error.text);
    cr_assert_not_null(strstr(error.text, "in use"), "%s", error.text);
}
