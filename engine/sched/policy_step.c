/*
 * policy_step.c - serves a view in its order, with chunked prefill and preemption by recomputation.
 *
 * Running requests come first, in order; what is left of the token budget goes to waiting ones.
 * Decodes get their token before any prefill chunk is cut, so that a long prompt never stalls a
 * stream ("stall-free" batching, Sarathi-Serve). When KV blocks run out, the last of the running
 * gives up its own, so the first one always makes progress and everything finishes.
 *
 * A decode may carry proposals for the tokens after it (speculation.h); they are dropped rather
 * than that anybody else goes without tokens or blocks.
 *
 * Classes (the first part of the order key): a waiting request of a more urgent class is started
 * before the prompts of less urgent running ones go on, and takes the place of the last of them if
 * there is none free; nobody is displaced more than displaced_max times, so work is not thrown away
 * without end.
 *
 * Requests are booked with blocks for tokens of limits.admit's choice: all so far, those and the
 * longest output, or the next chunk. A newcomer must find what it is booked with free beside what
 * the running ones are booked with and do not hold yet (owed). A share of the pool stays free
 * beside that, for those who run to grow into; the core raises it after preemptions. With whole
 * outputs booked nobody grows beyond, so none is kept.
 *
 * Partitions. A partition is within its guarantee while what its requests hold and owe is; it
 * borrows while they hold more. For what partitions need now and are guaranteed (their claims, of
 * waiting requests too that would start within the guarantee), blocks are taken back from the last
 * of those who borrow, before anything else; in such a step nobody else starts. A waiting request
 * within the guarantee passes those that do not fit; nobody else does. Who grows beyond the
 * guarantee takes from later ones of its own partition and of those that are not within theirs. So
 * nobody loses blocks to another partition while its own is within the guarantee. Without
 * partitions there is one, guaranteed nothing, and all this comes to the rule above: the last of
 * the running gives up its own.
 *
 * Why no deadlock: the first running request fits into the pool beside all others' guarantees (the
 * core refuses longer ones), and it may preempt all others that are not within theirs; those who
 * are find their claims free. Why no starvation in one class: the waiting are admitted in
 * order, and the first prefill of a step gets at least one block however small step_ns_max is;
 * across classes the core moves who waited for starve_ns to the front of all.
 */
#include "engine/sched/policy.h"

#include "engine/base/assert.h"
#include "engine/base/clock.h"
#include "engine/base/size.h"
#include "engine/sched/speculation.h"

/* A partition of the pool in this step. */
struct part {
    uint64_t owed;       /* what its kept and started requests are booked with and do not hold */
    uint64_t coming;     /* for waiting ones that are to start within the guarantee */
    uint32_t guaranteed; /* blocks */
    uint32_t held;       /* blocks, after the items so far */
    uint32_t kept;       /* its running requests that keep their blocks */
    uint32_t started;
    bool dropped; /* one of its running requests loses its blocks */
    bool closed;  /* one of its waiting requests does not fit, so none behind starts */
};

/* The step under construction. */
struct step {
    const struct ryz_sched_view *view;
    const struct ryz_step_tunables *tunables;
    struct ryz_sched_plan *plan;
    uint32_t kept;          /* running requests that keep their blocks */
    uint32_t started;       /* waiting requests in the plan */
    uint32_t next_waiting;  /* view index: waiting ones before it are started */
    uint32_t part_count;    /* at least 1 */
    uint64_t class_limit;   /* only classes below may be started: somebody was displaced for them */
    uint32_t tokens_left;   /* of batch_tokens_max */
    uint32_t blocks_free;   /* now, after the items so far */
    uint64_t blocks_owed;   /* of all partitions */
    uint32_t decodes_ahead; /* running requests not yet visited that want one token */
    bool short_of_blocks;   /* somebody was preempted for blocks: nobody is started */
    bool full;              /* somebody did not fit: only who is within a guarantee is started */
    bool prefilled;         /* a chunk was cut: the next ones have no floor */
    bool slow;              /* the believed cost is at its limit: no more prefill */
    struct ryz_batch_shape shape;     /* items so far and the decodes ahead */
    uint64_t gone[RYZ_VIEW_MAX / 64]; /* bit per view index: running ones that lose their blocks,
                                         waiting ones that are started */
    struct part parts[RYZ_KV_PARTITIONS_MAX]; /* [part_count] */
    uint8_t drafts[RYZ_BATCH_MAX]; /* proposals of the running that are worth to be verified */
};

