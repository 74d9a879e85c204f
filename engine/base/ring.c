/*
 * ring.c - D. Vyukov's bounded queue, used with one consumer.
 *
 * Leaves to others: waiting. The idea: each cell carries a sequence number that says whose turn it
 * is. For position p (which maps to cell p mod capacity):
 *
 *   sequence == p        free: the producer that wins `tail` from p to p + 1 may fill it
 *   sequence == p + 1    full: the consumer may take it, then sets p + capacity
 *   otherwise            the queue is full (seen by a producer) or empty (seen by the consumer)
 */
#include "engine/base/ring.h"

#include "engine/base/atomic.h"
#include "engine/base/size.h"

#include <stdlib.h>
#include <string.h>

#define LINE_BYTES 64u

struct cell {
    _Atomic size_t sequence;
    unsigned char item[]; /* item_bytes */
};

/* Producers share `tail`, the consumer owns `head`; lines of their own keep them from bouncing. */
struct ryz_ring {
    _Alignas(LINE_BYTES) _Atomic size_t tail; /* next position to fill */
    _Alignas(LINE_BYTES) _Atomic size_t head; /* next position to take; the consumer writes it */
    _Alignas(LINE_BYTES) unsigned char *cells;
    size_t stride; /* bytes from cell to cell */
    size_t mask;   /* capacity - 1 */
    size_t item_bytes;
};

static struct cell *cell_at(const struct ryz_ring *ring, size_t position)
{
    return (struct cell *)(void *)(ring->cells + (position & ring->mask) * ring->stride);
}

enum ryz_status ryz_ring_open(size_t capacity, size_t item_bytes, struct ryz_ring **ring,
                              struct ryz_error *error)
{
    *ring = NULL;
    if (capacity == 0 || item_bytes == 0)
        return ryz_fail(error, RYZ_INVALID, "a ring of %zu items of %zu bytes", capacity,
                        item_bytes);
    size_t cells = 2; /* with one cell, "full" and "free for the next round" look the same */
    while (cells < capacity && cells <= SIZE_MAX / 4) cells *= 2;
    size_t stride = 0, bytes = 0;
    bool fits = cells >= capacity &&
                ryz_add_size(item_bytes, sizeof(struct cell) + _Alignof(struct cell) - 1, &stride);
    stride -= stride % _Alignof(struct cell);
    if (!fits || !ryz_mul_size(cells, stride, &bytes) || bytes > PTRDIFF_MAX)
        return ryz_fail(error, RYZ_NO_MEMORY, "a ring of %zu items of %zu bytes does not fit",
                        capacity, item_bytes);
    struct ryz_ring *r = aligned_alloc(LINE_BYTES, sizeof *r);
    if (r == NULL) return ryz_fail(error, RYZ_NO_MEMORY, "no memory for a ring");
    memset(r, 0, sizeof *r);
    r->cells = malloc(bytes);
    if (r->cells == NULL) {
        free(r);
        return ryz_fail(error, RYZ_NO_MEMORY, "no memory for a ring of %zu items", capacity);
    }
    r->stride = stride;
    r->mask = cells - 1;
    r->item_bytes = item_bytes;
    for (size_t i = 0; i < cells; i++) atomic_init(&cell_at(r, i)->sequence, i);
    *ring = r;
    return RYZ_OK;
}

void ryz_ring_close(struct ryz_ring *ring)
{
    if (ring == NULL) return;
    free(ring->cells);
    free(ring);
}

bool ryz_ring_push(struct ryz_ring *ring, const void *item)
{
    size_t position = ryz_load_relaxed(&ring->tail);
    for (;;) {
        struct cell *cell = cell_at(ring, position);
        size_t sequence = ryz_load_acquire(&cell->sequence);
        ptrdiff_t lead = (ptrdiff_t)(sequence - position);
        if (lead < 0) return false; /* a lap behind: still full */
        if (lead > 0) {             /* another producer took this position */
            position = ryz_load_relaxed(&ring->tail);
            continue;
        }
        /* On failure the exchange reloads `position`. */
        if (ryz_cas_acq_rel(&ring->tail, &position, position + 1)) {
            memcpy(cell->item, item, ring->item_bytes);
            ryz_store_release(&cell->sequence, position + 1);
            return true;
        }
    }
}

bool ryz_ring_pop(struct ryz_ring *ring, void *item)
{
    size_t position = ryz_load_relaxed(&ring->head);
    struct cell *cell = cell_at(ring, position);
    if (ryz_load_acquire(&cell->sequence) != position + 1) return false;
    memcpy(item, cell->item, ring->item_bytes);
    ryz_store_release(&cell->sequence, position + ring->mask + 1);
    ryz_store_relaxed(&ring->head, position + 1);
    return true;
}

size_t ryz_ring_count(const struct ryz_ring *ring)
{
    /* head first: it never passes the tail that is read later. */
    size_t head = ryz_load_acquire(&ring->head);
    size_t count = ryz_load_acquire(&ring->tail) - head;
    return count < ring->mask + 1 ? count : ring->mask + 1;
}

size_t ryz_ring_capacity(const struct ryz_ring *ring)
{
    return ring->mask + 1;
}
