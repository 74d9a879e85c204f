/*
 * request_fields.c - the fields of a request, one row each.
 *
 * Leaves to others: the prompt (request_prompt.c) and what depends on several fields (request.c).
 * The idea: a field is read by a function or declared harmless; a field that is in no row is
 * refused by name, for a parameter that is silently ignored gives wrong measurements.
 */
#include "engine/api/request_parse.h"

#include "engine/api/tenants.h"
#include "engine/base/size.h"

#include <math.h>
#include <string.h>

typedef bool (*take_fn)(struct ryz_api_parse *parse, const char *name, const json_t *value);

#define WITHIN_MS_MAX 86400e3 /* of a deadline: a day */

#define IN_COMPLETIONS 1u
#define IN_CHAT        2u
#define IN_BOTH        3u

struct field {
    const char *name;
    unsigned int routes;
    take_fn take;
};

const char *ryz_api_type_name(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    case JSON_NULL:
        break;
    }
    return "null";
}

static bool wrong_type(struct ryz_api_parse *parse, const char *name, const char *want,
                       const json_t *value)
{
    return ryz_api_fail(parse->error, RYZ_API_BAD_TYPE, name, "'%s' must be %s, not %s.", name,
                        want, ryz_api_type_name(value));
}

static bool read_bool(struct ryz_api_parse *parse, const char *name, const json_t *value, bool *out)
{
    if (!json_is_boolean(value)) return wrong_type(parse, name, "a boolean", value);
    *out = json_is_true(value);
    return true;
}

static bool read_integer(struct ryz_api_parse *parse, const char *name, const json_t *value,
                         const json_int_t range[2], json_int_t *out)
{
    if (!json_is_integer(value)) return wrong_type(parse, name, "an integer", value);
    json_int_t number = json_integer_value(value);
    if (number < range[0] || number > range[1])
        return ryz_api_fail(parse->error, RYZ_API_BAD_VALUE, name,
                            "'%s' is %lld; it must be between %lld and %lld.", name,
                            (long long)number, (long long)range[0], (long long)range[1]);
    *out = number;
    return true;
}

static bool read_number(struct ryz_api_parse *parse, const char *name, const json_t *value,
                        const double range[2], float *out)
{
    if (!json_is_number(value)) return wrong_type(parse, name, "a number", value);
    double number = json_number_value(value);
    if (!(number >= range[0]) || !(number <= range[1]))
        return ryz_api_fail(parse->error, RYZ_API_BAD_VALUE, name,
                            "'%s' is %g; it must be between %g and %g.", name, number, range[0],
                            range[1]);
    *out = (float)number;
    return true;
}

/* Fields that shape the answer. */

static bool take_model(struct ryz_api_parse *parse, const char *name, const json_t *value)
{
    if (!json_is_string(value)) return wrong_type(parse, name, "a string", value);
    const char *model = json_string_value(value);
    if (strlen(model) == json_string_length(value) && strcmp(model, parse->rules->model_name) == 0)
        return true;
    return ryz_api_fail(parse->error, RYZ_API_NO_MODEL, name,
                        "The model '%.100s' does not exist; this server serves '%.100s'.", model,
                        parse->rules->model_name);
}

static bool take_prompt(struct ryz_api_parse *parse, const char *name, const json_t *value)
{
    (void)name;
    parse->prompt = value;
    return true;
}

static bool take_stream(struct ryz_api_parse *parse, const char *name, const json_t *value)
{
    return read_bool(parse, name, value, &parse->request->stream);
}

static bool take_stream_options(struct ryz_api_parse *parse, const char *name, const json_t *value)
{
    if (!json_is_object(value)) return wrong_type(parse, name, "an object", value);
    parse->has_stream_options = true;
    void *iterator = json_object_iter(json_object_get(parse->request->body, name));
    json_t *options = json_object_get(parse->request->body, name);
    for (; iterator != NULL; iterator = json_object_iter_next(options, iterator)) {
        const char *key = json_object_iter_key(iterator);
        const json_t *option = json_object_iter_value(iterator);
        bool ignored = false;
        bool *out = strcmp(key, "include_usage") == 0         ? &parse->request->include_usage
                    : strcmp(key, "include_obfuscation") == 0 ? &ignored
                                                              : NULL;
        if (out == NULL)
            return ryz_api_fail(parse->error, RYZ_API_UNKNOWN, name,
                                "Unknown key '%.60s' in 'stream_options'.", key);
        if (!json_is_null(option) && !read_bool(parse, name, option, out)) return false;
    }
    return true;
}

