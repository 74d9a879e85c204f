/*
 * Goal: attention over a paged cache is softmax(q k) v, and depends on the context alone: not on
 * the block size, on where blocks lie, on which heads share a call or on what follows the context.
 * Method: a contiguous cache in double against paged ones with shuffled block tables; pools,
 * scratch and outputs end at guard pages; unused positions hold NaN.
 */
#include <math.h>

#include <criterion/criterion.h>

#include "kernels/convert.h"
#include "kernels/kv.h"
#include "tests/unit/kernels/support.h"

TestSuite(kernels_attention, .fini = guarded_release);

static const enum ryz_kv_type types[] = {RYZ_KV_BF16, RYZ_KV_INT8, RYZ_KV_F32};

#define TYPES (sizeof types / sizeof types[0])

/* A contiguous cache, (context, n_kv_heads, head_dim), and a query. Keys and values are what the
 * stored ones stand for. */
struct problem {
    enum ryz_kv_type type;
    uint32_t context, n_heads, n_kv_heads, head_dim;
    float *q, *k, *v;
};

/* A stored vector, its scale, and what the two stand for. */
static void encode(enum ryz_kv_type type, const float *src, size_t count, void *dst, float *scale)
{
    const struct ryz_kernels *ref = ryz_kernels_find("ref");
    if (type == RYZ_KV_F32) memcpy(dst, src, count * sizeof *src);
    if (type == RYZ_KV_BF16) ref->store_bf16(dst, src, count);
    if (type == RYZ_KV_INT8) ref->store_int8(dst, scale, src, count);
}

static void fill_vectors(struct rng *rng, struct problem *p, float *x, float scale)
{
    size_t count = (size_t)p->context * p->n_kv_heads;
    for (size_t i = 0; i < count; i++, x += p->head_dim) {
        /* INT8 vectors of many magnitudes: each has a scale of its own. */
        rng_fill(rng, x, p->head_dim, p->type == RYZ_KV_INT8 ? rng_float(rng, scale) : scale);
        if (p->type != RYZ_KV_BF16) continue;
        for (uint32_t d = 0; d < p->head_dim; d++) x[d] = f32_from_bf16(bf16_from_f32(x[d]));
    }
}

static struct problem random_problem(struct rng *rng, enum ryz_kv_type type, uint32_t context,
                                     uint32_t n_heads, uint32_t n_kv_heads, uint32_t head_dim)
{
    struct problem p = {type, context, n_heads, n_kv_heads, head_dim, NULL, NULL, NULL};
    size_t count = (size_t)context * n_kv_heads * head_dim;
    p.q = guarded_floats((size_t)n_heads * head_dim);
    p.k = guarded_floats(count);
    p.v = guarded_floats(count);
    rng_fill(rng, p.q, (size_t)n_heads * head_dim, 3.0F);
    fill_vectors(rng, &p, p.k, 1.5F);
    fill_vectors(rng, &p, p.v, 2.0F);
    return p;
}

/* The pool of `x` in blocks of a's size, scattered as a's table says. What is not of the context is
 * NaN. */
static void *scatter(const struct problem *p, const struct ryz_attention *a, uint32_t pool_blocks,
                     const float *x)
{
    struct ryz_kv_layout layout =
        ryz_kv_layout_of(p->type, a->block_tokens, p->n_kv_heads, p->head_dim);
    cr_assert_eq(layout.block_bytes,
                 ryz_kv_type_block_bytes(p->type, a->block_tokens, p->n_kv_heads, p->head_dim));
    uint8_t *pool = guarded(pool_blocks * layout.block_bytes);
    memset(pool, 0xff, pool_blocks * layout.block_bytes);
    for (uint32_t t = 0; t < p->context; t++) {
        size_t block = a->block_table[t / a->block_tokens], slot = t % a->block_tokens;
        for (uint32_t h = 0; h < p->n_kv_heads; h++, x += p->head_dim) {
            uint8_t *head = pool + block * layout.block_bytes + h * layout.head_bytes;
            encode(p->type, x, p->head_dim,
                   head + layout.values_offset + slot * layout.position_bytes,
                   (float *)(void *)head + slot);
        }
    }
    return pool;
}

