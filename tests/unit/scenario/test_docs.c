/*
 * Goal: docs/scenario.md is what the table of keys says.
 * Method: the file against what the writer writes.
 */
#include "engine/base/file.h"
#include "harness/scenario/docs.h"
#include "harness/scenario/keys.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char page[] = RYZ_SOURCE_DIR "/docs/scenario.md";

static char *write_to_memory(void)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    cr_assert_not_null(out);
    ryz_scenario_write_docs(out);
    cr_assert_eq(fclose(out), 0);
    return text;
}

Test(docs, the_page_is_up_to_date)
{
    char *wanted = write_to_memory(), *got = NULL;
    size_t size = 0;
    struct ryz_error error = {.text = ""};
    cr_assert_eq(ryz_file_load(page, 1 << 20, &got, &size, &error), RYZ_OK, "%s", error.text);
    cr_assert(strcmp(got, wanted) == 0,
              "docs/scenario.md differs from keys.h; write it anew: ryz docs");
    free(got);
    free(wanted);
}

Test(docs, every_key_and_section_is_on_the_page)
{
    char *text = write_to_memory();
    const struct ryz_key *key = NULL;
    char wanted[64];
    for (size_t i = 0; (key = ryz_key_at(i)) != NULL; i++) {
        (void)snprintf(wanted, sizeof wanted, "\n| `%s` | ", key->name);
        cr_assert_not_null(strstr(text, wanted), "%s", key->name);
        cr_assert_neq(key->help[0], '\0');
        cr_assert_null(strchr(key->help, '|'), "a bar would split the table's cell");
    }
    for (unsigned s = 0; s < RYZ_SECTION_COUNT; s++) {
        (void)snprintf(wanted, sizeof wanted, "\n## [%s", ryz_section_name((enum ryz_section)s));
        cr_assert_not_null(strstr(text, wanted));
    }
    free(text);
}
