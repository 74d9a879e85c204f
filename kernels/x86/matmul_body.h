/*
 * matmul_body.h - weights (N, K) times activations (M, K), written once over struct v16.
 *
 * Include after v16_math.h. The idea to know: ORDER. Each output has one 16-lane accumulator; lane
 * i takes k = i, i + 16, i + 32, ... one fused multiply-add each, a last partial step is padded
 * with zeros, and v16_sum4's tree adds the lanes up. Everything below only chooses which outputs
 * are computed together, never in which order one is.
 *
 * Two ways to the same sums:
 *   fused   weights are decoded in registers and used at once, for the few tokens of a tile; more
 *           tokens decode them again out of L1. One token waits for memory, four for arithmetic.
 *   panel   for many tokens: a group of rows is decoded to F32 once per K_CHUNK into a panel that
 *           stays in L1, and tiles of TILE_ROWS x TILE_TOKENS outputs run over it. Accumulators
 *           wait in memory between chunks.
 */
#ifndef RYZ_KERNELS_X86_MATMUL_BODY_H
#define RYZ_KERNELS_X86_MATMUL_BODY_H

#define STEP           32u   /* weights decoded at a time: a block */
#define GROUP_ROWS     8u    /* rows of a panel */
#define GROUP_TOKENS   96u   /* tokens that share one decoded panel */
#define K_CHUNK        768u  /* of K: 8 rows (24 KiB) and 6 tokens (18 KiB) fit a 48 KiB L1 */
#define PREFETCH_BYTES 8192u /* at least, from use to prefetch: 200 ns at 40 GB/s */
#define ROWS_MAX       8u
#define TOKENS_MAX     6u

/* For the loops that copy a tile's sums to or from registers: GCC 12 leaves one of 24 steps rolled
 * and takes the sums through the stack. */
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

/* What one tile reads, and K of it. */
struct tile {
    const uint8_t *w[ROWS_MAX];
    const float *x[TOKENS_MAX];
    size_t count; /* K, or the part of it in this chunk */
    /* Fused: bytes from a weight to the one to prefetch. */
    size_t ahead_bytes;
    /* Panel: rows to prefetch meanwhile, `ahead_step` bytes for 16 columns. */
    const uint8_t *ahead[TILE_ROWS];
    size_t ahead_count;
    size_t ahead_step;
};

/* A call, without the rows. */
struct job {
    const struct ryz_matrix *w;
    const float *x;
    size_t x_stride;
    size_t m_tokens;
    float *y;
    size_t y_stride;
};

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Bytes of `count` weights, count a multiple of STEP or the type not blocked. */
V16_INLINE size_t weight_bytes(enum ryz_dtype type, size_t count)
{
    switch (type) {
    case RYZ_DTYPE_F32:
        return count * 4;
    case RYZ_DTYPE_F16:
    case RYZ_DTYPE_BF16:
        return count * 2;
    case RYZ_DTYPE_Q4_0:
        return count / STEP * 18;
    case RYZ_DTYPE_Q4_1:
        return count / STEP * 20;
    case RYZ_DTYPE_Q8_0:
        return count / STEP * 34;
    }
    return 0;
}

/* Rows are short and a tile reads several at once, a pattern that hardware prefetchers lose:
 * without this, streaming Q8_0 rows of 576 ran at 9 GB/s, with it at memory speed. A prefetch never
 * faults. */
V16_INLINE void prefetch_step(enum ryz_dtype type, const uint8_t *src)
{
    _mm_prefetch((const char *)src, _MM_HINT_T0);
    if (type == RYZ_DTYPE_F32) _mm_prefetch((const char *)src + 64, _MM_HINT_T0);
}

/* How far ahead: some whole groups of rows, and far enough to hide the latency of memory. */
static size_t prefetch_distance(const struct ryz_matrix *w, size_t rows)
{
    size_t group_bytes = rows * w->row_bytes + 1;
    return (PREFETCH_BYTES / group_bytes + 1) * (group_bytes - 1);
}

/* Decodes fewer than STEP weights, the rest of `dst` is zero. Rare, so any way will do. */
static void decode_tail(enum ryz_dtype type, const uint8_t *src, float *dst, size_t count)
{
    for (size_t i = 0; i < STEP; i++) dst[i] = 0.0F;
    ryz_ref_dequantize_row(type, src, dst, count);
}

