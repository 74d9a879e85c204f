/*
 * schedule_model.c - draws a schedule, drives the core through it, checks every step.
 *
 * The checks repeat none of the scheduler's code: they count tokens, positions and blocks from what
 * a driver can see.
 */
#include "tests/property/schedule_model.h"

#include "engine/base/clock.h"
#include "engine/base/size.h"

#include <criterion/criterion.h>
#include <string.h>

/* A failing check prints the seed, which is all it takes to repeat the schedule. */
#define CHECK(model, condition)                                                                    \
    do {                                                                                           \
        if (!(condition))                                                                          \
            cr_assert_fail("schedule of seed %llu, step %u: %s",                                   \
                           (unsigned long long)(model)->seed, (model)->steps, #condition);         \
    } while (0)

static uint32_t below(struct model *m, uint32_t bound)
{
    return (uint32_t)ryz_rng_below(&m->rng, bound);
}

static bool chance(struct model *m, uint32_t percent)
{
    return below(m, 100) < percent;
}

static void note(struct model *m, uint64_t value)
{
    m->trace = (m->trace ^ value) * UINT64_C(0x100000001b3);
    m->trace ^= m->trace >> 29;
}

static void log_event(void *context, const struct ryz_event *event)
{
    struct model *m = context;
    CHECK(m, m->log_count < MODEL_EVENTS_MAX);
    m->log[m->log_count++] = *event;
}

static struct ryz_effect feed(struct model *m, struct ryz_event event)
{
    m->now_ns += below(m, 3) * 50000;
    event.t_ns = m->now_ns;
    return ryz_core_feed(m->core, &event);
}

static void draw_limits(struct model *m)
{
    m->limits = (struct ryz_sched_limits){
        .batch_requests_max = 1 + below(m, 8),
        .batch_tokens_max = 1 + below(m, 64),
        .prefill_chunk_max = 1 + below(m, 40),
        .kv_block_tokens = 1 + below(m, MODEL_BLOCK_TOKENS),
        .kv_blocks = 8 + below(m, MODEL_BLOCKS_MAX - 7),
        .queue_requests_max = 2 + below(m, 20),
        .context_tokens_max = 20 + below(m, 100),
        .step_ns_max = chance(m, 50) ? RYZ_TIME_NEVER : 20000 + below(m, 200000),
        .admit_late = true,
    };
    m->limits.admit = (enum ryz_admit)below(m, RYZ_ADMIT_COUNT);
    m->limits.headroom_adapts = chance(m, 50);
    if (chance(m, 30)) m->limits.queue_tokens_max = 20 + below(m, 100);
    if (chance(m, 30)) m->limits.queue_wait_ns_max = 100000 + below(m, 1000000);
    if (chance(m, 30)) m->limits.starve_ns = 100000 + below(m, 1000000);
    if (chance(m, 30)) m->limits.admit_late = false;
    if (chance(m, 40)) m->limits.itl_target_ns = 20000 + below(m, 60000);
    if (chance(m, 50)) m->limits.draft_tokens_max = 1 + below(m, RYZ_DRAFT_MAX);
}

/* Priority, tenant and deadlines, as the policies look at them. */
static struct ryz_event draw_arrival(struct model *m, uint32_t id)
{
    const struct model_request *r = &m->requests[id];
    struct ryz_event event = {.kind = RYZ_EV_ARRIVE,
                              .request_id = id,
                              .deadline_ns = RYZ_TIME_NEVER,
                              .prompt_tokens = r->prompt,
                              .output_tokens_max = r->output_max,
                              .tenant = r->tenant,
                              .priority = (uint8_t)below(m, 3)};
    if (chance(m, 30)) event.first_deadline_ns = m->now_ns + below(m, 2000000);
    if (chance(m, 30)) event.deadline_ns = m->now_ns + below(m, 4000000);
    return event;
}

/* Where a request stands under the policy, as the documentation says; less goes first. */
static void order_key(const struct model *m, const struct ryz_event *event, struct model_request *r)
{
    int64_t first_ns = event->first_deadline_ns != 0 ? event->first_deadline_ns : RYZ_TIME_NEVER;
    uint64_t due = (uint64_t)(first_ns < event->deadline_ns ? first_ns : event->deadline_ns);
    const char *policy = m->config.policy;
    if (strcmp(policy, "priority") == 0 || strcmp(policy, "tiered") == 0)
        r->class = event->priority;
    if (strcmp(policy, "edf") == 0 || strcmp(policy, "tiered") == 0) r->rank = due;
    if (strcmp(policy, "sjf") == 0) r->rank = (uint64_t)r->prompt + r->output_max;
}

static bool goes_before(const struct model_request *a, const struct model_request *b)
{
    return a->class != b->class ? a->class < b->class : a->rank < b->rank;
}

/* Tells the core the hashes of the prompt; now and then not all of them. */
static void give_hashes(struct model *m, uint32_t id)
{
    const struct model_request *r = &m->requests[id];
    uint32_t full = r->prompt / m->limits.kv_block_tokens;
    uint32_t pool = m->limits.kv_blocks * m->limits.kv_block_tokens;
    uint32_t most = ryz_ceil_div_u32(ryz_min_u32(m->limits.context_tokens_max, pool),
                                     m->limits.kv_block_tokens);
    if (full > most) full = most;
    /* As many draws whatever the length, so that a perturbed schedule stays the same one. */
    uint32_t percent = below(m, 100);
    if (chance(m, 5)) full = full * percent / 100;
    for (uint32_t i = 0; i < full;) {
        struct ryz_event event = {.kind = RYZ_EV_HASHES, .request_id = id};
        for (; i < full && event.flags < RYZ_EVENT_HASHES_MAX; i++)
            ryz_event_set_hash(&event, event.flags++, model_hash_of(m, id, i));
        event.t_ns = m->now_ns;
        (void)ryz_core_feed(m->core, &event);
    }
}

/* A request has ended: what the core says of its cost is what the book says. */
static void end(struct model *m, struct model_request *r, enum model_state state,
                const struct ryz_waste *waste)
{
    r->state = state;
    CHECK(m, waste->computed_tokens == r->worked);
    CHECK(m, waste->recomputed_tokens <= waste->computed_tokens);
    CHECK(m, waste->recomputed_tokens == 0 || waste->preemptions > 0);
    m->waste.computed_tokens += waste->computed_tokens;
    m->waste.recomputed_tokens += waste->recomputed_tokens;
    m->waste.missed_tokens += waste->missed_tokens;
    m->waste.preemptions += waste->preemptions;
}

/* ---- partitions ---- */

static uint32_t guaranteed_to(const struct model *m, uint16_t tenant)
{
    for (uint32_t i = 0; i < m->config.share_count; i++)
        if (m->config.shares[i].tenant == tenant)
            return m->limits.kv_blocks * m->config.shares[i].permille / 1000;
    return 0;
}

static uint32_t guaranteed_to_others(const struct model *m, uint16_t tenant)
{
    uint32_t blocks = 0;
    for (uint32_t i = 0; i < m->config.share_count; i++)
        if (m->config.shares[i].tenant != tenant)
            blocks += m->limits.kv_blocks * m->config.shares[i].permille / 1000;
    return blocks;
}

/* Tenants with a share of their own, at least a block each. */
static void draw_shares(struct model *m)
{
    uint32_t left = 1000, first = below(m, 4), count = 1 + below(m, 3);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t least = 1000 / m->limits.kv_blocks + 1, permille = 1 + below(m, left);
        if (chance(m, 30)) permille /= 2;
        if (permille < least || permille > left) continue;
        left -= permille;
        m->config.shares[m->config.share_count++] = (struct ryz_kv_share){
            .tenant = (uint16_t)((first + i) % 4 * 85), .permille = (uint16_t)permille};
        if (left == 0) return;
    }
}

