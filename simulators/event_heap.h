/*
 * event_heap.h - what will happen in virtual time, in a total order.
 *
 * A binary heap on (time, kind, number of the push): two runs with the same pushes pop the same
 * sequence, ties included. Events are never removed from the middle; whoever handles one checks
 * that it still means something.
 */
#ifndef RYZ_SIMULATORS_EVENT_HEAP_H
#define RYZ_SIMULATORS_EVENT_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ryz_heap_event {
    int64_t t_ns;
    uint32_t kind;       /* the caller's; smaller ones first at the same time */
    uint32_t index;      /* the caller's */
    uint64_t generation; /* the caller's: tells a stale event */
    uint64_t number;     /* set by the push */
};

struct ryz_event_heap {
    struct ryz_heap_event *events; /* treat as private */
    size_t count, capacity;
    uint64_t pushes;
};

/* Makes room for `extra` more events, so that as many pushes cannot fail; false: no memory. */
bool ryz_event_heap_reserve(struct ryz_event_heap *heap, size_t extra);
/* Needs room, see above. */
void ryz_event_heap_push(struct ryz_event_heap *heap, struct ryz_heap_event event);
/* Time of the next event, INT64_MAX when there is none. */
int64_t ryz_event_heap_next_ns(const struct ryz_event_heap *heap);
/* Takes the next event; the heap must not be empty. */
struct ryz_heap_event ryz_event_heap_pop(struct ryz_event_heap *heap);
void ryz_event_heap_close(struct ryz_event_heap *heap);

#endif
