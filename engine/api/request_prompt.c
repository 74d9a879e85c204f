/*
 * request_prompt.c - prompts and messages to token ids.
 *
 * A prompt is a string, a list with one string, a list of token ids, or a list with one such list.
 * Leaves to others: the tokenizer and the chat template. The idea: a text that cannot fit into the
 * context is refused by its length in bytes before any of it is tokenized, so that a large body
 * cannot hold up the other connections.
 */
#include "engine/api/request_parse.h"

#include "engine/api/text.h"
#include "engine/base/size.h"
#include "engine/model/chat.h"

#include <stdlib.h>
#include <string.h>

#define MESSAGES_MAX 1024u

static const char *field_name(const struct ryz_api_parse *parse)
{
    return parse->request->chat ? "messages" : "prompt";
}

static bool too_long(struct ryz_api_parse *parse, const char *about, size_t tokens)
{
    return ryz_api_fail(parse->error, RYZ_API_CONTEXT, field_name(parse),
                        "This model's maximum context length is %u tokens. However, the %s has "
                        "%s%zu tokens. Please shorten it.",
                        parse->rules->context_tokens, field_name(parse), about, tokens);
}

static bool no_memory(struct ryz_api_parse *parse)
{
    return ryz_api_fail(parse->error, RYZ_API_NO_MEMORY, NULL, "The server is out of memory.");
}

/* Room for as many tokens as the context holds. */
static bool reserve_tokens(struct ryz_api_parse *parse, size_t count)
{
    if (count > parse->rules->context_tokens) return too_long(parse, "", count);
    parse->request->tokens = calloc(count > 0 ? count : 1, sizeof(uint32_t));
    return parse->request->tokens != NULL || no_memory(parse);
}

static void set_tokens(struct ryz_api_parse *parse, size_t count)
{
    parse->request->generate.tokens = parse->request->tokens;
    parse->request->generate.token_count = (uint32_t)count;
}

static bool fits_in_bytes(struct ryz_api_parse *parse, size_t bytes)
{
    size_t tokens = bytes / parse->rules->token_bytes_max;
    return tokens <= parse->rules->context_tokens || too_long(parse, "at least ", tokens);
}

static bool encode_text(struct ryz_api_parse *parse, const json_t *value)
{
    const char *text = json_string_value(value);
    size_t length = json_string_length(value), count = 0;
    const struct ryz_tokenizer *tokenizer = parse->rules->tokenizer;
    if (!fits_in_bytes(parse, length)) return false;
    size_t room = ryz_tokenizer_encode_bound(length) + 1; /* and a begin-of-sequence token */
    if (room > (size_t)parse->rules->context_tokens) room = parse->rules->context_tokens;
    if (!reserve_tokens(parse, room)) return false;
    uint32_t *tokens = parse->request->tokens, bos = ryz_tokenizer_bos(tokenizer);
    size_t first = bos != RYZ_TOKEN_NONE && room > 0;
    if (first > 0) tokens[0] = bos;
    enum ryz_status status =
        ryz_tokenizer_encode(tokenizer, text, length, false, tokens + first, room - first, &count);
    if (status == RYZ_FULL) return too_long(parse, "", count + first);
    if (status != RYZ_OK)
        return ryz_api_fail(parse->error, RYZ_API_INTERNAL, NULL, "The tokenizer failed: %s.",
                            ryz_status_text(status));
    set_tokens(parse, count + first);
    return true;
}

static bool read_tokens(struct ryz_api_parse *parse, const json_t *array)
{
    size_t count = json_array_size(array);
    uint32_t vocab = ryz_tokenizer_vocab_size(parse->rules->tokenizer);
    if (!reserve_tokens(parse, count)) return false;
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(array, i);
        json_int_t id = json_integer_value(item); /* 0 for other types */
        if (!json_is_integer(item))
            return ryz_api_fail(parse->error, RYZ_API_BAD_TYPE, "prompt",
                                "Element %zu of 'prompt' is %s among token ids.", i,
                                ryz_api_type_name(item));
        if (id < 0 || id >= (json_int_t)vocab)
            return ryz_api_fail(parse->error, RYZ_API_BAD_VALUE, "prompt",
                                "Token id %lld is outside of the vocabulary, 0 to %u.",
                                (long long)id, vocab - 1);
        parse->request->tokens[i] = (uint32_t)id;
    }
    set_tokens(parse, count);
    return true;
}

bool ryz_api_parse_prompt(struct ryz_api_parse *parse)
{
    const json_t *prompt = parse->prompt;
    if (prompt == NULL)
        return ryz_api_fail(parse->error, RYZ_API_MISSING, "prompt",
                            "you must provide a 'prompt' parameter");
    /* A list of one prompt is that prompt. */
    const json_t *first = json_array_get(prompt, 0);
    if (json_is_string(first) || json_is_array(first)) {
        if (json_array_size(prompt) != 1)
            return ryz_api_fail(parse->error, RYZ_API_UNSUPPORTED, "prompt",
                                "%zu prompts in one request; send one request for each.",
                                json_array_size(prompt));
        prompt = first;
    }
    bool ok = json_is_string(prompt)  ? encode_text(parse, prompt)
              : json_is_array(prompt) ? read_tokens(parse, prompt)
                                      : ryz_api_fail(parse->error, RYZ_API_BAD_TYPE, "prompt",
                                                     "'prompt' is a string or a list of token ids, "
                                                     "not %s.",
                                                     ryz_api_type_name(prompt));
    if (ok && parse->request->generate.token_count == 0)
        return ryz_api_fail(parse->error, RYZ_API_BAD_VALUE, "prompt",
                            "'prompt' has no tokens; at least one is needed.");
    return ok;
}

