/* sim_rig.c - the recorder of these tests. */
#include "tests/unit/simulators/sim_rig.h"

#include "engine/base/clock.h"

#include <criterion/criterion.h>
#include <string.h>

int64_t sim_rig_cost(const void *context, const struct ryz_batch_shape *shape)
{
    (void)context;
    return 1000 + 10 * (int64_t)shape->prefill_tokens + 100 * (int64_t)shape->decode_requests;
}

static void on_admitted(void *context, uint64_t id, int64_t now_ns)
{
    struct sim_rig *rig = context;
    cr_assert_lt(id, (uint64_t)RIG_REQUESTS_MAX);
    rig->requests[id].admitted_ns = now_ns;
}

static void on_refused(void *context, uint64_t id, int64_t now_ns, const struct ryz_effect *effect)
{
    struct sim_rig *rig = context;
    (void)now_ns;
    cr_assert_eq(rig->requests[id].dones, 0, "it was told before its end");
    rig->requests[id].refused = effect->kind;
}

static void on_started(void *context, uint64_t id, int64_t now_ns, uint32_t cached_tokens)
{
    struct sim_rig *rig = context;
    rig->requests[id].started_ns = now_ns;
    rig->requests[id].cached_tokens = cached_tokens;
    rig->requests[id].starts++;
}

static void on_token(void *context, uint64_t id, int64_t now_ns)
{
    struct sim_rig *rig = context;
    cr_assert_lt(rig->requests[id].tokens, (uint32_t)RIG_TOKENS_MAX);
    rig->requests[id].token_ns[rig->requests[id].tokens++] = now_ns;
}

static void on_done(void *context, uint64_t id, int64_t now_ns, enum ryz_status status,
                    const struct ryz_waste *waste)
{
    struct sim_rig *rig = context;
    rig->requests[id].waste = *waste;
    rig->requests[id].done_ns = now_ns;
    rig->requests[id].status = status;
    rig->requests[id].dones++;
    if (rig->resubmit == 0) return;
    rig->resubmit--;
    struct ryz_sim_request next = sim_rig_request(rig->next_id++, now_ns, 4, 2);
    sim_rig_submit(rig, &next);
}

static void on_step(void *context, const struct ryz_sim_step *step)
{
    struct sim_rig *rig = context;
    cr_assert_lt(rig->step_count, 256u);
    rig->steps[rig->step_count++] = *step;
}

struct ryz_sim_config sim_rig_config(void)
{
    return (struct ryz_sim_config){
        .core = {.limits = {.batch_requests_max = 4,
                            .batch_tokens_max = 64,
                            .prefill_chunk_max = 64,
                            .kv_block_tokens = 4,
                            .kv_blocks = 16,
                            .queue_requests_max = 8,
                            .context_tokens_max = 64,
                            .step_ns_max = RYZ_TIME_NEVER,
                            .admit_late = true},
                 .policy = "fcfs",
                 .seed = 5},
        .world = {.step_ns = sim_rig_cost},
        .seed = 6,
    };
}

void sim_rig_open(struct sim_rig *rig, const struct ryz_sim_config *config)
{
    struct ryz_error error;
    const struct ryz_sim_callbacks callbacks = {.context = rig,
                                                .admitted = on_admitted,
                                                .refused = on_refused,
                                                .started = on_started,
                                                .token = on_token,
                                                .done = on_done,
                                                .step = on_step};
    memset(rig, 0, sizeof *rig);
    cr_assert_eq(ryz_sim_open(config, &callbacks, &rig->sim, &error), RYZ_OK, "%s", error.text);
}

void sim_rig_close(struct sim_rig *rig)
{
    ryz_sim_close(rig->sim);
}

struct ryz_sim_request sim_rig_request(uint64_t id, int64_t at_ns, uint32_t prompt, uint32_t output)
{
    return (struct ryz_sim_request){.id = id,
                                    .at_ns = at_ns,
                                    .deadline_ns = RYZ_TIME_NEVER,
                                    .timeout_ns = RYZ_TIME_NEVER,
                                    .prompt_tokens = prompt,
                                    .output_tokens = output,
                                    .output_tokens_max = output};
}

void sim_rig_submit(struct sim_rig *rig, const struct ryz_sim_request *request)
{
    struct ryz_error error;
    cr_assert_eq(ryz_sim_submit(rig->sim, request, &error), RYZ_OK, "%s", error.text);
}

struct ryz_faults *sim_rig_fault(const struct ryz_fault *fault)
{
    struct ryz_faults *faults = NULL;
    struct ryz_error error;
    cr_assert_eq(ryz_faults_open(fault, 1, 3, &faults, &error), RYZ_OK, "%s", error.text);
    return faults;
}
