/*
 * submit.c - requests on their way into the engine, and cancellations.
 *
 * Leaves to others: everything after the ring. The idea: the caller's thread does the copying and
 * the checks that need no scheduler, so the engine thread is handed a finished record.
 */
#include "engine/base/assert.h"
#include "engine/base/atomic.h"
#include "engine/base/size.h"
#include "engine/runtime/engine_state.h"

#include <math.h>
#include <string.h>

static enum ryz_status check(const struct ryz_engine *engine, const struct ryz_generate *request,
                             struct ryz_error *error)
{
    uint32_t n_vocab = ryz_model_info(engine->model)->n_vocab;
    if (request->token_count == 0) return ryz_fail(error, RYZ_INVALID, "the prompt is empty");
    if (request->max_tokens == 0)
        return ryz_fail(error, RYZ_INVALID, "max_tokens is 0; at least one token is generated");
    if (request->choices > RYZ_CHOICES_MAX)
        return ryz_fail(error, RYZ_INVALID, "%u choices; at most %u are possible", request->choices,
                        RYZ_CHOICES_MAX);
    if (request->choices > engine->config.limits.queue_requests_max)
        return ryz_fail(error, RYZ_INVALID, "%u choices, and the queue holds %u requests",
                        request->choices, engine->config.limits.queue_requests_max);
    if (request->top_logprobs > RYZ_TOP_LOGPROBS_MAX)
        return ryz_fail(error, RYZ_INVALID, "%u log-probabilities; at most %u are possible",
                        request->top_logprobs, RYZ_TOP_LOGPROBS_MAX);
    if (request->tenant >= RYZ_TENANTS_MAX)
        return ryz_fail(error, RYZ_INVALID, "tenant %u; they are numbered below %u",
                        request->tenant, RYZ_TENANTS_MAX);
    if (request->deadline_ns < 0 || request->first_deadline_ns < 0)
        return ryz_fail(error, RYZ_INVALID, "a deadline before the clock began");
    const struct ryz_sampling *s = &request->sampling;
    if (!(s->temperature >= 0.0f) || !(s->top_p > 0.0f) || !(s->min_p >= 0.0f) ||
        !isfinite(s->temperature))
        return ryz_fail(error, RYZ_INVALID,
                        "temperature %g, top_p %g, min_p %g: they are >= 0, > 0, >= 0",
                        (double)s->temperature, (double)s->top_p, (double)s->min_p);
    for (uint32_t i = 0; i < request->token_count; i++) {
        if (request->tokens[i] >= n_vocab)
            return ryz_fail(error, RYZ_INVALID, "token %u is %u; the vocabulary has %u", i,
                            request->tokens[i], n_vocab);
    }
    return RYZ_OK;
}

static void fill(const struct ryz_engine *engine, struct ryz_job *r,
                 const struct ryz_generate *request)
{
    r->generate = *request;
    r->generate.sampling.seed += r->choice;
    r->generate.tokens = NULL; /* the caller's */
    memset(r->generate.stops, 0, sizeof r->generate.stops);
    r->slot = RYZ_JOB_NO_SLOT;
    /* A prompt beyond the context is the core's to refuse; it will never be read. */
    uint32_t stored = ryz_min_u32(request->token_count, engine->table.context);
    memcpy(r->tokens, request->tokens, (size_t)stored * sizeof *r->tokens);
    r->prompt_count = r->token_count = request->token_count;
    r->cached_tokens = r->hash_count = 0;
    if (r != r->first) {
        r->hash = r->first->hash; /* the core has the hashes of the first */
    } else if (r->hashes != NULL && stored == request->token_count) {
        ryz_prefix_hash_init(&r->hash, engine->cache_key, request->tenant,
                             engine->config.limits.kv_block_tokens);
        r->hash_count = ryz_prefix_hash_extend(&r->hash, r->tokens, stored, r->hashes);
    }
    r->has_text = request->wants_text || request->stop_count > 0;
    r->arrived_ns = request->arrived_ns;
    if (r != r->first) r->arrived_ns = r->first->arrived_ns;
    if (r->arrived_ns == RYZ_TIME_NONE) r->arrived_ns = ryz_clock_now_ns(&engine->clock);
    r->first_step_ns = r->first_token_ns = r->last_token_ns = RYZ_TIME_NONE;
    r->arrival = (struct ryz_effect){.kind = RYZ_EFFECT_NONE};
    r->waste = (struct ryz_waste){0};
}

/* Puts a filled request, its first choice, into the ring unless the engine takes no more. */
static enum ryz_status enter(struct ryz_engine *engine, struct ryz_job *job)
{
    (void)pthread_mutex_lock(&engine->lock);
    bool open = !engine->stopping && !engine->draining;
    if (open) {
        (void)ryz_add_acq_rel(&engine->active, job->open_choices);
        bool pushed = ryz_ring_push(engine->ring, &job);
        RYZ_ASSERT(pushed); /* the ring has room for every place of the table */
        engine->woken = true;
        (void)pthread_cond_signal(&engine->wake);
    }
    (void)pthread_mutex_unlock(&engine->lock);
    return open ? RYZ_OK : RYZ_CLOSED;
}

static void release_all(struct ryz_engine *engine, struct ryz_job *first)
{
    for (struct ryz_job *job = first, *next = NULL; job != NULL; job = next) {
        next = job->next;
        ryz_job_table_release(&engine->table, job);
    }
}

enum ryz_status ryz_engine_submit(struct ryz_engine *engine, const struct ryz_generate *request,
                                  uint64_t *id, struct ryz_error *error)
{
    RYZ_ASSERT(request->on_event != NULL);
    enum ryz_status status = check(engine, request, error);
    if (status != RYZ_OK) return status;
    struct ryz_stream_text text;
    status = ryz_stream_text_init(&text, request->stops, request->stop_count, error);
    if (status != RYZ_OK) return status;
    uint32_t choices = request->choices > 0 ? request->choices : 1;
    struct ryz_job *first = ryz_job_table_take(&engine->table, choices);
    if (first == NULL) {
        ryz_metrics_add(engine->metrics, RYZ_METRIC_REQUESTS_REJECTED, choices);
        return ryz_fail(error, RYZ_FULL, "of %u requests too many are inside already",
                        engine->table.count);
    }
    for (struct ryz_job *r = first; r != NULL; r = r->next) {
        r->text = text;
        fill(engine, r, request);
    }
    uint64_t given = first->id; /* once it is in the ring the request may end at any moment */
    status = enter(engine, first);
    if (status != RYZ_OK) {
        release_all(engine, first);
        return ryz_fail(error, status, "the engine takes no new requests");
    }
    ryz_metrics_add(engine->metrics, RYZ_METRIC_REQUESTS_ACCEPTED, choices);
    if (id != NULL) *id = given;
    return RYZ_OK;
}

void ryz_engine_cancel(struct ryz_engine *engine, uint64_t id)
{
    if (!ryz_job_table_cancel(&engine->table, id)) return;
    ryz_store_release(&engine->cancels, 1);
    ryz_engine_wake(engine);
}
