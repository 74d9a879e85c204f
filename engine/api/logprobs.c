/*
 * logprobs.c - log-probabilities as JSON.
 *
 * Tokens are bytes, JSON is text. A token that is no text of its own is shown in completions as
 * OpenAI does, "bytes:\xe2\x80", and in chats as U+FFFD with the bytes beside it. A control token
 * has no bytes; it is shown by its id.
 */
#include "engine/api/logprobs.h"

#include "engine/base/utf8.h"

#include <math.h>
#include <stdio.h>

#define TOKEN_TEXT_MAX 160u /* bytes of a token shown in "bytes:" form; longer ones are cut */

/* JSON has no infinity; OpenAI writes this for "impossible". */
static double bounded(float logprob)
{
    return isfinite(logprob) ? (double)logprob : -9999.0;
}

static void put_token_text(struct ryz_json *json, const struct ryz_codec *codec, uint32_t token,
                           bool as_key)
{
    char text[TOKEN_TEXT_MAX * 4 + 16];
    size_t length = 0, used = 0;
    const char *bytes = ryz_tokenizer_bytes(codec->tokenizer, token, &length);
    const size_t capacity = sizeof text;
    if (length == 0) {
        used = (size_t)snprintf(text, capacity, "token_id:%u", token);
    } else if (ryz_utf8_valid_bytes(bytes, length) != length && !codec->chat) {
        used = (size_t)snprintf(text, capacity, "bytes:");
        for (size_t i = 0; i < length && i < TOKEN_TEXT_MAX; i++)
            used +=
                (size_t)snprintf(text + used, capacity - used, "\\x%02x", (unsigned char)bytes[i]);
    } else if (!as_key) {
        ryz_json_string_n(json, bytes, length);
        return;
    } else {
        used = (size_t)snprintf(text, capacity, "%.*s", (int)length, bytes);
    }
    if (as_key) {
        ryz_json_key(json, text);
    } else {
        ryz_json_string_n(json, text, used);
    }
}

static void put_bytes(struct ryz_json *json, const struct ryz_codec *codec, uint32_t token)
{
    size_t length = 0;
    const char *bytes = ryz_tokenizer_bytes(codec->tokenizer, token, &length);
    ryz_json_key(json, "bytes");
    ryz_json_array_begin(json);
    for (size_t i = 0; i < length; i++) ryz_json_u64(json, (unsigned char)bytes[i]);
    ryz_json_array_end(json);
}

/* token, logprob, bytes: the three that a chosen token and its alternatives share. */
static void put_chat_token(struct ryz_json *json, const struct ryz_codec *codec, uint32_t token,
                           float logprob)
{
    ryz_json_key(json, "token");
    put_token_text(json, codec, token, false);
    ryz_json_key(json, "logprob");
    ryz_json_f64(json, bounded(logprob));
    put_bytes(json, codec, token);
}

static void put_chat_entry(struct ryz_json *json, const struct ryz_codec *codec,
                           const struct ryz_record *record)
{
    ryz_json_object_begin(json);
    put_chat_token(json, codec, record->token, record->logprob);
    ryz_json_key(json, "top_logprobs");
    ryz_json_array_begin(json);
    for (uint32_t i = 0; i < record->top_count; i++) {
        ryz_json_object_begin(json);
        put_chat_token(json, codec, record->top[i].id, record->top[i].logit);
        ryz_json_object_end(json);
    }
    ryz_json_array_end(json);
    ryz_json_object_end(json);
}

static void chat_begin(struct ryz_json *json)
{
    ryz_json_object_begin(json);
    ryz_json_key(json, "content");
    ryz_json_array_begin(json);
}

static void chat_end(struct ryz_json *json)
{
    ryz_json_array_end(json);
    ryz_json_key(json, "refusal");
    ryz_json_null(json);
    ryz_json_object_end(json);
}

void ryz_logprobs_chat(struct ryz_json *json, const struct ryz_codec *codec,
                       const struct ryz_records *records, uint32_t choice)
{
    struct ryz_records cursor = *records;
    struct ryz_record record;
    chat_begin(json);
    while (ryz_records_next_of(&cursor, choice, &record)) {
        if (!record.done) put_chat_entry(json, codec, &record);
    }
    chat_end(json);
}

