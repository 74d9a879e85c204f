/*
 * test_generations.c - completions, chats and their streams in OpenAI's shapes.
 *
 * Goal: the exact objects, in whole and in chunks; what the engine says becomes the right answer,
 * before and within a stream. Method: the test plays the engine and compares texts.
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

TestSuite(generations, .init = set_up, .fini = tear_down, .timeout = 120);

/* Sends a body, hands out "Hi" and ends; the caller reads. */
static void generate(struct client *client, const char *path, const char *body)
{
    client_open(client, f.port);
    client_post(client, path, "", body);
    struct fake_job *job = fake_take(f.engine);
    fake_token(job, 'H');
    fake_token(job, 'i');
    fake_end(job, RYZ_OK, RYZ_FINISH_LENGTH, "");
}

/* Compares an object with a golden text in which ID and FP stand for what differs. */
static void assert_object(const char *text, const char *golden)
{
    char expected[4096];
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    cr_assert_not_null(root, "%s", text);
    size_t used = 0;
    for (const char *at = golden; *at != '\0';) {
        const char *put = NULL;
        if (strncmp(at, "ID", 2) == 0) put = text_at(root, "id");
        if (strncmp(at, "FP", 2) == 0) put = text_at(root, "system_fingerprint");
        used += (size_t)snprintf(expected + used, sizeof expected - used, "%.*s",
                                 put != NULL ? 100 : 1, put != NULL ? put : at);
        at += put != NULL ? 2 : 1;
    }
    cr_assert_str_eq(text, expected);
    json_decref(root);
}

Test(generations, a_completion_looks_like_this)
{
    struct client client;
    struct answer answer;
    generate(&client, "/v1/completions", "{\"prompt\":\"abc\"}");
    client_read(&client, &answer);
    cr_assert_eq(answer.status, 200);
    assert_object(answer.body,
                  "{\"id\":\"ID\",\"object\":\"text_completion\",\"created\":1767323045,\"model\":"
                  "\"m\",\"system_fingerprint\":\"FP\",\"choices\":[{\"index\":0,\"text\":\"Hi\","
                  "\"logprobs\":null,\"finish_reason\":\"length\"}],\"usage\":{\"prompt_tokens\":3,"
                  "\"completion_tokens\":2,\"total_tokens\":5,"
                  "\"prompt_tokens_details\":{\"cached_tokens\":0}}}");
    cr_assert_not_null(strstr(answer.body, "\"id\":\"cmpl-"));
    cr_assert_not_null(strstr(answer.body, "\"system_fingerprint\":\"fp_"));
    answer_deinit(&answer);
    client_close(&client);
}

Test(generations, a_chat_completion_looks_like_this)
{
    struct client client;
    struct answer answer;
    generate(&client, "/v1/chat/completions",
             "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"return_token_ids\":true}");
    client_read(&client, &answer);
    assert_object(answer.body,
                  "{\"id\":\"ID\",\"object\":\"chat.completion\",\"created\":1767323045,\"model\":"
                  "\"m\",\"system_fingerprint\":\"FP\",\"choices\":[{\"index\":0,\"message\":{"
                  "\"role\":\"assistant\",\"content\":\"Hi\",\"refusal\":null},\"logprobs\":null,"
                  "\"finish_reason\":\"length\",\"token_ids\":[72,105]}],\"usage\":{"
                  "\"prompt_tokens\":7,\"completion_tokens\":2,\"total_tokens\":9,"
                  "\"prompt_tokens_details\":{\"cached_tokens\":0}}}");
    cr_assert_not_null(strstr(answer.body, "\"id\":\"chatcmpl-"));
    answer_deinit(&answer);
    client_close(&client);
}

/* Reads a stream to its end and compares every event. */
static void assert_events(struct client *client, const char *const *events, size_t count)
{
    struct answer head;
    char type[256];
    bool whole = false;
    client_read_head(client, &head);
    cr_assert_eq(head.status, 200);
    cr_assert(answer_header(&head, "Content-Type", type));
    cr_assert_str_eq(type, "text/event-stream; charset=utf-8");
    for (size_t i = 0; i < count; i++) {
        char *event = client_read_event(client, NULL);
        cr_assert_not_null(event, "the stream ended before event %zu", i);
        if (event[0] == '{' && strncmp(event, "{\"error\"", 8) != 0) {
            assert_object(event, events[i]);
        } else {
            cr_assert_str_eq(event, events[i]);
        }
        free(event);
    }
    cr_assert_null(client_read_event(client, &whole), "there are more than %zu events", count);
    cr_assert(whole);
}

