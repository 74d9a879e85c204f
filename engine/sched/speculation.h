/*
 * speculation.h - how many proposals to verify in a step.
 *
 * A proposal that is right saves its request a later step; one that is wrong has cost its share of
 * this one. With a chance p that a proposal is right if those before it were, the j-th yields p^j
 * tokens, so all of a step are taken in falling order of what they yield, for as long as that
 * raises
 *
 *   believed tokens of the step / believed duration of the step
 *
 * (after Leviathan et al. 2023 for one request, and the "goodput" of Liu et al. 2024 for a batch).
 * A large batch, whose step costs more for every row, so verifies fewer, and none when it does not
 * pay. Nor does a step become longer than step_ns_max for them.
 */
#ifndef RYZ_SCHED_SPECULATION_H
#define RYZ_SCHED_SPECULATION_H

#include "engine/sched/sched.h"

/* Writes the number of proposals of each of the first `count` requests of the view, at most
 * drafts_max in all; `base` is the step without any. Their context counts what it will be if they
 * are verified at once. */
void ryz_speculation_choose(const struct ryz_sched_view *view, uint32_t count,
                            const struct ryz_batch_shape *base, uint32_t drafts_max,
                            uint8_t drafts[RYZ_BATCH_MAX]);

#endif
