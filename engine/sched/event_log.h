/*
 * event_log.h - what a core was fed, so that a run can be replayed decision by decision.
 *
 * The log is the core's configuration and its events as fixed 64-byte records; the recorder keeps
 * it beside the results (this room does no I/O). Replay feeds a fresh core and compares digests.
 */
#ifndef RYZ_SCHED_EVENT_LOG_H
#define RYZ_SCHED_EVENT_LOG_H

#include "engine/sched/core.h"

#include <stddef.h>

/* Feeds `count` events to a core opened from `config` (its log is ignored) and gives the digest.
 * RYZ_CORRUPT with the record's number where an event cannot follow from those before it. */
RYZ_MUST_USE enum ryz_status ryz_event_log_replay(const struct ryz_core_config *config,
                                                  const struct ryz_event *events, size_t count,
                                                  uint64_t *digest, struct ryz_core_stats *stats,
                                                  struct ryz_error *error);

#endif