/* Books what an arrival that was taken did. */
static void book_admission(struct model *m, uint32_t id, const struct ryz_effect *effect)
{
    struct model_request *r = &m->requests[id];
    CHECK(m, effect->kind == RYZ_EFFECT_ADMITTED);
    CHECK(m, effect->slot < ryz_core_slot_count(m->core));
    for (uint32_t i = 0; i < id; i++)
        CHECK(m, m->requests[i].state != MODEL_LIVE || m->requests[i].slot != effect->slot);
    r->slot = effect->slot;
    r->state = MODEL_LIVE;
}

/* Books who gave way to an arrival: somebody of a less urgent class, and none of his choices has
 * anything yet. */
static void book_displacement(struct model *m, uint32_t id, const struct ryz_effect *effect)
{
    if (!effect->displaced) return;
    struct model_request *gone = &m->requests[effect->displaced_id];
    CHECK(m, effect->kind == RYZ_EFFECT_ADMITTED && gone->state == MODEL_LIVE);
    CHECK(m, gone->slot == effect->displaced_slot);
    CHECK(m, gone->class > m->requests[id].class);
    end(m, gone, MODEL_REJECTED, &effect->waste);
    for (uint32_t i = 0; i < m->arrived; i++) {
        const struct model_request *other = &m->requests[i];
        uint32_t blocks = 0;
        if (other->leader != gone->leader) continue;
        if (other->state == MODEL_LIVE) (void)ryz_core_blocks(m->core, other->slot, &blocks);
        CHECK(m, blocks == 0 && (other->state != MODEL_LIVE || other->decoded == 0));
    }
    m->displaced++;
    note(m, effect->displaced_id << 8 | RYZ_EFFECT_REJECTED_FULL);
}

