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

struct ryz_backend_options {
    const char *kind; /* "cpu" */
    const char *isa;  /* kernels table: "auto" "ref" "avx2" "avx512" */
    uint32_t threads; /* 1 .. 256 */
};

RYZ_MUST_USE enum ryz_status ryz_backend_open(const struct ryz_backend_options *options,
                                              struct ryz_backend **out, struct ryz_error *error);
void ryz_backend_close(struct ryz_backend *backend);
const struct ryz_kernels *ryz_backend_kernels(const struct ryz_backend *backend);
struct ryz_thread_pool *ryz_backend_pool(struct ryz_backend *backend);

/* y = x w^T over all rows of w, cut over the threads by rows; see ryz_kernels.matmul. */
void ryz_backend_matmul(struct ryz_backend *backend, const struct ryz_matrix *w, const float *x,
                        size_t x_stride, size_t m_tokens, float *y, size_t y_stride);

#endif
