/*
 * prefix_index.c - linear probing at a load of at most one half, removal by backward shift.
 *
 * Hash and number lie in one 16-byte entry, so that a hit costs one miss of the processor's caches.
 * The hashes come mixed and keyed (prefix_hash.h); the multiplication is for callers whose hashes
 * are small numbers, such as tests, and costs nothing beside the miss.
 */
#include "engine/sched/prefix_index.h"

#include "engine/base/assert.h"

#include <stdlib.h>

#define COUNT_MAX    (UINT32_C(1) << 26)
#define GOLDEN_RATIO UINT64_C(0x9e3779b97f4a7c15) /* 2^64 / golden ratio, odd */

enum ryz_status ryz_prefix_index_open(struct ryz_prefix_index *index, uint32_t count_max,
                                      struct ryz_error *error)
{
    *index = (struct ryz_prefix_index){0};
    if (count_max == 0 || count_max > COUNT_MAX)
        return ryz_fail(error, RYZ_INVALID, "a prefix index of %u hashes; allowed are 1 to %u",
                        count_max, COUNT_MAX);
    uint32_t bits = 1;
    while (UINT32_C(1) << bits < 2 * count_max) bits++;
    index->entries = calloc((size_t)1 << bits, sizeof *index->entries);
    if (index->entries == NULL)
        return ryz_fail(error, RYZ_NO_MEMORY, "no memory for a prefix index of %u hashes",
                        count_max);
    index->mask = (UINT32_C(1) << bits) - 1;
    index->shift = 64 - bits;
    index->count_max = count_max;
    return RYZ_OK;
}

void ryz_prefix_index_close(struct ryz_prefix_index *index)
{
    free(index->entries);
    *index = (struct ryz_prefix_index){0};
}

static uint32_t home_of(const struct ryz_prefix_index *index, uint64_t hash)
{
    return (uint32_t)(hash * GOLDEN_RATIO >> index->shift);
}

/* Where `hash` is, or the empty place that ends the search for it. */
static uint32_t place_of(const struct ryz_prefix_index *index, uint64_t hash)
{
    uint32_t place = home_of(index, hash);
    while (index->entries[place].hash != 0 && index->entries[place].hash != hash)
        place = (place + 1) & index->mask;
    return place;
}

uint32_t ryz_prefix_index_find(const struct ryz_prefix_index *index, uint64_t hash)
{
    RYZ_ASSERT(hash != 0);
    const struct ryz_prefix_entry *entry = &index->entries[place_of(index, hash)];
    return entry->hash == hash ? entry->value : RYZ_PREFIX_NONE;
}

void ryz_prefix_index_put(struct ryz_prefix_index *index, uint64_t hash, uint32_t value)
{
    RYZ_ASSERT(hash != 0);
    RYZ_ASSERT(value != RYZ_PREFIX_NONE);
    struct ryz_prefix_entry *entry = &index->entries[place_of(index, hash)];
    if (entry->hash == 0) {
        RYZ_ASSERT(index->count < index->count_max);
        index->count++;
    }
    entry->hash = hash;
    entry->value = value;
}

bool ryz_prefix_index_remove(struct ryz_prefix_index *index, uint64_t hash)
{
    RYZ_ASSERT(hash != 0);
    struct ryz_prefix_entry *entries = index->entries;
    uint32_t hole = place_of(index, hash);
    if (entries[hole].hash == 0) return false;
    /* An entry behind the hole moves into it unless its home lies between the two: then the search
     * for it does not pass the hole. */
    for (uint32_t i = (hole + 1) & index->mask; entries[i].hash != 0; i = (i + 1) & index->mask) {
        uint32_t from_home = (i - home_of(index, entries[i].hash)) & index->mask;
        uint32_t from_hole = (i - hole) & index->mask;
        if (from_home < from_hole) continue;
        entries[hole] = entries[i];
        hole = i;
    }
    entries[hole] = (struct ryz_prefix_entry){0};
    RYZ_ASSERT(index->count > 0);
    index->count--;
    return true;
}