/* More choices for a prompt that was taken: all of them are. */
static void arrive_choices(struct model *m, const struct ryz_event *first, uint32_t count)
{
    uint32_t leader = (uint32_t)first->request_id;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t id = m->arrived++;
        struct ryz_event event = *first;
        m->requests[id] = m->requests[leader];
        m->requests[id].output = 1 + below(m, m->requests[id].output_max);
        event.request_id = id;
        event.permille = 0;
        event.flags = RYZ_EVF_CHOICE;
        event.slot = m->requests[leader].slot;
        struct ryz_effect effect = feed(m, event);
        book_displacement(m, id, &effect);
        book_admission(m, id, &effect);
    }
}

static void arrive(struct model *m)
{
    uint32_t id = m->arrived++;
    struct model_request *r = &m->requests[id];
    r->leader = id;
    r->prompt = 1 + below(m, chance(m, 3) ? 200 : 30);
    r->output_max = 1 + below(m, 20);
    r->output = chance(m, 50) ? r->output_max : 1 + below(m, r->output_max);
    if (m->perturbed && id == 2) r->prompt++;
    r->tenant = (uint16_t)(below(m, 4) * 85);
    r->luck = below(m, 101);
    r->family = below(m, 3);
    r->alike = chance(m, 70) ? below(m, 60) : 0;
    if (m->config.prefix_cache) give_hashes(m, id);
    struct ryz_event event = draw_arrival(m, id);
    order_key(m, &event, r);
    if (chance(m, 25)) event.permille = below(m, 6);
    event.permille = ryz_min_u32(event.permille, m->request_count - m->arrived);
    struct ryz_effect effect = feed(m, event);
    book_displacement(m, id, &effect);
    if (effect.kind == RYZ_EFFECT_ADMITTED) {
        book_admission(m, id, &effect);
        arrive_choices(m, &event, event.permille);
        return;
    }
    uint32_t others = guaranteed_to_others(m, r->tenant);
    bool too_long =
        r->prompt + r->output_max > m->limits.context_tokens_max ||
        r->prompt + r->output_max > (m->limits.kv_blocks - others) * m->limits.kv_block_tokens;
    bool has_deadline = event.first_deadline_ns != 0 || event.deadline_ns != RYZ_TIME_NEVER;
    bool late = effect.kind == RYZ_EFFECT_REJECTED_LATE;
    CHECK(m, !late || (has_deadline && !m->limits.admit_late && effect.estimate_ns > 0));
    CHECK(m, (effect.kind == RYZ_EFFECT_REJECTED_TOO_LONG) == too_long);
    CHECK(m, too_long || late || effect.kind == RYZ_EFFECT_REJECTED_FULL);
    r->state = MODEL_REJECTED;
    note(m, (uint64_t)id << 8 | effect.kind);
}

/* Cancels a random request that has arrived, whether it still lives or not. */
static void cancel(struct model *m)
{
    if (m->arrived == 0) return;
    uint32_t id = below(m, m->arrived);
    struct model_request *r = &m->requests[id];
    if (r->state == MODEL_REJECTED) return;
    struct ryz_effect effect =
        feed(m, (struct ryz_event){.kind = RYZ_EV_CANCEL, .request_id = id, .slot = r->slot});
    CHECK(m, (effect.kind == RYZ_EFFECT_CANCELLED) == (r->state == MODEL_LIVE));
    if (r->state == MODEL_LIVE) end(m, r, MODEL_CANCELLED, &effect.waste);
}

static void change_limits(struct model *m)
{
    struct ryz_event event = {.kind = RYZ_EV_LIMITS};
    if (chance(m, 50)) event.prompt_tokens = m->limits.batch_requests_max = 1 + below(m, 8);
    if (chance(m, 50)) event.output_tokens_max = m->limits.batch_tokens_max = 1 + below(m, 64);
    if (chance(m, 50)) event.permille = m->limits.prefill_chunk_max = 1 + below(m, 40);
    if (chance(m, 50)) event.duration_ns = m->limits.step_ns_max = 20000 + below(m, 200000);
    (void)feed(m, event);
}

static void set_fault(struct model *m, uint32_t permille)
{
    m->fault_permille = permille;
    (void)feed(m, (struct ryz_event){.kind = RYZ_EV_FAULT, .permille = permille});
}

/* Something from outside, or nothing. */
static void disturb(struct model *m)
{
    uint32_t what = below(m, 100);
    if (what < 40 && m->arrived < m->request_count)
        arrive(m);
    else if (what < 44)
        cancel(m);
    else if (what < 47)
        change_limits(m);
    else if (what < 50)
        set_fault(m, chance(m, 40) ? 0 : below(m, 1001));
}

