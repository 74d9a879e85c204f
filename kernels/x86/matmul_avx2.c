/*
 * matmul_avx2.c - product of weights and activations, and decoding of rows in AVX2: the body over
 * two ymm a vector.
 */
#include "kernels/ref/ref.h"
#include "kernels/x86/v16_avx2.h"
#include "kernels/x86/x86.h"

/* After the vectors it is written over. */
#include "kernels/x86/v16_math.h"

#include "kernels/x86/matmul_body.h"
