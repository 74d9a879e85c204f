/*
 * Goal: attention over a paged cache is softmax(q k) v, and depends on the context alone: not on
 * the block size, on where blocks lie, on which heads share a call or on what follows the context.
 * Method: a contiguous cache in double against paged ones with shuffled block tables; pools,
 * scratch and outputs end at guard pages; unused positions hold NaN.
 */
#include <math.h>

#include <criterion/criterion.h>

#include "kernels/convert.h"
#include "tests/unit/kernels/support.h"

TestSuite(kernels_attention, .fini = guarded_release);

/* A contiguous cache, (context, n_kv_heads, head_dim), and a query. */
struct problem {
    uint32_t context, n_heads, n_kv_heads, head_dim;
    float *q;
    uint16_t *k, *v;
};

static struct problem random_problem(struct rng *rng, uint32_t context, uint32_t n_heads,
                                     uint32_t n_kv_heads, uint32_t head_dim)
{
    struct problem p = {context, n_heads, n_kv_heads, head_dim, NULL, NULL, NULL};
    size_t count = (size_t)context * n_kv_heads * head_dim;
    p.q = guarded_floats((size_t)n_heads * head_dim);
    p.k = guarded(count * sizeof *p.k);
    p.v = guarded(count * sizeof *p.v);
    rng_fill(rng, p.q, (size_t)n_heads * head_dim, 3.0F);
    for (size_t i = 0; i < count; i++) {
        p.k[i] = bf16_from_f32(rng_float(rng, 1.5F));
        p.v[i] = bf16_from_f32(rng_float(rng, 2.0F));
    }
    return p;
}

/* The problem in blocks of block_tokens, scattered over a pool; positions not of the context are
 * NaN. */
static struct ryz_attention paged(struct rng *rng, const struct problem *p, uint32_t block_tokens)
{
    uint32_t blocks = (p->context + block_tokens - 1) / block_tokens;
    uint32_t pool_blocks = blocks + 3;
    size_t position_count = (size_t)p->n_kv_heads * p->head_dim;
    size_t pool_count = (size_t)pool_blocks * block_tokens * position_count;
    uint16_t *k_pool = guarded(pool_count * sizeof *k_pool);
    uint16_t *v_pool = guarded(pool_count * sizeof *v_pool);
    uint32_t *table = guarded(blocks * sizeof *table);
    uint32_t *order = guarded(pool_blocks * sizeof *order);
    memset(k_pool, 0xff, pool_count * sizeof *k_pool);
    memset(v_pool, 0xff, pool_count * sizeof *v_pool);
    for (uint32_t i = 0; i < pool_blocks; i++) { /* inside-out shuffle */
        size_t j = rng_below(rng, i + 1);
        order[i] = order[j];
        order[j] = i;
    }
    for (uint32_t i = 0; i < blocks; i++) table[i] = order[i];
    for (uint32_t t = 0; t < p->context; t++) {
        size_t place = (size_t)table[t / block_tokens] * block_tokens + t % block_tokens;
        size_t bytes = position_count * sizeof *k_pool;
        memcpy(k_pool + place * position_count, p->k + t * position_count, bytes);
        memcpy(v_pool + place * position_count, p->v + t * position_count, bytes);
    }
    struct ryz_attention a = {
        .q = p->q,
        .out = guarded_floats((size_t)p->n_heads * p->head_dim),
        .k_pool = k_pool,
        .v_pool = v_pool,
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
    };
    return a;
}

static double dot(const struct problem *p, uint32_t head, uint32_t position)
{
    size_t kv = head / (p->n_heads / p->n_kv_heads);
    const uint16_t *k = p->k + ((size_t)position * p->n_kv_heads + kv) * p->head_dim;
    double sum = 0.0;
    for (uint32_t d = 0; d < p->head_dim; d++) {
        sum += (double)p->q[(size_t)head * p->head_dim + d] * (double)f32_from_bf16(k[d]);
    }
    return sum / sqrt((double)p->head_dim);
}

static void check_head(const struct problem *p, const struct ryz_attention *a, uint32_t head,
                       const char *table)
{
    double weights[600];
    double sum = 0.0;
    double highest = -1e300;
    size_t kv = head / (p->n_heads / p->n_kv_heads);
    cr_assert(p->context <= 600);
    for (uint32_t t = 0; t < p->context; t++) {
        weights[t] = dot(p, head, t);
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
            expected += weights[t] / sum * (double)f32_from_bf16(p->v[index]);
        }
        double actual = (double)a->out[(size_t)head * p->head_dim + d];
        cr_assert(fabs(actual - expected) < 5e-6, "%s context %u head %u dim %u: %g not %g", table,
                  p->context, head, d, actual, expected);
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
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        const uint32_t *s = shapes[i];
        struct problem p = random_problem(&rng, s[0], s[1], s[2], s[3]);
        struct ryz_attention a = paged(&rng, &p, s[4]);
        for (size_t t = 0; table_at(t); t++) {
            memset(a.out, 0xff, (size_t)p.n_heads * p.head_dim * sizeof *a.out);
            table_at(t)->attention(&a);
            for (uint32_t h = 0; h < p.n_heads; h++) check_head(&p, &a, h, table_at(t)->name);
        }
        guarded_release();
    }
}