static bool has_choices(const struct model *m, uint32_t id)
{
    uint32_t leader = m->requests[id].leader, next = leader + 1;
    return id != leader || (next < m->arrived && m->requests[next].leader == leader);
}

/* What a request is booked with beyond what it holds, in blocks. */
static uint32_t owes(const struct model *m, const struct model_request *r, uint32_t computed,
                     uint32_t held)
{
    uint32_t total = r->prompt + r->decoded, tokens = total;
    if (m->limits.admit == RYZ_ADMIT_WHOLE) tokens = r->prompt + r->output_max - 1;
    if (m->limits.admit == RYZ_ADMIT_CHUNK)
        tokens = ryz_min_u32(total, computed + m->limits.prefill_chunk_max);
    uint32_t blocks = ryz_ceil_div_u32(tokens, m->limits.kv_block_tokens);
    return blocks > held ? blocks - held : 0;
}

/* Blocks that a tenant's running requests hold, shared ones once, and are booked with. */
static uint32_t demand_of(const struct model *m, uint16_t tenant, uint32_t *held)
{
    uint64_t seen = 0;
    uint32_t owed = 0;
    _Static_assert(MODEL_BLOCKS_MAX <= 64, "a bit per block");
    for (uint32_t id = 0; id < m->arrived; id++) {
        const struct model_request *r = &m->requests[id];
        uint32_t count = 0;
        if (r->state != MODEL_LIVE || r->tenant != tenant) continue;
        const uint32_t *blocks = ryz_core_blocks(m->core, r->slot, &count);
        for (uint32_t i = 0; i < count; i++) seen |= UINT64_C(1) << blocks[i];
        if (count > 0) owed += owes(m, r, r->computed, count);
    }
    *held = (uint32_t)__builtin_popcountll(seen);
    return *held + owed;
}

/* The core's account of partitions is the book's. */
static void check_partitions(struct model *m)
{
    uint32_t count = 0, others = 0;
    const struct ryz_kv_partition *of = ryz_core_partitions(m->core, &count);
    CHECK(m, count == (m->config.share_count > 0 ? m->config.share_count + 1 : 0));
    for (uint32_t i = 0; i < m->config.share_count; i++) {
        uint32_t held = 0;
        (void)demand_of(m, m->config.shares[i].tenant, &held);
        CHECK(m, of[i + 1].held_blocks == held);
        CHECK(m, of[i + 1].guaranteed_blocks == guaranteed_to(m, m->config.shares[i].tenant));
        others += held;
    }
    struct ryz_core_stats stats = ryz_core_stats(m->core);
    if (count > 0) CHECK(m, of[0].held_blocks == stats.kv_blocks_used - others);
    m->lent += stats.kv_blocks_lent > 0;
}

/* Notes who is within the guarantee before a step: bit per share. */
static uint32_t within_before(struct model *m)
{
    uint32_t within = 0, held = 0;
    for (uint32_t i = 0; i < m->config.share_count; i++) {
        uint16_t tenant = m->config.shares[i].tenant;
        if (demand_of(m, tenant, &held) <= guaranteed_to(m, tenant)) within |= 1u << i;
    }
    return within;
}

static bool displaces(const struct model *m)
{
    return strcmp(m->config.policy, "priority") == 0 || strcmp(m->config.policy, "tiered") == 0;
}

/* May a step end before its tokens are used up? */
static bool is_timed(const struct model *m)
{
    return m->limits.step_ns_max != RYZ_TIME_NEVER || m->limits.itl_target_ns > 0;
}

/* Who was within the guarantee lost no blocks, but to a more urgent request of his own, which runs
 * if the step has time and tokens for it. */
static void check_kept(struct model *m, const struct ryz_sched_plan *plan, uint32_t within)
{
    uint32_t tokens =
        plan->shape.prefill_tokens + plan->shape.decode_requests + plan->shape.draft_tokens;
    bool full = m->fault_permille > 0 || is_timed(m) || tokens >= m->limits.batch_tokens_max;
    for (uint32_t i = 0; i < m->config.share_count; i++) {
        uint32_t preempted = 0, runs = 0;
        if (!(within >> i & 1)) continue;
        for (uint32_t j = 0; j < plan->item_count; j++) {
            const struct ryz_plan_item *item = &plan->items[j];
            if (m->requests[item->request_id].tenant != m->config.shares[i].tenant) continue;
            preempted += item->action == RYZ_ACT_PREEMPT;
            runs += item->action == RYZ_ACT_RUN;
        }
        CHECK(m, preempted == 0 || (displaces(m) && (runs > 0 || full)));
    }
}

/* The first waiting request of a tenant, in the policy's order; NULL: there is none, or choices of
 * one prompt wait, some of them beside the queue. */