/* The problem in blocks of block_tokens, scattered over a pool. */
static struct ryz_attention paged(struct rng *rng, const struct problem *p, uint32_t block_tokens)
{
    uint32_t blocks = (p->context + block_tokens - 1) / block_tokens;
    uint32_t pool_blocks = blocks + 3;
    uint32_t *table = guarded(blocks * sizeof *table);
    uint32_t *order = guarded(pool_blocks * sizeof *order);
    for (uint32_t i = 0; i < pool_blocks; i++) { /* inside-out shuffle */
        size_t j = rng_below(rng, i + 1);
        order[i] = order[j];
        order[j] = i;
    }
    for (uint32_t i = 0; i < blocks; i++) table[i] = order[i];
    struct ryz_attention a = {
        .q = p->q,
        .out = guarded_floats((size_t)p->n_heads * p->head_dim),
        .block_table = table,
        .scratch = guarded_floats(p->context),
        .context_tokens = p->context,
        .block_tokens = block_tokens,
        .n_heads = p->n_heads,
        .n_kv_heads = p->n_kv_heads,
        .head_dim = p->head_dim,
        .head_first = 0,
        .head_end = p->n_heads,
        .scale = 1.0F / sqrtf((float)p->head_dim),
        .kv_type = p->type,
    };
    a.k_pool = scatter(p, &a, pool_blocks, p->k);
    a.v_pool = scatter(p, &a, pool_blocks, p->v);
    return a;
}

/* What the vectors of x stand for once they were stored. */
static double *decoded(const struct problem *p, const float *x)
{
    size_t count = (size_t)p->context * p->n_kv_heads;
    double *out = guarded(count * p->head_dim * sizeof *out);
    for (size_t i = 0; i < count; i++, x += p->head_dim) {
        int8_t codes[256];
        float scale = 0.0F;
        if (p->type == RYZ_KV_INT8) encode(p->type, x, p->head_dim, codes, &scale);
        for (uint32_t d = 0; d < p->head_dim; d++) {
            out[i * p->head_dim + d] =
                p->type == RYZ_KV_INT8 ? (double)scale * codes[d] : (double)x[d];
        }
    }
    return out;
}

static double dot(const struct problem *p, const double *keys, uint32_t head, uint32_t position)
{
    size_t kv = head / (p->n_heads / p->n_kv_heads);
    const double *k = keys + ((size_t)position * p->n_kv_heads + kv) * p->head_dim;
    double sum = 0.0;
    for (uint32_t d = 0; d < p->head_dim; d++) {
        sum += (double)p->q[(size_t)head * p->head_dim + d] * k[d];
    }
    return sum / sqrt((double)p->head_dim);
}

static void check_head(const struct problem *p, const struct ryz_attention *a, const double *keys,
                       const double *values, uint32_t head)
{
    double weights[600];
    double sum = 0.0;
    double highest = -1e300;
    size_t kv = head / (p->n_heads / p->n_kv_heads);
    cr_assert(p->context <= 600);
    for (uint32_t t = 0; t < p->context; t++) {
        weights[t] = dot(p, keys, head, t);
        highest = fmax(highest, weights[t]);
    }
    for (uint32_t t = 0; t < p->context; t++) {
        weights[t] = exp(weights[t] - highest);
        sum += weights[t];
    }
    for (uint32_t d = 0; d < p->head_dim; d++) {
        double expected = 0.0;
        for (uint32_t t = 0; t < p->context; t++) {
            size_t index = ((size_t)t * p->n_kv_heads + kv) * p->head_dim + d;
            expected += weights[t] / sum * values[index];
        }
        double actual = (double)a->out[(size_t)head * p->head_dim + d];
        cr_assert(fabs(actual - expected) < 5e-6, "%s context %u head %u dim %u: %g not %g",
                  ryz_kv_type_name(p->type), p->context, head, d, actual, expected);
    }
}

