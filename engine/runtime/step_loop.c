/*
 * step_loop.c - the thread that owns the core: look at what is new, take a step, or sleep.
 *
 *   .-> submissions -> cancels -> deadlines -> fault windows -> step --.
 *   '------- sleep until woken, a deadline or a window's edge <- (none)-'
 *
 * Leaves to others: the step itself (step.c). The idea: everything that reaches the core is an
 * event stamped here, in one order, so the event log tells the whole story.
 */
#include "engine/runtime/step_loop.h"

#include "engine/base/assert.h"
#include "engine/base/atomic.h"
#include "engine/runtime/deliver.h"
#include "engine/runtime/step.h"

/* An idle engine shows life this often; health checks look for a heartbeat of the last second. */
#define IDLE_NS (200 * RYZ_NS_PER_MS)

/* Takes over a new fault plan and reads the stop flag. */
static bool look_around(struct ryz_engine *engine)
{
    (void)pthread_mutex_lock(&engine->lock);
    bool stopping = engine->stopping;
    if (engine->faults_version != engine->faults_seen) {
        engine->faults = engine->faults_wanted;
        engine->faults_seen = engine->faults_version;
        engine->kv_edge_ns = RYZ_TIME_NONE; /* look at kv.alloc again */
        (void)pthread_cond_broadcast(&engine->acked);
    }
    (void)pthread_mutex_unlock(&engine->lock);
    return stopping;
}

/* The status of a request that the core did not take. */
static enum ryz_status refusal(enum ryz_effect_kind kind)
{
    bool load = kind == RYZ_EFFECT_REJECTED_FULL || kind == RYZ_EFFECT_REJECTED_LATE;
    return load ? RYZ_FULL : RYZ_INVALID;
}

/* Tells the core what the request that arrives next begins with. */
static void feed_hashes(struct ryz_engine *engine, const struct ryz_job *job, int64_t now_ns)
{
    for (uint32_t i = 0; i < job->hash_count;) {
        struct ryz_event event = {.kind = RYZ_EV_HASHES, .t_ns = now_ns, .request_id = job->id};
        for (; i < job->hash_count && event.flags < RYZ_EVENT_HASHES_MAX; i++)
            ryz_event_set_hash(&event, event.flags++, job->hashes[i]);
        (void)ryz_core_feed(engine->core, &event);
    }
}

/* Ends all choices of a request that are in no slot. */
static void end_choices(struct ryz_engine *engine, struct ryz_job *first, enum ryz_status status,
                        int64_t now_ns)
{
    for (struct ryz_job *job = first, *next = NULL; job != NULL; job = next) {
        next = job->next;
        job->arrival = first->arrival;
        ryz_deliver_done(engine, job, status, RYZ_FINISH_ERROR, now_ns);
    }
}

/* Somebody gave up his place for a request that has just been taken. */
static void end_displaced(struct ryz_engine *engine, const struct ryz_effect *effect,
                          int64_t now_ns)
{
    struct ryz_job *other = engine->by_slot[effect->displaced_slot];
    RYZ_ASSERT(other != NULL && other->id == effect->displaced_id);
    other->waste = effect->waste;
    other->first->displaced = true;
    ryz_deliver_done(engine, other, RYZ_FULL, RYZ_FINISH_ERROR, now_ns);
}

/* An answer is refused whole: the other choices of those that gave up their places. */
static void end_displaced_choices(struct ryz_engine *engine, int64_t now_ns)
{
    for (uint32_t slot = 0; slot < engine->slot_count; slot++) {
        struct ryz_job *job = engine->by_slot[slot];
        if (job != NULL && job->first->displaced) ryz_step_cancel(engine, job, RYZ_FULL, now_ns);
    }
}

static void take_slot(struct ryz_engine *engine, struct ryz_job *job, uint32_t slot)
{
    RYZ_ASSERT(slot < engine->slot_count && engine->by_slot[slot] == NULL);
    job->slot = slot;
    engine->by_slot[slot] = job;
    engine->in_core++;
}

/* Tells the core of a request and its further choices; *displaced: somebody gave way for one.
 * False: they were refused. */
