/*
 * stream_text.c - holds back unfinished characters and possible beginnings of stop strings.
 *
 * Leaves to others: tokens and where the text goes. The idea: released text never contains a byte
 * that could still belong to a stop string, so a match can always be cut off in what is held.
 */
#include "engine/runtime/stream_text.h"

#include "engine/base/assert.h"
#include "engine/model/tokenizer.h"

#include <string.h>

enum ryz_status ryz_stream_text_init(struct ryz_stream_text *text, const char *const *stops,
                                     uint32_t stop_count, struct ryz_error *error)
{
    memset(text, 0, sizeof *text);
    if (stop_count > RYZ_STOPS_MAX)
        return ryz_fail(error, RYZ_INVALID, "%u stop strings; at most %u are possible", stop_count,
                        RYZ_STOPS_MAX);
    for (uint32_t i = 0; i < stop_count; i++) {
        size_t length = strlen(stops[i]);
        if (length == 0 || length > RYZ_STOP_BYTES_MAX)
            return ryz_fail(error, RYZ_INVALID,
                            "stop string %u has %zu bytes; 1 to %u are possible", i, length,
                            RYZ_STOP_BYTES_MAX);
        memcpy(text->stops[i], stops[i], length);
        text->stop_lengths[i] = (uint8_t)length;
    }
    text->stop_count = stop_count;
    return RYZ_OK;
}

/* Offset of the first stop string in (bytes, length); `length` if there is none. */
static size_t find_stop(const struct ryz_stream_text *text, const char *bytes, size_t length)
{
    size_t first = length;
    for (uint32_t i = 0; i < text->stop_count; i++) {
        const char *hit = memmem(bytes, length, text->stops[i], text->stop_lengths[i]);
        if (hit != NULL && (size_t)(hit - bytes) < first) first = (size_t)(hit - bytes);
    }
    return first;
}

/* Bytes at the end of (bytes, length) that may begin a stop string. */
static size_t stop_beginning(const struct ryz_stream_text *text, const char *bytes, size_t length)
{
    size_t longest = 0;
    for (uint32_t i = 0; i < text->stop_count; i++) {
        size_t n = text->stop_lengths[i] - 1u;
        if (n > length) n = length;
        for (; n > longest; n--) {
            if (memcmp(bytes + length - n, text->stops[i], n) == 0) longest = n;
        }
    }
    return longest;
}

size_t ryz_stream_text_push(struct ryz_stream_text *text, const char *bytes, size_t length,
                            char *out, bool *stopped)
{
    *stopped = false;
    memcpy(out, text->held, text->held_length);
    if (length > 0) memcpy(out + text->held_length, bytes, length);
    size_t total = text->held_length + length;
    size_t match = find_stop(text, out, total);
    if (match < total) {
        *stopped = true;
        text->held_length = 0;
        return match;
    }
    size_t final = total - stop_beginning(text, out, total);
    final = ryz_utf8_complete_prefix(out, final);
    RYZ_ASSERT(total - final <= RYZ_TEXT_HELD_MAX);
    text->held_length = (uint32_t)(total - final);
    memcpy(text->held, out + final, text->held_length);
    return final;
}

size_t ryz_stream_text_flush(struct ryz_stream_text *text, char *out)
{
    static const char replacement[3] = {'\xEF', '\xBF', '\xBD'}; /* U+FFFD */
    size_t whole = ryz_utf8_complete_prefix(text->held, text->held_length), size = whole;
    memcpy(out, text->held, whole);
    /* Up to three bytes give way to three. */
    if (whole < text->held_length) {
        memcpy(out + whole, replacement, sizeof replacement);
        size += sizeof replacement;
    }
    text->held_length = 0;
    return size;
}
