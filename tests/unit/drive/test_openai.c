/*
 * Goal: requests hold what was asked, answers are understood with and without token ids, and
 * nonsense is refused.
 * Method: requests are read back with jansson; answers come from a table.
 */
#include "harness/drive/openai.h"

#include "engine/runtime/engine.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define NOW_NS INT64_C(5000000000)

static json_t *make(const struct ryz_openai_style *style, const struct ryz_ask *ask)
{
    size_t length = 0;
    char *text = ryz_openai_request(style, ask, NOW_NS, &length);
    cr_assert_not_null(text);
    cr_assert_eq(strlen(text), length);
    json_error_t why;
    json_t *root = json_loads(text, 0, &why);
    cr_assert_not_null(root, "%s: %s", text, why.text);
    free(text);
    return root;
}

Test(openai, a_request_with_ids_holds_exactly_them)
{
    const uint32_t tokens[] = {0, 17, UINT32_MAX};
    const struct ryz_openai_style style = {.model = "a \"quoted\" model"};
    const struct ryz_ask ask = {.tokens = tokens,
                                .prompt_tokens = 3,
                                .output_tokens = 9,
                                .ignore_eos = true,
                                .priority = 2};
    json_t *root = make(&style, &ask);
    json_t *prompt = json_object_get(root, "prompt");
    cr_assert_eq(json_array_size(prompt), 3);
    for (size_t i = 0; i < 3; i++)
        cr_assert_eq(json_integer_value(json_array_get(prompt, i)), tokens[i]);
    cr_assert_str_eq(json_string_value(json_object_get(root, "model")), "a \"quoted\" model");
    cr_assert_eq(json_integer_value(json_object_get(root, "max_tokens")), 9);
    cr_assert_eq(json_integer_value(json_object_get(root, "priority")), 2);
    cr_assert(json_is_true(json_object_get(root, "stream")));
    cr_assert(json_is_true(json_object_get(root, "ignore_eos")));
    cr_assert(json_is_true(json_object_get(root, "return_token_ids")));
    json_decref(root);
}

Test(openai, a_request_with_text_has_words_and_nothing_a_foreign_server_refuses)
{
    const uint32_t tokens[] = {5, 6, 7, 8};
    const struct ryz_openai_style style = {.model = "m", .text_prompts = true};
    const struct ryz_ask ask = {.tokens = tokens,
                                .prompt_tokens = 4,
                                .output_tokens = 1,
                                .priority = RYZ_PRIORITY_NORMAL,
                                .tenant_name = "default"};
    json_t *root = make(&style, &ask);
    const char *prompt = json_string_value(json_object_get(root, "prompt"));
    cr_assert_not_null(prompt);
    uint32_t blanks = 0;
    for (const char *c = prompt; *c != '\0'; c++) blanks += *c == ' ';
    cr_assert_eq(blanks, 4);
    cr_assert_null(json_object_get(root, "return_token_ids"));
    cr_assert_null(json_object_get(root, "priority"));
    cr_assert_null(json_object_get(root, "ignore_eos"));
    cr_assert_null(json_object_get(root, "tenant"));
    cr_assert_null(json_object_get(root, "ttft_deadline_ms"));
    cr_assert_null(json_object_get(root, "deadline_ms"));
    json_decref(root);
}

Test(openai, tenant_priority_and_what_is_left_of_deadlines_are_told)
{
    const uint32_t tokens[] = {5};
    const struct ryz_openai_style style = {.model = "m", .text_prompts = true};
    struct ryz_ask ask = {.tokens = tokens,
                          .prompt_tokens = 1,
                          .output_tokens = 1,
                          .priority = 0,
                          .tenant_name = "batch",
                          .first_deadline_ns = NOW_NS + 250500000,
                          .deadline_ns = NOW_NS + INT64_C(9000000000)};
    json_t *root = make(&style, &ask);
    cr_assert(json_is_integer(json_object_get(root, "priority")));
    cr_assert_eq(json_integer_value(json_object_get(root, "priority")), 0);
    cr_assert_str_eq(json_string_value(json_object_get(root, "tenant")), "batch");
    cr_assert_eq(json_number_value(json_object_get(root, "ttft_deadline_ms")), 250.5);
    cr_assert_eq(json_number_value(json_object_get(root, "deadline_ms")), 9000.0);
    json_decref(root);
    ask.first_deadline_ns = NOW_NS - 1;
    root = make(&style, &ask);
    double left = json_number_value(json_object_get(root, "ttft_deadline_ms"));
    cr_assert(left > 0.0 && left < 0.001, "over, which is not the same as none");
    json_decref(root);
}