#define COMPLETION_HEAD                                                                            \
    "{\"id\":\"ID\",\"object\":\"text_completion\",\"created\":1767323045,\"model\":\"m\","        \
    "\"system_fingerprint\":\"FP\",\"choices\":["
#define CHAT_HEAD                                                                                  \
    "{\"id\":\"ID\",\"object\":\"chat.completion.chunk\",\"created\":1767323045,\"model\":\"m\","  \
    "\"system_fingerprint\":\"FP\",\"choices\":["

Test(generations, a_completion_streams_like_this)
{
    static const char *const events[] = {
        COMPLETION_HEAD "{\"index\":0,\"text\":\"H\",\"logprobs\":null,\"finish_reason\":null}]}",
        COMPLETION_HEAD "{\"index\":0,\"text\":\"i\",\"logprobs\":null,\"finish_reason\":null}]}",
        COMPLETION_HEAD "{\"index\":0,\"text\":\"\",\"logprobs\":null,\"finish_reason\":\"length\"}"
                        "]}",
        "[DONE]"};
    struct client client;
    generate(&client, "/v1/completions", "{\"prompt\":\"abc\",\"stream\":true}");
    assert_events(&client, events, RYZ_COUNT_OF(events));
    client_close(&client);
}

Test(generations, a_chat_streams_like_this_with_usage)
{
    static const char *const events[] = {
        CHAT_HEAD "{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":"
                  "null,\"finish_reason\":null}],\"usage\":null}",
        CHAT_HEAD "{\"index\":0,\"delta\":{\"content\":\"H\"},\"logprobs\":null,\"finish_reason\":"
                  "null}],\"usage\":null}",
        CHAT_HEAD "{\"index\":0,\"delta\":{\"content\":\"i\"},\"logprobs\":null,\"finish_reason\":"
                  "null}],\"usage\":null}",
        CHAT_HEAD "{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"length\"}],"
                  "\"usage\":null}",
        CHAT_HEAD "],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2,\"total_tokens\":9,"
                  "\"prompt_tokens_details\":{\"cached_tokens\":0}}}",
        "[DONE]"};
    struct client client;
    generate(&client, "/v1/chat/completions",
             "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"stream\":true,"
             "\"stream_options\":{\"include_usage\":true}}");
    assert_events(&client, events, RYZ_COUNT_OF(events));
    client_close(&client);
}

Test(generations, token_ids_come_with_their_chunks_even_without_text)
{
    static const char *const events[] = {
        COMPLETION_HEAD "{\"index\":0,\"text\":\"\",\"logprobs\":null,\"finish_reason\":null,"
                        "\"token_ids\":[195]}]}",
        COMPLETION_HEAD
        "{\"index\":0,\"text\":\"\xc3\xa4\",\"logprobs\":null,\"finish_reason\":null,"
        "\"token_ids\":[164]}]}",
        COMPLETION_HEAD "{\"index\":0,\"text\":\"\",\"logprobs\":null,\"finish_reason\":null,"
                        "\"token_ids\":[256]}]}",
        COMPLETION_HEAD "{\"index\":0,\"text\":\"\",\"logprobs\":null,\"finish_reason\":\"stop\","
                        "\"token_ids\":[]}]}",
        "[DONE]"};
    struct client client;
    client_open(&client, f.port);
    client_post(&client, "/v1/completions", "",
                "{\"prompt\":\"a\",\"stream\":true,\"return_token_ids\":true}");
    struct fake_job *job = fake_take(f.engine);
    fake_token_text(job, 0xc3, "", 0);
    fake_token_text(job, 0xa4, "\xc3\xa4", 2);
    fake_token_text(job, FAKE_END, "", 0);
    fake_end(job, RYZ_OK, RYZ_FINISH_STOP, "");
    assert_events(&client, events, RYZ_COUNT_OF(events));
    client_close(&client);
}

