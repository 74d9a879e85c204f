/*
 * test_request.c - bodies to requests.
 *
 * Goal: every field does what it says; every wrong one is refused by name with the right kind of
 * error; no bytes whatever crash the parser or leak. Method: tables of bodies; then bodies cut off
 * at every byte and bodies with random bytes changed, seeded.
 */
#include "engine/api/request.h"
#include "engine/base/rng.h"
#include "engine/base/size.h"
#include "tests/api/fake_engine.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct ryz_api_rules rules = {
    .model_name = "m", .context_tokens = 64, .token_bytes_max = 1, .seed = 9};

static bool parse_bytes(bool chat, const char *body, size_t length, struct ryz_api_request *request,
                        struct ryz_api_error *error)
{
    return ryz_api_request_parse(&rules, chat, 3, body, length, request, error);
}

/* Parses a good body. */
static struct ryz_api_request parse(bool chat, const char *body)
{
    struct ryz_api_request request;
    struct ryz_api_error error;
    bool ok = parse_bytes(chat, body, strlen(body), &request, &error);
    cr_assert(ok, "%s: %s", body, ok ? "" : error.message);
    return request;
}

/* A short body with one more field. */
static struct ryz_api_request with(bool chat, const char *field)
{
    char body[512];
    (void)snprintf(body, sizeof body, "{%s,%s}",
                   chat ? "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
                        : "\"prompt\":\"hi\"",
                   field);
    return parse(chat, body);
}

Test(request, a_bare_prompt_has_openais_defaults)
{
    struct ryz_api_request request = parse(false, "{\"prompt\":\"hi\"}");
    const struct ryz_generate *g = &request.generate;
    cr_assert_eq(g->token_count, 2);
    cr_assert_eq(g->tokens[0], 'h');
    cr_assert_eq(g->tokens[1], 'i');
    cr_assert_eq(g->max_tokens, 16);
    cr_assert_eq(g->sampling.temperature, 1.0f);
    cr_assert_eq(g->sampling.top_p, 1.0f);
    cr_assert_eq(g->sampling.top_k, 0);
    cr_assert_eq(g->sampling.min_p, 0.0f);
    cr_assert(g->wants_text && !g->wants_logprobs && !g->ignore_eos && !request.stream);
    cr_assert_eq(g->deadline_ns, RYZ_TIME_NEVER);
    cr_assert_eq(g->first_deadline_ns, 0);
    cr_assert_eq(g->priority, RYZ_PRIORITY_NORMAL);
    cr_assert(request.tenant == NULL && request.first_within_ns == 0 && request.end_within_ns == 0);
    ryz_api_request_deinit(&request);
}

Test(request, tenant_and_deadlines_are_taken_over)
{
    struct ryz_api_request r =
        with(true, "\"tenant\":\"team-7.eu\",\"ttft_deadline_ms\":1.5,\"deadline_ms\":86400000");
    cr_assert_str_eq(r.tenant, "team-7.eu");
    cr_assert_eq(r.first_within_ns, 1500000);
    cr_assert_eq(r.end_within_ns, INT64_C(86400) * RYZ_NS_PER_S);
    ryz_api_request_deinit(&r);
    r = with(false, "\"tenant\":null,\"ttft_deadline_ms\":null,\"deadline_ms\":1e-9");
    cr_assert_null(r.tenant);
    cr_assert_eq(r.first_within_ns, 0);
    cr_assert_eq(r.end_within_ns, 1, "a deadline, not none");
    ryz_api_request_deinit(&r);
}

Test(request, requests_without_a_seed_get_different_but_repeatable_ones)
{
    uint64_t seeds[3];
    for (uint64_t i = 0; i < 3; i++) {
        struct ryz_api_request request;
        struct ryz_api_error error;
        cr_assert(ryz_api_request_parse(&rules, false, i / 2, "{\"prompt\":\"a\"}", 14, &request,
                                        &error));
        seeds[i] = request.generate.sampling.seed;
        ryz_api_request_deinit(&request);
    }
    cr_assert_eq(seeds[0], seeds[1]);
    cr_assert_neq(seeds[0], seeds[2]);
}

