/*
 * test_routes.c - what is answered without the engine, and what every answer carries.
 *
 * Goal: the small routes tell the truth; every refusal is an OpenAI error object with a trace id in
 * the headers, in the log and in a span. Method: a made-up engine, real sockets.
 */
#include "engine/base/size.h"
#include "tests/api/fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct fixture f;

static void set_up(void)
{
    fixture_open(&f, 16);
}

static void tear_down(void)
{
    fixture_close(&f);
}

TestSuite(routes, .init = set_up, .fini = tear_down, .timeout = 120);

static json_t *get_json(const char *path, int status)
{
    struct answer answer;
    ask(f.port, path, NULL, &answer);
    cr_assert_eq(answer.status, status, "%s: %d %s", path, answer.status, answer.body);
    json_t *root = answer_json(&answer);
    answer_deinit(&answer);
    return root;
}

static void assert_health(int status, const char *text)
{
    json_t *root = get_json("/healthz", status);
    cr_assert_str_eq(text_at(root, "status"), text);
    json_decref(root);
}

Test(routes, health_follows_the_engines_heartbeat)
{
    assert_health(200, "ok");
    fixture_advance(11 * RYZ_NS_PER_S);
    assert_health(503, "stuck");
    f.engine->heartbeat_ns += 11 * RYZ_NS_PER_S;
    assert_health(200, "ok");
    ryz_server_drain(f.server);
    assert_health(503, "draining");
}

Test(routes, the_model_is_listed_and_found_by_name)
{
    json_t *root = get_json("/v1/models", 200);
    cr_assert_str_eq(text_at(root, "object"), "list");
    cr_assert_str_eq(text_at(root, "data.0.id"), "m");
    cr_assert_str_eq(text_at(root, "data.0.object"), "model");
    cr_assert_eq(integer_at(root, "data.0.created"), 1767323045);
    cr_assert_eq(integer_at(root, "data.0.max_model_len"), FAKE_CONTEXT);
    json_decref(root);
    root = get_json("/v1/models/m", 200);
    cr_assert_str_eq(text_at(root, "id"), "m");
    json_decref(root);
    root = get_json("/v1/models/other", 404);
    cr_assert_str_eq(text_at(root, "error.code"), "model_not_found");
    json_decref(root);
}

Test(routes, metrics_show_the_engines_figures)
{
    struct answer answer;
    f.engine->stats = (struct ryz_core_stats){
        .running = 3, .waiting = 4, .kv_blocks_used = 5, .kv_blocks_total = 6};
    ask(f.port, "/nothing", NULL, &answer);
    answer_deinit(&answer);
    json_decref(fixture_request_line(&f, 0));
    ask(f.port, "/metrics", NULL, &answer);
    char type[256];
    cr_assert_eq(answer.status, 200);
    cr_assert(answer_header(&answer, "Content-Type", type));
    cr_assert_str_eq(type, "text/plain; version=0.0.4; charset=utf-8");
    static const char *const lines[] = {"ryz_num_requests_running{model_name=\"m\"} 3\n",
                                        "ryz_num_requests_waiting{model_name=\"m\"} 4\n",
                                        "ryz_kv_blocks_used{model_name=\"m\"} 5\n",
                                        "ryz_kv_blocks_capacity{model_name=\"m\"} 6\n",
                                        "ryz_http_requests_total{model_name=\"m\"} 2\n",
                                        "ryz_http_errors_total{model_name=\"m\"} 1\n"};
    for (size_t i = 0; i < RYZ_COUNT_OF(lines); i++)
        cr_assert_not_null(strstr(answer.body, lines[i]), "no %s", lines[i]);
    answer_deinit(&answer);
}

struct refused {
    const char *method, *path, *body;
    int status;
    const char *code;
};

static const struct refused refused[] = {
    {"GET", "/", "", 404, "not_found"},
    {"GET", "/v1/models/", "", 404, "not_found"},
    {"POST", "/v1/embeddings", "{}", 404, "not_found"},
    {"GET", "/v1/completions", "", 405, "method_not_allowed"},
    {"DELETE", "/v1/chat/completions", "", 405, "method_not_allowed"},
    {"POST", "/healthz", "x", 405, "method_not_allowed"},
    {"PUT", "/metrics", "x", 405, "method_not_allowed"},
    {"POST", "/v1/completions", "", 400, "invalid_json"},
    {"POST", "/v1/completions", "not json", 400, "invalid_json"},
    {"POST", "/v1/completions", "{\"prompt\":\"a\",\"model\":\"x\"}", 404, "model_not_found"},
    {"POST", "/v1/completions", "{\"prompt\":\"a\",\"max_tokens\":512}", 400,
     "context_length_exceeded"},
    {"POST", "/v1/chat/completions", "{\"messages\":[]}", 400, "invalid_value"},
};

