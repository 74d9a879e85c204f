/*
 * simulate.c - the pacer in virtual time: the same flights, the simulator instead of a target.
 *
 * Leaves to others: rows and closed loops (flights.c), the served system (simulators/). The idea:
 * run the simulator up to each arrival and submit it there; a closed loop's next request is
 * submitted inside the callback that ended the last one, so it arrives at that very instant.
 *
 * A client that disconnects after k tokens is a world that generates only k: the blocks are freed
 * at the same moment, and the row says cancelled.
 *
 * With a prefix cache the prompts' tokens matter: they are those that a live drive would send, and
 * hashed as the engine does, with the run's seed as the key.
 */
#include "harness/drive/pacer.h"

#include "engine/base/assert.h"
#include "engine/sched/prefix_hash.h"
#include "harness/drive/flights.h"

#include <stdlib.h>

struct world {
    struct ryz_flights flights;
    struct ryz_sim *sim;
    struct ryz_flight **by_id; /* (by_id_capacity) flight of request id - 1; NULL once it ended */
    size_t by_id_capacity;
    uint64_t *hashes; /* (context / block_tokens + 1) of the prompt being submitted; NULL: there is
                         no prefix cache */
    uint32_t block_tokens;
    void (*on_step)(void *context, const struct ryz_sim_step *step);
    void *step_context;
    bool refused_late;      /* by the core, just now: the `done` that follows is its */
    enum ryz_status status; /* first failure inside a callback */
    struct ryz_error *error;
};

static void fail(struct world *world, enum ryz_status status)
{
    if (world->status == RYZ_OK) world->status = status;
    world->flights.stopped = true;
}

static bool remember(struct world *world, struct ryz_flight *flight)
{
    size_t at = flight->row.id - 1;
    if (at >= world->by_id_capacity) {
        size_t capacity = world->by_id_capacity == 0 ? 1024 : world->by_id_capacity;
        while (capacity <= at) capacity *= 2;
        struct ryz_flight **grown = realloc(world->by_id, capacity * sizeof(struct ryz_flight *));
        if (grown == NULL) return false;
        world->by_id = grown;
        world->by_id_capacity = capacity;
    }
    world->by_id[at] = flight;
    return true;
}

static struct ryz_flight *find(const struct world *world, uint64_t id)
{
    RYZ_ASSERT(id >= 1 && id <= world->by_id_capacity);
    return world->by_id[id - 1];
}

/* Hashes of the full blocks of the prompt in world->flights, into world->hashes. */
static uint32_t hash_prompt(struct world *world, const struct ryz_request_row *row)
{
    struct ryz_prefix_hash hash;
    if (world->hashes == NULL) return 0;
    ryz_prefix_hash_init(&hash, world->flights.options.seed, row->tenant, world->block_tokens);
    return ryz_prefix_hash_extend(&hash, world->flights.prompt, row->in_tok, world->hashes);
}

static void submit(struct world *world, struct ryz_flight *flight, int64_t now_ns)
{
    const struct ryz_request_row *row = &flight->row;
    if (!remember(world, flight)) {
        ryz_flights_done(&world->flights, flight, now_ns, RYZ_REQUEST_DROPPED_BY_HARNESS,
                         "no memory");
        fail(world, ryz_fail(world->error, RYZ_NO_MEMORY, "no memory for the simulated requests"));
        return;
    }
    uint32_t output = row->want_tok;
    if (flight->gives_up_at > 0 && flight->gives_up_at < output) output = flight->gives_up_at;
    struct ryz_sim_request request = {
        .id = row->id,
        .at_ns = now_ns,
        .first_deadline_ns = row->first_deadline_ns == RYZ_TIME_NONE ? 0 : row->first_deadline_ns,
        .deadline_ns = row->deadline_ns == RYZ_TIME_NONE ? RYZ_TIME_NEVER : row->deadline_ns,
        .timeout_ns =
            flight->timeout_ns == RYZ_TIME_NEVER ? RYZ_TIME_NEVER : flight->timeout_ns - now_ns,
        .prompt_tokens = row->in_tok,
        .output_tokens = output,
        .output_tokens_max = row->want_tok,
        .hashes = world->hashes,
        .hash_count = hash_prompt(world, row),
        .tenant = row->tenant,
        .priority = (uint8_t)row->priority,
    };
    enum ryz_status status = ryz_sim_submit(world->sim, &request, world->error);
    if (status == RYZ_OK) return;
    ryz_flights_done(&world->flights, flight, now_ns, RYZ_REQUEST_ERROR_4XX, "not simulated");
    fail(world, status);
}

/* Submits what is due by until_ns, each at its own time but not before now_ns. */
static void send_due(struct world *world, int64_t now_ns, int64_t until_ns)
{
    for (int64_t due_ns = 0; (due_ns = ryz_flights_due_ns(&world->flights)) <= until_ns;) {
        int64_t at_ns = due_ns > now_ns ? due_ns : now_ns;
        struct ryz_flight *flight = ryz_flights_launch(&world->flights, at_ns);
        if (flight != NULL) submit(world, flight, at_ns);
    }
}

