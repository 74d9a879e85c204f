/*
 * test_choices.c - goal: a choice is to the bit what a request of its own would be, whatever it
 * shares with the others; a request's choices are taken, refused and cancelled together. Method:
 * sampled requests one after the other, against groups on engines with the prefix cache and
 * without, with room for all and with so little that they wait for places and lose their blocks.
 */
#include "engine_fixture.h"

#include "engine/base/clock.h"
#include "engine/base/size.h"
#include "engine/sched/event_log.h"

#include <criterion/criterion.h>
#include <string.h>
#include <time.h>

#define CHOICES 5u
#define WANTED  40u
#define SEED    11u

static struct fixture fixture;
static struct output alone[CHOICES], together[CHOICES], other;
static ryz_stream_fn keep; /* the fixture's callback, for one output */

/* Hands each event to the output of its choice. */
static void keep_choice(void *context, const struct ryz_stream_event *event)
{
    struct output *outputs = context;
    cr_assert_lt(event->choice, CHOICES);
    outputs[event->choice].id = event->request_id;
    keep(&outputs[event->choice], event);
}

static struct ryz_generate sampled(const uint32_t *prompt, uint32_t count, struct output *output)
{
    struct ryz_generate request = make_request(prompt, count, WANTED, output);
    request.sampling.temperature = 1.0f;
    request.sampling.seed = SEED;
    request.wants_logprobs = true;
    keep = request.on_event;
    return request;
}

static uint64_t submit_choices(struct ryz_generate *request)
{
    struct ryz_error error = {.text = ""};
    uint64_t id = 0;
    request->choices = CHOICES;
    request->on_event = keep_choice;
    request->context = together;
    cr_assert_eq(ryz_engine_submit(fixture.engine, request, &id, &error), RYZ_OK, "%s", error.text);
    return id;
}

static void init_together(void)
{
    for (uint32_t i = 0; i < CHOICES; i++) output_init(&together[i]);
}

static void expect_replay(void)
{
    uint64_t digest = 0;
    struct ryz_core_config config = ryz_engine_core_config(fixture.engine);
    cr_assert_eq(ryz_event_log_replay(&config, fixture.log, fixture.log_count, &digest, NULL, NULL),
                 RYZ_OK);
    cr_assert_eq(digest, ryz_engine_digest(fixture.engine), "a replay decides the same");
}

static void open_pool(struct ryz_engine_options options, uint32_t pool_blocks)
{
    open_engine(&fixture, &options);
    if (pool_blocks == 0) return;
    uint64_t blocks = ryz_engine_core_config(fixture.engine).limits.kv_blocks;
    close_engine(&fixture);
    options.kv_bytes = pool_blocks * (options.kv_bytes / blocks);
    open_engine(&fixture, &options);
}

/* The choices as requests of their own, which compute everything. */
static void run_alone(const struct ryz_engine_options *options, uint32_t prompt_tokens)
{
    uint32_t prompt[128];
    open_engine(&fixture, options);
    make_prompt(fixture.engine, 5, prompt, prompt_tokens);
    for (uint32_t i = 0; i < CHOICES; i++) {
        output_init(&alone[i]);
        struct ryz_generate request = sampled(prompt, prompt_tokens, &alone[i]);
        request.sampling.seed += i;
        submit(&fixture, &request);
        await(&alone[i]);
    }
    close_engine(&fixture);
}

/* The choices as one request, beside another one that arrives first. */
static struct ryz_core_stats run_together(const struct ryz_engine_options *options,
                                          uint32_t pool_blocks, uint32_t prompt_tokens)
{
    uint32_t prompt[128];
    open_pool(*options, pool_blocks);
    make_prompt(fixture.engine, 6, prompt, 60);
    output_init(&other);
    struct ryz_generate before = make_request(prompt, 60, WANTED, &other);
    submit(&fixture, &before);
    make_prompt(fixture.engine, 5, prompt, prompt_tokens);
    struct ryz_generate request = sampled(prompt, prompt_tokens, together);
    init_together();
    (void)submit_choices(&request);
    await_idle(&fixture);
    struct ryz_core_stats stats = ryz_engine_stats(fixture.engine);
    cr_assert_eq(stats.kv_blocks_used, 0);
    cr_assert_eq(stats.finished, CHOICES + 1);
    expect_replay();
    close_engine(&fixture);
    return stats;
}

