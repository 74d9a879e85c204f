/*
 * model.h - a Llama-family model: its file, its weights, its forward pass.
 *
 * ryz_model_open maps the GGUF and checks every size in it; the weights are immutable afterwards.
 * The forward pass takes a flattened batch (any mix of prefill chunks and decodes of any requests)
 * and writes keys and values into the paged KV store; its bytes for one sequence do not depend on
 * the batch around it, the chunking, or the number of threads.
 *
 * Letters: B sequences, T tokens of the batch, C embedding width, H heads, D head dim, V
 * vocabulary.
 */
#ifndef RYZ_MODEL_MODEL_H
#define RYZ_MODEL_MODEL_H

#include "engine/base/status.h"
#include "kernels/kernels.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ryz_tokenizer;
struct ryz_kv_store;
struct ryz_backend;
struct ryz_model; /* opaque, immutable after open */

struct ryz_model_info {
    char name[64];        /* general.name, or the file's stem */
    char arch[16];        /* "llama" */
    char file_type[16];   /* type of most weights in the file, e.g. "q4_1" */
    char weight_type[16]; /* of most weights as served, after requantisation */
    uint32_t n_layers, n_embd, n_ffn, n_heads, n_kv_heads, head_dim, rope_dims, n_vocab;
    uint32_t context_tokens; /* trained context */
    float rope_freq_base, norm_eps;
    uint64_t n_params;
    uint64_t file_bytes;
    uint64_t weight_bytes; /* of the tensors as served */
};

struct ryz_model_options {
    const char *quant; /* "as_is" or NULL; "f32" "f16" "bf16" "q8_0" "q4_0" "q4_1": matrices are
                          re-encoded on load (norms stay F32) */
};

/* Opens, checks and maps a model. Errors name the byte offset of what is wrong in the file. */
RYZ_MUST_USE enum ryz_status ryz_model_open(const char *path,
                                            const struct ryz_model_options *options,
                                            struct ryz_model **out, struct ryz_error *error);
void ryz_model_close(struct ryz_model *model);
const struct ryz_model_info *ryz_model_info(const struct ryz_model *model);
const struct ryz_tokenizer *ryz_model_tokenizer(const struct ryz_model *model);

/* One sequence of a batch: tokens [first_position, first_position + token_count) of a request. */
struct ryz_batch_sequence {
    const uint32_t *tokens;      /* (token_count) ids */
    const uint32_t *block_table; /* KV blocks of the request, covering all positions used */
    uint32_t token_count;
    uint32_t first_position;
    uint32_t logit_rows; /* its last tokens whose logits are wanted, <= token_count */
};

struct ryz_batch {
    const struct ryz_batch_sequence *sequences; /* (B) */
    uint32_t sequence_count;
    uint32_t token_count; /* T, sum over the sequences */
};

struct ryz_forward; /* scratch of one forward pass, reused step after step */

/* Sizes scratch for batches of up to max_tokens tokens, of which up to max_logits want logits.
 * Model, backend and store are borrowed. */
RYZ_MUST_USE enum ryz_status ryz_forward_open(const struct ryz_model *model,
                                              struct ryz_backend *backend, struct ryz_kv_store *kv,
                                              uint32_t max_tokens, uint32_t max_logits,
                                              struct ryz_forward **out, struct ryz_error *error);
/* Bytes of scratch that ryz_forward_open would take at most, with `threads` of the backend; 0: more
 * than there can be. */
uint64_t ryz_forward_bytes(const struct ryz_model *model, uint32_t threads, uint32_t max_tokens,
                           uint32_t max_logits);
void ryz_forward_close(struct ryz_forward *forward); /* NULL is allowed */
/* Positions that a sequence may use: the least of the model's context, the store's slots and
 * 2^20. */
uint32_t ryz_forward_context(const struct ryz_forward *forward);
/* Runs one batch. Afterwards ryz_forward_logits(i) are those of the i-th token that wanted any, in
 * batch order: (V) floats, valid until the next run; the caller may overwrite them. Allocates
 * nothing. Ids, positions and block ids out of range are the caller's bug and end the process.
 * Several sequences of a batch may share a block table, as long as no position comes twice. */
void ryz_forward_run(struct ryz_forward *forward, const struct ryz_batch *batch);
float *ryz_forward_logits(struct ryz_forward *forward, uint32_t i);

/* Gets the position, the log-probability and the whole row of logits (V), e.g. for a KL divergence
 * against a base. */
typedef void (*ryz_score_fn)(void *context, uint32_t position, float logprob, const float *logits);

struct ryz_score_options {
    const uint32_t *tokens; /* (count) */
    uint32_t count;
    uint32_t window; /* tokens */
    enum ryz_kv_type kv_type;
    ryz_score_fn on_token;
    void *context; /* of on_token */
};

/* Scores a text: log-probabilities (natural) of tokens[1..count-1] in windows, each token scored
 * once: the first window whole, later ones advance by window / 2 and score their second half. */
RYZ_MUST_USE enum ryz_status ryz_model_score(const struct ryz_model *model,
                                             struct ryz_backend *backend,
                                             const struct ryz_score_options *options,
                                             struct ryz_error *error);

#endif
