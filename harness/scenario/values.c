/*
 * values.c - the plain types: text, words, numbers with units.
 *
 * Leaves to others: types with a grammar of their own (compound.c). The idea: numbers all pass
 * through ryz_value_number, which applies unit and range from the key's row, so that no key can
 * forget them.
 */
#include "harness/scenario/values.h"

#include "engine/base/assert.h"
#include "engine/base/suggest.h"
#include "engine/base/units.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

bool ryz_value_next_word(const char **list, char *word, size_t capacity)
{
    const char *at = *list + strspn(*list, " \t");
    size_t length = strcspn(at, " \t");
    *list = at + length;
    if (length == 0) return false;
    (void)snprintf(word, capacity, "%.*s", (int)length, at);
    return true;
}

int ryz_value_index_of(const char *list, const char *word)
{
    char candidate[64];
    for (int i = 0; ryz_value_next_word(&list, candidate, sizeof candidate); i++) {
        if (strcmp(candidate, word) == 0) return i;
    }
    return -1;
}

static enum ryz_unit_kind unit_kind(enum ryz_value_type type)
{
    switch (type) {
    case RYZ_VALUE_TIME:
        return RYZ_UNIT_TIME;
    case RYZ_VALUE_RATE:
        return RYZ_UNIT_RATE;
    case RYZ_VALUE_FACTOR:
    case RYZ_VALUE_SHARE:
        return RYZ_UNIT_RATIO;
    case RYZ_VALUE_BYTES:
        return RYZ_UNIT_BYTES;
    case RYZ_VALUE_TOKENS:
    case RYZ_VALUE_DIST:
        return RYZ_UNIT_TOKENS;
    default:
        return RYZ_UNIT_COUNT;
    }
}

static bool is_whole(enum ryz_value_type type)
{
    return type == RYZ_VALUE_COUNT || type == RYZ_VALUE_TOKENS || type == RYZ_VALUE_DIST;
}

enum ryz_status ryz_value_number(const char *text, const struct ryz_key *key, double *value,
                                 struct ryz_error *error)
{
    enum ryz_unit_kind kind = unit_kind(key->type);
    double number = 0.0;
    /* "speed = 0.25" is as clear as "0.25 x". */
    bool plain = key->type == RYZ_VALUE_FACTOR && text[strspn(text, "0123456789.")] == '\0';
    enum ryz_status status = ryz_units_parse(text, plain ? RYZ_UNIT_COUNT : kind, &number, error);
    if (status != RYZ_OK) return status;
    if (is_whole(key->type) && number != floor(number))
        return ryz_fail(error, RYZ_INVALID, "\"%.40s\" is not a whole number", text);
    if (key->low == key->high && number != key->low)
        return ryz_fail(error, RYZ_INVALID, "\"%.40s\" is not %.0f", text, key->low);
    if (number < key->low || number > key->high) {
        char low[32], high[32];
        ryz_units_format(key->low, kind, low, sizeof low);
        ryz_units_format(key->high, kind, high, sizeof high);
        return ryz_fail(error, RYZ_INVALID, "\"%.40s\" is out of range: %s to %s", text, low, high);
    }
    *value = number;
    return RYZ_OK;
}

static enum ryz_status store_text(const struct ryz_key *key, const char *text, char *field,
                                  struct ryz_error *error)
{
    size_t length = strlen(text);
    if (length >= key->field_bytes)
        return ryz_fail(error, RYZ_INVALID, "longer than %zu bytes", key->field_bytes - 1);
    memcpy(field, text, length + 1);
    return RYZ_OK;
}

