/*
 * Goal: every status has its words, errors are filled and cut, never overrun; sizes do not wrap.
 * Method: each of the three fillers once, with a text that is far too long.
 */
#include "engine/base/size.h"
#include "engine/base/status.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

Test(status, every_code_has_a_name_and_a_text_of_its_own)
{
    for (unsigned i = 0; i < RYZ_STATUS_COUNT; i++) {
        cr_assert_neq(ryz_status_text((enum ryz_status)i)[0], '\0');
        for (unsigned k = 0; k < i; k++)
            cr_assert_str_neq(ryz_status_name((enum ryz_status)i),
                              ryz_status_name((enum ryz_status)k));
    }
    cr_assert_str_eq(ryz_status_name(RYZ_NOT_FOUND), "NOT_FOUND");
    cr_assert_str_eq(ryz_status_text(RYZ_STATUS_COUNT), "unknown status");
    cr_assert_str_eq(ryz_status_name((enum ryz_status)999), "UNKNOWN");
}

Test(status, failing_fills_the_error_and_returns_the_status)
{
    struct ryz_error error;
    cr_assert_eq(ryz_fail(&error, RYZ_INVALID, "bad %d", 7), RYZ_INVALID);
    cr_assert_str_eq(error.text, "bad 7");
    cr_assert_eq(error.status, RYZ_INVALID);
    cr_assert_eq(error.byte_offset, RYZ_NO_OFFSET);
    cr_assert_eq(error.os_errno, 0);
    cr_assert_eq(ryz_fail(NULL, RYZ_FULL, "nobody listens"), RYZ_FULL);
}

Test(status, errno_and_offset_are_appended)
{
    struct ryz_error error;
    cr_assert_eq(ryz_fail_errno(&error, RYZ_IO, ENOENT, "open %s", "x"), RYZ_IO);
    cr_assert_str_eq(error.text, "open x: No such file or directory");
    cr_assert_eq(error.os_errno, ENOENT);
    cr_assert_eq(ryz_fail_at(&error, RYZ_CORRUPT, 42, "tensor"), RYZ_CORRUPT);
    cr_assert_str_eq(error.text, "tensor (at byte 42)");
    cr_assert_eq(error.byte_offset, 42);
    cr_assert_eq(ryz_fail_errno(NULL, RYZ_IO, 1, "x"), RYZ_IO);
    cr_assert_eq(ryz_fail_at(NULL, RYZ_IO, 1, "x"), RYZ_IO);
}

Test(status, long_texts_are_cut)
{
    char text[1000];
    struct ryz_error error;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    (void)ryz_fail_errno(&error, RYZ_IO, EIO, "%s", text);
    cr_assert_eq(strlen(error.text), sizeof error.text - 1);
    (void)ryz_fail_at(&error, RYZ_IO, 7, "%s", text);
    cr_assert_eq(strlen(error.text), sizeof error.text - 1);
}

Test(status, a_subject_is_named_once)
{
    struct ryz_error error;
    (void)ryz_fail_at(&error, RYZ_CORRUPT, 42, "too short");
    ryz_error_about(&error, "some/file");
    ryz_error_about(&error, "some/file");
    cr_assert_str_eq(error.text, "some/file: too short (at byte 42)");
    cr_assert_eq(error.status, RYZ_CORRUPT);
    cr_assert_eq(error.byte_offset, 42);
    char path[1000];
    memset(path, 'p', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    (void)ryz_fail(&error, RYZ_INVALID, "too short");
    ryz_error_about(&error, path);
    cr_assert_not_null(strstr(error.text, ": too short"),
                       "a long subject leaves room for the text");
    ryz_error_about(NULL, path);
}

Test(size, products_and_sums_fail_instead_of_wrapping)
{
    size_t out = 5;
    cr_assert(ryz_mul_size(6, 7, &out));
    cr_assert_eq(out, 42);
    cr_assert_not(ryz_mul_size(SIZE_MAX / 2, 3, &out));
    cr_assert(ryz_add_size(SIZE_MAX - 1, 1, &out));
    cr_assert_eq(out, SIZE_MAX);
    cr_assert_not(ryz_add_size(SIZE_MAX, 1, &out));
    cr_assert_eq(ryz_ceil_div_u32(UINT32_MAX, 2), 2147483648u);
    cr_assert_eq(ryz_ceil_div_u32(0, 3), 0);
}
