/*
 * plain_llama.h - a Llama forward pass written the obvious way, in double: whole sequences, no
 * cache, no batch, no threads. What the engine's pass is compared with.
 */
#ifndef RYZ_TESTS_UNIT_MODEL_PLAIN_LLAMA_H
#define RYZ_TESTS_UNIT_MODEL_PLAIN_LLAMA_H

#include "engine/model/model.h"

/* Logits after each of `count` tokens; (count, n_vocab) doubles, to be freed. */
double *plain_llama(const struct ryz_model *model, const uint32_t *tokens, uint32_t count);

#endif
