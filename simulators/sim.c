/*
 * sim.c - drives a scheduler core through virtual time.
 *
 * Leaves to others: every scheduling decision (engine/sched), what a step costs (the world's cost
 * source), who submits what and when (the callbacks' owner). The idea: the same three things happen
 * as in the live engine's step loop - feed what came, ask for a plan, feed what the step produced -
 * only that "executing" a step means adding its cost to the clock.
 *
 *   heap: ARRIVE --> core --plan--> STEP_END at now + cost --> tokens, ends --> core
 *         TIMEOUT --> cancel      FAULT --> kv.alloc's share      WAKE --> ask again
 */
#include "simulators/sim.h"

#include "engine/base/assert.h"
#include "engine/base/clock.h"
#include "engine/base/rng.h"
#include "engine/base/size.h"
#include "engine/sched/step_cost.h"
#include "simulators/event_heap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* In the order in which they happen at one time: a token sampled at the very instant of its timeout
 * still counts, and a fault's edge comes before what it could hit. */
enum event_kind {
    RYZ_SIM_EV_FAULT,
    RYZ_SIM_EV_STEP_END,
    RYZ_SIM_EV_ARRIVE,
    RYZ_SIM_EV_TIMEOUT,
    RYZ_SIM_EV_WAKE
};

#define ROOM_FOR_OWN_EVENTS 8 /* at most one STEP_END, one FAULT, two WAKEs are pending */
#define FAILED_STEP_NS_MIN                                                                         \
    RYZ_NS_PER_US /* time passes even where an empty step is free: a client                        \
                     that answers a failure at once must not stop it */
#define NOISE_STREAM  UINT64_C(0x6e6f)
#define OUTPUT_STREAM UINT64_C(0x6f757470) /* of the hashes of outputs */
#define DRAFT_STREAM  UINT64_C(0x64726674) /* of what becomes of proposals */

/* What the world knows of a request in a slot of the core. */
struct live {
    uint64_t id;
    uint64_t generation; /* number of the arrival, from 1; 0: the slot is empty */
    uint32_t prompt_tokens, output_tokens, generated;
    bool started;
};

/* Submitted, not yet arrived. */
struct pending {
    struct ryz_sim_request request;
    uint64_t *hashes; /* (request.hash_count) owned; NULL: none */
};

/* One item of the step in flight. */
struct flight {
    uint64_t generation;
    uint32_t slot;
    uint8_t drafts;
    bool samples;
};

struct ryz_sim {
    struct ryz_core *core;
    struct ryz_cost_source world;
    struct ryz_sim_callbacks callbacks;
    struct ryz_faults *faults;
    uint64_t seed;
    uint32_t block_tokens; /* of the core's blocks */
    uint32_t draft_tokens; /* proposals offered with every token */
    double draft_accept;
    uint32_t longest_tokens;      /* beyond which the core takes no request, nor its hashes */
    bool prefix_cache;            /* the core has one */
    double noise_mu, noise_sigma; /* of the logarithm; sigma 0: no noise */
    struct ryz_rng noise;

    int64_t now_ns;
    struct ryz_event_heap heap;
    struct live *live; /* per slot of the core */
    uint64_t arrivals;
    uint64_t unfinished; /* submitted and not done */

    struct pending *pending; /* (pending_capacity) */
    uint32_t *pending_free;  /* stack of unused entries of it */
    uint32_t pending_capacity, pending_free_count;

    struct ryz_sim_step step; /* in flight while step_in_flight */
    bool step_in_flight;
    struct flight flights[RYZ_BATCH_MAX];
    uint32_t flight_count;
    int64_t wake_ns; /* of the WAKE pushed last and not yet popped */
    uint32_t kv_fault_permille;
};

static int64_t add_ns(int64_t a, int64_t b)
{
    int64_t sum = 0;
    return __builtin_add_overflow(a, b, &sum) ? RYZ_TIME_NEVER : sum;
}

static void push(struct ryz_sim *sim, int64_t t_ns, enum event_kind kind, uint32_t index,
                 uint64_t generation)
{
    if (t_ns == RYZ_TIME_NEVER) return;
    ryz_event_heap_push(&sim->heap,
                        (struct ryz_heap_event){
                            .t_ns = t_ns, .kind = kind, .index = index, .generation = generation});
}

