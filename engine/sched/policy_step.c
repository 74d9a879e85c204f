/*
 * policy_step.c - serves a view in its order, with chunked prefill and preemption by recomputation.
 *
 * Running requests come first, in order; what is left of the token budget goes to waiting ones.
 * Decodes get their token before any prefill chunk is cut, so that a long prompt never stalls a
 * stream ("stall-free" batching, Sarathi-Serve). When KV blocks run out, the last of the running
 * gives up its own, so the first one always makes progress and everything finishes.
 *
 * Classes (the first part of the order key): a waiting request of a more urgent class is started
 * before the prompts of less urgent running ones go on, and takes the place of the last of them if
 * there is none free; nobody is displaced more than displaced_max times, so work is not thrown away
 * without end.
 *
 * What a newcomer must find free is limits.admit's choice: all its tokens so far beside what the
 * running ones owe (their tokens so far that have no block yet), the same with the longest outputs,
 * or its first chunk alone. A share of the pool stays free beside that, for those who run to grow
 * into; the core raises it after preemptions. With whole outputs counted nobody grows beyond what
 * was counted, so none is kept.
 *
 * Why no deadlock: alone, the first running request fits into the pool (the core refuses longer
 * ones), and it may preempt all others. Why no starvation in one class: the waiting are admitted in
 * order, and the first prefill of a step gets at least one block however small step_ns_max is;
 * across classes the core moves who waited for starve_ns to the front of all.
 */
#include "engine/sched/policy.h"

#include "engine/base/assert.h"
#include "engine/base/clock.h"
#include "engine/base/size.h"

/* The step under construction. */
struct step {
    const struct ryz_sched_view *view;
    const struct ryz_step_tunables *tunables;
    struct ryz_sched_plan *plan;
    uint32_t kept;          /* running requests [0, kept) keep their blocks */
    uint32_t started;       /* waiting requests in the plan */
    uint32_t next_waiting;  /* view index of the first waiting one that is not started */
    uint64_t class_limit;   /* only classes below may be started: somebody was displaced for them */
    uint32_t tokens_left;   /* of batch_tokens_max */
    uint32_t blocks_free;   /* now, after the items so far */
    uint64_t blocks_owed;   /* what kept and started requests need beyond the items so far to hold
                               the tokens they are booked with */
    uint32_t decodes_ahead; /* running requests not yet visited that want one token */
    bool short_of_blocks;   /* somebody was preempted for blocks: nobody is started */
    bool prefilled;         /* a chunk was cut: the next ones have no floor */
    bool served;            /* the running have had their turn */
    bool slow;              /* the believed cost is at its limit: no more prefill */
    struct ryz_batch_shape shape; /* items so far and the decodes ahead */
};

static uint32_t total_tokens(const struct ryz_request_view *request)
{
    return request->prompt_tokens + request->decoded_tokens;
}

static uint32_t wanted_tokens(const struct ryz_request_view *request)
{
    return total_tokens(request) - request->computed_tokens;
}

static uint32_t blocks_for(const struct step *step, uint32_t tokens)
{
    return ryz_ceil_div_u32(tokens, step->view->limits.kv_block_tokens);
}

/* Free blocks that a request needs to hold its tokens up to `end`. Where somebody is preempted, the
 * blocks that a waiting one finds may have been his, so all of them count. */
static uint32_t blocks_to(const struct step *step, const struct ryz_request_view *request,
                          uint32_t end)
{
    uint32_t blocks = blocks_for(step, end);
    if (!request->running && step->kept < step->view->running_count) return blocks;
    return (blocks > request->kv_blocks ? blocks - request->kv_blocks : 0) + request->claim_blocks;
}

/* Tokens that a request is booked with: blocks for them are kept from newcomers. The last token of
 * an output is never computed. */
static uint32_t booked_tokens(const struct step *step, const struct ryz_request_view *request)
{
    return step->view->limits.admit == RYZ_ADMIT_WHOLE
               ? request->prompt_tokens + request->output_tokens_max - 1
               : total_tokens(request);
}