/* Runs every table over poisoned outputs. */
static void check_tables(const struct problem *p, const struct ryz_attention *a)
{
    const double *keys = decoded(p, p->k), *values = decoded(p, p->v);
    for (size_t t = 0; table_at(t); t++) {
        memset(a->out, 0xff, (size_t)p->n_heads * p->head_dim * sizeof *a->out);
        table_at(t)->attention(a);
        for (uint32_t h = 0; h < p->n_heads; h++) check_head(p, a, keys, values, h);
    }
}

Test(kernels_attention, matches_softmax_in_double)
{
    static const uint32_t shapes[][5] = {
        /* context, heads, kv heads, head_dim, block_tokens */
        {1, 1, 1, 64, 16},  {3, 9, 3, 64, 16},    {16, 9, 3, 64, 16},  {17, 4, 2, 128, 16},
        {37, 4, 4, 80, 16}, {100, 6, 2, 33, 7},   {255, 2, 1, 64, 32}, {511, 3, 1, 64, 1},
        {600, 1, 1, 72, 5}, {130, 2, 2, 16, 256}, {9, 2, 2, 1, 4},     {48, 1, 1, 15, 16},
    };
    struct rng rng = rng_start(61);
    for (size_t i = 0; i < TYPES * sizeof shapes / sizeof shapes[0]; i++) {
        const uint32_t *s = shapes[i / TYPES];
        struct problem p = random_problem(&rng, types[i % TYPES], s[0], s[1], s[2], s[3]);
        struct ryz_attention a = paged(&rng, &p, s[4]);
        check_tables(&p, &a);
        guarded_release();
    }
}

static void compare_blocks(struct rng *rng, enum ryz_kv_type type, uint32_t context)
{
    struct problem p = random_problem(rng, type, context, 6, 2, 80);
    size_t out_bytes = (size_t)p.n_heads * p.head_dim * sizeof(float);
    struct ryz_attention a = paged(rng, &p, 16);
    struct ryz_attention b = paged(rng, &p, 1 + (uint32_t)rng_below(rng, 40));
    for (size_t t = 0; table_at(t); t++) {
        table_at(t)->attention(&a);
        for (uint32_t h = p.n_heads; h-- > 0;) { /* one head a call, backwards */
            b.head_first = h;
            b.head_end = h + 1;
            table_at(t)->attention(&b);
        }
        cr_assert_arr_eq(a.out, b.out, out_bytes, "%s %s context %u blocks of %u",
                         table_at(t)->name, ryz_kv_type_name(type), context, b.block_tokens);
    }
    guarded_release();
}

Test(kernels_attention, does_not_depend_on_blocks_or_on_the_split_of_heads)
{
    struct rng rng = rng_start(62);
    for (uint32_t context = 1; context < 150; context += 1 + (uint32_t)rng_below(&rng, 12)) {
        compare_blocks(&rng, RYZ_KV_BF16, context);
        compare_blocks(&rng, RYZ_KV_INT8, context);
    }
}

Test(kernels_attention, writes_only_the_heads_of_the_call)
{
    struct rng rng = rng_start(63);
    for (size_t k = 0; k < TYPES; k++) {
        struct problem p = random_problem(&rng, types[k], 20, 6, 3, 32);
        struct ryz_attention a = paged(&rng, &p, 16);
        a.head_first = 2;
        a.head_end = 4;
        for (size_t t = 0; table_at(t); t++) {
            for (size_t i = 0; i < (size_t)6 * 32; i++) a.out[i] = -77.0F;
            table_at(t)->attention(&a);
            for (size_t i = 0; i < (size_t)6 * 32; i++) {
                cr_assert_eq(a.out[i] == -77.0F, i < 64 || i >= 128, "%s %zu", table_at(t)->name,
                             i);
            }
        }
    }
}

