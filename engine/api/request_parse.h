/* request_parse.h - what the three files that read a request share: fields, prompt, assembly. */
#ifndef RYZ_API_REQUEST_PARSE_H
#define RYZ_API_REQUEST_PARSE_H

#include "engine/api/request.h"

/* A body being read. Fields come in any order, so what depends on others is kept until all are
 * seen. */
struct ryz_api_parse {
    const struct ryz_api_rules *rules;
    struct ryz_api_request *request;
    struct ryz_api_error *error;
    const json_t *prompt; /* NULL: absent; or "messages" */
    bool has_max_tokens, has_seed, has_stream_options, has_top_logprobs;
};

/* Reads every field of the body (an object) by the table. */
bool ryz_api_parse_fields(struct ryz_api_parse *parse, json_t *body);
/* Name of the i-th field of the table, NULL past its end; for the documentation's test. */
const char *ryz_api_field_name(size_t i);
/* Turns `prompt` or `messages` into tokens. */
bool ryz_api_parse_prompt(struct ryz_api_parse *parse);
bool ryz_api_parse_messages(struct ryz_api_parse *parse);
/* "a string", "an object", ... for messages. */
const char *ryz_api_type_name(const json_t *value);

#endif
