/*
 * step.c - plan -> batch -> forward -> sample -> tokens.
 *
 * Leaves to others: deciding what runs (the core), arithmetic (model/), text and streams
 * (deliver.c). The idea: everything of a step carries two times, its start and its end; the tokens
 * of a step exist at its end, before any stream is told, so a slow listener delays the next step
 * but falsifies none of this one's times.
 */
#include "engine/runtime/step.h"

#include "engine/base/assert.h"
#include "engine/base/size.h"
#include "engine/runtime/deliver.h"
#include "engine/runtime/speculate.h"

void ryz_step_cancel(struct ryz_engine *engine, struct ryz_job *job, enum ryz_status status,
                     int64_t now_ns)
{
    struct ryz_event event = {
        .kind = RYZ_EV_CANCEL, .t_ns = now_ns, .request_id = job->id, .slot = job->slot};
    struct ryz_effect effect = ryz_core_feed(engine->core, &event);
    RYZ_ASSERT(effect.kind == RYZ_EFFECT_CANCELLED);
    job->waste = effect.waste;
    ryz_deliver_done(engine, job, status, RYZ_FINISH_ERROR, now_ns);
}

/* Stands still for value_ns, as if the device were slow: the injected behaviour itself. It waits on
 * the engine's condition so that closing or another fault plan ends it at once; the heartbeat
 * stands still too, for a health check must be able to see a stalled engine. */
static void inject_delay(struct ryz_engine *engine, int64_t value_ns)
{
    int64_t until_ns = 0;
    if (__builtin_add_overflow(ryz_clock_now_ns(&engine->clock), value_ns, &until_ns))
        until_ns = RYZ_TIME_NEVER;
    struct timespec until = {.tv_sec = (time_t)(until_ns / RYZ_NS_PER_S),
                             .tv_nsec = (long)(until_ns % RYZ_NS_PER_S)};
    (void)pthread_mutex_lock(&engine->lock);
    while (!engine->stopping && engine->faults_version == engine->faults_seen &&
           ryz_clock_now_ns(&engine->clock) < until_ns)
        (void)pthread_cond_timedwait(&engine->wake, &engine->lock, &until);
    (void)pthread_mutex_unlock(&engine->lock);
}

/* Draws the faults of a step of this shape and serves the delays; true: the step is to fail. */
static bool inject_faults(struct ryz_engine *engine, const struct ryz_batch_shape *shape)
{
    const struct {
        enum ryz_fault_point point;
        bool reached;
    } points[] = {
        {RYZ_FAULT_ENGINE_STEP, true},
        {RYZ_FAULT_ENGINE_PREFILL, shape->prefill_tokens > 0},
        {RYZ_FAULT_ENGINE_DECODE, shape->decode_requests > 0},
    };
    bool fails = false;
    for (size_t i = 0; i < RYZ_COUNT_OF(points); i++) {
        const struct ryz_fault *fault = NULL;
        int64_t now_ns = ryz_clock_now_ns(&engine->clock);
        if (!points[i].reached || !ryz_fault_hit(engine->faults, points[i].point, now_ns, &fault))
            continue;
        if (fault->action == RYZ_FAULT_DELAY) inject_delay(engine, fault->value_ns);
        if (fault->action == RYZ_FAULT_FAIL) fails = true;
    }
    return fails;
}