static bool bad_message(struct ryz_api_parse *parse, size_t i, const char *what)
{
    return ryz_api_fail(parse->error, RYZ_API_BAD_VALUE, "messages", "Message %zu: %s.", i, what);
}

/* The texts of all messages, one behind the other, and where each begins. */
struct conversation {
    struct ryz_text text;
    struct ryz_chat_message *messages;
    size_t *begins;
};

static bool add_part(struct ryz_api_parse *parse, struct ryz_text *text, const json_t *part,
                     size_t i)
{
    const json_t *type = json_object_get(part, "type"), *content = json_object_get(part, "text");
    if (!json_is_string(type)) return bad_message(parse, i, "a content part has no 'type'");
    if (strcmp(json_string_value(type), "text") != 0)
        return ryz_api_fail(parse->error, RYZ_API_UNSUPPORTED, "messages",
                            "Message %zu: content of type '%.40s' is not supported; this model "
                            "reads text.",
                            i, json_string_value(type));
    if (!json_is_string(content)) return bad_message(parse, i, "a text part has no 'text'");
    return ryz_text_append(text, json_string_value(content), json_string_length(content)) ||
           no_memory(parse);
}

static bool add_content(struct ryz_api_parse *parse, struct ryz_text *text, const json_t *content,
                        size_t i)
{
    if (json_is_string(content))
        return ryz_text_append(text, json_string_value(content), json_string_length(content)) ||
               no_memory(parse);
    if (!json_is_array(content))
        return bad_message(parse, i, "'content' is a string or a list of text parts");
    for (size_t k = 0; k < json_array_size(content); k++) {
        if (!add_part(parse, text, json_array_get(content, k), i)) return false;
    }
    return true;
}

static const char *known_role(const json_t *role)
{
    static const struct {
        const char *name, *known;
    } roles[] = {{"system", "system"},
                 {"developer", "system"}, /* OpenAI's newer name */
                 {"user", "user"},
                 {"assistant", "assistant"}};
    for (size_t i = 0; json_is_string(role) && i < RYZ_COUNT_OF(roles); i++) {
        if (strcmp(roles[i].name, json_string_value(role)) == 0) return roles[i].known;
    }
    return NULL;
}

static bool add_message(struct ryz_api_parse *parse, struct conversation *c, const json_t *message,
                        size_t i)
{
    if (!json_is_object(message)) return bad_message(parse, i, "it is not an object");
    c->messages[i].role = known_role(json_object_get(message, "role"));
    if (c->messages[i].role == NULL)
        return bad_message(parse, i, "'role' is system, developer, user or assistant");
    if (json_array_size(json_object_get(message, "tool_calls")) > 0)
        return ryz_api_fail(parse->error, RYZ_API_UNSUPPORTED, "messages",
                            "Message %zu: tool calls are not supported.", i);
    c->begins[i] = c->text.length;
    if (!add_content(parse, &c->text, json_object_get(message, "content"), i)) return false;
    c->messages[i].content_length = c->text.length - c->begins[i];
    return true;
}

static bool encode_chat(struct ryz_api_parse *parse, struct conversation *c, size_t count)
{
    size_t used = 0;
    struct ryz_error reason = {.status = RYZ_OK};
    if (!fits_in_bytes(parse, c->text.length)) return false;
    if (!reserve_tokens(parse, parse->rules->context_tokens)) return false;
    for (size_t i = 0; i < count; i++)
        c->messages[i].content = c->text.data != NULL ? c->text.data + c->begins[i] : "";
    enum ryz_status status =
        ryz_chat_encode(parse->rules->tokenizer, NULL, c->messages, count, parse->request->tokens,
                        parse->rules->context_tokens, &used, &reason);
    if (status == RYZ_FULL) return too_long(parse, "", used);
    if (status == RYZ_NO_MEMORY) return no_memory(parse);
    if (status != RYZ_OK)
        return ryz_api_fail(parse->error, RYZ_API_UNSUPPORTED, "messages",
                            "This model cannot chat: %s.", reason.text);
    set_tokens(parse, used);
    return true;
}

bool ryz_api_parse_messages(struct ryz_api_parse *parse)
{
    const json_t *messages = parse->prompt;
    size_t count = json_array_size(messages); /* 0 for other types */
    if (messages == NULL)
        return ryz_api_fail(parse->error, RYZ_API_MISSING, "messages",
                            "you must provide a 'messages' parameter");
    if (count == 0 || count > MESSAGES_MAX)
        return ryz_api_fail(parse->error, RYZ_API_BAD_VALUE, "messages",
                            "'messages' is a list of 1 to %u messages.", MESSAGES_MAX);
    struct conversation c = {.messages = calloc(count, sizeof *c.messages),
                             .begins = calloc(count, sizeof *c.begins)};
    bool ok = c.messages != NULL && c.begins != NULL;
    if (!ok) (void)no_memory(parse);
    for (size_t i = 0; ok && i < count; i++)
        ok = add_message(parse, &c, json_array_get(messages, i), i);
    ok = ok && encode_chat(parse, &c, count);
    free(c.messages);
    free(c.begins);
    free(c.text.data);
    return ok;
}
