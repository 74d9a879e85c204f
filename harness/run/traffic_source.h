/*
 * traffic_source.h - schedule and prompts of one run: which request is sent when, with which
 * tokens.
 */
#ifndef RYZ_HARNESS_RUN_TRAFFIC_SOURCE_H
#define RYZ_HARNESS_RUN_TRAFFIC_SOURCE_H

#include "engine/model/model.h"
#include "harness/scenario/plan.h"
#include "harness/traffic/prompts.h"
#include "harness/traffic/schedule.h"

struct ryz_traffic_source {
    struct ryz_schedule schedule;
    struct ryz_prompts prompts;
    uint32_t *ids; /* owned: tokens of a text, or ordinary token ids; behind `prompts` */
};

/* Prompts are cut from the accuracy text where the scenario has one, else drawn from the words of
 * the vocabulary, else (no model) from the ids below 256. */
RYZ_MUST_USE enum ryz_status ryz_traffic_source_open(const struct ryz_plan *plan, uint64_t seed,
                                                     const struct ryz_model *model,
                                                     uint32_t context_tokens,
                                                     struct ryz_traffic_source *source,
                                                     struct ryz_error *error);
void ryz_traffic_source_close(struct ryz_traffic_source *source);

#endif