/* Notes the requests of the plan in engine->runs and in the sequences of a batch. */
static struct ryz_batch build_batch(struct ryz_engine *engine, const struct ryz_sched_plan *plan,
                                    int64_t t0_ns)
{
    struct ryz_batch batch = {.sequences = engine->sequences};
    for (uint32_t i = 0; i < plan->item_count; i++) {
        const struct ryz_plan_item *item = &plan->items[i];
        if (item->action != RYZ_ACT_RUN) continue;
        struct ryz_job *job = engine->by_slot[item->slot];
        RYZ_ASSERT(job != NULL && job->id == item->request_id);
        RYZ_ASSERT(item->tokens >= 1);
        RYZ_ASSERT(item->first_position + item->tokens <= job->token_count + item->drafts);
        if (job->first_step_ns == RYZ_TIME_NONE) {
            job->first_step_ns = t0_ns;
            job->cached_tokens = ryz_core_cached_tokens(engine->core, item->slot);
            ryz_metrics_observe_ns(engine->metrics, RYZ_METRIC_QUEUE_TIME, t0_ns - job->arrived_ns);
        }
        uint32_t blocks = 0, n = batch.sequence_count++;
        engine->runs[n] = job;
        engine->sequences[n] = (struct ryz_batch_sequence){
            .tokens = job->tokens + item->first_position,
            .block_table = ryz_core_blocks(engine->core, item->slot, &blocks),
            .token_count = item->tokens,
            .first_position = item->first_position,
            .logit_rows = item->samples ? 1 + item->drafts : 0,
        };
        RYZ_ASSERT((uint64_t)blocks * engine->config.limits.kv_block_tokens >=
                   (uint64_t)item->first_position + item->tokens);
        batch.token_count += item->tokens;
    }
    RYZ_ASSERT(batch.sequence_count == plan->run_count);
    return batch;
}

/* Draws one job's tokens: that after its newest one, and as long as a proposal was what was drawn,
 * that after the proposal. So speculation gives the tokens that plain decoding would have given, by
 * the same draws from the same logits, greedy or not. Returns their number. */
static uint32_t sample_job(struct ryz_engine *engine, struct ryz_job *job, uint32_t drafts,
                           uint32_t row, struct ryz_sampled *sampled)
{
    uint32_t n_vocab = ryz_model_info(engine->model)->n_vocab, count = 0;
    const struct ryz_generate *generate = &job->generate;
    bool scored = generate->wants_logprobs || generate->top_logprobs > 0;
    for (bool more = true; more;) {
        struct ryz_sampled *s = &sampled[count];
        uint32_t position = job->token_count + count;
        *s = (struct ryz_sampled){.job = job, .row = row + count};
        s->token = ryz_sample(&generate->sampling, ryz_forward_logits(engine->forward, s->row),
                              n_vocab, position, engine->candidates, scored ? &s->logprob : NULL);
        more = s->accepted = count < drafts && s->token == job->tokens[position];
        count++;
    }
    return count;
}

/* Draws the tokens of every sequence with logits; their number is returned. */
static uint32_t sample(struct ryz_engine *engine, const struct ryz_batch *batch)
{
    uint32_t count = 0, row = 0;
    for (uint32_t i = 0; i < batch->sequence_count; i++) {
        uint32_t rows = batch->sequences[i].logit_rows;
        if (rows == 0) continue;
        count += sample_job(engine, engine->runs[i], rows - 1, row, &engine->sampled[count]);
        row += rows;
    }
    return count;
}

static void feed_step_done(struct ryz_engine *engine, int64_t t1_ns, int64_t duration_ns,
                           bool failed)
{
    struct ryz_event event = {.kind = RYZ_EV_STEP_DONE,
                              .t_ns = t1_ns,
                              .duration_ns = duration_ns,
                              .flags = failed ? RYZ_EVF_FAILED : 0};
    (void)ryz_core_feed(engine->core, &event);
}