Test(request, a_prompt_has_four_forms)
{
    static const char *const bodies[] = {"{\"prompt\":\"ab\"}", "{\"prompt\":[\"ab\"]}",
                                         "{\"prompt\":[97,98]}", "{\"prompt\":[[97,98]]}"};
    for (size_t i = 0; i < RYZ_COUNT_OF(bodies); i++) {
        struct ryz_api_request request = parse(false, bodies[i]);
        cr_assert_eq(request.generate.token_count, 2, "%s", bodies[i]);
        cr_assert_eq(request.generate.tokens[0], 97);
        cr_assert_eq(request.generate.tokens[1], 98);
        ryz_api_request_deinit(&request);
    }
}

Test(request, a_nul_in_a_prompt_is_a_character_like_others)
{
    struct ryz_api_request request = parse(false, "{\"prompt\":\"a\\u0000b\"}");
    cr_assert_eq(request.generate.token_count, 3);
    cr_assert_eq(request.generate.tokens[1], 0);
    ryz_api_request_deinit(&request);
}

Test(request, messages_become_one_prompt_and_parts_are_joined)
{
    struct ryz_api_request request =
        parse(true, "{\"messages\":[{\"role\":\"developer\",\"content\":\"s\"},{\"role\":\"user\","
                    "\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":"
                    "\"b\"}]},{\"role\":\"assistant\",\"content\":\"\",\"name\":\"x\"}]}");
    char text[64] = "";
    for (uint32_t i = 0; i < request.generate.token_count; i++)
        text[i] = (char)request.generate.tokens[i];
    cr_assert_str_eq(text, "system:s|user:ab|assistant:|");
    cr_assert_eq(request.generate.max_tokens, 64 - strlen(text), "chat: what the context leaves");
    ryz_api_request_deinit(&request);
}

Test(request, sampling_and_length_are_taken_over)
{
    struct ryz_api_request r =
        with(false, "\"temperature\":0.25,\"top_p\":0.5,\"top_k\":7,\"min_p\":0.125,\"seed\":-1,"
                    "\"max_tokens\":9,\"ignore_eos\":true,\"priority\":255,\"model\":\"m\"");
    cr_assert_eq(r.generate.sampling.temperature, 0.25f);
    cr_assert_eq(r.generate.sampling.top_p, 0.5f);
    cr_assert_eq(r.generate.sampling.top_k, 7);
    cr_assert_eq(r.generate.sampling.min_p, 0.125f);
    cr_assert_eq(r.generate.sampling.seed, UINT64_MAX);
    cr_assert_eq(r.generate.max_tokens, 9);
    cr_assert(r.generate.ignore_eos);
    cr_assert_eq(r.generate.priority, 255);
    ryz_api_request_deinit(&r);
    r = with(true, "\"max_completion_tokens\":5,\"top_k\":-1,\"top_p\":0");
    cr_assert_eq(r.generate.max_tokens, 5);
    cr_assert_eq(r.generate.sampling.top_k, 0);
    cr_assert(r.generate.sampling.top_p > 0, "the sampler wants a positive number");
    ryz_api_request_deinit(&r);
}

Test(request, stops_are_a_string_or_up_to_four)
{
    struct ryz_api_request r = with(false, "\"stop\":\"x\"");
    cr_assert_eq(r.generate.stop_count, 1);
    cr_assert_str_eq(r.generate.stops[0], "x");
    ryz_api_request_deinit(&r);
    r = with(true, "\"stop\":[\"a\",\"b\",\"c\",\"\xc3\xa4\"]");
    cr_assert_eq(r.generate.stop_count, 4);
    cr_assert_str_eq(r.generate.stops[3], "\xc3\xa4");
    ryz_api_request_deinit(&r);
    r = with(false, "\"stop\":[]");
    cr_assert_eq(r.generate.stop_count, 0);
    ryz_api_request_deinit(&r);
}

