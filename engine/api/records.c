/* records.c - packs and unpacks stream events. See records.h. */
#include "engine/api/records.h"

#include "engine/base/assert.h"
#include "engine/base/size.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_BYTES 1024u

struct head {
    uint32_t bytes; /* of the whole record, a multiple of 8 */
    uint32_t token, index;
    float logprob;
    uint32_t text_length, top_count;
    uint16_t done, finish;
    uint32_t choice;
};

_Static_assert(sizeof(struct head) % 8 == 0, "what follows a head is aligned to 8");
_Static_assert(_Alignof(struct ryz_candidate) <= 8, "candidates are read in place");

/* Makes room for `more` bytes at the end: moves the unread bytes to the front, or grows. */
static enum ryz_status reserve(struct ryz_records *r, size_t more, size_t bytes_max)
{
    size_t unread = r->end - r->begin, need = 0;
    if (!ryz_add_size(unread, more, &need) || need > bytes_max) return RYZ_FULL;
    if (r->end + more <= r->capacity) return RYZ_OK;
    if (need <= r->capacity / 2) { /* else the same bytes would be moved too often */
        memmove(r->data, r->data + r->begin, unread);
    } else {
        size_t capacity = r->capacity > 0 ? r->capacity : FIRST_BYTES;
        while (capacity < need) capacity *= 2;
        if (capacity == r->capacity) capacity *= 2;
        char *data = malloc(capacity);
        if (data == NULL) return RYZ_NO_MEMORY;
        if (unread > 0) memcpy(data, r->data + r->begin, unread);
        free(r->data);
        r->data = data;
        r->capacity = capacity;
    }
    r->begin = 0;
    r->end = unread;
    return RYZ_OK;
}

enum ryz_status ryz_records_append(struct ryz_records *records,
                                   const struct ryz_stream_event *event, size_t bytes_max)
{
    if (event->text_length > bytes_max) return RYZ_FULL;
    RYZ_ASSERT(event->top_count <= RYZ_TOP_LOGPROBS_MAX);
    size_t top_bytes = event->top_count * sizeof(struct ryz_candidate);
    size_t bytes = (sizeof(struct head) + top_bytes + event->text_length + 7) & ~(size_t)7;
    if (bytes > UINT32_MAX) return RYZ_FULL;
    enum ryz_status status = reserve(records, bytes, bytes_max);
    if (status != RYZ_OK) return status;
    const struct head head = {.bytes = (uint32_t)bytes,
                              .token = event->token,
                              .index = event->index,
                              .logprob = event->logprob,
                              .text_length = (uint32_t)event->text_length,
                              .top_count = event->top_count,
                              .done = event->done,
                              .finish = (uint16_t)event->finish,
                              .choice = event->choice};
    char *at = records->data + records->end;
    memcpy(at, &head, sizeof head);
    if (top_bytes > 0) memcpy(at + sizeof head, event->top, top_bytes);
    if (event->text_length > 0)
        memcpy(at + sizeof head + top_bytes, event->text, event->text_length);
    records->end += bytes;
    return RYZ_OK;
}

bool ryz_records_next(struct ryz_records *records, struct ryz_record *record)
{
    if (records->begin == records->end) {
        records->begin = records->end = 0;
        return false;
    }
    struct head head;
    const char *at = records->data + records->begin;
    memcpy(&head, at, sizeof head);
    RYZ_ASSERT(head.bytes <= records->end - records->begin);
    const void *top = at + sizeof head;
    *record = (struct ryz_record){
        .choice = head.choice,
        .token = head.token,
        .index = head.index,
        .logprob = head.logprob,
        .text_length = head.text_length,
        .top_count = head.top_count,
        .done = head.done != 0,
        .finish = (enum ryz_finish_reason)head.finish,
        .top = top,
        .text = at + sizeof head + head.top_count * sizeof(struct ryz_candidate),
    };
    records->begin += head.bytes;
    return true;
}

bool ryz_records_next_of(struct ryz_records *records, uint32_t choice, struct ryz_record *record)
{
    while (ryz_records_next(records, record))
        if (record->choice == choice) return true;
    return false;
}

void ryz_records_deinit(struct ryz_records *records)
{
    free(records->data);
    *records = (struct ryz_records){0};
}