enum ryz_status ryz_sim_open(const struct ryz_sim_config *config,
                             const struct ryz_sim_callbacks *callbacks, struct ryz_sim **out,
                             struct ryz_error *error)
{
    *out = NULL;
    if (config->world.step_ns == NULL)
        return ryz_fail(error, RYZ_INVALID, "a simulation needs a cost source for its world");
    if (!(config->noise_cv >= 0.0 && config->noise_cv <= 10.0))
        return ryz_fail(error, RYZ_INVALID, "noise of cv %g; allowed are 0 to 10",
                        config->noise_cv);
    struct ryz_sim *sim = calloc(1, sizeof *sim);
    if (sim == NULL) return ryz_fail(error, RYZ_NO_MEMORY, "no memory for a simulation");
    enum ryz_status status = ryz_core_open(&config->core, &sim->core, error);
    if (status != RYZ_OK) {
        ryz_sim_close(sim);
        return status;
    }
    sim->live = calloc(ryz_core_slot_count(sim->core), sizeof *sim->live);
    if (sim->live == NULL || !ryz_event_heap_reserve(&sim->heap, ROOM_FOR_OWN_EVENTS)) {
        ryz_sim_close(sim);
        return ryz_fail(error, RYZ_NO_MEMORY, "no memory for a simulation");
    }
    sim->world = config->world;
    if (callbacks != NULL) sim->callbacks = *callbacks;
    sim->faults = config->faults;
    const struct ryz_sched_limits *limits = &config->core.limits; /* good ones: the core is open */
    sim->seed = config->seed;
    sim->prefix_cache = config->core.prefix_cache;
    sim->block_tokens = limits->kv_block_tokens;
    sim->draft_tokens = limits->draft_tokens_max;
    sim->draft_accept = config->draft_accept;
    sim->longest_tokens =
        ryz_min_u32(limits->context_tokens_max, limits->kv_blocks * limits->kv_block_tokens);
    /* Mean 1, so that noise changes the spread and not the speed. */
    double variance = log1p(config->noise_cv * config->noise_cv);
    sim->noise_sigma = sqrt(variance);
    sim->noise_mu = -variance / 2.0;
    ryz_rng_init(&sim->noise, config->seed, NOISE_STREAM);
    sim->wake_ns = RYZ_TIME_NEVER;
    if (sim->faults != NULL) push(sim, 0, RYZ_SIM_EV_FAULT, 0, 0);
    *out = sim;
    return RYZ_OK;
}

void ryz_sim_close(struct ryz_sim *sim)
{
    if (sim == NULL) return;
    for (uint32_t i = 0; i < sim->pending_capacity; i++) free(sim->pending[i].hashes);
    free(sim->pending_free);
    free(sim->pending);
    ryz_event_heap_close(&sim->heap);
    free(sim->live);
    ryz_core_close(sim->core);
    free(sim);
}

/* Doubles the room for submitted requests when it is full. */
static bool make_pending_room(struct ryz_sim *sim)
{
    if (sim->pending_free_count > 0) return true;
    uint32_t old = sim->pending_capacity, capacity = old == 0 ? 64 : 2 * old;
    size_t bytes = 0, index_bytes = 0;
    if (capacity <= old || !ryz_mul_size(capacity, sizeof *sim->pending, &bytes) ||
        !ryz_mul_size(capacity, sizeof *sim->pending_free, &index_bytes))
        return false;
    struct pending *pending = realloc(sim->pending, bytes);
    if (pending == NULL) return false;
    sim->pending = pending;
    uint32_t *unused = realloc(sim->pending_free, index_bytes);
    if (unused == NULL) return false;
    sim->pending_free = unused;
    for (uint32_t i = capacity; i > old; i--) {
        unused[sim->pending_free_count++] = i - 1;
        pending[i - 1] = (struct pending){.hashes = NULL};
    }
    sim->pending_capacity = capacity;
    return true;
}

/* What is wrong with the hashes of a request; NULL: nothing. */
static const char *hashes_fault(const struct ryz_sim *sim, const struct ryz_sim_request *request)
{
    if (request->hash_count == 0) return NULL;
    if (!sim->prefix_cache) return "hashes without a prefix cache";
    if (request->hashes == NULL) return "hashes that are not there";
    if (request->hash_count > request->prompt_tokens / sim->block_tokens)
        return "more hashes than full blocks";
    for (uint32_t i = 0; i < request->hash_count; i++)
        if (request->hashes[i] == 0) return "a hash of 0";
    return NULL;
}

