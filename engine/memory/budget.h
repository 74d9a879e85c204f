/*
 * budget.h - what the engine's memory is for, and how much there may be of it.
 *
 *   budget  |== weights ==|= activations =|= requests =|======= KV cache =======|  free  |
 *
 * An account, not an allocator: whoever takes memory reserves it here first, under a name, so that
 * what does not fit is refused with the sum that shows why. Without a limit everything fits and the
 * account is kept all the same. One thread at a time.
 */
#ifndef RYZ_MEMORY_BUDGET_H
#define RYZ_MEMORY_BUDGET_H

#include "engine/base/status.h"

#include <stddef.h>
#include <stdint.h>

#define RYZ_BUDGET_ITEMS_MAX 8u

struct ryz_budget_item {
    const char *name; /* static text */
    uint64_t bytes;
};

/* Fields may be read. */
struct ryz_budget {
    uint64_t limit_bytes; /* 0: none */
    uint64_t used_bytes;  /* sum of the items */
    uint64_t peak_bytes;  /* most that was ever used */
    uint32_t item_count;
    struct ryz_budget_item items[RYZ_BUDGET_ITEMS_MAX]; /* (item_count) in order of reservation */
};

void ryz_budget_init(struct ryz_budget *budget, uint64_t limit_bytes);
/* Adds an item; a name comes once. `remedy`: what a person could lower. RYZ_NO_MEMORY, and nothing
 * reserved, when that is more than the limit; the text has the sum. */
RYZ_MUST_USE enum ryz_status ryz_budget_reserve(struct ryz_budget *budget, const char *name,
                                                uint64_t bytes, const char *remedy,
                                                struct ryz_error *error);
/* Takes an item out, which must be there. */
void ryz_budget_release(struct ryz_budget *budget, const char *name);
/* What may still be reserved; UINT64_MAX without a limit. */
uint64_t ryz_budget_free(const struct ryz_budget *budget);
/* Bytes of an item, 0 if there is none of that name. */
uint64_t ryz_budget_of(const struct ryz_budget *budget, const char *name);
/* "weights 14.0 MiB + KV cache 256 MiB = 270 MiB of 4.00 GiB"; cut to the capacity. */
void ryz_budget_format(const struct ryz_budget *budget, char *text, size_t capacity);

#endif
