/*
 * request_table.c - slots and lists of a core's requests.
 *
 * Leaves to others: the KV ledger (the caller releases blocks first) and every decision. The queue
 * is a list threaded through the slots, so a cancelled request leaves from the middle at no cost;
 * the running are an array, for they are few and read in order at each step.
 */
#include "engine/sched/request_table.h"

#include "engine/base/assert.h"
#include "engine/base/size.h"

#include <stdlib.h>
#include <string.h>

enum ryz_status ryz_request_table_open(struct ryz_request_table *table, uint32_t slot_count,
                                       uint32_t table_blocks, struct ryz_error *error)
{
    memset(table, 0, sizeof *table);
    table->slot_count = slot_count;
    table->table_blocks = table_blocks;
    table->table_count = ryz_min_u32(slot_count, RYZ_BATCH_MAX);
    size_t entries = 0;
    if (!ryz_mul_size(table->table_count, table_blocks, &entries))
        return ryz_fail(error, RYZ_NO_MEMORY, "block tables of %u entries", table_blocks);
    table->requests = calloc(slot_count, sizeof *table->requests);
    table->free_slots = calloc(slot_count, sizeof *table->free_slots);
    table->tables = calloc(entries, sizeof *table->tables);
    table->free_tables = calloc(table->table_count, sizeof *table->free_tables);
    if (table->requests == NULL || table->free_slots == NULL || table->tables == NULL ||
        table->free_tables == NULL) {
        ryz_request_table_close(table);
        return ryz_fail(error, RYZ_NO_MEMORY, "no memory for %u requests of %u KV blocks",
                        slot_count, table_blocks);
    }
    /* Lowest numbers on top of the stacks: a fresh core uses slot 0 first. */
    for (uint32_t i = 0; i < slot_count; i++) table->free_slots[i] = slot_count - 1 - i;
    for (uint32_t i = 0; i < table->table_count; i++)
        table->free_tables[i] = table->table_count - 1 - i;
    table->free_slot_count = slot_count;
    table->free_table_count = table->table_count;
    table->waiting_head = RYZ_SLOT_NONE;
    table->waiting_tail = RYZ_SLOT_NONE;
    return RYZ_OK;
}

void ryz_request_table_close(struct ryz_request_table *table)
{
    free(table->free_tables);
    free(table->tables);
    free(table->free_slots);
    free(table->requests);
    memset(table, 0, sizeof *table);
}

/* Links a slot in front of `next` (RYZ_SLOT_NONE: at the end). */
static void link_before(struct ryz_request_table *table, uint32_t slot, uint32_t next)
{
    struct ryz_request *request = &table->requests[slot];
    uint32_t previous =
        next == RYZ_SLOT_NONE ? table->waiting_tail : table->requests[next].previous;
    request->previous = previous;
    request->next = next;
    if (previous == RYZ_SLOT_NONE)
        table->waiting_head = slot;
    else
        table->requests[previous].next = slot;
    if (next == RYZ_SLOT_NONE)
        table->waiting_tail = slot;
    else
        table->requests[next].previous = slot;
    request->state = RYZ_SLOT_WAITING;
    table->waiting_count++;
}

static void unlink_waiting(struct ryz_request_table *table, uint32_t slot)
{
    const struct ryz_request *request = &table->requests[slot];
    RYZ_ASSERT(request->state == RYZ_SLOT_WAITING);
    RYZ_ASSERT(table->waiting_count > 0);
    if (request->previous == RYZ_SLOT_NONE)
        table->waiting_head = request->next;
    else
        table->requests[request->previous].next = request->next;
    if (request->next == RYZ_SLOT_NONE)
        table->waiting_tail = request->previous;
    else
        table->requests[request->next].previous = request->previous;
    table->waiting_count--;
}

/* Takes a slot out of the running array and gives its block table back. */
static void remove_running(struct ryz_request_table *table, uint32_t slot)
{
    struct ryz_request *request = &table->requests[slot];
    RYZ_ASSERT(request->state == RYZ_SLOT_RUNNING);
    RYZ_ASSERT(request->view.kv_blocks == 0);
    uint32_t i = 0;
    while (i < table->running_count && table->running[i] != slot) i++;
    RYZ_ASSERT(i < table->running_count);
    table->running_count--;
    memmove(&table->running[i], &table->running[i + 1],
            (table->running_count - i) * sizeof table->running[0]);
    table->free_tables[table->free_table_count++] = request->table;
    request->view.running = false;
}

uint32_t ryz_request_table_arrive(struct ryz_request_table *table)
{
    if (table->free_slot_count == 0) return RYZ_SLOT_NONE;
    uint32_t slot = table->free_slots[--table->free_slot_count];
    struct ryz_request *request = &table->requests[slot];
    RYZ_ASSERT(request->state == RYZ_SLOT_FREE);
    *request = (struct ryz_request){.arrival = table->arrivals++, .sibling = slot};
    request->view.slot = slot;
    link_before(table, slot, RYZ_SLOT_NONE);
    return slot;
}

static bool stands_before(const struct ryz_request *a, const struct ryz_request *b)
{
    if (a->key.first != b->key.first) return a->key.first < b->key.first;
    if (a->key.second != b->key.second) return a->key.second < b->key.second;
    return a->arrival < b->arrival;
}

void ryz_request_table_start(struct ryz_request_table *table, uint32_t slot)
{
    struct ryz_request *request = &table->requests[slot];
    RYZ_ASSERT(table->running_count < RYZ_BATCH_MAX);
    RYZ_ASSERT(table->free_table_count > 0);
    unlink_waiting(table, slot);
    request->table = table->free_tables[--table->free_table_count];
    request->state = RYZ_SLOT_RUNNING;
    request->view.running = true;
    request->parked = false;
    uint32_t i = table->running_count++;
    for (; i > 0; i--) {
        uint32_t before = table->running[i - 1];
        if (stands_before(&table->requests[before], request)) break;
        table->running[i] = before;
    }
    table->running[i] = slot;
}

void ryz_request_table_preempt(struct ryz_request_table *table, uint32_t slot)
{
    remove_running(table, slot);
    uint32_t next = table->waiting_head;
    while (next != RYZ_SLOT_NONE && table->requests[next].arrival < table->requests[slot].arrival)
        next = table->requests[next].next;
    link_before(table, slot, next);
}

void ryz_request_table_end(struct ryz_request_table *table, uint32_t slot)
{
    struct ryz_request *request = &table->requests[slot];
    if (request->state == RYZ_SLOT_RUNNING)
        remove_running(table, slot);
    else
        unlink_waiting(table, slot);
    request->state = RYZ_SLOT_FREE;
    request->planned_tokens = 0;
    request->token_due = false;
    table->free_slots[table->free_slot_count++] = slot;
}

uint32_t *ryz_request_table_blocks(const struct ryz_request_table *table, uint32_t slot)
{
    const struct ryz_request *request = &table->requests[slot];
    RYZ_ASSERT(request->state == RYZ_SLOT_RUNNING);
    return table->tables + (size_t)request->table * table->table_blocks;
}
