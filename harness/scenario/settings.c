/*
 * settings.c - the list of settings, its sections and its mistakes.
 *
 * Leaves to others: files (read.c) and the plan (build.c). The idea: every value is tried out on a
 * scratch plan when it is added, so a mistake is filed with the line it was written on, once, and
 * whoever builds a plan later meets good values only.
 */
#include "harness/scenario/settings.h"

#include "engine/base/assert.h"
#include "engine/base/atomic.h"
#include "engine/base/size.h"
#include "engine/base/suggest.h"
#include "harness/scenario/values.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HINT_BYTES (RYZ_SUGGEST_WORD_MAX + 32u)

struct ryz_settings *ryz_settings_open(void)
{
    static const struct ryz_overrides none = {NULL, 0};
    struct ryz_settings *settings = calloc(1, sizeof *settings);
    if (settings == NULL) return NULL;
    atomic_init(&settings->holders, 1);
    ryz_arena_init(&settings->arena);
    settings->overrides = &none;
    return settings;
}

struct ryz_settings *ryz_settings_hold(struct ryz_settings *settings)
{
    (void)ryz_add_relaxed(&settings->holders, 1);
    return settings;
}

void ryz_settings_release(struct ryz_settings *settings)
{
    if (settings == NULL || ryz_add_acq_rel(&settings->holders, UINT32_MAX) != 1) return;
    ryz_arena_deinit(&settings->arena);
    free(settings);
}

void ryz_settings_absent(struct ryz_settings *settings, struct ryz_origin origin,
                         enum ryz_status status, const char *text)
{
    uint32_t kept = settings->mistake_count;
    if (kept > RYZ_MISTAKES_MAX) kept = RYZ_MISTAKES_MAX;
    for (uint32_t i = 0; i < kept; i++) {
        const struct ryz_mistake *old = &settings->mistakes[i];
        if (old->origin.file == origin.file && old->origin.line == origin.line &&
            strcmp(old->text, text) == 0)
            return;
    }
    if (kept < RYZ_MISTAKES_MAX) {
        struct ryz_mistake *mistake = &settings->mistakes[kept];
        *mistake = (struct ryz_mistake){.origin = origin, .status = status, .number = kept};
        (void)snprintf(mistake->text, sizeof mistake->text, "%s", text);
    }
    settings->mistake_count++;
}

void ryz_settings_mistake(struct ryz_settings *settings, struct ryz_origin origin,
                          const char *format, ...)
{
    char text[sizeof settings->mistakes[0].text];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    ryz_settings_absent(settings, origin, RYZ_INVALID, text);
}

static int compare_mistakes(const void *left, const void *right)
{
    const struct ryz_mistake *a = left, *b = right;
    /* The command line comes last: its index is negative, as unsigned the largest. */
    uint32_t a_file = (uint32_t)a->origin.file, b_file = (uint32_t)b->origin.file;
    if (a_file != b_file) return a_file < b_file ? -1 : 1;
    if (a->origin.line != b->origin.line) return a->origin.line < b->origin.line ? -1 : 1;
    return a->number < b->number ? -1 : 1;
}

void ryz_settings_sort_mistakes(struct ryz_settings *settings)
{
    uint32_t kept =
        settings->mistake_count < RYZ_MISTAKES_MAX ? settings->mistake_count : RYZ_MISTAKES_MAX;
    qsort(settings->mistakes, kept, sizeof settings->mistakes[0], compare_mistakes);
}

const char *ryz_settings_where(const struct ryz_settings *settings, struct ryz_origin origin,
                               char *text, size_t capacity)
{
    if (origin.file == RYZ_FROM_COMMAND_LINE) {
        RYZ_ASSERT(origin.line < settings->overrides->count);
        (void)snprintf(text, capacity, "--set %.80s", settings->overrides->settings[origin.line]);
    } else if (origin.file < 0) {
        (void)snprintf(text, capacity, "default");
    } else if (origin.line == 0) {
        (void)snprintf(text, capacity, "%s", settings->files[origin.file].path);
    } else {
        (void)snprintf(text, capacity, "%s:%u", settings->files[origin.file].path, origin.line);
    }
    return text;
}

struct ryz_instance *ryz_settings_find(struct ryz_settings *settings, enum ryz_section section,
                                       const char *name)
{
    for (uint32_t i = 0; i < settings->instance_count; i++) {
        struct ryz_instance *instance = &settings->instances[i];
        if (instance->section == section && strcmp(instance->name, name) == 0) return instance;
    }
    return NULL;
}

