/*
 * compound.c - values with a small grammar: length distributions, SLOs, windows, fault actions.
 *
 * Leaves to others: plain values (values.c). The idea: each is cut into pieces which are ordinary
 * quantities, so that units and messages are the same everywhere.
 */
#include "harness/scenario/values.h"

#include "engine/base/clock.h"
#include "engine/base/units.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define PIECE_MAX 64

/* Copies text[0 .. length) without the blanks around it; false if it is empty or too long. */
static bool trim(const char *text, size_t length, char piece[PIECE_MAX])
{
    while (length > 0 && (text[0] == ' ' || text[0] == '\t')) {
        text++;
        length--;
    }
    while (length > 0 && (text[length - 1] == ' ' || text[length - 1] == '\t')) length--;
    if (length == 0 || length >= PIECE_MAX) return false;
    memcpy(piece, text, length);
    piece[length] = '\0';
    return true;
}

/* Cuts "A .. B" into its two sides. */
static bool split_range(const char *text, char low[PIECE_MAX], char high[PIECE_MAX])
{
    const char *dots = strstr(text, "..");
    return dots != NULL && trim(text, (size_t)(dots - text), low) &&
           trim(dots + 2, strlen(dots + 2), high);
}

/* A time within the int64 range, in ns. */
static enum ryz_status parse_time(const char *text, int64_t *ns, struct ryz_error *error)
{
    double value = 0.0;
    enum ryz_status status = ryz_units_parse(text, RYZ_UNIT_TIME, &value, error);
    if (status != RYZ_OK) return status;
    if (value > 1e18) return ryz_fail(error, RYZ_INVALID, "\"%.40s\" is too long a time", text);
    *ns = (int64_t)llround(value);
    return RYZ_OK;
}

static enum ryz_status parse_tokens(const char *text, const struct ryz_key *key, uint32_t *tokens,
                                    struct ryz_error *error)
{
    double value = 0.0;
    enum ryz_status status = ryz_value_number(text, key, &value, error);
    if (status == RYZ_OK) *tokens = (uint32_t)value;
    return status;
}

static enum ryz_status parse_fixed(const char *text, const struct ryz_key *key,
                                   struct ryz_length_dist *dist, struct ryz_error *error)
{
    enum ryz_status status = parse_tokens(text, key, &dist->min, error);
    if (status != RYZ_OK) return status;
    dist->kind = RYZ_LENGTH_FIXED;
    dist->max = dist->min;
    dist->mean = dist->min;
    return RYZ_OK;
}

static enum ryz_status parse_uniform(const char *text, const struct ryz_key *key,
                                     struct ryz_length_dist *dist, struct ryz_error *error)
{
    char low[PIECE_MAX], high[PIECE_MAX];
    if (!split_range(text, low, high))
        return ryz_fail(error, RYZ_INVALID, "a range is written like \"uniform 64..128\"");
    enum ryz_status status = parse_tokens(low, key, &dist->min, error);
    if (status == RYZ_OK) status = parse_tokens(high, key, &dist->max, error);
    if (status != RYZ_OK) return status;
    if (dist->min > dist->max)
        return ryz_fail(error, RYZ_INVALID, "the range %u..%u is empty", dist->min, dist->max);
    dist->kind = RYZ_LENGTH_UNIFORM;
    dist->mean = (dist->min + (double)dist->max) / 2.0;
    return RYZ_OK;
}

