/*
 * Goal: without memory every open says so, leaves nothing behind and nothing half open.
 * Method: the same open is tried with its first, second, ... allocation failing, until it goes
 * through; leaks show under ASan and Valgrind.
 */
#include "engine/base/arena.h"
#include "engine/base/fault.h"
#include "engine/base/file.h"
#include "engine/base/histogram.h"
#include "engine/base/ring.h"
#include "engine/base/thread_pool.h"
#include "tests/unit/base/failing_memory.h"

#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition);          \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static void *opened; /* what an attempt gave, NULL after a failure */

static enum ryz_status try_histogram(struct ryz_error *error)
{
    struct ryz_histogram *h = NULL;
    enum ryz_status status = ryz_histogram_open(&h, error);
    opened = h;
    if (status == RYZ_OK) ryz_histogram_close(h);
    return status;
}

static enum ryz_status try_ring(struct ryz_error *error)
{
    struct ryz_ring *ring = NULL;
    enum ryz_status status = ryz_ring_open(8, 8, &ring, error);
    opened = ring;
    if (status == RYZ_OK) ryz_ring_close(ring);
    return status;
}

static enum ryz_status try_pool(struct ryz_error *error)
{
    struct ryz_thread_pool *pool = NULL;
    enum ryz_status status = ryz_thread_pool_open(4, &pool, error);
    opened = pool;
    if (status == RYZ_OK) ryz_thread_pool_close(pool);
    return status;
}

static enum ryz_status try_faults(struct ryz_error *error)
{
    const struct ryz_fault fault = {"f", RYZ_FAULT_KV_ALLOC, RYZ_FAULT_FAIL, 0, 1, 1000, 0};
    struct ryz_faults *faults = NULL;
    enum ryz_status status = ryz_faults_open(&fault, 1, 1, &faults, error);
    opened = faults;
    if (status == RYZ_OK) ryz_faults_close(faults);
    return status;
}

static enum ryz_status try_file(struct ryz_error *error)
{
    char *text = NULL;
    size_t size = 0;
    /* This program: larger than the first buffer, so that it grows. */
    enum ryz_status status = ryz_file_load("/proc/self/exe", (size_t)64 << 20, &text, &size, error);
    opened = text;
    if (status == RYZ_OK) free(text);
    return status;
}

static enum ryz_status try_arena(struct ryz_error *error)
{
    struct ryz_arena arena;
    ryz_arena_init(&arena);
    opened = ryz_arena_strdup(&arena, "text");
    ryz_arena_deinit(&arena);
    return opened != NULL ? RYZ_OK : ryz_fail(error, RYZ_NO_MEMORY, "no memory");
}

/* Returns how many calls could fail. */
static uint32_t try_all(enum ryz_status (*attempt)(struct ryz_error *error))
{
    for (uint32_t n = 0;; n++) {
        struct ryz_error error = {.text = ""};
        failing_memory_arm(n);
        enum ryz_status status = attempt(&error);
        bool failed = failing_memory_failed();
        failing_memory_arm(UINT32_MAX);
        if (!failed) {
            CHECK(status == RYZ_OK && opened != NULL);
            return n;
        }
        CHECK(status == RYZ_NO_MEMORY);
        CHECK(error.text[0] != '\0');
        CHECK(opened == NULL);
    }
}

int main(void)
{
    CHECK(try_all(try_histogram) == 1);
    CHECK(try_all(try_ring) == 2);
    CHECK(try_all(try_pool) == 5); /* pool, workers, three threads */
    CHECK(try_all(try_faults) == 1);
    CHECK(try_all(try_file) >= 2);
    CHECK(try_all(try_arena) == 1);
    (void)printf("base without memory: ok\n");
    return 0;
}