static bool take_max_tokens(struct ryz_api_parse *parse, const char *name, const json_t *value)
{
    /* The upper bound is the context's business: it has an error of its own. */
    static const json_int_t range[2] = {1, INT32_MAX};
    json_int_t number = 0;
    if (!read_integer(parse, name, value, range, &number)) return false;
    uint32_t *out = &parse->request->generate.max_tokens;
    if (parse->has_max_tokens && *out != (uint32_t)number)
        return ryz_api_fail(parse->error, RYZ_API_BAD_VALUE, name,
                            "'max_tokens' and 'max_completion_tokens' differ; send one of them.");
    *out = (uint32_t)number;
    parse->has_max_tokens = true;
    return true;
}

static bool take_temperature(struct ryz_api_parse *parse, const char *name, const json_t *value)
{
    static const double range[2] = {0, 2};
    return read_number(parse, name, value, range, &parse->request->generate.sampling.temperature);
}

static bool take_top_p(struct ryz_api_parse *parse, const char *name, const json_t *value)
{
    static const double range[2] = {0, 1};
    float *out = &parse->request->generate.sampling.top_p;
    if (!read_number(parse, name, value, range, out)) return false;
    /* OpenAI allows 0, which keeps the most probable token only; the sampler wants a positive
     * number, and the smallest one keeps the same token. */
    if (*out <= 0.0f) *out = 1e-30f;
    return true;
}

static bool take_min_p(struct ryz_api_parse *parse, const char *name, const json_t *value)
{
    static const double range[2] = {0, 1};
    return read_number(parse, name, value, range, &parse->request->generate.sampling.min_p);
}

static bool take_top_k(struct ryz_api_parse *parse, const char *name, const json_t *value)
{
    static const json_int_t range[2] = {-1, INT32_MAX}; /* vLLM writes "off" as -1 */
    json_int_t number = 0;
    if (!read_integer(parse, name, value, range, &number)) return false;
    parse->request->generate.sampling.top_k = number < 0 ? 0 : (uint32_t)number;
    return true;
}

static bool take_seed(struct ryz_api_parse *parse, const char *name, const json_t *value)
{
    if (!json_is_integer(value)) return wrong_type(parse, name, "an integer", value);
    parse->request->generate.sampling.seed = (uint64_t)json_integer_value(value);
    parse->has_seed = true;
    return true;
}

static bool add_stop(struct ryz_api_parse *parse, const char *name, const json_t *value)
{
    struct ryz_generate *generate = &parse->request->generate;
    if (!json_is_string(value)) return wrong_type(parse, name, "a string or strings", value);
    const char *text = json_string_value(value);
    size_t length = json_string_length(value);
    if (length == 0 || length > RYZ_STOP_BYTES_MAX || strlen(text) != length)
        return ryz_api_fail(parse->error, RYZ_API_BAD_VALUE, name,
                            "A stop string has 1 to %u bytes and no NUL; this one has %zu.",
                            RYZ_STOP_BYTES_MAX, length);
    if (generate->stop_count == RYZ_STOPS_MAX)
        return ryz_api_fail(parse->error, RYZ_API_BAD_VALUE, name, "'stop' holds up to %u strings.",
                            RYZ_STOPS_MAX);
    generate->stops[generate->stop_count++] = text;
    return true;
}

static bool take_stop(struct ryz_api_parse *parse, const char *name, const json_t *value)
{
    if (!json_is_array(value)) return add_stop(parse, name, value);
    for (size_t i = 0; i < json_array_size(value); i++) {
        if (!add_stop(parse, name, json_array_get(value, i))) return false;
    }
    return true;
}

static bool take_choices(struct ryz_api_parse *parse, const char *name, const json_t *value)
{
    static const json_int_t range[2] = {1, RYZ_CHOICES_MAX};
    json_int_t number = 0;
    if (!read_integer(parse, name, value, range, &number)) return false;
    parse->request->generate.choices = (uint32_t)number;
    return true;
}

static bool take_ignore_eos(struct ryz_api_parse *parse, const char *name, const json_t *value)
{
    return read_bool(parse, name, value, &parse->request->generate.ignore_eos);
}

static bool take_priority(struct ryz_api_parse *parse, const char *name, const json_t *value)
{
    static const json_int_t range[2] = {0, UINT8_MAX};
    json_int_t number = 0;
    if (!read_integer(parse, name, value, range, &number)) return false;
    parse->request->generate.priority = (uint8_t)number;
    return true;
}

static bool take_tenant(struct ryz_api_parse *parse, const char *name, const json_t *value)
{
    if (!json_is_string(value)) return wrong_type(parse, name, "a string", value);
    const char *text = json_string_value(value);
    if (!ryz_tenant_name_valid(text, json_string_length(value)))
        return ryz_api_fail(parse->error, RYZ_API_BAD_VALUE, name,
                            "'%s' has 1 to %u characters of " RYZ_TENANT_CHARACTERS ".", name,
                            RYZ_TENANT_BYTES_MAX);
    parse->request->tenant = text;
    return true;
}