Test(request, logprobs_are_a_number_in_completions_and_a_switch_in_chats)
{
    struct ryz_api_request r = with(false, "\"logprobs\":0");
    cr_assert(r.generate.wants_logprobs);
    cr_assert_eq(r.generate.top_logprobs, 0);
    ryz_api_request_deinit(&r);
    r = with(true, "\"logprobs\":true,\"top_logprobs\":20");
    cr_assert(r.generate.wants_logprobs);
    cr_assert_eq(r.generate.top_logprobs, 20);
    ryz_api_request_deinit(&r);
    r = with(true, "\"logprobs\":false");
    cr_assert_not(r.generate.wants_logprobs);
    ryz_api_request_deinit(&r);
}

Test(request, streams_have_options)
{
    struct ryz_api_request r = with(
        false, "\"stream\":true,\"stream_options\":{\"include_usage\":true},\"return_token_ids\":"
               "true");
    cr_assert(r.stream && r.include_usage && r.return_token_ids);
    ryz_api_request_deinit(&r);
    r = with(false, "\"stream\":true,\"stream_options\":{\"include_usage\":null,"
                    "\"include_obfuscation\":false}");
    cr_assert(r.stream && !r.include_usage);
    ryz_api_request_deinit(&r);
}

Test(request, null_means_absent_for_every_field)
{
    struct ryz_api_request r =
        with(true, "\"model\":null,\"stream\":null,\"stream_options\":null,\"max_tokens\":null,"
                   "\"temperature\":null,\"top_p\":null,\"seed\":null,\"stop\":null,\"n\":null,"
                   "\"logprobs\":null,\"top_logprobs\":null,\"tools\":null,\"logit_bias\":null,"
                   "\"response_format\":null,\"user\":null");
    cr_assert_eq(r.generate.sampling.temperature, 1.0f);
    ryz_api_request_deinit(&r);
}

Test(request, what_means_off_is_accepted)
{
    static const char *const off[] = {"\"n\":1",
                                      "\"frequency_penalty\":0",
                                      "\"presence_penalty\":0.0",
                                      "\"logit_bias\":{}",
                                      "\"tools\":[]",
                                      "\"tool_choice\":\"none\"",
                                      "\"user\":\"u\"",
                                      "\"response_format\":{\"type\":\"text\"}",
                                      "\"metadata\":{\"a\":\"b\"}",
                                      "\"store\":true",
                                      "\"repetition_penalty\":1.0",
                                      "\"modalities\":[\"text\"]",
                                      "\"parallel_tool_calls\":true"};
    for (size_t i = 0; i < RYZ_COUNT_OF(off); i++) {
        struct ryz_api_request r = with(true, off[i]);
        ryz_api_request_deinit(&r);
    }
    struct ryz_api_request r = with(false, "\"best_of\":1,\"echo\":false,\"suffix\":\"\"");
    ryz_api_request_deinit(&r);
}

struct refusal {
    bool chat;
    const char *body;
    enum ryz_api_error_kind kind;
    const char *param;
};

#define PROMPT(field)  "{\"prompt\":\"hi\"," field "}"
#define MESSAGE(field) "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]," field "}"

