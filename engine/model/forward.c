/*
 * forward.c - one pass of a Llama model over a flattened batch with a paged KV cache.
 *
 * Leaves to others: who is in the batch (sched/), arithmetic (kernels/), threads (backend/). The
 * idea: all tokens of all sequences go through each product together, one row each; only attention
 * looks at a token's own sequence. Keys and values of all tokens are stored before any token
 * attends, so a chunk needs no mask: token at position p reads positions 0 .. p and no more.
 *
 *   x -> norm -> q k v -> rotate, store k v -> attention -> output -> + x -> norm -> gate up
 *     -> silu * -> down -> + x -> next layer ... -> norm of wanted rows -> logits
 *
 * A decode step of a small model is short, so barriers count: element-wise work joins its neighbour
 * in one task, and runs on the caller alone when there is little of it.
 */
#include "engine/backend/backend.h"
#include "engine/base/arena.h"
#include "engine/base/assert.h"
#include "engine/base/size.h"
#include "engine/memory/kv_store.h"
#include "engine/model/model.h"
#include "engine/model/weights.h"
#include "kernels/kv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Element-wise work below this many floats costs less than a barrier (about 2 us). */
#define INLINE_FLOATS 16384u
#define CONTEXT_MAX   (1u << 20) /* positions; bounds the rotation table */

/* One token of the batch. */
struct row {
    uint32_t position;
    const uint32_t *block_table; /* of its sequence */
};

struct ryz_forward {
    const struct ryz_model_info *info;
    const struct ryz_weights *weights;
    struct ryz_backend *backend;
    struct ryz_kv_store *kv;
    const struct ryz_kv_shape *kv_shape;
    struct ryz_kv_layout kv_layout;
    const struct ryz_kernels *kernels;
    const struct ryz_kernels *attention_kernels; /* the reference for F32 pools */
    uint32_t max_tokens, max_logits;
    uint32_t context; /* positions that can be used: scratch and rotation table end there */
    uint32_t q_width, kv_width;

    /* Scratch, T = max_tokens: */
    struct row *rows;      /* (T) */
    float *x;              /* (T, C) residual stream */
    float *h;              /* (T, C) normalised, and outputs of products that return to x */
    float *q;              /* (T, H * D) */
    float *k, *v;          /* (T, kv heads * D) */
    float *attended;       /* (T, H * D) */
    float *gate, *up;      /* (T, ffn) */
    float *scores;         /* (threads, context) attention's scratch */
    float *cos_sin;        /* (context, rope_dims / 2, 2) */
    float *wanted;         /* (max_logits, C) wanted rows, normalised */
    float *logits;         /* (max_logits, V) */
    uint32_t *wanted_rows; /* (max_logits) */

    /* Of the run under way: */
    uint32_t row_count, wanted_count;
    uint32_t layer;
    const float *norm; /* weights of the next norm */

    struct ryz_arena arena;
};

/* ---- open ---- */

static enum ryz_status check_shape(const struct ryz_forward *forward, struct ryz_error *error)
{
    const struct ryz_model_info *info = forward->info;
    const struct ryz_kv_shape *shape = forward->kv_shape;
    if (shape->n_layers != info->n_layers || shape->n_kv_heads != info->n_kv_heads ||
        shape->head_dim != info->head_dim) {
        return ryz_fail(error, RYZ_INVALID,
                        "a KV store of %u layers of %u heads of %u does not fit the model's %u, "
                        "%u, %u",
                        shape->n_layers, shape->n_kv_heads, shape->head_dim, info->n_layers,
                        info->n_kv_heads, info->head_dim);
    }
    if (forward->max_tokens == 0 || forward->max_logits == 0) {
        return ryz_fail(error, RYZ_INVALID, "a forward pass over no tokens");
    }
    return RYZ_OK;
}

/* Angles in double: at position 8,000 a float angle is off by 5e-4. */
static void fill_rotations(struct ryz_forward *forward)
{
    uint32_t dims = forward->info->rope_dims;
    for (uint32_t i = 0; i < dims / 2; i++) {
        double frequency = pow((double)forward->info->rope_freq_base, -2.0 * i / dims);
        for (uint32_t position = 0; position < forward->context; position++) {
            float *pair = forward->cos_sin + (size_t)position * dims + 2 * (size_t)i;
            pair[0] = (float)cos(position * frequency);
            pair[1] = (float)sin(position * frequency);
        }
    }
}

