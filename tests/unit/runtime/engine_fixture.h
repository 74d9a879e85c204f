/*
 * engine_fixture.h - an engine on the small test model, and requests whose outputs are kept.
 *
 * The model is $RYZ_TEST_MODEL or models/ryz-tiny.gguf; where neither exists a test is skipped with
 * a message, never passed.
 */
#ifndef RYZ_TESTS_RUNTIME_ENGINE_FIXTURE_H
#define RYZ_TESTS_RUNTIME_ENGINE_FIXTURE_H

#include "engine/runtime/engine.h"

#include <pthread.h>

#define OUTPUT_MAX 256
#define EVENTS_MAX 200000

/* What a request produced; `done` is set last. */
struct output {
    uint32_t tokens[OUTPUT_MAX];
    float logprobs[OUTPUT_MAX];
    int64_t t_ns[OUTPUT_MAX];
    uint32_t token_count;
    char text[8192];
    size_t text_length;
    bool ragged; /* some piece of text was not whole characters */
    struct ryz_stream_event done_event;
    struct ryz_candidate top[RYZ_TOP_LOGPROBS_MAX]; /* of the first token */
    uint32_t top_count;
    uint64_t id;
    uint32_t dones;                       /* DONE events seen */
    struct ryz_engine *cancels_itself_on; /* cancels itself from the callback after.. */
    uint32_t cancels_itself_after;        /* ..so many tokens */
    bool done;
    pthread_mutex_t lock;
    pthread_cond_t ended;
};

struct fixture {
    struct ryz_engine *engine;
    struct ryz_engine_options options;
    struct ryz_event *log; /* (log_count) */
    size_t log_count;
    struct ryz_span *spans;
    size_t span_count;
    uint64_t steps, failed_steps;
    uint32_t widest; /* most requests in a step */
};

/* Skips the calling test where there is no model. */
const char *model_path(void);
/* Limits that most tests use: chunks of 64, 8 requests a step, 4 MiB of KV. */
struct ryz_engine_options default_options(void);
void open_engine(struct fixture *fixture, const struct ryz_engine_options *options);
void close_engine(struct fixture *fixture);

void output_init(struct output *output);
/* A greedy request for `max_tokens` tokens, with text. */
struct ryz_generate make_request(const uint32_t *prompt, uint32_t count, uint32_t max_tokens,
                                 struct output *output);
void submit(struct fixture *fixture, const struct ryz_generate *request);
void await(struct output *output);
/* Waits until nothing is inside. */
void await_idle(struct fixture *fixture);
/* A prompt of ordinary tokens that depends on `seed`. */
void make_prompt(const struct ryz_engine *engine, uint64_t seed, uint32_t *tokens, uint32_t count);
const struct ryz_clock *test_clock(void);

#endif
