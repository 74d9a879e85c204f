/*
 * records.h - a request's stream events, packed, on their way from the engine to a connection.
 *
 *   engine thread --append--> [ head | top candidates | text ][ head | ... ] --next--> connection
 *
 * The engine thread copies a few bytes and goes on; all formatting is left to the connection's
 * side. Not locked here: the exchange has a lock and swaps two of these.
 */
#ifndef RYZ_API_RECORDS_H
#define RYZ_API_RECORDS_H

#include "engine/runtime/engine.h"

struct ryz_records {
    char *data;
    size_t begin, end, capacity; /* unread bytes are [begin, end) */
};

struct ryz_record {
    uint32_t choice;
    uint32_t token, index; /* of the token, unless `done` */
    float logprob;
    uint32_t text_length;
    uint32_t top_count;
    bool done;                       /* the last one of its choice: only text */
    enum ryz_finish_reason finish;   /* with `done` */
    const struct ryz_candidate *top; /* borrowed until the next append, as is `text` */
    const char *text;
};

/* Copies an event in. RYZ_FULL: more than bytes_max would be unread; RYZ_NO_MEMORY. */
RYZ_MUST_USE enum ryz_status ryz_records_append(struct ryz_records *records,
                                                const struct ryz_stream_event *event,
                                                size_t bytes_max);
/* Takes the oldest record out; false when there is none. To look without taking, use a copy of the
 * struct. */
bool ryz_records_next(struct ryz_records *records, struct ryz_record *record);
/* The same for one choice: those of others are skipped. */
bool ryz_records_next_of(struct ryz_records *records, uint32_t choice, struct ryz_record *record);
void ryz_records_deinit(struct ryz_records *records);

#endif
