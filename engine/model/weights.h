/*
 * weights.h - the tensors of a Llama model by their role, as served; for model.c and forward.c.
 */
#ifndef RYZ_MODEL_WEIGHTS_H
#define RYZ_MODEL_WEIGHTS_H

#include "engine/base/arena.h"
#include "engine/base/status.h"
#include "engine/model/model.h"
#include "kernels/kernels.h"

struct ryz_gguf;

/* One block; matrices are (rows, cols) = (output features, input features). */
struct ryz_layer {
    const float *attn_norm;     /* (C) */
    const float *ffn_norm;      /* (C) */
    struct ryz_matrix q;        /* (H * D, C) */
    struct ryz_matrix k, v;     /* (kv heads * D, C) */
    struct ryz_matrix output;   /* (C, H * D) */
    struct ryz_matrix gate, up; /* (ffn, C) */
    struct ryz_matrix down;     /* (C, ffn) */
};

struct ryz_weights {
    struct ryz_matrix token_embd; /* (V, C) */
    struct ryz_matrix output;     /* (V, C); token_embd where the file ties them */
    const float *output_norm;     /* (C) */
    struct ryz_layer *layers;     /* (info.n_layers) */
    struct ryz_arena arena;       /* owns the layers and what was re-encoded */
};

/* Finds and checks all tensors that `info` says there must be, and re-encodes the matrices as
 * `quant` (see ryz_model_options) says. Completes info's file_type, weight_type, n_params and
 * weight_bytes. What is not re-encoded stays borrowed from the file. Call ryz_weights_close in any
 * case. */
RYZ_MUST_USE enum ryz_status ryz_weights_open(const struct ryz_gguf *gguf, const char *quant,
                                              struct ryz_model_info *info,
                                              struct ryz_weights *weights, struct ryz_error *error);
void ryz_weights_close(struct ryz_weights *weights);

/* The weights of an open model. */
const struct ryz_weights *ryz_model_weights(const struct ryz_model *model);

#endif
