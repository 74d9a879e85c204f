/*
 * read.c - files and command line into the list of settings.
 *
 * Leaves to others: what a line is (engine/base/ini) and whether it is right (settings.c). The
 * idea: the scenario is gone through twice, first only for `include`, so that included files come
 * before it in the list and its own keys win.
 */
#include "harness/scenario/settings.h"

#include "engine/base/assert.h"
#include "engine/base/ini.h"
#include "harness/scenario/paths.h"
#include "harness/scenario/values.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reader {
    struct ryz_settings *settings;
    struct ryz_instance *instance; /* open section; NULL: unknown, its keys are skipped */
    int32_t file;
};

static struct ryz_origin origin_at(const struct reader *reader, uint32_t line)
{
    return (struct ryz_origin){.file = reader->file, .line = line};
}

static void take_item(void *context, const struct ryz_ini_item *item)
{
    struct reader *reader = context;
    struct ryz_origin origin = origin_at(reader, item->line);
    if (item->key == NULL) {
        reader->instance = ryz_settings_section(reader->settings, item->section, origin);
    } else if (reader->instance != NULL) {
        if (reader->file != 0 && strcmp(item->section, "scenario") == 0 &&
            strcmp(item->key, "include") == 0) {
            ryz_settings_mistake(reader->settings, origin,
                                 "an included file cannot include another one");
            return;
        }
        ryz_settings_add(reader->settings, reader->instance, item->key, item->value, origin);
    }
}

static void take_mistake(void *context, uint32_t line, const char *why)
{
    struct reader *reader = context;
    ryz_settings_mistake(reader->settings, origin_at(reader, line), "%s", why);
}

/* First pass: where is `include`? */
struct include_search {
    char value[RYZ_PATH_MAX];
    uint32_t line;
};

static void seek_include(void *context, const struct ryz_ini_item *item)
{
    struct include_search *search = context;
    if (item->key != NULL && strcmp(item->section, "scenario") == 0 &&
        strcmp(item->key, "include") == 0) {
        (void)snprintf(search->value, sizeof search->value, "%s", item->value);
        search->line = item->line;
    }
}

/* Adds a file to the list; its path was checked for length. */
static enum ryz_status add_file(struct ryz_settings *settings, const char *path,
                                struct ryz_error *error)
{
    char folder[RYZ_PATH_MAX];
    enum ryz_status status = ryz_paths_folder_of(path, folder, sizeof folder);
    RYZ_ASSERT(status == RYZ_OK); /* a folder is shorter than its path */
    RYZ_ASSERT(settings->file_count < RYZ_FILES_MAX);
    struct ryz_scenario_file *file = &settings->files[settings->file_count];
    file->path = ryz_arena_strdup(&settings->arena, path);
    file->folder = ryz_arena_strdup(&settings->arena, folder);
    if (file->path == NULL || file->folder == NULL)
        return ryz_fail(error, RYZ_NO_MEMORY, "out of memory");
    settings->file_count++;
    return RYZ_OK;
}

/* The first comment line says what the scenario is about. */
static void take_title(struct ryz_settings *settings)
{
    const char *at = settings->source;
    while (*at == '\n' || *at == '\r') at++;
    if (*at != ';' && *at != '#') return;
    at += strspn(at, ";# \t");
    size_t length = strcspn(at, "\r\n");
    (void)snprintf(settings->title, sizeof settings->title, "%.*s", (int)length, at);
}

static void parse_file(struct ryz_settings *settings, const char *text, size_t size, int32_t file)
{
    struct reader reader = {.settings = settings, .file = file};
    const struct ryz_ini_sink sink = {take_item, take_mistake, &reader};
    struct ryz_error error;
    uint32_t before = settings->mistake_count;
    enum ryz_status status = ryz_ini_parse(text, size, settings->files[file].path, &sink, &error);
    /* Line mistakes were filed by take_mistake; this is for the rest. */
    if (status != RYZ_OK && settings->mistake_count == before)
        ryz_settings_mistake(settings, origin_at(&reader, 0), "%s", error.text);
}

static enum ryz_status load_include(struct ryz_settings *settings, const char *word,
                                    struct ryz_error *error)
{
    char path[RYZ_PATH_MAX];
    bool absolute = word[0] == '/';
    int length = snprintf(path, sizeof path, "%s%s%s", absolute ? "" : settings->files[0].folder,
                          absolute ? "" : "/", word);
    if (length < 0 || (size_t)length >= sizeof path || settings->file_count == RYZ_FILES_MAX)
        return ryz_fail(error, RYZ_INVALID, "up to %u files of up to %u characters",
                        RYZ_INCLUDES_MAX, RYZ_PATH_MAX - 1);
    char *text = NULL;
    size_t size = 0;
    enum ryz_status status = ryz_ini_load(path, &text, &size, error);
    if (status == RYZ_OK) status = add_file(settings, path, error);
    if (status == RYZ_OK) parse_file(settings, text, size, (int32_t)settings->file_count - 1);
    free(text);
    return status;
}

