/*
 * sim_rig.h - a simulation whose every callback is written down, with a world that is easy to add
 * up in one's head: 1000 ns a step, 10 a prefill token, 100 a decode.
 */
#ifndef RYZ_TESTS_SIMULATORS_SIM_RIG_H
#define RYZ_TESTS_SIMULATORS_SIM_RIG_H

#include "simulators/sim.h"

#define RIG_TOKENS_MAX   64
#define RIG_REQUESTS_MAX 64

struct sim_rig {
    struct ryz_sim *sim;
    struct {
        int64_t admitted_ns, started_ns, done_ns;
        int64_t token_ns[RIG_TOKENS_MAX];
        uint32_t tokens, cached_tokens;
        uint32_t starts;        /* calls of `started`: 1 in the end */
        uint32_t dones;         /* calls of `done`: 1 in the end */
        struct ryz_waste waste; /* as `done` said */
        enum ryz_status status;
        enum ryz_effect_kind refused; /* NONE: it was not */
    } requests[RIG_REQUESTS_MAX];     /* by id */
    struct ryz_sim_step steps[256];
    uint32_t step_count;
    uint32_t resubmit; /* so many more requests are submitted by `done`, one each */
    uint64_t next_id;
};

/* 4 requests, 64 tokens a step, 16 blocks of 4 tokens, 8 waiting. */
struct ryz_sim_config sim_rig_config(void);
void sim_rig_open(struct sim_rig *rig, const struct ryz_sim_config *config);
void sim_rig_close(struct sim_rig *rig);
/* A request without deadline and timeout. */
struct ryz_sim_request sim_rig_request(uint64_t id, int64_t at_ns, uint32_t prompt,
                                       uint32_t output);
void sim_rig_submit(struct sim_rig *rig, const struct ryz_sim_request *request);
/* A plan of one fault. */
struct ryz_faults *sim_rig_fault(const struct ryz_fault *fault);
int64_t sim_rig_cost(const void *context, const struct ryz_batch_shape *shape);

#endif