/* Puts a request where it waits for its time. False: no memory. */
static bool remember(struct ryz_sim *sim, const struct ryz_sim_request *request)
{
    size_t bytes = request->hash_count * sizeof *request->hashes;
    uint64_t *hashes = NULL;
    /* An arrival's place serves its timeout later, so a push during the run never fails. */
    if (!make_pending_room(sim) || !ryz_event_heap_reserve(&sim->heap, 1 + ROOM_FOR_OWN_EVENTS))
        return false;
    if (bytes > 0) {
        hashes = malloc(bytes);
        if (hashes == NULL) return false;
        memcpy(hashes, request->hashes, bytes);
    }
    uint32_t index = sim->pending_free[--sim->pending_free_count];
    sim->pending[index] = (struct pending){.request = *request, .hashes = hashes};
    push(sim, request->at_ns, RYZ_SIM_EV_ARRIVE, index, 0);
    sim->unfinished++;
    return true;
}

enum ryz_status ryz_sim_submit(struct ryz_sim *sim, const struct ryz_sim_request *request,
                               struct ryz_error *error)
{
    if (request->at_ns < sim->now_ns || request->at_ns == RYZ_TIME_NEVER)
        return ryz_fail(error, RYZ_INVALID, "request %llu arrives at %lld ns, now is %lld ns",
                        (unsigned long long)request->id, (long long)request->at_ns,
                        (long long)sim->now_ns);
    if (request->prompt_tokens == 0 || request->output_tokens == 0 ||
        request->output_tokens > request->output_tokens_max)
        return ryz_fail(error, RYZ_INVALID,
                        "request %llu: prompt %u, output %u of at most %u tokens",
                        (unsigned long long)request->id, request->prompt_tokens,
                        request->output_tokens, request->output_tokens_max);
    if (request->timeout_ns < 0)
        return ryz_fail(error, RYZ_INVALID, "request %llu: a negative timeout",
                        (unsigned long long)request->id);
    const char *fault = hashes_fault(sim, request);
    if (fault != NULL)
        return ryz_fail(error, RYZ_INVALID, "request %llu: %s", (unsigned long long)request->id,
                        fault);
    if (!remember(sim, request))
        return ryz_fail(error, RYZ_NO_MEMORY, "no memory for another simulated request");
    return RYZ_OK;
}

/* The request has ended; its slot was empty already or becomes so. */
static void finish(struct ryz_sim *sim, uint64_t id, enum ryz_status status,
                   const struct ryz_waste *waste)
{
    RYZ_ASSERT(sim->unfinished > 0);
    sim->unfinished--;
    if (sim->callbacks.done != NULL)
        sim->callbacks.done(sim->callbacks.context, id, sim->now_ns, status, waste);
}

/* Tells the core the hashes of the request that arrives next. */
static void feed_hashes(struct ryz_sim *sim, uint64_t id, const uint64_t *hashes, uint32_t count)
{
    for (uint32_t done = 0; done < count;) {
        struct ryz_event event = {.t_ns = sim->now_ns, .request_id = id, .kind = RYZ_EV_HASHES};
        for (; done < count && event.flags < RYZ_EVENT_HASHES_MAX; event.flags++)
            ryz_event_set_hash(&event, event.flags, hashes[done++]);
        (void)ryz_core_feed(sim->core, &event);
    }
}

