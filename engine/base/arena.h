/*
 * arena.h - memory with one lifetime: allocated in pieces, freed at once.
 */
#ifndef RYZ_BASE_ARENA_H
#define RYZ_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

struct ryz_arena_chunk;

struct ryz_arena {
    struct ryz_arena_chunk *chunks; /* treat as private */
    size_t bytes;                   /* given out so far, rounded up to 64 each; may be read */
    bool counting;                  /* treat as private */
};

void ryz_arena_init(struct ryz_arena *arena);
/* An arena that only counts: what it gives is not NULL and must not be touched. So the code that
 * lays memory out also says how much it would need. */
void ryz_arena_init_counting(struct ryz_arena *arena);
/* Zeroed, 64-byte aligned; NULL when out of memory. */
void *ryz_arena_alloc(struct ryz_arena *arena, size_t size);
/* As above for count * size with the product checked. */
void *ryz_arena_array(struct ryz_arena *arena, size_t count, size_t size);
/* Copies a string; NULL when out of memory. */
char *ryz_arena_strdup(struct ryz_arena *arena, const char *text);
void ryz_arena_deinit(struct ryz_arena *arena);

#endif
