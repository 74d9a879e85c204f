/*
 * prefix_bound.h - what a prefix cache could find in a sequence of prompts: to judge one by.
 *
 * Requests come one after another, each done before the next. A cache without an end finds every
 * full block that an earlier prompt had in the same place behind the same beginning: no cache finds
 * more. One of N blocks forgets the least recently used, a prompt's end before its beginning, and a
 * request needs its blocks in it while it runs. Nothing here is the scheduler's code.
 */
#ifndef RYZ_HARNESS_TRAFFIC_PREFIX_BOUND_H
#define RYZ_HARNESS_TRAFFIC_PREFIX_BOUND_H

#include "engine/base/status.h"

#include <stdint.h>

#define RYZ_PREFIX_BOUND_BLOCKS_MAX (1u << 26) /* remembered: some 2 GiB */

struct ryz_prefix_bound; /* opaque */

struct ryz_prefix_bound_request {
    const uint32_t *tokens; /* (prompt_tokens), read only */
    uint32_t prompt_tokens; /* >= 1 */
    uint32_t output_tokens; /* their blocks are like no others, but need room; the last token is
                               never computed */
    uint16_t tenant;        /* tenants find their own only */
};

struct ryz_prefix_bound_result {
    uint64_t prompt_tokens;
    uint64_t lookup_tokens; /* in full blocks of prompts, the last token excluded */
    uint64_t hit_tokens;    /* of them, found */
};

/* block_count 0: without an end. RYZ_INVALID: block_tokens 0, or too many blocks. */
RYZ_MUST_USE enum ryz_status ryz_prefix_bound_open(uint32_t block_tokens, uint32_t block_count,
                                                   struct ryz_prefix_bound **bound,
                                                   struct ryz_error *error);
void ryz_prefix_bound_close(struct ryz_prefix_bound *bound);

/* The next request; *hit_tokens (may be NULL): of its prompt, found. RYZ_INVALID: no prompt, or
 * more than all blocks hold; then nothing has changed. RYZ_FULL, RYZ_NO_MEMORY: the bound is good
 * for closing only. */
RYZ_MUST_USE enum ryz_status ryz_prefix_bound_add(struct ryz_prefix_bound *bound,
                                                  const struct ryz_prefix_bound_request *request,
                                                  uint32_t *hit_tokens, struct ryz_error *error);
struct ryz_prefix_bound_result ryz_prefix_bound_result(const struct ryz_prefix_bound *bound);

#endif