static bool arrive(struct ryz_engine *engine, struct ryz_job *first, int64_t now_ns,
                   bool *displaced)
{
    const struct ryz_generate *generate = &first->generate;
    struct ryz_event event = {.kind = RYZ_EV_ARRIVE,
                              .t_ns = now_ns,
                              .deadline_ns = generate->deadline_ns,
                              .prompt_tokens = first->prompt_count,
                              .output_tokens_max = generate->max_tokens,
                              .permille = first->open_choices - 1,
                              .tenant = generate->tenant,
                              .priority = generate->priority,
                              .first_deadline_ns = generate->first_deadline_ns};
    for (struct ryz_job *job = first; job != NULL; job = job->next) {
        event.request_id = job->id;
        job->arrival = ryz_core_feed(engine->core, &event);
        if (job->arrival.kind != RYZ_EFFECT_ADMITTED) {
            RYZ_ASSERT(job == first);
            return false;
        }
        if (job->arrival.displaced) {
            *displaced = true;
            end_displaced(engine, &job->arrival, now_ns);
        }
        take_slot(engine, job, job->arrival.slot);
        event.permille = 0;
        event.flags = RYZ_EVF_CHOICE;
        event.slot = first->slot;
    }
    return true;
}

static void admit(struct ryz_engine *engine, struct ryz_job *first, int64_t now_ns)
{
    bool displaced = false;
    if (ryz_load_acquire(&first->cancel) != 0) {
        end_choices(engine, first, RYZ_CANCELLED, now_ns);
        return;
    }
    feed_hashes(engine, first, now_ns);
    if (!arrive(engine, first, now_ns, &displaced)) {
        end_choices(engine, first, refusal(first->arrival.kind), now_ns);
        return;
    }
    if (displaced) end_displaced_choices(engine, now_ns);
    if (first->generate.deadline_ns < engine->next_deadline_ns)
        engine->next_deadline_ns = first->generate.deadline_ns;
}

/* Each is stamped when it is taken: a stamp from before would lie before the request's arrival. The
 * last stamp is returned. */
static int64_t take_submissions(struct ryz_engine *engine, int64_t now_ns)
{
    struct ryz_job *job = NULL;
    while (ryz_ring_pop(engine->ring, &job)) {
        now_ns = ryz_clock_now_ns(&engine->clock);
        admit(engine, job, now_ns);
    }
    return now_ns;
}

static void take_cancels(struct ryz_engine *engine, int64_t now_ns)
{
    /* An exchange, not a store: it sees the flags behind the last cancel, or leaves a later one's
     * mark for the next round. */
    uint32_t marked = 1;
    if (!ryz_cas_acq_rel(&engine->cancels, &marked, 0)) return;
    for (uint32_t slot = 0; slot < engine->slot_count; slot++) {
        struct ryz_job *job = engine->by_slot[slot];
        if (job != NULL && ryz_load_acquire(&job->first->cancel) != 0)
            ryz_step_cancel(engine, job, RYZ_CANCELLED, now_ns);
    }
}

static void take_deadlines(struct ryz_engine *engine, int64_t now_ns)
{
    if (now_ns < engine->next_deadline_ns) return;
    engine->next_deadline_ns = RYZ_TIME_NEVER;
    for (uint32_t slot = 0; slot < engine->slot_count; slot++) {
        struct ryz_job *job = engine->by_slot[slot];
        if (job == NULL) continue;
        int64_t deadline_ns = job->generate.deadline_ns;
        if (deadline_ns <= now_ns)
            ryz_step_cancel(engine, job, RYZ_TIMEOUT, now_ns);
        else if (deadline_ns < engine->next_deadline_ns)
            engine->next_deadline_ns = deadline_ns;
    }
}

/* Tells the core when the share of failing KV allocations changes; it draws them itself, so a
 * replay of the log draws the same. */
static void take_fault_windows(struct ryz_engine *engine, int64_t now_ns)
{
    if (now_ns < engine->kv_edge_ns) return;
    uint32_t permille =
        ryz_fault_share(engine->faults, RYZ_FAULT_KV_ALLOC, now_ns, &engine->kv_edge_ns);
    if (permille == engine->kv_permille) return;
    struct ryz_event event = {.kind = RYZ_EV_FAULT, .t_ns = now_ns, .permille = permille};
    (void)ryz_core_feed(engine->core, &event);
    engine->kv_permille = permille;
}

