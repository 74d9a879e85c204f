/*
 * chat.h - a conversation to one prompt, by the ChatML template.
 *
 * Only ChatML is known (the file's template must contain "<|im_start|>"); the roles' markers become
 * control tokens, the messages' contents never do.
 */
#ifndef RYZ_MODEL_CHAT_H
#define RYZ_MODEL_CHAT_H

#include "engine/model/tokenizer.h"

struct ryz_chat_message {
    const char *role; /* "system" | "user" | "assistant" */
    const char *content;
    size_t content_length;
};

/* Encodes the messages and the opening of the assistant's turn. default_system (may be NULL) is put
 * first when the first message is not a system one. RYZ_UNSUPPORTED when the vocabulary has no
 * ChatML markers; RYZ_FULL when `capacity` is too small (*count then says the need). */
RYZ_MUST_USE enum ryz_status ryz_chat_encode(const struct ryz_tokenizer *tokenizer,
                                             const char *default_system,
                                             const struct ryz_chat_message *messages,
                                             size_t message_count, uint32_t *ids, size_t capacity,
                                             size_t *count, struct ryz_error *error);

#endif