static bool is_gone(const struct step *step, uint32_t index)
{
    return (step->gone[index / 64] >> index % 64 & 1) != 0;
}

static void set_gone(struct step *step, uint32_t index)
{
    step->gone[index / 64] |= UINT64_C(1) << index % 64;
}

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

/* Free blocks that a request needs to hold its tokens up to `end`. Where somebody of its partition
 * is preempted, the blocks that a waiting one finds may have been his, so all of them count. */
static uint32_t blocks_to(const struct step *step, const struct ryz_request_view *request,
                          uint32_t end)
{
    uint32_t blocks = blocks_for(step, end);
    if (!request->running && step->parts[request->partition].dropped) return blocks;
    return (blocks > request->kv_blocks ? blocks - request->kv_blocks : 0) + request->claim_blocks;
}

/* Tokens that a request is booked with. The last token of an output is never computed. */
static uint32_t booked_tokens(const struct step *step, const struct ryz_request_view *request)
{
    const struct ryz_sched_limits *limits = &step->view->limits;
    if (limits->admit == RYZ_ADMIT_WHOLE)
        return request->prompt_tokens + request->output_tokens_max - 1;
    if (limits->admit == RYZ_ADMIT_CHUNK)
        return request->computed_tokens +
               ryz_min_u32(wanted_tokens(request), limits->prefill_chunk_max);
    return total_tokens(request);
}

static uint32_t owed_by(const struct step *step, const struct ryz_request_view *request)
{
    return blocks_to(step, request, booked_tokens(step, request));
}

/* ---- partitions ---- */

static bool is_within(const struct part *part)
{
    return part->held + part->owed <= part->guaranteed;
}

static bool is_borrowing(const struct part *part)
{
    return part->held > part->guaranteed;
}

/* Blocks that a partition is guaranteed and needs now. */
static uint64_t claim_of(const struct part *part)
{
    uint64_t unused = part->held < part->guaranteed ? part->guaranteed - part->held : 0;
    return ryz_min_u64(part->owed + part->coming, unused);
}

/* Free blocks that are nobody else's claim. */
static uint32_t available_to(const struct step *step, uint32_t partition)
{
    uint64_t claims = 0;
    for (uint32_t i = 0; i < step->part_count; i++)
        if (i != partition) claims += claim_of(&step->parts[i]);
    return claims < step->blocks_free ? step->blocks_free - (uint32_t)claims : 0;
}

/* What the only running request of a partition that is kept holds. */
static uint32_t blocks_of_last(const struct step *step, uint32_t partition)
{
    const struct ryz_request_view *requests = step->view->requests;
    uint32_t i = 0;
    while (is_gone(step, i) || requests[i].partition != partition) i++;
    RYZ_ASSERT(i < step->view->running_count);
    return requests[i].kv_blocks;
}

