/*
 * test_serving.c - the server on the real engine and the small model.
 *
 * Goal: streams and whole answers are the same text, figures add up, clients that come and go at
 * random leave nothing behind. The model is $RYZ_TEST_MODEL or models/ryz-tiny.gguf; without it the
 * tests are skipped with a message.
 */
#include "engine/api/server.h"
#include "engine/base/rng.h"
#include "engine/base/size.h"
#include "engine/obs/log.h"
#include "tests/api/client.h"

#include <criterion/criterion.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SPANS_MAX 4096u

static struct ryz_engine *engine;
static struct ryz_server *server;
static uint16_t port;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct ryz_span spans[SPANS_MAX]; /* lock */
static size_t span_count;                /* lock */

static int64_t monotonic(void *context)
{
    struct timespec now;
    (void)context;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * RYZ_NS_PER_S + now.tv_nsec;
}

static const struct ryz_clock test_clock = {.now_ns = monotonic};

static void keep_span(void *context, const struct ryz_span *span)
{
    (void)context;
    (void)pthread_mutex_lock(&lock);
    if (span_count < SPANS_MAX) spans[span_count++] = *span;
    (void)pthread_mutex_unlock(&lock);
}

static const char *model_path(void)
{
    const char *path = getenv("RYZ_TEST_MODEL");
    if (path == NULL || path[0] == '\0') path = RYZ_SOURCE_DIR "/models/ryz-tiny.gguf";
    return access(path, R_OK) == 0 ? path : NULL;
}

static void open_with(uint32_t batch, uint32_t queue, uint64_t kv_bytes)
{
    struct ryz_error error = {.text = ""};
    const char *path = model_path();
    if (path == NULL) cr_skip_test("no test model; set RYZ_TEST_MODEL");
    const struct ryz_engine_options engine_options = {
        .model_path = path,
        .quant = "as_is",
        .backend = "cpu",
        .isa = "auto",
        .threads = 1,
        .policy = "fcfs",
        .limits = {.batch_requests_max = batch,
                   .batch_tokens_max = 256,
                   .prefill_chunk_max = 128,
                   .queue_requests_max = queue,
                   .step_ns_max = RYZ_TIME_NEVER,
                   .admit_late = true},
        .kv_bytes = kv_bytes,
        .seed = 3,
        .clock = &test_clock,
        .observer = {.span = keep_span},
    };
    cr_assert_eq(ryz_engine_open(&engine_options, &engine, &error), RYZ_OK, "%s", error.text);
    const struct ryz_server_options options = {
        .host = "127.0.0.1",
        .model_name = "ryz-tiny",
        .engine = engine,
        .clock = &test_clock,
        .wall = &test_clock,
        .spans = {.emit = keep_span},
        .connections_max = 256,
        .body_bytes_max = 1 << 20,
        .seed = 3,
    };
    cr_assert_eq(ryz_server_open(&options, &server, &error), RYZ_OK, "%s", error.text);
    port = ryz_server_port(server);
}

static void close_all(void)
{
    if (server == NULL) return;
    ryz_server_close(server, 0);
    ryz_engine_close(engine);
}

TestSuite(serving, .fini = close_all, .timeout = 290);

static json_t *complete(const char *path, const char *body)
{
    struct answer answer;
    ask(port, path, body, &answer);
    cr_assert_eq(answer.status, 200, "%d %s", answer.status, answer.body);
    json_t *root = answer_json(&answer);
    answer_deinit(&answer);
    return root;
}

/* Reads a stream to its end: all its text, and how many token ids came. */
static size_t read_stream(struct client *client, char *text, size_t capacity)
{
    struct answer head;
    char *event = NULL;
    bool whole = false, done = false;
    size_t tokens = 0;
    text[0] = '\0';
    client_read_head(client, &head);
    cr_assert_eq(head.status, 200);
    while ((event = client_read_event(client, &whole)) != NULL) {
        done = strcmp(event, "[DONE]") == 0;
        json_t *root = done ? NULL : json_loads(event, 0, NULL);
        const char *piece = json_string_value(json_at(root, "choices.0.text"));
        if (piece == NULL) piece = json_string_value(json_at(root, "choices.0.delta.content"));
        if (piece != NULL) (void)strncat(text, piece, capacity - strlen(text) - 1);
        tokens += json_array_size(json_at(root, "choices.0.token_ids"));
        json_decref(root);
        free(event);
    }
    cr_assert(whole && done);
    return tokens;
}