static enum ryz_status store_name(const struct ryz_key *key, const char *text, char *field,
                                  struct ryz_error *error)
{
    if (text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_")] != '\0')
        return ryz_fail(error, RYZ_INVALID, "\"%.40s\" is no name: only a-z, 0-9 and _ may be used",
                        text);
    return store_text(key, text, field, error);
}

/* Says which words there are, and which one was probably meant. */
static enum ryz_status refuse_word(const char *words, const char *text, struct ryz_error *error)
{
    char hint[RYZ_SUGGEST_WORD_MAX + 32];
    struct ryz_suggest suggest;
    ryz_suggest_init(&suggest, text);
    ryz_suggest_offer_list(&suggest, words);
    return ryz_fail(error, RYZ_INVALID, "\"%.40s\" is none of: %s%s", text, words,
                    ryz_suggest_text(&suggest, hint, sizeof hint));
}

static enum ryz_status store_word(const struct ryz_key *key, const char *text, char *field,
                                  struct ryz_error *error)
{
    if (ryz_value_index_of(key->words, text) < 0) return refuse_word(key->words, text, error);
    return store_text(key, text, field, error);
}

static enum ryz_status store_words(const struct ryz_key *key, const char *text, char *field,
                                   struct ryz_error *error)
{
    char word[64];
    for (const char *list = text; ryz_value_next_word(&list, word, sizeof word);) {
        if (ryz_value_index_of(key->words, word) < 0) return refuse_word(key->words, word, error);
    }
    return store_text(key, text, field, error);
}

static enum ryz_status store_enum(const struct ryz_key *key, const char *text, void *field,
                                  struct ryz_error *error)
{
    int index = ryz_value_index_of(key->words, text);
    if (index < 0) return refuse_word(key->words, text, error);
    RYZ_ASSERT(key->field_bytes == sizeof index); /* enums and int32_t alike */
    memcpy(field, &index, sizeof index);
    return RYZ_OK;
}

static enum ryz_status store_bool(const struct ryz_key *key, const char *text, bool *field,
                                  struct ryz_error *error)
{
    const char *words = key->words[0] != '\0' ? key->words : "off on no yes";
    int index = ryz_value_index_of(words, text);
    if (index < 0) return refuse_word(words, text, error);
    *field = index % 2 == 1;
    return RYZ_OK;
}

/* Digits only: a double could not hold every seed. */
static enum ryz_status store_seed(const char *text, uint64_t *field, struct ryz_error *error)
{
    uint64_t value = 0;
    bool good = text[0] != '\0';
    for (const char *at = text; good && *at != '\0'; at++) {
        good = *at >= '0' && *at <= '9' && !__builtin_mul_overflow(value, UINT64_C(10), &value) &&
               !__builtin_add_overflow(value, (uint64_t)(*at - '0'), &value);
    }
    if (!good)
        return ryz_fail(error, RYZ_INVALID,
                        "\"%.40s\" is no seed: a whole number up to 18446744073709551615", text);
    *field = value;
    return RYZ_OK;
}

static enum ryz_status store_number(const struct ryz_key *key, const char *text, void *field,
                                    struct ryz_error *error)
{
    double value = 0.0;
    if (key->words[0] == '\0' || strcmp(text, key->words) != 0) {
        enum ryz_status status = ryz_value_number(text, key, &value, error);
        if (status != RYZ_OK) return status;
    }
    if (key->type == RYZ_VALUE_RATE || key->type == RYZ_VALUE_FACTOR) {
        *(double *)field = value;
    } else if (key->type == RYZ_VALUE_TIME) {
        *(int64_t *)field = (int64_t)llround(value);
    } else if (key->type == RYZ_VALUE_BYTES) {
        *(uint64_t *)field = (uint64_t)llround(value);
    } else if (key->type == RYZ_VALUE_SHARE) {
        *(uint32_t *)field = (uint32_t)lround(value * 1000.0);
    } else {
        *(uint32_t *)field = (uint32_t)value;
    }
    return RYZ_OK;
}

static enum ryz_status store_point(const char *text, enum ryz_fault_point *field,
                                   struct ryz_error *error)
{
    if (ryz_fault_point_parse(text, field)) return RYZ_OK;
    char words[192] = "";
    for (unsigned i = 0; i < RYZ_FAULT_POINT_COUNT; i++) {
        size_t used = strlen(words);
        (void)snprintf(words + used, sizeof words - used, "%s%s", i > 0 ? " " : "",
                       ryz_fault_point_name((enum ryz_fault_point)i));
    }
    return refuse_word(words, text, error);
}

static enum ryz_status store_compound(const struct ryz_key *key, const char *text, void *base,
                                      struct ryz_error *error)
{
    void *field = (char *)base + key->offset;
    switch (key->type) {
    case RYZ_VALUE_DIST:
        return ryz_value_dist(text, key, field, error);
    case RYZ_VALUE_SLO:
        return ryz_value_slo(text, field, error);
    case RYZ_VALUE_MEMORY:
        return ryz_value_memory(text, field, error);
    case RYZ_VALUE_SHARES:
        return ryz_value_kv_shares(text, field, error);
    case RYZ_VALUE_WINDOW:
        return ryz_value_window(text, field, error);
    case RYZ_VALUE_POINT:
        return store_point(text, field, error);
    case RYZ_VALUE_ACTION:
        return ryz_value_action(text, base, error);
    default:
        return store_number(key, text, field, error);
    }
}

enum ryz_status ryz_value_set(const struct ryz_key *key, const char *text, void *base,
                              struct ryz_error *error)
{
    void *field = (char *)base + key->offset;
    if (text[0] == '\0') return ryz_fail(error, RYZ_INVALID, "there is no value");
    switch (key->type) {
    case RYZ_VALUE_TEXT:
    case RYZ_VALUE_FILES:
    case RYZ_VALUE_PATH:
        return store_text(key, text, field, error);
    case RYZ_VALUE_NAME:
        return store_name(key, text, field, error);
    case RYZ_VALUE_WORD:
        return store_word(key, text, field, error);
    case RYZ_VALUE_WORDS:
        return store_words(key, text, field, error);
    case RYZ_VALUE_ENUM:
        return store_enum(key, text, field, error);
    case RYZ_VALUE_BOOL:
        return store_bool(key, text, field, error);
    case RYZ_VALUE_SEED:
        return store_seed(text, field, error);
    default:
        return store_compound(key, text, base, error);
    }
}