/* (rows, cols) floats, each row starting on a cache line if cols is a multiple of 16. */
static float *floats(struct ryz_forward *forward, size_t rows, size_t cols)
{
    size_t count;
    if (!ryz_mul_size(rows, cols, &count)) return NULL;
    return ryz_arena_array(&forward->arena, count, sizeof(float));
}

static enum ryz_status allocate_scratch(struct ryz_forward *forward, uint32_t threads,
                                        struct ryz_error *error)
{
    const struct ryz_model_info *info = forward->info;
    size_t tokens = forward->max_tokens, wanted = forward->max_logits;
    struct ryz_arena *arena = &forward->arena;
    forward->rows = ryz_arena_array(arena, tokens, sizeof *forward->rows);
    forward->x = floats(forward, tokens, info->n_embd);
    forward->h = floats(forward, tokens, info->n_embd);
    forward->q = floats(forward, tokens, forward->q_width);
    forward->k = floats(forward, tokens, forward->kv_width);
    forward->v = floats(forward, tokens, forward->kv_width);
    forward->attended = floats(forward, tokens, forward->q_width);
    forward->gate = floats(forward, tokens, info->n_ffn);
    forward->up = floats(forward, tokens, info->n_ffn);
    forward->scores = floats(forward, threads, forward->context);
    forward->cos_sin = floats(forward, forward->context, info->rope_dims);
    forward->wanted = floats(forward, wanted, info->n_embd);
    forward->logits = floats(forward, wanted, info->n_vocab);
    forward->wanted_rows = ryz_arena_array(arena, wanted, sizeof *forward->wanted_rows);
    if (forward->rows && forward->x && forward->h && forward->q && forward->k && forward->v &&
        forward->attended && forward->gate && forward->up && forward->scores && forward->cos_sin &&
        forward->wanted && forward->logits && forward->wanted_rows) {
        return RYZ_OK;
    }
    return ryz_fail(error, RYZ_NO_MEMORY, "no memory for steps of %u tokens and %u rows of logits",
                    forward->max_tokens, forward->max_logits);
}

/* Positions that both the model and the store allow, at least one. */
static uint32_t usable_context(const struct ryz_forward *forward)
{
    uint64_t stored = (uint64_t)forward->kv_shape->n_blocks * forward->kv_shape->block_tokens;
    uint64_t context = ryz_min_u64(stored, forward->info->context_tokens);
    return (uint32_t)ryz_min_u64(context, CONTEXT_MAX);
}

static void set_widths(struct ryz_forward *forward)
{
    forward->q_width = forward->info->n_heads * forward->info->head_dim;
    forward->kv_width = forward->info->n_kv_heads * forward->info->head_dim;
}

uint64_t ryz_forward_bytes(const struct ryz_model *model, uint32_t threads, uint32_t max_tokens,
                           uint32_t max_logits)
{
    struct ryz_forward forward = {
        .info = ryz_model_info(model), .max_tokens = max_tokens, .max_logits = max_logits};
    ryz_arena_init_counting(&forward.arena);
    forward.context = (uint32_t)ryz_min_u64(forward.info->context_tokens, CONTEXT_MAX);
    set_widths(&forward);
    enum ryz_status status = allocate_scratch(&forward, threads, NULL);
    return status == RYZ_OK ? forward.arena.bytes : 0;
}

