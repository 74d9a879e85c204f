/*
 * paths.h - where the data of a scenario lies: beside it, in $RYZ_DATA, or where ryz was started.
 */
#ifndef RYZ_HARNESS_SCENARIO_PATHS_H
#define RYZ_HARNESS_SCENARIO_PATHS_H

#include "engine/base/status.h"

#include <stddef.h>

/* $RYZ_DATA, NULL if it is unset or empty. */
const char *ryz_paths_data_folder(void);
/* Copies the folder part of `path` ("." if it has none); RYZ_INVALID if it does not fit. */
RYZ_MUST_USE enum ryz_status ryz_paths_folder_of(const char *path, char *folder, size_t capacity);
/* Finds `path` as a readable file: an absolute path as it is, another one below `folder`, below
 * `data_folder` (may be NULL), then below the current directory. The first that exists goes to
 * found[0 .. capacity). RYZ_NOT_FOUND names the places; RYZ_IO: it is there, but is no file that
 * can be read. */
RYZ_MUST_USE enum ryz_status ryz_paths_find(const char *path, const char *folder,
                                            const char *data_folder, char *found, size_t capacity,
                                            struct ryz_error *error);

#endif
