/*
 * sim.h - a serving engine in virtual time: the real scheduler core, a world that charges for
 * steps.
 *
 * The driver is event-driven so that closed loops work: a callback may submit more requests. Output
 * lengths are known to the world, never to the policy (it sees output_tokens_max only).
 *
 * With a prefix cache in the core's configuration, prompts are what their hashes say, and an output
 * is unlike everything else: a request finds its own after a preemption, and nobody else does.
 */
#ifndef RYZ_SIMULATORS_SIM_H
#define RYZ_SIMULATORS_SIM_H

#include "engine/base/fault.h"
#include "engine/sched/core.h"

#include <stdbool.h>

struct ryz_sim_request {
    uint64_t id;
    int64_t at_ns;             /* arrival, virtual; >= the present time when submitted */
    int64_t first_deadline_ns; /* for the first token, a goal of the scheduler; 0: none */
    int64_t deadline_ns;       /* cancelled if unfinished at it; RYZ_TIME_NEVER: none */
    int64_t timeout_ns;        /* cancelled if unfinished after this; RYZ_TIME_NEVER: none */
    uint32_t prompt_tokens;
    uint32_t output_tokens;     /* what the world will generate */
    uint32_t output_tokens_max; /* what the request asked for */
    const uint64_t *hashes;     /* (hash_count) prefix_hash.h's, of the prompt's full blocks in
                                   order; copied; none without a prefix cache in the core */
    uint32_t hash_count;
    uint16_t tenant;
    uint8_t priority;
};

/* One step, executed or failed. */
struct ryz_sim_step {
    int64_t t_ns, duration_ns; /* begin; begin + duration_ns is the time of its tokens */
    struct ryz_batch_shape shape;
    uint32_t run_count;
    bool failed;
    struct ryz_core_stats stats; /* after its tokens */
};

struct ryz_sim_callbacks {
    void *context;
    void (*admitted)(void *context, uint64_t id, int64_t now_ns);
    /* The core did not take it, and the effect says why; `done` follows. */
    void (*refused)(void *context, uint64_t id, int64_t now_ns, const struct ryz_effect *effect);
    /* It runs for the first time, and cached_tokens of its prompt need not be computed. */
    void (*started)(void *context, uint64_t id, int64_t now_ns, uint32_t cached_tokens);
    void (*token)(void *context, uint64_t id, int64_t now_ns);
    /* status: RYZ_OK finished, RYZ_FULL rejected, RYZ_INVALID too long, RYZ_TIMEOUT, RYZ_FAULT.
     * waste: zero if the core never took it. */
    void (*done)(void *context, uint64_t id, int64_t now_ns, enum ryz_status status,
                 const struct ryz_waste *waste);
    void (*step)(void *context, const struct ryz_sim_step *step);
}; /* each may be NULL and may call ryz_sim_submit, but no other function that changes the sim */

struct ryz_sim_config {
    struct ryz_core_config core;
    struct ryz_cost_source world; /* what a step costs; borrowed */
    double draft_accept;          /* chance that a proposal is right if those before it were */
    double noise_cv;              /* log-normal noise on each step's cost, 0: none */
    uint64_t seed;
    struct ryz_faults *faults; /* may be NULL, borrowed; engine.* delays and errors, kv.alloc, on
                                  the virtual clock. A failed step costs what an empty one does */
};

struct ryz_sim;

RYZ_MUST_USE enum ryz_status ryz_sim_open(const struct ryz_sim_config *config,
                                          const struct ryz_sim_callbacks *callbacks,
                                          struct ryz_sim **sim, struct ryz_error *error);
void ryz_sim_close(struct ryz_sim *sim);
/* Adds an arrival. RYZ_INVALID: in the past, no prompt, an output of 0 or beyond its maximum, or
 * hashes that cannot be: without a prefix cache, more than the prompt's full blocks, 0. */
RYZ_MUST_USE enum ryz_status
ryz_sim_submit(struct ryz_sim *sim, const struct ryz_sim_request *request, struct ryz_error *error);
/* Runs until no request is left or virtual time reaches until_ns (events at until_ns included). */
void ryz_sim_run(struct ryz_sim *sim, int64_t until_ns);
int64_t ryz_sim_now_ns(const struct ryz_sim *sim);
const struct ryz_core *ryz_sim_core(const struct ryz_sim *sim);

#endif
