/*
 * evaluator.h - from rows to numbers to verdicts.
 *
 *   open(plan) -> for each run: add(point's plan, data) -> judge -> exit code
 *
 * add() decides which requests are measured and which are good, whether the run may be judged at
 * all, and fills the run's summary table; it keeps only the numbers that targets need, so the rows
 * may be freed afterwards. Repeats of a point are pooled: percentiles are those of all their
 * requests together. A target without a prefix has to hold at every point of a sweep; its verdict
 * shows the worst one.
 *
 * Measured window of a traffic (`measure =`):
 *   yes     all its requests; from its first scheduled arrival to its last answer
 *   steady  open arrivals: from 10 % of the time between first and last arrival to the last
 *           arrival; closed loops: from the first answer after `concurrency` requests were under
 *           way to the last arrival. Requests scheduled inside it are measured, to their very end.
 *   no      none
 */
#ifndef RYZ_HARNESS_EVALUATE_EVALUATOR_H
#define RYZ_HARNESS_EVALUATE_EVALUATOR_H

#include "engine/base/status.h"
#include "harness/record/run_data.h"
#include "harness/scenario/plan.h"

#include <stddef.h>

/* ryz_target_row.verdict */
enum ryz_verdict {
    RYZ_VERDICT_INVALID = -2,        /* too few samples, no valid run, or the generator lagged */
    RYZ_VERDICT_NOT_APPLICABLE = -1, /* nothing to measure it by, see why */
    RYZ_VERDICT_MISSED = 0,
    RYZ_VERDICT_MET = 1
};

struct ryz_evaluator; /* opaque */

/* Checks the targets' metrics and units before anything runs: RYZ_INVALID names the target, what is
 * wrong and what is allowed. The plan (of the scenario, not of a point) is borrowed. */
RYZ_MUST_USE enum ryz_status ryz_evaluator_open(const struct ryz_plan *plan,
                                                struct ryz_evaluator **out,
                                                struct ryz_error *error);
void ryz_evaluator_close(struct ryz_evaluator *evaluator);

/* Takes one finalised run: sets measured and slo_ok of its requests, its summary table, and
 * info.valid / invalid_reason. `point_plan` is the plan the run was made with. */
RYZ_MUST_USE enum ryz_status ryz_evaluator_add(struct ryz_evaluator *evaluator,
                                               const struct ryz_plan *point_plan,
                                               struct ryz_run_data *data, struct ryz_error *error);

/* Verdicts, one row a target in the order of the scenario; `rows` has room for
 * plan->target_count. */
void ryz_evaluator_judge(const struct ryz_evaluator *evaluator, struct ryz_target_row *rows);

/* Exit code of the verdicts: 3 if a run or a verdict is invalid, 1 if a target was missed, else 0.
 */
int ryz_evaluator_exit_code(const struct ryz_evaluator *evaluator,
                            const struct ryz_target_row *rows, size_t count);
/* The first reason why a run was invalid; "" if none was. Borrowed. */
const char *ryz_evaluator_invalid_reason(const struct ryz_evaluator *evaluator);

#endif
