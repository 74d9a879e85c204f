/*
 * admission.c - the estimate and what it learns. See admission.h.
 *
 * Leaves to others: what is ahead, in which order, and deciding (core_admit.c).
 */
#include "engine/sched/admission.h"

#include "engine/base/assert.h"
#include "engine/base/size.h"
#include "engine/sched/step_cost.h"

#include <stddef.h>
#include <string.h>

#define AVERAGE_OVER 32   /* requests */
#define FACTOR_RISE  0.10 /* after one that was later than believed */
#define FACTOR_FALL  (FACTOR_RISE / 99)
#define FACTOR_MIN   0.5
#define FACTOR_MAX   16.0

void ryz_wait_model_init(struct ryz_wait_model *model)
{
    *model = (struct ryz_wait_model){.factor = 1.0, .token_factor = 1.0};
}

static void average(double *mean, double value, uint64_t before)
{
    *mean += (value - *mean) / (double)(before < AVERAGE_OVER ? before + 1 : AVERAGE_OVER);
}

void ryz_wait_model_learn_start(struct ryz_wait_model *model, uint32_t prompt_tokens,
                                uint32_t output_tokens_max)
{
    if (model->ended > 0) return;
    average(&model->prompt_mean, (double)prompt_tokens, model->taken);
    average(&model->asked_mean, (double)output_tokens_max, model->taken);
    model->output_mean = model->asked_mean;
    model->taken++;
}

static double adapt(double factor, bool later)
{
    factor *= later ? 1.0 + FACTOR_RISE : 1.0 - FACTOR_FALL;
    if (factor < FACTOR_MIN) return FACTOR_MIN;
    return factor > FACTOR_MAX ? FACTOR_MAX : factor;
}

void ryz_wait_model_learn_end(struct ryz_wait_model *model, const struct ryz_request_view *request,
                              int64_t believed_ns, int64_t actual_ns)
{
    average(&model->prompt_mean, (double)request->prompt_tokens, model->ended);
    average(&model->output_mean, (double)request->decoded_tokens, model->ended);
    average(&model->asked_mean, (double)request->output_tokens_max, model->ended);
    model->ended++;
    if (believed_ns > 0 && actual_ns > 0)
        model->token_factor = adapt(model->token_factor, actual_ns > believed_ns);
}

double ryz_wait_used_share(const struct ryz_wait_model *model)
{
    return model->asked_mean > 0.0 ? model->output_mean / model->asked_mean : 1.0;
}

static uint32_t size_of(const struct ryz_request_view *request)
{
    uint64_t tokens = (uint64_t)request->prompt_tokens + request->output_tokens_max;
    uint32_t bits = 0;
    for (; tokens > 1 && bits + 1 < RYZ_WAIT_SIZES; tokens >>= 1) bits++;
    return bits;
}

static double factor_of(const struct ryz_wait_model *model, const struct ryz_request_view *request)
{
    double factor = model->factor_of[size_of(request)];
    return factor > 0.0 ? factor : model->factor;
}

void ryz_wait_model_learn_first(struct ryz_wait_model *model,
                                const struct ryz_request_view *request, int64_t estimated_ns,
                                int64_t actual_ns)
{
    if (estimated_ns <= 0) return;
    bool later = actual_ns > estimated_ns;
    model->factor_of[size_of(request)] = adapt(factor_of(model, request), later);
    model->factor = adapt(model->factor, later);
}

/* Requests that run at once: the batch, or what the pool holds of the usual ones. */
static double places(const struct ryz_wait_model *model, const struct ryz_sched_limits *limits)
{
    double pool = (double)limits->kv_blocks * (double)limits->kv_block_tokens;
    double each = model->prompt_mean + model->output_mean + 1.0;
    double fit = pool / each;
    double batch = (double)limits->batch_requests_max;
    if (fit > batch) fit = batch;
    return fit < 1.0 ? 1.0 : fit;
}

void ryz_load_init(struct ryz_load *load, const struct ryz_wait_model *model,
                   const struct ryz_sched_limits *limits, uint32_t running)
{
    uint32_t count = (uint32_t)places(model, limits);
    RYZ_ASSERT(running <= RYZ_BATCH_MAX);
    memset(load, 0, offsetof(struct ryz_load, free_at));
    load->place_count = count > running ? count : running;
    memset(load->free_at, 0, load->place_count * sizeof load->free_at[0]);
}

/* The place that is free earliest is taken for so many steps. */
static void take_place(struct ryz_load *load, const struct ryz_wait_model *model,
                       uint32_t output_left)
{
    double steps = (double)output_left * ryz_wait_used_share(model);
    double until = load->free_at[0] + (steps < 1.0 ? 1.0 : steps);
    uint32_t at = 0;
    for (uint32_t child = 1; child < load->place_count; child = 2 * at + 1) {
        if (child + 1 < load->place_count && load->free_at[child + 1] < load->free_at[child])
            child++;
        if (until <= load->free_at[child]) break;
        load->free_at[at] = load->free_at[child];
        at = child;
    }
    load->free_at[at] = until;
}

