/*
 * attention_body.h - attention of one token over a paged BF16 or INT8 cache, over struct v16.
 *
 * Include after v16_math.h. The idea to know: ORDER. A score is one 16-lane dot product over
 * head_dim; the scores of all positions go to scratch; exponentials add up in lanes position % 16;
 * and each output adds p * v over ascending positions. None of it sees block or call borders. INT8
 * codes enter the sums as they are: a position's scale multiplies its score once, and its
 * probability once, instead of every element.
 */
#ifndef RYZ_KERNELS_X86_ATTENTION_BODY_H
#define RYZ_KERNELS_X86_ATTENTION_BODY_H

#include <math.h>

#include "kernels/kv.h"

#define OUT_VECTORS 4u /* vectors of head_dim that one pass over V sums up */
#define OUT_DIMS    (size_t)(16u * OUT_VECTORS)

/* One head of a call. */
struct head {
    const struct ryz_attention *a;
    const float *q;
    float *out;
    struct ryz_kv_layout layout;
    size_t kv_offset; /* of its kv head within a block, bytes */
    bool leads;       /* the first of the call to read this kv head */
};

/* Where the kv head's part of block i of the sequence starts. */
static const uint8_t *block_start(const struct head *head, const void *pool, uint32_t i)
{
    const uint8_t *bytes = pool;
    return bytes + head->a->block_table[i] * head->layout.block_bytes + head->kv_offset;
}

static uint32_t block_count(const struct ryz_attention *a, uint32_t i)
{
    uint32_t left = a->context_tokens - i * a->block_tokens;
    return left < a->block_tokens ? left : a->block_tokens;
}

#define AHEAD_BLOCKS 8u /* between asking for a block and using it */

/* Asks for the kv head's part of block i ahead of its use. Blocks lie anywhere, and a CPU's own
 * prefetcher takes some lines to notice a new place. Inline: GCC takes a function that only
 * prefetches for one without effect and drops the call. */
V16_INLINE void prefetch_block(enum ryz_kv_type type, const struct head *head, const void *pool,
                               uint32_t i)
{
    if (!head->leads || (uint64_t)i * head->a->block_tokens >= head->a->context_tokens) return;
    const char *start = (const char *)block_start(head, pool, i);
    /* INT8 keeps a head's positions together, BF16 does not. */
    uint32_t pieces = type == RYZ_KV_INT8 ? 1 : head->a->block_tokens;
    for (uint32_t t = 0; t < pieces; t++, start += head->layout.position_bytes) {
        for (size_t at = 0; at < head->layout.head_bytes; at += 64) {
            _mm_prefetch(start + at, _MM_HINT_T0);
        }
    }
}

/* x[i] *= scales[i]. */
static void multiply(const float *scales, size_t count, float *x)
{
    size_t rest = count % 16;
    size_t whole = count - rest;
    for (size_t i = 0; i < whole; i += 16) {
        v16_store(x + i, v16_mul(v16_load(x + i), v16_load(scales + i)));
    }
    if (!rest) return;
    struct v16 last = v16_mul(v16_load_part(x + whole, rest), v16_load_part(scales + whole, rest));
    v16_store_part(x + whole, last, rest);
}

/* In what follows `type` is a constant where it is inlined, BF16 or INT8; of INT8 these are the
 * codes, scales come later. */
V16_INLINE size_t value_bytes(enum ryz_kv_type type)
{
    return type == RYZ_KV_INT8 ? sizeof(int8_t) : sizeof(uint16_t);
}

V16_INLINE struct v16 load_values(enum ryz_kv_type type, const uint8_t *src)
{
    return type == RYZ_KV_INT8 ? v16_load_i8(src) : v16_load_bf16(src);
}

V16_INLINE struct v16 load_values_part(enum ryz_kv_type type, const uint8_t *src, size_t n)
{
    return type == RYZ_KV_INT8 ? v16_load_i8_part(src, n) : v16_load_bf16_part(src, n);
}

/* q . k for four positions; they may be the same one. */
V16_INLINE __m128 score4(enum ryz_kv_type type, const struct head *head, const uint8_t *const k[4])
{
    size_t dims = head->a->head_dim;
    size_t rest = dims % 16;
    size_t whole = dims - rest;
    size_t bytes = value_bytes(type);
    struct v16 sum[4];
    for (size_t i = 0; i < 4; i++) sum[i] = v16_zero();
    for (size_t d = 0; d < whole; d += 16) {
        struct v16 q = v16_load(head->q + d);
        for (size_t i = 0; i < 4; i++) {
            sum[i] = v16_fma(q, load_values(type, k[i] + d * bytes), sum[i]);
        }
    }
    if (rest) {
        struct v16 q = v16_load_part(head->q + whole, rest);
        for (size_t i = 0; i < 4; i++) {
            sum[i] = v16_fma(q, load_values_part(type, k[i] + whole * bytes, rest), sum[i]);
        }
    }
    return _mm_mul_ps(v16_sum4(sum[0], sum[1], sum[2], sum[3]), _mm_set1_ps(head->a->scale));
}

