/* budget.c - a list of names and a sum. See budget.h. */
#include "engine/memory/budget.h"

#include "engine/base/assert.h"

#include <stdio.h>
#include <string.h>

void ryz_budget_init(struct ryz_budget *budget, uint64_t limit_bytes)
{
    *budget = (struct ryz_budget){.limit_bytes = limit_bytes};
}

uint64_t ryz_budget_free(const struct ryz_budget *budget)
{
    if (budget->limit_bytes == 0) return UINT64_MAX;
    RYZ_ASSERT(budget->used_bytes <= budget->limit_bytes);
    return budget->limit_bytes - budget->used_bytes;
}

static uint32_t find(const struct ryz_budget *budget, const char *name)
{
    uint32_t i = 0;
    while (i < budget->item_count && strcmp(budget->items[i].name, name) != 0) i++;
    return i;
}

/* "12.3 MiB": tenths are as exact as a person needs. */
static void put_bytes(char *text, size_t capacity, uint64_t bytes)
{
    static const char *const units[] = {"KiB", "MiB", "GiB"};
    double value = (double)bytes / 1024.0;
    size_t used = strlen(text), unit = 0;
    for (; unit < 2 && value >= 1000.0; unit++) value /= 1024.0;
    (void)snprintf(text + used, capacity - used, "%.1f %s", value, units[unit]);
}

static void put(char *text, size_t capacity, const char *more)
{
    size_t used = strlen(text);
    (void)snprintf(text + used, capacity - used, "%s", more);
}

void ryz_budget_format(const struct ryz_budget *budget, char *text, size_t capacity)
{
    text[0] = '\0';
    for (uint32_t i = 0; i < budget->item_count; i++) {
        if (i > 0) put(text, capacity, " + ");
        put(text, capacity, budget->items[i].name);
        put(text, capacity, " ");
        put_bytes(text, capacity, budget->items[i].bytes);
    }
    if (budget->item_count > 1) {
        put(text, capacity, " = ");
        put_bytes(text, capacity, budget->used_bytes);
    }
    if (budget->limit_bytes == 0) return;
    put(text, capacity, " of ");
    put_bytes(text, capacity, budget->limit_bytes);
}

enum ryz_status ryz_budget_reserve(struct ryz_budget *budget, const char *name, uint64_t bytes,
                                   const char *remedy, struct ryz_error *error)
{
    RYZ_ASSERT(budget->item_count < RYZ_BUDGET_ITEMS_MAX);
    RYZ_ASSERT(find(budget, name) == budget->item_count);
    if (bytes > ryz_budget_free(budget)) {
        struct ryz_budget wanted = *budget;
        char sum[160] = "", limit[24] = "";
        wanted.items[wanted.item_count++] = (struct ryz_budget_item){name, bytes};
        wanted.used_bytes += bytes;
        wanted.limit_bytes = 0;
        ryz_budget_format(&wanted, sum, sizeof sum);
        put_bytes(limit, sizeof limit, budget->limit_bytes);
        return ryz_fail(error, RYZ_NO_MEMORY, "%s, but memory is %s; %s", sum, limit, remedy);
    }
    uint64_t used = 0;
    if (__builtin_add_overflow(budget->used_bytes, bytes, &used))
        return ryz_fail(error, RYZ_NO_MEMORY, "%s of %llu bytes", name, (unsigned long long)bytes);
    budget->items[budget->item_count++] = (struct ryz_budget_item){.name = name, .bytes = bytes};
    budget->used_bytes = used;
    if (used > budget->peak_bytes) budget->peak_bytes = used;
    return RYZ_OK;
}

void ryz_budget_release(struct ryz_budget *budget, const char *name)
{
    uint32_t i = find(budget, name);
    RYZ_ASSERT(i < budget->item_count);
    budget->used_bytes -= budget->items[i].bytes;
    budget->item_count--;
    memmove(&budget->items[i], &budget->items[i + 1],
            (budget->item_count - i) * sizeof budget->items[0]);
}

uint64_t ryz_budget_of(const struct ryz_budget *budget, const char *name)
{
    uint32_t i = find(budget, name);
    return i < budget->item_count ? budget->items[i].bytes : 0;
}
