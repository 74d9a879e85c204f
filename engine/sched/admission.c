/*
 * admission.c - the estimate and what it learns. See admission.h.
 *
 * Leaves to others: counting what is ahead and deciding (core_admit.c).
 */
#include "engine/sched/admission.h"

#include "engine/base/size.h"
#include "engine/sched/step_cost.h"

#define AVERAGE_SHARE (1.0 / 32) /* of a new request in the averages */
#define FACTOR_RISE   0.10       /* after a first token that was later than believed */
#define FACTOR_FALL   (FACTOR_RISE / 99)
#define FACTOR_MIN    0.5
#define FACTOR_MAX    16.0

void ryz_wait_model_init(struct ryz_wait_model *model)
{
    *model = (struct ryz_wait_model){.factor = 1.0};
}

void ryz_wait_model_learn_end(struct ryz_wait_model *model, uint32_t prompt_tokens,
                              uint32_t output_tokens)
{
    double share = model->ended == 0 ? 1.0 : AVERAGE_SHARE;
    model->prompt_mean += share * ((double)prompt_tokens - model->prompt_mean);
    model->output_mean += share * ((double)output_tokens - model->output_mean);
    model->ended++;
}

void ryz_wait_model_learn_first(struct ryz_wait_model *model, int64_t estimated_ns,
                                int64_t actual_ns)
{
    if (estimated_ns <= 0) return;
    model->factor *= actual_ns > estimated_ns ? 1.0 + FACTOR_RISE : 1.0 - FACTOR_FALL;
    if (model->factor < FACTOR_MIN) model->factor = FACTOR_MIN;
    if (model->factor > FACTOR_MAX) model->factor = FACTOR_MAX;
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

int64_t ryz_wait_estimate_first_ns(const struct ryz_wait_model *model,
                                   const struct ryz_sched_limits *limits,
                                   const struct ryz_cost_source *cost, const struct ryz_load *load,
                                   uint32_t prompt_tokens)
{
    double all = places(model, limits), running = (double)load->running;
    double free = all - running - (double)load->ahead;
    double decodes = running < all ? running : all;
    if (decode_step_ns(model, cost, 1.0) <= 0.0) return 0;
    double left = (double)load->prefill_left, own = (double)prompt_tokens;
    if (free >= 1.0) {
        double tokens = left + (double)load->ahead_tokens + own;
        return ryz_step_cost_round(model->factor *
                                   prefill_ns(model, limits, cost, decodes, tokens));
    }
    if (model->ended == 0) return 0;
    double each = decode_step_ns(model, cost, all) * model->output_mean / all +
                  prefill_ns(model, limits, cost, all, model->prompt_mean) -
                  decode_step_ns(model, cost, all);
    double wait = (1.0 - free) * (each > 0.0 ? each : 0.0);
    return ryz_step_cost_round(model->factor *
                               (wait + prefill_ns(model, limits, cost, decodes, left + own)));
}

int64_t ryz_wait_estimate_rest_ns(const struct ryz_wait_model *model,
                                  const struct ryz_sched_limits *limits,
                                  const struct ryz_cost_source *cost, const struct ryz_load *load,
                                  uint32_t output_tokens_max)
{
    double all = places(model, limits);
    double busy = (double)load->running + (double)load->ahead + 1.0;
    double decodes = busy < all ? busy : all;
    return ryz_step_cost_round(model->factor * decode_step_ns(model, cost, decodes) *
                               (double)output_tokens_max);
}
