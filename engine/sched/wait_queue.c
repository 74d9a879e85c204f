/*
 * wait_queue.c - the sorted array and the turns of tenants.
 *
 * Leaves to others: keys (the policies) and what a tenant has been served (fair_share.h).
 */
#include "engine/sched/wait_queue.h"

#include "engine/base/assert.h"
#include "engine/sched/fair_share.h"

#include <stdlib.h>
#include <string.h>

enum ryz_status ryz_wait_queue_open(struct ryz_wait_queue *queue, uint32_t capacity, bool fair,
                                    struct ryz_error *error)
{
    *queue = (struct ryz_wait_queue){.capacity = capacity, .fair = fair};
    queue->entries = calloc(capacity, sizeof *queue->entries);
    if (queue->entries == NULL)
        return ryz_fail(error, RYZ_NO_MEMORY, "no memory for a queue of %u requests", capacity);
    return RYZ_OK;
}

void ryz_wait_queue_close(struct ryz_wait_queue *queue)
{
    free(queue->entries);
    memset(queue, 0, sizeof *queue);
}

static int compare_u64(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int compare_keys(const struct ryz_order_key *a, const struct ryz_order_key *b)
{
    int order = compare_u64(a->first, b->first);
    return order != 0 ? order : compare_u64(a->second, b->second);
}

/* Do tenants take turns in the group of this key? */
static bool takes_turns(const struct ryz_wait_queue *queue, const struct ryz_order_key *key)
{
    return queue->fair && key->first > 0;
}

static int compare(const struct ryz_wait_queue *queue, const struct ryz_wait_entry *a,
                   const struct ryz_wait_entry *b)
{
    int order = compare_keys(&a->key, &b->key);
    if (order == 0 && takes_turns(queue, &a->key)) order = (int)a->tenant - (int)b->tenant;
    return order != 0 ? order : compare_u64(a->arrival, b->arrival);
}

/* Index of the first entry in [from, queue->end) that does not stand before `entry`. */
static uint32_t lower_bound(const struct ryz_wait_queue *queue, uint32_t from,
                            const struct ryz_wait_entry *entry)
{
    uint32_t low = from, high = queue->end;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (compare(queue, &queue->entries[middle], entry) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void ryz_wait_queue_add(struct ryz_wait_queue *queue, const struct ryz_wait_entry *entry)
{
    RYZ_ASSERT(ryz_wait_queue_count(queue) < queue->capacity);
    uint32_t at = lower_bound(queue, queue->begin, entry);
    struct ryz_wait_entry *entries = queue->entries;
    bool shift_front =
        queue->begin > 0 && (queue->end == queue->capacity || at - queue->begin < queue->end - at);
    if (shift_front) {
        memmove(&entries[queue->begin - 1], &entries[queue->begin],
                (at - queue->begin) * sizeof *entries);
        queue->begin--;
        at--;
    } else {
        memmove(&entries[at + 1], &entries[at], (queue->end - at) * sizeof *entries);
        queue->end++;
    }
    entries[at] = *entry;
}

void ryz_wait_queue_remove(struct ryz_wait_queue *queue, const struct ryz_wait_entry *entry)
{
    uint32_t at = lower_bound(queue, queue->begin, entry);
    struct ryz_wait_entry *entries = queue->entries;
    RYZ_ASSERT(at < queue->end && entries[at].slot == entry->slot);
    if (at - queue->begin < queue->end - 1 - at) {
        memmove(&entries[queue->begin + 1], &entries[queue->begin],
                (at - queue->begin) * sizeof *entries);
        queue->begin++;
    } else {
        memmove(&entries[at], &entries[at + 1], (queue->end - 1 - at) * sizeof *entries);
        queue->end--;
    }
}

/* One tenant's share of a group: entries [next, end). */
struct turn {
    uint32_t next, end;
    uint64_t service;
};

/* Finds the tenants of the group that begins at `begin`; their number is returned, and *group_end.
 */
static uint32_t find_turns(const struct ryz_wait_queue *queue, uint32_t begin,
                           const uint64_t *service, struct turn turns[RYZ_TENANTS_MAX],
                           uint32_t *group_end)
{
    const struct ryz_order_key *key = &queue->entries[begin].key;
    uint32_t at = begin, count = 0;
    while (at < queue->end && compare_keys(&queue->entries[at].key, key) == 0) {
        struct ryz_wait_entry past = queue->entries[at];
        RYZ_ASSERT(count < RYZ_TENANTS_MAX);
        past.arrival = UINT64_MAX;
        struct turn *turn = &turns[count++];
        *turn = (struct turn){.next = at, .service = service[past.tenant]};
        turn->end = at = lower_bound(queue, at, &past);
    }
    *group_end = at;
    return count;
}

/* The turn of the tenant that has had least; the lower tenant wins a tie. NULL: all are through. */
static struct turn *least_served(struct turn *turns, uint32_t count)
{
    struct turn *least = NULL;
    for (uint32_t i = 0; i < count; i++) {
        if (turns[i].next == turns[i].end) continue;
        if (least == NULL || turns[i].service < least->service) least = &turns[i];
    }
    return least;
}

/* Deals a group's requests to slots[*used ..]; returns where the next group begins. */
static uint32_t deal_group(const struct ryz_wait_queue *queue, uint32_t begin,
                           const uint64_t *service, uint32_t count, uint32_t *slots, uint32_t *used)
{
    struct turn turns[RYZ_TENANTS_MAX];
    uint32_t group_end = 0;
    uint32_t tenants = find_turns(queue, begin, service, turns, &group_end);
    while (*used < count) {
        struct turn *turn = least_served(turns, tenants);
        if (turn == NULL) break;
        const struct ryz_wait_entry *entry = &queue->entries[turn->next++];
        slots[(*used)++] = entry->slot;
        turn->service += (uint64_t)RYZ_FAIR_PROMPT_WEIGHT * entry->tokens;
    }
    return group_end;
}

uint32_t ryz_wait_queue_first(const struct ryz_wait_queue *queue, const uint64_t *service,
                              uint32_t count, uint32_t *slots)
{
    uint32_t used = 0, at = queue->begin;
    while (used < count && at < queue->end) {
        if (takes_turns(queue, &queue->entries[at].key))
            at = deal_group(queue, at, service, count, slots, &used);
        else
            slots[used++] = queue->entries[at++].slot;
    }
    return used;
}

static uint64_t charge_of(const struct ryz_wait_newcomer *newcomer,
                          const struct ryz_wait_entry *entry)
{
    double output = newcomer->used_share * (double)entry->output_left;
    return (uint64_t)RYZ_FAIR_PROMPT_WEIGHT * entry->tokens +
           RYZ_FAIR_OUTPUT_WEIGHT * (uint64_t)output;
}

/* The turns of the group that begins at `at`, which is the newcomer's. */
static void visit_turns(const struct ryz_wait_queue *queue, uint32_t at,
                        const struct ryz_wait_newcomer *newcomer,
                        void (*visit)(void *context, const struct ryz_wait_entry *entry),
                        void *context)
{
    uint64_t level = newcomer->own_service, served = 0;
    uint32_t end = at;
    for (; end < queue->end && compare_keys(&queue->entries[end].key, &newcomer->key) == 0; end++)
        if (queue->entries[end].tenant == newcomer->tenant)
            level += charge_of(newcomer, &queue->entries[end]);
    for (uint32_t i = at; i < end; i++) {
        const struct ryz_wait_entry *entry = &queue->entries[i];
        if (i == at || entry->tenant != entry[-1].tenant) served = newcomer->service[entry->tenant];
        bool own = entry->tenant == newcomer->tenant;
        if (own || served < level || (served == level && entry->tenant < newcomer->tenant))
            visit(context, entry);
        served += charge_of(newcomer, entry);
    }
}

void ryz_wait_queue_before(const struct ryz_wait_queue *queue,
                           const struct ryz_wait_newcomer *newcomer,
                           void (*visit)(void *context, const struct ryz_wait_entry *entry),
                           void *context)
{
    for (uint32_t at = queue->begin; at < queue->end; at++) {
        const struct ryz_wait_entry *entry = &queue->entries[at];
        int order = compare_keys(&entry->key, &newcomer->key);
        if (order > 0) return;
        if (order == 0 && takes_turns(queue, &entry->key)) {
            visit_turns(queue, at, newcomer, visit, context);
            return;
        }
        visit(context, entry);
    }
}