/* Takes a running request's place and blocks. */
static void drop(struct step *step, uint32_t index)
{
    const struct ryz_sched_view *view = step->view;
    const struct ryz_request_view *victim = &view->requests[index];
    struct part *part = &step->parts[victim->partition];
    uint32_t owed = owed_by(step, victim), freed = victim->own_blocks;
    set_gone(step, index);
    step->kept--;
    part->kept--;
    part->dropped = true;
    /* Blocks that only victims shared are free as well; needed where nobody else is left. */
    if (part->kept <= 1 && part->started == 0 && step->plan->run_count == 0)
        freed = part->held - (part->kept == 1 ? blocks_of_last(step, victim->partition) : 0);
    part->held -= freed;
    part->owed -= owed;
    step->blocks_free += freed;
    step->blocks_owed -= owed;
    if (wanted_tokens(victim) == 1) {
        step->decodes_ahead--;
        step->shape.decode_requests--;
        step->shape.context_tokens -= victim->computed_tokens + 1;
    }
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

static void add_run(struct step *step, uint32_t view_index, uint32_t tokens, uint32_t drafts)
{
    const struct ryz_request_view *request = &step->view->requests[view_index];
    struct ryz_sched_plan *plan = step->plan;
    uint32_t end = request->computed_tokens + tokens;
    uint32_t allocated = blocks_to(step, request, end + drafts);
    uint32_t owed = blocks_to(step, request, end);
    RYZ_ASSERT(allocated <= step->blocks_free);
    RYZ_ASSERT(owed <= step->blocks_owed);
    struct part *part = &step->parts[request->partition];
    step->blocks_free -= allocated;
    step->blocks_owed -= owed;
    part->owed -= owed;
    part->held += allocated;
    RYZ_ASSERT(tokens + drafts <= step->tokens_left);
    step->tokens_left -= tokens + drafts;
    plan->run_count++;
    plan->items[plan->item_count++] = (struct ryz_plan_item){
        .request_id = request->id,
        .view_index = view_index,
        .slot = request->slot,
        .tokens = tokens + drafts,
        .drafts = drafts,
        .first_position = request->computed_tokens,
        .action = RYZ_ACT_RUN,
        .samples = end == total_tokens(request),
    };
}

/* Preempts the last others until `needed` blocks are there for the running request at `index`;
 * false if those who may be preempted for it are not enough. */
static bool make_room(struct step *step, uint32_t index, uint32_t needed)
{
    const struct ryz_request_view *requests = step->view->requests;
    uint32_t partition = requests[index].partition;
    for (uint32_t i = step->view->running_count - 1; i > index; i--) {
        if (needed <= available_to(step, partition)) return true;
        if (is_gone(step, i)) continue;
        if (requests[i].partition != partition && is_within(&step->parts[requests[i].partition]))
            continue;
        drop(step, i);
        step->short_of_blocks = true;
    }
    return needed <= available_to(step, partition);
}

/* Proposals of the running request at `index` for which there are tokens and blocks, so that nobody
 * else goes without for their sake. `needed`: blocks for its newest token. */
static uint32_t affordable_drafts(const struct step *step, uint32_t index, uint32_t needed)
{
    const struct ryz_request_view *request = &step->view->requests[index];
    uint32_t drafts = step->drafts[index], spare = step->tokens_left - 1;
    spare = spare > step->decodes_ahead ? spare - step->decodes_ahead : 0;
    drafts = ryz_min_u32(drafts, spare);
    uint32_t held = request->kv_blocks + needed;
    uint64_t owed = step->blocks_owed; /* the needed ones included */
    uint64_t more = step->blocks_free > owed ? step->blocks_free - owed : 0;
    if (step->part_count > 1) more = 0; /* they may be another partition's claim */
    uint64_t room = (held + more) * step->view->limits.kv_block_tokens - total_tokens(request);
    return room < drafts ? (uint32_t)room : drafts;
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
        /* It keeps what it has, fills what is free and waits for the others: they finish, or take
         * its blocks. */
        uint32_t room = (request->kv_blocks + available_to(step, request->partition)) *
                            step->view->limits.kv_block_tokens -
                        first;
        if (room == 0) return;
        tokens = ryz_min_u32(tokens, room);
    }
    uint32_t drafts = wanted == 1 ? affordable_drafts(step, index, needed) : 0;
    add_run(step, index, tokens, drafts);
    ryz_batch_shape_add_drafts(&step->shape, first + tokens, drafts);
    if (wanted > 1) {
        step->prefilled = true;
        ryz_batch_shape_add(&step->shape, first, tokens);
    }
}

/* Blocks of the pool that an admission leaves free for those to grow into who are not within a
 * guarantee. */
static uint64_t headroom(const struct step *step)
{
    const struct ryz_sched_limits *limits = &step->view->limits;
    uint32_t others = 0;
    if (limits->admit == RYZ_ADMIT_WHOLE) return 0;
    for (uint32_t i = 0; i < step->part_count; i++)
        if (!is_within(&step->parts[i])) others += step->parts[i].kept + step->parts[i].started;
    if (others == 0) return 0;
    uint64_t permille = step->tunables->headroom_permille + step->view->headroom_permille;
    return limits->kv_blocks * permille / 1000;
}

/* Would the partition be within its guarantee with `blocks` more? */
static bool stays_within(const struct part *part, uint64_t blocks)
{
    return part->held + part->owed + blocks <= part->guaranteed;
}

/* May a request of `partition` that is booked with `blocks` beyond a guarantee start beside what is
 * owed and coming? */
static bool fits(const struct step *step, uint64_t blocks)
{
    uint64_t needed = blocks + step->blocks_owed + headroom(step);
    for (uint32_t i = 1; i < step->part_count; i++) needed += step->parts[i].coming;
    return needed <= step->blocks_free;
}

/* Is there a place for one more request? */
static bool has_place(const struct step *step)
{
    return step->kept + step->started < step->view->running_max &&
           step->plan->run_count < step->view->limits.batch_requests_max && step->tokens_left > 0;
}

