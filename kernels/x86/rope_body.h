/*
 * rope_body.h - rotary position embedding of interleaved pairs over struct v16.
 *
 * Include after v16_math.h. Each output depends on its own pair, so there is no order to keep.
 */
#ifndef RYZ_KERNELS_X86_ROPE_BODY_H
#define RYZ_KERNELS_X86_ROPE_BODY_H

void V16_ISA(rope)(float *x, size_t n_heads, size_t head_dim, size_t rope_dims,
                   const float *cos_sin)
{
    size_t dims = rope_dims / 2 * 2;
    size_t rest = dims % 16;
    size_t whole = dims - rest;
    for (size_t head = 0; head < n_heads; head++) {
        float *v = x + head * head_dim;
        for (size_t i = 0; i < whole; i += 16) {
            v16_store(v + i, v16_rotate_pairs(v16_load(v + i), v16_load(cos_sin + i)));
        }
        struct v16 angles = v16_load_part(cos_sin + whole, rest);
        struct v16 last = v16_rotate_pairs(v16_load_part(v + whole, rest), angles);
        v16_store_part(v + whole, last, rest);
    }
}

#endif
