/*
 * plan.c - the functions of plan.h: open, close, and the plan of one point.
 *
 * Leaves to others: reading (read.c), building (build.c), checking (rules.c).
 */
#include "harness/scenario/plan.h"

#include "engine/base/hash.h"
#include "harness/scenario/build.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first mistake with that status, NULL if there is none. */
static const struct ryz_mistake *find_mistake(const struct ryz_settings *settings,
                                              enum ryz_status status)
{
    for (uint32_t i = 0; i < settings->mistake_count && i < RYZ_MISTAKES_MAX; i++) {
        if (settings->mistakes[i].status == status) return &settings->mistakes[i];
    }
    return NULL;
}

/* Without memory nothing else that was found can be trusted; a wrong key comes before an absent
 * file. */
static const struct ryz_mistake *worst_mistake(const struct ryz_settings *settings)
{
    const struct ryz_mistake *worst = find_mistake(settings, RYZ_NO_MEMORY);
    if (worst == NULL) worst = find_mistake(settings, RYZ_INVALID);
    return worst != NULL ? worst : &settings->mistakes[0];
}

static void close_built(struct ryz_built *built)
{
    ryz_settings_release(built->settings);
    free(built);
}

enum ryz_status ryz_plan_open(const char *path, const struct ryz_overrides *overrides,
                              struct ryz_plan **plan, struct ryz_error *error)
{
    struct ryz_built *built = NULL;
    *plan = NULL;
    enum ryz_status status = ryz_build_open(path, overrides, &built, error);
    if (status != RYZ_OK) return status;
    if (built->settings->mistake_count > 0) {
        char where[RYZ_PATH_MAX + 16];
        const struct ryz_mistake *worst = worst_mistake(built->settings);
        (void)ryz_settings_where(built->settings, worst->origin, where, sizeof where);
        status = ryz_fail(error, worst->status, "%s: %s", where, worst->text);
        close_built(built);
        return status;
    }
    *plan = &built->plan;
    return RYZ_OK;
}

void ryz_plan_close(struct ryz_plan *plan)
{
    /* The plan is the first member of what was allocated. */
    if (plan != NULL) close_built((struct ryz_built *)(void *)plan);
}

enum ryz_status ryz_plan_point(const struct ryz_plan *plan, uint32_t point, struct ryz_plan **out,
                               char *label, size_t label_capacity, struct ryz_error *error)
{
    const struct ryz_built *whole = (const struct ryz_built *)(const void *)plan;
    *out = NULL;
    if (point >= ryz_plan_point_count(plan))
        return ryz_fail(error, RYZ_INVALID, "point %u of %u", point, ryz_plan_point_count(plan));
    struct ryz_built *built = malloc(sizeof *built);
    if (built == NULL) return ryz_fail(error, RYZ_NO_MEMORY, "no memory for a plan");
    memcpy(built, whole, sizeof *built);
    if (whole->is_point) point = whole->point; /* it has no other */
    ryz_build(built, point, &built->plan);
    built->plan.target_count = plan->target_count;
    memcpy(built->plan.targets, plan->targets, sizeof plan->targets);
    uint32_t mistakes = built->settings->mistake_count;
    ryz_rules_find_paths(built, point, &built->plan);
    if (built->settings->mistake_count >
        mistakes) { /* a file went away since the plan was opened */
        const struct ryz_mistake *mistake = &built->settings->mistakes[mistakes];
        enum ryz_status status = ryz_fail(error, mistake->status, "%s", mistake->text);
        built->settings->mistake_count = mistakes;
        free(built);
        return status;
    }
    if (label_capacity > 0) ryz_sweep_label(&whole->sweep, point, label, label_capacity);
    built->is_point = true;
    built->point = point;
    (void)ryz_settings_hold(built->settings);
    *out = &built->plan;
    return RYZ_OK;
}
