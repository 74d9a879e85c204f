/*
 * chat.c - ChatML: <|im_start|>role \n content <|im_end|> \n, and the assistant's opening.
 *
 * Leaves to others: which roles an API allows, and cutting history to fit. The idea: markers enter
 * as ids, and what stands between two markers is encoded as one text, as it was in training
 * ("user\n" and a content that starts with "\n" share a token). Contents cannot forge a marker,
 * because text is never searched for control tokens.
 */
#include "engine/model/chat.h"

#include "engine/base/size.h"

#include <stdlib.h>
#include <string.h>

struct prompt {
    const struct ryz_tokenizer *tokenizer;
    uint32_t im_start, im_end;
    uint32_t *ids;
    size_t capacity, count;
};

static void put_id(struct prompt *prompt, uint32_t id)
{
    if (prompt->count < prompt->capacity) prompt->ids[prompt->count] = id;
    prompt->count++;
}

static enum ryz_status put_text(struct prompt *prompt, const char *text, size_t length)
{
    size_t used = prompt->count < prompt->capacity ? prompt->count : prompt->capacity;
    uint32_t *rest = prompt->ids ? prompt->ids + used : NULL; /* NULL: only the need is asked */
    size_t added = 0;
    enum ryz_status status = ryz_tokenizer_encode(prompt->tokenizer, text, length, false, rest,
                                                  prompt->capacity - used, &added);
    prompt->count += added;
    return status == RYZ_FULL ? RYZ_OK : status; /* reported at the end, with the need */
}

/* Encodes role, line break and content as one text. */
static enum ryz_status put_turn(struct prompt *prompt, const char *role, const char *content,
                                size_t content_length)
{
    size_t role_length = strlen(role), length;
    if (!ryz_add_size(role_length + 1, content_length, &length)) return RYZ_NO_MEMORY;
    char on_stack[1024];
    char *text = length <= sizeof on_stack ? on_stack : malloc(length);
    if (!text) return RYZ_NO_MEMORY;
    memcpy(text, role, role_length); /* NOLINT(bugprone-not-null-terminated-result): has a length */
    text[role_length] = '\n';
    if (content_length > 0) memcpy(text + role_length + 1, content, content_length);
    put_id(prompt, prompt->im_start);
    enum ryz_status status = put_text(prompt, text, length);
    if (text != on_stack) free(text);
    return status;
}

static enum ryz_status put_message(struct prompt *prompt, const char *role, const char *content,
                                   size_t content_length)
{
    enum ryz_status status = put_turn(prompt, role, content, content_length);
    if (status != RYZ_OK) return status;
    put_id(prompt, prompt->im_end);
    return put_text(prompt, "\n", 1);
}

static enum ryz_status check_roles(const struct ryz_chat_message *messages, size_t count,
                                   struct ryz_error *error)
{
    static const char *const roles[] = {"system", "user", "assistant"};
    if (count == 0) return ryz_fail(error, RYZ_INVALID, "a conversation without messages");
    for (size_t i = 0; i < count; i++) {
        size_t known = 0;
        while (known < RYZ_COUNT_OF(roles) && strcmp(messages[i].role, roles[known]) != 0) known++;
        if (known < RYZ_COUNT_OF(roles)) continue;
        return ryz_fail(error, RYZ_INVALID,
                        "message %zu has the role \"%.32s\"; system, user and assistant are known",
                        i, messages[i].role);
    }
    return RYZ_OK;
}

static enum ryz_status put_all(struct prompt *prompt, const char *default_system,
                               const struct ryz_chat_message *messages, size_t message_count)
{
    enum ryz_status status = RYZ_OK;
    uint32_t bos = ryz_tokenizer_bos(prompt->tokenizer);
    if (bos != RYZ_TOKEN_NONE) put_id(prompt, bos);
    if (default_system && strcmp(messages[0].role, "system") != 0) {
        status = put_message(prompt, "system", default_system, strlen(default_system));
    }
    for (size_t i = 0; status == RYZ_OK && i < message_count; i++) {
        status =
            put_message(prompt, messages[i].role, messages[i].content, messages[i].content_length);
    }
    return status == RYZ_OK ? put_turn(prompt, "assistant", NULL, 0) : status;
}

/* Eight parameters, for the error comes last; ids is written through the prompt.
 * NOLINTBEGIN(readability-function-size,readability-non-const-parameter) */
enum ryz_status ryz_chat_encode(const struct ryz_tokenizer *tokenizer, const char *default_system,
                                const struct ryz_chat_message *messages, size_t message_count,
                                uint32_t *ids, size_t capacity, size_t *count,
                                struct ryz_error *error)
/* NOLINTEND(readability-function-size,readability-non-const-parameter) */
{
    *count = 0;
    if (!ryz_tokenizer_is_chatml(tokenizer)) {
        return ryz_fail(error, RYZ_UNSUPPORTED,
                        "the model has no ChatML template; send a plain completion instead");
    }
    enum ryz_status status = check_roles(messages, message_count, error);
    if (status != RYZ_OK) return status;
    struct prompt prompt = {
        .tokenizer = tokenizer,
        .im_start = ryz_tokenizer_find_control(tokenizer, "<|im_start|>"),
        .im_end = ryz_tokenizer_find_control(tokenizer, "<|im_end|>"),
        .ids = ids,
        .capacity = capacity,
    };
    status = put_all(&prompt, default_system, messages, message_count);
    if (status != RYZ_OK) {
        return ryz_fail(error, status, "cannot encode the conversation: %s",
                        ryz_status_text(status));
    }
    *count = prompt.count;
    if (prompt.count <= capacity) return RYZ_OK;
    return ryz_fail(error, RYZ_FULL, "the conversation has %zu tokens, room is for %zu",
                    prompt.count, capacity);
}
