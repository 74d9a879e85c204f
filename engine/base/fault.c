/*
 * fault.c - decides whether a fault point is hit.
 *
 * Leaves to others: doing the damage (the code at the point) and telling the time. The idea: the
 * n-th operation inside a fault's window is hit or spared by a hash of (seed, fault, n), so the
 * pattern is the same in every run and needs no lock.
 */
#include "engine/base/fault.h"

#include "engine/base/atomic.h"
#include "engine/base/clock.h"
#include "engine/base/rng.h"

#include <stdlib.h>
#include <string.h>

struct armed {
    struct ryz_fault fault; /* const after open */
    _Atomic uint64_t draws; /* operations that fell into the window */
    _Atomic uint64_t hits;  /* of them, those that were hit */
    _Atomic uint32_t spent; /* 1 once a kill has happened */
};

struct ryz_faults {
    uint64_t seed;
    uint32_t count;
    uint32_t points; /* bit per point that has a fault: the others answer at once */
    struct armed armed[RYZ_FAULTS_MAX];
};

static const char *const point_names[RYZ_FAULT_POINT_COUNT] = {
#define X(name, text, help) text,
    RYZ_FAULT_POINT_TABLE(X)
#undef X
};

const char *ryz_fault_point_name(enum ryz_fault_point point)
{
    return (unsigned)point < RYZ_FAULT_POINT_COUNT ? point_names[point] : "unknown";
}

bool ryz_fault_point_parse(const char *name, enum ryz_fault_point *point)
{
    for (unsigned i = 0; i < RYZ_FAULT_POINT_COUNT; i++) {
        if (strcmp(point_names[i], name) == 0) {
            *point = (enum ryz_fault_point)i;
            return true;
        }
    }
    return false;
}

bool ryz_fault_point_allows(enum ryz_fault_point point, enum ryz_fault_action action)
{
    switch (point) {
    case RYZ_FAULT_ENGINE_STEP:
    case RYZ_FAULT_ENGINE_PREFILL:
    case RYZ_FAULT_ENGINE_DECODE:
        return action == RYZ_FAULT_DELAY || action == RYZ_FAULT_FAIL;
    case RYZ_FAULT_KV_ALLOC:
        return action == RYZ_FAULT_FAIL;
    case RYZ_FAULT_NET_WRITE:
    case RYZ_FAULT_CLIENT:
        return action == RYZ_FAULT_DISCONNECT;
    case RYZ_FAULT_SERVER:
        return action == RYZ_FAULT_KILL;
    case RYZ_FAULT_POINT_COUNT:
        break;
    }
    return false;
}

static enum ryz_status check(const struct ryz_fault *f, struct ryz_error *error)
{
    if (memchr(f->name, '\0', sizeof f->name) == NULL)
        return ryz_fail(error, RYZ_INVALID, "a fault's name is not terminated");
    if (!ryz_fault_point_allows(f->point, f->action))
        return ryz_fail(error, RYZ_INVALID, "fault \"%s\": %s cannot do that (action %d)", f->name,
                        ryz_fault_point_name(f->point), (int)f->action);
    if (f->at_ns < 0 || f->until_ns < f->at_ns)
        return ryz_fail(error, RYZ_INVALID, "fault \"%s\" ends before it starts", f->name);
    if (f->permille > 1000)
        return ryz_fail(error, RYZ_INVALID, "fault \"%s\": a share of %u permille", f->name,
                        f->permille);
    if (f->value_ns < 0)
        return ryz_fail(error, RYZ_INVALID, "fault \"%s\": a negative delay", f->name);
    return RYZ_OK;
}

enum ryz_status ryz_faults_open(const struct ryz_fault *faults, uint32_t count, uint64_t seed,
                                struct ryz_faults **out, struct ryz_error *error)
{
    *out = NULL;
    if (count > RYZ_FAULTS_MAX)
        return ryz_fail(error, RYZ_FULL, "%u faults; a plan holds %u", count, RYZ_FAULTS_MAX);
    struct ryz_faults *plan = calloc(1, sizeof *plan);
    if (plan == NULL) return ryz_fail(error, RYZ_NO_MEMORY, "no memory for a fault plan");
    plan->seed = seed;
    plan->count = count;
    for (uint32_t i = 0; i < count; i++) {
        enum ryz_status status = check(&faults[i], error);
        if (status != RYZ_OK) {
            free(plan);
            return status;
        }
        plan->armed[i].fault = faults[i];
        plan->points |= UINT32_C(1) << faults[i].point;
    }
    *out = plan;
    return RYZ_OK;
}

void ryz_faults_close(struct ryz_faults *faults)
{
    free(faults);
}

/* One draw of fault i, which sits at the point that was reached. */
static bool draw(struct ryz_faults *faults, uint32_t i, int64_t now_ns)
{
    struct armed *a = &faults->armed[i];
    const struct ryz_fault *f = &a->fault;
    if (now_ns < f->at_ns) return false;
    if (f->action == RYZ_FAULT_KILL) {
        uint32_t fresh = 0;
        return ryz_load_relaxed(&a->spent) == 0 && ryz_cas_acq_rel(&a->spent, &fresh, 1);
    }
    if (f->until_ns != RYZ_TIME_NEVER && now_ns >= f->until_ns) return false;
    uint64_t n = ryz_add_relaxed(&a->draws, 1);
    uint64_t bits = ryz_rng_at(faults->seed, i, n);
    return (bits >> 32) * 1000 >> 32 < f->permille;
}

bool ryz_fault_hit(struct ryz_faults *faults, enum ryz_fault_point point, int64_t now_ns,
                   const struct ryz_fault **fault)
{
    if (faults == NULL || (faults->points & UINT32_C(1) << point) == 0) return false;
    for (uint32_t i = 0; i < faults->count; i++) {
        struct armed *a = &faults->armed[i];
        if (a->fault.point == point && draw(faults, i, now_ns)) {
            (void)ryz_add_relaxed(&a->hits, 1);
            if (fault != NULL) *fault = &a->fault;
            return true;
        }
    }
    return false;
}

uint32_t ryz_fault_share(const struct ryz_faults *faults, enum ryz_fault_point point,
                         int64_t now_ns, int64_t *until_ns)
{
    int64_t next = RYZ_TIME_NEVER;
    uint32_t spared = 1000;
    for (uint32_t i = 0; faults != NULL && i < faults->count; i++) {
        const struct ryz_fault *f = &faults->armed[i].fault;
        if (f->point != point || f->action != RYZ_FAULT_FAIL || now_ns >= f->until_ns) continue;
        int64_t edge = now_ns < f->at_ns ? f->at_ns : f->until_ns;
        if (edge < next) next = edge;
        if (now_ns >= f->at_ns) spared = spared * (1000 - f->permille) / 1000;
    }
    if (until_ns != NULL) *until_ns = next;
    return 1000 - spared;
}

uint64_t ryz_fault_hits(const struct ryz_faults *faults, uint32_t i)
{
    return i < faults->count ? ryz_load_relaxed(&faults->armed[i].hits) : 0;
}
