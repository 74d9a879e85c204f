/*
 * codec.c - chunks and whole answers. See codec.h.
 *
 * Leaves to others: log-probabilities (logprobs.c). The idea: an answer is a frame (id, object,
 * model, ...) around choices, a chunk one around one; it is written once for all four objects.
 */
#include "engine/api/codec.h"

#include "engine/api/logprobs.h"

#include <stdlib.h>

/* What one object is made of; the writers below read it and change nothing. */
struct choice {
    struct ryz_text text;
    const struct ryz_record *record; /* of a chunk; NULL: none */
    uint32_t index;
    enum ryz_finish_reason finish; /* NONE: it goes on */
    bool role;                     /* first chunk of a chat */
};

struct piece {
    const struct ryz_codec *codec;
    const struct ryz_records *records; /* of a whole answer; NULL: a chunk */
    const struct ryz_usage *usage;     /* of a whole answer, or to be sent alone */
    const struct choice *choices;      /* (choice_count) */
    uint32_t choice_count;
};

static void put_string(struct ryz_json *json, const char *key, const char *value)
{
    ryz_json_key(json, key);
    ryz_json_string(json, value);
}

static void put_u64(struct ryz_json *json, const char *key, uint64_t value)
{
    ryz_json_key(json, key);
    ryz_json_u64(json, value);
}

static void put_head(struct ryz_json *json, const struct ryz_codec *codec, bool whole)
{
    const char *object = !codec->chat ? "text_completion"
                         : whole      ? "chat.completion"
                                      : "chat.completion.chunk";
    put_string(json, "id", codec->id);
    put_string(json, "object", object);
    ryz_json_key(json, "created");
    ryz_json_i64(json, codec->created_s);
    put_string(json, "model", codec->model);
    put_string(json, "system_fingerprint", codec->fingerprint);
}

static void put_usage(struct ryz_json *json, const struct ryz_usage *usage)
{
    ryz_json_key(json, "usage");
    ryz_json_object_begin(json);
    put_u64(json, "prompt_tokens", usage->prompt_tokens);
    put_u64(json, "completion_tokens", usage->output_tokens);
    put_u64(json, "total_tokens", (uint64_t)usage->prompt_tokens + usage->output_tokens);
    ryz_json_key(json, "prompt_tokens_details");
    ryz_json_object_begin(json);
    put_u64(json, "cached_tokens", usage->cached_tokens);
    ryz_json_object_end(json);
    ryz_json_object_end(json);
}

static void put_text(struct ryz_json *json, const struct piece *piece, const struct choice *choice)
{
    const struct ryz_text *text = &choice->text;
    const char *data = text->length > 0 ? text->data : "";
    if (!piece->codec->chat) {
        ryz_json_key(json, "text");
        ryz_json_string_n(json, data, text->length);
        return;
    }
    bool whole = piece->records != NULL;
    ryz_json_key(json, whole ? "message" : "delta");
    ryz_json_object_begin(json);
    if (whole || choice->role) put_string(json, "role", "assistant");
    if (whole || choice->role || text->length > 0 || choice->finish == RYZ_FINISH_NONE) {
        ryz_json_key(json, "content");
        ryz_json_string_n(json, data, text->length);
    }
    if (whole) {
        ryz_json_key(json, "refusal");
        ryz_json_null(json);
    }
    ryz_json_object_end(json);
}

static void put_logprobs(struct ryz_json *json, const struct piece *piece,
                         const struct choice *choice)
{
    const struct ryz_codec *codec = piece->codec;
    bool token = choice->record != NULL && !choice->record->done;
    ryz_json_key(json, "logprobs");
    if (!codec->wants_logprobs || (piece->records == NULL && !token)) {
        ryz_json_null(json);
    } else if (piece->records != NULL && codec->chat) {
        ryz_logprobs_chat(json, codec, piece->records, choice->index);
    } else if (piece->records != NULL) {
        ryz_logprobs_completion(json, codec, piece->records, choice->index);
    } else if (codec->chat) {
        ryz_logprobs_chat_one(json, codec, choice->record);
    } else {
        ryz_logprobs_completion_one(json, codec, choice->record);
    }
}

static void put_token_ids(struct ryz_json *json, const struct piece *piece,
                          const struct choice *choice)
{
    if (!piece->codec->return_token_ids) return;
    ryz_json_key(json, "token_ids");
    ryz_json_array_begin(json);
    if (piece->records != NULL) {
        struct ryz_records cursor = *piece->records;
        struct ryz_record record;
        while (ryz_records_next_of(&cursor, choice->index, &record)) {
            if (!record.done) ryz_json_u64(json, record.token);
        }
    } else if (choice->record != NULL && !choice->record->done) {
        ryz_json_u64(json, choice->record->token);
    }
    ryz_json_array_end(json);
}

static void put_finish(struct ryz_json *json, enum ryz_finish_reason finish)
{
    ryz_json_key(json, "finish_reason");
    if (finish == RYZ_FINISH_NONE) {
        ryz_json_null(json);
    } else {
        ryz_json_string(json, finish == RYZ_FINISH_LENGTH ? "length" : "stop");
    }
}