static void publish_metrics(struct ryz_engine *engine, const struct ryz_core_stats *stats)
{
    struct ryz_metrics *metrics = engine->metrics;
    if (metrics == NULL) return;
    ryz_metrics_set(metrics, RYZ_METRIC_REQUESTS_RUNNING, stats->running);
    ryz_metrics_set(metrics, RYZ_METRIC_REQUESTS_WAITING, stats->waiting);
    ryz_metrics_set(metrics, RYZ_METRIC_BATCH_LIMIT, stats->batch_limit);
    ryz_metrics_set(metrics, RYZ_METRIC_KV_BLOCKS_USED, stats->kv_blocks_used);
    ryz_metrics_set(metrics, RYZ_METRIC_KV_BLOCKS_TOTAL, stats->kv_blocks_total);
    ryz_metrics_set(metrics, RYZ_METRIC_KV_BLOCKS_LENT, stats->kv_blocks_lent);
    ryz_metrics_set(metrics, RYZ_METRIC_KV_SLOTS_EMPTY, (int64_t)stats->kv_slots_empty);
    uint32_t partitions = 0;
    const struct ryz_kv_partition *of = ryz_core_partitions(engine->core, &partitions);
    for (uint32_t i = 0; i < partitions; i++)
        ryz_metrics_set_partition(metrics, i, of[i].held_blocks, of[i].guaranteed_blocks);
    const struct ryz_core_stats *told = &engine->told;
    ryz_metrics_add(metrics, RYZ_METRIC_PREEMPTIONS, stats->preempted - told->preempted);
    ryz_metrics_add(metrics, RYZ_METRIC_RECOMPUTED_TOKENS,
                    stats->tokens_recomputed - told->tokens_recomputed);
    ryz_metrics_add(metrics, RYZ_METRIC_UNUSED_TOKENS, stats->tokens_unused - told->tokens_unused);
    ryz_metrics_add(metrics, RYZ_METRIC_CACHE_MISSED,
                    stats->cache_missed_blocks - told->cache_missed_blocks);
    ryz_metrics_add(metrics, RYZ_METRIC_PROMPT_TOKENS,
                    stats->prompt_tokens_computed - told->prompt_tokens_computed);
    ryz_metrics_add(metrics, RYZ_METRIC_SHARED_TOKENS,
                    stats->prompt_tokens_shared - told->prompt_tokens_shared);
    ryz_metrics_add(metrics, RYZ_METRIC_CACHE_QUERIES,
                    stats->cache_lookup_tokens - told->cache_lookup_tokens);
    ryz_metrics_add(metrics, RYZ_METRIC_CACHE_HITS,
                    stats->prompt_tokens_cached - told->prompt_tokens_cached);
    ryz_metrics_add(metrics, RYZ_METRIC_CACHE_EVICTIONS,
                    stats->cache_evicted_blocks - told->cache_evicted_blocks);
    ryz_metrics_set(metrics, RYZ_METRIC_KV_BLOCKS_CACHED, stats->kv_blocks_cached);
    ryz_metrics_set(metrics, RYZ_METRIC_HOST_BLOCKS_USED, stats->kv_host_blocks_used);
    ryz_metrics_add(metrics, RYZ_METRIC_HOST_HITS,
                    stats->prompt_tokens_host - told->prompt_tokens_host);
    ryz_metrics_add(metrics, RYZ_METRIC_HOST_OUT, stats->host_out_blocks - told->host_out_blocks);
    ryz_metrics_add(metrics, RYZ_METRIC_HOST_IN, stats->host_in_blocks - told->host_in_blocks);
    ryz_metrics_add(metrics, RYZ_METRIC_HOST_DROPPED,
                    stats->host_dropped_blocks - told->host_dropped_blocks);
    for (uint32_t i = 0; i < RYZ_DRAFT_MAX; i++) {
        ryz_metrics_add(metrics, RYZ_METRIC_DRAFTS_VERIFIED,
                        stats->drafts_verified[i] - told->drafts_verified[i]);
        ryz_metrics_add(metrics, RYZ_METRIC_DRAFTS_ACCEPTED,
                        stats->drafts_accepted[i] - told->drafts_accepted[i]);
    }
    engine->told = *stats;
}

