/*
 * served.h - the system under test of one run: our engine in this process, a server behind a URL
 * (started here if the scenario says so), or nothing but a cost model for the simulator.
 */
#ifndef RYZ_HARNESS_RUN_SERVED_H
#define RYZ_HARNESS_RUN_SERVED_H

#include "engine/runtime/engine.h"
#include "harness/chaos/process.h"
#include "harness/drive/target.h"
#include "harness/scenario/plan.h"
#include "simulators/cost_model.h"

#define RYZ_SERVED_BLOCK_TOKENS 16u /* of a KV block */

struct ryz_served {
    struct ryz_engine *engine;         /* embedded */
    struct ryz_process *process;       /* http with spawn */
    struct ryz_target *target;         /* embedded, http */
    struct ryz_model *tokenizer_model; /* http, simulator: the model, for its tokenizer */
    const struct ryz_model *model;     /* NULL: unknown */
    struct ryz_cost_model cost;        /* simulator */
    double draft_accept;               /* simulator: of the proposals of the recorded runs */
    uint32_t context_tokens;           /* requests are cut to fit */
    char control_path[128];            /* of the spawned server, "" without */
    char control_dir[64];              /* made for it, "" if not */
    char host[128];                    /* http */
    uint16_t port;
    char ready_path[256]; /* answers 200 when the server is ready */
};

/* Opens what plan->engine says; `observer` is the embedded engine's. The spawned server's output
 * goes to log_path. On failure everything is closed again. */
RYZ_MUST_USE enum ryz_status ryz_served_open(const struct ryz_plan *plan,
                                             const struct ryz_engine_observer *observer,
                                             const char *log_path, struct ryz_served *served,
                                             struct ryz_error *error);
void ryz_served_close(struct ryz_served *served);

/* The plan's parts of the KV pool by the numbers that tenants have in the process; their count. */
uint32_t ryz_served_shares(const struct ryz_plan *plan,
                           struct ryz_kv_share shares[RYZ_KV_SHARES_MAX]);
/* The scheduler limits that a plan asks for; kv_blocks for a model of this shape (0 without). */
struct ryz_sched_limits ryz_served_limits(const struct ryz_plan *plan,
                                          const struct ryz_model_info *info);

#endif
