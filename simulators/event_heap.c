/* event_heap.c - a binary heap; leaves the meaning of its events to sim.c. */
#include "simulators/event_heap.h"

#include "engine/base/assert.h"
#include "engine/base/size.h"

#include <stdlib.h>

static bool is_before(const struct ryz_heap_event *a, const struct ryz_heap_event *b)
{
    if (a->t_ns != b->t_ns) return a->t_ns < b->t_ns;
    if (a->kind != b->kind) return a->kind < b->kind;
    return a->number < b->number;
}

bool ryz_event_heap_reserve(struct ryz_event_heap *heap, size_t extra)
{
    size_t wanted = 0, bytes = 0;
    if (!ryz_add_size(heap->count, extra, &wanted)) return false;
    if (wanted <= heap->capacity) return true;
    size_t capacity = heap->capacity < 64 ? 64 : heap->capacity;
    while (capacity < wanted) {
        if (!ryz_mul_size(capacity, 2, &capacity)) return false;
    }
    if (!ryz_mul_size(capacity, sizeof *heap->events, &bytes)) return false;
    struct ryz_heap_event *events = realloc(heap->events, bytes);
    if (events == NULL) return false;
    heap->events = events;
    heap->capacity = capacity;
    return true;
}

void ryz_event_heap_push(struct ryz_event_heap *heap, struct ryz_heap_event event)
{
    RYZ_ASSERT(heap->count < heap->capacity);
    event.number = heap->pushes++;
    size_t i = heap->count++;
    while (i > 0 && is_before(&event, &heap->events[(i - 1) / 2])) {
        heap->events[i] = heap->events[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    heap->events[i] = event;
}

int64_t ryz_event_heap_next_ns(const struct ryz_event_heap *heap)
{
    return heap->count == 0 ? INT64_MAX : heap->events[0].t_ns;
}

struct ryz_heap_event ryz_event_heap_pop(struct ryz_event_heap *heap)
{
    RYZ_ASSERT(heap->count > 0);
    struct ryz_heap_event top = heap->events[0], last = heap->events[--heap->count];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= heap->count) break;
        if (child + 1 < heap->count && is_before(&heap->events[child + 1], &heap->events[child]))
            child++;
        if (!is_before(&heap->events[child], &last)) break;
        heap->events[i] = heap->events[child];
        i = child;
    }
    heap->events[i] = last; /* an empty heap writes its own first place: harmless */
    return top;
}

void ryz_event_heap_close(struct ryz_event_heap *heap)
{
    free(heap->events);
    *heap = (struct ryz_event_heap){0};
}
