/*
 * open_files.h - room for many sockets: the process's limit of open files, raised as far as the
 * system allows (`ulimit -n` is often 1,024, `ulimit -Hn` far above).
 */
#ifndef RYZ_HARNESS_DRIVE_OPEN_FILES_H
#define RYZ_HARNESS_DRIVE_OPEN_FILES_H

#include <stdint.h>

/* Makes room for so many connections beside the process's other files. Returns how many there is
 * room for now, which is less than asked where the system's hard limit is lower. */
uint32_t ryz_open_files_allow(uint32_t connections);

#endif
