/* prefix_ghosts.c - a ring of evicted hashes, each indexed at its last place in the ring. */
#include "engine/sched/prefix_ghosts.h"

#include <stdlib.h>

enum ryz_status ryz_prefix_ghosts_open(struct ryz_prefix_ghosts *ghosts, uint32_t capacity,
                                       struct ryz_error *error)
{
    *ghosts = (struct ryz_prefix_ghosts){.capacity = capacity};
    enum ryz_status status = ryz_prefix_index_open(&ghosts->index, capacity, error);
    if (status != RYZ_OK) return status;
    ghosts->ring = calloc(capacity, sizeof *ghosts->ring);
    if (ghosts->ring != NULL) return RYZ_OK;
    ryz_prefix_ghosts_close(ghosts);
    return ryz_fail(error, RYZ_NO_MEMORY, "no memory for %u evicted hashes", capacity);
}

void ryz_prefix_ghosts_close(struct ryz_prefix_ghosts *ghosts)
{
    ryz_prefix_index_close(&ghosts->index);
    free(ghosts->ring);
    *ghosts = (struct ryz_prefix_ghosts){0};
}

void ryz_prefix_ghosts_add(struct ryz_prefix_ghosts *ghosts, uint64_t hash)
{
    ryz_prefix_ghosts_remove(ghosts, hash);
    uint64_t oldest = ghosts->ring[ghosts->next];
    if (oldest != 0) ryz_prefix_ghosts_remove(ghosts, oldest);
    ghosts->ring[ghosts->next] = hash;
    ryz_prefix_index_put(&ghosts->index, hash, ghosts->next);
    ghosts->next = ghosts->next + 1 < ghosts->capacity ? ghosts->next + 1 : 0;
}

void ryz_prefix_ghosts_remove(struct ryz_prefix_ghosts *ghosts, uint64_t hash)
{
    uint32_t place = ryz_prefix_index_find(&ghosts->index, hash);
    if (place == RYZ_PREFIX_NONE) return;
    ghosts->ring[place] = 0;
    (void)ryz_prefix_index_remove(&ghosts->index, hash);
}

bool ryz_prefix_ghosts_contain(const struct ryz_prefix_ghosts *ghosts, uint64_t hash)
{
    return ryz_prefix_index_find(&ghosts->index, hash) != RYZ_PREFIX_NONE;
}