/* The last count % STEP weights of each row of a tile. */
V16_INLINE void add_tail(enum ryz_dtype type, size_t rows, size_t tokens, const struct tile *tile,
                         struct v16 *acc)
{
    size_t k = tile->count / STEP * STEP;
    size_t rest = tile->count - k;
    for (size_t r = 0; r < rows; r++) {
        float weights[STEP];
        decode_tail(type, tile->w[r] + weight_bytes(type, k), weights, rest);
        for (size_t i = 0; i < rest; i += 16) {
            struct v16 w = v16_load(weights + i);
            for (size_t t = 0; t < tokens; t++) {
                struct v16 x = v16_load_part(tile->x[t] + k + i, smaller(16, rest - i));
                acc[r * tokens + t] = v16_fma(w, x, acc[r * tokens + t]);
            }
        }
    }
}

/* Adds a tile's products to acc (rows, tokens), decoding in registers. Inlined with constants for
 * `type`, `rows` and `tokens`. */
V16_INLINE void add_fused(enum ryz_dtype type, size_t rows, size_t tokens, const struct tile *tile,
                          struct v16 *acc)
{
    struct v16 sum[ROWS_MAX * TOKENS_MAX];
    UNROLL
    for (size_t i = 0; i < rows * tokens; i++) sum[i] = v16_load((const float *)&acc[i]);
    for (size_t k = 0; k + STEP <= tile->count; k += STEP) {
        for (size_t r = 0; r < rows; r++) {
            struct v16 w[2];
            const uint8_t *src = tile->w[r] + weight_bytes(type, k);
            v16_decode32(type, src, w);
            prefetch_step(type, src + tile->ahead_bytes);
            for (size_t t = 0; t < tokens; t++) {
                const float *x = tile->x[t] + k;
                sum[r * tokens + t] = v16_fma(w[0], v16_load(x), sum[r * tokens + t]);
                sum[r * tokens + t] = v16_fma(w[1], v16_load(x + 16), sum[r * tokens + t]);
            }
        }
    }
    UNROLL
    for (size_t i = 0; i < rows * tokens; i++) v16_store((float *)&acc[i], sum[i]);
    if (tile->count % STEP) add_tail(type, rows, tokens, tile, acc);
}

/* The last count % 16 columns of F32 rows. On sums in memory, so that those of the loop before it
 * never leave their registers. */
V16_NOINLINE void add_panel_tail(size_t rows, size_t tokens, const struct tile *tile,
                                 struct v16 *acc)
{
    size_t rest = tile->count % 16;
    size_t k = tile->count - rest;
    for (size_t t = 0; t < tokens; t++) {
        struct v16 x = v16_load_part(tile->x[t] + k, rest);
        for (size_t r = 0; r < rows; r++) {
            struct v16 w = v16_load_part((const float *)(const void *)tile->w[r] + k, rest);
            acc[r * tokens + t] = v16_fma(w, x, acc[r * tokens + t]);
        }
    }
}

/* As add_fused for F32 rows (a panel), holding a vector of each row while the tokens pass. */
V16_INLINE void add_panel(size_t rows, size_t tokens, const struct tile *tile, struct v16 *acc)
{
    struct v16 sum[ROWS_MAX * TOKENS_MAX];
    UNROLL
    for (size_t i = 0; i < rows * tokens; i++) sum[i] = v16_load((const float *)&acc[i]);
    for (size_t k = 0; k + 16 <= tile->count; k += 16) {
        for (size_t i = 0; i < TILE_ROWS && i < tile->ahead_count; i++) {
            _mm_prefetch((const char *)tile->ahead[i] + k / 16 * tile->ahead_step, _MM_HINT_T0);
        }
        v16_add_products(rows, tokens, tile->w, tile->x, k, sum);
    }
    UNROLL
    for (size_t i = 0; i < rows * tokens; i++) v16_store((float *)&acc[i], sum[i]);
    if (tile->count % 16) add_panel_tail(rows, tokens, tile, acc);
}

