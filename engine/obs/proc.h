/*
 * proc.h - reads the texts of /proc; opens no file, so that tests can feed it any text.
 *
 * Every function gives false, and leaves its results alone, when the text is not what the kernel
 * writes.
 */
#ifndef RYZ_OBS_PROC_H
#define RYZ_OBS_PROC_H

#include <stdbool.h>
#include <stdint.h>

/* Ticks of all cores since boot. */
struct ryz_proc_cpu {
    uint64_t total; /* guests are part of user time and not added again */
    uint64_t idle;  /* with waiting for disks */
    uint64_t steal; /* taken by the hypervisor */
};

/* First line of /proc/stat. */
bool ryz_proc_parse_cpu(const char *text, struct ryz_proc_cpu *cpu);
/* /proc/self/stat: ticks this process spent, user and kernel. The name in it may hold anything. */
bool ryz_proc_parse_self_ticks(const char *text, uint64_t *ticks);
/* /proc/self/statm: resident pages. */
bool ryz_proc_parse_resident_pages(const char *text, uint64_t *pages);
/* /proc/meminfo. */
bool ryz_proc_parse_memory(const char *text, uint64_t *total_bytes, uint64_t *available_bytes);
/* /proc/loadavg: mean over one minute. */
bool ryz_proc_parse_load(const char *text, float *load1);

#endif
