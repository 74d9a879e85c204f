/*
 * test_choices.c - several answers to one prompt on one connection.
 *
 * Goal: choices keep their texts, reasons and log-probabilities apart by their index, the usage
 * comes once, and half an answer is none. Method: a made-up engine whose choices mix their tokens.
 */
#include "engine/base/size.h"
#include "tests/api/fixture.h"

#include <criterion/criterion.h>
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

TestSuite(choices, .init = set_up, .fini = tear_down, .timeout = 120);

static struct fake_job *begin(struct client *client, const char *path, const char *body)
{
    client_open(client, f.port);
    client_post(client, path, "", body);
    return fake_take(f.engine);
}

static void token(struct fake_job *job, uint32_t choice, unsigned char byte)
{
    job->choice = choice;
    fake_token(job, byte);
}

static void end(struct fake_job *job, uint32_t choice, enum ryz_status status,
                enum ryz_finish_reason finish)
{
    job->choice = choice;
    fake_end(job, status, finish, "");
}

/* "ab" and "xyz" in turns; the second choice is over first. */
static void answer_two(struct fake_job *job)
{
    cr_assert_eq(job->generate.choices, 2);
    token(job, 0, 'a');
    token(job, 1, 'x');
    token(job, 1, 'y');
    token(job, 1, 'z');
    end(job, 1, RYZ_OK, RYZ_FINISH_STOP);
    token(job, 0, 'b');
    end(job, 0, RYZ_OK, RYZ_FINISH_LENGTH);
}

Test(choices, of_a_whole_answer_are_told_apart)
{
    struct client client;
    struct answer answer;
    answer_two(begin(&client, "/v1/completions", "{\"prompt\":\"abc\",\"n\":2,\"logprobs\":0}"));
    client_read(&client, &answer);
    cr_assert_eq(answer.status, 200);
    json_t *root = answer_json(&answer);
    cr_assert_eq(json_array_size(json_at(root, "choices")), 2);
    cr_assert_eq(integer_at(root, "choices.1.index"), 1);
    cr_assert_str_eq(text_at(root, "choices.0.text"), "ab");
    cr_assert_str_eq(text_at(root, "choices.1.text"), "xyz");
    cr_assert_str_eq(text_at(root, "choices.0.finish_reason"), "length");
    cr_assert_str_eq(text_at(root, "choices.1.finish_reason"), "stop");
    cr_assert_eq(json_array_size(json_at(root, "choices.0.logprobs.tokens")), 2);
    cr_assert_str_eq(text_at(root, "choices.1.logprobs.tokens.2"), "z");
    cr_assert_eq(integer_at(root, "choices.0.logprobs.text_offset.1"), 1);
    cr_assert_eq(integer_at(root, "choices.1.logprobs.text_offset.2"), 2);
    cr_assert_eq(integer_at(root, "usage.prompt_tokens"), 3);
    cr_assert_eq(integer_at(root, "usage.completion_tokens"), 5);
    json_decref(root);
    answer_deinit(&answer);
    client_close(&client);
}

Test(choices, of_a_chat_are_messages)
{
    struct client client;
    struct answer answer;
    answer_two(begin(&client, "/v1/chat/completions",
                     "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"n\":2,"
                     "\"logprobs\":true,\"return_token_ids\":true}"));
    client_read(&client, &answer);
    json_t *root = answer_json(&answer);
    cr_assert_str_eq(text_at(root, "choices.1.message.content"), "xyz");
    cr_assert_eq(json_array_size(json_at(root, "choices.0.logprobs.content")), 2);
    cr_assert_str_eq(text_at(root, "choices.1.logprobs.content.1.token"), "y");
    cr_assert_eq(json_array_size(json_at(root, "choices.1.token_ids")), 3);
    cr_assert_eq(integer_at(root, "choices.1.token_ids.0"), 'x');
    json_decref(root);
    answer_deinit(&answer);
    client_close(&client);
}