static uint32_t count_instances(const struct ryz_settings *settings, enum ryz_section section)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < settings->instance_count; i++)
        count += settings->instances[i].section == section;
    return count;
}

/* The message for a section that does not exist; `length` bytes of `text` are its first word. */
static void describe_no_section(const char *text, size_t length, char *out, size_t capacity)
{
    char base[RYZ_SUGGEST_WORD_MAX + 1], hint[HINT_BYTES];
    struct ryz_suggest suggest;
    (void)snprintf(base, sizeof base, "%.*s", (int)length, text);
    ryz_suggest_init(&suggest, base);
    for (unsigned i = 0; i < RYZ_SECTION_COUNT; i++)
        ryz_suggest_offer(&suggest, ryz_section_name((enum ryz_section)i));
    (void)snprintf(out, capacity, "there is no section [%s]%s", base,
                   suggest.best != NULL ? ryz_suggest_text(&suggest, hint, sizeof hint)
                                        : "; there are: scenario engine model traffic.NAME "
                                          "fault.NAME accuracy sweep targets output");
}

/* Is the part of a section after its first dot as it must be? Files a mistake if not. */
static bool check_name(struct ryz_settings *settings, enum ryz_section section, const char *text,
                       const char *name, struct ryz_origin origin)
{
    const char *base = ryz_section_name(section);
    bool named = ryz_section_is_named(section);
    if (named && name[0] == '\0') {
        ryz_settings_mistake(settings, origin, "[%s] needs a name: [%s.main]", text, base);
        return false;
    }
    if (!named && text[strlen(base)] != '\0') {
        ryz_settings_mistake(settings, origin, "[%s] takes no name: write [%s]", text, base);
        return false;
    }
    if (name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_")] != '\0' ||
        strlen(name) >= RYZ_NAME_MAX) {
        ryz_settings_mistake(settings, origin,
                             "[%s]: a name has up to %u characters of a-z, 0-9 and _", text,
                             RYZ_NAME_MAX - 1);
        return false;
    }
    return true;
}

/* Room for one more section of this kind? The plan's arrays are bounded. */
static bool check_room(struct ryz_settings *settings, enum ryz_section section,
                       struct ryz_origin origin)
{
    uint32_t most = section == RYZ_SECTION_TRAFFIC ? RYZ_TRAFFIC_MAX
                    : section == RYZ_SECTION_FAULT ? RYZ_FAULTS_MAX
                                                   : 1;
    if (count_instances(settings, section) < most) return true;
    ryz_settings_mistake(settings, origin, "more than %u [%s.NAME] sections", most,
                         ryz_section_name(section));
    return false;
}

struct ryz_instance *ryz_settings_section(struct ryz_settings *settings, const char *text,
                                          struct ryz_origin origin)
{
    size_t length = strcspn(text, ".");
    enum ryz_section section = RYZ_SECTION_SCENARIO;
    if (!ryz_section_parse(text, length, &section)) {
        char message[240];
        describe_no_section(text, length, message, sizeof message);
        ryz_settings_mistake(settings, origin, "%s", message);
        return NULL;
    }
    const char *name = text[length] == '.' ? text + length + 1 : "";
    if (!check_name(settings, section, text, name, origin)) return NULL;
    struct ryz_instance *instance = ryz_settings_find(settings, section, name);
    if (instance != NULL) {
        if (instance->origin.file == origin.file && origin.file >= 0)
            ryz_settings_mistake(settings, origin, "[%s] was opened at line %u already", text,
                                 instance->origin.line);
        if (origin.file >= 0) instance->origin = origin;
        return instance;
    }
    if (!check_room(settings, section, origin)) return NULL;
    RYZ_ASSERT(settings->instance_count < RYZ_INSTANCES_MAX);
    instance = &settings->instances[settings->instance_count++];
    *instance = (struct ryz_instance){.section = section, .origin = origin};
    (void)snprintf(instance->name, sizeof instance->name, "%s", name);
    return instance;
}

/* Does a free key follow its grammar as far as it can be told without the rest of the file? */
static bool is_free_key(enum ryz_section section)
{
    return section == RYZ_SECTION_TARGETS || section == RYZ_SECTION_SWEEP;
}