static void read_include(struct ryz_settings *settings, const char *word, struct ryz_origin origin)
{
    struct ryz_error error;
    char text[sizeof error.text + 16];
    enum ryz_status status = load_include(settings, word, &error);
    if (status == RYZ_OK) return;
    (void)snprintf(text, sizeof text, "include: %s", error.text);
    ryz_settings_absent(settings, origin, status == RYZ_NO_MEMORY ? status : RYZ_INVALID, text);
}

static void read_includes(struct ryz_settings *settings)
{
    struct include_search search = {.line = 0};
    const struct ryz_ini_sink sink = {seek_include, NULL, &search};
    char word[RYZ_PATH_MAX];
    /* Mistakes are filed by the second pass. */
    (void)!ryz_ini_parse(settings->source, settings->source_bytes, "", &sink, NULL);
    struct ryz_origin origin = {.file = 0, .line = search.line};
    for (const char *list = search.value; ryz_value_next_word(&list, word, sizeof word);)
        read_include(settings, word, origin);
}

/* One "section.key=value" of the command line. */
static void apply_override(struct ryz_settings *settings, const char *text, uint32_t index)
{
    struct ryz_origin origin = {.file = RYZ_FROM_COMMAND_LINE, .line = index};
    const char *equals = strchr(text, '=');
    if (equals == NULL || equals == text) {
        ryz_settings_mistake(settings, origin,
                             "write it like --set engine.max_batch=4 or --set "
                             "traffic.main.rate=20/s");
        return;
    }
    char path[96], value[RYZ_PATH_MAX];
    size_t path_length = (size_t)(equals - text);
    const char *from = equals + 1 + strspn(equals + 1, " \t");
    size_t value_length = strlen(from);
    while (path_length > 0 && strchr(" \t", text[path_length - 1]) != NULL) path_length--;
    while (value_length > 0 && strchr(" \t", from[value_length - 1]) != NULL) value_length--;
    if (path_length >= sizeof path || value_length >= sizeof value) {
        ryz_settings_mistake(settings, origin, "this is too long");
        return;
    }
    (void)snprintf(path, sizeof path, "%.*s", (int)path_length, text);
    (void)snprintf(value, sizeof value, "%.*s", (int)value_length, from);
    ryz_settings_override(settings, path, value, origin);
}

static bool copy_overrides(struct ryz_settings *settings, const struct ryz_overrides *overrides)
{
    const char **texts =
        ryz_arena_array(&settings->arena, overrides->count, sizeof *overrides->settings);
    struct ryz_overrides *copy = ryz_arena_alloc(&settings->arena, sizeof *copy);
    if (texts == NULL || copy == NULL) return false;
    for (uint32_t i = 0; i < overrides->count; i++) {
        texts[i] = ryz_arena_strdup(&settings->arena, overrides->settings[i]);
        if (texts[i] == NULL) return false;
    }
    *copy = (struct ryz_overrides){.settings = texts, .count = overrides->count};
    settings->overrides = copy;
    return true;
}

enum ryz_status ryz_settings_read(struct ryz_settings *settings, const char *path,
                                  const struct ryz_overrides *overrides, struct ryz_error *error)
{
    char *text = NULL;
    size_t size = 0;
    if (strlen(path) >= RYZ_PATH_MAX)
        return ryz_fail(error, RYZ_INVALID, "the scenario's path is longer than %u characters",
                        RYZ_PATH_MAX - 1);
    enum ryz_status status = ryz_ini_load(path, &text, &size, error);
    if (status != RYZ_OK) return status;
    char *source = ryz_arena_alloc(&settings->arena, size + 1);
    bool fits = source != NULL && add_file(settings, path, NULL) == RYZ_OK &&
                (overrides == NULL || copy_overrides(settings, overrides));
    if (fits) memcpy(source, text, size + 1);
    free(text);
    if (!fits) return ryz_fail(error, RYZ_NO_MEMORY, "no memory to read %s", path);
    settings->source = source;
    settings->source_bytes = size;
    take_title(settings);
    read_includes(settings);
    parse_file(settings, source, size, 0);
    for (uint32_t i = 0; i < settings->overrides->count; i++)
        apply_override(settings, settings->overrides->settings[i], i);
    return RYZ_OK;
}
