/*
 * test_docs.c - docs/http_api.md names what the code's tables have, and nothing that they have not.
 */
#include "engine/api/errors.h"
#include "engine/api/request_parse.h"
#include "engine/obs/metrics.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char page[65536];

static void read_page(void)
{
    FILE *file = fopen(RYZ_SOURCE_DIR "/docs/http_api.md", "r");
    cr_assert_not_null(file);
    size_t length = fread(page, 1, sizeof page - 1, file);
    cr_assert_gt(length, 1000);
    (void)fclose(file);
}

TestSuite(docs, .init = read_page);

static void assert_named(const char *name)
{
    char quoted[128];
    (void)snprintf(quoted, sizeof quoted, "`%s`", name);
    cr_assert_not_null(strstr(page, quoted), "docs/http_api.md says nothing of %s", name);
}

Test(docs, every_field_of_a_request_is_described)
{
    size_t count = 0;
    for (; ryz_api_field_name(count) != NULL; count++) assert_named(ryz_api_field_name(count));
    cr_assert_gt(count, 40);
}

Test(docs, every_error_code_is_described_with_its_status){
#define X(name, http, type, code)                                                                  \
    {                                                                                              \
        char row[32];                                                                              \
        assert_named(code);                                                                        \
        (void)snprintf(row, sizeof row, "| %d | ", http);                                          \
        const char *line = strstr(page, "`" code "`");                                             \
        bool found = false;                                                                        \
        for (; line != NULL && !found; line = strstr(line + 1, "`" code "`")) {                    \
            const char *start = line;                                                              \
            while (start > page && start[-1] != '\n') start--;                                     \
            found = strncmp(start, row, strlen(row)) == 0;                                         \
        }                                                                                          \
        cr_assert(found, "no row with status %d has the code %s", http, code);                     \
    }
    RYZ_API_ERROR_TABLE(X)
#undef X
}

Test(docs, every_metric_is_described_with_its_help)
{
#define X(name, kind, metric, help)                                                                \
    assert_named(metric);                                                                          \
    cr_assert_not_null(strstr(page, "| " help " |"), "%s", metric);
    RYZ_METRIC_TABLE(X)
#undef X
}

/* Fields that the page invents: each quoted name in the table of fields must be in the code's. */
Test(docs, no_field_is_invented)
{
    const char *at = strstr(page, "## Fields of a request"),
               *end = strstr(page, "Log-probabilities");
    uint32_t seen = 0;
    cr_assert(at != NULL && end != NULL && at < end);
    while ((at = strstr(at, "\n| `")) != NULL && at < end) {
        const char *stop = strchr(at + 4, '|');
        for (const char *name = at + 3; (name = strchr(name, '`')) != NULL && name < stop;) {
            char text[64];
            (void)snprintf(text, sizeof text, "%.*s", (int)strcspn(name + 1, "`"), name + 1);
            bool known = false;
            for (size_t i = 0; !known && ryz_api_field_name(i) != NULL; i++)
                known = strcmp(ryz_api_field_name(i), text) == 0;
            cr_assert(known, "the page describes a field %s", text);
            seen++;
            name += strlen(text) + 2;
        }
        at = stop;
    }
    cr_assert_gt(seen, 15);
}
