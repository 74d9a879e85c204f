/* utf8.c - well-formed UTF-8 as in table 3-7 of the Unicode standard. */
#include "engine/base/utf8.h"

/* Is `byte` a continuation byte within [low, high]? */
static int within(unsigned char byte, unsigned char low, unsigned char high)
{
    return byte >= low && byte <= high;
}

size_t ryz_utf8_char_bytes(const char *text, size_t size)
{
    const unsigned char *s = (const unsigned char *)text;
    if (size == 0) return 0;
    if (s[0] < 0x80) return 1;
    size_t length = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    if (s[0] < 0xc2 || s[0] > 0xf4 || size < length) return 0;
    /* The second byte's range excludes overlong forms, surrogates and values past U+10FFFF. */
    unsigned char low = s[0] == 0xe0 ? 0xa0 : s[0] == 0xf0 ? 0x90 : 0x80;
    unsigned char high = s[0] == 0xed ? 0x9f : s[0] == 0xf4 ? 0x8f : 0xbf;
    if (!within(s[1], low, high)) return 0;
    for (size_t i = 2; i < length; i++) {
        if (!within(s[i], 0x80, 0xbf)) return 0;
    }
    return length;
}

size_t ryz_utf8_valid_bytes(const char *text, size_t size)
{
    size_t at = 0;
    while (at < size) {
        size_t length = ryz_utf8_char_bytes(text + at, size - at);
        if (length == 0) break;
        at += length;
    }
    return at;
}
