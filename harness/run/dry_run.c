/* dry_run.c - a schedule for reading. */
#include "harness/run/dry_run.h"

#include "engine/model/model.h"
#include "harness/traffic/schedule.h"

#include <inttypes.h>

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

enum ryz_status ryz_dry_run(const struct ryz_plan *plan, FILE *out, struct ryz_error *error)
{
    uint32_t context = CONTEXT_WITHOUT_MODEL;
    enum ryz_status status = RYZ_OK;
    if (plan->model_path[0] != '\0') {
        struct ryz_model *model = NULL;
        status = ryz_model_open(plan->model_path, NULL, &model, error);
        if (status != RYZ_OK) return status;
        context = ryz_model_info(model)->context_tokens;
        ryz_model_close(model);
    }
    struct ryz_schedule_options options = {.traffic = plan->traffic,
                                           .traffic_count = plan->traffic_count,
                                           .seed = plan->seed,
                                           .context_tokens = context};
    struct ryz_schedule schedule = {0};
    status = ryz_schedule_open(&options, &schedule, error);
    if (status != RYZ_OK) return status;
    (void)fputs("t_s,traffic,prompt_tokens,output_tokens\n", out);
    for (size_t i = 0; i < schedule.count; i++) {
        const struct ryz_arrival *arrival = &schedule.arrivals[i];
        (void)fprintf(out, "%.6f,%s,%u,%u\n", (double)arrival->intended_ns / 1e9,
                      plan->traffic[arrival->traffic].name, arrival->prompt_tokens,
                      arrival->output_tokens);
    }
    for (uint32_t i = 0; i < plan->traffic_count; i++) {
        if (plan->traffic[i].arrival == RYZ_ARRIVAL_CLOSED) print_closed(&schedule, plan, i, out);
    }
    (void)fprintf(stderr,
                  "%zu arrivals, %" PRIu64 " cut to the context of %u tokens, checksum "
                  "%016" PRIx64 "\n",
                  schedule.count, schedule.clipped, context, schedule.checksum);
    ryz_schedule_close(&schedule);
    return RYZ_OK;
}
