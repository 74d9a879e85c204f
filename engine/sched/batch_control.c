/*
 * batch_control.c - the controller of the batch size. See batch_control.h.
 *
 * Leaves to others: what a step costs (step_cost.h), keeping the limits (the policy).
 */
#include "engine/sched/batch_control.h"

#include "engine/base/size.h"

#define FACTOR_RISE 0.05 /* after a step that was too long */
#define FACTOR_FALL (FACTOR_RISE / 19)
#define FACTOR_MAX  2.0 /* hiccups that no limit helps against cost half of the target at most */

void ryz_batch_control_init(struct ryz_batch_control *control)
{
    *control = (struct ryz_batch_control){.factor = 1.0, .limit = 1, .most = UINT32_MAX};
}

/* The step of `requests` streams and the smallest chunk that a prompt is given beside them. */
static double believed_ns(const struct ryz_sched_limits *limits, const struct ryz_cost_source *cost,
                          double context, uint32_t requests)
{
    struct ryz_batch_shape shape = {.prefill_tokens = limits->kv_block_tokens,
                                    .decode_requests = requests,
                                    .context_tokens = (uint64_t)(context * (double)requests)};
    return (double)cost->step_ns(cost->context, &shape);
}

/* The largest batch that is believed to keep the target, 1 if none does. The cost grows with the
 * batch, so bisection finds it. */
static uint32_t largest_batch(const struct ryz_batch_control *control,
                              const struct ryz_sched_limits *limits,
                              const struct ryz_cost_source *cost, double context)
{
    double most_ns = (double)limits->itl_target_ns / control->factor;
    uint32_t good = 1, bad = limits->batch_requests_max + 1;
    while (bad - good > 1) {
        uint32_t middle = good + (bad - good) / 2;
        if (believed_ns(limits, cost, context, middle) <= most_ns)
            good = middle;
        else
            bad = middle;
    }
    return good;
}

/* A step teaches what the limit is good for: only if a stream waited for it, and no more requests
 * ran than the limit allows (else it is the past's fault). One that was too long although nobody
 * ran beside says nothing either, for no limit helps there. */
static bool teaches(const struct ryz_batch_control *control, const struct ryz_batch_step *step,
                    bool missed)
{
    return step->shape->decode_requests > 0 && step->running <= control->limit &&
           (control->limit > 1 || !missed);
}

void ryz_batch_control_learn(struct ryz_batch_control *control,
                             const struct ryz_sched_limits *limits,
                             const struct ryz_cost_source *cost, const struct ryz_batch_step *step)
{
    if (limits->itl_target_ns == 0) return;
    bool missed = step->duration_ns > limits->itl_target_ns;
    bool believes = believed_ns(limits, cost, step->context, 1) > 0.0;
    if (teaches(control, step, missed) && believes) {
        control->factor *= missed ? 1.0 + FACTOR_RISE : 1.0 - FACTOR_FALL;
        if (control->factor < 1.0) control->factor = 1.0;
        if (control->factor > FACTOR_MAX) control->factor = FACTOR_MAX;
    }
    uint32_t wanted = control->limit;
    if (step->waiting > 0 && step->running >= control->limit && !missed) wanted++;
    /* Without an opinion on costs, a miss halves. */
    if (!believes && missed && teaches(control, step, missed)) wanted = (wanted + 1) / 2;
    control->most = largest_batch(control, limits, cost, step->context);
    control->limit = ryz_min_u32(wanted, control->most);
}

static struct ryz_sched_limits with_batch(const struct ryz_batch_control *control,
                                          const struct ryz_sched_limits *limits, uint32_t requests)
{
    struct ryz_sched_limits now = *limits;
    if (limits->itl_target_ns == 0) return now;
    now.batch_requests_max = ryz_min_u32(requests, limits->batch_requests_max);
    double most_ns = (double)limits->itl_target_ns / control->factor;
    if (most_ns < (double)now.step_ns_max) now.step_ns_max = (int64_t)most_ns;
    if (now.step_ns_max < 1) now.step_ns_max = 1;
    return now;
}

struct ryz_sched_limits ryz_batch_control_limits(const struct ryz_batch_control *control,
                                                 const struct ryz_sched_limits *limits)
{
    return with_batch(control, limits, control->limit);
}

struct ryz_sched_limits ryz_batch_control_outlook(const struct ryz_batch_control *control,
                                                  const struct ryz_sched_limits *limits)
{
    return with_batch(control, limits, control->most);
}