Test(kernels_attention, an_empty_context_gives_zeros)
{
    struct rng rng = rng_start(64);
    for (size_t k = 0; k < TYPES; k++) {
        struct problem p = random_problem(&rng, types[k], 4, 2, 1, 48);
        struct ryz_attention a = paged(&rng, &p, 4);
        a.context_tokens = 0;
        for (size_t t = 0; table_at(t); t++) {
            memset(a.out, 0xff, (size_t)2 * 48 * sizeof *a.out);
            table_at(t)->attention(&a);
            for (size_t i = 0; i < (size_t)2 * 48; i++) cr_assert_eq(a.out[i], 0.0F);
        }
    }
}

/* Scales differ by 2^60 between positions; some vectors are zero, whose scale is 0. */
Test(kernels_attention, int8_vectors_of_very_different_size)
{
    struct rng rng = rng_start(65);
    struct problem p = random_problem(&rng, RYZ_KV_INT8, 77, 4, 2, 48);
    for (uint32_t t = 0; t < 77; t++) {
        size_t first = (size_t)t * 2 * 48;
        for (size_t i = first; i < first + 2 * 48; i++) {
            float factor = t % 5 == 0 ? 0.0F : ldexpf(1.0F, -(int)(t % 3) * 30);
            p.k[i] *= factor;
            p.v[i] *= factor;
        }
    }
    struct ryz_attention a = paged(&rng, &p, 16);
    check_tables(&p, &a);
}

Test(kernels_attention, nan_and_infinity_are_survived)
{
    struct rng rng = rng_start(66);
    for (size_t k = 0; k < TYPES; k++) {
        struct problem p = random_problem(&rng, types[k], 21, 2, 1, 40);
        p.q[3] = NAN;
        p.k[50] = INFINITY;
        p.v[77] = NAN;
        struct ryz_attention a = paged(&rng, &p, 16);
        for (size_t t = 0; table_at(t); t++) {
            table_at(t)->attention(&a);
            cr_assert(isnan(a.out[0]), "%s", table_at(t)->name);
        }
    }
}

/* An INT8 code cannot say NaN: the scale does, for the whole vector. */
Test(kernels_attention, a_spoilt_int8_vector_never_passes_for_a_number)
{
    struct rng rng = rng_start(68);
    for (size_t k = 0; k < 2; k++) {
        struct problem p = random_problem(&rng, RYZ_KV_INT8, 21, 1, 1, 40);
        (k == 0 ? p.k : p.v)[5 * 40 + 7] = k == 0 ? -INFINITY : NAN;
        struct ryz_attention a = paged(&rng, &p, 16);
        for (size_t t = 0; table_at(t); t++) {
            table_at(t)->attention(&a);
            for (size_t i = 0; i < 40; i++) cr_assert(isnan(a.out[i]), "%s", table_at(t)->name);
        }
    }
}

Test(kernels_attention, avx2_and_avx512_agree_to_the_bit)
{
    const struct ryz_kernels *avx2 = ryz_kernels_find("avx2");
    const struct ryz_kernels *avx512 = ryz_kernels_find("avx512");
    if (!avx2 || !avx512) cr_skip_test("needs AVX2 and AVX-512");
    struct rng rng = rng_start(67);
    for (size_t k = 0; k < TYPES; k++) {
        struct problem p = random_problem(&rng, types[k], 333, 9, 3, 90);
        struct ryz_attention a = paged(&rng, &p, 16);
        struct ryz_attention b = paged(&rng, &p, 16);
        avx2->attention(&a);
        avx512->attention(&b);
        cr_assert_arr_eq(a.out, b.out, (size_t)p.n_heads * p.head_dim * sizeof(float));
        guarded_release();
    }
}