static const struct refusal refusals[] = {
    {false, "", RYZ_API_BAD_JSON, ""},
    {false, "{", RYZ_API_BAD_JSON, ""},
    {false, "[]", RYZ_API_BAD_JSON, ""},
    {false, "\"text\"", RYZ_API_BAD_JSON, ""},
    {false, "{\"prompt\":\"a\"} x", RYZ_API_BAD_JSON, ""},
    {false, "{\"prompt\":\"a\",\"prompt\":\"b\"}", RYZ_API_BAD_JSON, ""},
    {false, "{\"prompt\":\"\xff\"}", RYZ_API_BAD_JSON, ""},
    {false, "{\"prompt\":\"\\ud800\"}", RYZ_API_BAD_JSON, ""},
    {false, PROMPT("\"temperature\":1e999"), RYZ_API_BAD_JSON, ""},
    {false, PROMPT("\"seed\":99999999999999999999"), RYZ_API_BAD_JSON, ""},
    {false, "{}", RYZ_API_MISSING, "prompt"},
    {true, "{}", RYZ_API_MISSING, "messages"},
    {false, "{\"prompt\":null}", RYZ_API_MISSING, "prompt"},
    {false, "{\"prompt\":\"\"}", RYZ_API_BAD_VALUE, "prompt"},
    {false, "{\"prompt\":[]}", RYZ_API_BAD_VALUE, "prompt"},
    {false, "{\"prompt\":[[]]}", RYZ_API_BAD_VALUE, "prompt"},
    {false, "{\"prompt\":{}}", RYZ_API_BAD_TYPE, "prompt"},
    {false, "{\"prompt\":7}", RYZ_API_BAD_TYPE, "prompt"},
    {false, "{\"prompt\":[1,\"a\"]}", RYZ_API_BAD_TYPE, "prompt"},
    {false, "{\"prompt\":[1.5]}", RYZ_API_BAD_TYPE, "prompt"},
    {false, "{\"prompt\":[-1]}", RYZ_API_BAD_VALUE, "prompt"},
    {false, "{\"prompt\":[257]}", RYZ_API_BAD_VALUE, "prompt"},
    {false, "{\"prompt\":[9223372036854775807]}", RYZ_API_BAD_VALUE, "prompt"},
    {false, "{\"prompt\":[\"a\",\"b\"]}", RYZ_API_UNSUPPORTED, "prompt"},
    {false, "{\"prompt\":[[1],[2]]}", RYZ_API_UNSUPPORTED, "prompt"},
    {false, PROMPT("\"model\":\"x\""), RYZ_API_NO_MODEL, "model"},
    {false, PROMPT("\"model\":\"m\\u0000\""), RYZ_API_NO_MODEL, "model"},
    {false, PROMPT("\"model\":1"), RYZ_API_BAD_TYPE, "model"},
    {false, PROMPT("\"max_tokens\":0"), RYZ_API_BAD_VALUE, "max_tokens"},
    {false, PROMPT("\"max_tokens\":-5"), RYZ_API_BAD_VALUE, "max_tokens"},
    {false, PROMPT("\"max_tokens\":1.0"), RYZ_API_BAD_TYPE, "max_tokens"},
    {false, PROMPT("\"max_tokens\":\"5\""), RYZ_API_BAD_TYPE, "max_tokens"},
    {false, PROMPT("\"max_tokens\":4294967297"), RYZ_API_BAD_VALUE, "max_tokens"},
    {false, PROMPT("\"max_tokens\":63"), RYZ_API_CONTEXT, "prompt"},
    {true, MESSAGE("\"max_tokens\":5,\"max_completion_tokens\":6"), RYZ_API_BAD_VALUE, NULL},
    {false, PROMPT("\"temperature\":2.1"), RYZ_API_BAD_VALUE, "temperature"},
    {false, PROMPT("\"temperature\":-0.1"), RYZ_API_BAD_VALUE, "temperature"},
    {false, PROMPT("\"temperature\":true"), RYZ_API_BAD_TYPE, "temperature"},
    {false, PROMPT("\"top_p\":1.5"), RYZ_API_BAD_VALUE, "top_p"},
    {false, PROMPT("\"min_p\":-1"), RYZ_API_BAD_VALUE, "min_p"},
    {false, PROMPT("\"top_k\":-2"), RYZ_API_BAD_VALUE, "top_k"},
    {false, PROMPT("\"seed\":1.5"), RYZ_API_BAD_TYPE, "seed"},
    {false, PROMPT("\"priority\":256"), RYZ_API_BAD_VALUE, "priority"},
    {false, PROMPT("\"priority\":-1"), RYZ_API_BAD_VALUE, "priority"},
    {false, PROMPT("\"tenant\":\"\""), RYZ_API_BAD_VALUE, "tenant"},
    {false, PROMPT("\"tenant\":\"a b\""), RYZ_API_BAD_VALUE, "tenant"},
    {false, PROMPT("\"tenant\":\"a\\u0000\""), RYZ_API_BAD_VALUE, "tenant"},
    {false, PROMPT("\"tenant\":\"123456789012345678901234567890123\""), RYZ_API_BAD_VALUE,
     "tenant"},
    {false, PROMPT("\"tenant\":7"), RYZ_API_BAD_TYPE, "tenant"},
    {false, PROMPT("\"ttft_deadline_ms\":0"), RYZ_API_BAD_VALUE, "ttft_deadline_ms"},
    {false, PROMPT("\"ttft_deadline_ms\":\"1 s\""), RYZ_API_BAD_TYPE, "ttft_deadline_ms"},
    {false, PROMPT("\"deadline_ms\":-1"), RYZ_API_BAD_VALUE, "deadline_ms"},
    {false, PROMPT("\"deadline_ms\":86400001"), RYZ_API_BAD_VALUE, "deadline_ms"},
    {false, PROMPT("\"stop\":\"\""), RYZ_API_BAD_VALUE, "stop"},
    {false, PROMPT("\"stop\":\"a\\u0000b\""), RYZ_API_BAD_VALUE, "stop"},
    {false, PROMPT("\"stop\":[\"a\",\"b\",\"c\",\"d\",\"e\"]"), RYZ_API_BAD_VALUE, "stop"},
    {false, PROMPT("\"stop\":[1]"), RYZ_API_BAD_TYPE, "stop"},
    {false, PROMPT("\"stop\":{}"), RYZ_API_BAD_TYPE, "stop"},
    {false,
     PROMPT("\"stop\":\"12345678901234567890123456789012345678901234567890123456789012345\""),
     RYZ_API_BAD_VALUE, "stop"},
    {false, PROMPT("\"stream\":1"), RYZ_API_BAD_TYPE, "stream"},
    {false, PROMPT("\"stream_options\":{}"), RYZ_API_BAD_VALUE, "stream_options"},
    {false, PROMPT("\"stream\":true,\"stream_options\":[]"), RYZ_API_BAD_TYPE, "stream_options"},
    {false, PROMPT("\"stream\":true,\"stream_options\":{\"x\":1}"), RYZ_API_UNKNOWN,
     "stream_options"},
    {false, PROMPT("\"stream\":true,\"stream_options\":{\"include_usage\":1}"), RYZ_API_BAD_TYPE,
     "stream_options"},
    {false, PROMPT("\"logprobs\":6"), RYZ_API_BAD_VALUE, "logprobs"},
    {false, PROMPT("\"logprobs\":true"), RYZ_API_BAD_TYPE, "logprobs"},
    {false, PROMPT("\"top_logprobs\":1"), RYZ_API_UNKNOWN, "top_logprobs"},
    {true, MESSAGE("\"logprobs\":1"), RYZ_API_BAD_TYPE, "logprobs"},
    {true, MESSAGE("\"top_logprobs\":1"), RYZ_API_BAD_VALUE, "top_logprobs"},
    {true, MESSAGE("\"logprobs\":true,\"top_logprobs\":21"), RYZ_API_BAD_VALUE, "top_logprobs"},
    {false, PROMPT("\"n\":0"), RYZ_API_BAD_VALUE, "n"},
    {false, PROMPT("\"n\":17"), RYZ_API_BAD_VALUE, "n"},
    {true, MESSAGE("\"n\":1.5"), RYZ_API_BAD_TYPE, "n"},
    {false, PROMPT("\"best_of\":2"), RYZ_API_UNSUPPORTED, "best_of"},
    {false, PROMPT("\"echo\":true"), RYZ_API_UNSUPPORTED, "echo"},
    {false, PROMPT("\"suffix\":\"x\""), RYZ_API_UNSUPPORTED, "suffix"},
    {false, PROMPT("\"frequency_penalty\":0.1"), RYZ_API_UNSUPPORTED, "frequency_penalty"},
    {false, PROMPT("\"presence_penalty\":-2"), RYZ_API_UNSUPPORTED, "presence_penalty"},
    {false, PROMPT("\"repetition_penalty\":1.1"), RYZ_API_UNSUPPORTED, "repetition_penalty"},
    {false, PROMPT("\"logit_bias\":{\"5\":1}"), RYZ_API_UNSUPPORTED, "logit_bias"},
    {true, MESSAGE("\"tools\":[{\"type\":\"function\"}]"), RYZ_API_UNSUPPORTED, "tools"},
    {true, MESSAGE("\"tool_choice\":\"required\""), RYZ_API_UNSUPPORTED, "tool_choice"},
    {true, MESSAGE("\"response_format\":{\"type\":\"json_object\"}"), RYZ_API_UNSUPPORTED,
     "response_format"},
    {true, MESSAGE("\"modalities\":[\"audio\"]"), RYZ_API_UNSUPPORTED, "modalities"},
    {false, PROMPT("\"no_such_field\":1"), RYZ_API_UNKNOWN, "no_such_field"},
    {false, PROMPT("\"messages\":[]"), RYZ_API_UNKNOWN, "messages"},
    {true, MESSAGE("\"prompt\":\"x\""), RYZ_API_UNKNOWN, "prompt"},
    {true, MESSAGE("\"echo\":false"), RYZ_API_UNKNOWN, "echo"},
    {true, "{\"messages\":[]}", RYZ_API_BAD_VALUE, "messages"},
    {true, "{\"messages\":{}}", RYZ_API_BAD_VALUE, "messages"},
    {true, "{\"messages\":[1]}", RYZ_API_BAD_VALUE, "messages"},
    {true, "{\"messages\":[{}]}", RYZ_API_BAD_VALUE, "messages"},
    {true, "{\"messages\":[{\"role\":\"tool\",\"content\":\"x\"}]}", RYZ_API_BAD_VALUE, "messages"},
    {true, "{\"messages\":[{\"role\":\"user\"}]}", RYZ_API_BAD_VALUE, "messages"},
    {true, "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\"}]}]}",
     RYZ_API_UNSUPPORTED, "messages"},
    {true, "{\"messages\":[{\"role\":\"user\",\"content\":[\"x\"]}]}", RYZ_API_BAD_VALUE,
     "messages"},
    {true, "{\"messages\":[{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{}]}]}",
     RYZ_API_UNSUPPORTED, "messages"},
};

