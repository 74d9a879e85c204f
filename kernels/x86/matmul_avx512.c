/*
 * matmul_avx512.c - product of weights and activations, and decoding of rows in AVX-512: the body
 * over one zmm a vector.
 */
#include "kernels/ref/ref.h"
#include "kernels/x86/v16_avx512.h"
#include "kernels/x86/x86.h"

/* After the vectors it is written over. */
#include "kernels/x86/v16_math.h"

#include "kernels/x86/matmul_body.h"
