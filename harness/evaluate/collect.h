/*
 * collect.h - takes a quantity's samples or number out of a run's rows.
 */
#ifndef RYZ_HARNESS_EVALUATE_COLLECT_H
#define RYZ_HARNESS_EVALUATE_COLLECT_H

#include "harness/evaluate/quantities.h"
#include "harness/evaluate/samples.h"
#include "harness/evaluate/windows.h"

/* What part of which run is looked at. */
struct ryz_view {
    const struct ryz_run_data *data;
    const struct ryz_windows *windows;
    int traffic;       /* index, -1: all measured traffic */
    const char *fault; /* name, NULL: none; for RECOVER */
    bool fault_kills;  /* it is a kill: recovery counts from its begin */
};

/* How numbers of several runs become one. */
enum ryz_combine {
    RYZ_COMBINE_SUM,  /* a count: numerators are added */
    RYZ_COMBINE_RATIO /* sum of numerators / sum of denominators; a mean has denominator 1 */
};

struct ryz_number {
    double numerator, denominator;
    enum ryz_combine combine;
    bool known;      /* false: this run has nothing to measure it by */
    bool proportion; /* numerator of denominator independent trials: has a Wilson interval */
    double lo, hi;   /* interval where it comes with the number, else NaN */
    size_t n;        /* what it rests on */
    bool no_memory;  /* it could not be computed for lack of memory */
};

/* The window of a view. */
const struct ryz_window *ryz_view_window(const struct ryz_view *view);

/* Adds the quantity's samples; none if the run has no such rows. */
void ryz_collect_samples(const struct ryz_view *view, enum ryz_quantity quantity,
                         struct ryz_samples *out);
void ryz_collect_number(const struct ryz_view *view, enum ryz_quantity quantity,
                        struct ryz_number *out);
void ryz_number_add(struct ryz_number *to, const struct ryz_number *from);
/* The value with its interval; NaN if unknown or 0 / 0. */
struct ryz_estimate ryz_number_estimate(const struct ryz_number *number);

/* Parts of the two above, by source of the rows. They return false if the quantity is not theirs.
 */
bool ryz_collect_request_samples(const struct ryz_view *view, enum ryz_quantity quantity,
                                 struct ryz_samples *out);
bool ryz_collect_engine_samples(const struct ryz_view *view, enum ryz_quantity quantity,
                                struct ryz_samples *out);
bool ryz_collect_engine_number(const struct ryz_view *view, enum ryz_quantity quantity,
                               struct ryz_number *out);
bool ryz_collect_accuracy_number(const struct ryz_view *view, enum ryz_quantity quantity,
                                 struct ryz_number *out);
void ryz_collect_recover(const struct ryz_view *view, struct ryz_number *out);

#endif
