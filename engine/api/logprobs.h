/* logprobs.h - log-probabilities of tokens in the two shapes that OpenAI has for them. */
#ifndef RYZ_API_LOGPROBS_H
#define RYZ_API_LOGPROBS_H

#include "engine/api/codec.h"

/* Values of one "logprobs" key: of one record, or of all tokens of a choice. `records` is not
 * consumed. */
void ryz_logprobs_chat(struct ryz_json *json, const struct ryz_codec *codec,
                       const struct ryz_records *records, uint32_t choice);
void ryz_logprobs_chat_one(struct ryz_json *json, const struct ryz_codec *codec,
                           const struct ryz_record *record);
/* text_offset counts from the codec's. */
void ryz_logprobs_completion(struct ryz_json *json, const struct ryz_codec *codec,
                             const struct ryz_records *records, uint32_t choice);
void ryz_logprobs_completion_one(struct ryz_json *json, const struct ryz_codec *codec,
                                 const struct ryz_record *record);
/* Characters that a token begins: its bytes without UTF-8's continuation bytes. */
uint64_t ryz_logprobs_characters(const struct ryz_codec *codec, uint32_t token);

#endif
