/*
 * test_log.c - log lines are whole JSON, whatever is logged.
 *
 * Method: a writer keeps the line, jansson reads it back, and the values are compared.
 */
#include "engine/obs/log.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static char last_line[8192];
static size_t last_length, lines;

static void keep(void *context, enum ryz_log_level level, const char *line, size_t length)
{
    (void)level;
    cr_assert_str_eq(context, "context");
    cr_assert_lt(length, sizeof last_line);
    memcpy(last_line, line, length);
    last_line[length] = '\0';
    last_length = length;
    lines++;
}

static int64_t at_a_known_time(void *context)
{
    (void)context;
    return INT64_C(1767323045) * RYZ_NS_PER_S + 7; /* 2026-01-02T03:04:05.000000007Z */
}

static const struct ryz_clock wall = {.now_ns = at_a_known_time};
static char context_text[] = "context";
static const struct ryz_logger logger = {
    .write = keep, .context = context_text, .wall = &wall, .level = RYZ_LOG_INFO};

static json_t *read_line(void)
{
    json_error_t error;
    cr_assert_eq(strlen(last_line), last_length, "a NUL inside of the line");
    cr_assert_null(strchr(last_line, '\n'));
    json_t *root = json_loadb(last_line, last_length, JSON_REJECT_DUPLICATES, &error);
    cr_assert_not_null(root, "%s in %s", error.text, last_line);
    return root;
}

static const char *text_of(const json_t *root, const char *key)
{
    const char *text = json_string_value(json_object_get(root, key));
    cr_assert_not_null(text, "no %s in %s", key, last_line);
    return text;
}

Test(log, a_line_has_time_level_event_trace_and_fields)
{
    struct ryz_trace_context trace = {.trace_id = {0xab}, .span_id = 0x12, .sampled = true};
    RYZ_LOG(&logger, RYZ_LOG_WARN, "an.event", &trace, RYZ_U64("big", INT64_MAX),
            RYZ_I64("small", INT64_MIN), RYZ_F64("half", 0.5), RYZ_STR("text", "t"));
    json_t *root = read_line();
    cr_assert_str_eq(text_of(root, "ts"), "2026-01-02T03:04:05.000000007Z");
    cr_assert_str_eq(text_of(root, "level"), "warn");
    cr_assert_str_eq(text_of(root, "event"), "an.event");
    cr_assert_str_eq(text_of(root, "trace_id"), "ab000000000000000000000000000000");
    cr_assert_str_eq(text_of(root, "span_id"), "0000000000000012");
    cr_assert_not_null(strstr(last_line, "\"big\":9223372036854775807"));
    cr_assert_eq(json_integer_value(json_object_get(root, "small")), INT64_MIN);
    cr_assert_float_eq(json_real_value(json_object_get(root, "half")), 0.5, 0);
    cr_assert_str_eq(text_of(root, "text"), "t");
    json_decref(root);
}

Test(log, without_a_trace_there_are_no_trace_keys)
{
    RYZ_LOG(&logger, RYZ_LOG_INFO, "e", NULL, RYZ_U64("n", 1));
    json_t *root = read_line();
    cr_assert_null(json_object_get(root, "trace_id"));
    cr_assert_null(json_object_get(root, "span_id"));
    json_decref(root);
}

Test(log, hostile_text_cannot_leave_its_string)
{
    static const char hostile[] = "\",\"level\":\"error\"}\n{\x01\x1b[31m\xff\xc0\xaf%s%n\\";
    RYZ_LOG(&logger, RYZ_LOG_INFO, "e", NULL, RYZ_STR("text", hostile), RYZ_STR("none", NULL));
    json_t *root = read_line();
    cr_assert_str_eq(text_of(root, "level"), "info");
    cr_assert_not_null(strstr(text_of(root, "text"), "%s%n\\"));
    cr_assert_not_null(strstr(text_of(root, "text"), "\xef\xbf\xbd"), "no U+FFFD for bad bytes");
    cr_assert(json_is_null(json_object_get(root, "none")));
    json_decref(root);
}

Test(log, a_field_that_does_not_fit_is_left_out_and_said_so)
{
    static char huge[20000];
    memset(huge, '\x01', sizeof huge - 1);
    RYZ_LOG(&logger, RYZ_LOG_INFO, "e", NULL, RYZ_STR("huge", huge), RYZ_U64("after", 3));
    json_t *root = read_line();
    cr_assert_null(json_object_get(root, "huge"));
    cr_assert_eq(json_integer_value(json_object_get(root, "after")), 3);
    cr_assert(json_is_true(json_object_get(root, "truncated")));
    json_decref(root);
}

/* Every length around the limit: the line is always whole. */
Test(log, lines_are_whole_at_every_length)
{
    static char text[4200];
    for (size_t length = 3800; length < sizeof text - 1; length++) {
        memset(text, 'x', length);
        text[length] = '\0';
        RYZ_LOG(&logger, RYZ_LOG_INFO, "e", NULL, RYZ_STR("text", text), RYZ_U64("n", 12345));
        json_t *root = read_line();
        bool cut = json_is_true(json_object_get(root, "truncated"));
        cr_assert_eq(cut,
                     json_object_get(root, "text") == NULL || json_object_get(root, "n") == NULL);
        json_decref(root);
    }
}

Test(log, levels_below_are_dropped_and_no_logger_is_no_error)
{
    size_t before = lines;
    RYZ_LOG(&logger, RYZ_LOG_DEBUG, "e", NULL, RYZ_U64("n", 1));
    RYZ_LOG((const struct ryz_logger *)NULL, RYZ_LOG_ERROR, "e", NULL, RYZ_U64("n", 1));
    cr_assert_eq(lines, before);
    RYZ_LOG(&logger, RYZ_LOG_ERROR, "e", NULL, RYZ_F64("nan", 0.0 / 0.0));
    cr_assert_eq(lines, before + 1);
    json_decref(read_line());
}
