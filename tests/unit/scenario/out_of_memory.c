/*
 * Goal: a scenario that cannot be read for want of memory is not called wrong, and nothing leaks.
 * Method: a scenario with an include, overrides and a sweep is opened with its first, second, ...
 * allocation failing, until it goes through.
 */
#include "harness/scenario/check.h"
#include "tests/unit/base/failing_memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition);          \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(name, "wb");
    CHECK(file != NULL);
    CHECK(fputs(text, file) >= 0);
    CHECK(fclose(file) == 0);
}

/* Opens the plan and its last point; *plan is NULL after a failure. */
static enum ryz_status attempt(struct ryz_error *error)
{
    const char *const settings[] = {"engine.max_queue=3", "targets.errors=== 0"};
    const struct ryz_overrides overrides = {settings, 2};
    struct ryz_plan *plan = NULL, *point = NULL;
    enum ryz_status status = ryz_plan_open("s.ini", &overrides, &plan, error);
    CHECK((status == RYZ_OK) == (plan != NULL));
    if (status == RYZ_OK) status = ryz_plan_point(plan, 1, &point, NULL, 0, error);
    CHECK((status == RYZ_OK) == (point != NULL));
    ryz_plan_close(point);
    ryz_plan_close(plan);
    return status;
}

int main(void)
{
    char folder[] = "/tmp/ryz-memory-XXXXXX";
    CHECK(mkdtemp(folder) != NULL && chdir(folder) == 0);
    write_file("model.gguf", "GGUF");
    write_file("base.ini", "[engine]\nmax_queue = 4\n");
    write_file("s.ini", "[scenario]\nname = x\nschema = 1\ninclude = base.ini\n[model]\n"
                        "path = model.gguf\n[traffic.a]\narrival = closed\nconcurrency = 1\n"
                        "requests = 1\n[sweep]\nengine.max_batch = 1 2\n");
    uint32_t n = 0;
    for (bool failed = true; failed; n++) {
        struct ryz_error error = {.text = ""};
        failing_memory_arm(n);
        enum ryz_status status = attempt(&error);
        failed = failing_memory_failed();
        failing_memory_arm(UINT32_MAX);
        if (failed && status != RYZ_NO_MEMORY)
            (void)fprintf(stderr, "call %u: %s %s\n", n, ryz_status_name(status), error.text);
        CHECK(status == (failed ? RYZ_NO_MEMORY : RYZ_OK));
        CHECK(!failed || error.text[0] != '\0');
    }
    CHECK(n > 5);
    CHECK(unlink("model.gguf") + unlink("base.ini") + unlink("s.ini") == 0);
    CHECK(chdir("/") == 0 && rmdir(folder) == 0);
    (void)printf("scenario without memory: ok\n");
    return 0;
}
