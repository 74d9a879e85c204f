/*
 * schedule.h - from the traffic of a scenario to the requests that are to be sent, and when.
 *
 * Open traffic (constant, poisson, trace) is a list of arrivals fixed before the run: nothing the
 * served system does can move them. Closed traffic keeps `concurrency` requests in flight, so its
 * times arise in the run; its lengths are fixed all the same. Every number is drawn from a sub-
 * stream of its own purpose, so changing one distribution leaves the others' draws alone.
 */
#ifndef RYZ_HARNESS_TRAFFIC_SCHEDULE_H
#define RYZ_HARNESS_TRAFFIC_SCHEDULE_H

#include "engine/base/status.h"
#include "harness/scenario/plan.h"
#include "harness/traffic/prompts.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RYZ_SCHEDULE_MAX 10000000u /* arrivals of one schedule */

struct ryz_arrival {
    int64_t intended_ns; /* since the start of the traffic; closed: start of its traffic */
    uint64_t number;     /* of the request in its traffic, from 0 */
    uint32_t prompt_tokens, output_tokens;
    uint32_t session; /* conversation; 0: none */
    uint16_t turn;
    uint16_t traffic;            /* index into the plan's traffic */
    uint32_t id_first, id_count; /* what its prompt shares with others, see ryz_schedule_parts */
};

struct ryz_schedule_options {
    const struct ryz_traffic_plan *traffic; /* (traffic_count), borrowed until close */
    uint32_t traffic_count;
    uint64_t seed;
    uint32_t context_tokens; /* prompt + output are cut to fit */
};

struct ryz_schedule {
    struct ryz_schedule_options options;
    struct ryz_arrival *arrivals; /* (count) open traffic by time, then by traffic */
    size_t count;
    uint64_t *ids; /* (id_count) of traces that say what prompts share; at most RYZ_TRACE_IDS_MAX */
    size_t id_count;
    uint64_t clipped;  /* open arrivals whose lengths were cut to fit the context */
    uint64_t checksum; /* XXH3-64 of all arrivals, of what they share, and of the closed traffic's
                          lengths */
    int64_t last_ns;   /* of the open arrivals; 0 without any */
};

RYZ_MUST_USE enum ryz_status ryz_schedule_open(const struct ryz_schedule_options *options,
                                               struct ryz_schedule *schedule,
                                               struct ryz_error *error);
void ryz_schedule_close(struct ryz_schedule *schedule);

/* The request `number` of closed traffic `traffic`; false past its last by count. *clipped (may be
 * NULL): it was cut to fit the context. */
bool ryz_schedule_closed(const struct ryz_schedule *schedule, uint32_t traffic, uint64_t number,
                         struct ryz_arrival *arrival, bool *clipped);

/* The parts of an arrival's prompt, borrowed from the schedule; none unless its trace has hash ids.
 * Traffics that read one trace file share its contents, those of two files share nothing. */
struct ryz_prompt_parts ryz_schedule_parts(const struct ryz_schedule *schedule,
                                           const struct ryz_arrival *arrival);

/* Cuts lengths so that prompt + output <= context: the prompt down to no less than half the
 * context, then the output. True if something was cut. */
bool ryz_schedule_fit(uint32_t context, uint32_t *prompt_tokens, uint32_t *output_tokens);

#endif
