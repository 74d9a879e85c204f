/* plain_llama.c - see plain_llama.h. */
#include "tests/unit/model/plain_llama.h"

#include "engine/model/weights.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static double *doubles(size_t count)
{
    double *values = calloc(count, sizeof *values);
    cr_assert_not_null(values);
    return values;
}

/* out (rows) = w x */
static void product(const struct ryz_matrix *w, const double *x, double *out)
{
    float row[1024];
    cr_assert_leq(w->cols, 1024);
    static const struct ryz_kernels *ref; /* looking for it asks the CPU, slow in a guest */
    if (!ref) ref = ryz_kernels_find("ref");
    for (size_t i = 0; i < w->rows; i++) {
        const unsigned char *data = w->data;
        ref->dequantize_row(w->type, data + i * w->row_bytes, row, w->cols);
        out[i] = 0;
        for (size_t j = 0; j < w->cols; j++) out[i] += (double)row[j] * x[j];
    }
}

static void norm(const double *x, const float *weight, size_t count, double eps, double *out)
{
    double squares = 0;
    for (size_t i = 0; i < count; i++) squares += x[i] * x[i];
    for (size_t i = 0; i < count; i++) {
        out[i] = x[i] / sqrt(squares / (double)count + eps) * (double)weight[i];
    }
}

static void rotate(double *vectors, size_t heads, const struct ryz_model_info *info,
                   uint32_t position)
{
    for (size_t h = 0; h < heads; h++) {
        double *v = vectors + h * info->head_dim;
        for (uint32_t i = 0; i < info->rope_dims; i += 2) {
            double angle =
                position * pow((double)info->rope_freq_base, -(double)i / (double)info->rope_dims);
            double a = v[i], b = v[i + 1];
            v[i] = a * cos(angle) - b * sin(angle);
            v[i + 1] = a * sin(angle) + b * cos(angle);
        }
    }
}

/* Attention of the token at `position` over the keys and values of all up to it. */
static void attend(const struct ryz_model_info *info, const double *q, const double *keys,
                   const double *values, uint32_t position, double *out)
{
    size_t dim = info->head_dim, kv_width = info->n_kv_heads * dim;
    double *weights = doubles(position + 1u);
    for (uint32_t h = 0; h < info->n_heads; h++) {
        size_t kv = h / (info->n_heads / info->n_kv_heads) * dim;
        double sum = 0;
        for (uint32_t t = 0; t <= position; t++) {
            double score = 0;
            for (size_t d = 0; d < dim; d++) score += q[h * dim + d] * keys[t * kv_width + kv + d];
            weights[t] = exp(score / sqrt((double)dim));
            sum += weights[t];
        }
        for (size_t d = 0; d < dim; d++) {
            out[h * dim + d] = 0;
            for (uint32_t t = 0; t <= position; t++) {
                out[h * dim + d] += weights[t] / sum * values[t * kv_width + kv + d];
            }
        }
    }
    free(weights);
}

/* The feed-forward half of a layer for one token. */
static void feed_forward(const struct ryz_model_info *info, const struct ryz_layer *layer,
                         double *x)
{
    double *h = doubles(info->n_embd), *gate = doubles(info->n_ffn), *up = doubles(info->n_ffn);
    norm(x, layer->ffn_norm, info->n_embd, (double)info->norm_eps, h);
    product(&layer->gate, h, gate);
    product(&layer->up, h, up);
    for (uint32_t i = 0; i < info->n_ffn; i++) gate[i] = gate[i] / (1 + exp(-gate[i])) * up[i];
    product(&layer->down, gate, h);
    for (uint32_t i = 0; i < info->n_embd; i++) x[i] += h[i];
    free(h);
    free(gate);
    free(up);
}

static void run_layer(const struct ryz_model_info *info, const struct ryz_layer *layer,
                      uint32_t count, double *x)
{
    size_t width = info->n_embd, kv_width = info->n_kv_heads * info->head_dim;
    double *h = doubles(width), *q = doubles(width), *attended = doubles(width);
    double *keys = doubles(count * kv_width), *values = doubles(count * kv_width);
    for (uint32_t t = 0; t < count; t++) {
        double *row = x + t * width;
        norm(row, layer->attn_norm, width, (double)info->norm_eps, h);
        product(&layer->q, h, q);
        product(&layer->k, h, keys + t * kv_width);
        product(&layer->v, h, values + t * kv_width);
        rotate(q, info->n_heads, info, t);
        rotate(keys + t * kv_width, info->n_kv_heads, info, t);
        attend(info, q, keys, values, t, attended);
        product(&layer->output, attended, h);
        for (size_t i = 0; i < width; i++) row[i] += h[i];
        feed_forward(info, layer, row);
    }
    free(h);
    free(q);
    free(attended);
    free(keys);
    free(values);
}

double *plain_llama(const struct ryz_model *model, const uint32_t *tokens, uint32_t count)
{
    const struct ryz_model_info *info = ryz_model_info(model);
    const struct ryz_weights *weights = ryz_model_weights(model);
    const struct ryz_matrix *table = &weights->token_embd;
    size_t width = info->n_embd;
    double *x = doubles(count * width), *h = doubles(width);
    double *logits = doubles((size_t)count * info->n_vocab);
    float row[1024];
    for (uint32_t t = 0; t < count; t++) {
        const unsigned char *data = table->data;
        ryz_kernels_find("ref")->dequantize_row(table->type, data + tokens[t] * table->row_bytes,
                                                row, width);
        for (size_t i = 0; i < width; i++) x[t * width + i] = (double)row[i];
    }
    for (uint32_t l = 0; l < info->n_layers; l++) run_layer(info, &weights->layers[l], count, x);
    for (uint32_t t = 0; t < count; t++) {
        norm(x + t * width, weights->output_norm, width, (double)info->norm_eps, h);
        product(&weights->output, h, logits + (size_t)t * info->n_vocab);
    }
    free(x);
    free(h);
    return logits;
}
