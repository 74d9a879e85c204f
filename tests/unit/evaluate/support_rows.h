/* support_rows.h - hand-made requests in few words. Times in milliseconds since t0. */
#ifndef RYZ_TESTS_EVALUATE_SUPPORT_ROWS_H
#define RYZ_TESTS_EVALUATE_SUPPORT_ROWS_H

#include "harness/evaluate/collect.h"
#include "harness/evaluate/evaluator.h"
#include "harness/record/run_data.h"
#include "harness/scenario/plan.h"

/* An answered request: scheduled, first token, last token, all in ms; sent 1 ms after schedule and
 * done 1 ms after the last token. */
struct ryz_request_row rows_answered(uint64_t id, double sched, double first, double last,
                                     uint32_t out_tok);
/* A request that ended with `status` at `done` ms. */
struct ryz_request_row rows_failed(uint64_t id, double sched, double done,
                                   enum ryz_request_status status);
void rows_add(struct ryz_run_data *data, const struct ryz_request_row *row);
/* A plan with one open traffic "main", measured in full; and a target for it. */
void rows_plan(struct ryz_plan *plan);
void rows_target(struct ryz_plan *plan, const char *metric, enum ryz_op op, double value,
                 const char *unit);
/* Marks the data after `plan` and gives the statistic or number. */
struct ryz_estimate rows_measure(const struct ryz_plan *plan, struct ryz_run_data *data,
                                 enum ryz_quantity quantity, enum ryz_statistic statistic);

#endif