V16_NOINLINE void add_panel_full(const struct tile *tile, struct v16 *acc)
{
    add_panel(TILE_ROWS, TILE_TOKENS, tile, acc);
}

V16_NOINLINE void add_panel_few(const struct tile *tile, struct v16 *acc)
{
    add_panel(TILE_ROWS, TILE_TOKENS_FEW, tile, acc);
}

/* Where a tile's sums go: the part of it that is not a repetition. */
struct place {
    size_t row, rows;
    size_t m, tokens;
};

/* Adds up acc (rows, tokens) and stores what `place` names. */
V16_INLINE void store_sums(const struct job *job, size_t rows, size_t tokens, const struct v16 *acc,
                           const struct place *place)
{
    for (size_t t = 0; t < place->tokens; t++) {
        float *y = job->y + (place->m + t) * job->y_stride + place->row;
        for (size_t r = 0; r < rows; r += 4) {
            struct v16 v[4];
            for (size_t i = 0; i < 4; i++) {
                v[i] = r + i < rows ? acc[(r + i) * tokens + t] : v16_zero();
            }
            __m128 sums = v16_sum4(v[0], v[1], v[2], v[3]);
            if (r + 4 <= place->rows) {
                _mm_storeu_ps(y + r, sums);
            } else if (r < place->rows) {
                float lanes[4];
                _mm_storeu_ps(lanes, sums);
                memcpy(y + r, lanes, (place->rows - r) * sizeof *y);
            }
        }
    }
}

/* All rows of a call, `tokens` tokens at a time while the rows of a tile are in L1. A tile that
 * reaches past the last row or token computes the last one again and drops it. */
V16_INLINE void fused_rows(enum ryz_dtype type, size_t rows, size_t tokens, const struct job *job,
                           size_t row_first, size_t row_end)
{
    struct tile tile = {.count = job->w->cols, .ahead_bytes = prefetch_distance(job->w, rows)};
    for (size_t row = row_first; row < row_end; row += rows) {
        for (size_t r = 0; r < rows; r++) {
            size_t source = smaller(row + r, row_end - 1);
            tile.w[r] = (const uint8_t *)job->w->data + source * job->w->row_bytes;
        }
        for (size_t m = 0; m < job->m_tokens; m += tokens) {
            struct v16 acc[ROWS_MAX * TOKENS_MAX];
            for (size_t i = 0; i < rows * tokens; i++) acc[i] = v16_zero();
            for (size_t t = 0; t < tokens; t++) {
                tile.x[t] = job->x + smaller(m + t, job->m_tokens - 1) * job->x_stride;
            }
            add_fused(type, rows, tokens, &tile, acc);
            struct place place = {row, smaller(rows, row_end - row), m,
                                  smaller(tokens, job->m_tokens - m)};
            store_sums(job, rows, tokens, acc, &place);
        }
    }
}

V16_INLINE void fused_type(enum ryz_dtype type, const struct job *job, size_t row_first,
                           size_t row_end)
{
    if (job->m_tokens == 1) {
        fused_rows(type, FUSED_ROWS_ONE_TOKEN, 1, job, row_first, row_end);
    } else if (job->m_tokens == 2 || FUSED_TOKENS == 2) {
        fused_rows(type, TILE_ROWS, 2, job, row_first, row_end);
    } else {
        fused_rows(type, TILE_ROWS, FUSED_TOKENS, job, row_first, row_end);
    }
}

static void run_fused(const struct job *job, size_t row_first, size_t row_end)
{
    switch (job->w->type) {
    case RYZ_DTYPE_F32:
        fused_type(RYZ_DTYPE_F32, job, row_first, row_end);
        break;
    case RYZ_DTYPE_F16:
        fused_type(RYZ_DTYPE_F16, job, row_first, row_end);
        break;
    case RYZ_DTYPE_BF16:
        fused_type(RYZ_DTYPE_BF16, job, row_first, row_end);
        break;
    case RYZ_DTYPE_Q4_0:
        fused_type(RYZ_DTYPE_Q4_0, job, row_first, row_end);
        break;
    case RYZ_DTYPE_Q4_1:
        fused_type(RYZ_DTYPE_Q4_1, job, row_first, row_end);
        break;
    case RYZ_DTYPE_Q8_0:
        fused_type(RYZ_DTYPE_Q8_0, job, row_first, row_end);
        break;
    }
}

