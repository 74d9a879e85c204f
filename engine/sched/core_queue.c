/*
 * core_queue.c - the waiting requests of a core: their order, their turns, and who has starved.
 *
 * Leaves to others: the sorted array (wait_queue.c), the counters (fair_share.c). The idea: a key
 * is fixed when a request arrives, so the queue is only ever searched, never sorted again; one
 * promise breaks the order: who has waited for starve_ns goes first, in half of the places.
 */
#include "engine/base/assert.h"
#include "engine/base/clock.h"
#include "engine/sched/core_internal.h"

static struct ryz_wait_entry entry_of(const struct ryz_core *core, uint32_t slot)
{
    const struct ryz_request *request = &core->table.requests[slot];
    return (struct ryz_wait_entry){
        .key = request->key,
        .arrival = request->arrival,
        .slot = slot,
        .tokens = request->view.prompt_tokens + request->view.decoded_tokens,
        .output_left = request->view.output_tokens_max - request->view.decoded_tokens,
        .tenant = request->view.tenant,
    };
}

void ryz_core_enqueue(struct ryz_core *core, uint32_t slot)
{
    struct ryz_wait_entry entry = entry_of(core, slot);
    RYZ_ASSERT(core->table.requests[slot].state == RYZ_SLOT_WAITING);
    core->waiting_tokens += entry.tokens;
    if (core->table.requests[slot].parked) return;
    ryz_wait_queue_add(&core->queue, &entry);
    uint8_t partition = core->partitions.number_of[entry.tenant];
    if (partition != 0) ryz_wait_queue_add(&core->queues[partition], &entry);
    ryz_fair_share_queued(&core->share, entry.tenant);
}

void ryz_core_dequeue(struct ryz_core *core, uint32_t slot)
{
    struct ryz_wait_entry entry = entry_of(core, slot);
    RYZ_ASSERT(core->table.requests[slot].state == RYZ_SLOT_WAITING);
    RYZ_ASSERT(core->waiting_tokens >= entry.tokens);
    core->waiting_tokens -= entry.tokens;
    if (core->table.requests[slot].parked) return;
    ryz_wait_queue_remove(&core->queue, &entry);
    uint8_t partition = core->partitions.number_of[entry.tenant];
    if (partition != 0) ryz_wait_queue_remove(&core->queues[partition], &entry);
    ryz_fair_share_unqueued(&core->share, entry.tenant);
}

void ryz_core_park(struct ryz_core *core, uint32_t slot, bool parked)
{
    struct ryz_request *request = &core->table.requests[slot];
    if (request->parked == parked) return;
    ryz_core_dequeue(core, slot);
    request->parked = parked;
    ryz_core_enqueue(core, slot);
}

/* Requests at the front of all: the running and the waiting ones that have starved, up to `most`.
 */
static uint32_t count_starved(const struct ryz_core *core, uint32_t most)
{
    const struct ryz_request_table *table = &core->table;
    uint32_t running = 0, waiting = 0, queued = ryz_wait_queue_count(&core->queue);
    while (running < table->running_count &&
           table->requests[table->running[running]].key.first == 0)
        running++;
    while (running + waiting < most && waiting < queued &&
           ryz_wait_queue_at(&core->queue, waiting)->key.first == 0)
        waiting++;
    return running + waiting;
}

void ryz_core_feed_the_starved(struct ryz_core *core, int64_t now_ns)
{
    if (core->limits.starve_ns == 0) return;
    /* Half of the places, for where more starve than can be served, this promise would be the only
     * order there is. The other half is served as the policy wants. */
    uint32_t most = ryz_batch_control_limits(&core->batch, &core->limits).batch_requests_max / 2;
    if (most == 0) most = 1;
    uint32_t starved = count_starved(core, most);
    /* The list is by arrival: behind the first that has not starved, nobody has. */
    uint32_t slot = core->table.waiting_head;
    for (uint32_t i = 0; i < RYZ_BATCH_MAX && starved < most && slot != RYZ_SLOT_NONE; i++) {
        struct ryz_request *request = &core->table.requests[slot];
        if (now_ns - request->view.arrived_ns <= core->limits.starve_ns) return;
        if (request->key.first != 0) {
            starved++;
            ryz_core_dequeue(core, slot);
            request->key = (struct ryz_order_key){0, 0};
            request->view.urgency = 0;
            ryz_core_enqueue(core, slot);
            core->stats.starved++;
        }
        slot = request->next;
    }
}
