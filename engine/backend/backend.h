/*
 * backend.h - the seam between the engine and a device: what a forward pass asks of it.
 *
 * A backend owns its threads or device and runs operations over whole batches; kernels/ does the
 * arithmetic of one slice. "cpu" is built in; "cuda" is a module loaded at run time (see cuda.h).
 */
#ifndef RYZ_BACKEND_BACKEND_H
#define RYZ_BACKEND_BACKEND_H

#include "engine/base/status.h"
#include "engine/base/thread_pool.h"
#include "kernels/kernels.h"

#include <stddef.h>
#include <stdint.h>

struct ryz_backend; /* opaque; one caller at a time */

#define RYZ_BACKEND_THREADS_MAX 256u

struct ryz_backend_options {
    const char *kind; /* "cpu" or NULL */
    const char *isa;  /* kernels table: "auto" or NULL, "ref" "avx2" "avx512" */
    uint32_t threads; /* 1 .. RYZ_BACKEND_THREADS_MAX */
};

/* RYZ_UNSUPPORTED for an unknown kind or a table that this CPU cannot run; the text names those it
 * can. */
RYZ_MUST_USE enum ryz_status ryz_backend_open(const struct ryz_backend_options *options,
                                              struct ryz_backend **out, struct ryz_error *error);
/* NULL is allowed. */
void ryz_backend_close(struct ryz_backend *backend);
const struct ryz_kernels *ryz_backend_kernels(const struct ryz_backend *backend);
struct ryz_thread_pool *ryz_backend_pool(struct ryz_backend *backend);
uint32_t ryz_backend_threads(const struct ryz_backend *backend);

/* One product y = x w^T of a group; see ryz_kernels.matmul for the shapes. */
struct ryz_product {
    const struct ryz_matrix *w; /* (N, K) */
    float *y;                   /* (m_tokens, y_stride >= N) */
    size_t y_stride;
};

#define RYZ_PRODUCTS_MAX 4u

/* Several products of the same x (m_tokens, x_stride >= K), cut over the threads by rows of all
 * weights together: one barrier where separate calls would have `count`. */
void ryz_backend_products(struct ryz_backend *backend, const struct ryz_product *products,
                          size_t count, const float *x, size_t x_stride, size_t m_tokens);

/* y = x w^T over all rows of w: a group of one. */
void ryz_backend_matmul(struct ryz_backend *backend, const struct ryz_matrix *w, const float *x,
                        size_t x_stride, size_t m_tokens, float *y, size_t y_stride);

/* Runs `task` over [0, count) on the backend's threads; see ryz_thread_pool_run. A single unit of
 * work runs on the caller, without a barrier. */
void ryz_backend_each(struct ryz_backend *backend, size_t count, size_t grain, ryz_pool_task task,
                      void *context);

#endif