Test(generations, a_token_without_text_makes_no_chunk_and_held_text_comes_last)
{
    static const char *const events[] = {
        COMPLETION_HEAD "{\"index\":0,\"text\":\"a\",\"logprobs\":null,\"finish_reason\":null}]}",
        COMPLETION_HEAD "{\"index\":0,\"text\":\"tail\",\"logprobs\":null,\"finish_reason\":"
                        "\"stop\"}]}",
        "[DONE]"};
    struct client client;
    client_open(&client, f.port);
    client_post(&client, "/v1/completions", "", "{\"prompt\":\"a\",\"stream\":true}");
    struct fake_job *job = fake_take(f.engine);
    fake_token_text(job, 1, "", 0);
    fake_token_text(job, 'a', "a", 1);
    fake_token_text(job, 2, "", 0);
    fake_end(job, RYZ_OK, RYZ_FINISH_STOP, "tail");
    assert_events(&client, events, RYZ_COUNT_OF(events));
    client_close(&client);
}

/* The first chunks must not wait for later ones. */
Test(generations, each_token_is_sent_when_it_comes)
{
    struct client client;
    struct answer head;
    client_open(&client, f.port);
    client_post(&client, "/v1/completions", "", "{\"prompt\":\"a\",\"stream\":true}");
    struct fake_job *job = fake_take(f.engine);
    for (int i = 0; i < 50; i++) {
        fake_token(job, 'a');
        if (i == 0) client_read_head(&client, &head);
        char *event = client_read_event(&client, NULL);
        cr_assert_not_null(strstr(event, "\"text\":\"a\""));
        free(event);
    }
    cr_assert_eq(ryz_server_active(f.server), 1);
    fake_end(job, RYZ_OK, RYZ_FINISH_LENGTH, "");
    free(client_read_event(&client, NULL));
    free(client_read_event(&client, NULL));
    cr_assert_null(client_read_event(&client, NULL));
    client_close(&client);
}

Test(generations, logprobs_of_a_completion_are_parallel_arrays)
{
    struct client client;
    struct answer answer;
    generate(&client, "/v1/completions", "{\"prompt\":\"abc\",\"logprobs\":2}");
    client_read(&client, &answer);
    json_t *root = answer_json(&answer);
    const json_t *logprobs = json_at(root, "choices.0.logprobs");
    cr_assert_eq(json_array_size(json_at(logprobs, "tokens")), 2);
    cr_assert_str_eq(text_at(logprobs, "tokens.0"), "H");
    cr_assert_float_eq(json_real_value(json_at(logprobs, "token_logprobs.1")), -0.5, 1e-9);
    cr_assert_eq(json_object_size(json_at(logprobs, "top_logprobs.0")), 2);
    cr_assert_float_eq(json_real_value(json_at(logprobs, "top_logprobs.0.I")), -1.5, 1e-9);
    cr_assert_eq(integer_at(logprobs, "text_offset.0"), 0);
    cr_assert_eq(integer_at(logprobs, "text_offset.1"), 1);
    json_decref(root);
    answer_deinit(&answer);
    client_close(&client);
}

Test(generations, a_chosen_token_outside_of_the_top_is_shown_with_them)
{
    struct client client;
    struct answer answer;
    client_open(&client, f.port);
    client_post(&client, "/v1/completions", "", "{\"prompt\":\"a\",\"logprobs\":0}");
    struct fake_job *job = fake_take(f.engine);
    fake_token_text(job, 0xe2, "", 0); /* no text of its own */
    fake_token_text(job, FAKE_END, "", 0);
    fake_end(job, RYZ_OK, RYZ_FINISH_STOP, "\xef\xbf\xbd");
    client_read(&client, &answer);
    json_t *root = answer_json(&answer);
    cr_assert_str_eq(text_at(root, "choices.0.logprobs.tokens.0"), "bytes:\\xe2");
    cr_assert_str_eq(text_at(root, "choices.0.logprobs.tokens.1"), "token_id:256");
    cr_assert(json_is_null(json_at(root, "choices.0.logprobs.top_logprobs")));
    cr_assert_eq(integer_at(root, "choices.0.logprobs.text_offset.1"), 1);
    cr_assert_str_eq(text_at(root, "choices.0.text"), "\xef\xbf\xbd");
    json_decref(root);
    answer_deinit(&answer);
    client_close(&client);
}

Test(generations, logprobs_of_a_chat_are_objects_with_bytes)
{
    struct client client;
    struct answer answer;
    generate(&client, "/v1/chat/completions",
             "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"logprobs\":true,"
             "\"top_logprobs\":3}");
    client_read(&client, &answer);
    json_t *root = answer_json(&answer);
    const json_t *content = json_at(root, "choices.0.logprobs.content");
    cr_assert_eq(json_array_size(content), 2);
    cr_assert_str_eq(text_at(content, "1.token"), "i");
    cr_assert_eq(integer_at(content, "1.bytes.0"), 'i');
    cr_assert_float_eq(json_real_value(json_at(content, "1.logprob")), -0.5, 1e-9);
    cr_assert_eq(json_array_size(json_at(content, "1.top_logprobs")), 3);
    cr_assert_str_eq(text_at(content, "1.top_logprobs.2.token"), "k");
    json_decref(root);
    answer_deinit(&answer);
    client_close(&client);
}

