/*
 * attention_body.h - attention of one token over a paged BF16 cache, over struct v16.
 *
 * Include after v16_math.h. The idea to know: ORDER. A score is one 16-lane dot product over
 * head_dim; the scores of all positions go to scratch; exponentials add up in lanes position % 16;
 * and each output adds p * v over ascending positions. None of it sees block or call borders.
 */
#ifndef RYZ_KERNELS_X86_ATTENTION_BODY_H
#define RYZ_KERNELS_X86_ATTENTION_BODY_H

#include <math.h>

#define OUT_VECTORS 4u /* vectors of head_dim that one pass over V sums up */
#define OUT_DIMS    (size_t)(16u * OUT_VECTORS)

/* One head of a call. */
struct head {
    const struct ryz_attention *a;
    const float *q;
    float *out;
    size_t kv_offset;       /* of its kv head within a position */
    size_t position_stride; /* elements between positions of a block */
};

/* The first vector of block i of the sequence. */
static const uint16_t *block_start(const struct head *head, const uint16_t *pool, uint32_t i)
{
    size_t first = (size_t)head->a->block_table[i] * head->a->block_tokens;
    return pool + first * head->position_stride + head->kv_offset;
}

static uint32_t block_count(const struct ryz_attention *a, uint32_t i)
{
    uint32_t left = a->context_tokens - i * a->block_tokens;
    return left < a->block_tokens ? left : a->block_tokens;
}

/* q . k for four positions; they may be the same one. */
V16_INLINE __m128 score4(const struct head *head, const uint16_t *const k[4])
{
    size_t dims = head->a->head_dim;
    size_t rest = dims % 16;
    size_t whole = dims - rest;
    struct v16 sum[4];
    for (size_t i = 0; i < 4; i++) sum[i] = v16_zero();
    for (size_t d = 0; d < whole; d += 16) {
        struct v16 q = v16_load(head->q + d);
        for (size_t i = 0; i < 4; i++) sum[i] = v16_fma(q, v16_load_bf16(k[i] + d), sum[i]);
    }
    if (rest) {
        struct v16 q = v16_load_part(head->q + whole, rest);
        for (size_t i = 0; i < 4; i++) {
            sum[i] = v16_fma(q, v16_load_bf16_part(k[i] + whole, rest), sum[i]);
        }
    }
    return _mm_mul_ps(v16_sum4(sum[0], sum[1], sum[2], sum[3]), _mm_set1_ps(head->a->scale));
}

static void score_block(const struct head *head, uint32_t block, float *scores)
{
    const uint16_t *first = block_start(head, head->a->k_pool, block);
    uint32_t count = block_count(head->a, block);
    for (uint32_t t = 0; t < count; t += 4) {
        const uint16_t *k[4];
        for (uint32_t i = 0; i < 4; i++) {
            uint32_t position = t + i < count ? t + i : count - 1;
            k[i] = first + position * head->position_stride;
        }
        __m128 four = score4(head, k);
        if (t + 4 <= count) {
            _mm_storeu_ps(scores + t, four);
        } else {
            float lanes[4];
            _mm_storeu_ps(lanes, four);
            memcpy(scores + t, lanes, (count - t) * sizeof lanes[0]);
        }
    }
}

/* Replaces scores by e^(score - largest); returns their sum. */
static float exponentiate(float *scores, size_t count)
{
    size_t rest = count % 16;
    size_t whole = count - rest;
    struct v16 last = v16_load_part(scores + whole, rest);
    struct v16 largest = v16_keep_first(last, rest, -INFINITY);
    for (size_t i = 0; i < whole; i += 16) largest = v16_max(largest, v16_load(scores + i));
    struct v16 top = v16_set1(v16_largest(largest));
    struct v16 sum = v16_zero();
    for (size_t i = 0; i < whole; i += 16) {
        struct v16 p = v16_exp(v16_sub(v16_load(scores + i), top));
        v16_store(scores + i, p);
        sum = v16_add(sum, p);
    }
    struct v16 p = v16_exp(v16_sub(last, top));
    v16_store_part(scores + whole, p, rest);
    return v16_sum(v16_add(sum, v16_keep_first(p, rest, 0.0F)));
}

/* out[d ..] = inverse * sum over positions of p * v, for `vectors` vectors of head_dim; the last
 * one has `lanes` lanes. */
V16_INLINE void weigh(const struct head *head, size_t d, size_t vectors, size_t lanes,
                      float inverse)
{
    const struct ryz_attention *a = head->a;
    struct v16 sum[OUT_VECTORS];
    for (size_t i = 0; i < vectors; i++) sum[i] = v16_zero();
    const float *p = a->scratch;
    for (uint32_t block = 0; block * a->block_tokens < a->context_tokens; block++) {
        const uint16_t *v = block_start(head, a->v_pool, block) + d;
        uint32_t count = block_count(a, block);
        for (uint32_t t = 0; t < count; t++, v += head->position_stride) {
            struct v16 weight = v16_set1(*p++);
            for (size_t i = 0; i < vectors; i++) {
                struct v16 value =
                    lanes == 16 ? v16_load_bf16(v + 16 * i) : v16_load_bf16_part(v + 16 * i, lanes);
                sum[i] = v16_fma(weight, value, sum[i]);
            }
        }
    }
    for (size_t i = 0; i < vectors; i++) {
        struct v16 value = v16_mul(sum[i], v16_set1(inverse));
        v16_store_part(head->out + d + 16 * i, value, lanes);
    }
}

static void attend_head(const struct head *head)
{
    const struct ryz_attention *a = head->a;
    for (uint32_t block = 0; block * a->block_tokens < a->context_tokens; block++) {
        score_block(head, block, a->scratch + (size_t)block * a->block_tokens);
    }
    float sum = exponentiate(a->scratch, a->context_tokens);
    float inverse = a->context_tokens ? 1.0F / sum : 0.0F;
    size_t d = 0;
    for (; d + OUT_DIMS <= a->head_dim; d += OUT_DIMS) {
        weigh(head, d, OUT_VECTORS, 16, inverse);
    }
    for (; d + 16 <= a->head_dim; d += 16) weigh(head, d, 1, 16, inverse);
    if (d < a->head_dim) weigh(head, d, 1, a->head_dim - d, inverse);
}

void V16_ISA(attention)(const struct ryz_attention *a)
{
    if (a->kv_f32) { /* only comparisons with other engines ask for it */
        ryz_ref_attention(a);
        return;
    }
    uint32_t heads_per_kv = a->n_heads / a->n_kv_heads;
    for (uint32_t i = a->head_first; i < a->head_end; i++) {
        struct head head = {
            .a = a,
            .q = a->q + (size_t)i * a->head_dim,
            .out = a->out + (size_t)i * a->head_dim,
            .kv_offset = (size_t)(i / heads_per_kv) * a->head_dim,
            .position_stride = (size_t)a->n_kv_heads * a->head_dim,
        };
        attend_head(&head);
    }
}

#endif
