/*
 * codec.h - answers in OpenAI's shapes: text_completion, chat.completion and their chunks.
 *
 * Formatting only: records in, JSON out. Where the two APIs differ (texts, log-probabilities, ids)
 * the difference is in here and nowhere else.
 */
#ifndef RYZ_API_CODEC_H
#define RYZ_API_CODEC_H

#include "engine/api/errors.h"
#include "engine/api/records.h"
#include "engine/api/text.h"
#include "engine/model/tokenizer.h"

/* What all chunks of one answer share. Strings are borrowed. */
struct ryz_codec {
    const char *id; /* "cmpl-..." or "chatcmpl-..." */
    const char *model, *fingerprint;
    const struct ryz_tokenizer *tokenizer;
    int64_t created_s;                     /* since 1970 */
    uint64_t text_offset[RYZ_CHOICES_MAX]; /* characters of a choice before its next token; moved on
                                              by the chunks */
    uint32_t choices;                      /* >= 1 */
    bool chat, wants_logprobs, return_token_ids, include_usage;
    uint32_t top_logprobs;
};

struct ryz_usage {
    uint32_t prompt_tokens; /* once for all choices */
    uint32_t output_tokens; /* of all choices */
    uint32_t cached_tokens; /* of the prompt, found in the prefix cache by the first choice */
};

/* Each appends server-sent events ("data: {...}\n\n"); false when out of memory. */

/* What a stream begins with: each choice's role in chats, nothing in completions. */
bool ryz_codec_begin(struct ryz_codec *codec, struct ryz_text *out);
/* One token. Nothing is written for a token that has nothing to show yet. */
bool ryz_codec_token(struct ryz_codec *codec, const struct ryz_record *record,
                     struct ryz_text *out);
/* The last text of a choice with the reason. */
bool ryz_codec_finish(struct ryz_codec *codec, const struct ryz_record *record,
                      struct ryz_text *out);
/* The usage if it was asked for, and [DONE]. */
bool ryz_codec_end(struct ryz_codec *codec, const struct ryz_usage *usage, struct ryz_text *out);
/* An error after the stream has begun; ends it without [DONE]. */
bool ryz_codec_error(const struct ryz_api_error *error, struct ryz_text *out);

/* The whole answer as one object. */
bool ryz_codec_whole(struct ryz_codec *codec, const struct ryz_records *records,
                     const struct ryz_usage *usage, struct ryz_text *out);

#endif
