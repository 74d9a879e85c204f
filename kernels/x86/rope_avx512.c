/*
 * rope_avx512.c - rotary position embedding in AVX-512: the body over one zmm a vector.
 */
#include "kernels/x86/v16_avx512.h"
#include "kernels/x86/x86.h"

/* After the vectors it is written over. */
#include "kernels/x86/v16_math.h"

#include "kernels/x86/rope_body.h"