void ryz_load_add_running(struct ryz_load *load, const struct ryz_wait_model *model,
                          uint32_t tokens, uint32_t output_left)
{
    load->running++;
    load->prefill_left += tokens;
    RYZ_ASSERT(load->running <= load->place_count && load->ahead == 0);
    take_place(load, model, output_left);
}

void ryz_load_add_waiting(struct ryz_load *load, const struct ryz_wait_model *model,
                          uint32_t tokens, uint32_t output_left)
{
    load->ahead++;
    load->ahead_tokens += tokens;
    take_place(load, model, output_left);
}

void ryz_load_add_crowd(struct ryz_load *load, const struct ryz_wait_model *model, uint32_t count,
                        uint64_t tokens)
{
    double each = model->output_mean > 1.0 ? model->output_mean : 1.0;
    load->ahead += count;
    load->ahead_tokens += tokens;
    /* The same for each place, so the heap stays one. */
    for (uint32_t i = 0; i < load->place_count; i++)
        load->free_at[i] += each * (double)count / (double)load->place_count;
}

static double step_ns(const struct ryz_cost_source *cost, double prefill, double decodes,
                      double context)
{
    struct ryz_batch_shape shape = {.prefill_tokens = (uint32_t)prefill,
                                    .decode_requests = (uint32_t)decodes,
                                    .context_tokens = (uint64_t)context};
    return (double)cost->step_ns(cost->context, &shape);
}

/* A step of `decodes` requests with the usual context. */
static double decode_step_ns(const struct ryz_wait_model *model, const struct ryz_cost_source *cost,
                             double decodes)
{
    double each = model->prompt_mean + model->output_mean / 2;
    return step_ns(cost, 0.0, decodes, decodes * each);
}

/* Time to compute `tokens` of prompts in steps that carry `decodes` streams besides. */
static double prefill_ns(const struct ryz_wait_model *model, const struct ryz_sched_limits *limits,
                         const struct ryz_cost_source *cost, double decodes, double tokens)
{
    double context = decodes * (model->prompt_mean + model->output_mean / 2);
    double chunk = (double)limits->batch_tokens_max - decodes;
    if (chunk < 1.0) chunk = 1.0;
    double alone = step_ns(cost, 0.0, decodes, context);
    double full = step_ns(cost, chunk, decodes, context + chunk * model->prompt_mean / 2);
    double limit = (double)limits->step_ns_max;
    if (full > limit && full > alone) {
        chunk *= limit > alone ? (limit - alone) / (full - alone) : 0.0;
        if (chunk < (double)limits->kv_block_tokens) chunk = (double)limits->kv_block_tokens;
        full = step_ns(cost, chunk, decodes, context + chunk * model->prompt_mean / 2);
    }
    double steps = tokens / chunk;
    /* The last step counts as a whole one beyond its share of tokens. */
    return steps * full + (steps < 1.0 ? (1.0 - steps) * alone : 0.0);
}

/* A step of full places, with its share of the prompts of those that follow each other there. */
static double full_step_ns(const struct ryz_wait_model *model,
                           const struct ryz_sched_limits *limits,
                           const struct ryz_cost_source *cost)
{
    double all = places(model, limits), decode = decode_step_ns(model, cost, all);
    double prompt = prefill_ns(model, limits, cost, all, model->prompt_mean) - decode;
    double output = model->output_mean > 1.0 ? model->output_mean : 1.0;
    return decode + (prompt > 0.0 ? prompt : 0.0) * all / output;
}

int64_t ryz_wait_estimate_first_ns(const struct ryz_wait_model *model,
                                   const struct ryz_sched_limits *limits,
                                   const struct ryz_cost_source *cost, const struct ryz_load *load,
                                   const struct ryz_request_view *request, uint32_t tokens)
{
    double all = places(model, limits), running = (double)load->running;
    double decodes = running < all ? running : all;
    double wait = 0.0, prompts = (double)load->prefill_left + (double)tokens;
    if (decode_step_ns(model, cost, 1.0) <= 0.0) return 0;
    if (load->free_at[0] > 0.0)
        wait = load->free_at[0] * full_step_ns(model, limits, cost);
    else
        prompts += (double)load->ahead_tokens;
    return ryz_step_cost_round(factor_of(model, request) *
                               (wait + prefill_ns(model, limits, cost, decodes, prompts)));
}

int64_t ryz_wait_estimate_token_ns(const struct ryz_wait_model *model,
                                   const struct ryz_sched_limits *limits,
                                   const struct ryz_cost_source *cost, const struct ryz_load *load)
{
    double all = places(model, limits);
    double busy = (double)load->running + (double)load->ahead + 1.0;
    double decodes = busy < all ? busy : all;
    return ryz_step_cost_round(model->token_factor * decode_step_ns(model, cost, decodes));
}
