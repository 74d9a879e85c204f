/*
 * kernels.h - the arithmetic of the engine: one table of functions per instruction set.
 *
 * Includes nothing of the project and knows nothing of models, threads or requests: a caller splits
 * the work (rows, heads, tokens) and calls from as many threads as it likes; every function is
 * pure. The idea to know: ORDER. For one instruction set each output element is reduced in an order
 * that depends on the element alone, never on how many tokens or rows a call covers, so a request
 * gets the same bytes alone and in any batch. All tables keep this promise; across tables only a
 * tolerance holds (tests/unit/kernels).
 *
 * Letters: M tokens of a call, N output features (weight rows), K input features.
 */
#ifndef RYZ_KERNELS_KERNELS_H
#define RYZ_KERNELS_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Storage types, numbered as in GGUF so that a file's tensor type is one of these or refused. */
enum ryz_dtype {
    RYZ_DTYPE_F32 = 0,
    RYZ_DTYPE_F16 = 1,
    RYZ_DTYPE_Q4_0 = 2, /* 32 weights: f16 d, 16 bytes; w = d * (q - 8), q low nibbles first */
    RYZ_DTYPE_Q4_1 = 3, /* 32 weights: f16 d, f16 m, 16 bytes; w = d * q + m */
    RYZ_DTYPE_Q8_0 = 8, /* 32 weights: f16 d, 32 int8; w = d * q */
    RYZ_DTYPE_BF16 = 30
};

/* Name as GGUF spells it, in lower case ("q8_0"); NULL for a number that is no type of ours. */
const char *ryz_dtype_name(enum ryz_dtype type);
/* Finds a type by that name; false if there is none. */
bool ryz_dtype_parse(const char *name, enum ryz_dtype *type);
/* Weights per block: 32 for the quantised types, 1 for the others; 0 for an unknown type. */
size_t ryz_dtype_block_weights(enum ryz_dtype type);
/* Bytes per block. */
size_t ryz_dtype_block_bytes(enum ryz_dtype type);
/* Bytes of a row of `count` weights; 0 if count is no multiple of the block or the product
 * overflows. */
size_t ryz_dtype_row_bytes(enum ryz_dtype type, size_t count);

/* One matrix, row-major: rows (N) of K weights each, encoded as `type`. Borrowed, read only. */
struct ryz_matrix {
    const void *data;
    enum ryz_dtype type;
    size_t rows;      /* N */
    size_t cols;      /* K, a multiple of the type's block and of 32 for the fast versions; any K
                       * is computed correctly */
    size_t row_bytes; /* distance of two rows */
};

/* Storage types of the KV cache; kv.h has their names, sizes and layout. */
enum ryz_kv_type {
    RYZ_KV_BF16 = 0,
    RYZ_KV_F32, /* for comparisons with other engines, not for speed */
    RYZ_KV_INT8 /* symmetric: scale = largest magnitude / 127, one per position and KV head */
};

/* Paged attention of one head group for one query token, see ryz_kernels.attention. */
struct ryz_attention {
    const float *q;              /* (n_heads, head_dim) of one token, already rotated */
    float *out;                  /* (n_heads, head_dim) */
    const void *k_pool;          /* blocks of one layer in kv_type, see kv.h */
    const void *v_pool;          /* as k_pool */
    const uint32_t *block_table; /* block ids of the sequence, in order */
    float *scratch;              /* context_tokens floats, private to the caller */
    uint32_t context_tokens;     /* positions 0 .. context_tokens - 1 are attended to */
    uint32_t block_tokens;
    uint32_t n_heads;
    uint32_t n_kv_heads; /* divides n_heads; head h reads kv head h / (n_heads / n_kv_heads) */
    uint32_t head_dim;
    uint32_t head_first, head_end; /* the heads this call computes */
    float scale;                   /* multiplies q . k, usually 1 / sqrt(head_dim) */
    enum ryz_kv_type kv_type;      /* of both pools; every table leaves F32 to the reference */
};

struct ryz_kernels {
    const char *name; /* "ref", "avx2", "avx512" */

    /* y[m][n] = sum over k of w[n][k] * x[m][k], for n in [row_first, row_end) and m < m_tokens.
     * x (m_tokens, x_stride >= K), y (m_tokens, y_stride >= N). Activations stay F32. */
    void (*matmul)(const struct ryz_matrix *w, size_t row_first, size_t row_end, const float *x,
                   size_t x_stride, size_t m_tokens, float *y, size_t y_stride);
    /* Decodes one row of `count` weights. */
    void (*dequantize_row)(enum ryz_dtype type, const void *src, float *dst, size_t count);
    /* Encodes one row: round to nearest even for BF16 and F16; Q8_0, Q4_0 and Q4_1 as ggml's
     * reference quantisers do, to the byte. */
    void (*quantize_row)(enum ryz_dtype type, const float *src, void *dst, size_t count);
    /* out[i] = x[i] / sqrt(mean(x^2) + eps) * weight[i]; out may be x. (count) */
    void (*rmsnorm)(float *out, const float *x, const float *weight, size_t count, float eps);
    /* Rotates interleaved pairs (2i, 2i+1) of each of n_heads vectors in place by
     * position * freq_base^(-2i / rope_dims); dims past rope_dims stay. cos_sin
     * (rope_dims / 2, 2) holds cosine and sine of this position. */
    void (*rope)(float *x, size_t n_heads, size_t head_dim, size_t rope_dims, const float *cos_sin);
    /* gate[i] = silu(gate[i]) * up[i]. */
    void (*silu_mul)(float *gate, const float *up, size_t count);
    /* x[i] += y[i]. */
    void (*add)(float *x, const float *y, size_t count);
    /* BF16 stores for the KV cache, round to nearest even. */
    void (*store_bf16)(uint16_t *dst, const float *src, size_t count);
    /* One vector for an INT8 KV cache: *scale = largest magnitude / 127, dst[i] = src[i] / *scale
     * to nearest even; all tables give the same bytes. Scale and codes are 0 where the scale would
     * be subnormal; a vector with an infinity or NaN gets the scale NaN, so that no attention to it
     * passes for a number. */
    void (*store_int8)(int8_t *dst, float *scale, const float *src, size_t count);
    /* Softmax attention of one token over a paged KV cache, for heads [head_first, head_end).
     * Positions are reduced in ascending order, so the result depends on the context alone. */
    void (*attention)(const struct ryz_attention *a);
};

/* The table called `name` ("ref", "avx2", "avx512"), or the best one this CPU runs for "auto" or
 * NULL. Returns NULL for an unknown name or one this CPU cannot run. Entries that a table does not
 * have of its own are the reference's. Call it once and keep the answer: a look at CPUID costs tens
 * of microseconds in a virtual machine. */
const struct ryz_kernels *ryz_kernels_find(const char *name);

/* Name of the i-th table of this build that this CPU can run, best first; NULL past the end. */
const char *ryz_kernels_name(size_t i);

#endif