static void put_choice(struct ryz_json *json, const struct piece *piece,
                       const struct choice *choice)
{
    ryz_json_object_begin(json);
    put_u64(json, "index", choice->index);
    put_text(json, piece, choice);
    put_logprobs(json, piece, choice);
    put_finish(json, choice->finish);
    put_token_ids(json, piece, choice);
    ryz_json_object_end(json);
}

static void write_piece(struct ryz_json *json, const void *context)
{
    const struct piece *piece = context;
    bool whole = piece->records != NULL;
    ryz_json_object_begin(json);
    put_head(json, piece->codec, whole);
    ryz_json_key(json, "choices");
    ryz_json_array_begin(json);
    for (uint32_t i = 0; i < piece->choice_count; i++) put_choice(json, piece, &piece->choices[i]);
    ryz_json_array_end(json);
    if (whole) {
        put_usage(json, piece->usage);
    } else if (piece->codec->include_usage) {
        ryz_json_key(json, "usage"); /* null in every chunk but the last, says OpenAI */
        ryz_json_null(json);
    }
    ryz_json_object_end(json);
}

static void write_usage_chunk(struct ryz_json *json, const void *context)
{
    const struct piece *piece = context;
    ryz_json_object_begin(json);
    put_head(json, piece->codec, false);
    ryz_json_key(json, "choices");
    ryz_json_array_begin(json);
    ryz_json_array_end(json);
    put_usage(json, piece->usage);
    ryz_json_object_end(json);
}

static bool append_event(struct ryz_text *out, ryz_text_writer write, const void *context)
{
    return ryz_text_append(out, "data: ", 6) && ryz_text_append_json(out, write, context) &&
           ryz_text_append(out, "\n\n", 2);
}

static bool append_chunk(struct ryz_codec *codec, const struct choice *choice, struct ryz_text *out)
{
    const struct piece piece = {.codec = codec, .choices = choice, .choice_count = 1};
    return append_event(out, write_piece, &piece);
}

/* What a record says of its choice; its text is borrowed, never grown. */
static struct choice choice_of(const struct ryz_record *record, char *empty)
{
    union {
        const char *shown;
        char *data;
    } cast = {.shown = record->text};
    return (struct choice){.text = {.data = record->text_length > 0 ? cast.data : empty,
                                    .length = record->text_length},
                           .record = record,
                           .index = record->choice,
                           .finish = record->done ? record->finish : RYZ_FINISH_NONE};
}

bool ryz_codec_begin(struct ryz_codec *codec, struct ryz_text *out)
{
    bool ok = true;
    if (!codec->chat) return true;
    for (uint32_t i = 0; ok && i < codec->choices; i++) {
        const struct choice choice = {.index = i, .role = true};
        ok = append_chunk(codec, &choice, out);
    }
    return ok;
}

bool ryz_codec_token(struct ryz_codec *codec, const struct ryz_record *record, struct ryz_text *out)
{
    char empty[1] = "";
    if (record->text_length == 0 && !codec->wants_logprobs && !codec->return_token_ids) return true;
    const struct choice choice = choice_of(record, empty);
    if (!append_chunk(codec, &choice, out)) return false;
    codec->text_offset[record->choice] += ryz_logprobs_characters(codec, record->token);
    return true;
}

bool ryz_codec_finish(struct ryz_codec *codec, const struct ryz_record *record,
                      struct ryz_text *out)
{
    char empty[1] = "";
    const struct choice choice = choice_of(record, empty);
    return append_chunk(codec, &choice, out);
}

bool ryz_codec_end(struct ryz_codec *codec, const struct ryz_usage *usage, struct ryz_text *out)
{
    const struct piece piece = {.codec = codec, .usage = usage};
    if (codec->include_usage && !append_event(out, write_usage_chunk, &piece)) return false;
    return ryz_text_append(out, "data: [DONE]\n\n", 14);
}

bool ryz_codec_error(const struct ryz_api_error *error, struct ryz_text *out)
{
    char text[RYZ_API_ERROR_BYTES];
    size_t length = ryz_api_error_json(error, text);
    return ryz_text_append(out, "data: ", 6) && ryz_text_append(out, text, length) &&
           ryz_text_append(out, "\n\n", 2);
}

/* Puts the pieces of each choice's text together. */
static bool gather(const struct ryz_records *records, struct choice *choices)
{
    struct ryz_records cursor = *records;
    struct ryz_record record;
    while (ryz_records_next(&cursor, &record)) {
        struct choice *choice = &choices[record.choice];
        if (!ryz_text_append(&choice->text, record.text, record.text_length)) return false;
        if (record.done) choice->finish = record.finish;
    }
    return true;
}

bool ryz_codec_whole(struct ryz_codec *codec, const struct ryz_records *records,
                     const struct ryz_usage *usage, struct ryz_text *out)
{
    struct choice choices[RYZ_CHOICES_MAX] = {0};
    const struct piece piece = {.codec = codec,
                                .records = records,
                                .usage = usage,
                                .choices = choices,
                                .choice_count = codec->choices};
    for (uint32_t i = 0; i < codec->choices; i++) choices[i].index = i;
    bool ok = gather(records, choices) && ryz_text_append_json(out, write_piece, &piece);
    for (uint32_t i = 0; i < codec->choices; i++) free(choices[i].text.data);
    return ok;
}