V16_INLINE void decode_type(enum ryz_dtype type, const uint8_t *src, float *dst, size_t count)
{
    size_t k = 0;
    for (; k + STEP <= count; k += STEP) {
        struct v16 w[2];
        v16_decode32(type, src + weight_bytes(type, k), w);
        v16_store(dst + k, w[0]);
        v16_store(dst + k + 16, w[1]);
    }
    if (k < count) decode_tail(type, src + weight_bytes(type, k), dst + k, count - k);
}

/* Decodes `count` weights; dst is written, with zeros, up to the next multiple of STEP. */
static void decode_padded(enum ryz_dtype type, const uint8_t *src, float *dst, size_t count)
{
    switch (type) {
    case RYZ_DTYPE_F32:
        decode_type(RYZ_DTYPE_F32, src, dst, count);
        break;
    case RYZ_DTYPE_F16:
        decode_type(RYZ_DTYPE_F16, src, dst, count);
        break;
    case RYZ_DTYPE_BF16:
        decode_type(RYZ_DTYPE_BF16, src, dst, count);
        break;
    case RYZ_DTYPE_Q4_0:
        decode_type(RYZ_DTYPE_Q4_0, src, dst, count);
        break;
    case RYZ_DTYPE_Q4_1:
        decode_type(RYZ_DTYPE_Q4_1, src, dst, count);
        break;
    case RYZ_DTYPE_Q8_0:
        decode_type(RYZ_DTYPE_Q8_0, src, dst, count);
        break;
    }
}

/* One row group of a call: its panel and the accumulators of its tiles, tile after tile. */
struct group {
    float panel[GROUP_ROWS][K_CHUNK];
    const uint8_t *decoded[GROUP_ROWS]; /* rows of the panel; F32 rows are used where they are */
    struct v16 acc[GROUP_TOKENS * GROUP_ROWS];
    size_t row, rows;
    size_t m, tokens;
    const uint8_t *ahead; /* weights of the next chunk: first row */
    size_t ahead_row_bytes;
    size_t ahead_step;
};

static struct v16 *tile_sums(struct group *group, size_t r, size_t t)
{
    return group->acc + t * GROUP_ROWS + r * TILE_TOKENS;
}

/* Gives a tile its share of the next chunk's rows to prefetch, from row `first` on; returns the
 * first row of the next share. All are asked for while computing: memory and arithmetic overlap. */
static size_t share_prefetch(const struct group *group, size_t first, size_t share,
                             struct tile *tile)
{
    tile->ahead_count = 0;
    tile->ahead_step = group->ahead_step;
    while (tile->ahead_count < share && first < GROUP_ROWS) {
        tile->ahead[tile->ahead_count++] = group->ahead + first++ * group->ahead_row_bytes;
    }
    return first;
}

/* Runs every tile of the group over K weights k .. k + count of the panel. */
static void add_group(const struct job *job, struct group *group, size_t k, size_t count)
{
    size_t token_tiles = (group->tokens + TILE_TOKENS - 1) / TILE_TOKENS;
    size_t share = (TILE_ROWS + token_tiles - 1) / token_tiles;
    size_t prefetched = 0;
    for (size_t t = 0; t < group->tokens; t += TILE_TOKENS) {
        struct tile tile = {.count = count};
        for (size_t i = 0; i < TILE_TOKENS; i++) {
            size_t m = group->m + smaller(t + i, group->tokens - 1);
            tile.x[i] = job->x + m * job->x_stride + k;
        }
        for (size_t r = 0; r < group->rows; r += TILE_ROWS) {
            prefetched = share_prefetch(group, prefetched, share, &tile);
            for (size_t i = 0; i < TILE_ROWS; i++) {
                size_t row = smaller(r + i, group->rows - 1);
                tile.w[i] = group->decoded[row];
            }
            if (group->tokens - t <= TILE_TOKENS_FEW) {
                add_panel_few(&tile, tile_sums(group, r, t));
            } else {
                add_panel_full(&tile, tile_sums(group, r, t));
            }
        }
    }
}

