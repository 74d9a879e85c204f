/*
 * Goal: good files read as people mean them; every line that inih would misread is named.
 * Method: each trap is a small text with the line and the words of its message; then random bytes
 * and mutations of a good file, which must come to an end and keep the promises of the header.
 */
#include "engine/base/ini.h"
#include "engine/base/rng.h"
#include "engine/base/size.h"
#include "engine/base/utf8.h"
#include "tests/unit/base/support.h"

#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

/* Everything that was reported, a line each. */
struct seen {
    char text[4096];
    uint32_t items, mistakes, first_line;
    char first[160];
};

static void take(void *context, const struct ryz_ini_item *item)
{
    struct seen *seen = context;
    size_t used = strlen(seen->text);
    (void)snprintf(seen->text + used, sizeof seen->text - used, "%u [%s] %s=%s\n", item->line,
                   item->section, item->key != NULL ? item->key : "",
                   item->value != NULL ? item->value : "");
    seen->items++;
    cr_assert(item->section[0] != '\0' && strlen(item->section) <= RYZ_INI_NAME_MAX);
    cr_assert_eq(item->key == NULL, item->value == NULL);
    if (item->key == NULL) return;
    cr_assert(item->key[0] != '\0' && strlen(item->key) <= RYZ_INI_NAME_MAX);
    cr_assert_null(strpbrk(item->key, "=: \t"));
    size_t length = strlen(item->value);
    cr_assert_eq(ryz_utf8_valid_bytes(item->value, length), length);
    cr_assert(length == 0 || (item->value[0] != ' ' && item->value[length - 1] != ' '));
}

static void blame(void *context, uint32_t line, const char *why)
{
    struct seen *seen = context;
    if (seen->mistakes++ > 0) return;
    seen->first_line = line;
    (void)snprintf(seen->first, sizeof seen->first, "%s", why);
}

static enum ryz_status parse(const char *text, size_t size, struct seen *seen,
                             struct ryz_error *error)
{
    memset(seen, 0, sizeof *seen);
    const struct ryz_ini_sink sink = {take, blame, seen};
    return ryz_ini_parse(text, size, "t.ini", &sink, error);
}

Test(ini, a_good_file_reads_with_line_numbers)
{
    const char *text = "\xef\xbb\xbf; title\n"
                       "[a]\r\n"
                       "x = 1 ; comment\n"
                       "\n"
                       "# another\n"
                       "   ; an indented comment\n"
                       "url=http://h:1/v1;x=2\n"
                       "empty =\n"
                       "empty2 = ; nothing\n"
                       "[b.c] ; an empty section\n"
                       "[d]\n"
                       "y\t=\t a  b \t";
    struct seen seen;
    struct ryz_error error = {.text = ""};
    cr_assert_eq(parse(text, strlen(text), &seen, &error), RYZ_OK, "%s", error.text);
    cr_assert_str_eq(seen.text, "2 [a] =\n3 [a] x=1\n7 [a] url=http://h:1/v1;x=2\n"
                                "8 [a] empty=\n9 [a] empty2=\n10 [b.c] =\n11 [d] =\n"
                                "12 [d] y=a  b\n");
}

Test(ini, every_trap_is_named_with_its_line)
{
    static char longest[400], long_name[120], long_key[120];
    memset(longest, 'x', 191);
    (void)snprintf(long_name, sizeof long_name, "[%049d]\n", 0);
    (void)snprintf(long_key, sizeof long_key, "[a]\n%049d = 1\n", 0);
    memcpy(longest, "[a]\nk = ", 8);
    memset(longest + 8, 'x', 4 + 191 - 8);
    const struct {
        const char *text;
        uint32_t line;
        const char *says;
    } cases[] = {
        {longest, 2, "longer than 190 bytes"},
        {long_name, 1, "longer than 48 bytes"},
        {long_key, 2, "longer than 48 bytes"},
        {"[a]\nx: 1\n", 2, "no \":\""},
        {"[a]\nx:y = 1\n", 2, "no \":\""},
        {"[a]\nx = 1\n  more\n", 3, "indented"},
        {"[a]\n\tx = 1\n", 2, "indented"},
        {"[a]\n  [b]\n", 2, "indented"},
        {"[a\nx = 1\n", 1, "no closing"},
        {"[]\n", 1, "no name"},
        {"[a] x\n", 1, "after the section's"},
        {"[a]]\n", 1, "after the section's"},
        {"[a b]\n", 1, "a blank"},
        {"[a;b]\n", 1, "one of"},
        {"[a=b]\n", 1, "one of"},
        {"x = 1\n[a]\n", 1, "before the first"},
        {"[a]\nx\n", 2, "neither"},
        {"[a]\n= 1\n", 2, "no key"},
        {"[a]\nx y = 1\n", 2, "blank"},
        {"[a]\nx ; = 1\n", 2, "no \"=\" before"},
        {"[a]\nx =; c\n", 2, "needs a blank"},
        {"[a]\nx = 1 # c\n", 2, "starts with \";\""},
        {"[a]\nx = \xff\n", 2, "not UTF-8"},
        {"[a]\nx = \xed\xa0\x80\n", 2, "not UTF-8"},
        {"[a]\nx = \x01\n", 2, "control character"},
        {"[a]\nx = 1\ry = 2\n", 2, "control character"},
    };
    for (size_t i = 0; i < RYZ_COUNT_OF(cases); i++) {
        struct seen seen;
        struct ryz_error error = {.text = ""};
        char where[32];
        cr_assert_eq(parse(cases[i].text, strlen(cases[i].text), &seen, &error), RYZ_INVALID,
                     "case %zu was taken", i);
        cr_assert_not_null(strstr(seen.first, cases[i].says), "case %zu: %s", i, seen.first);
        cr_assert_eq(seen.first_line, cases[i].line, "case %zu: line %u", i, seen.first_line);
        (void)snprintf(where, sizeof where, "t.ini:%u: ", cases[i].line);
        cr_assert_eq(strncmp(error.text, where, strlen(where)), 0, "%s", error.text);
    }
}