static const char choices_body[] =
    "{\"prompt\":\"It was the best of times\",\"max_tokens\":30,\"temperature\":1,"
    "\"ignore_eos\":true,\"logprobs\":1,\"seed\":%d,\"n\":%d%s}";

/* The whole answer, kept beside the requests that it stands for; then the same as a stream. */
Test(serving, choices_are_what_requests_of_their_own_are)
{
    char body[512], texts[3][1024] = {"", "", ""};
    open_with(8, 64, UINT64_C(16) << 20);
    (void)snprintf(body, sizeof body, choices_body, 7, 3, "");
    json_t *all = complete("/v1/completions", body);
    cr_assert_eq(integer_at(all, "usage.completion_tokens"), 90);
    for (int i = 0; i < 3; i++) {
        (void)snprintf(body, sizeof body, choices_body, 7 + i, 1, "");
        json_t *one = complete("/v1/completions", body);
        json_t *choice = json_array_get(json_object_get(all, "choices"), (size_t)i);
        cr_assert_eq(integer_at(choice, "index"), i);
        (void)json_object_set_new(choice, "index", json_integer(0));
        cr_assert(json_equal(choice, json_at(one, "choices.0")), "choice %d", i);
        cr_assert_eq(integer_at(one, "usage.prompt_tokens"), integer_at(all, "usage.prompt_tokens"),
                     "the prompt is counted once");
        json_decref(one);
    }
    cr_assert_gt(ryz_engine_stats(engine).prompt_tokens_shared, 0);
    struct client client;
    struct answer head;
    char *event = NULL;
    (void)snprintf(body, sizeof body, choices_body, 7, 3, ",\"stream\":true");
    client_open(&client, port);
    client_post(&client, "/v1/completions", "", body);
    for (client_read_head(&client, &head); (event = client_read_event(&client, NULL)) != NULL;) {
        json_t *root = json_loads(event, 0, NULL);
        const char *piece = json_string_value(json_at(root, "choices.0.text"));
        char *text = texts[json_integer_value(json_at(root, "choices.0.index"))];
        if (piece != NULL) (void)strncat(text, piece, sizeof texts[0] - strlen(text) - 1);
        json_decref(root);
        free(event);
    }
    client_close(&client);
    for (size_t i = 0; i < 3; i++) {
        const json_t *choice = json_array_get(json_object_get(all, "choices"), i);
        cr_assert_str_eq(texts[i], text_at(choice, "text"));
    }
    json_decref(all);
}

Test(serving, more_choices_than_the_queue_holds_are_refused_with_the_reason)
{
    char body[512];
    struct answer answer;
    open_with(8, 2, UINT64_C(16) << 20);
    (void)snprintf(body, sizeof body, choices_body, 1, 3, "");
    ask(port, "/v1/completions", body, &answer);
    cr_assert_eq(answer.status, 400);
    cr_assert_not_null(strstr(answer.body, "3 choices, and the queue holds 2 requests"));
    answer_deinit(&answer);
}

Test(serving, a_stream_has_the_text_of_the_whole_answer)
{
    static const char *const paths[] = {"/v1/completions", "/v1/chat/completions"};
    static const char *const prompts[] = {"\"prompt\":\"It was the best of times\"",
                                          "\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]"};
    open_with(8, 64, UINT64_C(16) << 20);
    for (int chat = 0; chat < 2; chat++) {
        char body[512], text[4096];
        (void)snprintf(body, sizeof body,
                       "{%s,\"max_tokens\":40,\"temperature\":0.8,\"seed\":5,\"ignore_eos\":true,"
                       "\"return_token_ids\":true}",
                       prompts[chat]);
        json_t *root = complete(paths[chat], body);
        cr_assert_eq(integer_at(root, "usage.completion_tokens"), 40);
        cr_assert_eq(json_array_size(json_at(root, "choices.0.token_ids")), 40);
        cr_assert_str_eq(text_at(root, "choices.0.finish_reason"), "length");
        struct client client;
        client_open(&client, port);
        (void)snprintf(body + strlen(body) - 1, 32, ",\"stream\":true}");
        client_post(&client, paths[chat], "", body);
        size_t tokens = read_stream(&client, text, sizeof text);
        cr_assert_eq(tokens, 40);
        cr_assert_str_eq(text,
                         text_at(root, chat ? "choices.0.message.content" : "choices.0.text"));
        cr_assert_gt(strlen(text), 10);
        client_close(&client);
        json_decref(root);
    }
}

