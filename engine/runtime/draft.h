/*
 * draft.h - a small model that guesses what a large one will say, kept in step with it.
 *
 * Its keys and values live in a store of its own under the block ids of the large model's, so that
 * prefix hits, preemptions and shared blocks need no second book: the only question is how far the
 * draft has computed each block, and one number per block answers it. It may be wrong without harm;
 * what it proposes is verified.
 */
#ifndef RYZ_RUNTIME_DRAFT_H
#define RYZ_RUNTIME_DRAFT_H

#include "engine/model/model.h"
#include "engine/model/sampler.h"
#include "engine/sched/core.h"

struct ryz_draft;

struct ryz_draft_options {
    const char *model_path;
    const struct ryz_model *target; /* whose vocabulary it must have; borrowed */
    struct ryz_backend *backend;    /* borrowed */
    uint32_t block_tokens;          /* of the target's KV blocks */
    uint32_t batch_tokens_max;      /* of a step */
    uint32_t batch_requests_max;
};

/* One request of a step that is to get proposals. */
struct ryz_draft_run {
    uint32_t *tokens;            /* its tokens; proposals are written behind token_count */
    const uint32_t *block_table; /* covers token_count + proposals */
    const struct ryz_sampling *sampling;
    uint32_t token_count;
    uint32_t shared_tokens; /* its first, whose blocks others may hold too */
    uint32_t proposals;     /* 1 .. RYZ_DRAFT_MAX */
};

/* Loads the model. RYZ_INVALID when its vocabulary is not the target's. */
RYZ_MUST_USE enum ryz_status ryz_draft_open(const struct ryz_draft_options *options,
                                            struct ryz_draft **out, struct ryz_error *error);
/* Bytes of its weights and of the scratch that ryz_draft_reserve takes. */
uint64_t ryz_draft_bytes(const struct ryz_draft *draft);
/* Bytes that each KV block costs on top of the target's. */
size_t ryz_draft_block_bytes(const struct ryz_draft *draft);
/* Takes the memory for `blocks` blocks; once, before the first run. */
RYZ_MUST_USE enum ryz_status ryz_draft_reserve(struct ryz_draft *draft, uint32_t blocks,
                                               struct ryz_error *error);
void ryz_draft_close(struct ryz_draft *draft); /* NULL is allowed */

/* The target is about to compute positions [first, end) of this block table: what the draft had of
 * them is void. For every item of a step, before the run. */
void ryz_draft_forget(struct ryz_draft *draft, const uint32_t *block_table, uint32_t first,
                      uint32_t end);
/* A block has got other contents than the target computed in it: a copy. */
void ryz_draft_forget_block(struct ryz_draft *draft, uint32_t block);
/* Computes what the draft lacks of these requests: before propose, apart from it because it is paid
 * once and says nothing of what proposals cost. As long as a prompt's chunk through the draft. */
void ryz_draft_catch_up(struct ryz_draft *draft, const struct ryz_draft_run *runs, uint32_t count);
/* Writes the proposals of all runs, drawn with each request's own sampling at the position of each
 * token. */
void ryz_draft_propose(struct ryz_draft *draft, const struct ryz_draft_run *runs, uint32_t count);

#endif
