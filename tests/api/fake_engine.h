/*
 * fake_engine.h - an engine that does what a test says, in place of the real one.
 *
 * It has the real one's symbols (ryz_engine_*, and the model's and tokenizer's few), so the server
 * is linked against it unchanged. The test's thread is the engine thread: it takes a request, hands
 * out tokens, ends it. The tokenizer has a token a byte, and one control token.
 */
#ifndef RYZ_TESTS_API_FAKE_ENGINE_H
#define RYZ_TESTS_API_FAKE_ENGINE_H

#include "engine/runtime/engine.h"

#include <pthread.h>

#define FAKE_CONTEXT 512u
#define FAKE_END     256u /* the control token; ids 0..255 are bytes */
#define FAKE_JOBS    128u

struct fake_job {
    uint64_t id;
    struct ryz_generate generate;
    uint32_t tokens[FAKE_CONTEXT];
    char stops[RYZ_STOPS_MAX][RYZ_STOP_BYTES_MAX + 1];
    uint32_t choice; /* of which the next events are; 0 until a test says otherwise */
    uint32_t sent[RYZ_CHOICES_MAX];
    uint32_t ended_choices;
    bool taken, cancelled, ended;
};

struct ryz_engine {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct fake_job jobs[FAKE_JOBS]; /* lock */
    uint32_t job_count;              /* lock */
    enum ryz_status refuse;          /* what submit says, RYZ_OK: takes it */
    int64_t heartbeat_ns;
    struct ryz_core_stats stats;
    struct ryz_faults *faults;
};

struct ryz_engine *fake_open(void);
/* Every request must have been ended. */
void fake_close(struct ryz_engine *engine);
/* Waits for the next request. */
struct fake_job *fake_take(struct ryz_engine *engine);
/* Waits until a request was cancelled. */
void fake_await_cancel(struct ryz_engine *engine, struct fake_job *job);
/* Hands out one byte as a token with its text. */
void fake_token(struct fake_job *job, unsigned char byte);
/* Hands out a token with any text, and `top_count` alternatives of falling log-probability. */
void fake_token_text(struct fake_job *job, uint32_t token, const char *text, size_t length);
void fake_end(struct fake_job *job, enum ryz_status status, enum ryz_finish_reason finish,
              const char *tail);
/* Ends a request, all its choices, as the scheduler does that has no room or no time for it. */
void fake_refuse(struct fake_job *job, bool late, int64_t estimate_ns);

#endif
