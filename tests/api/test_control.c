/*
 * test_control.c - the control channel.
 *
 * Goal: plans arm engine and server at the right times, records come back once and whole, hostile
 * lines are answered and forgotten, the socket is private. Method: a made-up engine and a plain
 * Unix socket client.
 */
#include "engine/api/control.h"
#include "engine/api/control_codec.h"
#include "engine/base/rng.h"
#include "engine/base/size.h"
#include "tests/api/fixture.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

static struct fixture f;
static struct ryz_control *control;
static char folder[64], path[96];

static struct ryz_control_options options_for(const char *socket_path)
{
    return (struct ryz_control_options){.path = socket_path,
                                        .engine = f.engine,
                                        .server = f.server,
                                        .clock = fixture_clock(),
                                        .records_max = 64};
}

static void set_up(void)
{
    struct ryz_error error = {.text = ""};
    (void)snprintf(folder, sizeof folder, "/tmp/ryz-control-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/socket", folder);
    fixture_open(&f, 8);
    const struct ryz_control_options options = options_for(path);
    cr_assert_eq(ryz_control_open(&options, &control, &error), RYZ_OK, "%s", error.text);
}

static void tear_down(void)
{
    ryz_control_close(control);
    cr_assert_neq(access(path, F_OK), 0, "the socket's file is still there");
    fixture_close(&f);
    (void)rmdir(folder);
}

TestSuite(control, .init = set_up, .fini = tear_down, .timeout = 120);

