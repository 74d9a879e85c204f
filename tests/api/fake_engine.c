/* fake_engine.c - see fake_engine.h. */
#include "tests/api/fake_engine.h"

#include "engine/model/chat.h"
#include "engine/model/tokenizer.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PATIENCE_S 100 /* Valgrind is slow */

struct ryz_engine *fake_open(void)
{
    struct ryz_engine *engine = calloc(1, sizeof *engine);
    cr_assert_not_null(engine);
    (void)pthread_mutex_init(&engine->lock, NULL);
    (void)pthread_cond_init(&engine->changed, NULL);
    return engine;
}

void fake_close(struct ryz_engine *engine)
{
    for (uint32_t i = 0; i < engine->job_count; i++)
        cr_assert(engine->jobs[i].ended, "request %u was left in the engine", i);
    (void)pthread_cond_destroy(&engine->changed);
    (void)pthread_mutex_destroy(&engine->lock);
    free(engine);
}

/* Waits for a change; fails the test when none comes. Caller holds the lock. */
static void await(struct ryz_engine *engine)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    cr_assert_eq(pthread_cond_timedwait(&engine->changed, &engine->lock, &until), 0,
                 "nothing happened in the engine");
}

struct fake_job *fake_take(struct ryz_engine *engine)
{
    struct fake_job *job = NULL;
    (void)pthread_mutex_lock(&engine->lock);
    while (job == NULL) {
        for (uint32_t i = 0; i < engine->job_count && job == NULL; i++) {
            if (!engine->jobs[i].taken) job = &engine->jobs[i];
        }
        if (job == NULL) await(engine);
    }
    job->taken = true;
    (void)pthread_mutex_unlock(&engine->lock);
    return job;
}

void fake_await_cancel(struct ryz_engine *engine, struct fake_job *job)
{
    (void)pthread_mutex_lock(&engine->lock);
    while (!job->cancelled) await(engine);
    (void)pthread_mutex_unlock(&engine->lock);
}

void fake_token_text(struct fake_job *job, uint32_t token, const char *text, size_t length)
{
    struct ryz_candidate top[RYZ_TOP_LOGPROBS_MAX];
    for (uint32_t i = 0; i < RYZ_TOP_LOGPROBS_MAX; i++)
        top[i] = (struct ryz_candidate){.logit = -0.5f - (float)i, .id = token + i};
    const struct ryz_stream_event event = {.request_id = job->id,
                                           .choice = job->choice,
                                           .token = token,
                                           .index = job->sent[job->choice]++,
                                           .logprob = -0.5f,
                                           .text = text,
                                           .text_length = length,
                                           .top = top,
                                           .top_count = job->generate.top_logprobs};
    job->generate.on_event(job->generate.context, &event);
}

void fake_token(struct fake_job *job, unsigned char byte)
{
    const char text[1] = {(char)byte};
    fake_token_text(job, byte, text, 1);
}

void fake_end(struct fake_job *job, enum ryz_status status, enum ryz_finish_reason finish,
              const char *tail)
{
    const struct ryz_stream_event event = {.request_id = job->id,
                                           .done = true,
                                           .choice = job->choice,
                                           .text = tail,
                                           .text_length = strlen(tail),
                                           .finish = finish,
                                           .status = status,
                                           .prompt_tokens = job->generate.token_count,
                                           .output_tokens = job->sent[job->choice],
                                           .first_token_ns = RYZ_TIME_NONE};
    job->ended = ++job->ended_choices == job->generate.choices;
    job->generate.on_event(job->generate.context, &event);
}

void fake_refuse(struct fake_job *job, bool late, int64_t estimate_ns)
{
    struct ryz_stream_event event = {.request_id = job->id,
                                     .done = true,
                                     .text = "",
                                     .finish = RYZ_FINISH_ERROR,
                                     .status = RYZ_FULL,
                                     .first_token_ns = RYZ_TIME_NONE,
                                     .late = late,
                                     .estimate_ns = estimate_ns};
    job->ended = true;
    for (; event.choice < job->generate.choices; event.choice++)
        job->generate.on_event(job->generate.context, &event);
}

