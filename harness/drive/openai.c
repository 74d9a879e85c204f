/*
 * openai.c - writes requests with base/json.h, reads answers with jansson.
 *
 * Leaves to others: HTTP and event framing. The idea: unknown members are ignored, known ones must
 * have the right type, so a foreign server's extras never break a run and nonsense never counts.
 */
#include "harness/drive/openai.h"

#include "engine/base/json.h"
#include "engine/base/rng.h"
#include "engine/base/size.h"
#include "engine/model/tokenizer.h"
#include "engine/runtime/engine.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Words that almost every English tokenizer knows as one token with the blank before them. */
static const char *const words[] = {
    " the",  " of",   " and",   " to",    " in",    " a",     " is",    " that",  " for",  " it",
    " was",  " on",   " with",  " as",    " be",    " at",    " by",    " this",  " had",  " not",
    " are",  " but",  " from",  " or",    " have",  " an",    " they",  " which", " one",  " you",
    " were", " her",  " all",   " she",   " there", " would", " their", " we",    " him",  " been",
    " has",  " when", " who",   " will",  " more",  " no",    " if",    " out",   " so",   " said",
    " what", " up",   " its",   " about", " into",  " than",  " them",  " can",   " only", " other",
    " new",  " some", " could", " time"};

static const char *spell(const struct ryz_openai_style *style, uint32_t id, size_t *length)
{
    if (style->tokenizer != NULL) return ryz_tokenizer_bytes(style->tokenizer, id, length);
    const char *word = words[ryz_rng_at(1, 0, id) % RYZ_COUNT_OF(words)];
    *length = strlen(word);
    return word;
}

/* The prompt as text, from malloc; invalid UTF-8 at its ends is the JSON writer's to replace. */
static char *spell_prompt(const struct ryz_openai_style *style, const struct ryz_ask *ask,
                          size_t *length)
{
    size_t bytes = 0, at = 0, n = 0;
    for (uint32_t i = 0; i < ask->prompt_tokens; i++) {
        (void)spell(style, ask->tokens[i], &n);
        bytes += n;
    }
    char *text = malloc(bytes + 1);
    if (text == NULL) return NULL;
    for (uint32_t i = 0; i < ask->prompt_tokens; i++) {
        const char *piece = spell(style, ask->tokens[i], &n);
        if (n > 0) memcpy(text + at, piece, n);
        at += n;
    }
    text[bytes] = '\0';
    *length = bytes;
    return text;
}

static void put_bool(struct ryz_json *json, const char *key, bool value)
{
    ryz_json_key(json, key);
    ryz_json_bool(json, value);
}

static void put_u64(struct ryz_json *json, const char *key, uint64_t value)
{
    ryz_json_key(json, key);
    ryz_json_u64(json, value);
}

/* Milliseconds that are left; what is over already is still a deadline, and so above 0. */
static void put_deadline(struct ryz_json *json, const char *key, int64_t deadline_ns,
                         int64_t now_ns)
{
    if (deadline_ns == 0) return;
    int64_t left_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 1;
    ryz_json_key(json, key);
    ryz_json_f64(json, (double)left_ns / 1e6);
}

/* What the scheduler decides by. Strict servers refuse members they do not know, and others refuse
 * priorities without a scheduler for them: these are sent where they say something. */
static void write_wishes(struct ryz_json *json, const struct ryz_ask *ask, int64_t now_ns)
{
    if (ask->priority != RYZ_PRIORITY_NORMAL) put_u64(json, "priority", ask->priority);
    const char *tenant = ask->tenant_name;
    if (tenant != NULL && tenant[0] != '\0' && strcmp(tenant, "default") != 0) {
        ryz_json_key(json, "tenant");
        ryz_json_string(json, tenant);
    }
    put_deadline(json, "ttft_deadline_ms", ask->first_deadline_ns, now_ns);
    put_deadline(json, "deadline_ms", ask->deadline_ns, now_ns);
}

/* `text`: the prompt where it is not sent as ids, else NULL. */
static void write_prompt(struct ryz_json *json, const struct ryz_ask *ask, const char *text,
                         size_t text_length)
{
    ryz_json_key(json, "prompt");
    if (text != NULL) {
        ryz_json_string_n(json, text, text_length);
        return;
    }
    ryz_json_array_begin(json);
    for (uint32_t i = 0; i < ask->prompt_tokens; i++) ryz_json_u64(json, ask->tokens[i]);
    ryz_json_array_end(json);
}

static void write_rest(struct ryz_json *json, const struct ryz_openai_style *style,
                       const struct ryz_ask *ask, int64_t now_ns)
{
    put_u64(json, "max_tokens", ask->output_tokens);
    put_u64(json, "temperature", 0);
    put_bool(json, "stream", true);
    ryz_json_key(json, "stream_options");
    ryz_json_object_begin(json);
    put_bool(json, "include_usage", true);
    ryz_json_object_end(json);
    if (ask->ignore_eos) put_bool(json, "ignore_eos", true);
    if (!style->text_prompts) put_bool(json, "return_token_ids", true);
    write_wishes(json, ask, now_ns);
}

