/*
 * norm.c - reference root-mean-square normalisation.
 */
#include <math.h>

#include "kernels/ref/ref.h"

void ryz_ref_rmsnorm(float *out, const float *x, const float *weight, size_t count, float eps)
{
    double squares = 0.0;
    for (size_t i = 0; i < count; i++) squares += (double)x[i] * (double)x[i];
    double scale = 1.0 / sqrt(squares / (double)count + (double)eps);
    for (size_t i = 0; i < count; i++) out[i] = (float)((double)x[i] * scale * (double)weight[i]);
}
