/*
 * deliver.c - turns tokens and ends into stream events, spans and metrics.
 *
 * Leaves to others: deciding when a request ends (the core) and where events go (the callback). The
 * idea: every request that was submitted leaves through ryz_deliver_done, exactly once.
 */
#include "engine/runtime/deliver.h"

#include "engine/base/assert.h"
#include "engine/base/size.h"
#include "engine/model/tokenizer.h"

#include <string.h>

bool ryz_deliver_append(struct ryz_engine *engine, struct ryz_job *job, uint32_t token,
                        size_t *text_length)
{
    const struct ryz_tokenizer *tokenizer = ryz_model_tokenizer(engine->model);
    RYZ_ASSERT(job->token_count < engine->table.context);
    job->tokens[job->token_count++] = token;
    bool stopped = false;
    *text_length = 0;
    if (job->has_text) {
        size_t length = 0;
        const char *bytes = ryz_tokenizer_bytes(tokenizer, token, &length);
        *text_length = ryz_stream_text_push(&job->text, bytes, length, engine->text, &stopped);
    }
    bool end = !job->generate.ignore_eos && ryz_tokenizer_is_end(tokenizer, token);
    return end || stopped;
}

/* Keeps the `want` largest logits in engine->top, largest first; the lower id wins a tie, as with
 * greedy sampling. Insertion: `want` is small and most logits fail the first comparison. */
static uint32_t select_top(struct ryz_engine *engine, const float *logits, uint32_t n_vocab,
                           uint32_t want)
{
    struct ryz_candidate *top = engine->top;
    uint32_t count = 0;
    for (uint32_t id = 0; id < n_vocab; id++) {
        if (count == want && !(logits[id] > top[count - 1].logit)) continue;
        uint32_t at = count < want ? count++ : want - 1;
        for (; at > 0 && logits[id] > top[at - 1].logit; at--) top[at] = top[at - 1];
        top[at] = (struct ryz_candidate){.logit = logits[id], .id = id};
    }
    return count;
}

/* The sampler gave the log-probability of the chosen token, so the normaliser is known and the
 * others need no pass over the vocabulary. */
static void fill_top(struct ryz_engine *engine, const struct ryz_sampled *sampled,
                     struct ryz_stream_event *event)
{
    const float *logits = ryz_forward_logits(engine->forward, sampled->row);
    uint32_t n_vocab = ryz_model_info(engine->model)->n_vocab;
    uint32_t want = ryz_min_u32(sampled->job->generate.top_logprobs, n_vocab);
    double normaliser = (double)logits[sampled->token] - (double)sampled->logprob;
    event->top_count = select_top(engine, logits, n_vocab, want);
    for (uint32_t i = 0; i < event->top_count; i++) {
        /* The chosen token's figure is the sampler's, to the last bit. */
        struct ryz_candidate *c = &engine->top[i];
        c->logit =
            c->id == sampled->token ? sampled->logprob : (float)((double)c->logit - normaliser);
    }
    event->top = engine->top;
}

static void count_token(struct ryz_engine *engine, struct ryz_job *job, int64_t t_ns)
{
    ryz_metrics_add(engine->metrics, RYZ_METRIC_GENERATION_TOKENS, 1);
    if (job->first_token_ns == RYZ_TIME_NONE) {
        job->first_token_ns = t_ns;
        ryz_metrics_observe_ns(engine->metrics, RYZ_METRIC_TTFT, t_ns - job->arrived_ns);
    } else {
        ryz_metrics_observe_ns(engine->metrics, RYZ_METRIC_ITL, t_ns - job->last_token_ns);
    }
    job->last_token_ns = t_ns;
}

void ryz_deliver_token(struct ryz_engine *engine, const struct ryz_sampled *sampled,
                       size_t text_length, int64_t t_ns)
{
    struct ryz_job *job = sampled->job;
    count_token(engine, job, t_ns);
    struct ryz_stream_event event = {
        .request_id = job->first->id,
        .t_ns = t_ns,
        .choice = job->choice,
        .token = sampled->token,
        .index = job->token_count - job->prompt_count - 1,
        .logprob = sampled->logprob,
        .status = RYZ_OK,
        .arrived_ns = job->arrived_ns,
        .first_step_ns = job->first_step_ns,
        .first_token_ns = job->first_token_ns,
    };
    if (job->generate.wants_text) {
        event.text = engine->text;
        event.text_length = text_length;
    }
    if (job->generate.top_logprobs > 0) fill_top(engine, sampled, &event);
    job->generate.on_event(job->generate.context, &event);
}

