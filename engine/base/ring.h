/*
 * ring.h - a bounded multi-producer, single-consumer queue of fixed-size items.
 *
 * How threads talk to the owner of a piece of state (the engine's core, the results writer).
 * Never blocks: a full ring says so, and the caller's stated answer applies (reject, count, retry).
 * Source: D. Vyukov's bounded queue with a sequence number per cell.
 */
#ifndef RYZ_BASE_RING_H
#define RYZ_BASE_RING_H

#include "engine/base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ryz_ring;

/* capacity is rounded up to a power of two. */
RYZ_MUST_USE enum ryz_status ryz_ring_open(size_t capacity, size_t item_bytes,
                                           struct ryz_ring **ring, struct ryz_error *error);
void ryz_ring_close(struct ryz_ring *ring);
/* Copies one item in, from any thread; false when full. */
bool ryz_ring_push(struct ryz_ring *ring, const void *item);
/* Copies one item out, consumer only; false when empty. */
bool ryz_ring_pop(struct ryz_ring *ring, void *item);
/* Items now inside, give or take pushes in flight; any thread. */
size_t ryz_ring_count(const struct ryz_ring *ring);
size_t ryz_ring_capacity(const struct ryz_ring *ring);

#endif