Test(serving, greedy_tokens_are_the_most_probable_ones_and_probabilities_add_up)
{
    open_with(8, 64, UINT64_C(16) << 20);
    json_t *root = complete("/v1/chat/completions",
                            "{\"messages\":[{\"role\":\"user\",\"content\":\"Who are you?\"}],"
                            "\"max_tokens\":20,\"temperature\":0,\"ignore_eos\":true,\"logprobs\":"
                            "true,\"top_logprobs\":20}");
    const json_t *content = json_at(root, "choices.0.logprobs.content");
    cr_assert_eq(json_array_size(content), 20);
    for (size_t i = 0; i < 20; i++) {
        const json_t *entry = json_array_get(content, i), *top = json_at(entry, "top_logprobs");
        double chosen = json_number_value(json_at(entry, "logprob")), sum = 0, last = 0;
        cr_assert_eq(json_array_size(top), 20);
        for (size_t k = 0; k < 20; k++) {
            double logprob = json_number_value(json_at(json_array_get(top, k), "logprob"));
            cr_assert(logprob <= last + 1e-6, "not sorted");
            last = logprob;
            sum += exp(logprob);
        }
        cr_assert(sum > 0 && sum <= 1.0001, "%f", sum);
        cr_assert_float_eq(chosen, json_number_value(json_at(top, "0.logprob")), 1e-6);
        cr_assert_str_eq(text_at(entry, "token"), text_at(top, "0.token"));
    }
    json_decref(root);
}

Test(serving, a_stop_string_ends_the_text_before_it)
{
    open_with(8, 64, UINT64_C(16) << 20);
    json_t *root =
        complete("/v1/completions", "{\"prompt\":\"Once\",\"max_tokens\":64,\"temperature\":0,"
                                    "\"ignore_eos\":true}");
    const char *text = text_at(root, "choices.0.text");
    cr_assert_gt(strlen(text), 12);
    char stop[8], body[256];
    (void)snprintf(stop, sizeof stop, "%.3s", text + 8);
    json_t *ask_body = json_pack("{s:s,s:i,s:i,s:b,s:s}", "prompt", "Once", "max_tokens", 64,
                                 "temperature", 0, "ignore_eos", 1, "stop", stop);
    cr_assert_not_null(ask_body);
    char *dumped = json_dumps(ask_body, 0);
    (void)snprintf(body, sizeof body, "%s", dumped);
    json_t *stopped = complete("/v1/completions", body);
    const char *hit = strstr(text, stop);
    cr_assert_eq(strlen(text_at(stopped, "choices.0.text")), (size_t)(hit - text));
    cr_assert_eq(strncmp(text_at(stopped, "choices.0.text"), text, (size_t)(hit - text)), 0);
    cr_assert_str_eq(text_at(stopped, "choices.0.finish_reason"), "stop");
    free(dumped);
    json_decref(ask_body);
    json_decref(stopped);
    json_decref(root);
}

Test(serving, prompts_as_token_ids_have_exact_lengths)
{
    open_with(8, 64, UINT64_C(16) << 20);
    json_t *root = complete("/v1/completions", "{\"prompt\":[5,6,7,8,9],\"max_tokens\":3,"
                                               "\"ignore_eos\":true}");
    cr_assert_eq(integer_at(root, "usage.prompt_tokens"), 5);
    cr_assert_eq(integer_at(root, "usage.completion_tokens"), 3);
    json_decref(root);
}