Test(generations, the_engine_gets_what_the_client_asked_for)
{
    struct client client;
    struct answer answer;
    client_open(&client, f.port);
    client_post(&client, "/v1/completions",
                "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n",
                "{\"prompt\":[1,2,3],\"max_tokens\":7,\"temperature\":0,\"stop\":[\"s1\",\"s2\"],"
                "\"ignore_eos\":true,\"seed\":42,\"priority\":2}");
    struct fake_job *job = fake_take(f.engine);
    const struct ryz_generate *g = &job->generate;
    cr_assert_eq(g->token_count, 3);
    cr_assert_eq(job->tokens[2], 3);
    cr_assert_eq(g->max_tokens, 7);
    cr_assert_eq(g->sampling.seed, 42);
    cr_assert_eq(g->stop_count, 2);
    cr_assert_str_eq(job->stops[1], "s2");
    cr_assert_eq(g->priority, 2);
    cr_assert(g->ignore_eos && g->wants_text);
    cr_assert_eq(g->trace.trace_id[0], 0x0a);
    cr_assert_neq(g->trace.span_id, UINT64_C(0xb7ad6b7169203331), "the parent is our span");
    cr_assert(g->trace.sampled);
    uint64_t parent = g->trace.span_id;
    fake_end(job, RYZ_OK, RYZ_FINISH_STOP, "");
    client_read(&client, &answer);
    answer_deinit(&answer);
    json_decref(fixture_request_line(&f, 0));
    client_close(&client);
    cr_assert_eq(f.span_count, 2);
    cr_assert_eq(f.spans[0].name, RYZ_SPAN_PARSE);
    cr_assert_eq(f.spans[0].parent, parent);
    cr_assert_eq(f.spans[0].attr, 3.0);
    cr_assert_eq(f.spans[1].name, RYZ_SPAN_REQUEST);
    cr_assert_eq(f.spans[1].span_id, parent);
    cr_assert_eq(f.spans[1].t0_ns, f.spans[0].t0_ns);
    cr_assert_eq(g->arrived_ns, f.spans[0].t1_ns, "the engine's spans begin where parsing ends");
}

struct verdict {
    enum ryz_status status;
    int http;
    const char *code;
};

static const struct verdict verdicts[] = {
    {RYZ_FULL, 429, "queue_full"},         {RYZ_INVALID, 400, "context_length_exceeded"},
    {RYZ_CLOSED, 503, "shutting_down"},    {RYZ_FAULT, 500, "injected_fault"},
    {RYZ_NO_MEMORY, 503, "out_of_memory"}, {RYZ_TIMEOUT, 504, "timeout"},
    {RYZ_IO, 500, "internal_error"},
};

static void assert_verdict(const struct verdict *v, const struct answer *answer)
{
    char value[256];
    cr_assert_eq(answer->status, v->http, "%d %s", answer->status, answer->body);
    json_t *root = answer_json(answer);
    cr_assert_str_eq(text_at(root, "error.code"), v->code);
    json_decref(root);
    cr_assert(answer_header(answer, "traceparent", value));
    cr_assert_eq(answer_header(answer, "Retry-After", value),
                 v->status == RYZ_FULL || v->status == RYZ_CLOSED);
}

Test(generations, what_the_engine_says_becomes_the_http_status)
{
    for (size_t i = 0; i < RYZ_COUNT_OF(verdicts); i++) {
        for (int stream = 0; stream < 2; stream++) {
            struct client client;
            struct answer answer;
            client_open(&client, f.port);
            client_post(&client, "/v1/completions", "",
                        stream ? "{\"prompt\":\"a\",\"stream\":true}" : "{\"prompt\":\"a\"}");
            fake_end(fake_take(f.engine), verdicts[i].status, RYZ_FINISH_ERROR, "");
            client_read(&client, &answer);
            assert_verdict(&verdicts[i], &answer);
            answer_deinit(&answer);
            client_close(&client);
        }
    }
}