enum ryz_status ryz_forward_open(const struct ryz_model *model, struct ryz_backend *backend,
                                 struct ryz_kv_store *kv, uint32_t max_tokens, uint32_t max_logits,
                                 struct ryz_forward **out, struct ryz_error *error)
{
    struct ryz_forward *forward = calloc(1, sizeof *forward);
    if (!forward) return ryz_fail(error, RYZ_NO_MEMORY, "no memory for a forward pass");
    ryz_arena_init(&forward->arena);
    forward->info = ryz_model_info(model);
    forward->weights = ryz_model_weights(model);
    forward->backend = backend;
    forward->kv = kv;
    forward->kv_shape = ryz_kv_store_shape(kv);
    forward->kv_layout =
        ryz_kv_layout_of(forward->kv_shape->type, forward->kv_shape->block_tokens,
                         forward->kv_shape->n_kv_heads, forward->kv_shape->head_dim);
    forward->kernels = ryz_backend_kernels(backend);
    forward->attention_kernels =
        forward->kv_shape->type == RYZ_KV_F32 ? ryz_kernels_find("ref") : forward->kernels;
    forward->max_tokens = max_tokens;
    forward->max_logits = max_logits;
    forward->context = usable_context(forward);
    set_widths(forward);
    enum ryz_status status = check_shape(forward, error);
    if (status == RYZ_OK) status = allocate_scratch(forward, ryz_backend_threads(backend), error);
    if (status != RYZ_OK) {
        ryz_forward_close(forward);
        return status;
    }
    fill_rotations(forward);
    *out = forward;
    return RYZ_OK;
}

void ryz_forward_close(struct ryz_forward *forward)
{
    if (!forward) return;
    ryz_arena_deinit(&forward->arena);
    free(forward);
}

uint32_t ryz_forward_context(const struct ryz_forward *forward)
{
    return forward->context;
}

/* ---- work on rows ---- */

/* Runs `task` over the batch's tokens, each of which costs about `floats_each`. */
static void each_row(struct ryz_forward *forward, size_t floats_each, ryz_pool_task task)
{
    size_t count = forward->row_count;
    if (count * floats_each < INLINE_FLOATS) {
        task(forward, 0, 0, count);
        return;
    }
    ryz_backend_each(forward->backend, count, 1, task, forward);
}

static void norm_rows(void *context, size_t worker, size_t begin, size_t end)
{
    (void)worker;
    const struct ryz_forward *f = context;
    size_t width = f->info->n_embd;
    for (size_t t = begin; t < end; t++) {
        f->kernels->rmsnorm(f->h + t * width, f->x + t * width, f->norm, width, f->info->norm_eps);
    }
}

/* x += h, then h = norm(x), for the next product. */
static void add_norm_rows(void *context, size_t worker, size_t begin, size_t end)
{
    const struct ryz_forward *f = context;
    size_t width = f->info->n_embd;
    for (size_t t = begin; t < end; t++) {
        f->kernels->add(f->x + t * width, f->h + t * width, width);
    }
    norm_rows(context, worker, begin, end);
}

/* Where a token's keys or values go in its layer's pools. */
struct place {
    size_t block_offset; /* of its block, bytes */
    uint32_t slot;       /* its position in the block */
};

static void store_int8(const struct ryz_forward *f, unsigned char *pool, struct place place,
                       const float *src)
{
    size_t width = f->info->head_dim;
    for (uint32_t i = 0; i < f->info->n_kv_heads; i++) {
        unsigned char *head = pool + place.block_offset + i * f->kv_layout.head_bytes;
        float *scales = (void *)head;
        int8_t *values = (void *)(head + f->kv_layout.values_offset);
        f->kernels->store_int8(values + place.slot * width, scales + place.slot, src + i * width,
                               width);
    }
}

/* One token's keys or values of all heads. Quantising looks at one vector only, so the bytes do not
 * depend on which tokens a pass covers. */
static void store(const struct ryz_forward *f, void *pool, struct place place, const float *src)
{
    if (f->kv_shape->type == RYZ_KV_INT8) {
        store_int8(f, pool, place, src);
        return;
    }
    void *dst = (unsigned char *)pool + place.block_offset +
                place.slot * f->kv_layout.position_bytes; /* heads are neighbours */
    if (f->kv_shape->type == RYZ_KV_F32) {
        memcpy(dst, src, f->kv_width * sizeof(float));
    } else {
        f->kernels->store_bf16(dst, src, f->kv_width);
    }
}

