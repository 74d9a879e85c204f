/* utf8.h - is it UTF-8? Shared by the JSON writer and the scenario reader. */
#ifndef RYZ_BASE_UTF8_H
#define RYZ_BASE_UTF8_H

#include <stddef.h>

/* Bytes of the well-formed character at the start of text[0 .. size), 1 to 4; 0 if there is none:
 * size is 0, or the bytes are truncated, overlong, a surrogate, or past U+10FFFF. */
size_t ryz_utf8_char_bytes(const char *text, size_t size);

/* Offset of the first byte that starts no well-formed character; `size` if all is well. */
size_t ryz_utf8_valid_bytes(const char *text, size_t size);

#endif
