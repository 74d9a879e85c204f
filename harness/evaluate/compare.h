/*
 * compare.h - two results side by side: live against simulated, before against after.
 */
#ifndef RYZ_HARNESS_EVALUATE_COMPARE_H
#define RYZ_HARNESS_EVALUATE_COMPARE_H

#include "engine/base/status.h"
#include "harness/record/results_read.h"
#include "harness/record/rows.h"

#include <stddef.h>

/* Pairs the summary rows that both sides have, in a's order; rows without a finite number on
 * either side are left out. *rows is from malloc, freed by the caller; NULL when empty. */
RYZ_MUST_USE enum ryz_status
ryz_evaluate_compare_table(const struct ryz_summary_row *a, size_t a_count,
                           const struct ryz_summary_row *b, size_t b_count,
                           struct ryz_compare_row **rows, size_t *count, struct ryz_error *error);

/* The same for whole files: the summaries of the runs of one point, averaged over its repeats
 * (percentiles included). `lo` and `hi` of a row are the smallest and largest ratio of one repeat
 * to the other side's mean, NaN with fewer than two repeats. */
RYZ_MUST_USE enum ryz_status
ryz_evaluate_compare_results(const struct ryz_results *a, uint32_t a_point,
                             const struct ryz_results *b, uint32_t b_point,
                             struct ryz_compare_row **rows, size_t *count, struct ryz_error *error);

#endif