Test(request, wrong_bodies_are_refused_by_the_fields_name)
{
    for (size_t i = 0; i < RYZ_COUNT_OF(refusals); i++) {
        const struct refusal *r = &refusals[i];
        struct ryz_api_request request;
        struct ryz_api_error error = {.kind = RYZ_API_ERROR_COUNT};
        cr_assert_not(parse_bytes(r->chat, r->body, strlen(r->body), &request, &error), "%s",
                      r->body);
        cr_assert_eq(error.kind, r->kind, "%s: kind %d, %s", r->body, error.kind, error.message);
        if (r->param != NULL) cr_assert_str_eq(error.param, r->param, "%s", r->body);
        cr_assert_gt(strlen(error.message), 10, "%s", r->body);
    }
}

/* A prompt of `length` characters, parsed; true if it fits. */
static bool fits(size_t length, uint32_t max_tokens, struct ryz_api_error *error)
{
    char body[512], prompt[256];
    memset(prompt, 'a', length);
    prompt[length] = '\0';
    int bytes =
        snprintf(body, sizeof body, "{\"prompt\":\"%s\",\"max_tokens\":%u}", prompt, max_tokens);
    struct ryz_api_request request;
    if (!parse_bytes(false, body, (size_t)bytes, &request, error)) return false;
    ryz_api_request_deinit(&request);
    return true;
}

