/*
 * allocations.c - goal: after open, an engine allocates nothing, neither per token nor per request,
 * with everything that it can do switched on. Method: a plain program with its own malloc, which
 * counts while requests of every kind go through live engines; one round before it warms up what
 * the C library keeps for a thread.
 */
#include "engine/base/atomic.h"
#include "engine/runtime/engine.h"
#include "harness/drive/real_clock.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REQUESTS 12u
#define SKIPPED  77

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif

static _Atomic uint64_t allocations;

#ifndef SANITIZED
/* glibc's own entry points; a sanitizer brings its own malloc, and nothing is counted then. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

void *malloc(size_t size)
{
    (void)ryz_add_relaxed(&allocations, 1);
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    (void)ryz_add_relaxed(&allocations, 1);
    return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    (void)ryz_add_relaxed(&allocations, 1);
    return __libc_realloc(old, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    (void)ryz_add_relaxed(&allocations, 1);
    return __libc_memalign(alignment, size);
}
#endif

static _Atomic uint32_t ended, tokens;

static void on_event(void *context, const struct ryz_stream_event *event)
{
    (void)context;
    (void)ryz_add_acq_rel(event->done ? &ended : &tokens, 1);
}

static uint32_t choices_of(uint32_t request)
{
    return request % 5 == 1 ? 3 : 1;
}

/* Submits requests with text, stop strings, log-probabilities, several choices and a cancel, and
 * awaits their end. */
static void run_round(struct ryz_engine *engine)
{
    static uint32_t prompt[100];
    for (uint32_t i = 0; i < 100; i++) prompt[i] = i % 23 + 10; /* repeats itself, for lookup */
    uint32_t submitted = 0;
    ryz_store_release(&ended, 0);
    for (uint32_t i = 0; i < REQUESTS; i++) {
        const struct ryz_generate request = {
            .tokens = prompt,
            .token_count = 20 + 5 * i,
            .max_tokens = 30,
            .choices = choices_of(i),
            .sampling = {.temperature = i % 2 == 0 ? 0.0f : 0.8f, .top_p = 0.9f, .top_k = 40},
            .ignore_eos = true,
            .wants_text = true,
            .top_logprobs = i % 3 == 0 ? 5 : 0,
            .stops = {"\n\n\n"},
            .stop_count = 1,
            .deadline_ns = RYZ_TIME_NEVER,
            .arrived_ns = RYZ_TIME_NONE,
            .on_event = on_event,
        };
        uint64_t id = 0;
        if (ryz_engine_submit(engine, &request, &id, NULL) != RYZ_OK) abort();
        submitted += choices_of(i);
        if (i % 4 == 3) ryz_engine_cancel(engine, id);
    }
    while (ryz_load_acquire(&ended) < submitted) (void)usleep(1000);
    while (ryz_engine_active(engine) > 0) (void)usleep(1000);
}

static bool is_true(bool truth, const char *what)
{
    if (!truth) (void)fprintf(stderr, "not so: %s\n", what);
    return truth;
}

/* Whether an engine that speculates in this way allocates nothing in a round. */
static bool allocates_nothing(const char *path, const char *speculate, const char *draft_model)
{
    const struct ryz_engine_options options = {.model_path = path,
                                               .threads = 2,
                                               .limits = {.batch_requests_max = 4,
                                                          .batch_tokens_max = 64,
                                                          .prefill_chunk_max = 32,
                                                          .queue_requests_max = 40,
                                                          .itl_target_ns = 10 * RYZ_NS_PER_S,
                                                          .step_ns_max = RYZ_TIME_NEVER,
                                                          .headroom_adapts = true,
                                                          .admit_late = true},
                                               .kv_bytes = UINT64_C(1) << 20,
                                               .kv_host_bytes = UINT64_C(1) << 20,
                                               .speculate = speculate,
                                               .draft_model = draft_model,
                                               .prefix_cache = true,
                                               .clock = ryz_real_clock_monotonic()};
    struct ryz_engine *engine = NULL;
    struct ryz_error error = {.text = ""};
    uint64_t closed = ryz_load_relaxed(&allocations);
    if (ryz_engine_open(&options, &engine, &error) != RYZ_OK) {
        (void)fprintf(stderr, "%s\n", error.text);
        return false;
    }
    uint64_t opened = ryz_load_relaxed(&allocations) - closed;
    run_round(engine);
    uint64_t before = ryz_load_relaxed(&allocations);
    uint32_t tokens_before = ryz_load_acquire(&tokens);
    run_round(engine);
    uint64_t during = ryz_load_relaxed(&allocations) - before;
    uint32_t made = ryz_load_acquire(&tokens) - tokens_before;
    struct ryz_core_stats stats = ryz_engine_stats(engine);
    (void)fprintf(stderr,
                  "speculate %s: %llu allocations to open, %llu in a round of %u requests, %u "
                  "tokens, %llu proposals in all\n",
                  speculate, (unsigned long long)opened, (unsigned long long)during, REQUESTS, made,
                  (unsigned long long)stats.drafts_verified[0]);
    ryz_engine_close(engine);
    bool good = is_true(made >= 100, "the round did something worth counting");
    good &= is_true(stats.host_out_blocks > 0, "blocks were copied to host memory");
    good &= is_true(stats.prompt_tokens_cached > 0, "beginnings of prompts were found");
    good &= is_true(stats.prompt_tokens_shared > 0, "choices started on each other's blocks");
    good &= is_true(strcmp(speculate, "draft") != 0 || stats.drafts_verified[0] > 0,
                    "proposals were verified");
#ifndef SANITIZED
    good &= is_true(opened > 0, "the counter counts");
#endif
    return is_true(during == 0, "nothing was allocated") && good;
}

int main(void)
{
    const char *path = getenv("RYZ_TEST_MODEL");
    const char *draft = path; /* of a model that nobody knows here: itself */
    if (path == NULL || path[0] == '\0') {
        path = RYZ_SOURCE_DIR "/models/ryz-tiny.gguf";
        draft = RYZ_SOURCE_DIR "/models/ryz-tiny-draft.gguf";
    }
    if (access(path, R_OK) != 0) {
        (void)fprintf(stderr, "skipped: no test model at %s; set RYZ_TEST_MODEL\n", path);
        return SKIPPED;
    }
    bool good = allocates_nothing(path, "off", NULL);
    good &= allocates_nothing(path, "lookup", NULL);
    good &= allocates_nothing(path, "draft", draft);
    return good ? 0 : 1;
}