Test(ini, a_line_of_190_bytes_is_whole)
{
    char text[256];
    struct seen seen;
    int used = snprintf(text, sizeof text, "[a]\nk = ");
    memset(text + used, 'x', 186);
    text[used + 186] = '\0';
    cr_assert_eq(parse(text, strlen(text), &seen, NULL), RYZ_OK);
    cr_assert_eq(strlen(seen.text), strlen("1 [a] =\n2 [a] k=\n") + 186);
}

Test(ini, a_nul_byte_is_a_mistake)
{
    struct seen seen;
    cr_assert_eq(parse("[a]\nx = 1\0 2\ny = 3\n", 19, &seen, NULL), RYZ_INVALID);
    cr_assert_eq(seen.first_line, 2);
    cr_assert_not_null(strstr(seen.first, "NUL"));
    cr_assert_not_null(strstr(seen.text, "3 [a] y=3"), "reading goes on: %s", seen.text);
}

Test(ini, keys_after_a_broken_header_do_not_land_in_the_section_before)
{
    struct seen seen;
    const char *text = "[a]\nx = 1\n[b\ny = 2\n[c]\nz = 3\n";
    cr_assert_eq(parse(text, strlen(text), &seen, NULL), RYZ_INVALID);
    cr_assert_eq(seen.mistakes, 1);
    cr_assert_str_eq(seen.text, "1 [a] =\n2 [a] x=1\n5 [c] =\n6 [c] z=3\n");
}

Test(ini, every_mistake_is_reported_and_the_first_is_the_error)
{
    struct seen seen;
    struct ryz_error error;
    const char *text = "a = 1\n[s]\nb\nc : 1\nd = 4\n";
    cr_assert_eq(parse(text, strlen(text), &seen, &error), RYZ_INVALID);
    cr_assert_eq(seen.mistakes, 3);
    cr_assert_not_null(strstr(error.text, "t.ini:1: "));
    cr_assert_str_eq(seen.text, "2 [s] =\n5 [s] d=4\n");
}

Test(ini, an_empty_text_is_an_empty_file)
{
    struct seen seen;
    cr_assert_eq(parse("", 0, &seen, NULL), RYZ_OK);
    cr_assert_eq(parse("\n\n", 2, &seen, NULL), RYZ_OK);
    cr_assert_eq(seen.items + seen.mistakes, 0);
}

Test(ini, random_bytes_come_to_an_end)
{
    struct ryz_rng rng;
    ryz_rng_init(&rng, test_seed("ini bytes"), 0);
    static char text[2000];
    struct seen seen;
    for (int round = 0; round < 2000; round++) {
        size_t size = ryz_rng_below(&rng, sizeof text);
        for (size_t i = 0; i < size; i++) text[i] = (char)ryz_rng_u64(&rng);
        enum ryz_status status = parse(text, size, &seen, NULL);
        cr_assert_eq(status == RYZ_OK, seen.mistakes == 0);
    }
}

Test(ini, mutations_of_a_good_file_keep_the_promises)
{
    static const char good[] = "; t\n[scenario]\nname = x ; c\nlist = 1 2 3\n[traffic.main]\n"
                               "url = http://h:1/\nempty =\n";
    static const char spice[] = "[]=:; #\n\r\t\\\"x\0\xff\xc3";
    struct ryz_rng rng;
    ryz_rng_init(&rng, test_seed("ini mutations"), 1);
    uint32_t clean = 0;
    for (int round = 0; round < 20000; round++) {
        char text[sizeof good];
        struct seen seen;
        memcpy(text, good, sizeof good);
        for (uint64_t edits = ryz_rng_below(&rng, 4); edits > 0; edits--)
            text[ryz_rng_below(&rng, sizeof text - 1)] =
                spice[ryz_rng_below(&rng, sizeof spice - 1)];
        enum ryz_status status = parse(text, sizeof text - 1, &seen, NULL);
        cr_assert_eq(status == RYZ_OK, seen.mistakes == 0);
        clean += status == RYZ_OK;
    }
    cr_assert(clean > 1000 && clean < 20000, "%u clean files", clean);
}

Test(ini, files_are_read_and_absent_ones_named)
{
    char path[] = "/tmp/ryz-ini-XXXXXX";
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, "[a]\nx = 1\n", 10), 10);
    cr_assert_eq(close(fd), 0);
    struct seen seen = {.items = 0};
    struct ryz_error error;
    const struct ryz_ini_sink sink = {take, blame, &seen};
    cr_assert_eq(ryz_ini_read(path, &sink, &error), RYZ_OK);
    cr_assert_eq(seen.items, 2);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(ryz_ini_read(path, &sink, &error), RYZ_NOT_FOUND);
    cr_assert_not_null(strstr(error.text, path));
    cr_assert_eq(ryz_ini_read("/tmp", &sink, &error), RYZ_IO);
}

Test(ini, more_than_a_mebibyte_is_refused)
{
    char *text = calloc(1, RYZ_INI_FILE_MAX + 1);
    struct seen seen;
    cr_assert_not_null(text);
    cr_assert_eq(parse(text, RYZ_INI_FILE_MAX + 1, &seen, NULL), RYZ_INVALID);
    free(text);
}