static void arrive(struct ryz_sim *sim, uint32_t index)
{
    const struct ryz_sim_request request = sim->pending[index].request;
    if (request.prompt_tokens <= sim->longest_tokens)
        feed_hashes(sim, request.id, sim->pending[index].hashes, request.hash_count);
    free(sim->pending[index].hashes);
    sim->pending[index].hashes = NULL;
    sim->pending_free[sim->pending_free_count++] = index;
    struct ryz_event event = {
        .t_ns = sim->now_ns,
        .request_id = request.id,
        .deadline_ns = request.deadline_ns,
        .kind = RYZ_EV_ARRIVE,
        .prompt_tokens = request.prompt_tokens,
        .output_tokens_max = request.output_tokens_max,
        .tenant = request.tenant,
        .priority = request.priority,
        .first_deadline_ns = request.first_deadline_ns,
    };
    struct ryz_effect effect = ryz_core_feed(sim->core, &event);
    if (effect.kind != RYZ_EFFECT_ADMITTED) {
        bool too_long = effect.kind == RYZ_EFFECT_REJECTED_TOO_LONG;
        if (sim->callbacks.refused != NULL)
            sim->callbacks.refused(sim->callbacks.context, request.id, sim->now_ns, &effect);
        finish(sim, request.id, too_long ? RYZ_INVALID : RYZ_FULL, &effect.waste);
        return;
    }
    if (effect.displaced) sim->live[effect.displaced_slot].generation = 0;
    struct live *live = &sim->live[effect.slot];
    RYZ_ASSERT(live->generation == 0);
    *live = (struct live){
        .id = request.id,
        .generation = ++sim->arrivals,
        .prompt_tokens = request.prompt_tokens,
        .output_tokens = request.output_tokens,
    };
    /* The live engine cancels at the deadline, too. */
    int64_t until_ns = add_ns(sim->now_ns, request.timeout_ns);
    if (request.deadline_ns < until_ns) until_ns = request.deadline_ns;
    push(sim, until_ns > sim->now_ns ? until_ns : sim->now_ns, RYZ_SIM_EV_TIMEOUT, effect.slot,
         live->generation);
    if (sim->callbacks.admitted != NULL)
        sim->callbacks.admitted(sim->callbacks.context, request.id, sim->now_ns);
    if (effect.displaced) finish(sim, effect.displaced_id, RYZ_FULL, &effect.waste);
}

/* Takes the request of a slot away from the core. */
static void cancel(struct ryz_sim *sim, uint32_t slot, enum ryz_status status)
{
    uint64_t id = sim->live[slot].id;
    struct ryz_event event = {
        .t_ns = sim->now_ns, .request_id = id, .kind = RYZ_EV_CANCEL, .slot = slot};
    struct ryz_effect effect = ryz_core_feed(sim->core, &event);
    RYZ_ASSERT(effect.kind == RYZ_EFFECT_CANCELLED);
    sim->live[slot].generation = 0;
    finish(sim, id, status, &effect.waste);
}

/* The hash of the block that a request's newest token fills, 0 if it fills none. */
static uint64_t output_hash(const struct ryz_sim *sim, const struct live *live)
{
    uint32_t tokens = live->prompt_tokens + live->generated;
    if (!sim->prefix_cache || tokens % sim->block_tokens != 0) return 0;
    uint64_t stream = OUTPUT_STREAM ^ live->generation << 32;
    uint64_t hash = ryz_rng_at(sim->seed, stream, tokens / sim->block_tokens);
    return hash != 0 ? hash : 1;
}

/* One token of a request, perhaps its last, which is true. `accepted`: it had been proposed, so
 * another one follows at once. */
static bool sample(struct ryz_sim *sim, uint32_t slot, bool accepted)
{
    struct live *live = &sim->live[slot];
    uint64_t id = live->id;
    bool last = ++live->generated == live->output_tokens;
    struct ryz_event event = {
        .t_ns = sim->now_ns,
        .request_id = id,
        .kind = RYZ_EV_TOKEN,
        .slot = slot,
        .flags = last       ? RYZ_EVF_END
                 : accepted ? RYZ_EVF_ACCEPTED
                            : 0,
        .output_tokens_max = accepted ? 0 : sim->draft_tokens,
        .hash = output_hash(sim, live),
    };
    struct ryz_effect effect = ryz_core_feed(sim->core, &event);
    RYZ_ASSERT((effect.kind == RYZ_EFFECT_FINISHED) == last);
    if (last) live->generation = 0;
    if (sim->callbacks.token != NULL) sim->callbacks.token(sim->callbacks.context, id, sim->now_ns);
    if (last) finish(sim, id, RYZ_OK, &effect.waste);
    return last;
}

