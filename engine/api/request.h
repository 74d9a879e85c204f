/*
 * request.h - an OpenAI request body, checked and turned into what the engine wants.
 *
 * Strict: a wrong type, a value out of range and an unknown field are errors that name the field.
 * Every field of OpenAI's API is a row of the table in request_fields.c: read, ignored because it
 * cannot change the answer, or accepted only with the value that means "off". No sockets here: the
 * input is bytes, so that fuzzers and tests can drive it.
 */
#ifndef RYZ_API_REQUEST_H
#define RYZ_API_REQUEST_H

#include "engine/api/errors.h"
#include "engine/model/tokenizer.h"
#include "engine/runtime/engine.h"

#include <jansson.h>

#define RYZ_COMPLETION_TOKENS_DEFAULT 16u /* OpenAI's default of max_tokens for /v1/completions */
#define RYZ_COMPLETION_LOGPROBS_MAX   5u  /* OpenAI's limit there; chat has 20 */

/* What a body is checked against; const for the life of the server. */
struct ryz_api_rules {
    const char *model_name;
    const struct ryz_tokenizer *tokenizer;
    uint32_t context_tokens; /* prompt and output of one request */
    size_t token_bytes_max;  /* of the vocabulary: bounds a text's tokens from below */
    uint64_t seed;           /* of requests that bring none */
};

struct ryz_api_request {
    bool chat;
    bool stream, include_usage, return_token_ids;
    const char *tenant;           /* a valid name, leads into `body`; NULL: none was named */
    int64_t first_within_ns;      /* deadline of the first token, from the arrival on; 0: none */
    int64_t end_within_ns;        /* deadline of the end, likewise */
    struct ryz_generate generate; /* its pointers lead into the two fields below */
    uint32_t *tokens;             /* owned */
    json_t *body;                 /* owned */
};

/* Reads a body. `number` is the request's: with the rules' seed it makes the seed of a request that
 * has none. On success the caller adds trace, times, tenant and the callback, and calls deinit once
 * the engine has its copy; on failure *error says what to answer and nothing is to be freed. */
bool ryz_api_request_parse(const struct ryz_api_rules *rules, bool chat, uint64_t number,
                           const char *body, size_t length, struct ryz_api_request *request,
                           struct ryz_api_error *error);
void ryz_api_request_deinit(struct ryz_api_request *request);

/* Longest token of a vocabulary, in bytes; at least 1. */
size_t ryz_api_token_bytes_max(const struct ryz_tokenizer *tokenizer);

#endif