/* One "name=value" of a lognormal; `seen` gets a bit for each. */
static enum ryz_status parse_lognormal_part(const char *word, const struct ryz_key *key,
                                            struct ryz_length_dist *dist, unsigned *seen,
                                            struct ryz_error *error)
{
    static const char names[] = "mean sd min max";
    const char *equals = strchr(word, '=');
    char name[PIECE_MAX];
    int which = -1;
    if (equals != NULL && trim(word, (size_t)(equals - word), name))
        which = ryz_value_index_of(names, name);
    if (which < 0)
        return ryz_fail(error, RYZ_INVALID,
                        "\"%.40s\" is not part of \"lognormal mean=180 sd=90 min=1 max=512\"",
                        word);
    if ((*seen & 1u << which) != 0)
        return ryz_fail(error, RYZ_INVALID, "\"%.40s\" is given twice", name);
    *seen |= 1u << which;
    if (which >= 2)
        return parse_tokens(equals + 1, key, which == 2 ? &dist->min : &dist->max, error);
    double *value = which == 0 ? &dist->mean : &dist->sd;
    enum ryz_status status = ryz_units_parse(equals + 1, RYZ_UNIT_TOKENS, value, error);
    if (status != RYZ_OK) return status;
    if (*value <= 0.0 || *value > key->high)
        return ryz_fail(error, RYZ_INVALID, "\"%.40s\" is out of range: above 0, up to %.0f", word,
                        key->high);
    return RYZ_OK;
}

static enum ryz_status parse_lognormal(const char *text, const struct ryz_key *key,
                                       struct ryz_length_dist *dist, struct ryz_error *error)
{
    char word[PIECE_MAX];
    unsigned seen = 0;
    dist->kind = RYZ_LENGTH_LOGNORMAL;
    dist->min = (uint32_t)key->low;
    while (ryz_value_next_word(&text, word, sizeof word)) {
        enum ryz_status status = parse_lognormal_part(word, key, dist, &seen, error);
        if (status != RYZ_OK) return status;
    }
    if ((seen & 0xbu) != 0xbu) /* mean, sd, max */
        return ryz_fail(error, RYZ_INVALID,
                        "a lognormal needs mean, sd and max: \"lognormal mean=180 sd=90 max=512\"");
    if (dist->min > dist->max)
        return ryz_fail(error, RYZ_INVALID, "min=%u is above max=%u", dist->min, dist->max);
    if (dist->mean < dist->min || dist->mean > dist->max)
        return ryz_fail(error, RYZ_INVALID, "mean=%.9g lies outside %u..%u, where it is clipped",
                        dist->mean, dist->min, dist->max);
    return RYZ_OK;
}

enum ryz_status ryz_value_dist(const char *text, const struct ryz_key *key,
                               struct ryz_length_dist *dist, struct ryz_error *error)
{
    struct ryz_length_dist result = {.kind = RYZ_LENGTH_FIXED};
    char kind[PIECE_MAX] = "";
    const char *rest = text;
    (void)ryz_value_next_word(&rest, kind, sizeof kind);
    rest += strspn(rest, " \t");
    enum ryz_status status = RYZ_INVALID;
    if (strcmp(kind, "fixed") == 0) {
        status = parse_fixed(rest, key, &result, error);
    } else if (strcmp(kind, "uniform") == 0) {
        status = parse_uniform(rest, key, &result, error);
    } else if (strcmp(kind, "lognormal") == 0) {
        status = parse_lognormal(rest, key, &result, error);
    } else {
        return ryz_fail(error, RYZ_INVALID,
                        "\"%.40s\" is no length: write \"fixed 256\", \"uniform 64..128\" or "
                        "\"lognormal mean=180 sd=90 max=512\"",
                        text);
    }
    if (status == RYZ_OK) *dist = result;
    return status;
}

enum ryz_status ryz_value_slo(const char *text, struct ryz_slo *slo, struct ryz_error *error)
{
    struct ryz_slo result = {RYZ_TIME_NEVER, RYZ_TIME_NEVER, RYZ_TIME_NEVER};
    int64_t *const fields[] = {&result.ttft_ns, &result.tpot_ns, &result.e2e_ns};
    char word[PIECE_MAX], name[PIECE_MAX];
    if (strcmp(text, "none") == 0) {
        *slo = result;
        return RYZ_OK;
    }
    while (ryz_value_next_word(&text, word, sizeof word)) {
        const char *op = strstr(word, "<=");
        int which = -1;
        if (op != NULL && trim(word, (size_t)(op - word), name))
            which = ryz_value_index_of("ttft tpot e2e", name);
        if (which < 0)
            return ryz_fail(error, RYZ_INVALID,
                            "\"%.40s\" is no objective: write \"ttft<=400ms tpot<=80ms e2e<=8s\", "
                            "without blanks inside each",
                            word);
        if (*fields[which] != RYZ_TIME_NEVER)
            return ryz_fail(error, RYZ_INVALID, "%s is given twice", name);
        enum ryz_status status = parse_time(op + 2, fields[which], error);
        if (status != RYZ_OK) return status;
        if (*fields[which] == 0)
            return ryz_fail(error, RYZ_INVALID, "\"%.40s\" can never be met", word);
    }
    *slo = result;
    return RYZ_OK;
}

