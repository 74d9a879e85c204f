/*
 * Goal: an accuracy run measures what an INT8 KV cache costs: the base keeps BF16, the weights are
 * the same. Method: the committed model on a part of the committed text; the same cache on both
 * sides must differ by nothing.
 */
#include "harness/run/accuracy.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#define MODEL RYZ_SOURCE_DIR "/models/ryz-tiny.gguf"
#define TEXT  RYZ_SOURCE_DIR "/scenarios/data/kjv_mark.txt"

/* The mean KL divergence against the base, nats. */
static double divergence(const char *kv_type, struct ryz_accuracy_result *result)
{
    struct ryz_accuracy_options options = {.model_path = MODEL,
                                           .quant = "as_is",
                                           .kv_type = kv_type,
                                           .against = "as_is",
                                           .isa = "auto",
                                           .threads = 1,
                                           .text_path = TEXT,
                                           .tokens_max = 300,
                                           .context = 128};
    struct ryz_error error = {.text = ""};
    double sum = 0;
    cr_assert_eq(ryz_accuracy_run(&options, result, &error), RYZ_OK, "%s", error.text);
    cr_assert_geq(result->count, 250);
    for (size_t i = 0; i < result->count; i++) sum += result->rows[i].kl;
    return sum / (double)result->count;
}

Test(accuracy_kv, the_kv_type_takes_part_and_the_base_keeps_bf16)
{
    if (access(MODEL, R_OK) != 0) cr_skip_test("no model at %s", MODEL);
    struct ryz_accuracy_result bf16, int8;
    double nothing = divergence("bf16", &bf16), kl = divergence("int8", &int8);
    cr_assert_float_eq(nothing, 0.0, 1e-12);
    cr_assert_eq(bf16.perplexity, bf16.base_perplexity);
    cr_assert(kl > 1e-8 && kl < 1e-2, "%g", kl);
    cr_assert_eq(int8.base_perplexity, bf16.perplexity);
    cr_assert_neq(int8.perplexity, bf16.perplexity);
    cr_assert_float_eq(int8.perplexity / bf16.perplexity, 1.0, 1e-2);
    free(bf16.rows);
    free(int8.rows);
}

Test(accuracy_kv, an_unknown_type_is_refused)
{
    struct ryz_accuracy_result result;
    struct ryz_error error = {.text = ""};
    struct ryz_accuracy_options options = {.model_path = MODEL,
                                           .quant = "as_is",
                                           .kv_type = "int4",
                                           .against = "",
                                           .isa = "auto",
                                           .threads = 1,
                                           .text_path = TEXT};
    cr_assert_eq(ryz_accuracy_run(&options, &result, &error), RYZ_INVALID);
}