/* Makes the core's figures visible to other threads, and only then the ends of requests: whoever
 * sees an idle engine sees its final figures. */
static void publish(struct ryz_engine *engine)
{
    struct ryz_core_stats stats = ryz_core_stats(engine->core);
    uint64_t digest = ryz_core_digest(engine->core);
    (void)pthread_mutex_lock(&engine->lock);
    engine->published_stats = stats;
    engine->published_digest = digest;
    (void)pthread_mutex_unlock(&engine->lock);
    publish_metrics(engine, &stats);
    if (engine->ended > 0) {
        uint32_t before =
            atomic_fetch_sub_explicit(&engine->active, engine->ended, memory_order_acq_rel);
        RYZ_ASSERT(before >= engine->ended);
        engine->ended = 0;
    }
}

/* Sleeps until woken or until_ns, which is a time of CLOCK_MONOTONIC as the engine's clock is. */
static void sleep_until(struct ryz_engine *engine, int64_t until_ns)
{
    struct timespec until = {.tv_sec = (time_t)(until_ns / RYZ_NS_PER_S),
                             .tv_nsec = (long)(until_ns % RYZ_NS_PER_S)};
    int rc = 0;
    (void)pthread_mutex_lock(&engine->lock);
    while (!engine->woken && rc == 0)
        rc = pthread_cond_timedwait(&engine->wake, &engine->lock, &until);
    engine->woken = false;
    (void)pthread_mutex_unlock(&engine->lock);
}

static int64_t wake_time(const struct ryz_engine *engine, int64_t now_ns)
{
    int64_t wake_ns = now_ns + IDLE_NS;
    if (engine->in_core == 0) return wake_ns;
    int64_t core_ns = ryz_core_wake_ns(engine->core);
    if (core_ns < wake_ns) wake_ns = core_ns;
    if (engine->next_deadline_ns < wake_ns) wake_ns = engine->next_deadline_ns;
    if (engine->kv_edge_ns < wake_ns) wake_ns = engine->kv_edge_ns;
    return wake_ns > now_ns ? wake_ns : now_ns;
}

/* Ends everything inside with RYZ_CLOSED; submit adds nothing more once `stopping` is set. */
static void end_all(struct ryz_engine *engine)
{
    int64_t now_ns = ryz_clock_now_ns(&engine->clock);
    struct ryz_job *job = NULL;
    while (ryz_ring_pop(engine->ring, &job)) end_choices(engine, job, RYZ_CLOSED, now_ns);
    for (uint32_t slot = 0; slot < engine->slot_count; slot++) {
        job = engine->by_slot[slot];
        if (job != NULL) ryz_step_cancel(engine, job, RYZ_CLOSED, now_ns);
    }
    RYZ_ASSERT(engine->in_core == 0);
    publish(engine);
    (void)pthread_mutex_lock(&engine->lock);
    engine->ended_thread = true;
    (void)pthread_cond_broadcast(&engine->acked);
    (void)pthread_mutex_unlock(&engine->lock);
}

void *ryz_step_loop(void *argument)
{
    struct ryz_engine *engine = argument;
    ryz_deliver_own_span(engine, RYZ_SPAN_LOAD, engine->load_t0_ns, engine->load_t1_ns, 0.0,
                         RYZ_OK);
    while (!look_around(engine)) {
        int64_t now_ns = ryz_clock_now_ns(&engine->clock);
        ryz_store_relaxed(&engine->heartbeat_ns, now_ns);
        now_ns = take_submissions(engine, now_ns);
        take_cancels(engine, now_ns);
        take_deadlines(engine, now_ns);
        if (engine->in_core > 0) take_fault_windows(engine, now_ns);
        bool stepped = engine->in_core > 0 && ryz_step_run(engine);
        publish(engine);
        if (!stepped) sleep_until(engine, wake_time(engine, now_ns));
    }
    end_all(engine);
    return NULL;
}
