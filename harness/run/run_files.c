/* run_files.c - templates, folders, inputs. */
#include "harness/run/run_files.h"

#include "harness/record/folder.h"
#include "harness/record/sha256.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define NUMBER_MAX 999 /* of runs within one second */

struct filler {
    char *out;
    size_t used, capacity;
};

/* Appends; false when full. */
static bool put(struct filler *filler, const char *text, size_t length)
{
    if (filler->used + length >= filler->capacity) return false;
    memcpy(filler->out + filler->used, text, length);
    filler->used += length;
    filler->out[filler->used] = '\0';
    return true;
}

/* "2026-11-24T08:45:30Z" to "20261124T084530Z". */
static bool put_time(struct filler *filler, const char *utc)
{
    for (; *utc != '\0'; utc++) {
        if (isalnum((unsigned char)*utc) && !put(filler, utc, 1)) return false;
    }
    return true;
}

/* The value of the placeholder at `text` ("{name}..."); its length in *skip, 0 if unknown. */
static bool put_placeholder(struct filler *filler, const struct ryz_plan *plan,
                            const struct ryz_provenance *provenance, const char *text, size_t *skip)
{
    static const char *const names[] = {"{name}", "{commit}", "{time}", "{seed}"};
    char seed[24];
    (void)snprintf(seed, sizeof seed, "%llu", (unsigned long long)plan->seed);
    for (int i = 0; i < 4; i++) {
        *skip = strlen(names[i]);
        if (strncmp(text, names[i], *skip) != 0) continue;
        if (i == 0) return put(filler, plan->name, strlen(plan->name));
        if (i == 1) return put(filler, provenance->git_commit, strnlen(provenance->git_commit, 8));
        if (i == 2) return put_time(filler, provenance->created_utc);
        return put(filler, seed, strlen(seed));
    }
    *skip = 0;
    return true;
}

static enum ryz_status fill_template(const struct ryz_plan *plan,
                                     const struct ryz_provenance *provenance, struct filler *filler,
                                     struct ryz_error *error)
{
    for (const char *at = plan->output.hdf5; *at != '\0';) {
        size_t skip = 1;
        bool fits = true;
        if (*at == '{') {
            fits = put_placeholder(filler, plan, provenance, at, &skip);
            if (skip == 0) {
                return ryz_fail(error, RYZ_INVALID,
                                "output.hdf5: \"%s\" is no placeholder; there are {name} {commit} "
                                "{time} {seed}",
                                at);
            }
        } else {
            fits = put(filler, at, 1);
        }
        if (!fits) return ryz_fail(error, RYZ_FULL, "output.hdf5: the name becomes too long");
        at += skip;
    }
    return RYZ_OK;
}

/* Names of the files for a stem and what follows it. */
static void place(const struct ryz_plan *plan, struct ryz_run_files *files, const char *stem,
                  const char *ending)
{
    const char *dir = plan->output.dir;
    (void)snprintf(files->results, sizeof files->results, "%s/%s%s", dir, stem, ending);
    (void)snprintf(files->folder, sizeof files->folder, "%s/%s", dir, stem);
    (void)snprintf(files->live_dir, sizeof files->live_dir, "%s/.live", dir);
    (void)snprintf(files->stem, sizeof files->stem, "%s", stem);
}

enum ryz_status ryz_run_files_name(const struct ryz_plan *plan,
                                   const struct ryz_provenance *provenance,
                                   struct ryz_run_files *files, struct ryz_error *error)
{
    char name[160] = "";
    struct filler filler = {.out = name, .capacity = sizeof name};
    enum ryz_status status = fill_template(plan, provenance, &filler, error);
    if (status != RYZ_OK) return status;
    if (name[0] == '\0' || strchr(name, '/') != NULL) {
        return ryz_fail(error, RYZ_INVALID, "output.hdf5: \"%s\" is no file name", name);
    }
    char stem[sizeof name];
    const char *dot = strrchr(name, '.');
    const char *ending = dot != NULL && dot != name ? dot : name + strlen(name);
    (void)snprintf(stem, sizeof stem, "%.*s", (int)(ending - name), name);
    place(plan, files, stem, ending);
    return RYZ_OK;
}

void ryz_run_files_live(const struct ryz_run_files *files, uint32_t run, char *path,
                        size_t capacity)
{
    (void)snprintf(path, capacity, "%s/%s-%04u.h5", files->live_dir, files->stem, run);
}

enum ryz_status ryz_run_files_make_folder(const struct ryz_plan *plan, struct ryz_run_files *files,
                                          struct ryz_error *error)
{
    char stem[sizeof files->stem], ending[sizeof files->stem], numbered[sizeof files->stem];
    if (strstr(plan->output.hdf5, "{time}") == NULL) return ryz_folder_make(files->folder, error);
    enum ryz_status status = ryz_folder_make_parent(files->folder, error);
    if (status != RYZ_OK) return status;
    (void)snprintf(stem, sizeof stem, "%s", files->stem);
    (void)snprintf(ending, sizeof ending, "%s",
                   files->results + strlen(plan->output.dir) + 1 + strlen(stem));
    for (int number = 2; mkdir(files->folder, 0777) != 0; number++) {
        if (errno != EEXIST) {
            return ryz_fail_errno(error, RYZ_IO, errno, "cannot make the folder %s", files->folder);
        }
        int length = snprintf(numbered, sizeof numbered, "%s-%d", stem, number);
        if (number > NUMBER_MAX || length < 0 || (size_t)length >= sizeof numbered) {
            return ryz_fail(error, RYZ_FULL, "output.hdf5: %s and %d more names are taken", stem,
                            number - 2);
        }
        place(plan, files, numbered, ending);
    }
    return RYZ_OK;
}

static enum ryz_status add_input(const char *path, const char *role,
                                 struct ryz_input_row rows[RYZ_INPUTS_MAX], uint32_t *count,
                                 struct ryz_error *error)
{
    if (path[0] == '\0') return RYZ_OK;
    for (uint32_t i = 0; i < *count; i++) {
        if (strcmp(rows[i].path, path) == 0) return RYZ_OK;
    }
    return ryz_input_describe(path, role, &rows[(*count)++], error);
}

enum ryz_status ryz_run_files_inputs(const struct ryz_plan *plan,
                                     struct ryz_input_row rows[RYZ_INPUTS_MAX], uint32_t *count,
                                     struct ryz_error *error)
{
    *count = 0;
    enum ryz_status status = add_input(plan->model_path, "model", rows, count, error);
    for (uint32_t i = 0; i < plan->traffic_count && status == RYZ_OK; i++) {
        status = add_input(plan->traffic[i].trace, "trace", rows, count, error);
    }
    if (status == RYZ_OK) status = add_input(plan->accuracy.set, "accuracy", rows, count, error);
    if (status == RYZ_OK && plan->engine.target == RYZ_TARGET_SIMULATOR) {
        status = add_input(plan->engine.cost, "cost", rows, count, error);
    }
    return status;
}
