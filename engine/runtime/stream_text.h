/*
 * stream_text.h - from token bytes to text that a client may see.
 *
 * Two things must not leave too early: the first bytes of a character whose rest is still to come,
 * and what could be the beginning of a stop string. They are held back until the next token
 * decides; the held part is always shorter than the longest stop string plus one character.
 */
#ifndef RYZ_RUNTIME_STREAM_TEXT_H
#define RYZ_RUNTIME_STREAM_TEXT_H

#include "engine/base/status.h"
#include "engine/runtime/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RYZ_TEXT_HELD_MAX (RYZ_STOP_BYTES_MAX + 4u)

struct ryz_stream_text {
    char stops[RYZ_STOPS_MAX][RYZ_STOP_BYTES_MAX];
    uint8_t stop_lengths[RYZ_STOPS_MAX];
    uint32_t stop_count;
    uint32_t held_length;
    char held[RYZ_TEXT_HELD_MAX];
};

/* Copies the stop strings. RYZ_INVALID: too many, empty, or longer than RYZ_STOP_BYTES_MAX. */
RYZ_MUST_USE enum ryz_status ryz_stream_text_init(struct ryz_stream_text *text,
                                                  const char *const *stops, uint32_t stop_count,
                                                  struct ryz_error *error);
/* Adds a token's bytes. Writes what became final to `out` (capacity RYZ_TEXT_HELD_MAX + length) and
 * returns its size. *stopped: a stop string was found; it and all behind it are gone. */
size_t ryz_stream_text_push(struct ryz_stream_text *text, const char *bytes, size_t length,
                            char *out, bool *stopped);
/* The output has ended: writes what was held back to `out` (capacity RYZ_TEXT_HELD_MAX). A
 * character that was never completed becomes U+FFFD. */
size_t ryz_stream_text_flush(struct ryz_stream_text *text, char *out);

#endif