static const struct model_request *first_waiting(const struct model *m, uint16_t tenant)
{
    const struct model_request *first = NULL;
    for (uint32_t id = 0; id < m->arrived; id++) {
        const struct model_request *r = &m->requests[id];
        uint32_t count = 0;
        if (r->state != MODEL_LIVE || r->tenant != tenant) continue;
        (void)ryz_core_blocks(m->core, r->slot, &count);
        if (count == 0 && has_choices(m, id)) return NULL;
        if (count == 0 && (first == NULL || goes_before(r, first))) first = r;
    }
    return first;
}

/* After a step with places, tokens and time to spare nobody waits who would be within the
 * guarantee. */
static void check_started(struct model *m, const struct ryz_sched_plan *plan)
{
    struct ryz_core_stats stats = ryz_core_stats(m->core);
    uint32_t tokens =
        plan->shape.prefill_tokens + plan->shape.decode_requests + plan->shape.draft_tokens;
    for (uint32_t i = 0; i < plan->item_count; i++)
        if (plan->items[i].action == RYZ_ACT_PREEMPT) return;
    if (m->fault_permille > 0 || m->limits.starve_ns > 0 || tokens >= m->limits.batch_tokens_max ||
        stats.running >= stats.batch_limit || is_timed(m))
        return;
    for (uint32_t i = 0; i < m->config.share_count; i++) {
        uint16_t tenant = m->config.shares[i].tenant;
        uint32_t held = 0, demand = demand_of(m, tenant, &held);
        const struct model_request *r = first_waiting(m, tenant);
        if (r == NULL) continue;
        /* Where it would start behind cached blocks, its next chunk ends later. */
        uint32_t cached = m->limits.admit == RYZ_ADMIT_CHUNK ? r->prompt + r->decoded : 0;
        CHECK(m, demand + owes(m, r, cached, 0) > guaranteed_to(m, tenant));
    }
}

/* Every block that requests list is theirs alone, or they share it as the same block of the same
 * beginning; and the ledger counts as used just those. */
static void check_blocks(struct model *m)
{
    uint64_t held[MODEL_BLOCKS_MAX] = {0};
    uint32_t used = 0, running = 0;
    memset(m->holders, 0, sizeof m->holders);
    for (uint32_t id = 0; id < m->arrived; id++) {
        uint32_t count = 0;
        if (m->requests[id].state != MODEL_LIVE) continue;
        const uint32_t *blocks = ryz_core_blocks(m->core, m->requests[id].slot, &count);
        for (uint32_t i = 0; i < count; i++) {
            CHECK(m, blocks[i] < m->limits.kv_blocks);
            uint64_t *holder = &held[blocks[i]];
            bool may_share = m->config.prefix_cache || has_choices(m, id);
            CHECK(m, *holder == 0 || (may_share && *holder == model_hash_of(m, id, i)));
            used += *holder == 0;
            *holder = model_hash_of(m, id, i);
            m->holders[blocks[i]]++;
        }
        running += count > 0;
    }
    struct ryz_core_stats stats = ryz_core_stats(m->core);
    CHECK(m, stats.kv_blocks_used == used);
    CHECK(m, stats.running == running);
    CHECK(m, stats.kv_blocks_cached <= m->limits.kv_blocks - used);
    CHECK(m, stats.kv_host_blocks_used <= m->limits.kv_host_blocks);
}

/* A request starts behind tokens that it found: full blocks in the cache, or what another choice
 * had of the prompt. */
static void check_found(struct model *m, const struct ryz_plan_item *item)
{
    const struct model_request *r = &m->requests[item->request_id];
    uint32_t first = item->first_position, size = m->limits.kv_block_tokens;
    uint32_t left = r->decoded == 0 ? 1 : 0;
    bool shared = has_choices(m, (uint32_t)item->request_id) && first == r->prompt - left;
    CHECK(m, shared || (m->config.prefix_cache && first % size == 0));
    CHECK(m, ryz_core_cached_tokens(m->core, item->slot) == first);
}

/* What a request has computed lies in its blocks, and those that it writes are its own. */
static void check_contents(struct model *m, const struct ryz_plan_item *item)
{
    uint32_t count = 0, size = m->limits.kv_block_tokens, id = (uint32_t)item->request_id;
    const uint32_t *blocks = ryz_core_blocks(m->core, item->slot, &count);
    uint32_t first = item->first_position, end = first + item->tokens;
    CHECK(m, count * size >= end);
    for (uint32_t p = 0; p < first; p++)
        CHECK(m, m->contents[blocks[p / size]][p % size] == model_token_of(m, id, p));
    for (uint32_t i = first / size; i * size < end; i++) CHECK(m, m->holders[blocks[i]] == 1);
}