enum ryz_status ryz_value_window(const char *text, int64_t window[2], struct ryz_error *error)
{
    char low[PIECE_MAX], high[PIECE_MAX];
    int64_t begin_ns = 0, end_ns = RYZ_TIME_NEVER;
    if (strcmp(text, "all") != 0) {
        if (!split_range(text, low, high))
            return ryz_fail(error, RYZ_INVALID,
                            "\"%.40s\" is no window: write \"0 s .. 300 s\" or \"all\"", text);
        enum ryz_status status = parse_time(low, &begin_ns, error);
        if (status == RYZ_OK) status = parse_time(high, &end_ns, error);
        if (status != RYZ_OK) return status;
        if (begin_ns >= end_ns)
            return ryz_fail(error, RYZ_INVALID, "the window \"%.40s\" is empty", text);
    }
    window[0] = begin_ns;
    window[1] = end_ns;
    return RYZ_OK;
}

bool ryz_value_action_has_share(const char *text)
{
    return strchr(text, '%') != NULL;
}

static enum ryz_status parse_share(const char *text, uint32_t *permille, struct ryz_error *error)
{
    double share = 1.0;
    if (text[0] != '\0') {
        enum ryz_status status = ryz_units_parse(text, RYZ_UNIT_RATIO, &share, error);
        if (status != RYZ_OK) return status;
    }
    if (share < 0.001 || share > 1.0)
        return ryz_fail(error, RYZ_INVALID, "\"%.40s\" is out of range: 0.1 %% to 100 %%", text);
    *permille = (uint32_t)lround(share * 1000.0);
    return RYZ_OK;
}

static enum ryz_status parse_delay(const char *text, int64_t *ns, struct ryz_error *error)
{
    enum ryz_status status = parse_time(text, ns, error);
    if (status != RYZ_OK) return status;
    if (*ns < 1 || *ns > 600 * RYZ_NS_PER_S)
        return ryz_fail(error, RYZ_INVALID, "\"%.40s\" is out of range: 1 ns to 10 min", text);
    return RYZ_OK;
}

enum ryz_status ryz_value_action(const char *text, struct ryz_fault *fault, struct ryz_error *error)
{
    /* Two names for one action each: what a person calls it depends on the place. */
    static const enum ryz_fault_action actions[] = {RYZ_FAULT_DELAY,      RYZ_FAULT_FAIL,
                                                    RYZ_FAULT_FAIL,       RYZ_FAULT_DISCONNECT,
                                                    RYZ_FAULT_DISCONNECT, RYZ_FAULT_KILL};
    char verb[PIECE_MAX] = "";
    const char *rest = text;
    (void)ryz_value_next_word(&rest, verb, sizeof verb);
    rest += strspn(rest, " \t");
    int which = ryz_value_index_of("delay fail error disconnect reset kill", verb);
    if (which < 0)
        return ryz_fail(error, RYZ_INVALID,
                        "\"%.40s\" is no action: write \"delay 40 ms\", \"fail 30 %%\", "
                        "\"error 60 %%\", \"disconnect 50 %%\" or \"kill\"",
                        text);
    uint32_t permille = 1000;
    int64_t value_ns = 0;
    enum ryz_status status = RYZ_OK;
    if (actions[which] == RYZ_FAULT_DELAY) {
        status = parse_delay(rest, &value_ns, error);
    } else if (actions[which] != RYZ_FAULT_KILL) {
        status = parse_share(rest, &permille, error);
    } else if (rest[0] != '\0') {
        status = ryz_fail(error, RYZ_INVALID, "\"kill\" stands alone (it is always SIGKILL)");
    }
    if (status != RYZ_OK) return status;
    fault->action = actions[which];
    fault->permille = permille;
    fault->value_ns = value_ns;
    return RYZ_OK;
}