static void expect_same(const char *how)
{
    bool differ = false;
    for (uint32_t i = 0; i < CHOICES; i++) {
        const struct output *a = &alone[i], *b = &together[i];
        cr_assert(a->token_count == WANTED && b->token_count == WANTED);
        cr_assert_eq(memcmp(a->tokens, b->tokens, WANTED * sizeof a->tokens[0]), 0, "choice %u, %s",
                     i, how);
        cr_assert_eq(memcmp(a->logprobs, b->logprobs, WANTED * sizeof a->logprobs[0]), 0,
                     "choice %u, %s", i, how);
        cr_assert_eq(b->dones, 1);
        cr_assert_eq(b->id, together[0].id, "one id for all choices");
        differ |= memcmp(a->tokens, alone[0].tokens, WANTED * sizeof a->tokens[0]) != 0;
    }
    cr_assert(differ, "each choice has a seed of its own");
}

/* Prompts that end inside a block, at its border, and a token behind it. */
static void compare(const char *kv_type)
{
    static const uint32_t prompts[] = {70, 64, 65};
    for (uint32_t p = 0; p < RYZ_COUNT_OF(prompts); p++) {
        struct ryz_engine_options options = default_options();
        options.kv_type = kv_type;
        options.limits.prefill_chunk_max = 24;
        run_alone(&options, prompts[p]);
        for (uint32_t cache = 0; cache < 2; cache++) {
            options.prefix_cache = cache == 1;
            options.limits.batch_requests_max = 8;
            struct ryz_core_stats stats = run_together(&options, 0, prompts[p]);
            expect_same("room for all");
            cr_assert_eq(stats.preempted, 0);
            cr_assert_eq(stats.prompt_tokens_shared, (CHOICES - 1) * (prompts[p] - 1));
            cr_assert_eq(stats.prompt_tokens_computed, 60 + prompts[p] + CHOICES - 1);
            options.speculate = "lookup";
            stats = run_together(&options, 0, prompts[p]);
            expect_same("proposals from the text");
            options.speculate = NULL;
            options.limits.batch_requests_max = 2;
            stats = run_together(&options, 0, prompts[p]);
            expect_same("two places");
            cr_assert_gt(stats.prompt_tokens_shared, 0);
            options.limits.batch_requests_max = 6;
            stats = run_together(&options, 13, prompts[p]);
            expect_same("a small pool");
            cr_assert_gt(stats.prompt_tokens_shared, 0);
            cr_assert_gt(stats.preempted, 0);
        }
    }
}

Test(choices, are_to_the_bit_what_requests_of_their_own_are, .timeout = 300)
{
    compare("bf16");
}

Test(choices, are_so_with_an_int8_kv_cache_too, .timeout = 300)
{
    compare("int8");
}

Test(choices, are_cancelled_together_even_after_the_first_has_ended)
{
    struct ryz_engine_options options = default_options();
    uint32_t prompt[20];
    options.limits.batch_requests_max = 1;
    open_engine(&fixture, &options);
    make_prompt(fixture.engine, 5, prompt, 20);
    struct ryz_generate request = sampled(prompt, 20, together);
    init_together();
    together[1].cancels_itself_on = fixture.engine;
    together[1].cancels_itself_after = 3;
    uint64_t id = submit_choices(&request);
    await_idle(&fixture);
    cr_assert_eq(together[0].done_event.status, RYZ_OK);
    for (uint32_t i = 1; i < CHOICES; i++) {
        cr_assert_eq(together[i].dones, 1);
        cr_assert_eq(together[i].done_event.choice, i);
        cr_assert_eq(together[i].done_event.status, RYZ_CANCELLED);
    }
    ryz_engine_cancel(fixture.engine, id); /* of a request that is gone: nothing happens */
    expect_replay();
    close_engine(&fixture);
}

