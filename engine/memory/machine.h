/*
 * machine.h - how much memory a process may count on: what the kernel calls available, or the limit
 * of the cgroup it runs in, if that is less.
 */
#ifndef RYZ_MEMORY_MACHINE_H
#define RYZ_MEMORY_MACHINE_H

#include "engine/base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Asks /proc and /sys/fs/cgroup (version 2 with all parents, or 1). RYZ_UNAVAILABLE: the kernel
 * does not say. */
RYZ_MUST_USE enum ryz_status ryz_machine_memory(uint64_t *bytes, struct ryz_error *error);

/* The text of memory.max or memory.limit_in_bytes; false: there is no limit in it. */
bool ryz_machine_parse_limit(const char *text, uint64_t *bytes);
/* /proc/self/cgroup: writes the path of version 2 ("0::/a/b"), false if there is none or it does
 * not fit. */
bool ryz_machine_parse_cgroup(const char *text, char *path, size_t capacity);

#endif