/* "name@40%" to one share more. */
static enum ryz_status add_share(const char *word, struct ryz_kv_shares_plan *shares,
                                 struct ryz_error *error)
{
    const char *at = strchr(word, '@');
    size_t length = at != NULL ? (size_t)(at - word) : 0;
    double share = 0.0;
    if (length == 0 || length >= RYZ_NAME_MAX)
        return ryz_fail(error, RYZ_INVALID, "\"%.40s\" is no share of a tenant: write name@40%%",
                        word);
    enum ryz_status status = ryz_units_parse(at + 1, RYZ_UNIT_RATIO, &share, error);
    if (status != RYZ_OK) return status;
    if (share < 0.001 || share > 1.0)
        return ryz_fail(error, RYZ_INVALID, "\"%.40s\": a share is 0.1 %% to 100 %%", word);
    if (shares->count == RYZ_KV_SHARES_PLAN_MAX)
        return ryz_fail(error, RYZ_INVALID, "more than %u tenants", RYZ_KV_SHARES_PLAN_MAX);
    for (uint32_t i = 0; i < shares->count; i++)
        if (strlen(shares->of[i].tenant) == length &&
            memcmp(shares->of[i].tenant, word, length) == 0)
            return ryz_fail(error, RYZ_INVALID, "%s is given twice", shares->of[i].tenant);
    memcpy(shares->of[shares->count].tenant, word, length);
    shares->of[shares->count++].permille = (uint16_t)lround(1000.0 * share);
    return RYZ_OK;
}

enum ryz_status ryz_value_kv_shares(const char *text, struct ryz_kv_shares_plan *shares,
                                    struct ryz_error *error)
{
    struct ryz_kv_shares_plan result = {0};
    uint32_t permille = 0;
    char word[PIECE_MAX];
    for (size_t length; strcmp(text, "none") != 0; text += length) {
        text += strspn(text, " \t,");
        length = strcspn(text, " \t,");
        if (length == 0) break;
        if (!trim(text, length, word))
            return ryz_fail(error, RYZ_INVALID, "\"%.40s\" is too long", text);
        enum ryz_status status = add_share(word, &result, error);
        if (status != RYZ_OK) return status;
    }
    for (uint32_t i = 0; i < result.count; i++) permille += result.of[i].permille;
    if (permille > 1000)
        return ryz_fail(error, RYZ_INVALID, "shares of %.1f %% together", permille / 10.0);
    *shares = result;
    return RYZ_OK;
}

enum ryz_status ryz_value_memory(const char *text, struct ryz_memory_plan *memory,
                                 struct ryz_error *error)
{
    double value = 0.0;
    bool share = strchr(text, '%') != NULL;
    if (strcmp(text, "none") == 0) {
        *memory = (struct ryz_memory_plan){0};
        return RYZ_OK;
    }
    enum ryz_status status =
        ryz_units_parse(text, share ? RYZ_UNIT_RATIO : RYZ_UNIT_BYTES, &value, error);
    if (status != RYZ_OK) return status;
    if (share && (value < 0.001 || value > 1.0))
        return ryz_fail(error, RYZ_INVALID, "\"%.40s\": a share of memory is 0.1 %% to 100 %%",
                        text);
    if (!share && (value < 1 << 20 || value > 1e15))
        return ryz_fail(error, RYZ_INVALID, "\"%.40s\": memory is at least 1 MiB", text);
    *memory = share ? (struct ryz_memory_plan){.permille = (uint32_t)lround(1000.0 * value)}
                    : (struct ryz_memory_plan){.bytes = (uint64_t)value};
    return RYZ_OK;
}
