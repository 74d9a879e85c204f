/*
 * Goal: the CPU backend gives the same bytes however it cuts the work, and refuses what it cannot
 * be. Method: products of seeded matrices, compared with memcmp against one plain kernel call.
 */
#include "engine/backend/backend.h"
#include "engine/base/rng.h"
#include "engine/base/size.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define COLS   96u
#define TOKENS 5u

static struct ryz_backend *open_backend(uint32_t threads)
{
    struct ryz_backend *backend = NULL;
    struct ryz_backend_options options = {.threads = threads};
    cr_assert_eq(ryz_backend_open(&options, &backend, NULL), RYZ_OK);
    return backend;
}

static float *seeded(size_t count, uint64_t stream)
{
    struct ryz_rng rng;
    ryz_rng_init(&rng, 7, stream);
    float *values = malloc(count * sizeof *values);
    cr_assert_neq(values, NULL);
    for (size_t i = 0; i < count; i++) values[i] = (float)(ryz_rng_unit(&rng) - 0.5);
    return values;
}

static struct ryz_matrix matrix(const float *data, size_t rows)
{
    return (struct ryz_matrix){data, RYZ_DTYPE_F32, rows, COLS, COLS * sizeof(float)};
}

/* A group of three products on `threads` threads against three plain calls. */
static void check_group(uint32_t threads)
{
    static const size_t rows[] = {33, 7, 100}; /* no multiple of the grain: slices cross borders */
    struct ryz_backend *backend = open_backend(threads);
    float *x = seeded(TOKENS * COLS, 1);
    struct ryz_matrix w[3];
    struct ryz_product products[3];
    for (size_t i = 0; i < 3; i++) {
        w[i] = matrix(seeded(rows[i] * COLS, 2 + i), rows[i]);
        float *y = calloc(TOKENS * rows[i], sizeof *y);
        products[i] = (struct ryz_product){&w[i], y, rows[i]};
    }
    ryz_backend_products(backend, products, 3, x, COLS, TOKENS);
    for (size_t i = 0; i < 3; i++) {
        size_t count = TOKENS * rows[i];
        float *wanted = calloc(count, sizeof *wanted);
        ryz_backend_kernels(backend)->matmul(&w[i], 0, rows[i], x, COLS, TOKENS, wanted, rows[i]);
        cr_assert_eq(memcmp(products[i].y, wanted, count * sizeof *wanted), 0,
                     "product %zu on %u threads", i, threads);
        cr_assert(wanted[0] != 0.0F);
        free(wanted);
        free(products[i].y);
        free((void *)(uintptr_t)w[i].data);
    }
    free(x);
    ryz_backend_close(backend);
}

Test(backend, a_group_of_products_equals_separate_ones_on_any_number_of_threads)
{
    for (uint32_t threads = 1; threads <= 5; threads++) check_group(threads);
}

Test(backend, a_product_of_no_tokens_writes_nothing)
{
    struct ryz_backend *backend = open_backend(2);
    float *data = seeded(COLS, 1), y = 3.0F;
    struct ryz_matrix w = matrix(data, 1);
    ryz_backend_matmul(backend, &w, NULL, COLS, 0, &y, 1);
    cr_assert(y == 3.0F);
    free(data);
    ryz_backend_close(backend);
}

struct marks {
    unsigned char seen[100];
    uint32_t threads;
};

static void mark(void *context, size_t worker, size_t begin, size_t end)
{
    struct marks *marks = context;
    cr_assert(worker < marks->threads);
    for (size_t i = begin; i < end; i++) marks->seen[i]++;
}

Test(backend, each_covers_the_range_once)
{
    for (uint32_t threads = 1; threads <= 3; threads++) {
        struct ryz_backend *backend = open_backend(threads);
        for (size_t count = 0; count <= 100; count += 20) {
            struct marks marks = {.threads = threads};
            ryz_backend_each(backend, count, 1, mark, &marks);
            for (size_t i = 0; i < RYZ_COUNT_OF(marks.seen); i++) {
                cr_assert_eq(marks.seen[i], i < count);
            }
        }
        ryz_backend_close(backend);
    }
}

Test(backend, says_what_it_runs_on)
{
    struct ryz_backend_options options = {.kind = "cpu", .isa = "ref", .threads = 2};
    struct ryz_backend *backend;
    cr_assert_eq(ryz_backend_open(&options, &backend, NULL), RYZ_OK);
    cr_assert_str_eq(ryz_backend_kernels(backend)->name, "ref");
    cr_assert_eq(ryz_backend_threads(backend), 2);
    cr_assert_eq(ryz_thread_pool_threads(ryz_backend_pool(backend)), 2);
    ryz_backend_close(backend);
    ryz_backend_close(NULL);
}

Test(backend, refuses_unknown_kinds_tables_and_thread_counts)
{
    static const struct {
        struct ryz_backend_options options;
        enum ryz_status status;
        const char *word; /* that the message must hold */
    } cases[] = {
        {{.kind = "tpu", .threads = 1}, RYZ_UNSUPPORTED, "tpu"},
        {{.isa = "mmx", .threads = 1}, RYZ_UNSUPPORTED, "ref"},
        {{.threads = 0}, RYZ_INVALID, "256"},
        {{.threads = 257}, RYZ_INVALID, "257"},
    };
    for (size_t i = 0; i < RYZ_COUNT_OF(cases); i++) {
        struct ryz_backend *backend;
        struct ryz_error error = {0};
        cr_assert_eq(ryz_backend_open(&cases[i].options, &backend, &error), cases[i].status);
        cr_assert(strstr(error.text, cases[i].word) != NULL, "%s", error.text);
    }
}