static uint32_t owed_by(const struct step *step, const struct ryz_request_view *request)
{
    return blocks_to(step, request, booked_tokens(step, request));
}

/* Tokens for which a waiting request must find blocks. */
static uint32_t asked_tokens(const struct step *step, const struct ryz_request_view *request)
{
    const struct ryz_sched_limits *limits = &step->view->limits;
    if (limits->admit != RYZ_ADMIT_CHUNK) return booked_tokens(step, request);
    return request->computed_tokens +
           ryz_min_u32(wanted_tokens(request), limits->prefill_chunk_max);
}

static bool is_fast_enough(const struct step *step, uint32_t first, uint32_t tokens)
{
    struct ryz_batch_shape shape = step->shape;
    ryz_batch_shape_add(&shape, first, tokens);
    const struct ryz_cost_source *cost = &step->view->cost;
    return cost->step_ns(cost->context, &shape) <= step->view->limits.step_ns_max;
}

/* The longest chunk up to `tokens` that keeps the believed step below step_ns_max. The cost grows
 * with the chunk, so bisection finds it in about ten evaluations, and only once a step. */
static uint32_t shrink_to_time(struct step *step, uint32_t first, uint32_t tokens)
{
    if (step->view->limits.step_ns_max == RYZ_TIME_NEVER) return tokens;
    if (is_fast_enough(step, first, tokens)) return tokens;
    step->slow = true;
    uint32_t good = 0, bad = tokens;
    while (bad - good > 1) {
        uint32_t middle = good + (bad - good) / 2;
        if (is_fast_enough(step, first, middle))
            good = middle;
        else
            bad = middle;
    }
    return good;
}

/* Tokens of a prefill of `wanted` in this step, before KV blocks are considered. */
static uint32_t cut_chunk(struct step *step, uint32_t first, uint32_t wanted)
{
    const struct ryz_sched_limits *limits = &step->view->limits;
    uint32_t most = ryz_min_u32(wanted, limits->prefill_chunk_max);
    uint32_t floor = step->prefilled ? 0 : ryz_min_u32(most, limits->kv_block_tokens);
    uint32_t spare =
        step->tokens_left > step->decodes_ahead ? step->tokens_left - step->decodes_ahead : 0;
    uint32_t chunk = 0;
    if (!step->slow && spare > 0) chunk = shrink_to_time(step, first, ryz_min_u32(most, spare));
    if (chunk < floor) chunk = ryz_min_u32(floor, step->tokens_left);
    return chunk;
}

static void add_run(struct step *step, uint32_t view_index, uint32_t tokens)
{
    const struct ryz_request_view *request = &step->view->requests[view_index];
    struct ryz_sched_plan *plan = step->plan;
    uint32_t end = request->computed_tokens + tokens;
    uint32_t allocated = blocks_to(step, request, end);
    RYZ_ASSERT(allocated <= step->blocks_free);
    RYZ_ASSERT(allocated <= step->blocks_owed);
    step->blocks_free -= allocated;
    step->blocks_owed -= allocated;
    RYZ_ASSERT(tokens <= step->tokens_left);
    step->tokens_left -= tokens;
    plan->run_count++;
    plan->items[plan->item_count++] = (struct ryz_plan_item){
        .request_id = request->id,
        .view_index = view_index,
        .slot = request->slot,
        .tokens = tokens,
        .first_position = request->computed_tokens,
        .action = RYZ_ACT_RUN,
        .samples = end == total_tokens(request),
    };
}

/* The last of the kept running requests loses its place and its blocks. */
static void drop_last(struct step *step)
{
    const struct ryz_sched_view *view = step->view;
    const struct ryz_request_view *victim = &view->requests[--step->kept];
    step->blocks_free += victim->own_blocks;
    step->blocks_owed -= owed_by(step, victim);
    /* Blocks that only victims shared are free as well; needed where nobody else is left. */
    if (step->kept <= 1 && step->plan->run_count == 0)
        step->blocks_free =
            view->limits.kv_blocks - (step->kept == 1 ? view->requests[0].kv_blocks : 0);
    if (wanted_tokens(victim) == 1) {
        step->decodes_ahead--;
        step->shape.decode_requests--;
        step->shape.context_tokens -= victim->computed_tokens + 1;
    }
}

