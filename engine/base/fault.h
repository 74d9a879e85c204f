/*
 * fault.h - named places in the engine where a scenario can make something go wrong.
 *
 * A plan of faults is armed with times on the traffic clock; code at a fault point asks whether it
 * is hit. Draws are seeded and counted per fault inside its window: the n-th operation there is
 * hit in every run or in none, so a plan replays exactly. When no plan is armed a point costs one
 * comparison.
 */
#ifndef RYZ_BASE_FAULT_H
#define RYZ_BASE_FAULT_H

#include "engine/base/status.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* X(enum name, name in scenarios, what happens there) */
#define RYZ_FAULT_POINT_TABLE(X)                                                                   \
    X(ENGINE_STEP, "engine.step", "before each forward pass: delay, error")                        \
    X(ENGINE_PREFILL, "engine.prefill", "before a pass that prefills: delay, error")               \
    X(ENGINE_DECODE, "engine.decode", "before a pass that decodes: delay, error")                  \
    X(KV_ALLOC, "kv.alloc", "allocation of KV blocks: fail a share of them")                       \
    X(NET_WRITE, "net.write", "the server's writes of a stream: reset a share of connections")     \
    X(CLIENT, "client", "the load generator: disconnect a share of the requests in flight")        \
    X(SERVER, "server", "the spawned server process: kill -9 and start it again")

enum ryz_fault_point {
#define X(name, text, help) RYZ_FAULT_##name,
    RYZ_FAULT_POINT_TABLE(X)
#undef X
        RYZ_FAULT_POINT_COUNT
};

enum ryz_fault_action {
    RYZ_FAULT_DELAY,      /* value_ns more time */
    RYZ_FAULT_FAIL,       /* the operation fails */
    RYZ_FAULT_DISCONNECT, /* the peer goes away */
    RYZ_FAULT_KILL        /* SIGKILL */
};

/* One fault of a plan. */
struct ryz_fault {
    char name[32]; /* [fault.NAME] */
    enum ryz_fault_point point;
    enum ryz_fault_action action;
    int64_t at_ns;     /* start, on the clock the plan was armed with */
    int64_t until_ns;  /* end, exclusive; RYZ_TIME_NEVER: open end. Kills happen once, at at_ns */
    uint32_t permille; /* share of the operations hit, 1000 = all */
    int64_t value_ns;  /* DELAY */
};

#define RYZ_FAULTS_MAX 32u

struct ryz_faults; /* a plan with its counters; all functions below are thread-safe after open */

const char *ryz_fault_point_name(enum ryz_fault_point point);
bool ryz_fault_point_parse(const char *name, enum ryz_fault_point *point);
/* Can this happen there? A connection can break, a forward pass cannot be disconnected. */
bool ryz_fault_point_allows(enum ryz_fault_point point, enum ryz_fault_action action);

/* Copies up to RYZ_FAULTS_MAX faults. */
RYZ_MUST_USE enum ryz_status ryz_faults_open(const struct ryz_fault *faults, uint32_t count,
                                             uint64_t seed, struct ryz_faults **out,
                                             struct ryz_error *error);
void ryz_faults_close(struct ryz_faults *faults);

/* Is `point` hit now? On a hit, *fault (may be NULL) points at the fault of the plan, valid until
 * close. `faults` may be NULL: never hit. Each call is one draw of the faults that are active at
 * this point, in the order of the plan up to the first that hits. */
bool ryz_fault_hit(struct ryz_faults *faults, enum ryz_fault_point point, int64_t now_ns,
                   const struct ryz_fault **fault);
/* Share of the operations at `point` that are to fail at now_ns, in permille, without a draw: for
 * an owner that draws for itself and must know when the share changes, such as the scheduler core
 * with kv.alloc. Faults that overlap combine like independent ones. *until_ns (may be NULL) gets
 * the next change, RYZ_TIME_NEVER if there is none. `faults` may be NULL. */
uint32_t ryz_fault_share(const struct ryz_faults *faults, enum ryz_fault_point point,
                         int64_t now_ns, int64_t *until_ns);
/* How often fault i of the plan was hit so far. */
uint64_t ryz_fault_hits(const struct ryz_faults *faults, uint32_t i);

#endif
