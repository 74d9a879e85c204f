/*
 * speculate.c - offers and makes proposals.
 *
 * Leaves to others: how many are worth it (the core), which were right (step.c). The idea: they lie
 * behind the job's tokens, where the next ones will be, so a step with proposals is a step whose
 * request has some tokens more.
 */
#include "engine/runtime/speculate.h"

#include "engine/base/assert.h"
#include "engine/base/size.h"
#include "engine/model/prompt_lookup.h"

#include <string.h>

static enum ryz_status open_draft(struct ryz_engine *engine,
                                  const struct ryz_engine_options *options, struct ryz_error *error)
{
    const struct ryz_sched_limits *limits = &engine->config.limits;
    if (options->draft_model == NULL || options->draft_model[0] == '\0')
        return ryz_fail(error, RYZ_INVALID,
                        "speculation by a draft model needs one: name a GGUF file as draft_model");
    const struct ryz_draft_options draft = {.model_path = options->draft_model,
                                            .target = engine->model,
                                            .backend = engine->backend,
                                            .block_tokens = limits->kv_block_tokens,
                                            .batch_tokens_max = limits->batch_tokens_max,
                                            .batch_requests_max = limits->batch_requests_max};
    return ryz_draft_open(&draft, &engine->draft, error);
}

enum ryz_status ryz_speculate_open(struct ryz_engine *engine,
                                   const struct ryz_engine_options *options,
                                   struct ryz_error *error)
{
    const char *how = options->speculate != NULL ? options->speculate : "off";
    struct ryz_sched_limits *limits = &engine->config.limits;
    if (strcmp(how, "off") == 0) {
        limits->draft_tokens_max = 0;
        return RYZ_OK;
    }
    if (limits->draft_tokens_max == 0) limits->draft_tokens_max = RYZ_DRAFT_TOKENS_DEFAULT;
    if (limits->draft_tokens_max > RYZ_DRAFT_MAX)
        return ryz_fail(error, RYZ_INVALID, "%u proposals a step; at most %u are possible",
                        limits->draft_tokens_max, RYZ_DRAFT_MAX);
    if (strcmp(how, "draft") == 0) return open_draft(engine, options, error);
    engine->looks_up = strcmp(how, "lookup") == 0;
    if (engine->looks_up) return RYZ_OK;
    return ryz_fail(error, RYZ_INVALID, "speculation by \"%.20s\"; there are %s", how,
                    RYZ_SPECULATE_NAMES);
}

void ryz_speculate_close(struct ryz_engine *engine)
{
    ryz_draft_close(engine->draft);
}

uint32_t ryz_speculate_offer(struct ryz_engine *engine, struct ryz_job *job)
{
    uint32_t most = ryz_min_u32(engine->config.limits.draft_tokens_max,
                                engine->table.context - job->token_count);
    if (engine->looks_up)
        return ryz_prompt_lookup(job->tokens, job->token_count, most,
                                 job->tokens + job->token_count);
    return engine->draft != NULL ? most : 0;
}

/* The target overwrites what the draft had of these positions, copies what it had of those blocks.
 */
static void forget(struct ryz_engine *engine, const struct ryz_sched_plan *plan)
{
    uint32_t count = 0;
    const struct ryz_kv_copy *copies = ryz_core_copies(engine->core, &count);
    for (uint32_t i = 0; i < count; i++)
        if (copies[i].kind != RYZ_KV_COPY_OUT) ryz_draft_forget_block(engine->draft, copies[i].to);
    for (uint32_t i = 0; i < plan->item_count; i++) {
        const struct ryz_plan_item *item = &plan->items[i];
        uint32_t blocks = 0;
        if (item->action == RYZ_ACT_RUN)
            ryz_draft_forget(engine->draft, ryz_core_blocks(engine->core, item->slot, &blocks),
                             item->first_position, item->first_position + item->tokens);
    }
}

int64_t ryz_speculate_propose(struct ryz_engine *engine, const struct ryz_sched_plan *plan)
{
    uint32_t count = 0;
    if (engine->draft == NULL) return 0; /* proposals from the text are there already */
    forget(engine, plan);
    for (uint32_t i = 0; i < plan->item_count; i++) {
        const struct ryz_plan_item *item = &plan->items[i];
        uint32_t blocks = 0;
        if (item->drafts == 0) continue;
        struct ryz_job *job = engine->by_slot[item->slot];
        engine->draft_runs[count++] = (struct ryz_draft_run){
            .tokens = job->tokens,
            .block_table = ryz_core_blocks(engine->core, item->slot, &blocks),
            .sampling = &job->generate.sampling,
            .token_count = job->token_count,
            .shared_tokens = ryz_core_shared_blocks(engine->core, item->slot) *
                             engine->config.limits.kv_block_tokens,
            .proposals = item->drafts,
        };
    }
    if (count == 0) return 0;
    int64_t t0_ns = ryz_clock_now_ns(&engine->clock);
    ryz_draft_catch_up(engine->draft, engine->draft_runs, count);
    int64_t once_ns = ryz_clock_now_ns(&engine->clock) - t0_ns;
    ryz_draft_propose(engine->draft, engine->draft_runs, count);
    return once_ns;
}
