/*
 * settings.h - what a scenario's files and the command line set, before it becomes a plan.
 *
 * One list for all files and `--set`, in the order they were read, so that the last setting of a
 * key wins and every message can say where a value came from. Leaves to others: reading files
 * (read.c), the plan (build.c), keys that depend on each other (rules.c).
 */
#ifndef RYZ_HARNESS_SCENARIO_SETTINGS_H
#define RYZ_HARNESS_SCENARIO_SETTINGS_H

#include "engine/base/arena.h"
#include "harness/scenario/keys.h"

#include <stdint.h>

#define RYZ_SETTINGS_MAX  1024u
#define RYZ_INSTANCES_MAX 64u
#define RYZ_MISTAKES_MAX  64u /* kept; more are counted */
#define RYZ_FILES_MAX     (1u + RYZ_INCLUDES_MAX)

enum { RYZ_FROM_DEFAULT = -1, RYZ_FROM_COMMAND_LINE = -2 };

/* Where something was written. */
struct ryz_origin {
    int32_t file;  /* index into files; or RYZ_FROM_... */
    uint32_t line; /* 0: the file as a whole; --set: number of the override, from 0 */
};

/* A section that was opened: [engine], [traffic.main], ... */
struct ryz_instance {
    enum ryz_section section;
    char name[RYZ_NAME_MAX];  /* after the dot; "" for sections without names */
    struct ryz_origin origin; /* of its header in the file read last */
    bool bad;                 /* has a mistake: checks that would repeat it are left out */
};

struct ryz_setting {
    uint32_t instance;
    const struct ryz_key *key; /* NULL: a target or an axis of the sweep */
    const char *name;          /* the key as written: a metric, a dot path */
    const char *value;
    struct ryz_origin origin;
    bool bad; /* its value was refused */
};

struct ryz_mistake {
    struct ryz_origin origin;
    enum ryz_status status; /* INVALID: the scenario is wrong; else see ryz_settings_absent */
    uint32_t number;        /* in order of discovery, for a stable sort */
    char text[256];         /* without file and line */
};

struct ryz_scenario_file {
    const char *path;   /* as given or resolved */
    const char *folder; /* of the file, "." if the path has none */
};

struct ryz_settings {
    _Atomic uint32_t holders;                      /* plans that share it */
    struct ryz_arena arena;                        /* all texts */
    struct ryz_scenario_file files[RYZ_FILES_MAX]; /* [0] is the scenario itself */
    uint32_t file_count;
    const struct ryz_overrides *overrides; /* copied into the arena; never NULL */
    struct ryz_instance instances[RYZ_INSTANCES_MAX];
    uint32_t instance_count;
    struct ryz_setting settings[RYZ_SETTINGS_MAX];
    uint32_t setting_count;
    struct ryz_mistake mistakes[RYZ_MISTAKES_MAX];
    uint32_t mistake_count; /* found, also those past the array */
    char title[192];
    const char *source;      /* bytes of files[0] */
    uint64_t source_bytes;   /* without the NUL after them */
    struct ryz_plan scratch; /* values are tried out here */
};

/* An empty list with one holder; NULL when out of memory. */
struct ryz_settings *ryz_settings_open(void);
struct ryz_settings *ryz_settings_hold(struct ryz_settings *settings);
void ryz_settings_release(struct ryz_settings *settings);

/* Files one mistake; one that is on file already is not repeated. */
void ryz_settings_mistake(struct ryz_settings *settings, struct ryz_origin origin,
                          const char *format, ...) RYZ_PRINTF(3, 4);
/* As above for what is not the scenario's fault: a data file that is not there, no memory. */
void ryz_settings_absent(struct ryz_settings *settings, struct ryz_origin origin,
                         enum ryz_status status, const char *text);
/* Sorts the mistakes by file and line. */
void ryz_settings_sort_mistakes(struct ryz_settings *settings);
/* "file:line", "--set section.key=value" or "default". */
const char *ryz_settings_where(const struct ryz_settings *settings, struct ryz_origin origin,
                               char *text, size_t capacity);

/* The section called `text` ("engine", "traffic.main"), opened on first sight; NULL after a
 * mistake was filed. */
struct ryz_instance *ryz_settings_section(struct ryz_settings *settings, const char *text,
                                          struct ryz_origin origin);
/* NULL if it was never opened. */
struct ryz_instance *ryz_settings_find(struct ryz_settings *settings, enum ryz_section section,
                                       const char *name);
/* Adds a setting of `instance` after checking key and value; a mistake is filed, not returned. */
void ryz_settings_add(struct ryz_settings *settings, struct ryz_instance *instance,
                      const char *name, const char *value, struct ryz_origin origin);
/* As above for a dot path from the command line ("engine.max_batch", "targets.ttft.p99"). */
void ryz_settings_override(struct ryz_settings *settings, const char *path, const char *value,
                           struct ryz_origin origin);
/* The setting of `key` that wins, NULL if none. */
const struct ryz_setting *ryz_settings_winner(const struct ryz_settings *settings,
                                              const struct ryz_instance *instance,
                                              const struct ryz_key *key);
/* Is there a later setting of the same free key (target, axis)? */
bool ryz_settings_is_outdone(const struct ryz_settings *settings, uint32_t index);
/* Resolves "engine.max_batch" or "traffic.main.rate" to a key of an opened section (fixed sections
 * need not be opened: *instance is NULL then). On failure *error says why, with a suggestion. */
RYZ_MUST_USE enum ryz_status ryz_settings_resolve(struct ryz_settings *settings, const char *path,
                                                  struct ryz_instance **instance,
                                                  const struct ryz_key **key,
                                                  struct ryz_error *error);

/* Reads the scenario, its includes and the overrides; what is wrong is filed as mistakes. A status
 * other than OK means that the file could not be read at all. */
RYZ_MUST_USE enum ryz_status ryz_settings_read(struct ryz_settings *settings, const char *path,
                                               const struct ryz_overrides *overrides,
                                               struct ryz_error *error);

#endif