/* Gives one token to the core and to its stream; true: the request has ended with it. */
static bool hand_out(struct ryz_engine *engine, const struct ryz_sampled *sampled, int64_t t_ns)
{
    struct ryz_job *job = sampled->job;
    size_t text_length = 0;
    bool ends = ryz_deliver_append(engine, job, sampled->token, &text_length);
    struct ryz_event event = {.kind = RYZ_EV_TOKEN,
                              .t_ns = t_ns,
                              .request_id = job->id,
                              .slot = job->slot,
                              .flags = ends                ? RYZ_EVF_END
                                       : sampled->accepted ? RYZ_EVF_ACCEPTED
                                                           : 0};
    if (!ends && !sampled->accepted) event.output_tokens_max = ryz_speculate_offer(engine, job);
    if (job->hashes != NULL) event.hash = ryz_prefix_hash_push(&job->hash, sampled->token);
    struct ryz_effect effect = ryz_core_feed(engine->core, &event);
    ryz_deliver_token(engine, sampled, text_length, t_ns);
    if (effect.kind != RYZ_EFFECT_FINISHED) return false;
    job->waste = effect.waste;
    ryz_deliver_done(engine, job, RYZ_OK, ends ? RYZ_FINISH_STOP : RYZ_FINISH_LENGTH, t_ns);
    return true;
}

static void hand_out_tokens(struct ryz_engine *engine, uint32_t count, int64_t t_ns)
{
    for (uint32_t i = 0; i < count;) {
        const struct ryz_job *job = engine->sampled[i].job;
        bool ended = hand_out(engine, &engine->sampled[i++], t_ns);
        /* What was drawn beyond an end is nobody's. */
        while (ended && i < count && engine->sampled[i].job == job) i++;
    }
}

static void report_step(struct ryz_engine *engine, struct ryz_step_record *record)
{
    record->stats = ryz_core_stats(engine->core);
    ryz_metrics_add(engine->metrics, RYZ_METRIC_STEPS, 1);
    ryz_metrics_observe_ns(engine->metrics, RYZ_METRIC_STEP_TIME, record->duration_ns);
    if (engine->observer.step != NULL) engine->observer.step(engine->observer.context, record);
    double tokens = (double)record->shape.prefill_tokens + record->shape.decode_requests +
                    record->shape.draft_tokens;
    ryz_deliver_own_span(engine, RYZ_SPAN_STEP, record->t_ns, record->t_ns + record->duration_ns,
                         tokens, record->failed ? RYZ_FAULT : RYZ_OK);
}

bool ryz_step_run(struct ryz_engine *engine)
{
    const struct ryz_clock *clock = &engine->clock;
    int64_t t0_ns = ryz_clock_now_ns(clock);
    const struct ryz_sched_plan *plan = ryz_core_next(engine->core, t0_ns);
    if (plan == NULL) return false;
    RYZ_ASSERT(plan->run_count >= 1 && plan->run_count <= RYZ_BATCH_MAX);
    struct ryz_step_record record = {.t_ns = t0_ns,
                                     .sched_ns = ryz_clock_now_ns(clock) - t0_ns,
                                     .shape = plan->shape,
                                     .run_count = plan->run_count};
    struct ryz_batch batch = build_batch(engine, plan, t0_ns);
    uint32_t copy_count = 0;
    const struct ryz_kv_copy *copies = ryz_core_copies(engine->core, &copy_count);
    ryz_kv_store_copy(engine->kv, copies, copy_count); /* whether or not the step then fails */
    record.failed = inject_faults(engine, &plan->shape);
    uint32_t sampled = 0;
    int64_t once_ns = 0; /* what a draft model had missed: nothing to learn from */
    if (!record.failed) {
        once_ns = ryz_speculate_propose(engine, plan);
        int64_t forward_ns = ryz_clock_now_ns(clock);
        ryz_forward_run(engine->forward, &batch);
        record.forward_ns = ryz_clock_now_ns(clock) - forward_ns;
        sampled = sample(engine, &batch);
    }
    int64_t t1_ns = ryz_clock_now_ns(clock);
    record.duration_ns = t1_ns - t0_ns;
    feed_step_done(engine, t1_ns, record.duration_ns - once_ns, record.failed);
    if (record.failed) {
        for (uint32_t i = 0; i < batch.sequence_count; i++)
            ryz_step_cancel(engine, engine->runs[i], RYZ_FAULT, t1_ns);
    }
    hand_out_tokens(engine, sampled, t1_ns);
    report_step(engine, &record);
    return true;
}