void ryz_logprobs_chat_one(struct ryz_json *json, const struct ryz_codec *codec,
                           const struct ryz_record *record)
{
    chat_begin(json);
    put_chat_entry(json, codec, record);
    chat_end(json);
}

uint64_t ryz_logprobs_characters(const struct ryz_codec *codec, uint32_t token)
{
    size_t length = 0;
    const char *bytes = ryz_tokenizer_bytes(codec->tokenizer, token, &length);
    uint64_t count = 0;
    for (size_t i = 0; i < length; i++) count += ((unsigned char)bytes[i] & 0xc0) != 0x80;
    return count;
}

/* Completions have four parallel arrays; `field` says which one this element goes into. */
enum column {
    RYZ_COLUMN_TOKENS,
    RYZ_COLUMN_LOGPROBS,
    RYZ_COLUMN_TOP,
    RYZ_COLUMN_OFFSETS,
    RYZ_COLUMN_COUNT
};

/* The alternatives by name. The chosen token is always among them, as in OpenAI's answers. */
static void put_top_map(struct ryz_json *json, const struct ryz_codec *codec,
                        const struct ryz_record *record)
{
    bool seen = false;
    ryz_json_object_begin(json);
    for (uint32_t i = 0; i < record->top_count; i++) {
        put_token_text(json, codec, record->top[i].id, true);
        ryz_json_f64(json, bounded(record->top[i].logit));
        seen = seen || record->top[i].id == record->token;
    }
    if (!seen) {
        put_token_text(json, codec, record->token, true);
        ryz_json_f64(json, bounded(record->logprob));
    }
    ryz_json_object_end(json);
}

static void put_column_entry(struct ryz_json *json, const struct ryz_codec *codec,
                             const struct ryz_record *record, enum column column, uint64_t offset)
{
    switch (column) {
    case RYZ_COLUMN_TOKENS:
        put_token_text(json, codec, record->token, false);
        break;
    case RYZ_COLUMN_LOGPROBS:
        ryz_json_f64(json, bounded(record->logprob));
        break;
    case RYZ_COLUMN_TOP:
        put_top_map(json, codec, record);
        break;
    case RYZ_COLUMN_OFFSETS:
    case RYZ_COLUMN_COUNT:
        ryz_json_u64(json, offset);
        break;
    }
}

static const char *const column_names[RYZ_COLUMN_COUNT] = {"tokens", "token_logprobs",
                                                           "top_logprobs", "text_offset"};

void ryz_logprobs_completion(struct ryz_json *json, const struct ryz_codec *codec,
                             const struct ryz_records *records, uint32_t choice)
{
    ryz_json_object_begin(json);
    for (int column = 0; column < RYZ_COLUMN_COUNT; column++) {
        struct ryz_records cursor = *records;
        struct ryz_record record;
        uint64_t offset = codec->text_offset[choice];
        ryz_json_key(json, column_names[column]);
        if (column == RYZ_COLUMN_TOP && codec->top_logprobs == 0) {
            ryz_json_null(json);
            continue;
        }
        ryz_json_array_begin(json);
        while (ryz_records_next_of(&cursor, choice, &record)) {
            if (record.done) continue;
            put_column_entry(json, codec, &record, (enum column)column, offset);
            offset += ryz_logprobs_characters(codec, record.token);
        }
        ryz_json_array_end(json);
    }
    ryz_json_object_end(json);
}

void ryz_logprobs_completion_one(struct ryz_json *json, const struct ryz_codec *codec,
                                 const struct ryz_record *record)
{
    ryz_json_object_begin(json);
    for (int column = 0; column < RYZ_COLUMN_COUNT; column++) {
        ryz_json_key(json, column_names[column]);
        if (column == RYZ_COLUMN_TOP && codec->top_logprobs == 0) {
            ryz_json_null(json);
            continue;
        }
        ryz_json_array_begin(json);
        put_column_entry(json, codec, record, (enum column)column,
                         codec->text_offset[record->choice]);
        ryz_json_array_end(json);
    }
    ryz_json_object_end(json);
}
