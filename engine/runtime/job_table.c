/*
 * job_table.c - places for requests, given out as a stack.
 *
 * Leaves to others: what a request means. The idea: a place keeps its last generation, so an id is
 * never used twice and stale ids are recognised by comparison.
 */
#include "engine/runtime/job_table.h"

#include "engine/base/assert.h"
#include "engine/base/atomic.h"
#include "engine/base/size.h"

#include <stdlib.h>
#include <string.h>

/* Rows of hashes, touched on first use; false: no memory. */
static bool open_hashes(struct ryz_job_table *table, uint32_t count, uint32_t hash_blocks)
{
    size_t entries = 0;
    if (hash_blocks == 0) return true;
    if (!ryz_mul_size(count, hash_blocks, &entries)) return false;
    table->hashes = calloc(entries, sizeof *table->hashes);
    for (uint32_t i = 0; table->hashes != NULL && i < count; i++)
        table->jobs[i].hashes = table->hashes + (size_t)i * hash_blocks;
    return table->hashes != NULL;
}

enum ryz_status ryz_job_table_open(struct ryz_job_table *table, uint32_t count, uint32_t context,
                                   uint32_t hash_blocks, struct ryz_error *error)
{
    memset(table, 0, sizeof *table);
    RYZ_ASSERT(count > 0 && context > 0);
    size_t tokens = 0, bytes = 0;
    if (!ryz_mul_size(count, context, &tokens) || !ryz_mul_size(tokens, sizeof(uint32_t), &bytes))
        return ryz_fail(error, RYZ_NO_MEMORY, "%u requests of %u tokens do not fit in memory",
                        count, context);
    table->jobs = calloc(count, sizeof *table->jobs);
    table->tokens = calloc(tokens, sizeof *table->tokens);
    table->free = calloc(count, sizeof *table->free);
    if (table->jobs == NULL || table->tokens == NULL || table->free == NULL ||
        !open_hashes(table, count, hash_blocks)) {
        free(table->jobs);
        free(table->tokens);
        free(table->free);
        memset(table, 0, sizeof *table);
        return ryz_fail(error, RYZ_NO_MEMORY, "no memory for %u requests of %u tokens", count,
                        context);
    }
    table->count = count;
    table->context = context;
    while ((UINT64_C(1) << table->place_bits) < count) table->place_bits++;
    for (uint32_t i = 0; i < count; i++) {
        table->jobs[i].tokens = table->tokens + (size_t)i * context;
        table->free[i] = count - 1 - i; /* place 0 first */
    }
    table->free_count = count;
    (void)pthread_mutex_init(&table->lock, NULL);
    return RYZ_OK;
}

void ryz_job_table_close(struct ryz_job_table *table)
{
    if (table->jobs == NULL) return;
    (void)pthread_mutex_destroy(&table->lock);
    free(table->jobs);
    free(table->tokens);
    free(table->hashes);
    free(table->free);
    memset(table, 0, sizeof *table);
}

/* Caller holds the lock; there is a free place. */
static struct ryz_job *take_place(struct ryz_job_table *table)
{
    uint32_t place = table->free[--table->free_count];
    struct ryz_job *job = &table->jobs[place];
    RYZ_ASSERT(job->id == 0);
    job->id = ++job->generation << table->place_bits | place;
    ryz_store_relaxed(&job->cancel, 0);
    return job;
}

struct ryz_job *ryz_job_table_take(struct ryz_job_table *table, uint32_t count)
{
    struct ryz_job *first = NULL, *last = NULL;
    RYZ_ASSERT(count > 0);
    (void)pthread_mutex_lock(&table->lock);
    for (uint32_t i = 0; i < count && table->free_count >= count - i; i++) {
        struct ryz_job *job = take_place(table);
        if (first == NULL) first = job;
        if (last != NULL) last->next = job;
        last = job;
        job->first = first;
        job->next = NULL;
        job->choice = i;
    }
    (void)pthread_mutex_unlock(&table->lock);
    if (first == NULL) return NULL;
    first->open_choices = count;
    first->displaced = false;
    return first;
}

/* Caller holds the lock. */
static void free_place(struct ryz_job_table *table, struct ryz_job *job)
{
    RYZ_ASSERT(job->id != 0);
    RYZ_ASSERT(table->free_count < table->count);
    job->id = 0;
    table->free[table->free_count++] = (uint32_t)(job - table->jobs);
}

void ryz_job_table_release(struct ryz_job_table *table, struct ryz_job *job)
{
    struct ryz_job *first = job->first;
    RYZ_ASSERT(first->open_choices > 0);
    (void)pthread_mutex_lock(&table->lock);
    if (job != first) free_place(table, job);
    if (--first->open_choices == 0) free_place(table, first);
    (void)pthread_mutex_unlock(&table->lock);
}

bool ryz_job_table_cancel(struct ryz_job_table *table, uint64_t id)
{
    uint64_t place = id & ((UINT64_C(1) << table->place_bits) - 1);
    if (id == 0 || place >= table->count) return false;
    struct ryz_job *job = &table->jobs[place];
    (void)pthread_mutex_lock(&table->lock);
    bool inside = job->id == id;
    if (inside) ryz_store_release(&job->cancel, 1);
    (void)pthread_mutex_unlock(&table->lock);
    return inside;
}
