/* step.h - carries out one plan of the core. Engine thread only. */
#ifndef RYZ_RUNTIME_STEP_H
#define RYZ_RUNTIME_STEP_H

#include "engine/runtime/engine_state.h"

/* Asks the core for a plan and executes it; false when there was nothing to run. */
bool ryz_step_run(struct ryz_engine *engine);
/* Ends a request that holds a slot: CANCEL to the core, then `status` to the stream. */
void ryz_step_cancel(struct ryz_engine *engine, struct ryz_job *job, enum ryz_status status,
                     int64_t now_ns);

#endif