/* The message for a key that its section does not have. */
static void describe_unknown(enum ryz_section section, const char *name, char *text,
                             size_t capacity)
{
    char hint[HINT_BYTES];
    struct ryz_suggest suggest;
    const struct ryz_key *elsewhere = NULL, *key = NULL;
    ryz_suggest_init(&suggest, name);
    for (size_t i = 0; (key = ryz_key_at(i)) != NULL; i++) {
        if (key->section == section) ryz_suggest_offer(&suggest, key->name);
        if (elsewhere == NULL && strcmp(key->name, name) == 0) elsewhere = key;
    }
    int used =
        snprintf(text, capacity, "[%s] has no key \"%.48s\"", ryz_section_name(section), name);
    text += used;
    capacity -= (size_t)used;
    if (elsewhere != NULL) {
        const char *dot = ryz_section_is_named(elsewhere->section) ? ".NAME" : "";
        (void)snprintf(text, capacity, "; it belongs in [%s%s]",
                       ryz_section_name(elsewhere->section), dot);
    } else if (suggest.best != NULL) {
        (void)snprintf(text, capacity, "%s", ryz_suggest_text(&suggest, hint, sizeof hint));
    } else {
        used = snprintf(text, capacity, "; its keys:");
        for (size_t i = 0; (key = ryz_key_at(i)) != NULL && (size_t)used < capacity; i++) {
            if (key->section == section)
                used += snprintf(text + used, capacity - (size_t)used, " %s", key->name);
        }
    }
}

/* Has the same file (or the command line) set this key before? */
static const struct ryz_setting *find_duplicate(const struct ryz_settings *settings,
                                                const struct ryz_setting *fresh)
{
    for (uint32_t i = 0; i < settings->setting_count; i++) {
        const struct ryz_setting *old = &settings->settings[i];
        if (old->instance == fresh->instance && old->origin.file == fresh->origin.file &&
            strcmp(old->name, fresh->name) == 0)
            return old;
    }
    return NULL;
}

/* Tries the value out; false after a mistake was filed. */
static bool try_value(struct ryz_settings *settings, const struct ryz_instance *instance,
                      const struct ryz_setting *setting)
{
    struct ryz_error error = {.status = RYZ_OK};
    enum ryz_status status = RYZ_OK;
    if (setting->key != NULL) {
        status = ryz_value_set(setting->key, setting->value, &settings->scratch, &error);
    } else if (setting->value[0] == '\0') {
        status = ryz_fail(&error, RYZ_INVALID, "there is no value");
    }
    if (status == RYZ_OK) return true;
    ryz_settings_mistake(settings, setting->origin, "[%s%s%s] %s: %s",
                         ryz_section_name(instance->section), instance->name[0] != '\0' ? "." : "",
                         instance->name, setting->name, error.text);
    return false;
}

void ryz_settings_add(struct ryz_settings *settings, struct ryz_instance *instance,
                      const char *name, const char *value, struct ryz_origin origin)
{
    const struct ryz_key *key = ryz_key_find(instance->section, name);
    if (key == NULL && (!is_free_key(instance->section) || strchr(name, '.') == NULL) &&
        instance->section != RYZ_SECTION_TARGETS) {
        char text[240];
        describe_unknown(instance->section, name, text, sizeof text);
        ryz_settings_mistake(settings, origin, "%s", text);
        instance->bad = true;
        return;
    }
    if (settings->setting_count == RYZ_SETTINGS_MAX) {
        ryz_settings_mistake(settings, origin, "more than %u keys are set", RYZ_SETTINGS_MAX);
        return;
    }
    struct ryz_setting setting = {.instance = (uint32_t)(instance - settings->instances),
                                  .key = key,
                                  .name = ryz_arena_strdup(&settings->arena, name),
                                  .value = ryz_arena_strdup(&settings->arena, value),
                                  .origin = origin};
    if (setting.name == NULL || setting.value == NULL) {
        ryz_settings_absent(settings, origin, RYZ_NO_MEMORY, "out of memory");
        return;
    }
    const struct ryz_setting *old = find_duplicate(settings, &setting);
    if (old != NULL && origin.file >= 0) {
        ryz_settings_mistake(settings, origin, "%s was set at line %u already", name,
                             old->origin.line);
        instance->bad = true;
        return;
    }
    setting.bad = !try_value(settings, instance, &setting);
    instance->bad = instance->bad || setting.bad;
    settings->settings[settings->setting_count++] = setting;
}

const struct ryz_setting *ryz_settings_winner(const struct ryz_settings *settings,
                                              const struct ryz_instance *instance,
                                              const struct ryz_key *key)
{
    if (instance == NULL) return NULL;
    uint32_t index = (uint32_t)(instance - settings->instances);
    for (uint32_t i = settings->setting_count; i-- > 0;) {
        const struct ryz_setting *setting = &settings->settings[i];
        if (setting->instance == index && setting->key == key) return setting;
    }
    return NULL;
}