/* The tokens of one request in a step: the proposals that the world finds right come with it. */
static void sample_all(struct ryz_sim *sim, const struct flight *flight)
{
    uint32_t accepted = 0;
    const struct live *live = &sim->live[flight->slot];
    for (; accepted < flight->drafts; accepted++) {
        uint64_t at = live->generation << 32 | (live->generated + accepted);
        if (ryz_u64_to_unit(ryz_rng_at(sim->seed, DRAFT_STREAM, at)) >= sim->draft_accept) break;
    }
    for (uint32_t i = 0; i < accepted; i++)
        if (sample(sim, flight->slot, true)) return;
    (void)sample(sim, flight->slot, false);
}

static void end_step(struct ryz_sim *sim)
{
    struct ryz_event event = {
        .t_ns = sim->now_ns,
        .duration_ns = sim->step.duration_ns,
        .kind = RYZ_EV_STEP_DONE,
        .flags = sim->step.failed ? RYZ_EVF_FAILED : 0,
    };
    sim->step_in_flight = false;
    (void)ryz_core_feed(sim->core, &event);
    for (uint32_t i = 0; i < sim->flight_count; i++) {
        const struct flight *flight = &sim->flights[i];
        /* It timed out during the step, and its slot may serve another request. */
        if (sim->live[flight->slot].generation != flight->generation) continue;
        if (sim->step.failed)
            cancel(sim, flight->slot, RYZ_FAULT);
        else if (flight->samples)
            sample_all(sim, flight);
    }
    sim->step.stats = ryz_core_stats(sim->core);
    if (sim->callbacks.step != NULL) sim->callbacks.step(sim->callbacks.context, &sim->step);
}

/* Tells the core which share of its KV allocations fails from now on. */
static void update_kv_fault(struct ryz_sim *sim)
{
    int64_t next_ns = RYZ_TIME_NEVER;
    uint32_t permille = ryz_fault_share(sim->faults, RYZ_FAULT_KV_ALLOC, sim->now_ns, &next_ns);
    if (permille != sim->kv_fault_permille) {
        struct ryz_event event = {.t_ns = sim->now_ns, .kind = RYZ_EV_FAULT, .permille = permille};
        (void)ryz_core_feed(sim->core, &event);
        sim->kv_fault_permille = permille;
    }
    RYZ_ASSERT(next_ns > sim->now_ns);
    push(sim, next_ns, RYZ_SIM_EV_FAULT, 0, 0);
}

/* The world's price of a step, noise included. */
static int64_t price(struct ryz_sim *sim, const struct ryz_batch_shape *shape)
{
    int64_t ns = sim->world.step_ns(sim->world.context, shape);
    if (sim->noise_sigma > 0.0) {
        /* Box and Muller; the first number is in (0, 1], so its logarithm exists. */
        double u = 1.0 - ryz_rng_unit(&sim->noise), v = ryz_rng_unit(&sim->noise);
        double normal = sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
        ns = ryz_step_cost_round((double)ns * exp(sim->noise_mu + sim->noise_sigma * normal));
    }
    return ns > 0 ? ns : 0;
}

/* Applies the engine's fault points to the step that begins. */
static void strike(struct ryz_sim *sim, struct ryz_sim_step *step)
{
    const struct {
        enum ryz_fault_point point;
        bool reached;
    } points[] = {
        {RYZ_FAULT_ENGINE_STEP, true},
        {RYZ_FAULT_ENGINE_PREFILL, step->shape.prefill_tokens > 0},
        {RYZ_FAULT_ENGINE_DECODE, step->shape.decode_requests > 0},
    };
    int64_t delay_ns = 0;
    for (size_t i = 0; i < RYZ_COUNT_OF(points); i++) {
        const struct ryz_fault *fault = NULL;
        if (!points[i].reached || !ryz_fault_hit(sim->faults, points[i].point, sim->now_ns, &fault))
            continue;
        if (fault->action == RYZ_FAULT_DELAY) delay_ns = add_ns(delay_ns, fault->value_ns);
        if (fault->action == RYZ_FAULT_FAIL) step->failed = true;
    }
    if (step->failed) {
        const struct ryz_batch_shape empty = {0};
        step->duration_ns = price(sim, &empty);
        if (step->duration_ns < FAILED_STEP_NS_MIN) step->duration_ns = FAILED_STEP_NS_MIN;
    }
    step->duration_ns = add_ns(step->duration_ns, delay_ns);
}