/* A time from the request's arrival on. */
static bool read_within(struct ryz_api_parse *parse, const char *name, const json_t *value,
                        int64_t *out_ns)
{
    if (!json_is_number(value)) return wrong_type(parse, name, "a number", value);
    double ms = json_number_value(value);
    if (!(ms > 0.0) || !(ms <= WITHIN_MS_MAX))
        return ryz_api_fail(parse->error, RYZ_API_BAD_VALUE, name,
                            "'%s' is %g; it is in milliseconds, above 0 and at most %.0f.", name,
                            ms, WITHIN_MS_MAX);
    int64_t ns = (int64_t)(ms * 1e6);
    *out_ns = ns > 0 ? ns : 1;
    return true;
}

static bool take_first_deadline(struct ryz_api_parse *parse, const char *name, const json_t *value)
{
    return read_within(parse, name, value, &parse->request->first_within_ns);
}

static bool take_deadline(struct ryz_api_parse *parse, const char *name, const json_t *value)
{
    return read_within(parse, name, value, &parse->request->end_within_ns);
}

static bool take_return_token_ids(struct ryz_api_parse *parse, const char *name,
                                  const json_t *value)
{
    return read_bool(parse, name, value, &parse->request->return_token_ids);
}

/* /v1/completions: how many alternatives beside the chosen token's log-probability. */
static bool take_logprob_count(struct ryz_api_parse *parse, const char *name, const json_t *value)
{
    static const json_int_t range[2] = {0, RYZ_COMPLETION_LOGPROBS_MAX};
    json_int_t number = 0;
    if (!read_integer(parse, name, value, range, &number)) return false;
    parse->request->generate.wants_logprobs = true;
    parse->request->generate.top_logprobs = (uint32_t)number;
    return true;
}

/* /v1/chat/completions: whether, and then how many. */
static bool take_logprob_flag(struct ryz_api_parse *parse, const char *name, const json_t *value)
{
    return read_bool(parse, name, value, &parse->request->generate.wants_logprobs);
}

static bool take_top_logprobs(struct ryz_api_parse *parse, const char *name, const json_t *value)
{
    static const json_int_t range[2] = {0, RYZ_TOP_LOGPROBS_MAX};
    json_int_t number = 0;
    if (!read_integer(parse, name, value, range, &number)) return false;
    parse->request->generate.top_logprobs = (uint32_t)number;
    parse->has_top_logprobs = true;
    return true;
}

/* Fields that may only say "off". */

static bool off_unless(struct ryz_api_parse *parse, const char *name, bool off, const char *allowed)
{
    if (off) return true;
    return ryz_api_fail(parse->error, RYZ_API_UNSUPPORTED, name,
                        "'%s' is not supported by this server; leave it out or send %s.", name,
                        allowed);
}

static bool take_one(struct ryz_api_parse *parse, const char *name, const json_t *value)
{
    if (!json_is_number(value)) return wrong_type(parse, name, "a number", value);
    return off_unless(parse, name, json_number_value(value) == 1.0, "1");
}

static bool take_zero(struct ryz_api_parse *parse, const char *name, const json_t *value)
{
    if (!json_is_number(value)) return wrong_type(parse, name, "a number", value);
    return off_unless(parse, name, json_number_value(value) == 0.0, "0");
}

static bool take_false(struct ryz_api_parse *parse, const char *name, const json_t *value)
{
    if (!json_is_boolean(value)) return wrong_type(parse, name, "a boolean", value);
    return off_unless(parse, name, json_is_false(value), "false");
}

static bool take_empty(struct ryz_api_parse *parse, const char *name, const json_t *value)
{
    bool empty = (json_is_object(value) && json_object_size(value) == 0) ||
                 (json_is_array(value) && json_array_size(value) == 0) ||
                 (json_is_string(value) && json_string_length(value) == 0);
    return off_unless(parse, name, empty, "an empty value");
}

static bool string_is(const json_t *value, const char *text)
{
    return json_is_string(value) && strcmp(json_string_value(value), text) == 0;
}

/* Without tools, "auto" and "none" mean the same. */
static bool take_tool_choice(struct ryz_api_parse *parse, const char *name, const json_t *value)
{
    bool off = string_is(value, "none") || string_is(value, "auto");
    return off_unless(parse, name, off, "\"none\"");
}

static bool take_response_format(struct ryz_api_parse *parse, const char *name, const json_t *value)
{
    if (!json_is_object(value)) return wrong_type(parse, name, "an object", value);
    bool text = json_object_size(value) == 1 && string_is(json_object_get(value, "type"), "text");
    return off_unless(parse, name, text, "{\"type\":\"text\"}");
}