enum ryz_status ryz_engine_submit(struct ryz_engine *engine, const struct ryz_generate *request,
                                  uint64_t *id, struct ryz_error *error)
{
    if (engine->refuse != RYZ_OK) return ryz_fail(error, engine->refuse, "as the test said");
    (void)pthread_mutex_lock(&engine->lock);
    cr_assert_lt(engine->job_count, FAKE_JOBS);
    cr_assert_leq(request->token_count, FAKE_CONTEXT);
    struct fake_job *job = &engine->jobs[engine->job_count++];
    job->id = engine->job_count;
    job->generate = *request;
    memcpy(job->tokens, request->tokens, request->token_count * sizeof *job->tokens);
    for (uint32_t i = 0; i < request->stop_count; i++)
        (void)strncpy(job->stops[i], request->stops[i], RYZ_STOP_BYTES_MAX);
    *id = job->id;
    (void)pthread_cond_broadcast(&engine->changed);
    (void)pthread_mutex_unlock(&engine->lock);
    return RYZ_OK;
}

void ryz_engine_cancel(struct ryz_engine *engine, uint64_t id)
{
    (void)pthread_mutex_lock(&engine->lock);
    cr_assert(id > 0 && id <= engine->job_count);
    engine->jobs[id - 1].cancelled = true;
    (void)pthread_cond_broadcast(&engine->changed);
    (void)pthread_mutex_unlock(&engine->lock);
}

struct ryz_core_config ryz_engine_core_config(const struct ryz_engine *engine)
{
    (void)engine;
    return (struct ryz_core_config){.limits = {.context_tokens_max = FAKE_CONTEXT}};
}

uint64_t ryz_engine_digest(const struct ryz_engine *engine)
{
    (void)engine;
    return 0xd19e57;
}

int64_t ryz_engine_heartbeat_ns(const struct ryz_engine *engine)
{
    return engine->heartbeat_ns;
}

struct ryz_core_stats ryz_engine_stats(const struct ryz_engine *engine)
{
    return engine->stats;
}

void ryz_engine_set_faults(struct ryz_engine *engine, struct ryz_faults *faults)
{
    engine->faults = faults;
}

const struct ryz_model *ryz_engine_model(const struct ryz_engine *engine)
{
    (void)engine;
    return NULL;
}

const struct ryz_model_info *ryz_model_info(const struct ryz_model *model)
{
    static const struct ryz_model_info info = {.name = "fake", .weight_type = "f32"};
    (void)model;
    return &info;
}

const struct ryz_tokenizer *ryz_model_tokenizer(const struct ryz_model *model)
{
    (void)model;
    return NULL;
}

uint32_t ryz_tokenizer_bos(const struct ryz_tokenizer *tokenizer)
{
    (void)tokenizer;
    return RYZ_TOKEN_NONE;
}

uint32_t ryz_tokenizer_vocab_size(const struct ryz_tokenizer *tokenizer)
{
    (void)tokenizer;
    return FAKE_END + 1;
}

const char *ryz_tokenizer_bytes(const struct ryz_tokenizer *tokenizer, uint32_t id, size_t *length)
{
    static char bytes[256];
    (void)tokenizer;
    *length = id < 256;
    if (id >= 256) return "";
    bytes[id] = (char)id;
    return &bytes[id];
}

size_t ryz_tokenizer_encode_bound(size_t length)
{
    return length;
}

enum ryz_status ryz_tokenizer_encode(const struct ryz_tokenizer *tokenizer, const char *text,
                                     size_t length, bool parse_special, uint32_t *ids,
                                     size_t capacity, size_t *count)
{
    (void)tokenizer;
    cr_assert_not(parse_special, "text of users is never searched for control tokens");
    for (size_t i = 0; i < length && i < capacity; i++) ids[i] = (unsigned char)text[i];
    *count = length;
    return length <= capacity ? RYZ_OK : RYZ_FULL;
}

/* "role:content|" for each message. */
enum ryz_status ryz_chat_encode(const struct ryz_tokenizer *tokenizer, const char *default_system,
                                const struct ryz_chat_message *messages, size_t message_count,
                                uint32_t *ids, size_t capacity, size_t *count,
                                struct ryz_error *error)
{
    (void)tokenizer, (void)default_system, (void)error;
    size_t at = 0;
    for (size_t i = 0; i < message_count; i++) {
        const char *role = messages[i].role;
        for (size_t k = 0; k < strlen(role); k++, at++)
            if (at < capacity) ids[at] = (unsigned char)role[k];
        if (at < capacity) ids[at] = ':';
        at++;
        for (size_t k = 0; k < messages[i].content_length; k++, at++)
            if (at < capacity) ids[at] = (unsigned char)messages[i].content[k];
        if (at < capacity) ids[at] = '|';
        at++;
    }
    *count = at;
    return at <= capacity ? RYZ_OK : RYZ_FULL;
}
