/* text.c - a growing text. See text.h. */
#include "engine/api/text.h"

#include "engine/base/size.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_BYTES 512u

bool ryz_text_reserve(struct ryz_text *text, size_t more)
{
    size_t need = 0;
    if (!ryz_add_size(text->length, more, &need) || need >= RYZ_TEXT_BYTES_MAX) return false;
    if (need < text->capacity) return true;
    size_t capacity = text->capacity > 0 ? text->capacity : FIRST_BYTES;
    while (capacity <= need) capacity *= 2;
    char *data = realloc(text->data, capacity);
    if (data == NULL) return false;
    text->data = data;
    text->capacity = capacity;
    return true;
}

void ryz_text_deinit(struct ryz_text *text)
{
    free(text->data);
    *text = (struct ryz_text){0};
}

bool ryz_text_append(struct ryz_text *text, const char *bytes, size_t length)
{
    if (!ryz_text_reserve(text, length)) return false;
    if (length > 0) memcpy(text->data + text->length, bytes, length);
    text->length += length;
    text->data[text->length] = '\0';
    return true;
}

bool ryz_text_append_json(struct ryz_text *text, ryz_text_writer write, const void *context)
{
    for (;;) {
        if (!ryz_text_reserve(text, 1)) return false;
        struct ryz_json json;
        ryz_json_init(&json, text->data + text->length, text->capacity - text->length);
        write(&json, context);
        if (!json.overflow) {
            text->length += json.length;
            return true;
        }
        if (!ryz_text_reserve(text, text->capacity)) return false;
    }
}