char *ryz_openai_request(const struct ryz_openai_style *style, const struct ryz_ask *ask,
                         int64_t now_ns, size_t *length)
{
    char *text = NULL, *body = NULL;
    size_t text_length = 0, prompt_bytes = 0, capacity = 0;
    if (style->text_prompts) {
        text = spell_prompt(style, ask, &text_length);
        if (text == NULL) return NULL;
    }
    /* A byte of text becomes six at most (\u0001), an id ten digits and a comma. */
    bool fits = style->text_prompts ? ryz_mul_size(text_length, 6, &prompt_bytes)
                                    : ryz_mul_size(ask->prompt_tokens, 11, &prompt_bytes);
    fits = fits && ryz_add_size(prompt_bytes, 1024 + 6 * strlen(style->model), &capacity);
    if (fits) body = malloc(capacity);
    if (body != NULL) {
        struct ryz_json json;
        ryz_json_init(&json, body, capacity);
        ryz_json_object_begin(&json);
        ryz_json_key(&json, "model");
        ryz_json_string(&json, style->model);
        write_prompt(&json, ask, text, text_length);
        write_rest(&json, style, ask, now_ns);
        ryz_json_object_end(&json);
        *length = json.length;
        if (json.overflow) {
            free(body);
            body = NULL;
        }
    }
    free(text);
    return body;
}

static bool read_ids(const json_t *ids, struct ryz_openai_piece *piece)
{
    if (ids == NULL || json_is_null(ids)) return true;
    size_t count = json_array_size(ids); /* 0 for what is no array */
    if (!json_is_array(ids) || count > RYZ_OPENAI_IDS_MAX) return false;
    for (size_t i = 0; i < count; i++) {
        const json_t *id = json_array_get(ids, i);
        if (!json_is_integer(id)) return false;
        json_int_t value = json_integer_value(id);
        if (value < 0 || value > UINT32_MAX) return false;
        piece->ids[i] = (uint32_t)value;
    }
    piece->id_count = (uint32_t)count;
    piece->ids_known = true;
    return true;
}

/* The only choice: its text (completions), or its delta's or message's content (chat). */
static bool read_choice(const json_t *choice, struct ryz_openai_piece *piece)
{
    if (!json_is_object(choice)) return false;
    const json_t *text = json_object_get(choice, "text");
    const json_t *delta = json_object_get(choice, "delta");
    if (delta == NULL) delta = json_object_get(choice, "message");
    if (text == NULL) text = json_object_get(delta, "content");
    piece->has_text = json_string_length(text) > 0;
    const json_t *finish = json_object_get(choice, "finish_reason");
    if (json_is_string(finish)) {
        const char *reason = json_string_value(finish);
        piece->finished = true;
        piece->failed = strcmp(reason, "error") == 0 || strcmp(reason, "abort") == 0;
    }
    return read_ids(json_object_get(choice, "token_ids"), piece);
}

static uint32_t read_count(const json_t *usage, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(usage, key)); /* 0 if it is none */
    return value > 0 && value <= UINT32_MAX ? (uint32_t)value : 0;
}

static bool has_code(const json_t *error, const char *code)
{
    const char *text = json_string_value(json_object_get(error, "code"));
    return text != NULL && strcmp(text, code) == 0;
}

bool ryz_openai_error_is(const char *body, size_t length, const char *code)
{
    json_error_t why;
    json_t *root = json_loadb(body, length, 0, &why);
    bool found = has_code(json_object_get(root, "error"), code);
    json_decref(root);
    return found;
}

enum ryz_status ryz_openai_piece_read(const char *text, size_t length,
                                      struct ryz_openai_piece *piece)
{
    memset(piece, 0, offsetof(struct ryz_openai_piece, ids));
    piece->prompt_tokens = piece->output_tokens = piece->cached_tokens = 0;
    json_error_t why;
    json_t *root = json_loadb(text, length, 0, &why);
    if (root == NULL) return RYZ_CORRUPT;
    const json_t *error = json_object_get(root, "error");
    const json_t *choices = json_object_get(root, "choices");
    const json_t *usage = json_object_get(root, "usage");
    bool good = json_is_object(root) && (choices == NULL || json_is_array(choices)) &&
                (choices != NULL || error != NULL || usage != NULL);
    if (good && json_array_size(choices) > 0) good = read_choice(json_array_get(choices, 0), piece);
    if (error != NULL && !json_is_null(error)) piece->failed = true;
    piece->timed_out = has_code(error, "timeout");
    piece->prompt_tokens = read_count(usage, "prompt_tokens");
    piece->output_tokens = read_count(usage, "completion_tokens");
    piece->cached_tokens =
        read_count(json_object_get(usage, "prompt_tokens_details"), "cached_tokens");
    json_decref(root);
    return good ? RYZ_OK : RYZ_CORRUPT;
}

bool ryz_openai_first_model(const char *text, size_t length, char *name, size_t capacity)
{
    json_error_t why;
    json_t *root = json_loadb(text, length, 0, &why);
    const json_t *first = json_array_get(json_object_get(root, "data"), 0);
    const char *id = json_string_value(json_object_get(first, "id"));
    bool good = id != NULL && id[0] != '\0' && strlen(id) < capacity;
    if (good) (void)snprintf(name, capacity, "%s", id);
    json_decref(root);
    return good;
}

void ryz_openai_error_text(const char *body, size_t length, char *text, size_t capacity)
{
    json_error_t why;
    json_t *root = json_loadb(body, length, 0, &why);
    const json_t *error = json_object_get(root, "error");
    const char *message = json_string_value(json_object_get(error, "message"));
    if (message == NULL) message = json_string_value(error);
    if (message != NULL) {
        body = message;
        length = strlen(message);
    }
    size_t used = length < capacity ? length : capacity - 1;
    for (size_t i = 0; i < used; i++) {
        unsigned char c = (unsigned char)body[i];
        text[i] = c < 0x20 || c == 0x7f ? ' ' : (char)c;
    }
    text[used] = '\0';
    json_decref(root);
}