bool ryz_settings_is_outdone(const struct ryz_settings *settings, uint32_t index)
{
    const struct ryz_setting *setting = &settings->settings[index];
    for (uint32_t i = index + 1; i < settings->setting_count; i++) {
        const struct ryz_setting *later = &settings->settings[i];
        if (later->instance == setting->instance && strcmp(later->name, setting->name) == 0)
            return true;
    }
    return false;
}

/* Names the sections of this kind that were opened. */
static enum ryz_status refuse_instance(struct ryz_settings *settings, enum ryz_section section,
                                       const char *name, struct ryz_error *error)
{
    char hint[HINT_BYTES];
    struct ryz_suggest suggest;
    ryz_suggest_init(&suggest, name);
    for (uint32_t i = 0; i < settings->instance_count; i++) {
        if (settings->instances[i].section == section)
            ryz_suggest_offer(&suggest, settings->instances[i].name);
    }
    return ryz_fail(error, RYZ_INVALID, "there is no section [%s.%.48s]%s",
                    ryz_section_name(section), name, ryz_suggest_text(&suggest, hint, sizeof hint));
}

enum ryz_status ryz_settings_resolve(struct ryz_settings *settings, const char *path,
                                     struct ryz_instance **instance, const struct ryz_key **key,
                                     struct ryz_error *error)
{
    size_t length = strcspn(path, ".");
    enum ryz_section section = RYZ_SECTION_SCENARIO;
    char name[RYZ_SUGGEST_WORD_MAX + 1] = "";
    if (path[length] != '\0' && !ryz_section_parse(path, length, &section)) {
        char message[240];
        describe_no_section(path, length, message, sizeof message);
        return ryz_fail(error, RYZ_INVALID, "%s", message);
    }
    if (path[length] == '\0' || path[length + 1] == '\0')
        return ryz_fail(error, RYZ_INVALID,
                        "\"%.60s\" is no path to a key: write it like \"engine.max_batch\" or "
                        "\"traffic.main.rate\"",
                        path);
    const char *rest = path + length + 1;
    if (ryz_section_is_named(section)) {
        size_t name_length = strcspn(rest, ".");
        if (rest[name_length] == '\0')
            return ryz_fail(error, RYZ_INVALID,
                            "\"%.60s\" is no path to a key: write it like \"%s.NAME.key\"", path,
                            ryz_section_name(section));
        (void)snprintf(name, sizeof name, "%.*s", (int)name_length, rest);
        rest += name_length + 1;
    }
    *instance = ryz_settings_find(settings, section, name);
    if (*instance == NULL && ryz_section_is_named(section))
        return refuse_instance(settings, section, name, error);
    *key = ryz_key_find(section, rest);
    if (*key == NULL) {
        char text[240];
        describe_unknown(section, rest, text, sizeof text);
        return ryz_fail(error, RYZ_INVALID, "%s", text);
    }
    return RYZ_OK;
}

/* Sections without keys of their own take the rest of the path as it is. */
static bool override_free_key(struct ryz_settings *settings, const char *path, const char *value,
                              struct ryz_origin origin)
{
    static const char *const prefixes[] = {"targets.", "sweep."};
    for (size_t i = 0; i < RYZ_COUNT_OF(prefixes); i++) {
        size_t length = strlen(prefixes[i]);
        if (strncmp(path, prefixes[i], length) != 0 || path[length] == '\0') continue;
        char section[16];
        (void)snprintf(section, sizeof section, "%.*s", (int)length - 1, prefixes[i]);
        struct ryz_instance *instance = ryz_settings_section(settings, section, origin);
        if (instance != NULL) ryz_settings_add(settings, instance, path + length, value, origin);
        return true;
    }
    return false;
}

void ryz_settings_override(struct ryz_settings *settings, const char *path, const char *value,
                           struct ryz_origin origin)
{
    if (override_free_key(settings, path, value, origin)) return;
    struct ryz_instance *instance = NULL;
    const struct ryz_key *key = NULL;
    struct ryz_error error;
    if (strcmp(path, "scenario.include") == 0) {
        ryz_settings_mistake(settings, origin, "include can only be written in the file");
    } else if (ryz_settings_resolve(settings, path, &instance, &key, &error) != RYZ_OK) {
        ryz_settings_mistake(settings, origin, "%s", error.text);
    } else {
        RYZ_ASSERT(key != NULL);
        if (instance == NULL)
            instance = ryz_settings_section(settings, ryz_section_name(key->section), origin);
        if (instance != NULL) ryz_settings_add(settings, instance, key->name, value, origin);
    }
}
