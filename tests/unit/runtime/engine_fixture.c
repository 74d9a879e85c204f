/* engine_fixture.c - see engine_fixture.h. */
#include "tests/unit/runtime/engine_fixture.h"

#include "engine/base/rng.h"
#include "engine/base/utf8.h"
#include "engine/model/tokenizer.h"
#include "harness/drive/real_clock.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

const struct ryz_clock *test_clock(void)
{
    return ryz_real_clock_monotonic();
}

const char *model_path(void)
{
    const char *path = getenv("RYZ_TEST_MODEL");
    if (path == NULL || path[0] == '\0') path = RYZ_SOURCE_DIR "/models/ryz-tiny.gguf";
    if (access(path, R_OK) != 0) cr_skip_test("no test model at %s; set RYZ_TEST_MODEL", path);
    return path;
}

struct ryz_engine_options default_options(void)
{
    return (struct ryz_engine_options){
        .model_path = model_path(),
        .backend = "cpu",
        .isa = "auto",
        .threads = 1,
        .policy = "fcfs",
        .limits = {.batch_requests_max = 8,
                   .batch_tokens_max = 128,
                   .prefill_chunk_max = 64,
                   .queue_requests_max = 64,
                   .step_ns_max = RYZ_TIME_NEVER,
                   .admit_late = true},
        .kv_bytes = UINT64_C(16) << 20,
        .seed = 7,
        .clock = test_clock(),
    };
}

static void on_step(void *context, const struct ryz_step_record *step)
{
    struct fixture *fixture = context;
    fixture->steps++;
    if (step->failed) fixture->failed_steps++;
    if (step->run_count > fixture->widest) fixture->widest = step->run_count;
    cr_assert_leq(step->sched_ns + step->forward_ns, step->duration_ns);
}

static void on_log(void *context, const struct ryz_event *event)
{
    struct fixture *fixture = context;
    cr_assert_lt(fixture->log_count, EVENTS_MAX);
    fixture->log[fixture->log_count++] = *event;
}

static void on_span(void *context, const struct ryz_span *span)
{
    struct fixture *fixture = context;
    cr_assert_lt(fixture->span_count, EVENTS_MAX);
    fixture->spans[fixture->span_count++] = *span;
}

void open_engine(struct fixture *fixture, const struct ryz_engine_options *options)
{
    memset(fixture, 0, sizeof *fixture);
    fixture->log = calloc(EVENTS_MAX, sizeof *fixture->log);
    fixture->spans = calloc(EVENTS_MAX, sizeof *fixture->spans);
    cr_assert(fixture->log != NULL && fixture->spans != NULL);
    fixture->options = *options;
    fixture->options.observer = (struct ryz_engine_observer){
        .context = fixture, .step = on_step, .event = on_log, .span = on_span};
    struct ryz_error error = {.text = ""};
    enum ryz_status status = ryz_engine_open(&fixture->options, &fixture->engine, &error);
    cr_assert_eq(status, RYZ_OK, "%s", error.text);
}

void close_engine(struct fixture *fixture)
{
    ryz_engine_close(fixture->engine);
    free(fixture->log);
    free(fixture->spans);
    memset(fixture, 0, sizeof *fixture);
}

void output_init(struct output *output)
{
    memset(output, 0, sizeof *output);
    (void)pthread_mutex_init(&output->lock, NULL);
    (void)pthread_cond_init(&output->ended, NULL);
}

static void add_text(struct output *output, const struct ryz_stream_event *event)
{
    cr_assert_lt(output->text_length + event->text_length, sizeof output->text);
    if (event->text_length == 0) return;
    memcpy(output->text + output->text_length, event->text, event->text_length);
    output->text_length += event->text_length;
    if (ryz_utf8_valid_bytes(event->text, event->text_length) != event->text_length)
        output->ragged = true;
}

static void on_event(void *context, const struct ryz_stream_event *event)
{
    struct output *output = context;
    (void)pthread_mutex_lock(&output->lock);
    cr_assert_eq(output->dones, 0, "an event after the last one");
    add_text(output, event);
    if (event->done) {
        output->dones++;
        output->done_event = *event;
        output->done_event.text = NULL;
        output->done = true;
        (void)pthread_cond_broadcast(&output->ended);
    } else {
        cr_assert_lt(output->token_count, OUTPUT_MAX);
        cr_assert_eq(event->index, output->token_count, "tokens out of order");
        output->t_ns[output->token_count] = event->t_ns;
        output->logprobs[output->token_count] = event->logprob;
        output->tokens[output->token_count++] = event->token;
        if (event->index == 0 && event->top_count > 0) {
            output->top_count = event->top_count;
            memcpy(output->top, event->top, event->top_count * sizeof *event->top);
        }
        if (output->cancels_itself_on != NULL &&
            output->token_count == output->cancels_itself_after)
            ryz_engine_cancel(output->cancels_itself_on, event->request_id);
    }
    (void)pthread_mutex_unlock(&output->lock);
}

struct ryz_generate make_request(const uint32_t *prompt, uint32_t count, uint32_t max_tokens,
                                 struct output *output)
{
    return (struct ryz_generate){.tokens = prompt,
                                 .token_count = count,
                                 .max_tokens = max_tokens,
                                 .sampling = {.top_p = 1.0f},
                                 .ignore_eos = true,
                                 .wants_text = true,
                                 .deadline_ns = RYZ_TIME_NEVER,
                                 .arrived_ns = RYZ_TIME_NONE,
                                 .on_event = on_event,
                                 .context = output};
}

void submit(struct fixture *fixture, const struct ryz_generate *request)
{
    struct ryz_error error = {.text = ""};
    struct output *output = request->context;
    enum ryz_status status = ryz_engine_submit(fixture->engine, request, &output->id, &error);
    cr_assert_eq(status, RYZ_OK, "%s", error.text);
}

void await(struct output *output)
{
    (void)pthread_mutex_lock(&output->lock);
    while (!output->done) (void)pthread_cond_wait(&output->ended, &output->lock);
    (void)pthread_mutex_unlock(&output->lock);
}

void await_idle(struct fixture *fixture)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    while (ryz_engine_active(fixture->engine) > 0) (void)nanosleep(&pause, NULL);
}

void make_prompt(const struct ryz_engine *engine, uint64_t seed, uint32_t *tokens, uint32_t count)
{
    const struct ryz_tokenizer *tokenizer = ryz_model_tokenizer(ryz_engine_model(engine));
    uint32_t n_vocab = ryz_tokenizer_vocab_size(tokenizer);
    for (uint32_t i = 0, draw = 0; i < count; draw++) {
        uint32_t id = (uint32_t)(ryz_rng_at(seed, 1, draw) % n_vocab);
        if (!ryz_tokenizer_is_control(tokenizer, id)) tokens[i++] = id;
    }
}
