/*
 * Goal: the table a caller asks for is the one it gets, and types have the sizes of GGUF.
 * Method: plain cases.
 */
#include <criterion/criterion.h>

#include "kernels/kernels.h"

Test(kernels_table, auto_and_null_give_the_first_name)
{
    cr_assert_str_eq(ryz_kernels_find("auto")->name, ryz_kernels_name(0));
    cr_assert_str_eq(ryz_kernels_find(NULL)->name, ryz_kernels_name(0));
}

Test(kernels_table, every_listed_name_is_found_and_complete)
{
    size_t count = 0;
    for (const char *name; (name = ryz_kernels_name(count)) != NULL; count++) {
        const struct ryz_kernels *k = ryz_kernels_find(name);
        cr_assert_str_eq(k->name, name);
        cr_assert(k->matmul && k->dequantize_row && k->quantize_row && k->rmsnorm && k->rope);
        cr_assert(k->silu_mul && k->add && k->store_bf16 && k->store_int8 && k->attention);
    }
    cr_assert_geq(count, 1);
    cr_assert_str_eq(ryz_kernels_name(count - 1), "ref");
    cr_assert_null(ryz_kernels_name(count + 1));
}

Test(kernels_table, an_unknown_name_is_no_table)
{
    cr_assert_null(ryz_kernels_find("sse9"));
    cr_assert_null(ryz_kernels_find(""));
}

Test(kernels_table, types_have_the_names_and_sizes_of_gguf)
{
    static const struct {
        enum ryz_dtype type;
        const char *name;
        size_t weights, bytes;
    } cases[] = {{0, "f32", 1, 4},    {1, "f16", 1, 2},    {2, "q4_0", 32, 18},
                 {3, "q4_1", 32, 20}, {8, "q8_0", 32, 34}, {30, "bf16", 1, 2}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        enum ryz_dtype parsed;
        cr_assert(ryz_dtype_parse(cases[i].name, &parsed));
        cr_assert_eq(parsed, cases[i].type);
        cr_assert_str_eq(ryz_dtype_name(parsed), cases[i].name);
        cr_assert_eq(ryz_dtype_block_weights(parsed), cases[i].weights);
        cr_assert_eq(ryz_dtype_block_bytes(parsed), cases[i].bytes);
        cr_assert_eq(ryz_dtype_row_bytes(parsed, 576), 576 / cases[i].weights * cases[i].bytes);
    }
}

Test(kernels_table, impossible_rows_have_no_size)
{
    enum ryz_dtype parsed;
    cr_assert_eq(ryz_dtype_row_bytes(RYZ_DTYPE_Q8_0, 33), 0);
    cr_assert_eq(ryz_dtype_row_bytes(RYZ_DTYPE_F32, SIZE_MAX / 2), 0);
    cr_assert_eq(ryz_dtype_row_bytes((enum ryz_dtype)7, 32), 0);
    cr_assert_null(ryz_dtype_name((enum ryz_dtype)7));
    cr_assert_not(ryz_dtype_parse("Q8_0", &parsed));
}
