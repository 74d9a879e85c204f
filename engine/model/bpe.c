/*
 * bpe.c - merges with a heap, as fast for one word of a megabyte as for many of four letters.
 *
 * Leaves to others: words and bytes. The idea: symbols form a doubly linked list inside an array;
 * the heap holds every neighbouring pair that some merge joins. A popped pair whose two symbols
 * have changed meanwhile is stale and dropped. Looking for the best pair by a scan instead is
 * quadratic, and one long word without spaces would then occupy a server for minutes.
 */
#include "engine/model/bpe.h"

#include "engine/base/assert.h"
#include "engine/base/size.h"

#include <stdbool.h>
#include <stdlib.h>

#define SYMBOLS_MAX   (UINT32_C(1) << 31)
#define SCRATCH_FIRST 256u /* symbols; longer words are rare */
#define END           UINT32_MAX

/* One slot of the open-addressed table. */
struct merge {
    uint64_t pair; /* left << 32 | right */
    uint32_t rank; /* UINT32_MAX: the slot is free */
    uint32_t merged;
};

struct ryz_bpe {
    struct merge *slots;
    size_t mask; /* slots - 1, a power of two less one, at least twice the merges */
    size_t capacity;
    uint32_t next_rank;
};

struct ryz_bpe_symbol {
    uint32_t id; /* RYZ_BPE_NO_SYMBOL once joined to its left neighbour, too */
    uint32_t previous, next;
};

struct ryz_bpe_pair {
    uint32_t rank;
    uint32_t at;          /* index of the left symbol */
    uint32_t left, right; /* ids when the pair was found */
    uint32_t merged;
};

enum ryz_status ryz_bpe_open(size_t merges, struct ryz_bpe **out, struct ryz_error *error)
{
    size_t slots = 16;
    while (slots / 2 < merges && slots < SIZE_MAX / 2 / sizeof(struct merge)) slots *= 2;
    struct ryz_bpe *bpe = calloc(1, sizeof *bpe);
    struct merge *table = merges < SYMBOLS_MAX ? calloc(slots, sizeof *table) : NULL;
    if (!bpe || !table) {
        free(bpe);
        free(table);
        return ryz_fail(error, RYZ_NO_MEMORY, "no memory for %zu merges", merges);
    }
    for (size_t i = 0; i < slots; i++) table[i].rank = UINT32_MAX;
    bpe->slots = table;
    bpe->mask = slots - 1;
    bpe->capacity = merges;
    *out = bpe;
    return RYZ_OK;
}

void ryz_bpe_close(struct ryz_bpe *bpe)
{
    if (!bpe) return;
    free(bpe->slots);
    free(bpe);
}

/* The slot of a pair, or the free one where it would go. */
static struct merge *find_slot(const struct ryz_bpe *bpe, uint32_t left, uint32_t right)
{
    uint64_t pair = (uint64_t)left << 32 | right;
    uint64_t hash = pair * UINT64_C(0x9e3779b97f4a7c15);
    size_t i = (size_t)(hash ^ (hash >> 32)) & bpe->mask;
    while (bpe->slots[i].rank != UINT32_MAX && bpe->slots[i].pair != pair) {
        i = (i + 1) & bpe->mask;
    }
    return &bpe->slots[i];
}

void ryz_bpe_add(struct ryz_bpe *bpe, uint32_t left, uint32_t right, uint32_t merged)
{
    RYZ_ASSERT(bpe->next_rank < bpe->capacity);
    uint32_t rank = bpe->next_rank++;
    struct merge *slot = find_slot(bpe, left, right);
    if (slot->rank != UINT32_MAX) return;
    *slot = (struct merge){(uint64_t)left << 32 | right, rank, merged};
}

void ryz_bpe_scratch_init(struct ryz_bpe_scratch *scratch)
{
    *scratch = (struct ryz_bpe_scratch){0};
}

void ryz_bpe_scratch_deinit(struct ryz_bpe_scratch *scratch)
{
    free(scratch->symbols);
    free(scratch->heap);
    ryz_bpe_scratch_init(scratch);
}

/* Room for `count` symbols. A word of n symbols pushes at most n - 1 pairs at first and two more
 * for each of its n - 1 merges. */