Test(kernels_attention, does_not_depend_on_blocks_or_on_the_split_of_heads)
{
    struct rng rng = rng_start(62);
    for (uint32_t context = 1; context < 150; context += 1 + (uint32_t)rng_below(&rng, 12)) {
        struct problem p = random_problem(&rng, context, 6, 2, 80);
        size_t out_bytes = (size_t)p.n_heads * p.head_dim * sizeof(float);
        struct ryz_attention a = paged(&rng, &p, 16);
        struct ryz_attention b = paged(&rng, &p, 1 + (uint32_t)rng_below(&rng, 40));
        for (size_t t = 0; table_at(t); t++) {
            table_at(t)->attention(&a);
            for (uint32_t h = p.n_heads; h-- > 0;) { /* one head a call, backwards */
                b.head_first = h;
                b.head_end = h + 1;
                table_at(t)->attention(&b);
            }
            cr_assert_arr_eq(a.out, b.out, out_bytes, "%s context %u blocks of %u",
                             table_at(t)->name, context, b.block_tokens);
        }
        guarded_release();
    }
}

Test(kernels_attention, writes_only_the_heads_of_the_call)
{
    struct rng rng = rng_start(63);
    struct problem p = random_problem(&rng, 20, 6, 3, 32);
    struct ryz_attention a = paged(&rng, &p, 16);
    a.head_first = 2;
    a.head_end = 4;
    for (size_t t = 0; table_at(t); t++) {
        for (size_t i = 0; i < (size_t)6 * 32; i++) a.out[i] = -77.0F;
        table_at(t)->attention(&a);
        for (size_t i = 0; i < (size_t)6 * 32; i++) {
            cr_assert_eq(a.out[i] == -77.0F, i < 64 || i >= 128, "%s %zu", table_at(t)->name, i);
        }
    }
}

Test(kernels_attention, an_empty_context_gives_zeros)
{
    struct rng rng = rng_start(64);
    struct problem p = random_problem(&rng, 4, 2, 1, 48);
    struct ryz_attention a = paged(&rng, &p, 4);
    a.context_tokens = 0;
    for (size_t t = 0; table_at(t); t++) {
        memset(a.out, 0xff, (size_t)2 * 48 * sizeof *a.out);
        table_at(t)->attention(&a);
        for (size_t i = 0; i < (size_t)2 * 48; i++) cr_assert_eq(a.out[i], 0.0F);
    }
}

Test(kernels_attention, f32_pools_are_read_by_every_table)
{
    struct rng rng = rng_start(65);
    struct problem p = random_problem(&rng, 40, 4, 2, 32);
    struct ryz_attention a = paged(&rng, &p, 8);
    struct ryz_attention b = a;
    size_t count = (size_t)8 * 8 * 2 * 32; /* 5 blocks and 3 spare ones */
    float *k = guarded_floats(count);
    float *v = guarded_floats(count);
    for (size_t i = 0; i < count; i++) {
        k[i] = f32_from_bf16(a.k_pool[i]);
        v[i] = f32_from_bf16(a.v_pool[i]);
    }
    b.k_pool = (const uint16_t *)(const void *)k;
    b.v_pool = (const uint16_t *)(const void *)v;
    b.kv_f32 = true;
    for (size_t t = 0; table_at(t); t++) {
        table_at(t)->attention(&b);
        for (uint32_t h = 0; h < p.n_heads; h++) check_head(&p, &b, h, table_at(t)->name);
    }
}

Test(kernels_attention, nan_and_infinity_are_survived)
{
    struct rng rng = rng_start(66);
    struct problem p = random_problem(&rng, 21, 2, 1, 40);
    p.q[3] = NAN;
    p.k[50] = 0x7f80; /* infinity */
    p.v[77] = 0x7fc0; /* NaN */
    struct ryz_attention a = paged(&rng, &p, 16);
    for (size_t t = 0; table_at(t); t++) {
        table_at(t)->attention(&a);
        cr_assert(isnan(a.out[0]), "%s", table_at(t)->name);
    }
}

Test(kernels_attention, avx2_and_avx512_agree_to_the_bit)
{
    const struct ryz_kernels *avx2 = ryz_kernels_find("avx2");
    const struct ryz_kernels *avx512 = ryz_kernels_find("avx512");
    if (!avx2 || !avx512) cr_skip_test("needs AVX2 and AVX-512");
    struct rng rng = rng_start(67);
    struct problem p = random_problem(&rng, 333, 9, 3, 90);
    struct ryz_attention a = paged(&rng, &p, 16);
    struct ryz_attention b = paged(&rng, &p, 16);
    avx2->attention(&a);
    avx512->attention(&b);
    cr_assert_arr_eq(a.out, b.out, (size_t)p.n_heads * p.head_dim * sizeof(float));
}