Test(generations, what_the_engine_refuses_at_the_door_is_answered_too)
{
    static const struct verdict doors[] = {{RYZ_FULL, 429, "queue_full"},
                                           {RYZ_CLOSED, 503, "shutting_down"},
                                           {RYZ_INVALID, 400, "invalid_value"}};
    for (size_t i = 0; i < RYZ_COUNT_OF(doors); i++) {
        struct answer answer;
        f.engine->refuse = doors[i].status;
        ask(f.port, "/v1/completions", "{\"prompt\":\"a\",\"stream\":true}", &answer);
        assert_verdict(&doors[i], &answer);
        answer_deinit(&answer);
        cr_assert_eq(ryz_server_active(f.server), 0);
    }
}

Test(generations, an_error_within_a_stream_is_an_event_and_no_done_follows)
{
    static const char *const events[] = {
        COMPLETION_HEAD "{\"index\":0,\"text\":\"a\",\"logprobs\":null,\"finish_reason\":null}]}",
        "{\"error\":{\"message\":\"The request ended early: injected fault.\",\"type\":"
        "\"server_error\",\"param\":null,\"code\":\"injected_fault\"}}"};
    struct client client;
    client_open(&client, f.port);
    client_post(&client, "/v1/completions", "", "{\"prompt\":\"a\",\"stream\":true}");
    struct fake_job *job = fake_take(f.engine);
    fake_token(job, 'a');
    fake_end(job, RYZ_FAULT, RYZ_FINISH_ERROR, "");
    assert_events(&client, events, RYZ_COUNT_OF(events));
    client_close(&client);
    json_t *line = fixture_request_line(&f, 0);
    cr_assert_str_eq(text_at(line, "finish"), "error");
    json_decref(line);
}

Test(generations, a_draining_server_refuses_and_lets_the_others_end)
{
    struct client inside;
    struct answer answer;
    client_open(&inside, f.port);
    client_post(&inside, "/v1/completions", "", "{\"prompt\":\"a\"}");
    struct fake_job *job = fake_take(f.engine);
    ryz_server_drain(f.server);
    ask(f.port, "/v1/completions", "{\"prompt\":\"a\"}", &answer);
    const struct verdict draining = {RYZ_CLOSED, 503, "shutting_down"};
    assert_verdict(&draining, &answer);
    answer_deinit(&answer);
    fake_token(job, 'x');
    fake_end(job, RYZ_OK, RYZ_FINISH_LENGTH, "");
    client_read(&inside, &answer);
    cr_assert_eq(answer.status, 200);
    answer_deinit(&answer);
    client_close(&inside);
}

Test(generations, a_log_line_tells_tokens_and_finish)
{
    struct client client;
    struct answer answer;
    generate(&client, "/v1/completions", "{\"prompt\":\"abc\"}");
    client_read(&client, &answer);
    json_t *line = fixture_request_line(&f, 0), *root = answer_json(&answer);
    cr_assert_eq(integer_at(line, "status"), 200);
    cr_assert_eq(integer_at(line, "prompt_tokens"), 3);
    cr_assert_eq(integer_at(line, "output_tokens"), 2);
    cr_assert_str_eq(text_at(line, "finish"), "length");
    cr_assert_str_eq(text_at(line, "request_id"), text_at(root, "id"));
    cr_assert_geq(integer_at(line, "duration_us"), 0);
    json_decref(root);
    json_decref(line);
    answer_deinit(&answer);
    client_close(&client);
}

Test(generations, a_long_answer_arrives_whole)
{
    struct client client;
    struct answer answer;
    enum { TOKENS = 20000 };
    client_open(&client, f.port);
    client_post(&client, "/v1/completions", "", "{\"prompt\":\"abc\",\"logprobs\":5}");
    struct fake_job *job = fake_take(f.engine);
    for (int i = 0; i < TOKENS; i++) fake_token(job, (unsigned char)('a' + i % 26));
    fake_end(job, RYZ_OK, RYZ_FINISH_LENGTH, "");
    client_read(&client, &answer);
    json_t *root = answer_json(&answer);
    cr_assert_eq(strlen(text_at(root, "choices.0.text")), TOKENS);
    cr_assert_eq(json_array_size(json_at(root, "choices.0.logprobs.tokens")), TOKENS);
    cr_assert_eq(integer_at(root, "choices.0.logprobs.text_offset.19999"), 19999);
    json_decref(root);
    answer_deinit(&answer);
    client_close(&client);
}