static void assert_error(const struct answer *answer, int status, const char *code)
{
    char type[256];
    cr_assert_eq(answer->status, status, "%d %s", answer->status, answer->body);
    cr_assert(answer_header(answer, "Content-Type", type));
    cr_assert_str_eq(type, "application/json");
    json_t *root = answer_json(answer);
    cr_assert_str_eq(text_at(root, "error.code"), code);
    (void)text_at(root, "error.message");
    (void)text_at(root, "error.type");
    cr_assert_not_null(json_at(root, "error.param"));
    json_decref(root);
}

Test(routes, every_refusal_is_an_error_object_with_a_trace)
{
    static const char client_trace[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    for (size_t i = 0; i < RYZ_COUNT_OF(refused); i++) {
        const struct refused *r = &refused[i];
        struct client client;
        struct answer answer;
        char text[1024], value[256];
        client_open(&client, f.port);
        (void)snprintf(text, sizeof text,
                       "%s %s HTTP/1.1\r\nHost: t\r\nContent-Length: %zu\r\ntraceparent: %s\r\n"
                       "x-request-id: mine-%zu\r\n\r\n%s",
                       r->method, r->path, strlen(r->body), client_trace, i, r->body);
        client_send_text(&client, text);
        client_read(&client, &answer);
        client_close(&client);
        assert_error(&answer, r->status, r->code);
        cr_assert(answer_header(&answer, "traceparent", value));
        cr_assert_eq(strncmp(value, client_trace, 36), 0, "the client's trace goes on: %s", value);
        cr_assert_neq(strncmp(value + 36, client_trace + 36, 16), 0, "with a span of our own");
        cr_assert(answer_header(&answer, "x-trace-id", text));
        cr_assert_str_eq(text, "0af7651916cd43dd8448eb211c80319c");
        cr_assert(answer_header(&answer, "x-request-id", text));
        cr_assert_eq(strncmp(text, "mine-", 5), 0);
        json_t *line = fixture_request_line(&f, i);
        cr_assert_str_eq(text_at(line, "trace_id"), "0af7651916cd43dd8448eb211c80319c");
        cr_assert_eq(strncmp(text_at(line, "span_id"), value + 36, 16), 0);
        cr_assert_eq(integer_at(line, "status"), r->status);
        cr_assert_str_eq(text_at(line, "method"), r->method);
        cr_assert_str_eq(text_at(line, "path"), r->path);
        json_decref(line);
        answer_deinit(&answer);
    }
}

Test(routes, a_wrong_method_is_told_the_right_ones)
{
    struct answer answer;
    char allow[256];
    ask(f.port, "/v1/completions", NULL, &answer);
    cr_assert(answer_header(&answer, "Allow", allow));
    cr_assert_str_eq(allow, "POST");
    answer_deinit(&answer);
    ask(f.port, "/healthz", "{}", &answer);
    cr_assert(answer_header(&answer, "Allow", allow));
    cr_assert_str_eq(allow, "GET, HEAD");
    answer_deinit(&answer);
}

Test(routes, without_a_valid_traceparent_a_trace_is_made)
{
    static const char *const headers[] = {
        "", "traceparent: nonsense\r\n",
        "traceparent: 00-00000000000000000000000000000000-b7ad6b7169203331-01\r\n"};
    char ids[3][256];
    for (size_t i = 0; i < RYZ_COUNT_OF(headers); i++) {
        struct client client;
        struct answer answer;
        char text[512];
        struct ryz_trace_context context;
        client_open(&client, f.port);
        (void)snprintf(text, sizeof text, "GET /healthz HTTP/1.1\r\nHost: t\r\n%s\r\n", headers[i]);
        client_send_text(&client, text);
        client_read(&client, &answer);
        cr_assert(answer_header(&answer, "traceparent", text));
        cr_assert(ryz_traceparent_parse(text, &context), "%s", text);
        cr_assert(answer_header(&answer, "x-trace-id", ids[i]));
        answer_deinit(&answer);
        client_close(&client);
    }
    cr_assert_str_neq(ids[0], ids[1]);
    cr_assert_str_neq(ids[1], ids[2]);
}

Test(routes, a_clients_request_id_comes_back_unless_it_is_hostile)
{
    static const char *const ids[] = {"abc-123", "with blank", "tab\there", ""};
    static const bool comes_back[] = {true, false, false, false};
    for (size_t i = 0; i < RYZ_COUNT_OF(ids); i++) {
        struct client client;
        struct answer answer;
        char text[512];
        client_open(&client, f.port);
        (void)snprintf(text, sizeof text,
                       "GET /healthz HTTP/1.1\r\nHost: t\r\nx-request-id: %s\r\n\r\n", ids[i]);
        client_send_text(&client, text);
        client_read(&client, &answer);
        cr_assert(answer_header(&answer, "x-request-id", text));
        cr_assert_eq(strcmp(text, ids[i]) == 0, comes_back[i], "%s became %s", ids[i], text);
        answer_deinit(&answer);
        client_close(&client);
    }
}

Test(routes, a_head_request_gets_no_body)
{
    struct client client;
    struct answer answer;
    char length[256];
    client_open(&client, f.port);
    client_send_text(&client, "HEAD /healthz HTTP/1.1\r\nHost: t\r\n\r\n");
    client_read_head(&client, &answer);
    cr_assert_eq(answer.status, 200);
    cr_assert(answer_header(&answer, "Content-Length", length));
    cr_assert_str_eq(length, "15");
    client_get(&client, "/v1/models");
    client_read(&client, &answer);
    cr_assert_eq(answer.status, 200, "the connection goes on with the next answer");
    answer_deinit(&answer);
    client_close(&client);
}

Test(routes, a_body_that_is_too_large_gets_413_and_an_answer)
{
    struct client client;
    struct answer answer;
    char body[8192];
    memset(body, ' ', sizeof body - 1);
    body[sizeof body - 1] = '\0';
    ask(f.port, "/v1/completions", body, &answer);
    assert_error(&answer, 413, "request_too_large");
    answer_deinit(&answer);
    /* In chunks, so that the length is not announced. */
    client_open(&client, f.port);
    client_send_text(&client, "POST /v1/completions HTTP/1.1\r\nHost: t\r\n"
                              "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 5; i++) {
        client_send_text(&client, "400\r\n");
        client_send(&client, body, 0x400);
        client_send_text(&client, "\r\n");
    }
    client_send_text(&client, "0\r\n\r\n");
    client_read(&client, &answer);
    assert_error(&answer, 413, "request_too_large");
    answer_deinit(&answer);
    client_close(&client);
}

Test(routes, who_asks_before_sending_too_much_is_told_at_once)
{
    struct client client;
    struct answer answer;
    client_open(&client, f.port);
    client_send_text(&client, "POST /v1/completions HTTP/1.1\r\nHost: t\r\nContent-Length: 9000\r\n"
                              "Expect: 100-continue\r\n\r\n");
    client_read(&client, &answer);
    assert_error(&answer, 413, "request_too_large");
    answer_deinit(&answer);
    client_close(&client);
    client_open(&client, f.port);
    client_send_text(&client, "POST /v1/completions HTTP/1.1\r\nHost: t\r\n"
                              "Content-Length: 99999999999999\r\n\r\n");
    client_read(&client, &answer);
    assert_error(&answer, 413, "request_too_large");
    answer_deinit(&answer);
    client_close(&client);
}

Test(routes, a_span_is_written_for_each_request_and_none_if_the_client_samples_not)
{
    struct client client;
    struct answer answer;
    client_open(&client, f.port);
    client_send_text(&client, "GET /healthz HTTP/1.1\r\nHost: t\r\ntraceparent: "
                              "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n");
    client_read(&client, &answer);
    answer_deinit(&answer);
    client_send_text(&client, "GET /healthz HTTP/1.1\r\nHost: t\r\ntraceparent: "
                              "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00\r\n\r\n");
    client_read(&client, &answer);
    answer_deinit(&answer);
    json_decref(fixture_request_line(&f, 1));
    client_close(&client);
    cr_assert_eq(f.span_count, 1);
    const struct ryz_span *span = &f.spans[0];
    cr_assert_eq(span->name, RYZ_SPAN_REQUEST);
    cr_assert_eq(span->parent, UINT64_C(0xb7ad6b7169203331));
    cr_assert_eq(span->trace_id[0], 0x0a);
    cr_assert_leq(span->t0_ns, span->t1_ns);
    cr_assert_eq(span->status, RYZ_OK);
}
