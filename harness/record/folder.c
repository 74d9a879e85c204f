/* folder.c - see folder.h. */
#include "harness/record/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER_BYTES_MAX 4096

static enum ryz_status make_one(const char *path, struct ryz_error *error)
{
    struct stat info;
    if (mkdir(path, 0777) == 0) return RYZ_OK;
    int os_errno = errno;
    if (os_errno == EEXIST && stat(path, &info) == 0 && S_ISDIR(info.st_mode)) return RYZ_OK;
    return ryz_fail_errno(error, RYZ_IO, os_errno, "cannot make the folder %s", path);
}

enum ryz_status ryz_folder_make(const char *path, struct ryz_error *error)
{
    char copy[FOLDER_BYTES_MAX];
    size_t length = strlen(path);
    if (length == 0) return RYZ_OK;
    if (length >= sizeof copy)
        return ryz_fail(error, RYZ_INVALID, "path is too long: %.64s...", path);
    memcpy(copy, path, length + 1);
    for (size_t i = 1; i < length; i++) {
        if (copy[i] != '/' || copy[i - 1] == '/') continue;
        copy[i] = '\0';
        enum ryz_status status = make_one(copy, error);
        if (status != RYZ_OK) return status;
        copy[i] = '/';
    }
    return make_one(copy, error);
}

/* Copies the folder part of a path; "." if it has none. */
static void parent(const char *path, char *folder, size_t capacity)
{
    const char *slash = strrchr(path, '/');
    size_t length = slash == NULL ? 0 : (size_t)(slash - path);
    if (slash == path) length = 1;
    if (length == 0)
        snprintf(folder, capacity, ".");
    else
        snprintf(folder, capacity, "%.*s", (int)length, path);
}

enum ryz_status ryz_folder_make_parent(const char *path, struct ryz_error *error)
{
    char folder[FOLDER_BYTES_MAX];
    if (strlen(path) >= sizeof folder)
        return ryz_fail(error, RYZ_INVALID, "path is too long: %.64s...", path);
    parent(path, folder, sizeof folder);
    return ryz_folder_make(folder, error);
}

void ryz_folder_sync_parent(const char *path)
{
    char folder[FOLDER_BYTES_MAX];
    if (strlen(path) >= sizeof folder) return;
    parent(path, folder, sizeof folder);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    /* Some file systems refuse to sync a folder; the rename itself is still atomic there. */
    if (fsync(fd) != 0) errno = 0;
    close(fd);
}