/* Starts the waiting request at `index`, for which there is a place, or closes its partition; false
 * if this step has no time for more. One whose source has just lost its blocks is left for the next
 * step, which shows it without. */
static bool start(struct step *step, uint32_t index)
{
    const struct ryz_request_view *request = &step->view->requests[index];
    struct part *part = &step->parts[request->partition];
    uint32_t blocks = owed_by(step, request), first = request->computed_tokens;
    bool within = stays_within(part, blocks);
    if (request->source > 0 && is_gone(step, request->source - 1)) return true;
    if (within ? blocks > available_to(step, request->partition)
               : step->full || !fits(step, blocks)) {
        part->closed = true;
        step->full = true;
        return true;
    }
    uint32_t tokens = cut_chunk(step, first, wanted_tokens(request));
    if (tokens == 0) return false;
    part->coming -= ryz_min_u64(part->coming, blocks);
    part->owed += blocks;
    part->started++;
    step->blocks_owed += blocks;
    add_run(step, index, tokens, 0);
    ryz_batch_shape_add(&step->shape, first, tokens);
    step->prefilled = true;
    step->started++;
    set_gone(step, index);
    return true;
}

/* Starts waiting requests of classes below `limit` in order. Behind the first that does not fit,
 * only those are started that stay within their partition's guarantee. */
static void start_below(struct step *step, uint64_t limit)
{
    const struct ryz_sched_view *view = step->view;
    if (limit > step->class_limit) limit = step->class_limit;
    if (step->short_of_blocks) return;
    for (uint32_t i = step->next_waiting; i < view->request_count; i++) {
        if (step->full && step->part_count == 1) return;
        if (is_gone(step, i)) continue;
        if (view->requests[i].urgency >= limit) {
            if (step->part_count == 1) return;
            continue;
        }
        if (step->parts[view->requests[i].partition].closed) continue;
        if (!has_place(step) || !start(step, i)) return;
        if (i == step->next_waiting && is_gone(step, i)) step->next_waiting++;
    }
}

/* ---- before anything runs: blocks for the guaranteed, places for the more urgent ---- */

/* Drops from `trial` the last of the running until the waiting `request`, booked with `blocks`, has
 * place and blocks; false if those who may be displaced for it are not enough. */
static bool clear_place(struct step *trial, const struct ryz_request_view *request, uint64_t blocks)
{
    const struct ryz_sched_view *view = trial->view;
    for (uint32_t i = view->running_count;; i--) {
        bool place = trial->kept + trial->started < view->running_max;
        if (place && fits(trial, blocks)) return true;
        while (i > 0 && is_gone(trial, i - 1)) i--;
        if (i == 0) return false;
        const struct ryz_request_view *victim = &view->requests[i - 1];
        if (victim->urgency <= request->urgency ||
            victim->preemptions >= trial->tunables->displaced_max)
            return false;
        /* Who is within a guarantee gives up a place for nobody but his own. */
        if (victim->partition == request->partition || !is_within(&trial->parts[victim->partition]))
            drop(trial, i - 1);
    }
}

/* Takes places from the last of the running for waiting requests of more urgent classes. What is
 * done for one of them is tried out on a copy, and holds if it suffices. */
static void displace(struct step *step)
{
    const struct ryz_sched_view *view = step->view;
    if (view->running_count == 0 || step->tunables->displaced_max == 0) return;
    struct step trial = *step;
    for (uint32_t i = view->running_count; i < view->request_count; i++) {
        const struct ryz_request_view *request = &view->requests[i];
        uint32_t blocks = blocks_for(step, booked_tokens(step, request));
        if (request->urgency >= view->requests[view->running_count - 1].urgency) return;
        if (!clear_place(&trial, request, blocks)) return;
        for (uint32_t j = view->running_count; j > 0; j--) {
            if (!is_gone(&trial, j - 1) || is_gone(step, j - 1)) continue;
            drop(step, j - 1);
            step->class_limit = view->requests[j - 1].urgency;
        }
        /* Not in the partition's account: who runs there stays as safe as he is. */
        trial.started++;
        trial.parts[request->partition].started++;
        trial.blocks_owed += blocks;
    }
}