/* Preempts the last others until `needed` blocks are free; false if that is not enough. */
static bool make_room(struct step *step, uint32_t index, uint32_t needed)
{
    while (needed > step->blocks_free && step->kept - 1 > index) {
        drop_last(step);
        step->short_of_blocks = true;
    }
    return needed <= step->blocks_free;
}

/* Gives the running request at `index` its tokens, if there are tokens and blocks for it. */
static void run_running(struct step *step, uint32_t index)
{
    const struct ryz_request_view *request = &step->view->requests[index];
    uint32_t first = request->computed_tokens, wanted = wanted_tokens(request);
    uint32_t tokens = 1;
    if (wanted == 1)
        step->decodes_ahead--;
    else
        tokens = cut_chunk(step, first, wanted);
    if (tokens == 0 || step->tokens_left == 0) return;
    uint32_t blocks = blocks_for(step, first + tokens);
    uint32_t needed = blocks > request->kv_blocks ? blocks - request->kv_blocks : 0;
    if (!make_room(step, index, needed)) {
        /* The last of the running keeps what it has, fills what is free and waits for the older
         * ones: they finish, or take its blocks. */
        uint32_t room =
            (request->kv_blocks + step->blocks_free) * step->view->limits.kv_block_tokens - first;
        if (room == 0) return;
        tokens = ryz_min_u32(tokens, room);
    }
    add_run(step, index, tokens);
    if (wanted > 1) {
        step->prefilled = true;
        ryz_batch_shape_add(&step->shape, first, tokens);
    }
}

/* Blocks of the pool that an admission beside `others` requests leaves free. */
static uint64_t headroom(const struct step *step, uint32_t others)
{
    const struct ryz_sched_limits *limits = &step->view->limits;
    if (others == 0 || limits->admit == RYZ_ADMIT_WHOLE) return 0;
    uint64_t permille = step->tunables->headroom_permille + step->view->headroom_permille;
    return limits->kv_blocks * permille / 1000;
}

/* Starts the next waiting request; false if it does not fit. */
static bool start_next(struct step *step)
{
    const struct ryz_sched_limits *limits = &step->view->limits;
    const struct ryz_request_view *request = &step->view->requests[step->next_waiting];
    uint32_t running = step->kept + step->started;
    if (running >= step->view->running_max || step->plan->run_count >= limits->batch_requests_max ||
        step->tokens_left == 0)
        return false;
    /* Who starts before the running ones had their turn leaves them theirs, or his blocks would be
     * promised twice where they preempt for them. */
    uint64_t kept = limits->admit == RYZ_ADMIT_CHUNK && step->served ? 0 : step->blocks_owed;
    uint32_t blocks = blocks_to(step, request, asked_tokens(step, request));
    if (blocks + kept + headroom(step, running) > step->blocks_free) return false;
    uint32_t first = request->computed_tokens;
    uint32_t tokens = cut_chunk(step, first, wanted_tokens(request));
    if (tokens == 0) return false;
    step->blocks_owed += owed_by(step, request);
    add_run(step, step->next_waiting, tokens);
    ryz_batch_shape_add(&step->shape, first, tokens);
    step->prefilled = true;
    step->started++;
    step->next_waiting++;
    return true;
}

/* Starts waiting requests of classes below `limit` in order, until the first that does not fit. */
static void start_below(struct step *step, uint64_t limit)
{
    if (limit > step->class_limit) limit = step->class_limit;
    while (!step->short_of_blocks && step->next_waiting < step->view->request_count &&
           step->view->requests[step->next_waiting].urgency < limit) {
        if (!start_next(step)) return;
    }
}

