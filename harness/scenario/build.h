/*
 * build.h - from settings to plans: one for each point of the sweep.
 *
 * Everything behind plan.h's functions that needs the settings beside the plan.
 */
#ifndef RYZ_HARNESS_SCENARIO_BUILD_H
#define RYZ_HARNESS_SCENARIO_BUILD_H

#include "harness/scenario/settings.h"

#define RYZ_POINTS_MAX 4096u /* of one sweep */

/* A swept key, resolved. */
struct ryz_axis_target {
    uint32_t instance;
    const struct ryz_key *key;
    uint32_t setting; /* index of the axis' line */
};

/* What ryz_plan_open hands out as its first member. */
struct ryz_built {
    struct ryz_plan plan;
    struct ryz_settings *settings; /* shared with the plans of the points */
    struct ryz_sweep_plan sweep;   /* the whole grid, also in the plan of a point */
    struct ryz_axis_target targets[RYZ_AXES_MAX];
    bool is_point;  /* the plan of one point: plan.sweep has no axes */
    uint32_t point; /* which one */
};

/* Resolves and checks the axes into built->sweep and built->targets; mistakes are filed. */
void ryz_sweep_read(struct ryz_built *built);
uint32_t ryz_sweep_point_count(const struct ryz_sweep_plan *sweep);
/* Index of the value that axis `axis` has at a point; the last axis varies fastest. */
uint32_t ryz_sweep_value_index(const struct ryz_sweep_plan *sweep, uint32_t point, uint32_t axis);
/* "engine.quant=q8_0 engine.max_batch=4", cut at capacity. */
void ryz_sweep_label(const struct ryz_sweep_plan *sweep, uint32_t point, char *label,
                     size_t capacity);

/* Fills `plan` with defaults, settings and the values of a point. Bad settings (all filed already)
 * are left out. */
void ryz_build(const struct ryz_built *built, uint32_t point, struct ryz_plan *plan);
/* The text a key has at a point, and where it comes from; NULL if it is absent. */
const char *ryz_build_text(const struct ryz_built *built, uint32_t point,
                           const struct ryz_instance *instance, const struct ryz_key *key,
                           struct ryz_origin *origin);

/* Reads the targets of all files into plan->targets; mistakes are filed. */
void ryz_targets_read(struct ryz_settings *settings, struct ryz_plan *plan);

/* Does a key of [traffic.*] mean anything for this kind of arrival? */
bool ryz_rules_traffic_uses(const char *key, enum ryz_arrival_kind arrival);
/* Files what is wrong with a point as a whole: missing keys, keys that contradict each other. */
void ryz_rules_check_point(struct ryz_built *built, uint32_t point, const struct ryz_plan *plan);
/* Replaces the paths that this plan needs by the files they lead to; absent ones are filed. */
void ryz_rules_find_paths(struct ryz_built *built, uint32_t point, struct ryz_plan *plan);

/* Reads and checks everything. OK also when mistakes were filed: see settings->mistake_count. */
RYZ_MUST_USE enum ryz_status ryz_build_open(const char *path, const struct ryz_overrides *overrides,
                                            struct ryz_built **built, struct ryz_error *error);

#endif
