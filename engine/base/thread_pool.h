/*
 * thread_pool.h - persistent workers that run one function over slices of a range and meet at a
 * barrier: what a forward pass needs between two matrix products.
 *
 * The caller is worker 0, so a pool of one thread starts none. Workers spin briefly, then sleep; a
 * worker that is not there leaves its part to the others. How the range is cut, and who does which
 * part, never changes a result: kernels promise bytes that do not depend on it.
 */
#ifndef RYZ_BASE_THREAD_POOL_H
#define RYZ_BASE_THREAD_POOL_H

#include "engine/base/status.h"

#include <stddef.h>
#include <stdint.h>

struct ryz_thread_pool;

/* Called with a part [begin, end) of the range, never an empty one; a worker may get several parts,
 * or none. */
typedef void (*ryz_pool_task)(void *context, size_t worker, size_t begin, size_t end);

/* Starts threads - 1 workers (1 <= threads <= 256). */
RYZ_MUST_USE enum ryz_status ryz_thread_pool_open(uint32_t threads, struct ryz_thread_pool **pool,
                                                  struct ryz_error *error);
/* Stops and joins the workers; NULL is allowed. */
void ryz_thread_pool_close(struct ryz_thread_pool *pool);
/* Processors this process may run on (its affinity mask), at least 1. */
uint32_t ryz_cpu_count(void);

uint32_t ryz_thread_pool_threads(const struct ryz_thread_pool *pool);

/* Runs `task` over [0, count) in parts that begin and end at multiples of `grain` (>= 1) or at
 * `count`, and returns when all are done. One caller at a time. */
void ryz_thread_pool_run(struct ryz_thread_pool *pool, size_t count, size_t grain,
                         ryz_pool_task task, void *context);

#endif