Test(openai, an_error_says_why_by_its_code)
{
    static const char late[] = "{\"error\":{\"message\":\"m\",\"code\":\"deadline_unreachable\"}}";
    static const char *const others[] = {"",
                                         "{}",
                                         "[]",
                                         "{\"error\":\"deadline_unreachable\"}",
                                         "{\"error\":{\"code\":429}}",
                                         "not json",
                                         "{\"error\":{\"code\":\"queue_full\"}}"};
    cr_assert(ryz_openai_error_is(late, strlen(late), "deadline_unreachable"));
    cr_assert_not(ryz_openai_error_is(late, strlen(late) - 1, "deadline_unreachable"), "cut off");
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        cr_assert_not(ryz_openai_error_is(others[i], strlen(others[i]), "deadline_unreachable"));
    cr_assert_not(ryz_openai_error_is(NULL, 0, "deadline_unreachable"));
}

static enum ryz_status read_piece(const char *json, struct ryz_openai_piece *piece)
{
    return ryz_openai_piece_read(json, strlen(json), piece);
}

Test(openai, reads_pieces_with_and_without_ids)
{
    struct ryz_openai_piece piece;
    cr_assert_eq(read_piece("{\"choices\":[{\"text\":\"a\",\"token_ids\":[4,5],"
                            "\"finish_reason\":null}]}",
                            &piece),
                 RYZ_OK);
    cr_assert(piece.ids_known && piece.has_text && !piece.finished && !piece.failed);
    cr_assert_eq(piece.id_count, 2);
    cr_assert_eq(piece.ids[1], 5);
    cr_assert_eq(read_piece("{\"choices\":[{\"text\":\"\",\"finish_reason\":\"stop\"}]}", &piece),
                 RYZ_OK);
    cr_assert(!piece.ids_known && !piece.has_text && piece.finished);
    cr_assert_eq(piece.id_count, 0);
    cr_assert_eq(
        read_piece("{\"choices\":[{\"delta\":{\"content\":\"x\"}}],\"usage\":null}", &piece),
        RYZ_OK);
    cr_assert(piece.has_text);
    cr_assert_eq(read_piece("{\"choices\":[],\"usage\":{\"prompt_tokens\":7,"
                            "\"completion_tokens\":3,\"x\":{}}}",
                            &piece),
                 RYZ_OK);
    cr_assert_eq(piece.prompt_tokens, 7);
    cr_assert_eq(piece.output_tokens, 3);
    cr_assert_eq(read_piece("{\"error\":{\"message\":\"no\",\"code\":500}}", &piece), RYZ_OK);
    cr_assert(piece.failed);
    cr_assert_eq(read_piece("{\"choices\":[{\"text\":\"\",\"finish_reason\":\"abort\"}]}", &piece),
                 RYZ_OK);
    cr_assert(piece.failed);
}

Test(openai, refuses_nonsense)
{
    static const char *const bads[] = {
        "",
        "null",
        "[]",
        "{}",
        "{\"choices\":{}}",
        "{\"choices\":[1]}",
        "{\"choices\":[{\"token_ids\":\"x\"}]}",
        "{\"choices\":[{\"token_ids\":[-1]}]}",
        "{\"choices\":[{\"token_ids\":[4294967296]}]}",
        "{\"choices\":[{\"token_ids\":[1.5]}]}",
        "{\"choices\":[{\"text\":\"a\"}]",
    };
    for (size_t i = 0; i < sizeof bads / sizeof bads[0]; i++) {
        struct ryz_openai_piece piece;
        cr_assert_eq(read_piece(bads[i], &piece), RYZ_CORRUPT, "%s", bads[i]);
    }
    struct ryz_openai_piece piece;
    cr_assert_eq(ryz_openai_piece_read(NULL, 0, &piece), RYZ_CORRUPT);
}

Test(openai, finds_the_first_model)
{
    char name[8];
    const char *list = "{\"object\":\"list\",\"data\":[{\"id\":\"tiny\"},{\"id\":\"b\"}]}";
    cr_assert(ryz_openai_first_model(list, strlen(list), name, sizeof name));
    cr_assert_str_eq(name, "tiny");
    const char *bads[] = {"", "{}", "{\"data\":[]}", "{\"data\":[{\"id\":\"\"}]}",
                          "{\"data\":[{\"id\":\"much too long\"}]}"};
    for (size_t i = 0; i < sizeof bads / sizeof bads[0]; i++)
        cr_assert_not(ryz_openai_first_model(bads[i], strlen(bads[i]), name, sizeof name));
}