/* Says what a request that runs for the first time has found. */
static void note_start(struct ryz_sim *sim, uint32_t slot)
{
    struct live *live = &sim->live[slot];
    if (live->started) return;
    live->started = true;
    if (sim->callbacks.started != NULL)
        sim->callbacks.started(sim->callbacks.context, live->id, sim->now_ns,
                               ryz_core_cached_tokens(sim->core, slot));
}

static void begin_step(struct ryz_sim *sim, const struct ryz_sched_plan *plan)
{
    struct ryz_sim_step *step = &sim->step;
    *step = (struct ryz_sim_step){
        .t_ns = sim->now_ns,
        .shape = plan->shape,
        .run_count = plan->run_count,
        .duration_ns = price(sim, &plan->shape),
    };
    strike(sim, step);
    sim->flight_count = 0;
    for (uint32_t i = 0; i < plan->item_count; i++) {
        const struct ryz_plan_item *item = &plan->items[i];
        if (item->action != RYZ_ACT_RUN) continue;
        RYZ_ASSERT(sim->flight_count < RYZ_BATCH_MAX);
        sim->flights[sim->flight_count++] = (struct flight){
            .generation = sim->live[item->slot].generation,
            .slot = item->slot,
            .samples = item->samples,
            .drafts = (uint8_t)item->drafts,
        };
        note_start(sim, item->slot);
    }
    /* The end of time is a time too: a step that would pass it ends there. */
    int64_t end_ns = add_ns(sim->now_ns, step->duration_ns);
    if (end_ns == RYZ_TIME_NEVER) end_ns = RYZ_TIME_NEVER - 1;
    sim->step_in_flight = true;
    push(sim, end_ns, RYZ_SIM_EV_STEP_END, 0, 0);
}

/* Asks the core for a step unless one is in flight. */
static void plan(struct ryz_sim *sim)
{
    if (sim->step_in_flight) return;
    const struct ryz_sched_plan *next = ryz_core_next(sim->core, sim->now_ns);
    if (next != NULL) {
        begin_step(sim, next);
        return;
    }
    /* A WAKE that comes too early asks again and is told the rest. */
    int64_t wake_ns = ryz_core_wake_ns(sim->core);
    if (wake_ns >= sim->wake_ns) return;
    RYZ_ASSERT(wake_ns > sim->now_ns);
    sim->wake_ns = wake_ns;
    push(sim, wake_ns, RYZ_SIM_EV_WAKE, 0, 0);
}

static void handle(struct ryz_sim *sim, const struct ryz_heap_event *event)
{
    switch ((enum event_kind)event->kind) {
    case RYZ_SIM_EV_FAULT:
        update_kv_fault(sim);
        break;
    case RYZ_SIM_EV_STEP_END:
        end_step(sim);
        break;
    case RYZ_SIM_EV_ARRIVE:
        arrive(sim, event->index);
        break;
    case RYZ_SIM_EV_TIMEOUT:
        if (sim->live[event->index].generation == event->generation)
            cancel(sim, event->index, RYZ_TIMEOUT);
        break;
    case RYZ_SIM_EV_WAKE:
        if (event->t_ns == sim->wake_ns) sim->wake_ns = RYZ_TIME_NEVER;
        break;
    }
}

void ryz_sim_run(struct ryz_sim *sim, int64_t until_ns)
{
    while (sim->unfinished > 0) {
        int64_t next_ns = ryz_event_heap_next_ns(&sim->heap);
        RYZ_ASSERT(next_ns != RYZ_TIME_NEVER); /* a request that nothing will ever end */
        if (next_ns > until_ns) {
            if (until_ns > sim->now_ns) sim->now_ns = until_ns;
            return;
        }
        sim->now_ns = next_ns;
        /* All that happens at this time, what the callbacks add included, then one plan. */
        while (ryz_event_heap_next_ns(&sim->heap) == sim->now_ns) {
            struct ryz_heap_event event = ryz_event_heap_pop(&sim->heap);
            handle(sim, &event);
        }
        plan(sim);
    }
}

int64_t ryz_sim_now_ns(const struct ryz_sim *sim)
{
    return sim->now_ns;
}

const struct ryz_core *ryz_sim_core(const struct ryz_sim *sim)
{
    return sim->core;
}
