/*
 * process.h - a server that a scenario starts, awaits, kills and starts again.
 *
 * The command line is split at blanks (no shell), except at those that follow a backslash; a first
 * word "ryz" means this very binary. The server gets a process group of its own and its output goes
 * to a file beside the results. It is killed when the thread that started it ends, so that no
 * server outlives its harness.
 */
#ifndef RYZ_HARNESS_CHAOS_PROCESS_H
#define RYZ_HARNESS_CHAOS_PROCESS_H

#include "engine/base/status.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct ryz_process; /* one thread at a time, but ryz_process_pid from any */

/* Starts `command`; output is appended to `log_path`. */
RYZ_MUST_USE enum ryz_status ryz_process_open(const char *command, const char *log_path,
                                              struct ryz_process **out, struct ryz_error *error);
/* SIGTERM, up to 10 s of waiting, then SIGKILL. NULL is allowed. */
void ryz_process_close(struct ryz_process *process);
/* Starts the command again after its process has ended or was killed. */
RYZ_MUST_USE enum ryz_status ryz_process_restart(struct ryz_process *process,
                                                 struct ryz_error *error);
/* SIGKILL to the whole group, and waits for its end. */
void ryz_process_kill(struct ryz_process *process);
/* Has it ended by itself? */
bool ryz_process_ended(struct ryz_process *process);
pid_t ryz_process_pid(const struct ryz_process *process);

/* Does something accept connections on host:port? */
bool ryz_process_port_answers(const char *host, uint16_t port);

/* Polls GET path on host:port until it answers 200, the process ends, or the time is over. */
RYZ_MUST_USE enum ryz_status ryz_process_await(struct ryz_process *process, const char *host,
                                               uint16_t port, const char *path, int64_t timeout_ns,
                                               struct ryz_error *error);

#endif