Test(request, the_context_is_used_to_the_last_token)
{
    struct ryz_api_error error;
    cr_assert(fits(63, 1, &error));
    cr_assert(fits(1, 63, &error));
    static const size_t prompts[] = {64, 63, 65, 200};
    for (size_t i = 0; i < RYZ_COUNT_OF(prompts); i++) {
        cr_assert_not(fits(prompts[i], 2, &error));
        cr_assert_eq(error.kind, RYZ_API_CONTEXT);
        cr_assert_not_null(strstr(error.message, "maximum context length is 64 tokens"));
    }
}

Test(request, a_default_length_that_does_not_fit_is_shortened)
{
    struct ryz_api_request r = parse(false, "{\"prompt\":\"1234567890123456789012345678901234567890"
                                            "12345678901234567890\"}");
    cr_assert_eq(r.generate.token_count, 60);
    cr_assert_eq(r.generate.max_tokens, 4);
    ryz_api_request_deinit(&r);
}

Test(request, deep_nesting_is_refused_without_a_crash)
{
    size_t depth = 200000;
    char *body = malloc(depth + 16);
    struct ryz_api_request request;
    struct ryz_api_error error;
    cr_assert_not_null(body);
    memset(body, '[', depth);
    cr_assert_not(parse_bytes(false, body, depth, &request, &error));
    cr_assert_eq(error.kind, RYZ_API_BAD_JSON);
    for (size_t i = 0; i + 5 <= depth; i += 5) memcpy(body + i, "{\"a\":", 5);
    cr_assert_not(parse_bytes(false, body, depth, &request, &error));
    cr_assert_eq(error.kind, RYZ_API_BAD_JSON);
    free(body);
}

