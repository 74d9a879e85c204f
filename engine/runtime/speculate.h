/*
 * speculate.h - where an engine's proposals come from: nowhere, its own text, or a draft model.
 * Engine thread only, but for open and close.
 */
#ifndef RYZ_RUNTIME_SPECULATE_H
#define RYZ_RUNTIME_SPECULATE_H

#include "engine/runtime/engine_state.h"

#define RYZ_DRAFT_TOKENS_DEFAULT 4u

/* Opens what the options name, before the KV store is: a draft model needs memory beside it. Sets
 * the limits' draft_tokens_max. */
RYZ_MUST_USE enum ryz_status ryz_speculate_open(struct ryz_engine *engine,
                                                const struct ryz_engine_options *options,
                                                struct ryz_error *error);
void ryz_speculate_close(struct ryz_engine *engine);

/* How many proposals can be made for what follows the job's newest token. */
uint32_t ryz_speculate_offer(struct ryz_engine *engine, struct ryz_job *job);
/* Writes the proposals of a plan behind the tokens of its jobs. Returns the time in it that the
 * next steps will not need again. */
int64_t ryz_speculate_propose(struct ryz_engine *engine, const struct ryz_sched_plan *plan);

#endif