/* Two blocks of 16 tokens hold no 64. */
Test(serving, what_the_kv_cache_cannot_hold_is_a_context_error)
{
    struct answer answer;
    open_with(2, 4, 600 * 1024);
    struct ryz_core_stats stats = ryz_engine_stats(engine);
    uint32_t tokens = stats.kv_blocks_total * 16;
    char body[256];
    (void)snprintf(body, sizeof body, "{\"prompt\":\"a\",\"max_tokens\":%u}", tokens + 1);
    ask(port, "/v1/completions", body, &answer);
    cr_assert_eq(answer.status, 400, "%d %s", answer.status, answer.body);
    json_t *root = answer_json(&answer);
    cr_assert_str_eq(text_at(root, "error.code"), "context_length_exceeded");
    json_decref(root);
    answer_deinit(&answer);
}

static void pause_ms(int ms)
{
    const struct timespec pause = {.tv_nsec = ms * 1000000L};
    (void)nanosleep(&pause, NULL);
}

static void await_empty_engine(void)
{
    for (int i = 0; i < 5000; i++) {
        if (ryz_engine_active(engine) == 0 && ryz_server_active(server) == 0) break;
        pause_ms(2);
    }
    cr_assert_eq(ryz_engine_active(engine), 0);
    cr_assert_eq(ryz_server_active(server), 0);
    struct ryz_core_stats stats = ryz_engine_stats(engine);
    cr_assert_eq(stats.kv_blocks_used, 0, "%u KV blocks are lost", stats.kv_blocks_used);
    cr_assert_eq(stats.running + stats.waiting, 0);
}

Test(serving, a_client_that_leaves_frees_its_kv_blocks)
{
    open_with(8, 64, UINT64_C(16) << 20);
    for (int stream = 0; stream < 2; stream++) {
        struct client client;
        char body[128];
        (void)snprintf(body, sizeof body,
                       "{\"prompt\":\"a\",\"max_tokens\":1900,\"ignore_eos\":true,\"stream\":%s}",
                       stream ? "true" : "false");
        client_open(&client, port);
        client_post(&client, "/v1/completions", "", body);
        for (int i = 0; i < 5000 && ryz_engine_stats(engine).kv_blocks_used == 0; i++) pause_ms(1);
        cr_assert_gt(ryz_engine_stats(engine).kv_blocks_used, 0);
        client_close(&client);
        await_empty_engine();
    }
    cr_assert_eq(ryz_engine_stats(engine).finished, 0, "a request ran to its end for nobody");
    cr_assert_eq(ryz_engine_stats(engine).cancelled, 2);
}

Test(serving, a_full_queue_is_told_with_429_and_retry_after)
{
    struct client clients[24];
    uint32_t full = 0, served = 0;
    open_with(1, 2, UINT64_C(16) << 20);
    for (size_t i = 0; i < RYZ_COUNT_OF(clients); i++) {
        client_open(&clients[i], port);
        client_post(&clients[i], "/v1/completions", "",
                    "{\"prompt\":\"a\",\"max_tokens\":100,\"ignore_eos\":true}");
    }
    for (size_t i = 0; i < RYZ_COUNT_OF(clients); i++) {
        struct answer answer;
        char seconds[256];
        client_read(&clients[i], &answer);
        cr_assert(answer.status == 200 || answer.status == 429, "%d", answer.status);
        if (answer.status == 429) cr_assert(answer_header(&answer, "Retry-After", seconds));
        full += answer.status == 429;
        served += answer.status == 200;
        answer_deinit(&answer);
        client_close(&clients[i]);
    }
    cr_assert_geq(served, 2, "two can wait");
    cr_assert_gt(full, 0);
    await_empty_engine();
}

/* One of 64 clients: streams one after another, some of which it abandons. */
struct visitor {
    struct ryz_rng rng;
    uint32_t finished, abandoned;
};