static void emit_span(struct ryz_engine *engine, struct ryz_span *span)
{
    span->span_id = ryz_span_id_make(engine->seed, ++engine->spans);
    engine->observer.span(engine->observer.context, span);
}

void ryz_deliver_own_span(struct ryz_engine *engine, enum ryz_span_name name, int64_t t0_ns,
                          int64_t t1_ns, double attr, enum ryz_status status)
{
    if (engine->observer.span == NULL) return;
    struct ryz_span span = {.t0_ns = t0_ns,
                            .t1_ns = t1_ns,
                            .attr = attr,
                            .name = (uint16_t)name,
                            .status = (int8_t)status};
    memcpy(span.trace_id, engine->trace_id, sizeof span.trace_id);
    emit_span(engine, &span);
}

/* Queue, prefill and decode follow each other without a gap; a request that ends early ends the
 * phase it was in, and the status sits on that one. */
static void emit_phases(struct ryz_engine *engine, const struct ryz_job *job,
                        enum ryz_status status, int64_t end_ns)
{
    static const uint8_t no_trace[16];
    const struct ryz_generate *generate = &job->generate;
    if (engine->observer.span == NULL || memcmp(generate->trace.trace_id, no_trace, 16) == 0)
        return;
    const int64_t edges[] = {job->arrived_ns, job->first_step_ns, job->first_token_ns};
    const enum ryz_span_name names[] = {RYZ_SPAN_QUEUE, RYZ_SPAN_PREFILL, RYZ_SPAN_DECODE};
    const double attrs[] = {job->prompt_count, job->prompt_count,
                            job->token_count - job->prompt_count};
    for (uint32_t i = 0; i < 3 && edges[i] != RYZ_TIME_NONE; i++) {
        bool last = i == 2 || edges[i + 1] == RYZ_TIME_NONE;
        struct ryz_span span = {.parent = generate->trace.span_id,
                                .request = generate->number != 0 ? generate->number : job->id,
                                .t0_ns = edges[i],
                                .t1_ns = last ? end_ns : edges[i + 1],
                                .attr = attrs[i],
                                .name = (uint16_t)names[i],
                                .status = (int8_t)(last ? status : RYZ_OK)};
        memcpy(span.trace_id, generate->trace.trace_id, sizeof span.trace_id);
        emit_span(engine, &span);
    }
}

static void count_end(struct ryz_engine *engine, const struct ryz_job *job, enum ryz_status status,
                      int64_t t_ns)
{
    enum ryz_metric metric = status == RYZ_OK          ? RYZ_METRIC_REQUESTS_FINISHED
                             : status == RYZ_FULL      ? RYZ_METRIC_REQUESTS_REJECTED
                             : status == RYZ_CANCELLED ? RYZ_METRIC_REQUESTS_CANCELLED
                                                       : RYZ_METRIC_REQUESTS_FAILED;
    ryz_metrics_add(engine->metrics, metric, 1);
    if (status == RYZ_OK)
        ryz_metrics_observe_ns(engine->metrics, RYZ_METRIC_E2E, t_ns - job->arrived_ns);
}

void ryz_deliver_done(struct ryz_engine *engine, struct ryz_job *job, enum ryz_status status,
                      enum ryz_finish_reason finish, int64_t t_ns)
{
    if (job->slot != RYZ_JOB_NO_SLOT) {
        RYZ_ASSERT(engine->by_slot[job->slot] == job);
        RYZ_ASSERT(engine->in_core > 0);
        engine->by_slot[job->slot] = NULL;
        engine->in_core--;
    }
    struct ryz_stream_event event = {
        .request_id = job->first->id,
        .t_ns = t_ns,
        .choice = job->choice,
        .done = true,
        .finish = finish,
        .status = status,
        .prompt_tokens = job->prompt_count,
        .output_tokens = job->token_count - job->prompt_count,
        .cached_tokens = job->cached_tokens,
        .waste = job->waste,
        .arrived_ns = job->arrived_ns,
        .first_step_ns = job->first_step_ns,
        .first_token_ns = job->first_token_ns,
        .late = job->arrival.kind == RYZ_EFFECT_REJECTED_LATE,
        .estimate_ns = status == RYZ_FULL ? job->arrival.estimate_ns : 0,
    };
    if (job->generate.wants_text) {
        event.text_length = ryz_stream_text_flush(&job->text, engine->text);
        event.text = engine->text;
    }
    count_end(engine, job, status, t_ns);
    emit_phases(engine, job, status, t_ns);
    job->generate.on_event(job->generate.context, &event);
    ryz_job_table_release(&engine->table, job);
    engine->ended++;
}
