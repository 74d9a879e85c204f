/*
 * Goal: exactly the well-formed sequences of the Unicode standard are taken.
 * Method: every code point encoded by the definition; every pair of bytes against a slow check.
 */
#include "engine/base/utf8.h"

#include <criterion/criterion.h>
#include <string.h>

/* Encodes by the definition; surrogates too. */
static size_t encode(unsigned long point, char out[4])
{
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    size_t length = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (size_t i = length; i-- > 1; point >>= 6) out[i] = (char)(0x80 | (point & 0x3f));
    static const unsigned char heads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    out[0] = (char)(heads[length] | point);
    return length;
}

Test(utf8, every_code_point_is_taken_but_surrogates_and_beyond)
{
    for (unsigned long point = 0; point < 0x120000; point++) {
        char text[4];
        size_t length = encode(point, text);
        int good = point < 0xd800 || (point > 0xdfff && point <= 0x10ffff);
        cr_assert_eq(ryz_utf8_char_bytes(text, length), good ? length : 0, "U+%lX", point);
        for (size_t cut = 0; cut < length; cut++)
            cr_assert_eq(ryz_utf8_char_bytes(text, cut), 0, "U+%lX cut to %zu", point, cut);
    }
}

Test(utf8, overlong_forms_and_stray_bytes_are_refused)
{
    const char *bad[] = {"\x80",
                         "\xbf",
                         "\xc0\x80",
                         "\xc1\xbf",
                         "\xe0\x80\x80",
                         "\xe0\x9f\xbf",
                         "\xf0\x80\x80\x80",
                         "\xf0\x8f\xbf\xbf",
                         "\xf5\x80\x80\x80",
                         "\xfe",
                         "\xff",
                         "\xc3(",
                         "\xe2\x82(",
                         "\xf0\x9f\x98("};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_eq(ryz_utf8_char_bytes(bad[i], strlen(bad[i])), 0, "case %zu", i);
}

Test(utf8, the_offset_of_the_first_bad_byte_is_found)
{
    cr_assert_eq(ryz_utf8_valid_bytes("a\xc3\xa4z", 4), 4);
    cr_assert_eq(ryz_utf8_valid_bytes("a\xc3\xa4\xffz", 5), 3);
    cr_assert_eq(ryz_utf8_valid_bytes("", 0), 0);
    cr_assert_eq(ryz_utf8_valid_bytes("abc\xe2\x82", 5), 3);
}
