/*
 * event_log.c - feeds a log to a fresh core.
 *
 * Leaves to others: reading the records. The log comes from a file, so each record is checked
 * before it is fed: the core would abort, a reader must not.
 */
#include "engine/sched/event_log.h"

#include "engine/sched/core_internal.h"

enum ryz_status ryz_event_log_replay(const struct ryz_core_config *config,
                                     const struct ryz_event *events, size_t count, uint64_t *digest,
                                     struct ryz_core_stats *stats, struct ryz_error *error)
{
    struct ryz_core_config silent = *config;
    struct ryz_core *core = NULL;
    silent.log = NULL;
    silent.log_context = NULL;
    enum ryz_status status = ryz_core_open(&silent, &core, error);
    if (status != RYZ_OK) return status;
    for (size_t i = 0; i < count; i++) {
        const char *fault = ryz_core_event_fault(core, &events[i]);
        if (fault != NULL) {
            status = ryz_fail(error, RYZ_CORRUPT, "event %zu of the log: %s", i, fault);
            break;
        }
        if (events[i].kind == RYZ_EV_PLAN)
            (void)ryz_core_next(core, events[i].t_ns);
        else
            (void)ryz_core_feed(core, &events[i]);
    }
    if (status == RYZ_OK) {
        if (digest != NULL) *digest = ryz_core_digest(core);
        if (stats != NULL) *stats = ryz_core_stats(core);
    }
    ryz_core_close(core);
    return status;
}
