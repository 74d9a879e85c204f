/* folder.h - making folders and syncing files, for whatever the harness writes. */
#ifndef RYZ_HARNESS_RECORD_FOLDER_H
#define RYZ_HARNESS_RECORD_FOLDER_H

#include "engine/base/status.h"

/* Makes a folder and those above it; fine if it is there. */
RYZ_MUST_USE enum ryz_status ryz_folder_make(const char *path, struct ryz_error *error);
/* Makes the folder that `path`'s last component lies in. */
RYZ_MUST_USE enum ryz_status ryz_folder_make_parent(const char *path, struct ryz_error *error);
/* fsyncs the folder that `path` lies in, so that a rename there survives a power cut. */
void ryz_folder_sync_parent(const char *path);

#endif
