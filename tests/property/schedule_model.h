/*
 * schedule_model.h - a random life for a scheduler core, and an independent book of it.
 *
 * The model draws everything (policy by the seed, limits, arrivals, cancels, failed steps, changed
 * limits, injected KV failures) from one seed, drives a core with it and keeps its own account of
 * what every request holds and has computed. Any disagreement ends the test with the seed.
 */
#ifndef RYZ_TESTS_PROPERTY_SCHEDULE_MODEL_H
#define RYZ_TESTS_PROPERTY_SCHEDULE_MODEL_H

#include "engine/base/rng.h"
#include "engine/sched/core.h"

#include <stddef.h>

#define MODEL_REQUESTS_MAX    32
#define MODEL_BLOCKS_MAX      64
#define MODEL_HOST_BLOCKS_MAX 32
#define MODEL_BLOCK_TOKENS    8 /* at most */
#define MODEL_EVENTS_MAX      16384

enum model_state { MODEL_UNBORN, MODEL_LIVE, MODEL_FINISHED, MODEL_CANCELLED, MODEL_REJECTED };

struct model_request {
    uint32_t slot, prompt, output, output_max; /* output: what it will really generate */
    uint32_t decoded, computed;
    uint64_t worked; /* tokens that steps have computed for it */
    uint16_t tenant;
    uint32_t class;  /* of its order under the policy */
    uint64_t rank;   /* inside the class */
    uint32_t family; /* requests of one family begin alike, for `alike` tokens */
    uint32_t alike;
    uint32_t leader;  /* id of the first choice for the same prompt */
    uint32_t offered; /* proposals for what follows the newest token */
    uint32_t luck;    /* percent of its proposals that are right */
    enum model_state state;
};

/* One schedule. */
struct model {
    uint64_t seed;
    bool perturbed; /* the same schedule with one prompt a token longer */
    struct ryz_rng rng;
    struct ryz_core *core;
    struct ryz_core_config config;
    struct ryz_sched_limits limits; /* as the core should have them now */
    uint32_t fault_permille;
    int64_t now_ns;
    struct model_request requests[MODEL_REQUESTS_MAX]; /* index = id, in order of arrival */
    uint32_t request_count, arrived;
    struct ryz_waste waste; /* of all that have ended */
    uint32_t displaced;     /* waiting requests that gave way, over all schedules */
    uint64_t lent;          /* steps after which guarantees were lent, over all schedules */
    uint64_t copies;        /* of blocks, over all schedules */
    uint32_t accepted[MODEL_REQUESTS_MAX]; /* of the step: proposals that are right */
    uint64_t drafts, drafts_right;         /* over all schedules */
    uint64_t contents[MODEL_BLOCKS_MAX][MODEL_BLOCK_TOKENS]; /* tokens that a block really holds */
    uint64_t host_contents[MODEL_HOST_BLOCKS_MAX]
                          [MODEL_BLOCK_TOKENS]; /* the same of the host tier */
    uint32_t holders[MODEL_BLOCKS_MAX];         /* requests that list a block */
    uint64_t trace; /* of all decisions seen, by another hash than the core's */
    uint32_t steps;
    struct ryz_event log[MODEL_EVENTS_MAX];
    size_t log_count;
};

/* Runs schedule `seed` to its end: everything arrived, ended, and all blocks free again. The core
 * stays open for the caller to look at; close it with model_close. */
void model_run(struct model *model, uint64_t seed, bool perturbed);
void model_close(struct model *model);

/* The hash of a full block of a request. */
uint64_t model_hash_of(const struct model *m, uint32_t id, uint32_t block);
/* The token at a position of a request, as a number that no other token has. */
uint64_t model_token_of(const struct model *m, uint32_t id, uint32_t position);

#endif