static bool take_modalities(struct ryz_api_parse *parse, const char *name, const json_t *value)
{
    bool text = json_is_array(value) && json_array_size(value) == 1 &&
                string_is(json_array_get(value, 0), "text");
    return off_unless(parse, name, text, "[\"text\"]");
}

/* Names, bills or stores; changes no answer. */
static bool take_ignored(struct ryz_api_parse *parse, const char *name, const json_t *value)
{
    (void)parse, (void)name, (void)value;
    return true;
}

static const struct field fields[] = {
    {"model", IN_BOTH, take_model},
    {"prompt", IN_COMPLETIONS, take_prompt},
    {"messages", IN_CHAT, take_prompt},
    {"stream", IN_BOTH, take_stream},
    {"stream_options", IN_BOTH, take_stream_options},
    {"max_tokens", IN_BOTH, take_max_tokens},
    {"max_completion_tokens", IN_BOTH, take_max_tokens},
    {"temperature", IN_BOTH, take_temperature},
    {"top_p", IN_BOTH, take_top_p},
    {"top_k", IN_BOTH, take_top_k},
    {"min_p", IN_BOTH, take_min_p},
    {"seed", IN_BOTH, take_seed},
    {"stop", IN_BOTH, take_stop},
    {"logprobs", IN_COMPLETIONS, take_logprob_count},
    {"logprobs", IN_CHAT, take_logprob_flag},
    {"top_logprobs", IN_CHAT, take_top_logprobs},
    {"n", IN_BOTH, take_choices},
    /* Ours and vLLM's. */
    {"ignore_eos", IN_BOTH, take_ignore_eos},
    {"priority", IN_BOTH, take_priority},
    {"tenant", IN_BOTH, take_tenant},
    {"ttft_deadline_ms", IN_BOTH, take_first_deadline},
    {"deadline_ms", IN_BOTH, take_deadline},
    {"return_token_ids", IN_BOTH, take_return_token_ids},
    {"repetition_penalty", IN_BOTH, take_one},
    /* OpenAI's, off only. */
    {"best_of", IN_COMPLETIONS, take_one},
    {"echo", IN_COMPLETIONS, take_false},
    {"suffix", IN_COMPLETIONS, take_empty},
    {"frequency_penalty", IN_BOTH, take_zero},
    {"presence_penalty", IN_BOTH, take_zero},
    {"logit_bias", IN_BOTH, take_empty},
    {"tools", IN_CHAT, take_empty},
    {"tool_choice", IN_CHAT, take_tool_choice},
    {"functions", IN_CHAT, take_empty},
    {"function_call", IN_CHAT, take_tool_choice},
    {"response_format", IN_CHAT, take_response_format},
    {"modalities", IN_CHAT, take_modalities},
    {"audio", IN_CHAT, take_empty},
    {"prediction", IN_CHAT, take_empty},
    {"web_search_options", IN_CHAT, take_empty},
    /* OpenAI's, without influence on the text. */
    {"user", IN_BOTH, take_ignored},
    {"metadata", IN_BOTH, take_ignored},
    {"store", IN_BOTH, take_ignored},
    {"service_tier", IN_BOTH, take_ignored},
    {"safety_identifier", IN_BOTH, take_ignored},
    {"prompt_cache_key", IN_BOTH, take_ignored},
    {"parallel_tool_calls", IN_CHAT, take_ignored},
};

const char *ryz_api_field_name(size_t i)
{
    return i < RYZ_COUNT_OF(fields) ? fields[i].name : NULL;
}

static const struct field *find_field(const char *name, unsigned int route)
{
    for (size_t i = 0; i < RYZ_COUNT_OF(fields); i++) {
        if ((fields[i].routes & route) != 0 && strcmp(fields[i].name, name) == 0) return &fields[i];
    }
    return NULL;
}

bool ryz_api_parse_fields(struct ryz_api_parse *parse, json_t *body)
{
    unsigned int route = parse->request->chat ? IN_CHAT : IN_COMPLETIONS;
    for (void *i = json_object_iter(body); i != NULL; i = json_object_iter_next(body, i)) {
        const char *name = json_object_iter_key(i);
        const json_t *value = json_object_iter_value(i);
        const struct field *field = find_field(name, route);
        if (field == NULL)
            return ryz_api_fail(parse->error, RYZ_API_UNKNOWN, name,
                                "Unrecognized request argument: '%.100s'.", name);
        /* OpenAI's clients send null for what was not set. */
        if (!json_is_null(value) && !field->take(parse, name, value)) return false;
    }
    return true;
}
