/*
 * paths.c - looks for data files.
 *
 * Leaves to others: which keys are paths and how their data is fetched. This is the only file of
 * the room that reads the environment.
 */
#include "harness/scenario/paths.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *ryz_paths_data_folder(void)
{
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): read before any thread is started */
    const char *folder = getenv("RYZ_DATA");
    return folder != NULL && folder[0] != '\0' ? folder : NULL;
}

enum ryz_status ryz_paths_folder_of(const char *path, char *folder, size_t capacity)
{
    const char *slash = strrchr(path, '/');
    size_t length = slash == NULL ? 1 : slash == path ? 1 : (size_t)(slash - path);
    if (length >= capacity) return RYZ_INVALID;
    memcpy(folder, slash == NULL ? "." : path, length);
    folder[length] = '\0';
    return RYZ_OK;
}

/* Does the candidate exist? Then *status says whether it can be read. */
static bool try_file(const char *candidate, enum ryz_status *status, struct ryz_error *error)
{
    struct stat info;
    if (stat(candidate, &info) != 0) {
        if (errno == ENOENT || errno == ENOTDIR) return false;
        *status = ryz_fail_errno(error, RYZ_IO, errno, "cannot read \"%.160s\"", candidate);
    } else if (S_ISDIR(info.st_mode)) {
        *status = ryz_fail(error, RYZ_IO, "\"%.160s\" is a folder, not a file", candidate);
    } else if (access(candidate, R_OK) != 0) {
        *status = ryz_fail_errno(error, RYZ_IO, errno, "cannot read \"%.160s\"", candidate);
    } else {
        *status = RYZ_OK;
    }
    return true;
}

enum ryz_status ryz_paths_find(const char *path, const char *folder, const char *data_folder,
                               char *found, size_t capacity, struct ryz_error *error)
{
    const char *const places[] = {folder, data_folder, ""};
    bool absolute = path[0] == '/';
    for (size_t i = absolute ? 2 : 0; i < 3; i++) {
        if (places[i] == NULL) continue;
        const char *slash = places[i][0] != '\0' ? "/" : "";
        /* "./models/x" says no more than "models/x". */
        bool here = strcmp(places[i], ".") == 0;
        int length =
            snprintf(found, capacity, "%s%s%s", here ? "" : places[i], here ? "" : slash, path);
        if (length < 0 || (size_t)length >= capacity)
            return ryz_fail(error, RYZ_INVALID, "the path \"%.80s...\" is too long", path);
        enum ryz_status status = RYZ_OK;
        if (try_file(found, &status, error)) return status;
    }
    if (absolute) return ryz_fail(error, RYZ_NOT_FOUND, "\"%.160s\" does not exist", path);
    return ryz_fail(error, RYZ_NOT_FOUND,
                    "\"%.100s\" is neither beside the scenario (%.60s) nor in %s%.60s nor in the "
                    "current directory",
                    path, folder != NULL ? folder : ".",
                    data_folder != NULL ? "" : "$RYZ_DATA, which is unset,",
                    data_folder != NULL ? data_folder : "");
}