/* How many of the running stay if `request` is started beside `taken` others that need
 * `taken_blocks`; UINT32_MAX if those who may be displaced for it are not enough. */
static uint32_t kept_beside(const struct step *step, const struct ryz_request_view *request,
                            uint32_t taken, uint64_t taken_blocks)
{
    uint32_t kept = step->kept;
    uint64_t free = step->blocks_free, owed = step->blocks_owed;
    uint64_t needed = taken_blocks + blocks_for(step, asked_tokens(step, request));
    while (kept + taken >= step->view->running_max ||
           needed + owed + headroom(step, kept + taken) > free) {
        if (kept == 0) return UINT32_MAX;
        const struct ryz_request_view *victim = &step->view->requests[--kept];
        if (victim->urgency <= request->urgency ||
            victim->preemptions >= step->tunables->displaced_max)
            return UINT32_MAX;
        free += victim->own_blocks;
        owed -= owed_by(step, victim);
    }
    return kept;
}

/* Takes places from the last of the running for waiting requests of more urgent classes. */
static void displace(struct step *step)
{
    const struct ryz_sched_view *view = step->view;
    uint64_t blocks = 0;
    if (step->kept == 0) return;
    for (uint32_t i = view->running_count; i < view->request_count; i++) {
        const struct ryz_request_view *request = &view->requests[i];
        if (request->urgency >= view->requests[view->running_count - 1].urgency) return;
        uint32_t kept = kept_beside(step, request, i - view->running_count, blocks);
        if (kept == UINT32_MAX) return;
        while (step->kept > kept) {
            drop_last(step);
            step->class_limit = view->requests[step->kept].urgency;
        }
        blocks += blocks_for(step, asked_tokens(step, request));
    }
}

/* Moves the preemptions to the front: their blocks serve the runs. The latest arrival goes first.
 */
static void put_preemptions_first(struct step *step)
{
    struct ryz_sched_plan *plan = step->plan;
    uint32_t count = step->view->running_count - step->kept;
    if (count == 0) return;
    for (uint32_t i = plan->item_count; i > 0; i--) plan->items[i - 1 + count] = plan->items[i - 1];
    for (uint32_t i = 0; i < count; i++) {
        uint32_t index = step->view->running_count - 1 - i;
        const struct ryz_request_view *victim = &step->view->requests[index];
        plan->items[i] = (struct ryz_plan_item){
            .request_id = victim->id,
            .view_index = index,
            .slot = victim->slot,
            .first_position = victim->computed_tokens,
            .action = RYZ_ACT_PREEMPT,
        };
    }
    plan->item_count += count;
}

void ryz_policy_step(const void *tunables, const struct ryz_sched_view *view,
                     struct ryz_sched_plan *plan)
{
    struct step step = {
        .view = view,
        .tunables = tunables,
        .plan = plan,
        .kept = view->running_count,
        .next_waiting = view->running_count,
        .class_limit = UINT64_MAX,
        .tokens_left = view->limits.batch_tokens_max,
        .blocks_free = view->kv_blocks_free,
    };
    for (uint32_t i = 0; i < view->running_count; i++) {
        const struct ryz_request_view *request = &view->requests[i];
        step.blocks_owed += owed_by(&step, request);
        if (wanted_tokens(request) != 1) continue;
        step.decodes_ahead++;
        ryz_batch_shape_add(&step.shape, request->computed_tokens, 1);
    }
    displace(&step);
    for (uint32_t i = 0; i < step.kept; i++) {
        if (step.tokens_left == 0 || plan->run_count == view->limits.batch_requests_max) break;
        /* More urgent prompts come before those of the running. */
        if (wanted_tokens(&view->requests[i]) > 1) start_below(&step, view->requests[i].urgency);
        run_running(&step, i);
    }
    step.served = true;
    start_below(&step, UINT64_MAX);
    put_preemptions_first(&step);
    plan->short_of_blocks = step.short_of_blocks;
}
