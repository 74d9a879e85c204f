/*
 * prefix_index.h - a table from the hash of a block to a number, of a size fixed at open.
 *
 * Open addressing with linear probing; a removal shifts its followers back, so that a table which
 * lives for months holds no tombstones and a search costs the same on the last day as on the first.
 * What the number means (a block of the pool, a place in a ring) is the caller's business.
 */
#ifndef RYZ_SCHED_PREFIX_INDEX_H
#define RYZ_SCHED_PREFIX_INDEX_H

#include "engine/base/status.h"

#include <stdbool.h>
#include <stdint.h>

#define RYZ_PREFIX_NONE UINT32_MAX

struct ryz_prefix_entry {
    uint64_t hash; /* 0: empty */
    uint32_t value;
    uint32_t unused;
};
_Static_assert(sizeof(struct ryz_prefix_entry) == 16, "four entries a cache line");

/* Treat fields as private. */
struct ryz_prefix_index {
    struct ryz_prefix_entry *entries; /* [mask + 1], a power of two, at least 2 * count_max */
    uint32_t mask, shift;             /* the home of a hash is its product's top bits */
    uint32_t count, count_max;
};

/* Room for `count_max` hashes (1 to 2^26). */
RYZ_MUST_USE enum ryz_status ryz_prefix_index_open(struct ryz_prefix_index *index,
                                                   uint32_t count_max, struct ryz_error *error);
/* Of a zeroed index too. */
void ryz_prefix_index_close(struct ryz_prefix_index *index);

/* The number under `hash` (never 0), or RYZ_PREFIX_NONE. */
uint32_t ryz_prefix_index_find(const struct ryz_prefix_index *index, uint64_t hash);
/* Puts `value` (not RYZ_PREFIX_NONE) under `hash`, in place of what was there; a new hash in a full
 * table is a bug. */
void ryz_prefix_index_put(struct ryz_prefix_index *index, uint64_t hash, uint32_t value);
/* False: it was not there. */
bool ryz_prefix_index_remove(struct ryz_prefix_index *index, uint64_t hash);

#endif
