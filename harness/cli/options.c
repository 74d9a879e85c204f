/* options.c - the table-driven option reader of all commands. */
#include "harness/cli/options.h"

#include "engine/base/suggest.h"
#include "engine/base/units.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_help(const struct ryz_command_line *line)
{
    printf("usage: %s\n\n%s\n", line->usage, line->about);
    if (line->option_count > 0) puts("\noptions:");
    for (size_t i = 0; i < line->option_count; i++) {
        const struct ryz_option *option = &line->options[i];
        char left[48];
        (void)snprintf(left, sizeof left, "--%s%s%s", option->name, option->value ? " " : "",
                       option->value ? option->value : "");
        printf("  %-28s %s\n", left, option->help);
    }
}

static const struct ryz_option *find_option(const struct ryz_command_line *line, const char *name,
                                            size_t length)
{
    for (size_t i = 0; i < line->option_count; i++) {
        const char *known = line->options[i].name;
        if (strlen(known) == length && memcmp(known, name, length) == 0) return &line->options[i];
    }
    return NULL;
}

static void complain_unknown(const struct ryz_command_line *line, const char *name, size_t length)
{
    char given[64];
    (void)snprintf(given, sizeof given, "%.*s", (int)length, name);
    const char *names[64];
    size_t count = 0;
    for (size_t i = 0; i < line->option_count && i < 64; i++)
        names[count++] = line->options[i].name;
    const char *near = ryz_suggest_nearest(given, names, count);
    if (near != NULL) {
        (void)fprintf(stderr, "ryz: unknown option --%s; did you mean --%s?\n", given, near);
    } else {
        (void)fprintf(stderr, "ryz: unknown option --%s\n", given);
    }
    (void)fprintf(stderr, "usage: %s\n", line->usage);
}

static bool read_whole_number(const char *text, uint64_t max, uint64_t *value)
{
    if (text[0] < '0' || text[0] > '9') return false;
    char *end = NULL;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0' || number > max) return false;
    *value = number;
    return true;
}

/* Stores `text` as the option's kind wants it; false if it is not of that kind. */
static bool store_value(const struct ryz_option *option, const char *text)
{
    uint64_t number = 0;
    double real = 0;
    char *end = NULL;
    struct ryz_option_list *list = option->target;
    switch (option->kind) {
    case RYZ_OPTION_TEXT:
        *(const char **)option->target = text;
        return true;
    case RYZ_OPTION_U32:
        if (!read_whole_number(text, UINT32_MAX, &number)) return false;
        *(uint32_t *)option->target = (uint32_t)number;
        return true;
    case RYZ_OPTION_U64:
        if (!read_whole_number(text, UINT64_MAX, &number)) return false;
        *(uint64_t *)option->target = number;
        return true;
    case RYZ_OPTION_F64:
        real = strtod(text, &end);
        if (end == text || *end != '\0' || !(real >= 0.0)) return false;
        *(double *)option->target = real;
        return true;
    case RYZ_OPTION_BYTES:
        if (ryz_units_parse(text, RYZ_UNIT_BYTES, &real, NULL) != RYZ_OK) return false;
        if (real < 0 || real > 0x1p62) return false;
        *(uint64_t *)option->target = (uint64_t)real;
        return true;
    case RYZ_OPTION_LIST:
        if (list->count == RYZ_OPTION_LIST_MAX) return false;
        list->items[list->count++] = text;
        return true;
    case RYZ_OPTION_FLAG:
        break;
    }
    return false;
}

/* Reads the option at argv[*i] and advances *i over its value. */
static bool read_option(const struct ryz_command_line *line, int argc, char *const *argv, int *i)
{
    const char *name = argv[*i] + 2;
    const char *equals = strchr(name, '=');
    size_t length = equals != NULL ? (size_t)(equals - name) : strlen(name);
    const struct ryz_option *option = find_option(line, name, length);
    if (option == NULL) {
        complain_unknown(line, name, length);
        return false;
    }
    if (option->kind == RYZ_OPTION_FLAG) {
        if (equals != NULL) {
            (void)fprintf(stderr, "ryz: --%s takes no value\n", option->name);
            return false;
        }
        *(bool *)option->target = true;
        return true;
    }
    const char *value = equals != NULL ? equals + 1 : NULL;
    if (value == NULL && *i + 1 < argc) value = argv[++*i];
    if (value == NULL || !store_value(option, value)) {
        (void)fprintf(stderr, "ryz: --%s wants %s%s%s%s\n    %s\n", option->name, option->value,
                      value ? ", not \"" : "", value ? value : "", value ? "\"" : "", option->help);
        return false;
    }
    return true;
}

enum ryz_status ryz_options_parse(const struct ryz_command_line *line, int argc, char *const *argv,
                                  const char **positional, uint32_t *positional_count)
{
    uint32_t count = 0;
    bool only_positional = false;
    for (int i = 1; i < argc; i++) {
        if (!only_positional && strcmp(argv[i], "--") == 0) {
            only_positional = true;
        } else if (!only_positional &&
                   (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)) {
            print_help(line);
            return RYZ_CANCELLED;
        } else if (!only_positional && strncmp(argv[i], "--", 2) == 0) {
            if (!read_option(line, argc, argv, &i)) return RYZ_INVALID;
        } else if (count < line->positional_max) {
            positional[count++] = argv[i];
        } else {
            (void)fprintf(stderr, "ryz: what is \"%s\"?\nusage: %s\n", argv[i], line->usage);
            return RYZ_INVALID;
        }
    }
    if (count < line->positional_min) {
        (void)fprintf(stderr, "usage: %s\n(--help tells more)\n", line->usage);
        return RYZ_INVALID;
    }
    if (positional_count != NULL) *positional_count = count;
    return RYZ_OK;
}

bool ryz_option_is_word(const char *name, const char *value, const char *words)
{
    size_t length = strlen(value);
    for (const char *at = words; *at != '\0' && length > 0;) {
        size_t word = strcspn(at, " ");
        if (word == length && memcmp(at, value, length) == 0) return true;
        at += word;
        at += strspn(at, " ");
    }
    char near[64];
    struct ryz_suggest suggest;
    ryz_suggest_init(&suggest, value);
    ryz_suggest_offer_list(&suggest, words);
    (void)fprintf(stderr, "ryz: --%s: \"%s\" is none of: %s%s\n", name, value, words,
                  ryz_suggest_text(&suggest, near, sizeof near));
    return false;
}
