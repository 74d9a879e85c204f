/*
 * openai.h - the bodies of OpenAI's completions: the request we send, the pieces that come back.
 */
#ifndef RYZ_HARNESS_DRIVE_OPENAI_H
#define RYZ_HARNESS_DRIVE_OPENAI_H

#include "harness/drive/target.h"

struct ryz_tokenizer;

/* How prompts are spelled. */
struct ryz_openai_style {
    const char *model;
    bool text_prompts;                     /* else token ids, and ids are asked back */
    const struct ryz_tokenizer *tokenizer; /* for text; NULL: common words */
};

/* A request's JSON, NUL-terminated, from malloc; NULL when out of memory. Deadlines are written
 * relative to now_ns, which is when it is sent. */
char *ryz_openai_request(const struct ryz_openai_style *style, const struct ryz_ask *ask,
                         int64_t now_ns, size_t *length);

#define RYZ_OPENAI_IDS_MAX 1024u /* of one piece; more are an error */

/* What one piece of an answer (an event of the stream, or a whole answer) says. */
struct ryz_openai_piece {
    bool failed;    /* an error object, or a finish_reason that means failure */
    bool timed_out; /* the error is that a deadline passed */
    bool finished;  /* a finish_reason was given */
    bool has_text;  /* text that is not empty */
    bool ids_known; /* token_ids were given, perhaps none */
    uint32_t id_count;
    uint32_t ids[RYZ_OPENAI_IDS_MAX];
    uint32_t prompt_tokens, output_tokens, cached_tokens; /* usage; 0 where absent */
};

/* Reads a piece. RYZ_CORRUPT: not JSON, or not what a completion looks like. */
RYZ_MUST_USE enum ryz_status ryz_openai_piece_read(const char *json, size_t length,
                                                   struct ryz_openai_piece *piece);
/* The message of an error answer, or the beginning of whatever it says, printable and on one line;
 * "" for an empty body. */
void ryz_openai_error_text(const char *body, size_t length, char *text, size_t capacity);
/* Does an error answer carry this code? */
bool ryz_openai_error_is(const char *body, size_t length, const char *code);
/* The first model's id of GET /v1/models; false if there is none that fits. */
bool ryz_openai_first_model(const char *json, size_t length, char *name, size_t capacity);

#endif