/* Whoever runs still has what was computed or found for him. */
static void check_running(struct model *m)
{
    uint32_t size = m->limits.kv_block_tokens;
    for (uint32_t id = 0; id < m->arrived; id++) {
        const struct model_request *r = &m->requests[id];
        uint32_t count = 0;
        if (r->state != MODEL_LIVE) continue;
        const uint32_t *blocks = ryz_core_blocks(m->core, r->slot, &count);
        for (uint32_t p = 0; count > 0 && p < r->computed; p++)
            CHECK(m, m->contents[blocks[p / size]][p % size] == model_token_of(m, id, p));
    }
}

/* What the step writes; nobody knows what a failed step has written. */
static void write_blocks(struct model *m, const struct ryz_plan_item *item, bool failed)
{
    uint32_t count = 0, size = m->limits.kv_block_tokens, id = (uint32_t)item->request_id;
    const uint32_t *blocks = ryz_core_blocks(m->core, item->slot, &count);
    uint32_t right = item->tokens - item->drafts + m->accepted[id];
    for (uint32_t i = 0; i < item->tokens; i++) {
        uint32_t p = item->first_position + i;
        m->contents[blocks[p / size]][p % size] = failed      ? 0
                                                  : i < right ? model_token_of(m, id, p)
                                                              : UINT64_MAX;
    }
}

/* Does one copy: those between the tiers are of whole blocks. */
static void copy_block(struct model *m, const struct ryz_kv_copy *copy)
{
    bool out = copy->kind == RYZ_KV_COPY_OUT, in = copy->kind == RYZ_KV_COPY_IN;
    CHECK(m, copy->from < (in ? m->limits.kv_host_blocks : m->limits.kv_blocks));
    CHECK(m, copy->to < (out ? m->limits.kv_host_blocks : m->limits.kv_blocks));
    const uint64_t *from = in ? m->host_contents[copy->from] : m->contents[copy->from];
    for (uint32_t i = 0; (in || out) && i < m->limits.kv_block_tokens; i++) CHECK(m, from[i] != 0);
    memcpy(out ? m->host_contents[copy->to] : m->contents[copy->to], from, sizeof m->contents[0]);
    note(m, (uint64_t)copy->from << 34 | (uint64_t)copy->to << 2 | copy->kind);
    m->copies += copy->kind == RYZ_KV_COPY_WITHIN;
}

/* The plan's copies, which come before anything is computed. */
static void copy_blocks(struct model *m)
{
    uint32_t count = 0;
    const struct ryz_kv_copy *copies = ryz_core_copies(m->core, &count);
    for (uint32_t i = 0; i < count; i++) copy_block(m, &copies[i]);
}

/* One item against the book; books a preemption. */
static void check_item(struct model *m, const struct ryz_plan_item *item, uint32_t *tokens)
{
    CHECK(m, item->request_id < m->arrived);
    struct model_request *r = &m->requests[item->request_id];
    uint32_t count = 0;
    (void)ryz_core_blocks(m->core, r->slot, &count);
    CHECK(m, r->state == MODEL_LIVE && r->slot == item->slot);
    if (item->action == RYZ_ACT_PREEMPT) {
        CHECK(m, count == 0 && item->tokens == 0);
        r->computed = 0;
        return;
    }
    /* A start; also a preemption whose plan came to nothing under injected failures. */
    if (item->first_position == 0) r->computed = 0;
    if (item->first_position != r->computed) {
        check_found(m, item);
        r->computed = item->first_position;
    }
    CHECK(m, item->first_position == r->computed);
    uint32_t end = item->first_position + item->tokens - item->drafts;
    uint32_t known = item->tokens - item->drafts, total = r->prompt + r->decoded;
    CHECK(m, item->tokens > item->drafts && end <= total);
    CHECK(m, known == 1 || known <= m->limits.prefill_chunk_max);
    CHECK(m, item->samples == (end == total));
    check_contents(m, item);
    /* Proposals follow a decode only, as many as were offered, and never past the end. */
    CHECK(m, item->drafts == 0 || (known == 1 && item->samples && r->decoded > 0));
    CHECK(m, item->drafts <= ryz_min_u32(r->offered, m->limits.draft_tokens_max));
    CHECK(m, item->drafts == 0 || r->decoded + 1 + item->drafts <= r->output_max);
    m->drafts += item->drafts;
    *tokens += item->tokens;
}

/* Without injected failures the first of those that hold blocks, in the policy's order, is part of
 * every step; with starve_ns the order is only known while nobody can have starved. */