Test(choices, that_the_queue_cannot_take_are_refused_whole)
{
    struct ryz_engine_options options = default_options();
    uint32_t prompt[100];
    options.limits.queue_requests_max = CHOICES;
    options.limits.context_tokens_max = 128;
    open_engine(&fixture, &options);
    make_prompt(fixture.engine, 5, prompt, 100);
    struct ryz_generate request = sampled(prompt, 100, together);
    init_together();
    (void)submit_choices(&request); /* 100 + 40 tokens */
    await_idle(&fixture);
    for (uint32_t i = 0; i < CHOICES; i++) {
        cr_assert_eq(together[i].dones, 1);
        cr_assert_eq(together[i].done_event.status, RYZ_INVALID);
    }
    struct ryz_error error = {.text = ""};
    request.choices = CHOICES + 1;
    cr_assert_eq(ryz_engine_submit(fixture.engine, &request, NULL, &error), RYZ_INVALID);
    cr_assert_not_null(strstr(error.text, "the queue holds 5"));
    request.choices = RYZ_CHOICES_MAX + 1;
    cr_assert_eq(ryz_engine_submit(fixture.engine, &request, NULL, &error), RYZ_INVALID);
    cr_assert_eq(ryz_engine_active(fixture.engine), 0);
    close_engine(&fixture);
}

/* A request takes the engine's only place, and the engine then stands still in its first decode
 * until the faults are taken away. */
static struct ryz_faults *occupy(const uint32_t *prompt)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    const struct ryz_fault still = {.name = "still",
                                    .point = RYZ_FAULT_ENGINE_DECODE,
                                    .action = RYZ_FAULT_DELAY,
                                    .value_ns = 3600 * RYZ_NS_PER_S,
                                    .until_ns = RYZ_TIME_NEVER,
                                    .permille = 1000};
    struct ryz_faults *faults = NULL;
    cr_assert_eq(ryz_faults_open(&still, 1, 1, &faults, NULL), RYZ_OK);
    ryz_engine_set_faults(fixture.engine, faults);
    output_init(&other);
    struct ryz_generate request = make_request(prompt, 20, 9, &other);
    request.priority = 0;
    submit(&fixture, &request);
    for (uint32_t tokens = 0; tokens == 0; (void)nanosleep(&pause, NULL)) {
        (void)pthread_mutex_lock(&other.lock);
        tokens = other.token_count;
        (void)pthread_mutex_unlock(&other.lock);
    }
    return faults;
}

Test(choices, give_way_together)
{
    struct ryz_engine_options options = default_options();
    uint32_t prompt[20];
    static struct output urgent;
    options.policy = "priority";
    options.limits.batch_requests_max = 1;
    options.limits.queue_requests_max = CHOICES;
    open_engine(&fixture, &options);
    make_prompt(fixture.engine, 5, prompt, 20);
    struct ryz_faults *faults = occupy(prompt);
    init_together();
    struct ryz_generate request = sampled(prompt, 20, together);
    request.priority = 2;
    (void)submit_choices(&request);
    output_init(&urgent);
    request = make_request(prompt, 20, 4, &urgent);
    submit(&fixture, &request);
    ryz_engine_set_faults(fixture.engine, NULL);
    ryz_faults_close(faults);
    for (uint32_t i = 0; i < CHOICES; i++) {
        await(&together[i]);
        cr_assert_eq(together[i].done_event.status, RYZ_FULL, "one more urgent took all places");
    }
    await(&urgent);
    cr_assert_eq(urgent.done_event.status, RYZ_OK);
    await_idle(&fixture);
    expect_replay();
    close_engine(&fixture);
}