static void on_admitted(void *context, uint64_t id, int64_t now_ns)
{
    struct world *world = context;
    ryz_flights_accepted(&world->flights, find(world, id), now_ns);
}

static void on_refused(void *context, uint64_t id, int64_t now_ns, const struct ryz_effect *effect)
{
    struct world *world = context;
    (void)id, (void)now_ns;
    world->refused_late = effect->kind == RYZ_EFFECT_REJECTED_LATE;
}

static void on_started(void *context, uint64_t id, int64_t now_ns, uint32_t cached_tokens)
{
    struct world *world = context;
    (void)now_ns;
    find(world, id)->row.cached_tok = cached_tokens;
}

static void on_token(void *context, uint64_t id, int64_t now_ns)
{
    struct world *world = context;
    /* A simulated token has no id, only its place in the answer. */
    (void)ryz_flights_tokens(&world->flights, find(world, id), now_ns, 1, NULL);
}

static enum ryz_request_status row_status(enum ryz_status status)
{
    switch (status) {
    case RYZ_OK:
        return RYZ_REQUEST_OK;
    case RYZ_FULL:
        return RYZ_REQUEST_SHED;
    case RYZ_INVALID:
        return RYZ_REQUEST_ERROR_4XX;
    case RYZ_TIMEOUT:
        return RYZ_REQUEST_TIMEOUT;
    default:
        return RYZ_REQUEST_ERROR_5XX;
    }
}

static void on_done(void *context, uint64_t id, int64_t now_ns, enum ryz_status status,
                    const struct ryz_waste *waste)
{
    struct world *world = context;
    struct ryz_flight *flight = find(world, id);
    ryz_flights_waste(flight, waste);
    world->by_id[id - 1] = NULL;
    bool late = world->refused_late;
    world->refused_late = false;
    ryz_flights_done(&world->flights, flight, now_ns, late ? RYZ_REQUEST_LATE : row_status(status),
                     late               ? "a deadline is out of reach"
                     : status == RYZ_OK ? NULL
                                        : ryz_status_text(status));
    /* A refused client of a closed loop comes back a little later, perhaps earlier than the arrival
     * that the simulator was told to run to: so that arrival is handed in now. */
    bool refused = status != RYZ_OK && now_ns < INT64_MAX / 2;
    send_due(world, now_ns, refused ? now_ns + RYZ_CLOSED_BACKOFF_NS : now_ns);
}

static void on_step(void *context, const struct ryz_sim_step *step)
{
    struct world *world = context;
    if (world->on_step != NULL) world->on_step(world->step_context, step);
}

static enum ryz_status open_hashes(struct world *world, const struct ryz_core_config *core,
                                   struct ryz_error *error)
{
    uint32_t block_tokens = core->limits.kv_block_tokens;
    if (!core->prefix_cache || block_tokens == 0) return RYZ_OK; /* the core refuses the latter */
    uint32_t context = world->flights.options.schedule->options.context_tokens;
    world->block_tokens = block_tokens;
    world->hashes = calloc((size_t)context / block_tokens + 1, sizeof *world->hashes);
    if (world->hashes == NULL)
        return ryz_fail(error, RYZ_NO_MEMORY, "no memory for the hashes of %u tokens", context);
    return RYZ_OK;
}

enum ryz_status ryz_pacer_simulate(const struct ryz_drive_options *options,
                                   const struct ryz_sim_config *sim,
                                   void (*step)(void *context, const struct ryz_sim_step *step),
                                   void *step_context, uint64_t *core_digest,
                                   struct ryz_drive_summary *summary, struct ryz_error *error)
{
    RYZ_ASSERT(options->t0_ns == 0);
    struct world world = {
        .on_step = step, .step_context = step_context, .status = RYZ_OK, .error = error};
    const struct ryz_sim_callbacks callbacks = {.context = &world,
                                                .admitted = on_admitted,
                                                .refused = on_refused,
                                                .started = on_started,
                                                .token = on_token,
                                                .done = on_done,
                                                .step = on_step};
    enum ryz_status status = ryz_flights_open(options, &world.flights, error);
    if (status != RYZ_OK) return status;
    status = open_hashes(&world, &sim->core, error);
    if (status == RYZ_OK) status = ryz_sim_open(sim, &callbacks, &world.sim, error);
    if (status != RYZ_OK) goto out_close_flights;
    for (;;) {
        int64_t due_ns = ryz_flights_due_ns(&world.flights);
        ryz_sim_run(world.sim, due_ns);
        if (due_ns == RYZ_TIME_NEVER && ryz_flights_over(&world.flights)) break;
        int64_t now_ns = ryz_sim_now_ns(world.sim);
        send_due(&world, now_ns, due_ns != RYZ_TIME_NEVER && due_ns > now_ns ? due_ns : now_ns);
    }
    ryz_flights_report(&world.flights, world.flights.end_ns);
    ryz_flights_summarise(&world.flights, summary);
    if (core_digest != NULL) *core_digest = ryz_core_digest(ryz_sim_core(world.sim));
    ryz_sim_close(world.sim);
    free(world.by_id);
    status = world.status;
out_close_flights:
    free(world.hashes);
    ryz_flights_close(&world.flights);
    return status;
}