static void check_progress(struct model *m, const struct ryz_sched_plan *plan)
{
    uint32_t first = UINT32_MAX;
    if (m->fault_permille > 0 || m->limits.starve_ns > 0) return;
    for (uint32_t id = 0; id < m->arrived; id++) {
        uint32_t count = 0;
        if (m->requests[id].state != MODEL_LIVE) continue;
        (void)ryz_core_blocks(m->core, m->requests[id].slot, &count);
        if (count == 0) continue;
        if (first == UINT32_MAX || goes_before(&m->requests[id], &m->requests[first])) first = id;
    }
    CHECK(m, first != UINT32_MAX);
    bool runs = false;
    for (uint32_t i = 0; i < plan->item_count; i++)
        runs |= plan->items[i].request_id == first && plan->items[i].action == RYZ_ACT_RUN;
    CHECK(m, runs);
}

static void check_plan(struct model *m, const struct ryz_sched_plan *plan)
{
    uint64_t seen = 0;
    uint32_t tokens = 0, runs = 0;
    for (uint32_t i = 0; i < plan->item_count; i++) {
        const struct ryz_plan_item *item = &plan->items[i];
        CHECK(m, !(seen >> item->request_id & 1));
        seen |= UINT64_C(1) << item->request_id;
        check_item(m, item, &tokens);
        runs += item->action == RYZ_ACT_RUN;
        note(m, item->request_id << 40 | (uint64_t)item->action << 39 | item->tokens);
        note(m, (uint64_t)item->slot << 33 | (uint64_t)item->first_position << 1 | item->samples);
        note(m, item->drafts);
    }
    CHECK(m, runs >= 1 && runs == plan->run_count);
    CHECK(m, runs <= m->limits.batch_requests_max);
    CHECK(m, tokens <= m->limits.batch_tokens_max);
    check_progress(m, plan);
}

/* The tokens of one item: its own, and one more for each proposal that was right. */
static void feed_tokens(struct model *m, const struct ryz_plan_item *item)
{
    struct model_request *r = &m->requests[item->request_id];
    uint32_t size = m->limits.kv_block_tokens;
    for (uint32_t k = 0; k <= m->accepted[item->request_id]; k++) {
        bool live = r->state == MODEL_LIVE, last = live && ++r->decoded == r->output;
        bool accepted = live && !last && k < m->accepted[item->request_id];
        uint32_t total = r->prompt + r->decoded, offered = below(m, RYZ_DRAFT_MAX + 1);
        struct ryz_event token = {.kind = RYZ_EV_TOKEN,
                                  .request_id = item->request_id,
                                  .output_tokens_max = offered,
                                  .slot = item->slot,
                                  .flags = last       ? RYZ_EVF_END
                                           : accepted ? RYZ_EVF_ACCEPTED
                                                      : 0};
        if (total % size == 0)
            token.hash = model_hash_of(m, (uint32_t)item->request_id, total / size - 1);
        struct ryz_effect effect = feed(m, token);
        CHECK(m, (effect.kind == RYZ_EFFECT_FINISHED) == last);
        r->offered = offered;
        r->computed += accepted;
        m->drafts_right += accepted;
        if (last) end(m, r, MODEL_FINISHED, &effect.waste);
        if (!live || last) return;
        if (chance(m, 1)) cancel(m);
    }
}

/* Feeds what the step produced, with cancels in between. */
static void finish_step(struct model *m, const struct ryz_sched_plan *plan)
{
    bool failed = chance(m, 4);
    int64_t duration_ns = 20000 + 1500 * (int64_t)plan->shape.prefill_tokens +
                          4000 * (int64_t)plan->shape.decode_requests +
                          3000 * (int64_t)plan->shape.draft_tokens + below(m, 4000);
    (void)feed(m, (struct ryz_event){.kind = RYZ_EV_STEP_DONE,
                                     .duration_ns = duration_ns,
                                     .flags = failed ? RYZ_EVF_FAILED : 0});
    for (uint32_t i = 0; i < plan->item_count; i++) {
        const struct ryz_plan_item *item = &plan->items[i];
        uint32_t *accepted = &m->accepted[item->request_id];
        if (item->action != RYZ_ACT_RUN || m->requests[item->request_id].state != MODEL_LIVE)
            continue;
        for (*accepted = 0; *accepted < item->drafts; ++*accepted)
            if (!chance(m, m->requests[item->request_id].luck)) break;
        write_blocks(m, item, failed);
        if (!failed) m->requests[item->request_id].worked += item->tokens;
    }
    for (uint32_t i = 0; !failed && i < plan->item_count; i++) {
        const struct ryz_plan_item *item = &plan->items[i];
        struct model_request *r = &m->requests[item->request_id];
        if (item->action != RYZ_ACT_RUN) continue;
        if (chance(m, 1)) cancel(m);
        if (r->state == MODEL_LIVE) r->computed += item->tokens - item->drafts;
        if (item->samples) feed_tokens(m, item);
    }
}

