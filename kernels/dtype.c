/*
 * dtype.c - names and sizes of the storage types.
 *
 * Leaves decoding and encoding to ref/ and x86/. The idea to know: everything about a type that is
 * not arithmetic is one line of the table below.
 */
#include <string.h>

#include "kernels/kernels.h"

struct dtype_traits {
    enum ryz_dtype type;
    const char *name;
    size_t block_weights;
    size_t block_bytes;
};

static const struct dtype_traits traits_table[] = {
    {RYZ_DTYPE_F32, "f32", 1, 4},     {RYZ_DTYPE_F16, "f16", 1, 2},
    {RYZ_DTYPE_BF16, "bf16", 1, 2},   {RYZ_DTYPE_Q4_0, "q4_0", 32, 2 + 16},
    {RYZ_DTYPE_Q4_1, "q4_1", 32, 20}, {RYZ_DTYPE_Q8_0, "q8_0", 32, 2 + 32},
};

#define TRAITS_COUNT (sizeof traits_table / sizeof traits_table[0])

static const struct dtype_traits *find_traits(enum ryz_dtype type)
{
    for (size_t i = 0; i < TRAITS_COUNT; i++) {
        if (traits_table[i].type == type) return &traits_table[i];
    }
    return NULL;
}

const char *ryz_dtype_name(enum ryz_dtype type)
{
    const struct dtype_traits *traits = find_traits(type);
    return traits ? traits->name : NULL;
}

bool ryz_dtype_parse(const char *name, enum ryz_dtype *type)
{
    for (size_t i = 0; i < TRAITS_COUNT; i++) {
        if (strcmp(traits_table[i].name, name) == 0) {
            *type = traits_table[i].type;
            return true;
        }
    }
    return false;
}

size_t ryz_dtype_block_weights(enum ryz_dtype type)
{
    const struct dtype_traits *traits = find_traits(type);
    return traits ? traits->block_weights : 0;
}

size_t ryz_dtype_block_bytes(enum ryz_dtype type)
{
    const struct dtype_traits *traits = find_traits(type);
    return traits ? traits->block_bytes : 0;
}

size_t ryz_dtype_row_bytes(enum ryz_dtype type, size_t count)
{
    const struct dtype_traits *traits = find_traits(type);
    if (!traits || count % traits->block_weights != 0) return 0;
    size_t blocks = count / traits->block_weights;
    if (blocks > SIZE_MAX / traits->block_bytes) return 0;
    return blocks * traits->block_bytes;
}
