/*
 * accuracy.h - perplexity of a model on a text, against a base: paired log-probabilities, KL
 * divergence and agreement of the likeliest token, one row a scored token.
 *
 * Windows of `context` tokens advance by half; each token is scored once, in the window where it
 * has at least half a window of context (the first window scores all it has).
 */
#ifndef RYZ_HARNESS_RUN_ACCURACY_H
#define RYZ_HARNESS_RUN_ACCURACY_H

#include "engine/base/status.h"
#include "harness/record/rows.h"

#include <stddef.h>

struct ryz_accuracy_options {
    const char *model_path;
    const char *quant;   /* of the model under test */
    const char *kv_type; /* of the model under test, see ryz_engine_options; the base has bf16 */
    const char *against; /* quant of the base; "" for none */
    const char *isa;
    uint32_t threads;
    const char *text_path;
    uint32_t tokens_max; /* of the text, at most this many; 0: all */
    uint32_t context;    /* window, tokens; 0: 512 or the model's context */
    /* Told the share done, 0..1; may be NULL. */
    void (*progress)(void *context, double share);
    void *progress_context;
};

struct ryz_accuracy_result {
    struct ryz_accuracy_row *rows; /* malloc'ed, the caller frees */
    size_t count;
    double perplexity, base_perplexity; /* base NaN without a base */
    uint64_t bytes_scored;              /* of text that the scored tokens stand for */
};

RYZ_MUST_USE enum ryz_status ryz_accuracy_run(const struct ryz_accuracy_options *options,
                                              struct ryz_accuracy_result *result,
                                              struct ryz_error *error);

#endif
