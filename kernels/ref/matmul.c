/*
 * matmul.c - reference product of a weight matrix with the activations of M tokens.
 *
 * The idea to know: each output is one double sum over ascending k, so it cannot depend on M or on
 * the rows of a call. Tokens are taken 16 at a time only to decode a weight less often.
 */
#include "kernels/ref/ref.h"

#define STEP   32u
#define TOKENS 16u

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* sums[t] = w . x[t] for one row and up to TOKENS tokens. */
static void sum_row(const struct ryz_matrix *w, size_t row, const float *x, size_t x_stride,
                    size_t tokens, double *sums)
{
    const uint8_t *src = (const uint8_t *)w->data + row * w->row_bytes;
    size_t step_bytes = STEP / ryz_dtype_block_weights(w->type) * ryz_dtype_block_bytes(w->type);
    float weights[STEP];
    for (size_t t = 0; t < tokens; t++) sums[t] = 0.0;
    for (size_t k = 0; k < w->cols; k += STEP) {
        size_t count = smaller(STEP, w->cols - k);
        ryz_ref_dequantize_row(w->type, src + k / STEP * step_bytes, weights, count);
        for (size_t t = 0; t < tokens; t++) {
            for (size_t i = 0; i < count; i++) {
                sums[t] += (double)weights[i] * (double)x[t * x_stride + k + i];
            }
        }
    }
}

/* NOLINTNEXTLINE(readability-function-size): the table's signature */
void ryz_ref_matmul(const struct ryz_matrix *w, size_t row_first, size_t row_end, const float *x,
                    size_t x_stride, size_t m_tokens, float *y, size_t y_stride)
{
    double sums[TOKENS];
    for (size_t row = row_first; row < row_end; row++) {
        for (size_t m = 0; m < m_tokens; m += TOKENS) {
            size_t tokens = smaller(TOKENS, m_tokens - m);
            sum_row(w, row, x + m * x_stride, x_stride, tokens, sums);
            for (size_t t = 0; t < tokens; t++) y[(m + t) * y_stride + row] = (float)sums[t];
        }
    }
}
