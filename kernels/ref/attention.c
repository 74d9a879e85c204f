/*
 * attention.c - reference attention of one token over a paged cache of any storage type.
 *
 * The idea to know: scores of all positions go to scratch first, then one softmax, then the
 * weighted sum of V; no running rescale, so nothing depends on how the context was cut into blocks.
 */
#include <math.h>

#include "kernels/convert.h"
#include "kernels/kv.h"
#include "kernels/ref/ref.h"

/* The vector of one position and kv head. */
struct vector {
    const uint8_t *values;
    double scale; /* INT8 only */
};

static struct vector find(const struct ryz_attention *a, const void *pool, uint32_t position,
                          uint32_t kv_head)
{
    struct ryz_kv_layout layout =
        ryz_kv_layout_of(a->kv_type, a->block_tokens, a->n_kv_heads, a->head_dim);
    size_t block = a->block_table[position / a->block_tokens];
    size_t slot = position % a->block_tokens;
    const uint8_t *head =
        (const uint8_t *)pool + block * layout.block_bytes + kv_head * layout.head_bytes;
    struct vector vector = {head + layout.values_offset + slot * layout.position_bytes, 1.0};
    if (a->kv_type == RYZ_KV_INT8) vector.scale = (double)load_f32(head + slot * sizeof(float));
    return vector;
}

static double element(enum ryz_kv_type type, const struct vector *vector, size_t d)
{
    switch (type) {
    case RYZ_KV_F32:
        return (double)load_f32(vector->values + d * sizeof(float));
    case RYZ_KV_INT8:
        return vector->scale * (double)(int8_t)vector->values[d];
    case RYZ_KV_BF16:
        break;
    }
    return (double)f32_from_bf16(load_u16(vector->values + d * sizeof(uint16_t)));
}

static void attend_head(const struct ryz_attention *a, uint32_t head)
{
    uint32_t kv_head = head / (a->n_heads / a->n_kv_heads);
    const float *q = a->q + (size_t)head * a->head_dim;
    float *out = a->out + (size_t)head * a->head_dim;
    double highest = -INFINITY;
    for (uint32_t t = 0; t < a->context_tokens; t++) {
        struct vector k = find(a, a->k_pool, t, kv_head);
        double score = 0.0;
        for (uint32_t d = 0; d < a->head_dim; d++) {
            score += (double)q[d] * element(a->kv_type, &k, d);
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
            struct vector v = find(a, a->v_pool, t, kv_head);
            value += (double)a->scratch[t] * element(a->kv_type, &v, d);
        }
        out[d] = a->context_tokens ? (float)(value / sum) : 0.0F;
    }
}

void ryz_ref_attention(const struct ryz_attention *a)
{
    for (uint32_t head = a->head_first; head < a->head_end; head++) attend_head(a, head);
}
