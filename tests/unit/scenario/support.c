/* support.c - see support.h. */
#include "tests/unit/scenario/support.h"

#include "harness/scenario/check.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64];

void support_open(void)
{
    /* In memory where there is such a place: the mutations write thousands of small files. */
    (void)snprintf(folder, sizeof folder, "%s/ryz-scenario-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(chdir(folder), 0);
    cr_assert_eq(unsetenv("RYZ_DATA"), 0);
    support_write("model.gguf", "GGUF");
    support_write("text.txt", "It was the best of times");
    support_write("trace.csv", "TIMESTAMP,ContextTokens,GeneratedTokens\n");
}

void support_close(void)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry = NULL;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        char path[400];
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] != '.' && unlink(path) != 0) (void)rmdir(path);
    }
    if (dir != NULL) (void)closedir(dir);
    cr_assert_eq(chdir("/"), 0);
    (void)rmdir(folder);
}

void support_write_bytes(const char *name, const char *bytes, size_t size)
{
    FILE *file = fopen(name, "wb");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(bytes, 1, size, file), size);
    cr_assert_eq(fclose(file), 0);
}

void support_write(const char *name, const char *text)
{
    support_write_bytes(name, text, strlen(text));
}

static struct ryz_overrides count_overrides(const char *const *overrides)
{
    struct ryz_overrides result = {.settings = overrides, .count = 0};
    while (overrides != NULL && overrides[result.count] != NULL) result.count++;
    return result;
}

enum ryz_status support_try(const char *text, const char *const *overrides, struct ryz_plan **plan,
                            struct ryz_error *error)
{
    struct ryz_overrides counted = count_overrides(overrides);
    support_write("s.ini", text);
    return ryz_plan_open("s.ini", overrides != NULL ? &counted : NULL, plan, error);
}

struct ryz_plan *support_plan(const char *text, const char *const *overrides)
{
    struct ryz_plan *plan = NULL;
    struct ryz_error error = {.text = ""};
    cr_assert_eq(support_try(text, overrides, &plan, &error), RYZ_OK, "%s", error.text);
    return plan;
}

char *support_check(const char *text, const char *const *overrides, enum ryz_status *status)
{
    struct ryz_overrides counted = count_overrides(overrides);
    char *printed = NULL;
    size_t size = 0;
    support_write("s.ini", text);
    FILE *out = open_memstream(&printed, &size);
    cr_assert_not_null(out);
    *status = ryz_plan_check("s.ini", &counted, out);
    cr_assert_eq(fclose(out), 0);
    return printed;
}

void support_refuses(const char *text, const char *says)
{
    struct ryz_plan *plan = NULL;
    struct ryz_error error = {.text = ""};
    enum ryz_status status = RYZ_OK;
    char *printed = support_check(text, NULL, &status);
    cr_assert_eq(status, RYZ_INVALID, "taken: %s\n%s", says, printed);
    cr_assert_not_null(strstr(printed, says), "wanted: %s\ngot: %s", says, printed);
    cr_assert_eq(strncmp(printed, "s.ini", 5), 0, "%s", printed);
    /* ryz_plan_open gives the first of these lines. */
    cr_assert_eq(support_try(text, NULL, &plan, &error), RYZ_INVALID);
    cr_assert_null(plan);
    cr_assert_eq(strncmp(error.text, printed, strlen(error.text)), 0, "%s\n%s", error.text,
                 printed);
    free(printed);
}

uint64_t support_seed(const char *property)
{
    const char *text = getenv("RYZ_TEST_SEED");
    uint64_t seed = text != NULL ? strtoull(text, NULL, 10) : UINT64_C(20231116);
    (void)fprintf(stderr, "%s: RYZ_TEST_SEED=%" PRIu64 "\n", property, seed);
    return seed;
}