static FILE *connect_to(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct timeval patience = {.tv_sec = 20};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    cr_assert_eq(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    FILE *stream = fdopen(fd, "r+");
    cr_assert_not_null(stream);
    return stream;
}

static json_t *read_line(FILE *stream)
{
    char *line = NULL;
    size_t capacity = 0;
    cr_assert_gt(getline(&line, &capacity, stream), 0, "no answer");
    json_t *root = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
    cr_assert_not_null(root, "%s", line);
    free(line);
    return root;
}

static json_t *say(FILE *stream, const char *line)
{
    (void)fprintf(stream, "%s\n", line);
    (void)fflush(stream);
    return read_line(stream);
}

static void assert_ok(json_t *answer)
{
    cr_assert(json_is_true(json_at(answer, "ok")));
    json_decref(answer);
}

Test(control, the_socket_is_for_its_owner_only)
{
    struct stat info;
    cr_assert_eq(lstat(path, &info), 0);
    cr_assert(S_ISSOCK(info.st_mode));
    cr_assert_eq(info.st_mode & 0777, 0600, "mode %o", info.st_mode & 0777);
}

Test(control, a_plan_is_armed_relative_to_its_start)
{
    FILE *stream = connect_to();
    int64_t t0_ns = ryz_clock_now_ns(fixture_clock());
    char line[1024];
    (void)snprintf(line, sizeof line,
                   "{\"op\":\"faults\",\"seed\":\"18446744073709551615\",\"t0_ns\":%lld,"
                   "\"faults\":[{\"name\":\"late\",\"point\":\"engine.step\",\"action\":\"delay\","
                   "\"at_ns\":5000000000,\"until_ns\":6000000000,\"permille\":1000,\"value_ns\":7},"
                   "{\"name\":\"now\",\"point\":\"net.write\",\"action\":\"disconnect\"}]}",
                   (long long)t0_ns);
    assert_ok(say(stream, line));
    const struct ryz_fault *fault = NULL;
    cr_assert_not_null(f.engine->faults);
    cr_assert_not(
        ryz_fault_hit(f.engine->faults, RYZ_FAULT_ENGINE_STEP, t0_ns + 4 * RYZ_NS_PER_S, &fault));
    cr_assert(
        ryz_fault_hit(f.engine->faults, RYZ_FAULT_ENGINE_STEP, t0_ns + 5 * RYZ_NS_PER_S, &fault));
    cr_assert_str_eq(fault->name, "late");
    cr_assert_eq(fault->value_ns, 7);
    cr_assert_not(
        ryz_fault_hit(f.engine->faults, RYZ_FAULT_ENGINE_STEP, t0_ns + 6 * RYZ_NS_PER_S, &fault));
    json_t *stats = say(stream, "{\"op\":\"stats\"}");
    cr_assert_eq(integer_at(stats, "fault_hits.0"), 1);
    cr_assert_eq(integer_at(stats, "fault_hits.1"), 0);
    json_decref(stats);
    assert_ok(say(stream, "{\"op\":\"faults\",\"faults\":[]}"));
    cr_assert_null(f.engine->faults, "an empty plan disarms");
    (void)fclose(stream);
}

Test(control, stats_are_the_engines)
{
    FILE *stream = connect_to();
    f.engine->stats = (struct ryz_core_stats){.running = 1, .arrived = 7, .tokens_decoded = 99};
    json_t *stats = say(stream, "{\"op\":\"stats\"}");
    cr_assert_eq(integer_at(stats, "running"), 1);
    cr_assert_eq(integer_at(stats, "arrived"), 7);
    cr_assert_eq(integer_at(stats, "tokens_decoded"), 99);
    cr_assert_str_eq(text_at(stats, "digest"), "0000000000d19e57");
    cr_assert_gt(integer_at(stats, "now_ns"), 0);
    json_decref(stats);
    (void)fclose(stream);
}

Test(control, a_drain_is_passed_on)
{
    FILE *stream = connect_to();
    struct answer answer;
    assert_ok(say(stream, "{\"op\":\"drain\"}"));
    ask(f.port, "/healthz", NULL, &answer);
    cr_assert_eq(answer.status, 503);
    answer_deinit(&answer);
    (void)fclose(stream);
}

/* Asks for the records; counts them and keeps the last of each kind. */
static json_t *fetch(FILE *stream, size_t *steps, size_t *spans, json_t *last[2])
{
    *steps = *spans = 0;
    json_t *line = say(stream, "{\"op\":\"records\"}");
    while (json_at(line, "ok") == NULL) {
        int kind = json_at(line, "step") != NULL ? 0 : 1;
        if (kind == 0) ++*steps;
        if (kind == 1) ++*spans;
        json_decref(last[kind]);
        last[kind] = line;
        line = read_line(stream);
    }
    return line;
}

Test(control, records_come_back_once_and_what_did_not_fit_is_counted)
{
    FILE *stream = connect_to();
    size_t steps = 0, spans = 0;
    json_t *last[2] = {NULL, NULL};
    for (int i = 0; i < 70; i++) {
        const struct ryz_step_record step = {.t_ns = i,
                                             .duration_ns = 5,
                                             .shape = {.context_tokens = 12},
                                             .failed = i == 63,
                                             .stats = {.kv_blocks_used = 3}};
        ryz_control_step(control, &step);
    }
    struct ryz_span span = {.trace_id = {0xab},
                            .span_id = UINT64_MAX,
                            .request = 4,
                            .attr = 1.5,
                            .name = RYZ_SPAN_PREFILL,
                            .status = RYZ_FAULT};
    ryz_control_span(control, &span);
    json_t *end = fetch(stream, &steps, &spans, last);
    cr_assert_eq(steps, 64);
    cr_assert_eq(spans, 1);
    cr_assert_eq(integer_at(end, "dropped"), 6);
    cr_assert_eq(integer_at(end, "steps"), 64);
    cr_assert_eq(integer_at(last[0], "step.t_ns"), 63);
    cr_assert_eq(integer_at(last[0], "step.context_tokens"), 12);
    cr_assert_eq(integer_at(last[0], "step.kv_blocks_used"), 3);
    cr_assert(json_is_true(json_at(last[0], "step.failed")));
    cr_assert_str_eq(text_at(last[1], "span.trace_id"), "ab000000000000000000000000000000");
    cr_assert_str_eq(text_at(last[1], "span.span_id"), "ffffffffffffffff");
    cr_assert_str_eq(text_at(last[1], "span.name"), "engine.prefill");
    cr_assert_str_eq(text_at(last[1], "span.status"), "FAULT");
    json_decref(end);
    end = fetch(stream, &steps, &spans, last);
    cr_assert_eq(steps + spans, 0);
    cr_assert_eq(integer_at(end, "dropped"), 6);
    json_decref(end);
    json_decref(last[0]);
    json_decref(last[1]);
    (void)fclose(stream);
}

Test(control, wrong_lines_are_answered_and_change_nothing)
{
    static const char *const lines[] = {
        "",
        "{",
        "[]",
        "null",
        "{\"op\":1}",
        "{\"op\":\"explode\"}",
        "{\"op\":\"faults\"}",
        "{\"op\":\"faults\",\"faults\":{}}",
        "{\"op\":\"faults\",\"faults\":[1]}",
        "{\"op\":\"faults\",\"faults\":[{}]}",
        "{\"op\":\"faults\",\"faults\":[{\"name\":\"x\"}]}",
        "{\"op\":\"faults\",\"faults\":[{\"name\":\"x\",\"point\":\"nowhere\"}]}",
        "{\"op\":\"faults\",\"faults\":[{\"name\":\"x\",\"point\":\"client\",\"action\":\"y\"}]}",
        "{\"op\":\"faults\",\"faults\":[{\"name\":\"0123456789012345678901234567890123456789\","
        "\"point\":\"client\",\"action\":\"disconnect\"}]}",
        "{\"op\":\"faults\",\"faults\":[{\"name\":\"x\",\"point\":\"kv.alloc\",\"action\":\"kill\"}"
        "]}",
        "{\"op\":\"faults\",\"faults\":[{\"name\":\"x\",\"point\":\"kv.alloc\",\"action\":\"fail\","
        "\"permille\":1001}]}",
        "{\"op\":\"faults\",\"faults\":[{\"name\":\"x\",\"point\":\"kv.alloc\",\"action\":\"fail\","
        "\"permille\":4294967297}]}",
        "{\"op\":\"faults\",\"faults\":[{\"name\":\"x\",\"point\":\"kv.alloc\",\"action\":\"fail\","
        "\"at_ns\":-1}]}",
        "{\"op\":\"faults\",\"seed\":\"x\",\"faults\":[]}",
        "{\"op\":\"faults\",\"seed\":\"18446744073709551616\",\"faults\":[]}",
        "{\"op\":\"faults\",\"seed\":1.5,\"faults\":[]}"};
    FILE *stream = connect_to();
    for (size_t i = 0; i < RYZ_COUNT_OF(lines); i++) {
        json_t *answer = say(stream, lines[i]);
        cr_assert(json_is_false(json_at(answer, "ok")), "%s", lines[i]);
        cr_assert_gt(strlen(text_at(answer, "error")), 3, "%s", lines[i]);
        json_decref(answer);
    }
    cr_assert_null(f.engine->faults);
    (void)fclose(stream);
}

Test(control, an_endless_line_ends_the_conversation_and_the_next_client_is_served)
{
    (void)signal(SIGPIPE, SIG_IGN);
    FILE *stream = connect_to();
    for (int i = 0; i < 70000; i++) (void)fputc('x', stream);
    (void)fflush(stream);
    /* The refusal may be lost to the reset that unread bytes cause; the end may not. */
    while (fgetc(stream) != EOF) {
    }
    (void)fclose(stream);
    stream = connect_to();
    json_t *stats = say(stream, "{\"op\":\"stats\"}");
    json_decref(stats);
    (void)fclose(stream);
}

Test(control, random_lines_are_parsed_or_refused)
{
    static const char seed[] = "{\"op\":\"faults\",\"seed\":1,\"t0_ns\":2,\"faults\":[{\"name\":"
                               "\"x\",\"point\":\"kv.alloc\",\"action\":\"fail\",\"at_ns\":3}]}";
    struct ryz_rng rng;
    uint32_t accepted = 0;
    ryz_rng_init(&rng, 31, 0);
    for (int round = 0; round < 20000; round++) {
        char line[sizeof seed];
        struct ryz_control_request request;
        struct ryz_error error = {.text = ""};
        memcpy(line, seed, sizeof seed);
        for (uint64_t changes = 1 + ryz_rng_below(&rng, 2); changes > 0; changes--)
            line[ryz_rng_below(&rng, sizeof seed - 1)] = (char)ryz_rng_below(&rng, 256);
        enum ryz_status status = ryz_control_parse(line, sizeof seed - 1, &request, &error);
        cr_assert(status == RYZ_OK || status == RYZ_INVALID);
        cr_assert_eq(status == RYZ_OK, error.text[0] == '\0');
        accepted += status == RYZ_OK;
    }
    cr_assert_gt(accepted, 20);
}

/* After stop, engine and server may go; records may still be handed in. */
Test(control, a_stopped_channel_leaves_engine_and_server_alone)
{
    struct fixture own;
    struct ryz_control *channel = NULL;
    char other[128];
    (void)snprintf(other, sizeof other, "%s/other", folder);
    fixture_open(&own, 8);
    struct ryz_control_options options = options_for(other);
    options.engine = own.engine;
    options.server = own.server;
    cr_assert_eq(ryz_control_open(&options, &channel, NULL), RYZ_OK);
    ryz_control_stop(channel);
    fixture_close(&own);
    ryz_control_step(channel, &(struct ryz_step_record){.t_ns = 1});
    ryz_control_close(channel);
    ryz_control_close(NULL);
}

Test(control, paths_that_cannot_be_sockets_are_refused)
{
    struct ryz_control *channel = NULL;
    struct ryz_error error = {.text = ""};
    char file[128], far[256];
    (void)snprintf(file, sizeof file, "%s/file", folder);
    FILE *plain = fopen(file, "w");
    cr_assert_not_null(plain);
    (void)fclose(plain);
    struct ryz_control_options options = options_for(file);
    cr_assert_eq(ryz_control_open(&options, &channel, &error), RYZ_INVALID);
    cr_assert_eq(access(file, F_OK), 0, "a file of somebody else was removed");
    (void)unlink(file);
    memset(far, 'x', sizeof far - 1);
    far[sizeof far - 1] = '\0';
    options.path = far;
    cr_assert_eq(ryz_control_open(&options, &channel, &error), RYZ_INVALID);
    options.path = "";
    cr_assert_eq(ryz_control_open(&options, &channel, &error), RYZ_INVALID);
    options.path = "/no/such/folder/socket";
    cr_assert_eq(ryz_control_open(&options, &channel, &error), RYZ_IO);
    cr_assert_null(channel);
}

Test(control, an_old_socket_is_replaced)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct ryz_control *channel = NULL;
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/old", folder);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert_eq(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    (void)close(fd); /* as a killed server leaves it */
    const struct ryz_control_options options = options_for(address.sun_path);
    cr_assert_eq(ryz_control_open(&options, &channel, NULL), RYZ_OK);
    ryz_control_close(channel);
}
