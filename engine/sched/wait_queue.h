/*
 * wait_queue.h - the waiting requests of a core in the order in which its policy would start them.
 *
 * A sorted array with room at both ends: a queue of a few thousand is searched and shifted in less
 * than a microsecond, and read from the front without following a pointer. Where tenants take
 * turns, the requests of a group (equal keys) stand tenant by tenant, so that each one's next is
 * found by a search.
 */
#ifndef RYZ_SCHED_WAIT_QUEUE_H
#define RYZ_SCHED_WAIT_QUEUE_H

#include "engine/sched/sched.h"

#include "engine/base/status.h"

/* One waiting request: its place in the order, and what tenants are charged for. */
struct ryz_wait_entry {
    struct ryz_order_key key;
    uint64_t arrival; /* number of the arrival; breaks ties */
    uint32_t slot;
    uint32_t tokens;      /* to be computed before its next token */
    uint32_t output_left; /* that it may still generate at most */
    uint16_t tenant;
};

/* Treat the fields as private. */
struct ryz_wait_queue {
    struct ryz_wait_entry *entries; /* (capacity) [begin, end) are used */
    uint32_t capacity, begin, end;
    bool fair; /* groups are ordered by tenant, then arrival; else by arrival */
};

RYZ_MUST_USE enum ryz_status ryz_wait_queue_open(struct ryz_wait_queue *queue, uint32_t capacity,
                                                 bool fair, struct ryz_error *error);
void ryz_wait_queue_close(struct ryz_wait_queue *queue);

static inline uint32_t ryz_wait_queue_count(const struct ryz_wait_queue *queue)
{
    return queue->end - queue->begin;
}

/* The i-th entry in order. */
static inline const struct ryz_wait_entry *ryz_wait_queue_at(const struct ryz_wait_queue *queue,
                                                             uint32_t i)
{
    return &queue->entries[queue->begin + i];
}

/* Adds an entry; there must be room. */
void ryz_wait_queue_add(struct ryz_wait_queue *queue, const struct ryz_wait_entry *entry);
/* Takes out the entry with this key, tenant and arrival, which must be there. */
void ryz_wait_queue_remove(struct ryz_wait_queue *queue, const struct ryz_wait_entry *entry);

/* Writes the slots of the first `count` requests in the order of the policy: group by group, and
 * inside a group by turns of the tenants, each turn charged to a copy of `service` (per tenant,
 * RYZ_TENANTS_MAX; what each has had so far, in weighted tokens). Not fair, or in the group of the
 * starved (key.first 0): by arrival. Returns how many there were. */
uint32_t ryz_wait_queue_first(const struct ryz_wait_queue *queue, const uint64_t *service,
                              uint32_t count, uint32_t *slots);

/* A request that is about to arrive. */
struct ryz_wait_newcomer {
    struct ryz_order_key key;
    const uint64_t *service; /* (RYZ_TENANTS_MAX) as for ryz_wait_queue_first */
    uint64_t own_service;    /* with which it would queue */
    double used_share;       /* of its output_left that a request is believed to use */
    uint16_t tenant;
};

/* Calls `visit` for each request that is believed to be started before the newcomer, in the order
 * of the queue: who stands before it; where tenants take turns, all of its own tenant, and of each
 * other one as many as have their turn before its own comes, charged for prompt and output. */
void ryz_wait_queue_before(const struct ryz_wait_queue *queue,
                           const struct ryz_wait_newcomer *newcomer,
                           void (*visit)(void *context, const struct ryz_wait_entry *entry),
                           void *context);

#endif