static void store_group(const struct job *job, struct group *group)
{
    for (size_t t = 0; t < group->tokens; t += TILE_TOKENS) {
        size_t tokens = smaller(TILE_TOKENS, group->tokens - t);
        for (size_t r = 0; r < group->rows; r += TILE_ROWS) {
            size_t rows = smaller(TILE_ROWS, group->rows - r);
            struct place place = {group->row + r, rows, group->m + t, tokens};
            const struct v16 *sums = tile_sums(group, r, t);
            if (tokens <= TILE_TOKENS_FEW) {
                store_sums(job, TILE_ROWS, TILE_TOKENS_FEW, sums, &place);
            } else {
                store_sums(job, TILE_ROWS, TILE_TOKENS, sums, &place);
            }
        }
    }
}

static void decode_group(const struct ryz_matrix *w, struct group *group, size_t k, size_t count)
{
    for (size_t r = 0; r < group->rows; r++) {
        const uint8_t *src = (const uint8_t *)w->data + (group->row + r) * w->row_bytes;
        src += weight_bytes(w->type, k);
        group->decoded[r] = src;
        if (w->type == RYZ_DTYPE_F32) continue;
        decode_padded(w->type, src, group->panel[r], count);
        group->decoded[r] = (const uint8_t *)(const void *)group->panel[r];
    }
}

/* All rows for tokens m .. m + tokens, at most GROUP_TOKENS of them. */
static void run_panel(const struct job *job, size_t row_first, size_t row_end, size_t m,
                      size_t tokens)
{
    const struct ryz_matrix *w = job->w;
    struct group group;
    group.m = m;
    group.tokens = tokens;
    group.ahead_row_bytes = w->row_bytes;
    group.ahead_step = weight_bytes(w->type, STEP) / 2;
    for (size_t row = row_first; row < row_end; row += GROUP_ROWS) {
        group.row = row;
        group.rows = smaller(GROUP_ROWS, row_end - row);
        memset(group.acc, 0,
               (tokens + TILE_TOKENS - 1) / TILE_TOKENS * TILE_TOKENS * GROUP_ROWS *
                   sizeof group.acc[0]);
        for (size_t k = 0; k < w->cols; k += K_CHUNK) {
            size_t count = smaller(K_CHUNK, w->cols - k);
            decode_group(w, &group, k, count);
            const uint8_t *base = (const uint8_t *)w->data;
            group.ahead = k + K_CHUNK < w->cols
                              ? base + row * w->row_bytes + weight_bytes(w->type, k + K_CHUNK)
                              : base + (row + GROUP_ROWS) * w->row_bytes;
            add_group(job, &group, k, count);
        }
        store_group(job, &group);
    }
}

/* NOLINTNEXTLINE(readability-function-size): the table's signature */
void V16_ISA(matmul)(const struct ryz_matrix *w, size_t row_first, size_t row_end, const float *x,
                     size_t x_stride, size_t m_tokens, float *y, size_t y_stride)
{
    struct job job = {w, x, x_stride, m_tokens, NULL, y_stride};
    job.y = y;
    if (m_tokens == 0 || row_first >= row_end) return;
    if (m_tokens <= FUSED_LIMIT) {
        run_fused(&job, row_first, row_end);
        return;
    }
    /* Equal shares, so that no last few tokens pay for decoding everything again. */
    size_t passes = (m_tokens + GROUP_TOKENS - 1) / GROUP_TOKENS;
    size_t share = (m_tokens + passes - 1) / passes;
    share = (share + TILE_TOKENS - 1) / TILE_TOKENS * TILE_TOKENS;
    for (size_t m = 0; m < m_tokens; m += share) {
        run_panel(&job, row_first, row_end, m, smaller(share, m_tokens - m));
    }
}

void V16_ISA(dequantize_row)(enum ryz_dtype type, const void *src, float *dst, size_t count)
{
    size_t whole = count / STEP * STEP;
    decode_padded(type, src, dst, whole);
    const uint8_t *rest = (const uint8_t *)src + weight_bytes(type, whole);
    ryz_ref_dequantize_row(type, rest, dst + whole, count - whole);
}

#endif
