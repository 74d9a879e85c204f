/*
 * speculation.c - proposals by what they yield, cut where the next would lower the rate.
 *
 * Leaves to others: making proposals (the driver), learning the chances (core_drafts.c). The idea:
 * the yields are put into a few classes instead of being sorted, and only the edges of classes are
 * tried as cuts, so a step of 256 requests costs some microseconds.
 */
#include "engine/sched/speculation.h"

#include "engine/base/assert.h"
#include "engine/base/size.h"

#include <string.h>

#define CLASSES 32u
/* A rate must be better by this factor: what is gained less is not worth the error of the belief.
 */
#define WORTH 1.02

/* Of the proposals in one class of yield. */
struct yield_class {
    double tokens;
    uint64_t context;
    uint32_t count;
};

/* The class of the next proposal of a request after `yield` of those before it; CLASSES when it is
 * not worth a thought. */
static uint32_t next_class(const struct ryz_request_view *request, double *yield)
{
    *yield *= request->accept_permille / 1000.0;
    uint32_t i = (uint32_t)(*yield * CLASSES);
    if (i == 0) return CLASSES;
    return CLASSES - 1 - ryz_min_u32(i, CLASSES - 1);
}

static uint32_t sort_into_classes(const struct ryz_sched_view *view, uint32_t count,
                                  struct yield_class classes[CLASSES])
{
    uint32_t all = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct ryz_request_view *request = &view->requests[i];
        double yield = 1.0;
        for (uint32_t j = 0; j < request->draft_tokens; j++) {
            uint32_t k = next_class(request, &yield);
            if (k == CLASSES) break;
            classes[k].tokens += yield;
            classes[k].context += request->computed_tokens + 2 + j;
            classes[k].count++;
            all++;
        }
    }
    return all;
}

/* How many of the classes, best first, make the best rate; 0: none. */
static uint32_t find_cut(const struct ryz_sched_view *view, const struct ryz_batch_shape *base,
                         const struct yield_class classes[CLASSES], uint32_t drafts_max)
{
    const struct ryz_cost_source *cost = &view->cost;
    struct ryz_batch_shape shape = *base;
    double tokens = base->decode_requests;
    double plain_ns = (double)cost->step_ns(cost->context, base);
    double best = plain_ns > 0.0 ? WORTH * tokens / plain_ns : 0.0;
    uint32_t cut = 0;
    for (uint32_t k = 0; k < CLASSES; k++) {
        if (classes[k].count == 0) continue;
        shape.draft_tokens += classes[k].count;
        shape.context_tokens += classes[k].context;
        tokens += classes[k].tokens;
        if (shape.draft_tokens > drafts_max) break;
        double ns = (double)cost->step_ns(cost->context, &shape);
        if (ns > (double)view->limits.step_ns_max) break; /* and so are all after it */
        /* Without an opinion of what a step costs, the first class is tried. */
        double rate = ns > 0.0 ? tokens / ns : 1.0 / (1.0 + k);
        if (!(rate > best)) continue;
        best = rate;
        cut = k + 1;
    }
    return cut;
}

/* One proposal of the first request that has any. */
static void choose_probe(const struct ryz_sched_view *view, uint32_t count,
                         uint8_t drafts[RYZ_BATCH_MAX])
{
    for (uint32_t i = 0; i < count; i++) {
        if (view->requests[i].draft_tokens == 0) continue;
        drafts[i] = 1;
        return;
    }
}

void ryz_speculation_choose(const struct ryz_sched_view *view, uint32_t count,
                            const struct ryz_batch_shape *base, uint32_t drafts_max,
                            uint8_t drafts[RYZ_BATCH_MAX])
{
    struct yield_class classes[CLASSES] = {{0}};
    RYZ_ASSERT(count <= RYZ_BATCH_MAX);
    memset(drafts, 0, count);
    if (drafts_max == 0) return;
    uint32_t all = sort_into_classes(view, count, classes);
    uint32_t cut = all == 0 ? 0 : find_cut(view, base, classes, drafts_max);
    for (uint32_t i = 0; cut > 0 && i < count; i++) {
        const struct ryz_request_view *request = &view->requests[i];
        double yield = 1.0;
        while (drafts[i] < request->draft_tokens && next_class(request, &yield) < cut) drafts[i]++;
    }
    if (cut == 0 && view->probe_drafts) choose_probe(view, count, drafts);
}
