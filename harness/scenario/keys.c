/* keys.c - the rows of keys.h as data, and looking them up. */
#include "harness/scenario/keys.h"

#include "engine/base/size.h"

#include <string.h>

static const struct ryz_key keys[] = {
#define X(section, key, type, holder, field, fallback, low, high, words, help)                     \
    {#key,                                                                                         \
     RYZ_SECTION_##section,                                                                        \
     RYZ_VALUE_##type,                                                                             \
     offsetof(struct holder, field),                                                               \
     sizeof(((struct holder *)0)->field),                                                          \
     fallback,                                                                                     \
     low,                                                                                          \
     high,                                                                                         \
     words,                                                                                        \
     help},
    RYZ_KEY_TABLE(X)
#undef X
};

static const struct {
    const char *name;
    bool named;
    const char *help;
} sections[RYZ_SECTION_COUNT] = {
#define X(name, text, named, help) {text, named, help},
    RYZ_SECTION_TABLE(X)
#undef X
};

static const char *const type_texts[RYZ_VALUE_TYPE_COUNT] = {
#define X(name, text) text,
    RYZ_VALUE_TYPE_TABLE(X)
#undef X
};

const char *ryz_section_name(enum ryz_section section)
{
    return sections[section].name;
}

bool ryz_section_is_named(enum ryz_section section)
{
    return sections[section].named;
}

const char *ryz_section_help(enum ryz_section section)
{
    return sections[section].help;
}

bool ryz_section_parse(const char *name, size_t length, enum ryz_section *section)
{
    for (unsigned i = 0; i < RYZ_SECTION_COUNT; i++) {
        if (strlen(sections[i].name) == length && memcmp(sections[i].name, name, length) == 0) {
            *section = (enum ryz_section)i;
            return true;
        }
    }
    return false;
}

const struct ryz_key *ryz_key_at(size_t i)
{
    return i < RYZ_COUNT_OF(keys) ? &keys[i] : NULL;
}

const struct ryz_key *ryz_key_find(enum ryz_section section, const char *name)
{
    for (size_t i = 0; i < RYZ_COUNT_OF(keys); i++) {
        if (keys[i].section == section && strcmp(keys[i].name, name) == 0) return &keys[i];
    }
    return NULL;
}

const char *ryz_value_type_text(enum ryz_value_type type)
{
    return type_texts[type];
}