V16_INLINE void score_block(enum ryz_kv_type type, const struct head *head, uint32_t block,
                            float *scores)
{
    const uint8_t *start = block_start(head, head->a->k_pool, block);
    const uint8_t *first = start + head->layout.values_offset;
    uint32_t count = block_count(head->a, block);
    prefetch_block(type, head, head->a->k_pool, block + AHEAD_BLOCKS);
    for (uint32_t t = 0; t < count; t += 4) {
        const uint8_t *k[4];
        for (uint32_t i = 0; i < 4; i++) {
            uint32_t position = t + i < count ? t + i : count - 1;
            k[i] = first + position * head->layout.position_bytes;
        }
        __m128 four = score4(type, head, k);
        if (t + 4 <= count) {
            _mm_storeu_ps(scores + t, four);
        } else {
            float lanes[4];
            _mm_storeu_ps(lanes, four);
            memcpy(scores + t, lanes, (count - t) * sizeof lanes[0]);
        }
    }
    if (type == RYZ_KV_INT8) multiply((const float *)(const void *)start, count, scores);
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
V16_INLINE void weigh(enum ryz_kv_type type, const struct head *head, size_t d, size_t vectors,
                      size_t lanes, float inverse)
{
    const struct ryz_attention *a = head->a;
    size_t offset = head->layout.values_offset + d * value_bytes(type);
    struct v16 sum[OUT_VECTORS];
    for (size_t i = 0; i < vectors; i++) sum[i] = v16_zero();
    const float *p = a->scratch;
    for (uint32_t block = 0; block * a->block_tokens < a->context_tokens; block++) {
        const uint8_t *v = block_start(head, a->v_pool, block) + offset;
        uint32_t count = block_count(a, block);
        prefetch_block(type, head, a->v_pool, block + AHEAD_BLOCKS);
        for (uint32_t t = 0; t < count; t++, v += head->layout.position_bytes) {
            struct v16 weight = v16_set1(*p++);
            for (size_t i = 0; i < vectors; i++) {
                const uint8_t *src = v + 16 * i * value_bytes(type);
                struct v16 value =
                    lanes == 16 ? load_values(type, src) : load_values_part(type, src, lanes);
                sum[i] = v16_fma(weight, value, sum[i]);
            }
        }
    }
    for (size_t i = 0; i < vectors; i++) {
        struct v16 value = v16_mul(sum[i], v16_set1(inverse));
        v16_store_part(head->out + d + 16 * i, value, lanes);
    }
}

V16_INLINE void attend(enum ryz_kv_type type, const struct head *head)
{
    const struct ryz_attention *a = head->a;
    for (uint32_t block = 0; block * a->block_tokens < a->context_tokens; block++) {
        score_block(type, head, block, a->scratch + (size_t)block * a->block_tokens);
    }
    float sum = exponentiate(a->scratch, a->context_tokens);
    float inverse = a->context_tokens ? 1.0F / sum : 0.0F;
    /* The sum is of probabilities; from here on INT8 weighs codes, by probability * scale. */
    for (uint32_t block = 0; type == RYZ_KV_INT8 && block * a->block_tokens < a->context_tokens;
         block++) {
        const void *scales = block_start(head, a->v_pool, block);
        multiply(scales, block_count(a, block), a->scratch + (size_t)block * a->block_tokens);
    }
    size_t d = 0;
    for (; d + OUT_DIMS <= a->head_dim; d += OUT_DIMS) {
        weigh(type, head, d, OUT_VECTORS, 16, inverse);
    }
    for (; d + 16 <= a->head_dim; d += 16) weigh(type, head, d, 1, 16, inverse);
    if (d < a->head_dim) weigh(type, head, d, 1, a->head_dim - d, inverse);
}

V16_NOINLINE void attend_bf16(const struct head *head)
{
    attend(RYZ_KV_BF16, head);
}

V16_NOINLINE void attend_int8(const struct head *head)
{
    attend(RYZ_KV_INT8, head);
}

void V16_ISA(attention)(const struct ryz_attention *a)
{
    if (a->kv_type == RYZ_KV_F32) { /* only comparisons with other engines ask for it */
        ryz_ref_attention(a);
        return;
    }
    uint32_t heads_per_kv = a->n_heads / a->n_kv_heads;
    struct ryz_kv_layout layout =
        ryz_kv_layout_of(a->kv_type, a->block_tokens, a->n_kv_heads, a->head_dim);
    for (uint32_t i = a->head_first; i < a->head_end; i++) {
        struct head head = {
            .a = a,
            .q = a->q + (size_t)i * a->head_dim,
            .out = a->out + (size_t)i * a->head_dim,
            .layout = layout,
            .kv_offset = i / heads_per_kv * layout.head_bytes,
            .leads = i == a->head_first || i % heads_per_kv == 0,
        };
        if (a->kv_type == RYZ_KV_INT8) {
            attend_int8(&head);
        } else {
            attend_bf16(&head);
        }
    }
}

#endif
