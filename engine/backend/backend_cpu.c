/*
 * backend_cpu.c - the CPU backend: a kernels table and a pool of threads.
 *
 * Leaves to others: arithmetic (kernels/) and what to compute (model/forward.c). The idea: a decode
 * step of a small model is a chain of products of some 50 us each, so barriers count; products that
 * share their input are cut over the threads as if their weights were stacked into one matrix.
 */
#include "engine/backend/backend.h"

#include "engine/base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Rows are dealt in units of this many, a multiple of the kernels' tiles of rows. */
#define ROW_GRAIN 16u

struct ryz_backend {
    const struct ryz_kernels *kernels;
    struct ryz_thread_pool *pool;
    uint32_t threads;
};

static enum ryz_status find_kernels(const char *isa, const struct ryz_kernels **kernels,
                                    struct ryz_error *error)
{
    *kernels = ryz_kernels_find(isa);
    if (*kernels) return RYZ_OK;
    char names[96] = "";
    for (size_t i = 0; ryz_kernels_name(i); i++) {
        size_t length = strlen(names);
        (void)snprintf(names + length, sizeof names - length, " %s", ryz_kernels_name(i));
    }
    return ryz_fail(error, RYZ_UNSUPPORTED, "no kernels \"%.32s\" on this CPU; it runs: auto%s",
                    isa ? isa : "auto", names);
}

enum ryz_status ryz_backend_open(const struct ryz_backend_options *options,
                                 struct ryz_backend **out, struct ryz_error *error)
{
    if (options->kind && strcmp(options->kind, "cpu") != 0) {
        return ryz_fail(error, RYZ_UNSUPPORTED, "no backend \"%.32s\"; there is: cpu",
                        options->kind);
    }
    if (options->threads < 1 || options->threads > RYZ_BACKEND_THREADS_MAX) {
        return ryz_fail(error, RYZ_INVALID, "%u threads; a backend takes 1 to %u", options->threads,
                        RYZ_BACKEND_THREADS_MAX);
    }
    const struct ryz_kernels *kernels;
    enum ryz_status status = find_kernels(options->isa, &kernels, error);
    if (status != RYZ_OK) return status;
    struct ryz_backend *backend = calloc(1, sizeof *backend);
    if (!backend) return ryz_fail(error, RYZ_NO_MEMORY, "no memory for a backend");
    backend->kernels = kernels;
    backend->threads = options->threads;
    status = ryz_thread_pool_open(options->threads, &backend->pool, error);
    if (status != RYZ_OK) {
        free(backend);
        return status;
    }
    *out = backend;
    return RYZ_OK;
}

void ryz_backend_close(struct ryz_backend *backend)
{
    if (!backend) return;
    ryz_thread_pool_close(backend->pool);
    free(backend);
}

const struct ryz_kernels *ryz_backend_kernels(const struct ryz_backend *backend)
{
    return backend->kernels;
}

struct ryz_thread_pool *ryz_backend_pool(struct ryz_backend *backend)
{
    return backend->pool;
}

uint32_t ryz_backend_threads(const struct ryz_backend *backend)
{
    return backend->threads;
}

struct products_task {
    const struct ryz_kernels *kernels;
    const struct ryz_product *products;
    size_t count;
    const float *x;
    size_t x_stride, m_tokens;
};

/* [begin, end) are rows of the stacked weights; each product computes its share of them. */
static void run_products(void *context, size_t worker, size_t begin, size_t end)
{
    (void)worker;
    const struct products_task *task = context;
    size_t first = 0; /* of the current product, in stacked rows */
    for (size_t i = 0; i < task->count && first < end; i++) {
        const struct ryz_product *product = &task->products[i];
        size_t rows = product->w->rows;
        size_t row_first = begin > first ? begin - first : 0;
        size_t row_end = end - first < rows ? end - first : rows;
        if (row_first < row_end) {
            task->kernels->matmul(product->w, row_first, row_end, task->x, task->x_stride,
                                  task->m_tokens, product->y, product->y_stride);
        }
        first += rows;
    }
}

void ryz_backend_products(struct ryz_backend *backend, const struct ryz_product *products,
                          size_t count, const float *x, size_t x_stride, size_t m_tokens)
{
    RYZ_ASSERT(count >= 1 && count <= RYZ_PRODUCTS_MAX);
    size_t rows = 0;
    for (size_t i = 0; i < count; i++) {
        RYZ_DASSERT(products[i].w->cols == products[0].w->cols);
        rows += products[i].w->rows;
    }
    if (m_tokens == 0) return;
    struct products_task task = {backend->kernels, products, count, x, x_stride, m_tokens};
    ryz_backend_each(backend, rows, ROW_GRAIN, run_products, &task);
}

/* NOLINTBEGIN(readability-non-const-parameter): y is written through the product */
void ryz_backend_matmul(struct ryz_backend *backend, const struct ryz_matrix *w, const float *x,
                        size_t x_stride, size_t m_tokens, float *y, size_t y_stride)
/* NOLINTEND(readability-non-const-parameter) */
{
    struct ryz_product product = {.w = w, .y = y, .y_stride = y_stride};
    ryz_backend_products(backend, &product, 1, x, x_stride, m_tokens);
}

void ryz_backend_each(struct ryz_backend *backend, size_t count, size_t grain, ryz_pool_task task,
                      void *context)
{
    if (count == 0) return;
    if (backend->threads == 1 || count <= grain) {
        task(context, 0, 0, count);
        return;
    }
    ryz_thread_pool_run(backend->pool, count, grain, task, context);
}