static const char *const seeds[] = {
    "{\"model\":\"m\",\"prompt\":\"h\\u00e4\\ud83d\\ude00\",\"max_tokens\":5,\"temperature\":0.5,"
    "\"stop\":[\"a\",\"b\"],\"stream\":true,\"stream_options\":{\"include_usage\":true}}",
    "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"}]}],"
    "\"logprobs\":true,\"top_logprobs\":2,\"seed\":1}",
    "{\"prompt\":[[1,2,3]],\"logprobs\":3,\"n\":1}"};

Test(request, a_body_cut_off_anywhere_is_refused)
{
    for (size_t s = 0; s < RYZ_COUNT_OF(seeds); s++) {
        for (size_t length = 0; length < strlen(seeds[s]); length++) {
            struct ryz_api_request request;
            struct ryz_api_error error;
            cr_assert_not(parse_bytes(s == 1, seeds[s], length, &request, &error), "%zu bytes",
                          length);
            cr_assert_eq(error.kind, RYZ_API_BAD_JSON);
        }
    }
}

/* The answer may be yes or no; under the sanitizers this finds what must not happen. */
Test(request, random_changes_never_crash_the_parser)
{
    struct ryz_rng rng;
    uint32_t accepted = 0, refused = 0;
    ryz_rng_init(&rng, 20260102, 0);
    for (int round = 0; round < 20000; round++) {
        char body[512];
        size_t s = ryz_rng_below(&rng, RYZ_COUNT_OF(seeds)), length = strlen(seeds[s]);
        memcpy(body, seeds[s], length);
        for (uint64_t changes = 1 + ryz_rng_below(&rng, 3); changes > 0; changes--)
            body[ryz_rng_below(&rng, length)] =
                (char)(ryz_rng_below(&rng, 2) == 0
                           ? ryz_rng_below(&rng, 256)
                           : (uint64_t) "{}[]\",:0129-e\\u"[ryz_rng_below(&rng, 15)]);
        struct ryz_api_request request;
        struct ryz_api_error error;
        if (parse_bytes(s == 1, body, length, &request, &error)) {
            cr_assert_gt(request.generate.token_count, 0);
            cr_assert_leq(request.generate.token_count + request.generate.max_tokens, 64);
            ryz_api_request_deinit(&request);
            accepted++;
        } else {
            cr_assert_lt(error.kind, RYZ_API_ERROR_COUNT);
            refused++;
        }
    }
    cr_assert_gt(accepted, 100, "nearly all changed bodies were refused: a poor test");
    cr_assert_gt(refused, 100);
}