/* Of each event of a stream: "INDEX:TEXT", "INDEX!REASON", "INDEX@ROLE", "usage" or "[DONE]". */
static void expect_stream(struct client *client, const char *const *expected, size_t count)
{
    struct answer head;
    client_read_head(client, &head);
    cr_assert_eq(head.status, 200);
    for (size_t i = 0; i < count; i++) {
        char seen[64] = "";
        char *event = client_read_event(client, NULL);
        cr_assert_not_null(event);
        json_t *root = json_loads(event, 0, NULL);
        const char *reason = json_string_value(json_at(root, "choices.0.finish_reason"));
        const char *role = json_string_value(json_at(root, "choices.0.delta.role"));
        const char *text = json_string_value(json_at(root, "choices.0.text"));
        if (text == NULL) text = json_string_value(json_at(root, "choices.0.delta.content"));
        long long index = json_integer_value(json_at(root, "choices.0.index"));
        if (root == NULL)
            (void)snprintf(seen, sizeof seen, "%s", event);
        else if (json_array_size(json_at(root, "choices")) == 0)
            (void)snprintf(seen, sizeof seen, "usage");
        else if (role != NULL || reason != NULL)
            (void)snprintf(seen, sizeof seen, "%lld%c%s", index, role != NULL ? '@' : '!',
                           role != NULL ? role : reason);
        else
            (void)snprintf(seen, sizeof seen, "%lld:%s", index, text);
        cr_assert_str_eq(seen, expected[i], "event %zu: %s", i, event);
        json_decref(root);
        free(event);
    }
    cr_assert_null(client_read_event(client, NULL));
    client_close(client);
}

Test(choices, of_a_stream_carry_their_index)
{
    static const char *const expected[] = {"0:a",    "1:x", "1:y",      "1:z",
                                           "1!stop", "0:b", "0!length", "[DONE]"};
    struct client client;
    answer_two(begin(&client, "/v1/completions", "{\"prompt\":\"a\",\"n\":2,\"stream\":true}"));
    expect_stream(&client, expected, RYZ_COUNT_OF(expected));
}

Test(choices, of_a_chat_stream_begin_with_their_roles_and_end_with_one_usage)
{
    static const char *const expected[] = {"0@assistant", "1@assistant", "0:a",    "1:x",
                                           "1:y",         "1:z",         "1!stop", "0:b",
                                           "0!length",    "usage",       "[DONE]"};
    struct client client;
    answer_two(begin(&client, "/v1/chat/completions",
                     "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"n\":2,"
                     "\"stream\":true,\"stream_options\":{\"include_usage\":true}}"));
    expect_stream(&client, expected, RYZ_COUNT_OF(expected));
}

Test(choices, are_refused_together)
{
    struct client client;
    struct answer answer;
    struct fake_job *job = begin(&client, "/v1/completions", "{\"prompt\":\"a\",\"n\":3}");
    fake_refuse(job, false, 2 * RYZ_NS_PER_S);
    client_read(&client, &answer);
    cr_assert_eq(answer.status, 429);
    answer_deinit(&answer);
    client_close(&client);
}

Test(choices, of_which_one_fails_are_no_answer)
{
    struct client client;
    struct answer answer;
    struct fake_job *job = begin(&client, "/v1/completions", "{\"prompt\":\"a\",\"n\":3}");
    token(job, 0, 'a');
    end(job, 0, RYZ_OK, RYZ_FINISH_STOP);
    token(job, 1, 'b');
    end(job, 2, RYZ_FAULT, RYZ_FINISH_ERROR);
    cr_assert(job->cancelled, "the others are of no use");
    client_read(&client, &answer);
    cr_assert_eq(answer.status, 500);
    end(job, 1, RYZ_CANCELLED, RYZ_FINISH_ERROR);
    answer_deinit(&answer);
    client_close(&client);
}

Test(choices, of_which_one_fails_in_a_stream_end_with_an_error)
{
    struct client client;
    struct answer head;
    bool whole = false;
    struct fake_job *job =
        begin(&client, "/v1/completions", "{\"prompt\":\"a\",\"n\":2,\"stream\":true}");
    token(job, 0, 'a');
    client_read_head(&client, &head);
    free(client_read_event(&client, NULL));
    end(job, 0, RYZ_OK, RYZ_FINISH_STOP);
    end(job, 1, RYZ_TIMEOUT, RYZ_FINISH_ERROR);
    char *event = client_read_event(&client, NULL);
    cr_assert_not_null(strstr(event, "\"finish_reason\":\"stop\""));
    free(event);
    event = client_read_event(&client, NULL);
    cr_assert_not_null(strstr(event, "\"code\":\"timeout\""));
    free(event);
    cr_assert_null(client_read_event(&client, &whole));
    client_close(&client);
}

Test(choices, of_a_client_that_leaves_are_cancelled)
{
    struct client client;
    struct fake_job *job =
        begin(&client, "/v1/completions", "{\"prompt\":\"a\",\"n\":2,\"stream\":true}");
    token(job, 1, 'a');
    end(job, 1, RYZ_OK, RYZ_FINISH_STOP);
    client_close(&client);
    fake_await_cancel(f.engine, job);
    end(job, 0, RYZ_CANCELLED, RYZ_FINISH_ERROR);
    json_t *line = fixture_request_line(&f, 0);
    cr_assert_str_eq(text_at(line, "finish"), "cancelled");
    json_decref(line);
}
