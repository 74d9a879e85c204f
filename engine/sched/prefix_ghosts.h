/*
 * prefix_ghosts.h - the hashes evicted last: what a larger pool would still have had.
 *
 * A ring of the last evictions with an index over it, of a size fixed at open; the oldest gives way
 * to the newest. A hash that comes back to the pool is no ghost any more.
 */
#ifndef RYZ_SCHED_PREFIX_GHOSTS_H
#define RYZ_SCHED_PREFIX_GHOSTS_H

#include "engine/base/status.h"
#include "engine/sched/prefix_index.h"

/* Treat fields as private. */
struct ryz_prefix_ghosts {
    struct ryz_prefix_index index; /* hash -> its place in the ring */
    uint64_t *ring;                /* [capacity]; 0: came back, or was evicted once more since */
    uint32_t capacity, next;       /* place of the next eviction, the oldest one's */
};

/* Room for the last `capacity` evictions (1 to 2^26). */
RYZ_MUST_USE enum ryz_status ryz_prefix_ghosts_open(struct ryz_prefix_ghosts *ghosts,
                                                    uint32_t capacity, struct ryz_error *error);
/* Of zeroed ghosts too. */
void ryz_prefix_ghosts_close(struct ryz_prefix_ghosts *ghosts);

/* A hash was evicted. */
void ryz_prefix_ghosts_add(struct ryz_prefix_ghosts *ghosts, uint64_t hash);
/* A hash is in the pool again; it need not be a ghost. */
void ryz_prefix_ghosts_remove(struct ryz_prefix_ghosts *ghosts, uint64_t hash);
bool ryz_prefix_ghosts_contain(const struct ryz_prefix_ghosts *ghosts, uint64_t hash);

#endif
