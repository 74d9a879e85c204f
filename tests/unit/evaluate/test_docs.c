/* Goal: docs/metrics.md and docs/results.md are what the tables say. Method: the files against what
 * the writers write. */
#include "engine/base/file.h"
#include "harness/evaluate/quantities.h"
#include "harness/record/docs.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static void expect_page(const char *path, void (*write)(FILE *out))
{
    char *want = NULL, *got = NULL;
    size_t size = 0, got_size = 0;
    struct ryz_error error = {0};
    FILE *out = open_memstream(&want, &size);
    cr_assert_not_null(out);
    write(out);
    cr_assert_eq(fclose(out), 0);
    cr_assert_eq(ryz_file_load(path, 1 << 20, &got, &got_size, &error), RYZ_OK, "%s", error.text);
    cr_expect(strcmp(got, want) == 0, "%s differs from its table; write it anew: ryz docs", path);
    free(got);
    free(want);
}

Test(docs, the_pages_are_up_to_date)
{
    expect_page(RYZ_SOURCE_DIR "/docs/metrics.md", ryz_quantities_write_markdown);
    expect_page(RYZ_SOURCE_DIR "/docs/results.md", ryz_results_write_docs);
}