static enum ryz_status reserve(struct ryz_bpe_scratch *scratch, size_t count)
{
    if (count <= scratch->capacity) return RYZ_OK;
    size_t capacity = count < SCRATCH_FIRST ? SCRATCH_FIRST : count;
    size_t pairs, pair_bytes, symbol_bytes;
    if (!ryz_mul_size(capacity, 3, &pairs) ||
        !ryz_mul_size(pairs, sizeof *scratch->heap, &pair_bytes) ||
        !ryz_mul_size(capacity, sizeof *scratch->symbols, &symbol_bytes)) {
        return RYZ_NO_MEMORY;
    }
    ryz_bpe_scratch_deinit(scratch);
    scratch->symbols = malloc(symbol_bytes);
    scratch->heap = malloc(pair_bytes);
    if (!scratch->symbols || !scratch->heap) {
        ryz_bpe_scratch_deinit(scratch);
        return RYZ_NO_MEMORY;
    }
    scratch->capacity = capacity;
    return RYZ_OK;
}

/* ---- heap, best pair first ---- */

static bool better(const struct ryz_bpe_pair *a, const struct ryz_bpe_pair *b)
{
    return a->rank != b->rank ? a->rank < b->rank : a->at < b->at;
}

static void heap_push(struct ryz_bpe_pair *heap, size_t count, struct ryz_bpe_pair pair)
{
    size_t i = count;
    while (i > 0 && better(&pair, &heap[(i - 1) / 2])) {
        heap[i] = heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    heap[i] = pair;
}

/* Removes the best of `count` >= 1 pairs. */
static struct ryz_bpe_pair heap_pop(struct ryz_bpe_pair *heap, size_t count)
{
    struct ryz_bpe_pair best = heap[0];
    struct ryz_bpe_pair last = heap[count - 1];
    size_t i = 0;
    for (size_t child = 1; child < count - 1; child = 2 * i + 1) {
        if (child + 1 < count - 1 && better(&heap[child + 1], &heap[child])) child++;
        if (!better(&heap[child], &last)) break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = last;
    return best;
}

/* ---- merging ---- */

/* Pushes the pair that starts at symbol `at` if a merge joins it. */
static void push_pair(const struct ryz_bpe *bpe, struct ryz_bpe_scratch *scratch, uint32_t at,
                      size_t *heap_count)
{
    uint32_t next = scratch->symbols[at].next;
    if (next == END) return;
    uint32_t left = scratch->symbols[at].id, right = scratch->symbols[next].id;
    if (left == RYZ_BPE_NO_SYMBOL || right == RYZ_BPE_NO_SYMBOL) return;
    const struct merge *merge = find_slot(bpe, left, right);
    if (merge->rank == UINT32_MAX) return;
    RYZ_DASSERT(*heap_count < 3 * scratch->capacity);
    struct ryz_bpe_pair pair = {merge->rank, at, left, right, merge->merged};
    heap_push(scratch->heap, (*heap_count)++, pair);
}

/* Joins a popped pair unless it is stale. */
static void apply_pair(const struct ryz_bpe *bpe, struct ryz_bpe_scratch *scratch,
                       const struct ryz_bpe_pair *pair, size_t *heap_count)
{
    struct ryz_bpe_symbol *symbols = scratch->symbols;
    struct ryz_bpe_symbol *left = &symbols[pair->at];
    if (left->id != pair->left || left->next == END) return;
    struct ryz_bpe_symbol *right = &symbols[left->next];
    if (right->id != pair->right) return;
    left->id = pair->merged;
    right->id = RYZ_BPE_NO_SYMBOL; /* so that pairs which start there go stale */
    left->next = right->next;
    if (left->next != END) symbols[left->next].previous = pair->at;
    if (left->previous != END) push_pair(bpe, scratch, left->previous, heap_count);
    push_pair(bpe, scratch, pair->at, heap_count);
}

enum ryz_status ryz_bpe_merge(const struct ryz_bpe *bpe, struct ryz_bpe_scratch *scratch,
                              uint32_t *ids, size_t *count)
{
    size_t n = *count;
    if (n < 2) return RYZ_OK;
    if (n > SYMBOLS_MAX) return RYZ_INVALID;
    enum ryz_status status = reserve(scratch, n);
    if (status != RYZ_OK) return status;
    for (uint32_t i = 0; i < n; i++) {
        scratch->symbols[i] = (struct ryz_bpe_symbol){ids[i], i ? i - 1 : END, i + 1};
    }
    scratch->symbols[n - 1].next = END;
    size_t heap_count = 0;
    for (uint32_t i = 0; i + 1 < n; i++) push_pair(bpe, scratch, i, &heap_count);
    while (heap_count > 0) {
        struct ryz_bpe_pair pair = heap_pop(scratch->heap, heap_count--);
        apply_pair(bpe, scratch, &pair, &heap_count);
    }
    size_t left = 0;
    for (uint32_t i = 0; i != END; i = scratch->symbols[i].next) {
        ids[left++] = scratch->symbols[i].id;
    }
    *count = left;
    return RYZ_OK;
}