static void rotate_store_rows(void *context, size_t worker, size_t begin, size_t end)
{
    (void)worker;
    const struct ryz_forward *f = context;
    const struct ryz_model_info *info = f->info;
    void *k_pool = ryz_kv_store_k(f->kv, f->layer);
    void *v_pool = ryz_kv_store_v(f->kv, f->layer);
    uint32_t block_tokens = f->kv_shape->block_tokens;
    for (size_t t = begin; t < end; t++) {
        const struct row *row = &f->rows[t];
        const float *cos_sin = f->cos_sin + (size_t)row->position * info->rope_dims;
        float *k = f->k + t * f->kv_width;
        f->kernels->rope(f->q + t * f->q_width, info->n_heads, info->head_dim, info->rope_dims,
                         cos_sin);
        f->kernels->rope(k, info->n_kv_heads, info->head_dim, info->rope_dims, cos_sin);
        uint32_t block = row->block_table[row->position / block_tokens];
        struct place place = {block * f->kv_layout.block_bytes, row->position % block_tokens};
        store(f, k_pool, place, k);
        store(f, v_pool, place, f->v + t * f->kv_width);
    }
}

static void silu_rows(void *context, size_t worker, size_t begin, size_t end)
{
    (void)worker;
    const struct ryz_forward *f = context;
    size_t width = f->info->n_ffn;
    for (size_t t = begin; t < end; t++) {
        f->kernels->silu_mul(f->gate + t * width, f->up + t * width, width);
    }
}

static void attend_heads(const struct ryz_forward *f, size_t worker, size_t t, uint32_t head_first,
                         uint32_t head_end)
{
    const struct row *row = &f->rows[t];
    struct ryz_attention attention = {
        .q = f->q + t * f->q_width,
        .out = f->attended + t * f->q_width,
        .k_pool = ryz_kv_store_k(f->kv, f->layer),
        .v_pool = ryz_kv_store_v(f->kv, f->layer),
        .block_table = row->block_table,
        .scratch = f->scores + worker * f->context,
        .context_tokens = row->position + 1,
        .block_tokens = f->kv_shape->block_tokens,
        .n_heads = f->info->n_heads,
        .n_kv_heads = f->info->n_kv_heads,
        .head_dim = f->info->head_dim,
        .head_first = head_first,
        .head_end = head_end,
        .scale = 1.0F / sqrtf((float)f->info->head_dim),
        .kv_type = f->kv_shape->type,
    };
    f->attention_kernels->attention(&attention);
}

/* Items are (token, head) pairs. Later tokens of a chunk cost more, so tokens are dealt to the
 * threads like cards: with W threads and P tokens each, the u-th token of the range is token
 * (u mod P) * W + u / P, which may be past the last one. */
static void attend_items(void *context, size_t worker, size_t begin, size_t end)
{
    const struct ryz_forward *f = context;
    size_t heads = f->info->n_heads, threads = ryz_backend_threads(f->backend);
    size_t each = (f->row_count + threads - 1) / threads;
    for (size_t i = begin; i < end;) {
        size_t u = i / heads, head_first = i % heads;
        size_t head_end = end - i < heads - head_first ? head_first + (end - i) : heads;
        size_t token = u % each * threads + u / each;
        if (token < f->row_count) {
            attend_heads(f, worker, token, (uint32_t)head_first, (uint32_t)head_end);
        }
        i += head_end - head_first;
    }
}

static void attend(struct ryz_forward *forward)
{
    size_t threads = ryz_backend_threads(forward->backend);
    size_t each = (forward->row_count + threads - 1) / threads;
    /* A single token's heads are dealt instead: there is no card for the other threads. */
    size_t tokens = forward->row_count == 1 ? 1 : each * threads;
    ryz_backend_each(forward->backend, tokens * forward->info->n_heads, 1, attend_items, forward);
}

/* ---- the pass ---- */

