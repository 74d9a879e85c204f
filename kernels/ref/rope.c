/*
 * rope.c - reference rotary position embedding over interleaved pairs.
 */
#include "kernels/ref/ref.h"

void ryz_ref_rope(float *x, size_t n_heads, size_t head_dim, size_t rope_dims, const float *cos_sin)
{
    for (size_t head = 0; head < n_heads; head++) {
        float *v = x + head * head_dim;
        for (size_t i = 0; i + 1 < rope_dims; i += 2) {
            double c = cos_sin[i];
            double s = cos_sin[i + 1];
            double even = v[i];
            double odd = v[i + 1];
            v[i] = (float)(even * c - odd * s);
            v[i + 1] = (float)(odd * c + even * s);
        }
    }
}
