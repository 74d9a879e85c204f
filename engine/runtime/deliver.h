/* deliver.h - what leaves the engine for a request: tokens, its end, and their spans and metrics.
 * Engine thread only. */
#ifndef RYZ_RUNTIME_DELIVER_H
#define RYZ_RUNTIME_DELIVER_H

#include "engine/runtime/engine_state.h"

/* Appends a sampled token to its request. Text that became final is left in engine->text,
 * *text_length bytes. True: the token or a stop string ends the output. */
bool ryz_deliver_append(struct ryz_engine *engine, struct ryz_job *job, uint32_t token,
                        size_t *text_length);
/* Tells the stream about the token just appended. */
void ryz_deliver_token(struct ryz_engine *engine, const struct ryz_sampled *sampled,
                       size_t text_length, int64_t t_ns);
/* Tells the stream that its request has ended and forgets it; a slot must be free in the core. */
void ryz_deliver_done(struct ryz_engine *engine, struct ryz_job *job, enum ryz_status status,
                      enum ryz_finish_reason finish, int64_t t_ns);
/* Emits a span of the engine's own trace. */
void ryz_deliver_own_span(struct ryz_engine *engine, enum ryz_span_name name, int64_t t0_ns,
                          int64_t t1_ns, double attr, enum ryz_status status);

#endif