static void embed(struct ryz_forward *forward, const struct ryz_batch *batch)
{
    const struct ryz_matrix *table = &forward->weights->token_embd;
    const struct ryz_kv_shape *kv = forward->kv_shape;
    uint32_t t = 0;
    forward->wanted_count = 0;
    for (uint32_t s = 0; s < batch->sequence_count; s++) {
        const struct ryz_batch_sequence *sequence = &batch->sequences[s];
        RYZ_ASSERT(sequence->token_count > 0);
        RYZ_ASSERT(sequence->token_count <= batch->token_count - t);
        RYZ_ASSERT(sequence->first_position < forward->context &&
                   sequence->token_count <= forward->context - sequence->first_position);
        for (uint32_t i = 0; i < sequence->token_count; i++, t++) {
            uint32_t id = sequence->tokens[i], position = sequence->first_position + i;
            RYZ_ASSERT(id < table->rows);
            RYZ_ASSERT(sequence->block_table[position / kv->block_tokens] < kv->n_blocks);
            forward->rows[t] = (struct row){position, sequence->block_table};
            forward->kernels->dequantize_row(
                table->type, (const unsigned char *)table->data + id * table->row_bytes,
                forward->x + (size_t)t * table->cols, table->cols);
        }
        RYZ_ASSERT(sequence->logit_rows <= sequence->token_count);
        RYZ_ASSERT(sequence->logit_rows <= forward->max_logits - forward->wanted_count);
        for (uint32_t i = sequence->logit_rows; i > 0; i--)
            forward->wanted_rows[forward->wanted_count++] = t - i;
    }
    RYZ_ASSERT(t == batch->token_count);
}

/* On entry h holds the layer's normalised input; on return h waits to be added to x. */
static void run_layer(struct ryz_forward *f)
{
    const struct ryz_layer *layer = &f->weights->layers[f->layer];
    size_t embd = f->info->n_embd, ffn = f->info->n_ffn, count = f->row_count;
    struct ryz_product qkv[] = {{&layer->q, f->q, f->q_width},
                                {&layer->k, f->k, f->kv_width},
                                {&layer->v, f->v, f->kv_width}};
    ryz_backend_products(f->backend, qkv, RYZ_COUNT_OF(qkv), f->h, embd, count);
    each_row(f, f->q_width + 2 * (size_t)f->kv_width, rotate_store_rows);
    attend(f);
    ryz_backend_matmul(f->backend, &layer->output, f->attended, f->q_width, count, f->h, embd);
    f->norm = layer->ffn_norm;
    each_row(f, 2 * embd, add_norm_rows);
    struct ryz_product gate_up[] = {{&layer->gate, f->gate, ffn}, {&layer->up, f->up, ffn}};
    ryz_backend_products(f->backend, gate_up, RYZ_COUNT_OF(gate_up), f->h, embd, count);
    each_row(f, 2 * ffn, silu_rows);
    ryz_backend_matmul(f->backend, &layer->down, f->gate, ffn, count, f->h, embd);
}

/* Adds the last layer's output, normalises the wanted rows, and gives them their logits. */
static void finish(struct ryz_forward *f)
{
    size_t width = f->info->n_embd;
    for (uint32_t i = 0; i < f->wanted_count; i++) {
        size_t t = f->wanted_rows[i];
        float *row = f->x + t * width;
        f->kernels->add(row, f->h + t * width, width);
        f->kernels->rmsnorm(f->wanted + i * width, row, f->weights->output_norm, width,
                            f->info->norm_eps);
    }
    ryz_backend_matmul(f->backend, &f->weights->output, f->wanted, width, f->wanted_count,
                       f->logits, f->info->n_vocab);
}

void ryz_forward_run(struct ryz_forward *forward, const struct ryz_batch *batch)
{
    RYZ_ASSERT(batch->token_count <= forward->max_tokens);
    if (batch->token_count == 0) return;
    forward->row_count = batch->token_count;
    embed(forward, batch);
    forward->norm = forward->weights->layers[0].attn_norm;
    each_row(forward, forward->info->n_embd, norm_rows);
    for (forward->layer = 0;; forward->layer++) {
        run_layer(forward);
        if (forward->layer + 1 == forward->info->n_layers) break;
        forward->norm = forward->weights->layers[forward->layer + 1].attn_norm;
        each_row(forward, 2 * (size_t)forward->info->n_embd, add_norm_rows);
    }
    finish(forward);
}

float *ryz_forward_logits(struct ryz_forward *forward, uint32_t i)
{
    RYZ_ASSERT(i < forward->wanted_count);
    return forward->logits + (size_t)i * forward->info->n_vocab;
}
