/* dry_run.c - a schedule for reading. */
#include "harness/run/dry_run.h"

#include "engine/model/model.h"
#include "harness/run/served.h"
#include "harness/run/traffic_source.h"
#include "harness/traffic/prefix_bound.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define CONTEXT_WITHOUT_MODEL 131072u
#define CLOSED_LISTED_MAX     10000u /* of a loop without a limit by count */

static void print_closed(const struct ryz_schedule *schedule, const struct ryz_plan *plan,
                         uint32_t traffic, FILE *out)
{
    struct ryz_arrival arrival;
    for (uint64_t number = 0; number < CLOSED_LISTED_MAX; number++) {
        if (!ryz_schedule_closed(schedule, traffic, number, &arrival, NULL)) return;
        (void)fprintf(out, ",%s,%u,%u\n", plan->traffic[traffic].name, arrival.prompt_tokens,
                      arrival.output_tokens);
    }
}

/* Shows the scheduled prompts to a prefix cache without an end, in their order. */
static enum ryz_status show_prompts(const struct ryz_plan *plan,
                                    const struct ryz_traffic_source *source, uint32_t *tokens,
                                    struct ryz_prefix_bound *bound, struct ryz_error *error)
{
    enum ryz_status status = RYZ_OK;
    for (size_t i = 0; i < source->schedule.count && status == RYZ_OK; i++) {
        const struct ryz_arrival *arrival = &source->schedule.arrivals[i];
        const struct ryz_prompt_parts parts = ryz_schedule_parts(&source->schedule, arrival);
        uint16_t tenant = 0; /* the first traffic of the same one */
        while (strcmp(plan->traffic[tenant].tenant, plan->traffic[arrival->traffic].tenant) != 0)
            tenant++;
        ryz_prompts_fill_parts(&source->prompts, &parts, arrival->traffic, arrival->number, tokens,
                               arrival->prompt_tokens);
        const struct ryz_prefix_bound_request request = {.tokens = tokens,
                                                         .prompt_tokens = arrival->prompt_tokens,
                                                         .output_tokens = arrival->output_tokens,
                                                         .tenant = tenant};
        status = ryz_prefix_bound_add(bound, &request, NULL, error);
    }
    return status;
}

/* What cache.bound of a run will be, unless closed loops add prompts of their own. */
static enum ryz_status print_bound(const struct ryz_plan *plan,
                                   const struct ryz_traffic_source *source, uint32_t context,
                                   struct ryz_error *error)
{
    struct ryz_prefix_bound *bound = NULL;
    uint32_t *tokens = calloc(context, sizeof *tokens);
    enum ryz_status status =
        tokens != NULL ? RYZ_OK : ryz_fail(error, RYZ_NO_MEMORY, "no memory for a prompt");
    if (status == RYZ_OK) status = ryz_prefix_bound_open(RYZ_SERVED_BLOCK_TOKENS, 0, &bound, error);
    if (status == RYZ_OK) status = show_prompts(plan, source, tokens, bound, error);
    if (status == RYZ_OK) {
        struct ryz_prefix_bound_result result = ryz_prefix_bound_result(bound);
        (void)fprintf(stderr, "%" PRIu64 " prompt tokens, cache.bound %.1f %%\n",
                      result.prompt_tokens,
                      100.0 * (double)result.hit_tokens / (double)result.prompt_tokens);
    }
    ryz_prefix_bound_close(bound);
    free(tokens);
    return status;
}

static void print_schedule(const struct ryz_plan *plan, const struct ryz_schedule *schedule,
                           uint32_t context, FILE *out)
{
    (void)fputs("t_s,traffic,prompt_tokens,output_tokens\n", out);
    for (size_t i = 0; i < schedule->count; i++) {
        const struct ryz_arrival *arrival = &schedule->arrivals[i];
        (void)fprintf(out, "%.6f,%s,%u,%u\n", (double)arrival->intended_ns / 1e9,
                      plan->traffic[arrival->traffic].name, arrival->prompt_tokens,
                      arrival->output_tokens);
    }
    for (uint32_t i = 0; i < plan->traffic_count; i++) {
        if (plan->traffic[i].arrival == RYZ_ARRIVAL_CLOSED) print_closed(schedule, plan, i, out);
    }
    (void)fprintf(stderr,
                  "%zu arrivals, %" PRIu64 " cut to the context of %u tokens, checksum "
                  "%016" PRIx64 "\n",
                  schedule->count, schedule->clipped, context, schedule->checksum);
}

enum ryz_status ryz_dry_run(const struct ryz_plan *plan, FILE *out, struct ryz_error *error)
{
    uint32_t context = CONTEXT_WITHOUT_MODEL;
    struct ryz_model *model = NULL;
    struct ryz_traffic_source source = {0};
    enum ryz_status status = RYZ_OK;
    if (plan->model_path[0] != '\0') {
        status = ryz_model_open(plan->model_path, NULL, &model, error);
        if (status != RYZ_OK) return status;
        context = ryz_model_info(model)->context_tokens;
    }
    status = ryz_traffic_source_open(plan, plan->seed, model, context, &source, error);
    if (model != NULL) ryz_model_close(model);
    if (status != RYZ_OK) return status;
    print_schedule(plan, &source.schedule, context, out);
    if (source.schedule.count > 0) status = print_bound(plan, &source, context, error);
    ryz_traffic_source_close(&source);
    return status;
}