/* The controller leaves everybody a place in turn, and starts nobody beyond its limit. */
static void check_batch_limit(struct model *m, const struct ryz_core_stats *before)
{
    uint32_t running = ryz_core_stats(m->core).running, limit = before->batch_limit;
    CHECK(m, limit >= 1 && limit <= m->limits.batch_requests_max);
    CHECK(m, running <= limit || running <= before->running);
    CHECK(m, m->limits.itl_target_ns > 0 || limit == m->limits.batch_requests_max);
}

/* Asks for a step and executes it, with disturbances meanwhile if `wild`; false: nothing to do. */
static bool step(struct model *m, bool wild)
{
    struct ryz_core_stats before = ryz_core_stats(m->core);
    uint32_t within = within_before(m);
    const struct ryz_sched_plan *plan = ryz_core_next(m->core, m->now_ns);
    check_blocks(m);
    check_partitions(m);
    m->steps++;
    if (plan == NULL) {
        int64_t wake_ns = ryz_core_wake_ns(m->core);
        if (wake_ns == RYZ_TIME_NEVER) return false;
        CHECK(m, m->fault_permille > 0 && wake_ns == m->now_ns + RYZ_NS_PER_MS);
        m->now_ns = wake_ns;
        return true;
    }
    /* With the plan, not before: one that comes to nothing may preempt, and when is no decision. */
    note(m, ryz_core_stats(m->core).preempted);
    copy_blocks(m);
    check_plan(m, plan);
    check_batch_limit(m, &before);
    check_kept(m, plan, within);
    check_started(m, plan);
    check_running(m);
    while (wild && chance(m, 30)) disturb(m);
    finish_step(m, plan);
    return true;
}

static uint32_t count_live(const struct model *m)
{
    uint32_t live = 0;
    for (uint32_t id = 0; id < m->arrived; id++) live += m->requests[id].state == MODEL_LIVE;
    return live;
}

void model_run(struct model *m, uint64_t seed, bool perturbed)
{
    struct ryz_error error;
    m->seed = seed;
    m->perturbed = perturbed;
    m->now_ns = 0;
    m->arrived = m->steps = m->fault_permille = 0;
    m->trace = 0;
    m->waste = (struct ryz_waste){0};
    m->log_count = 0;
    memset(m->requests, 0, sizeof m->requests);
    memset(m->contents, 0, sizeof m->contents);
    memset(m->host_contents, 0, sizeof m->host_contents);
    ryz_rng_init(&m->rng, seed, 0);
    draw_limits(m);
    m->request_count = 3 + below(m, MODEL_REQUESTS_MAX / 2 - 2);
    if (chance(m, 10)) m->request_count = MODEL_REQUESTS_MAX;
    uint32_t policies = 0;
    while (ryz_sched_policy_name(policies) != NULL) policies++;
    const char *policy = ryz_sched_policy_name((uint32_t)(seed % policies));
    bool cache = chance(m, 60);
    if (cache && chance(m, 50)) m->limits.kv_host_blocks = 1 + below(m, MODEL_HOST_BLOCKS_MAX);
    m->config = (struct ryz_core_config){.limits = m->limits,
                                         .policy = policy,
                                         .seed = seed,
                                         .prefix_cache = cache,
                                         .log = log_event,
                                         .log_context = m};
    if (chance(m, 40)) draw_shares(m);
    if (ryz_core_open(&m->config, &m->core, &error) != RYZ_OK)
        cr_assert_fail("seed %llu: %s", (unsigned long long)seed, error.text);
    while (m->arrived < m->request_count) {
        disturb(m);
        if (chance(m, 80)) (void)step(m, true);
    }
    /* No more trouble: whoever was admitted and not cancelled must now finish, in a number of steps
     * that allows for every token being computed alone, and again after every preemption. */
    if (m->fault_permille > 0) set_fault(m, 0);
    uint32_t allowed = m->steps + 20000;
    while (count_live(m) > 0) {
        CHECK(m, m->steps < allowed);
        CHECK(m, step(m, false));
    }
    CHECK(m, !step(m, false));
    struct ryz_core_stats stats = ryz_core_stats(m->core);
    CHECK(m, stats.kv_blocks_used == 0 && stats.running == 0 && stats.waiting == 0);
    CHECK(m, stats.arrived == m->request_count);
    bool whole = m->limits.admit == RYZ_ADMIT_WHOLE && m->config.share_count == 0;
    CHECK(m, stats.preempted == 0 || displaces(m) || !whole);
    CHECK(m, stats.finished + stats.cancelled + stats.rejected == stats.arrived);
    CHECK(m, m->waste.recomputed_tokens == stats.tokens_recomputed);
    CHECK(m, m->waste.preemptions == stats.preempted);
    CHECK(m, m->waste.missed_tokens == stats.cache_missed_blocks * m->limits.kv_block_tokens);
}

void model_close(struct model *m)
{
    ryz_core_close(m->core);
    m->core = NULL;
}
