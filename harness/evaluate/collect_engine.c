/* collect_engine.c - what the engine's steps, the host, the GPUs and the generator say. */
#include "harness/evaluate/collect.h"

#include <math.h>

static bool in_window(const struct ryz_window *window, int64_t t_ns)
{
    return window->measured && t_ns >= window->begin_ns && t_ns <= window->end_ns;
}

static double share(double part, double whole)
{
    return whole > 0 ? part / whole : (double)NAN;
}

static double step_value(const struct ryz_step_row *step, enum ryz_quantity quantity)
{
    switch (quantity) {
    case RYZ_Q_STEP:
        return (double)step->duration_ns;
    case RYZ_Q_STEP_SCHED:
        return (double)step->sched_ns;
    case RYZ_Q_STEP_FORWARD:
        return (double)step->forward_ns;
    case RYZ_Q_BATCH:
        return step->run_count;
    case RYZ_Q_BATCH_LIMIT:
        return step->batch_limit > 0 ? (double)step->batch_limit : (double)NAN;
    case RYZ_Q_BATCH_TOKENS:
        return (double)step->prefill_tokens + step->decode_requests + step->draft_tokens;
    case RYZ_Q_KV_UTIL:
        return share(step->kv_used, step->kv_total);
    case RYZ_Q_KV_LENT:
        return share(step->kv_lent, step->kv_total);
    case RYZ_Q_KV_WASTE:
        return step->kv_slots > 0 ? (double)step->kv_empty / (double)step->kv_slots : (double)NAN;
    case RYZ_Q_WAITING:
        return step->waiting;
    default:
        return NAN;
    }
}

static double host_value(const struct ryz_host_row *host, enum ryz_quantity quantity)
{
    switch (quantity) {
    case RYZ_Q_CPU_UTIL:
        return (double)host->cpu;
    case RYZ_Q_CPU_STEAL:
        return (double)host->steal;
    case RYZ_Q_CPU_PROCESS:
        return (double)host->process_cpu;
    case RYZ_Q_MEM_RSS:
        return (double)host->rss;
    default:
        return NAN;
    }
}

static double gpu_value(const struct ryz_gpu_row *gpu, enum ryz_quantity quantity)
{
    switch (quantity) {
    case RYZ_Q_GPU_UTIL:
        return (double)gpu->util;
    case RYZ_Q_GPU_MEM_UTIL:
        return share((double)gpu->mem_used, (double)gpu->mem_total);
    case RYZ_Q_GPU_POWER:
        return (double)gpu->power_w;
    default:
        return NAN;
    }
}

static void add(struct ryz_samples *out, double value)
{
    if (!isnan(value)) ryz_samples_add(out, value);
}

static void add_steps(const struct ryz_view *view, enum ryz_quantity quantity,
                      struct ryz_samples *out)
{
    size_t count = 0;
    const struct ryz_step_row *steps = ryz_run_rows(view->data, RYZ_TABLE_ENGINE, &count);
    const struct ryz_window *window = ryz_view_window(view);
    for (size_t i = 0; i < count; i++)
        if (in_window(window, steps[i].t_ns)) add(out, step_value(&steps[i], quantity));
}

static void add_host(const struct ryz_view *view, enum ryz_quantity quantity,
                     struct ryz_samples *out)
{
    size_t count = 0;
    const struct ryz_host_row *rows = ryz_run_rows(view->data, RYZ_TABLE_HOST, &count);
    const struct ryz_window *window = ryz_view_window(view);
    for (size_t i = 0; i < count; i++)
        if (in_window(window, rows[i].t_ns)) add(out, host_value(&rows[i], quantity));
}

static void add_gpu(const struct ryz_view *view, enum ryz_quantity quantity,
                    struct ryz_samples *out)
{
    size_t count = 0;
    const struct ryz_gpu_row *rows = ryz_run_rows(view->data, RYZ_TABLE_TELEMETRY, &count);
    const struct ryz_window *window = ryz_view_window(view);
    for (size_t i = 0; i < count; i++)
        if (in_window(window, rows[i].t_ns)) add(out, gpu_value(&rows[i], quantity));
}

