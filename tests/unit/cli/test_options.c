/*
 * Goal: every kind of option is read, and every mistake on a command line is refused.
 * Method: one table of options, many command lines; messages on stderr are captured by Criterion.
 */
#include "harness/cli/options.h"

#include "engine/base/size.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <string.h>

struct values {
    const char *text;
    uint32_t small;
    uint64_t large, bytes;
    double real;
    bool flag;
    struct ryz_option_list list;
};

static struct values values;
static const char *positional[2];
static uint32_t positional_count;

static enum ryz_status parse(int argc, char *const *argv)
{
    values = (struct values){.text = "default", .small = 7};
    const struct ryz_option options[] = {
        {"text", RYZ_OPTION_TEXT, &values.text, "T", ""},
        {"small", RYZ_OPTION_U32, &values.small, "N", ""},
        {"large", RYZ_OPTION_U64, &values.large, "N", ""},
        {"bytes", RYZ_OPTION_BYTES, &values.bytes, "SIZE", ""},
        {"real", RYZ_OPTION_F64, &values.real, "R", ""},
        {"flag", RYZ_OPTION_FLAG, &values.flag, NULL, ""},
        {"set", RYZ_OPTION_LIST, &values.list, "K=V", ""},
    };
    const struct ryz_command_line line = {.usage = "test FILE",
                                          .about = "For the test.",
                                          .options = options,
                                          .option_count = RYZ_COUNT_OF(options),
                                          .positional_min = 1,
                                          .positional_max = 2};
    return ryz_options_parse(&line, argc, argv, positional, &positional_count);
}

#define PARSE(...)                                                                                 \
    parse((int)RYZ_COUNT_OF(((char *[]){"test", __VA_ARGS__})), (char *[]){"test", __VA_ARGS__})

Test(options, every_kind_is_read_in_both_spellings)
{
    cr_assert_eq(PARSE("file", "--text", "a b", "--small=42", "--large", "18446744073709551615",
                       "--bytes", "3 MiB", "--real=0.5", "--flag", "--set", "x=1", "--set=y=2"),
                 RYZ_OK);
    cr_expect_str_eq(values.text, "a b");
    cr_expect_eq(values.small, 42u);
    cr_expect_eq(values.large, UINT64_MAX);
    cr_expect_eq(values.bytes, UINT64_C(3) << 20);
    cr_expect_eq(values.real, 0.5);
    cr_expect(values.flag);
    cr_expect_eq(values.list.count, 2u);
    cr_expect_str_eq(values.list.items[1], "y=2");
    cr_expect_eq(positional_count, 1u);
    cr_expect_str_eq(positional[0], "file");
}

Test(options, defaults_stay_where_nothing_is_said)
{
    cr_assert_eq(PARSE("file"), RYZ_OK);
    cr_expect_str_eq(values.text, "default");
    cr_expect_eq(values.small, 7u);
}

Test(options, after_two_dashes_everything_is_positional)
{
    cr_assert_eq(PARSE("--", "--flag"), RYZ_OK);
    cr_expect_str_eq(positional[0], "--flag");
    cr_expect_not(values.flag);
}

Test(options, mistakes_are_refused, .init = cr_redirect_stderr)
{
    cr_expect_eq(PARSE("file", "--smal", "1"), RYZ_INVALID);
    cr_expect_eq(PARSE("file", "--small", "-1"), RYZ_INVALID);
    cr_expect_eq(PARSE("file", "--small", "4294967296"), RYZ_INVALID);
    cr_expect_eq(PARSE("file", "--small", "1x"), RYZ_INVALID);
    cr_expect_eq(PARSE("file", "--large", ""), RYZ_INVALID);
    cr_expect_eq(PARSE("file", "--bytes", "12"), RYZ_INVALID, "a size needs its unit");
    cr_expect_eq(PARSE("file", "--real", "nonsense"), RYZ_INVALID);
    cr_expect_eq(PARSE("file", "--real", "-0.5"), RYZ_INVALID, "no option counts below 0");
    cr_expect_eq(PARSE("file", "--real", "nan"), RYZ_INVALID);
    cr_expect_eq(PARSE("file", "--flag=yes"), RYZ_INVALID);
    cr_expect_eq(PARSE("file", "--text"), RYZ_INVALID, "the value is missing");
    cr_expect_eq(PARSE("--flag"), RYZ_INVALID, "the file is missing");
    cr_expect_eq(PARSE("a", "b", "c"), RYZ_INVALID, "one word too many");
}

Test(options, an_unknown_option_leads_to_the_known_one, .init = cr_redirect_stderr)
{
    cr_assert_eq(PARSE("file", "--smlal", "1"), RYZ_INVALID);
    (void)fflush(stderr);
    char text[512] = "";
    FILE *captured = cr_get_redirected_stderr();
    size_t length = fread(text, 1, sizeof text - 1, captured);
    cr_assert_gt(length, 0u);
    cr_expect_not_null(strstr(text, "did you mean --small?"), "%s", text);
}

Test(options, a_wrong_word_leads_to_the_right_one, .init = cr_redirect_stderr)
{
    cr_expect(ryz_option_is_word("admit", "whole", "prompt whole chunk"));
    cr_expect(ryz_option_is_word("admit", "chunk", "prompt whole chunk"));
    cr_expect_not(ryz_option_is_word("admit", "", "prompt whole chunk"));
    cr_expect_not(ryz_option_is_word("admit", "whole chunk", "prompt whole chunk"));
    cr_expect_not(ryz_option_is_word("admit", "promt", "prompt whole chunk"));
    (void)fflush(stderr);
    char text[1024] = "";
    FILE *captured = cr_get_redirected_stderr();
    size_t length = fread(text, 1, sizeof text - 1, captured);
    cr_assert_gt(length, 0u);
    cr_expect_not_null(strstr(text,
                              "--admit: \"promt\" is none of: prompt whole chunk; did you mean "
                              "\"prompt\"?"),
                       "%s", text);
}

Test(options, help_is_not_a_mistake, .init = cr_redirect_stdout)
{
    cr_expect_eq(PARSE("--help"), RYZ_CANCELLED);
}
