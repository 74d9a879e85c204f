/*
 * request.c - from the bytes of a body to a checked request.
 *
 * Leaves to others: single fields (request_fields.c) and the prompt (request_prompt.c). Here are
 * the rules that need more than one field: defaults, the context, and combinations.
 */
#include "engine/api/request.h"

#include "engine/api/request_parse.h"
#include "engine/base/rng.h"

#include <stdlib.h>

static bool load(struct ryz_api_parse *parse, const char *body, size_t length)
{
    json_error_t reason;
    /* jansson refuses nesting beyond 2,048 levels; its recursion needs less than half a megabyte of
     * stack there. A key that comes twice would mean what the reader prefers: refused. */
    json_t *root = json_loadb(body, length, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &reason);
    if (root == NULL)
        return ryz_api_fail(parse->error, RYZ_API_BAD_JSON, NULL,
                            "We could not parse the JSON body of your request: %s (line %d, "
                            "column %d).",
                            reason.text, reason.line, reason.column);
    if (!json_is_object(root)) {
        (void)ryz_api_fail(parse->error, RYZ_API_BAD_JSON, NULL,
                           "The body of a request is a JSON object, not %s.",
                           ryz_api_type_name(root));
        json_decref(root);
        return false;
    }
    parse->request->body = root;
    return true;
}

static bool check_combinations(struct ryz_api_parse *parse)
{
    const struct ryz_api_request *request = parse->request;
    if (parse->has_stream_options && !request->stream)
        return ryz_api_fail(parse->error, RYZ_API_BAD_VALUE, "stream_options",
                            "'stream_options' is only allowed when 'stream' is true.");
    if (parse->has_top_logprobs && !request->generate.wants_logprobs)
        return ryz_api_fail(parse->error, RYZ_API_BAD_VALUE, "top_logprobs",
                            "'top_logprobs' is only allowed when 'logprobs' is true.");
    return true;
}

/* Output length against what the prompt leaves of the context. */
static bool settle_length(struct ryz_api_parse *parse)
{
    struct ryz_generate *generate = &parse->request->generate;
    uint32_t context = parse->rules->context_tokens, prompt = generate->token_count;
    uint32_t left = prompt < context ? context - prompt : 0;
    if (!parse->has_max_tokens) {
        bool short_default = !parse->request->chat && left > RYZ_COMPLETION_TOKENS_DEFAULT;
        generate->max_tokens = short_default ? RYZ_COMPLETION_TOKENS_DEFAULT : left;
    }
    if (left > 0 && generate->max_tokens <= left) return true;
    uint32_t wanted = generate->max_tokens > 0 ? generate->max_tokens : 1;
    return ryz_api_fail(parse->error, RYZ_API_CONTEXT, parse->request->chat ? "messages" : "prompt",
                        "This model's maximum context length is %u tokens. However, you requested "
                        "%llu tokens (%u in the %s, %u in the completion). Please reduce the "
                        "length of the %s or completion.",
                        context, (unsigned long long)prompt + wanted, prompt,
                        parse->request->chat ? "messages" : "prompt", wanted,
                        parse->request->chat ? "messages" : "prompt");
}

static bool parse_all(struct ryz_api_parse *parse, const char *body, size_t length)
{
    return load(parse, body, length) && ryz_api_parse_fields(parse, parse->request->body) &&
           check_combinations(parse) &&
           (parse->request->chat ? ryz_api_parse_messages(parse) : ryz_api_parse_prompt(parse)) &&
           settle_length(parse);
}

bool ryz_api_request_parse(const struct ryz_api_rules *rules, bool chat, uint64_t number,
                           const char *body, size_t length, struct ryz_api_request *request,
                           struct ryz_api_error *error)
{
    *request = (struct ryz_api_request){
        .chat = chat,
        .generate = {.sampling = {.temperature = 1.0f, .top_p = 1.0f},
                     .wants_text = true,
                     .choices = 1,
                     .priority = RYZ_PRIORITY_NORMAL,
                     .deadline_ns = RYZ_TIME_NEVER,
                     .arrived_ns = RYZ_TIME_NONE},
    };
    struct ryz_api_parse parse = {.rules = rules, .request = request, .error = error};
    if (!parse_all(&parse, body, length)) {
        ryz_api_request_deinit(request);
        return false;
    }
    if (!parse.has_seed) request->generate.sampling.seed = ryz_rng_at(rules->seed, 1, number);
    return true;
}

void ryz_api_request_deinit(struct ryz_api_request *request)
{
    free(request->tokens);
    json_decref(request->body);
    request->tokens = NULL;
    request->body = NULL;
    request->generate.tokens = NULL;
}

size_t ryz_api_token_bytes_max(const struct ryz_tokenizer *tokenizer)
{
    uint32_t count = ryz_tokenizer_vocab_size(tokenizer);
    size_t longest = 1;
    for (uint32_t id = 0; id < count; id++) {
        size_t length = 0;
        (void)ryz_tokenizer_bytes(tokenizer, id, &length);
        if (length > longest) longest = length;
    }
    return longest;
}
