/*
 * core_drafts.c - what a core believes of proposals: the chance that one is right, per request.
 *
 * Leaves to others: how many are verified (speculation.c), where they come from (the driver). The
 * idea: text that repeats itself keeps doing so, hence a chance per request, which begins as that
 * of all; and since proposals that are never tried teach nothing, one is tried now and then.
 */
#include "engine/base/assert.h"
#include "engine/base/size.h"
#include "engine/sched/core_internal.h"

/* Steps without a proposal before one is tried; twice as many each time that it leads to nothing.
 */
#define PROBE_FIRST  64u
#define PROBE_LAST   4096u
#define ONE          65536u
#define ACCEPT_FIRST 39322u /* of it: what is believed before any proposal was verified */
#define OWN_SHARE    8u     /* a proposal's weight in its request's chance, 1 / this */
#define ALL_SHARE    64u    /* in that of all */

void ryz_core_offer_drafts(const struct ryz_core *core, uint32_t slot,
                           struct ryz_request_view *view)
{
    const struct ryz_request *request = &core->table.requests[slot];
    uint32_t most = ryz_min_u32(request->drafts_offered, core->limits.draft_tokens_max);
    /* The step's own token comes besides, and what is proposed past the end is of no use. */
    uint32_t left = view->output_tokens_max - view->decoded_tokens;
    bool decodes = view->prompt_tokens + view->decoded_tokens == view->computed_tokens + 1;
    view->draft_tokens = decodes ? (uint8_t)ryz_min_u32(most, left - 1) : 0;
    view->accept_permille = (uint16_t)((uint64_t)request->accept * 1000 / ONE);
}

void ryz_core_drafts_init(struct ryz_core *core)
{
    core->accept = ACCEPT_FIRST;
    core->probe_steps = PROBE_FIRST;
}

bool ryz_core_probes_drafts(const struct ryz_core *core)
{
    return core->draftless_steps >= core->probe_steps;
}

void ryz_core_note_drafts(struct ryz_core *core, const struct ryz_sched_plan *plan)
{
    if (core->limits.draft_tokens_max == 0 || plan->shape.decode_requests == 0) return;
    if (plan->shape.draft_tokens == 0) {
        if (core->draftless_steps < core->probe_steps) core->draftless_steps++;
        return;
    }
    bool probe = core->draftless_steps >= core->probe_steps && plan->shape.draft_tokens == 1;
    core->probe_steps = probe ? ryz_min_u32(2 * core->probe_steps, PROBE_LAST) : PROBE_FIRST;
    core->draftless_steps = 0;
}

static void learn(uint32_t *chance, bool right, uint32_t share)
{
    if (right)
        *chance += (ONE - *chance) / share;
    else
        *chance -= *chance / share;
}

void ryz_core_accept_draft(struct ryz_core *core, uint32_t slot)
{
    struct ryz_request *request = &core->table.requests[slot];
    RYZ_ASSERT(request->drafts_left > 0);
    request->drafts_left--;
    request->view.computed_tokens++;
    if (request->view.computed_tokens > request->computed_high)
        request->computed_high = request->view.computed_tokens;
    learn(&request->accept, true, OWN_SHARE);
    learn(&core->accept, true, ALL_SHARE);
}

void ryz_core_settle_drafts(struct ryz_core *core, uint32_t slot, bool ended)
{
    struct ryz_request *request = &core->table.requests[slot];
    uint32_t planned = request->drafts_planned, accepted = planned - request->drafts_left;
    for (uint32_t i = 0; i < planned; i++) {
        core->stats.drafts_verified[i]++;
        core->stats.drafts_accepted[i] += i < accepted;
    }
    if (accepted < planned && !ended) {
        learn(&request->accept, false, OWN_SHARE);
        learn(&core->accept, false, ALL_SHARE);
    }
    request->waste.rejected_tokens += planned - accepted;
    request->drafts_planned = request->drafts_left = 0;
}
