/*
 * attention.c - reference attention of one token over a paged cache, BF16 or F32.
 *
 * The idea to know: scores of all positions go to scratch first, then one softmax, then the
 * weighted sum of V; no running rescale, so nothing depends on how the context was cut into blocks.
 */
#include <math.h>

#include "kernels/convert.h"
#include "kernels/ref/ref.h"

/* Where the (head_dim) vector of one position and kv head starts in a pool, in elements. */
static size_t kv_start(const struct ryz_attention *a, uint32_t position, uint32_t kv_head)
{
    size_t block = a->block_table[position / a->block_tokens];
    size_t token = block * a->block_tokens + position % a->block_tokens;
    return (token * a->n_kv_heads + kv_head) * a->head_dim;
}

static double kv_load(const struct ryz_attention *a, const void *pool, size_t i)
{
    if (a->kv_f32) return (double)((const float *)pool)[i];
    return (double)f32_from_bf16(((const uint16_t *)pool)[i]);
}

static void attend_head(const struct ryz_attention *a, uint32_t head)
{
    uint32_t kv_head = head / (a->n_heads / a->n_kv_heads);
    const float *q = a->q + (size_t)head * a->head_dim;
    float *out = a->out + (size_t)head * a->head_dim;
    double highest = -INFINITY;
    for (uint32_t t = 0; t < a->context_tokens; t++) {
        size_t start = kv_start(a, t, kv_head);
        double score = 0.0;
        for (uint32_t d = 0; d < a->head_dim; d++) {
            score += (double)q[d] * kv_load(a, a->k_pool, start + d);
        }
        a->scratch[t] = (float)(score * (double)a->scale);
        if ((double)a->scratch[t] > highest) highest = a->scratch[t];
    }
    double sum = 0.0;
    for (uint32_t t = 0; t < a->context_tokens; t++) {
        a->scratch[t] = (float)exp((double)a->scratch[t] - highest);
        sum += (double)a->scratch[t];
    }
    for (uint32_t d = 0; d < a->head_dim; d++) {
        double value = 0.0;
        for (uint32_t t = 0; t < a->context_tokens; t++) {
            size_t start = kv_start(a, t, kv_head);
            value += (double)a->scratch[t] * kv_load(a, a->v_pool, start + d);
        }
        out[d] = a->context_tokens ? (float)(value / sum) : 0.0F;
    }
}

void ryz_ref_attention(const struct ryz_attention *a)
{
    for (uint32_t head = a->head_first; head < a->head_end; head++) attend_head(a, head);
}
