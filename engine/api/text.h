/*
 * text.h - bytes of an answer that grow until the answer is whole.
 *
 * The JSON writer of base/ fills a fixed buffer; here a writer function is simply called again with
 * twice the room when it did not fit, which in the long run happens once an answer.
 */
#ifndef RYZ_API_TEXT_H
#define RYZ_API_TEXT_H

#include "engine/base/json.h"

#include <stdbool.h>
#include <stddef.h>

#define RYZ_TEXT_BYTES_MAX ((size_t)256 << 20) /* beyond it, writing fails */

struct ryz_text {
    char *data; /* freed with free() by the owner; NUL-terminated once anything was written */
    size_t length, capacity;
};

/* Writes one JSON value; called again from the start when the room was too small, so it must not
 * change what `context` points at. */
typedef void (*ryz_text_writer)(struct ryz_json *json, const void *context);

/* Room for `more` bytes and a NUL behind the text; false when out of memory or beyond the limit. */
bool ryz_text_reserve(struct ryz_text *text, size_t more);
void ryz_text_deinit(struct ryz_text *text);
bool ryz_text_append(struct ryz_text *text, const char *bytes, size_t length);
/* Appends what `write` writes. */
bool ryz_text_append_json(struct ryz_text *text, ryz_text_writer write, const void *context);

#endif
