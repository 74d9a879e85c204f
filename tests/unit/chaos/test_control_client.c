/*
 * Goal: the client of the control channel sends what the server reads, takes records back, and
 * survives a server that answers nonsense or nothing.
 * Method: a thread that plays the server on a Unix socket with a canned answer.
 */
#include "harness/chaos/control_client.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct fake_server {
    char path[64];
    int listener;
    const char *answer;
    char heard[4096];
    pthread_t thread;
};

static void *answer_once(void *context)
{
    struct fake_server *server = context;
    int fd = accept(server->listener, NULL, NULL);
    if (fd < 0) return NULL;
    size_t used = 0;
    while (used < sizeof server->heard - 1 && strchr(server->heard, '\n') == NULL) {
        ssize_t got = read(fd, server->heard + used, sizeof server->heard - 1 - used);
        if (got <= 0) break;
        used += (size_t)got;
    }
    size_t length = strlen(server->answer);
    ssize_t put = write(fd, server->answer, length);
    cr_expect_eq((size_t)put, length);
    (void)close(fd);
    return NULL;
}

static void start(struct fake_server *server, const char *answer)
{
    static int number;
    *server = (struct fake_server){.answer = answer};
    (void)snprintf(server->path, sizeof server->path, "/tmp/ryz-test-control-%d-%d", (int)getpid(),
                   number++);
    (void)unlink(server->path);
    server->listener = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", server->path);
    cr_assert_eq(bind(server->listener, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(listen(server->listener, 4), 0);
    cr_assert_eq(pthread_create(&server->thread, NULL, answer_once, server), 0);
}

static void stop(struct fake_server *server)
{
    (void)pthread_join(server->thread, NULL);
    (void)close(server->listener);
    (void)unlink(server->path);
}

struct records {
    uint32_t steps, spans;
    struct ryz_step_record step;
    struct ryz_span span;
};

static void on_step(void *context, const struct ryz_step_record *step)
{
    struct records *records = context;
    records->steps++;
    records->step = *step;
}

static void on_span(void *context, const struct ryz_span *span)
{
    struct records *records = context;
    records->spans++;
    records->span = *span;
}

static enum ryz_status fetch(const char *path, struct records *records, uint64_t *dropped)
{
    struct ryz_control_records sink = {.context = records, .step = on_step, .span = on_span};
    enum ryz_status status = ryz_control_client_fetch(path, &sink, NULL);
    *dropped = sink.dropped;
    return status;
}

Test(control_client, a_fault_plan_is_one_line_of_json)
{
    struct fake_server server;
    start(&server, "{\"ok\":true}\n");
    struct ryz_fault fault = {.name = "slow",
                              .point = RYZ_FAULT_ENGINE_STEP,
                              .action = RYZ_FAULT_DELAY,
                              .at_ns = 5,
                              .until_ns = 9,
                              .permille = 1000,
                              .value_ns = 40};
    struct ryz_error error = {0};
    cr_expect_eq(ryz_control_client_arm(server.path, &fault, 1, UINT64_MAX, &error), RYZ_OK, "%s",
                 error.text);
    stop(&server);
    cr_expect_str_eq(server.heard,
                     "{\"op\":\"faults\",\"seed\":\"18446744073709551615\",\"t0_ns\":0,\"faults\":"
                     "[{\"name\":\"slow\",\"point\":\"engine.step\",\"action\":\"delay\","
                     "\"at_ns\":5,\"until_ns\":9,\"permille\":1000,\"value_ns\":40}]}\n");
}

Test(control_client, a_refusal_is_told_in_the_servers_words)
{
    struct fake_server server;
    start(&server, "{\"ok\":false,\"error\":\"no such point\"}\n");
    struct ryz_error error = {0};
    cr_expect_eq(ryz_control_client_arm(server.path, NULL, 0, 1, &error), RYZ_INVALID);
    stop(&server);
    cr_expect_not_null(strstr(error.text, "no such point"));
}

Test(control_client, records_come_back_as_structs)
{
    struct fake_server server;
    start(&server, "{\"step\":{\"t_ns\":7,\"duration_ns\":3,\"prefill_tokens\":16,"
                   "\"context_tokens\":99,\"failed\":true}}\n"
                   "{\"span\":{\"trace_id\":\"000102030405060708090a0b0c0d0e0f\","
                   "\"span_id\":\"00000000000000ff\",\"parent\":\"0000000000000001\","
                   "\"request\":4,\"name\":\"engine.decode\",\"t0_ns\":1,\"t1_ns\":2,"
                   "\"attr\":8,\"worker\":0,\"status\":\"OK\"}}\n"
                   "{\"ok\":true,\"end\":true,\"steps\":1,\"spans\":1,\"dropped\":6}\n");
    struct records records = {0};
    uint64_t dropped = 0;
    cr_assert_eq(fetch(server.path, &records, &dropped), RYZ_OK);
    stop(&server);
    cr_assert_eq(records.steps, 1u);
    cr_expect_eq(records.step.t_ns, 7);
    cr_expect_eq(records.step.shape.context_tokens, 99u);
    cr_expect(records.step.failed);
    cr_assert_eq(records.spans, 1u);
    cr_expect_eq(records.span.trace_id[15], 15);
    cr_expect_eq(records.span.span_id, 255u);
    cr_expect_eq(records.span.name, RYZ_SPAN_DECODE);
    cr_expect_eq(dropped, 6u);
}

Test(control_client, nonsense_and_silence_are_errors)
{
    static const char *const answers[] = {"", "not json\n", "[1]\n", "{\"step\":{}}\n"};
    for (size_t i = 0; i < 4; i++) {
        struct fake_server server;
        struct records records = {0};
        uint64_t dropped = 0;
        start(&server, answers[i]);
        cr_expect_neq(fetch(server.path, &records, &dropped), RYZ_OK, "answer %zu", i);
        stop(&server);
    }
    struct ryz_control_records sink = {0};
    cr_expect_eq(ryz_control_client_fetch("/tmp/ryz-no-such-socket", &sink, NULL), RYZ_UNAVAILABLE);
}
