/*
 * policy_fcfs.c - first come, first served, with chunked prefill and preemption by recomputation.
 *
 * Running requests come first, in order of arrival; what is left of the token budget goes to
 * waiting ones. Decodes get their token before any prefill chunk is cut, so that a long prompt
 * never stalls a stream ("stall-free" batching, Sarathi-Serve). When KV blocks run out, the request
 * that arrived last gives up its own, so the oldest one always makes progress and everything
 * finishes.
 *
 * Why no deadlock: alone, the oldest running request fits into the pool (the core refuses longer
 * ones), and it may preempt all others. Why no starvation: the waiting are admitted in order, and
 * the first prefill of a step gets at least one block however small step_ns_max is.
 */
#include "engine/sched/policy.h"

#include "engine/base/assert.h"
#include "engine/base/clock.h"
#include "engine/base/size.h"

/* The step under construction. */
struct step {
    const struct ryz_sched_view *view;
    struct ryz_sched_plan *plan;
    uint32_t kept;          /* running requests [0, kept) keep their blocks */
    uint32_t tokens_left;   /* of batch_tokens_max */
    uint32_t blocks_free;   /* now, after the items so far */
    uint64_t blocks_owed;   /* what the scheduled and running requests need beyond this step to hold
                               all their present tokens */
    uint32_t decodes_ahead; /* running requests not yet visited that want one token */
    bool prefilled;         /* a chunk was cut: the next ones have no floor */
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
    uint32_t blocks = blocks_for(step, end);
    if (blocks > request->kv_blocks) {
        RYZ_ASSERT(blocks - request->kv_blocks <= step->blocks_free);
        step->blocks_free -= blocks - request->kv_blocks;
    }
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

/* Preempts the last-arrived others until `needed` blocks are free; false if that is not enough. */
static bool make_room(struct step *step, uint32_t index, uint32_t needed)
{
    while (needed > step->blocks_free && step->kept - 1 > index) {
        step->kept--;
        const struct ryz_request_view *victim = &step->view->requests[step->kept];
        step->blocks_free += victim->kv_blocks;
        if (wanted_tokens(victim) == 1) {
            step->decodes_ahead--;
            step->shape.decode_requests--;
            step->shape.context_tokens -= victim->computed_tokens + 1;
        }
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

/* Blocks that the kept running requests still lack to hold all their present tokens. */
static void count_owed(struct step *step)
{
    const struct ryz_sched_plan *plan = step->plan;
    for (uint32_t i = 0; i < step->kept; i++) {
        const struct ryz_request_view *request = &step->view->requests[i];
        uint32_t blocks = blocks_for(step, total_tokens(request));
        if (blocks > request->kv_blocks) step->blocks_owed += blocks - request->kv_blocks;
    }
    for (uint32_t i = 0; i < plan->item_count; i++) {
        const struct ryz_plan_item *item = &plan->items[i];
        uint32_t blocks = blocks_for(step, item->first_position + item->tokens);
        uint32_t held = step->view->requests[item->view_index].kv_blocks;
        if (blocks > held) step->blocks_owed -= blocks - held;
    }
}

/* Starts waiting requests in order until the first that does not fit. A request is started only if
 * all its tokens would fit beside what is owed: admitting on the first chunk alone buys a
 * preemption a few steps later. */
static void admit(struct step *step, const struct ryz_fcfs_tunables *tunables)
{
    const struct ryz_sched_view *view = step->view;
    uint32_t running = step->kept;
    uint64_t headroom = (uint64_t)view->limits.kv_blocks * tunables->headroom_permille / 1000;
    for (uint32_t i = view->running_count; i < view->request_count; i++) {
        const struct ryz_request_view *request = &view->requests[i];
        if (running >= view->limits.batch_requests_max ||
            step->plan->run_count >= view->limits.batch_requests_max || step->tokens_left == 0)
            return;
        uint32_t blocks = blocks_for(step, total_tokens(request));
        uint64_t spare = running > 0 ? headroom : 0;
        if (blocks + step->blocks_owed + spare > step->blocks_free) return;
        uint32_t tokens = cut_chunk(step, 0, total_tokens(request));
        if (tokens == 0) return;
        step->blocks_owed += blocks - blocks_for(step, tokens);
        add_run(step, i, tokens);
        ryz_batch_shape_add(&step->shape, 0, tokens);
        step->prefilled = true;
        running++;
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

static void fcfs_step(const void *tunables, const struct ryz_sched_view *view,
                      struct ryz_sched_plan *plan)
{
    struct step step = {
        .view = view,
        .plan = plan,
        .kept = view->running_count,
        .tokens_left = view->limits.batch_tokens_max,
        .blocks_free = view->kv_blocks_free,
    };
    for (uint32_t i = 0; i < view->running_count; i++) {
        const struct ryz_request_view *request = &view->requests[i];
        if (wanted_tokens(request) != 1) continue;
        step.decodes_ahead++;
        ryz_batch_shape_add(&step.shape, request->computed_tokens, 1);
    }
    for (uint32_t i = 0; i < step.kept; i++) {
        if (step.tokens_left == 0 || plan->run_count == view->limits.batch_requests_max) break;
        run_running(&step, i);
    }
    /* Who was just preempted comes before everybody who waits. */
    if (step.kept == view->running_count) {
        count_owed(&step);
        admit(&step, tunables);
    }
    put_preemptions_first(&step);
}

static const struct ryz_fcfs_tunables fcfs_defaults = {.headroom_permille = 10};

const struct ryz_sched_policy ryz_policy_fcfs = {
    .name = "fcfs",
    .step = fcfs_step,
    .tunables = &fcfs_defaults,
};