/* Books what waiting requests need that are to start within their partition's guarantee. */
static void expect_newcomers(struct step *step)
{
    const struct ryz_sched_view *view = step->view;
    uint32_t places = view->running_max;
    places = places > step->kept ? places - step->kept : 0;
    uint32_t through = 0; /* bit per partition: its next one does not stay within */
    for (uint32_t i = view->running_count; i < view->request_count && places > 0; i++) {
        const struct ryz_request_view *request = &view->requests[i];
        struct part *part = &step->parts[request->partition];
        uint32_t blocks = owed_by(step, request);
        if ((through >> request->partition & 1) != 0) continue;
        if (!stays_within(part, part->coming + blocks)) {
            through |= UINT32_C(1) << request->partition;
            continue;
        }
        part->coming += blocks;
        places--;
    }
}

/* Takes blocks back from the last of those who borrow until all claims are free. There is always
 * one: were nobody borrowing, no claim would lack a block. */
static void reclaim(struct step *step)
{
    const struct ryz_sched_view *view = step->view;
    if (step->part_count == 1) return;
    expect_newcomers(step);
    for (uint32_t i = view->running_count; i > 0; i--) {
        uint64_t claims = 0;
        for (uint32_t p = 0; p < step->part_count; p++) claims += claim_of(&step->parts[p]);
        if (claims <= step->blocks_free) return;
        if (is_gone(step, i - 1) || !is_borrowing(&step->parts[view->requests[i - 1].partition]))
            continue;
        drop(step, i - 1);
        step->full = true;
        step->plan->short_of_blocks = true;
    }
}

/* Moves the preemptions to the front: their blocks serve the runs. The latest arrival goes first.
 */
static void put_preemptions_first(struct step *step)
{
    struct ryz_sched_plan *plan = step->plan;
    uint32_t count = step->view->running_count - step->kept, at = 0;
    if (count == 0) return;
    for (uint32_t i = plan->item_count; i > 0; i--) plan->items[i - 1 + count] = plan->items[i - 1];
    for (uint32_t i = step->view->running_count; i > 0; i--) {
        const struct ryz_request_view *victim = &step->view->requests[i - 1];
        if (!is_gone(step, i - 1)) continue;
        plan->items[at++] = (struct ryz_plan_item){
            .request_id = victim->id,
            .view_index = i - 1,
            .slot = victim->slot,
            .first_position = victim->computed_tokens,
            .action = RYZ_ACT_PREEMPT,
        };
    }
    plan->item_count += count;
}

/* What partitions there are, and what their running requests hold and owe. */
static void open_parts(struct step *step)
{
    const struct ryz_sched_view *view = step->view;
    step->part_count = view->partition_count > 0 ? view->partition_count : 1;
    step->parts[0].held = view->limits.kv_blocks - view->kv_blocks_free;
    for (uint32_t i = 0; i < view->partition_count; i++) {
        step->parts[i].guaranteed = view->partitions[i].guaranteed_blocks;
        step->parts[i].held = view->partitions[i].held_blocks;
    }
    for (uint32_t i = 0; i < view->running_count; i++) {
        const struct ryz_request_view *request = &view->requests[i];
        uint32_t owed = owed_by(step, request);
        step->parts[request->partition].owed += owed;
        step->parts[request->partition].kept++;
        step->blocks_owed += owed;
        if (wanted_tokens(request) != 1) continue;
        step->decodes_ahead++;
        ryz_batch_shape_add(&step->shape, request->computed_tokens, 1);
    }
}

/* Proposals share what the streams leave of the budget with the prompts, half and half. Those of
 * requests that lose their blocks come to nothing. */
static void choose_drafts(struct step *step)
{
    uint32_t spare = step->view->limits.batch_tokens_max;
    spare = spare > step->decodes_ahead ? (spare - step->decodes_ahead) / 2 : 0;
    ryz_speculation_choose(step->view, step->view->running_count, &step->shape,
                           ryz_min_u32(spare, RYZ_DRAFT_STEP_MAX), step->drafts);
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
    open_parts(&step);
    reclaim(&step);
    if (!step.full) displace(&step);
    choose_drafts(&step);
    for (uint32_t i = 0; i < view->running_count; i++) {
        if (step.tokens_left == 0 || plan->run_count == view->limits.batch_requests_max) break;
        if (is_gone(&step, i)) continue;
        /* More urgent prompts come before those of the running. */
        if (wanted_tokens(&view->requests[i]) > 1) start_below(&step, view->requests[i].urgency);
        run_running(&step, i);
    }
    start_below(&step, UINT64_MAX);
    put_preemptions_first(&step);
    plan->short_of_blocks |= step.short_of_blocks;
}
