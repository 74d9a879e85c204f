/*
 * arena.c - chunks of zeroed memory, cut front to back, freed together.
 *
 * Leaves to others: returning a single piece (an arena never does), thread safety (one thread at a
 * time). The idea: chunks come from calloc, so that the pages of a large piece (weights, KV blocks)
 * stay untouched until they are used.
 */
#include "engine/base/arena.h"

#include "engine/base/assert.h"
#include "engine/base/size.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_ALIGN       ((size_t)64) /* a cache line, and the widest vector load */
#define ARENA_CHUNK_BYTES ((size_t)64 * 1024)

struct ryz_arena_chunk {
    struct ryz_arena_chunk *next;
    size_t used_bytes; /* from `data`, always a multiple of ARENA_ALIGN */
    size_t size_bytes; /* from `data` */
    unsigned char *data;
};

void ryz_arena_init(struct ryz_arena *arena)
{
    *arena = (struct ryz_arena){0};
}

void ryz_arena_init_counting(struct ryz_arena *arena)
{
    *arena = (struct ryz_arena){.counting = true};
}

/* Adds a chunk with room for `size` bytes, already rounded up. */
static struct ryz_arena_chunk *add_chunk(struct ryz_arena *arena, size_t size)
{
    size_t data_bytes = size > ARENA_CHUNK_BYTES ? size : ARENA_CHUNK_BYTES;
    size_t total = 0;
    if (!ryz_add_size(data_bytes, sizeof(struct ryz_arena_chunk) + ARENA_ALIGN, &total) ||
        total > PTRDIFF_MAX) /* no object is larger: do not bother the allocator */
        return NULL;
    struct ryz_arena_chunk *chunk = calloc(1, total);
    if (chunk == NULL) return NULL;
    uintptr_t first = (uintptr_t)chunk + sizeof *chunk;
    size_t pad = (ARENA_ALIGN - first % ARENA_ALIGN) % ARENA_ALIGN;
    chunk->data = (unsigned char *)chunk + sizeof *chunk + pad;
    chunk->size_bytes = data_bytes;
    /* A chunk made for one large piece is full at once: keep the half-used one in front. */
    if (arena->chunks != NULL && size > ARENA_CHUNK_BYTES) {
        chunk->next = arena->chunks->next;
        arena->chunks->next = chunk;
    } else {
        chunk->next = arena->chunks;
        arena->chunks = chunk;
    }
    return chunk;
}

void *ryz_arena_alloc(struct ryz_arena *arena, size_t size)
{
    size_t rounded = 0;
    if (size == 0) size = 1; /* each piece has an address of its own */
    if (!ryz_add_size(size, ARENA_ALIGN - 1, &rounded)) return NULL;
    rounded -= rounded % ARENA_ALIGN;
    if (arena->counting) return ryz_add_size(arena->bytes, rounded, &arena->bytes) ? arena : NULL;
    struct ryz_arena_chunk *chunk = arena->chunks;
    if (chunk == NULL || chunk->size_bytes - chunk->used_bytes < rounded) {
        chunk = add_chunk(arena, rounded);
        if (chunk == NULL) return NULL;
    }
    RYZ_ASSERT(chunk->used_bytes + rounded <= chunk->size_bytes);
    void *piece = chunk->data + chunk->used_bytes;
    chunk->used_bytes += rounded;
    arena->bytes += rounded;
    return piece;
}

void *ryz_arena_array(struct ryz_arena *arena, size_t count, size_t size)
{
    size_t bytes = 0;
    return ryz_mul_size(count, size, &bytes) ? ryz_arena_alloc(arena, bytes) : NULL;
}

char *ryz_arena_strdup(struct ryz_arena *arena, const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = ryz_arena_alloc(arena, bytes);
    if (copy != NULL) memcpy(copy, text, bytes);
    return copy;
}

void ryz_arena_deinit(struct ryz_arena *arena)
{
    struct ryz_arena_chunk *chunk = arena->chunks;
    while (chunk != NULL) {
        struct ryz_arena_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
    arena->chunks = NULL;
    arena->bytes = 0;
}
