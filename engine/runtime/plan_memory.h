/* plan_memory.h - what an engine's memory is for, before any of it but the model's is taken. */
#ifndef RYZ_RUNTIME_PLAN_MEMORY_H
#define RYZ_RUNTIME_PLAN_MEMORY_H

#include "engine/runtime/engine_state.h"

/* Opens the engine's budget, reserves all that it will take, and gives the KV store what is wanted
 * or left: fills *shape, and kv_blocks and kv_host_blocks of the engine's limits, whose other
 * fields are final. Model and backend are open. RYZ_NO_MEMORY with the sum where it does not fit.
 */
RYZ_MUST_USE enum ryz_status ryz_engine_plan_memory(struct ryz_engine *engine,
                                                    const struct ryz_engine_options *options,
                                                    struct ryz_kv_shape *shape,
                                                    struct ryz_error *error);
/* Rows of logits that a step may want: one a request, and those of proposals. */
uint32_t ryz_engine_logits_max(const struct ryz_sched_limits *limits);
/* Requests that can be inside an engine whose core has `slots`: those in slots, and as many or 64
 * that are submitted and not seen yet; 0: too many. */
uint32_t ryz_engine_places(uint32_t slots);

#endif