static void visit(struct visitor *v)
{
    struct client client;
    struct answer head;
    char body[256];
    uint64_t wanted = 1 + ryz_rng_below(&v->rng, 40);
    uint64_t patience = ryz_rng_below(&v->rng, 60); /* events; some leave before the first */
    (void)snprintf(body, sizeof body,
                   "{\"prompt\":[%llu,7,8],\"max_tokens\":%llu,\"ignore_eos\":true,\"stream\":true,"
                   "\"return_token_ids\":true}",
                   (unsigned long long)ryz_rng_below(&v->rng, 1000), (unsigned long long)wanted);
    client_open(&client, port);
    client_post(&client, "/v1/completions", "", body);
    uint64_t tokens = 0;
    bool done = false;
    if (patience > 0) client_read_head(&client, &head);
    for (uint64_t i = 0; i < patience && !done; i++) {
        char *event = client_read_event(&client, NULL);
        cr_assert_not_null(event);
        done = strcmp(event, "[DONE]") == 0;
        const char *ids = strstr(event, "\"token_ids\":[");
        tokens += ids != NULL && ids[13] != ']';
        free(event);
    }
    if (done) cr_assert_eq(tokens, wanted);
    v->finished += done;
    v->abandoned += !done;
    if (ryz_rng_below(&v->rng, 2) == 0) {
        client_close(&client);
    } else {
        client_reset(&client);
    }
}

static void *visit_often(void *argument)
{
    for (int i = 0; i < 6; i++) visit(argument);
    return NULL;
}

Test(serving, sixty_four_clients_that_come_and_go_leave_nothing_behind)
{
    enum { CLIENTS = 64 };
    pthread_t threads[CLIENTS];
    static struct visitor visitors[CLIENTS];
    uint32_t finished = 0, abandoned = 0;
    open_with(16, 256, UINT64_C(16) << 20);
    for (int i = 0; i < CLIENTS; i++) {
        ryz_rng_init(&visitors[i].rng, 77, (uint64_t)i);
        cr_assert_eq(pthread_create(&threads[i], NULL, visit_often, &visitors[i]), 0);
    }
    for (int i = 0; i < CLIENTS; i++) {
        (void)pthread_join(threads[i], NULL);
        finished += visitors[i].finished;
        abandoned += visitors[i].abandoned;
    }
    cr_assert_eq(finished + abandoned, CLIENTS * 6);
    cr_assert(finished > 50 && abandoned > 50, "%u finished, %u abandoned", finished, abandoned);
    await_empty_engine();
    struct answer answer;
    ask(port, "/healthz", NULL, &answer);
    cr_assert_eq(answer.status, 200);
    answer_deinit(&answer);
    json_t *root = complete("/v1/completions", "{\"prompt\":\"a\",\"max_tokens\":2}");
    json_decref(root);
}

/* The children of server.request follow each other without a gap and lie inside of it. */
Test(serving, the_spans_of_a_request_add_up)
{
    open_with(8, 64, UINT64_C(16) << 20);
    struct client client;
    struct answer answer;
    client_open(&client, port);
    client_post(&client, "/v1/completions",
                "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n",
                "{\"prompt\":\"It was\",\"max_tokens\":50,\"ignore_eos\":true}");
    client_read(&client, &answer);
    answer_deinit(&answer);
    client_close(&client);
    await_empty_engine();
    static const enum ryz_span_name order[] = {RYZ_SPAN_PARSE, RYZ_SPAN_QUEUE, RYZ_SPAN_PREFILL,
                                               RYZ_SPAN_DECODE};
    const struct ryz_span *request = NULL, *children[4] = {NULL};
    (void)pthread_mutex_lock(&lock);
    for (size_t i = 0; i < span_count; i++) {
        if (spans[i].trace_id[0] != 0x0a) continue;
        if (spans[i].name == RYZ_SPAN_REQUEST) request = &spans[i];
        for (size_t k = 0; k < 4; k++)
            if (spans[i].name == order[k]) children[k] = &spans[i];
    }
    (void)pthread_mutex_unlock(&lock);
    cr_assert_not_null(request);
    cr_assert_eq(request->parent, UINT64_C(0xb7ad6b7169203331));
    int64_t at_ns = request->t0_ns;
    for (size_t k = 0; k < 4; k++) {
        cr_assert_not_null(children[k], "no span %s", ryz_span_name(order[k]));
        cr_assert_eq(children[k]->parent, request->span_id);
        cr_assert_eq(children[k]->t0_ns, at_ns, "a gap before %s", ryz_span_name(order[k]));
        at_ns = children[k]->t1_ns;
    }
    cr_assert_leq(at_ns, request->t1_ns);
    cr_assert_eq(request->attr, 50.0);
}