bool ryz_collect_engine_samples(const struct ryz_view *view, enum ryz_quantity quantity,
                                struct ryz_samples *out)
{
    switch (quantity) {
    case RYZ_Q_STEP:
    case RYZ_Q_STEP_SCHED:
    case RYZ_Q_STEP_FORWARD:
    case RYZ_Q_BATCH:
    case RYZ_Q_BATCH_LIMIT:
    case RYZ_Q_BATCH_TOKENS:
    case RYZ_Q_KV_UTIL:
    case RYZ_Q_KV_LENT:
    case RYZ_Q_KV_WASTE:
    case RYZ_Q_WAITING:
        add_steps(view, quantity, out);
        return true;
    case RYZ_Q_CPU_UTIL:
    case RYZ_Q_CPU_STEAL:
    case RYZ_Q_CPU_PROCESS:
    case RYZ_Q_MEM_RSS:
        add_host(view, quantity, out);
        return true;
    case RYZ_Q_GPU_UTIL:
    case RYZ_Q_GPU_MEM_UTIL:
    case RYZ_Q_GPU_POWER:
        add_gpu(view, quantity, out);
        return true;
    case RYZ_Q_HARNESS_CPU: {
        size_t count = 0;
        const struct ryz_harness_row *rows = ryz_run_rows(view->data, RYZ_TABLE_HARNESS, &count);
        for (size_t i = 0; i < count; i++)
            if (in_window(ryz_view_window(view), rows[i].t_ns)) add(out, (double)rows[i].cpu);
        return true;
    }
    default:
        return false;
    }
}

/* Growth of a counter; a server that was started again counts from 0. */
static double grown(uint64_t from, uint64_t to)
{
    return (double)(to >= from ? to - from : to);
}

/* Sums over the steps of a window. */
struct work {
    size_t steps;
    double sched, duration, failed, preempted, recomputed, computed;
    double decodes, verified, accepted;
};

static uint64_t verified_so_far(const struct ryz_step_row *step)
{
    uint64_t sum = 0;
#define X(n) sum += step->verified_##n;
    RYZ_DRAFT_POSITIONS(X)
#undef X
    return sum;
}

static uint64_t accepted_so_far(const struct ryz_step_row *step)
{
    uint64_t sum = 0;
#define X(n) sum += step->accepted_##n;
    RYZ_DRAFT_POSITIONS(X)
#undef X
    return sum;
}

static struct work add_up(const struct ryz_view *view)
{
    struct work work = {0};
    size_t count = 0;
    const struct ryz_step_row *steps = ryz_run_rows(view->data, RYZ_TABLE_ENGINE, &count);
    const struct ryz_window *window = ryz_view_window(view);
    const struct ryz_step_row *before = NULL;
    for (size_t i = 0; i < count; i++) {
        const struct ryz_step_row *step = &steps[i];
        if (!in_window(window, step->t_ns)) continue;
        work.steps++;
        work.sched += (double)step->sched_ns;
        work.duration += (double)step->duration_ns;
        work.failed += step->failed;
        if (before != NULL) {
            work.decodes += step->decode_requests;
            work.verified += grown(verified_so_far(before), verified_so_far(step));
            work.accepted += grown(accepted_so_far(before), accepted_so_far(step));
            work.preempted += grown(before->preempt, step->preempt);
            work.recomputed += grown(before->recomputed, step->recomputed);
            work.computed += grown(before->prompt_computed, step->prompt_computed) +
                             grown(before->decoded, step->decoded);
        }
        before = step;
    }
    return work;
}

bool ryz_collect_engine_number(const struct ryz_view *view, enum ryz_quantity quantity,
                               struct ryz_number *out)
{
    if (quantity != RYZ_Q_SCHED_SHARE && quantity != RYZ_Q_PREEMPTIONS &&
        quantity != RYZ_Q_RECOMPUTE && quantity != RYZ_Q_DRAFT_ACCEPT &&
        quantity != RYZ_Q_DRAFT_GAIN && quantity != RYZ_Q_FAILED_STEPS)
        return false;
    struct work work = add_up(view);
    out->known = work.steps > 0;
    out->n = work.steps;
    out->denominator = 1;
    switch (quantity) {
    case RYZ_Q_SCHED_SHARE:
        out->numerator = work.sched;
        out->denominator = work.duration;
        break;
    case RYZ_Q_RECOMPUTE:
        out->numerator = work.recomputed;
        out->denominator = work.computed;
        break;
    case RYZ_Q_DRAFT_ACCEPT:
        out->known = work.verified > 0;
        out->numerator = work.accepted;
        out->denominator = work.verified;
        break;
    case RYZ_Q_DRAFT_GAIN:
        out->known = work.decodes > 0;
        out->numerator = work.decodes + work.accepted;
        out->denominator = work.decodes;
        break;
    case RYZ_Q_PREEMPTIONS:
        out->combine = RYZ_COMBINE_SUM;
        out->numerator = work.preempted;
        break;
    default:
        out->combine = RYZ_COMBINE_SUM;
        out->numerator = work.failed;
        break;
    }
    return true;
}
