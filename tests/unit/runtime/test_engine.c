/*
 * Goal: a live engine answers every request exactly once, with tokens that depend on the request
 * alone, and frees everything a request held.
 * Method: real engines on a small model. The tokens of one request are compared between runs that
 * differ in batch, chunking, threads and memory; the core's counters say that the run was what it
 * was meant to be (a preemption did happen, blocks are free again).
 */
#include "engine/base/rng.h"
#include "engine/model/tokenizer.h"
#include "tests/unit/runtime/engine_fixture.h"

#include <criterion/criterion.h>
#include <math.h>
#include <sched.h>
#include <string.h>
#include <time.h>

#define PROMPT  150
#define TOKENS  24
#define OTHERS  20
#define THREADS 4

static void assert_all_free(const struct fixture *fixture)
{
    struct ryz_core_stats stats = ryz_engine_stats(fixture->engine);
    cr_assert_eq(stats.running, 0);
    cr_assert_eq(stats.waiting, 0);
    cr_assert_eq(stats.kv_blocks_used, 0);
    cr_assert_gt(stats.kv_blocks_total, 0);
}

/* The probe: one greedy and one sampled request, alone or among others; their tokens. */
static void run_probe(const struct ryz_engine_options *options, uint32_t others,
                      struct output probes[2], struct ryz_core_stats *stats)
{
    static struct output crowd[OTHERS];
    struct fixture fixture;
    uint32_t prompt[PROMPT];
    open_engine(&fixture, options);
    for (uint32_t i = 0; i < others; i++) {
        uint32_t length = 20 + 13 * i % 100;
        output_init(&crowd[i]);
        make_prompt(fixture.engine, 1000 + i, prompt, length);
        struct ryz_generate request = make_request(prompt, length, 10 + i, &crowd[i]);
        submit(&fixture, &request);
    }
    make_prompt(fixture.engine, 1, prompt, PROMPT);
    for (int i = 0; i < 2; i++) {
        output_init(&probes[i]);
        struct ryz_generate request = make_request(prompt, PROMPT, TOKENS, &probes[i]);
        request.wants_logprobs = true;
        if (i == 1) {
            request.sampling.temperature = 0.9f;
            request.sampling.top_k = 50;
            request.sampling.seed = 99;
        }
        submit(&fixture, &request);
    }
    for (int i = 0; i < 2; i++) await(&probes[i]);
    await_idle(&fixture);
    for (uint32_t i = 0; i < others; i++) {
        cr_assert_eq(crowd[i].done_event.status, RYZ_OK);
        cr_assert_eq(crowd[i].token_count, 10 + i);
    }
    assert_all_free(&fixture);
    if (stats != NULL) *stats = ryz_engine_stats(fixture.engine);
    close_engine(&fixture);
}

static void assert_same(const struct output a[2], const struct output b[2])
{
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(a[i].token_count, TOKENS);
        cr_assert_eq(b[i].token_count, TOKENS);
        cr_assert_arr_eq(a[i].tokens, b[i].tokens, TOKENS * sizeof(uint32_t));
        cr_assert_arr_eq(a[i].logprobs, b[i].logprobs, TOKENS * sizeof(float));
        cr_assert_eq(a[i].text_length, b[i].text_length);
        cr_assert_eq(memcmp(a[i].text, b[i].text, a[i].text_length), 0);
    }
}

static struct output reference[2], variant[2];

Test(engine, a_request_gives_the_same_tokens_among_others)
{
    struct ryz_engine_options options = default_options();
    run_probe(&options, 0, reference, NULL);
    run_probe(&options, OTHERS, variant, NULL);
    assert_same(reference, variant);
    /* The two probes differ, or sampling did nothing and half of this test were empty. */
    cr_assert_neq(memcmp(reference[0].tokens, reference[1].tokens, TOKENS * sizeof(uint32_t)), 0);
}

Test(engine, a_request_gives_the_same_tokens_with_other_chunks_and_threads)
{
    struct ryz_engine_options options = default_options();
    run_probe(&options, 0, reference, NULL);
    options.limits.prefill_chunk_max = 5;
    options.limits.batch_tokens_max = 16;
    run_probe(&options, 3, variant, NULL);
    assert_same(reference, variant);
    options = default_options();
    options.threads = 2;
    run_probe(&options, 3, variant, NULL);
    assert_same(reference, variant);
}

Test(engine, a_preempted_request_gives_the_same_tokens)
{
    struct ryz_engine_options options = default_options();
    struct ryz_core_stats stats;
    struct fixture fixture;
    run_probe(&options, 0, reference, NULL);
    /* Memory for about two probes: 20 others cannot stay inside together. */
    open_engine(&fixture, &options);
    const struct ryz_model_info *info = ryz_model_info(ryz_engine_model(fixture.engine));
    uint64_t token_bytes = 2ull * 2 * info->n_layers * info->n_kv_heads * info->head_dim;
    close_engine(&fixture);
    options.kv_bytes = token_bytes * 400;
    run_probe(&options, OTHERS, variant, &stats);
    cr_assert_gt(stats.preempted, 0, "nothing was preempted: this test shows nothing");
    cr_assert_gt(stats.tokens_recomputed, 0);
    assert_same(reference, variant);
}

static struct output other_type[2];

/* Keys and values are quantised one vector at a time, so an INT8 cache keeps the promise too. */
Test(engine, a_request_gives_the_same_tokens_from_an_int8_cache)
{
    struct ryz_engine_options options = default_options();
    struct ryz_core_stats stats, wide_stats;
    run_probe(&options, 0, other_type, &wide_stats);
    options.kv_type = "int8";
    run_probe(&options, 0, reference, &stats);
    cr_assert_neq(memcmp(reference[0].logprobs, other_type[0].logprobs, TOKENS * sizeof(float)), 0,
                  "the type did nothing: this test shows nothing");
    /* 4 bytes of scale for each vector: 256 / 136 of the blocks if it has 64 dimensions. */
    cr_assert_gt(10 * stats.kv_blocks_total, 17 * wide_stats.kv_blocks_total);
    run_probe(&options, OTHERS, variant, NULL);
    assert_same(reference, variant);
    options.limits.prefill_chunk_max = 5;
    options.limits.batch_tokens_max = 16;
    run_probe(&options, 3, variant, NULL);
    assert_same(reference, variant);
    options.threads = 2;
    run_probe(&options, 3, variant, NULL);
    assert_same(reference, variant);
    options.limits = default_options().limits;
    options.kv_bytes = options.kv_bytes / stats.kv_blocks_total * 25; /* 400 tokens */
    run_probe(&options, OTHERS, variant, &stats);
    cr_assert_gt(stats.preempted, 0, "nothing was preempted: this test shows nothing");
    assert_same(reference, variant);
}

Test(engine, refuses_a_kv_type_that_there_is_not)
{
    struct ryz_engine_options options = default_options();
    struct ryz_engine *engine = NULL;
    struct ryz_error error = {.text = ""};
    options.kv_type = "int4";
    cr_assert_eq(ryz_engine_open(&options, &engine, &error), RYZ_INVALID);
    cr_assert_not_null(strstr(error.text, "\"int4\""));
    cr_assert_not_null(strstr(error.text, "int8"));
}

Test(engine, log_probabilities_come_with_the_likeliest_tokens)
{
    struct ryz_engine_options options = default_options();
    static struct output output;
    struct fixture fixture;
    uint32_t prompt[40];
    open_engine(&fixture, &options);
    output_init(&output);
    make_prompt(fixture.engine, 5, prompt, 40);
    struct ryz_generate request = make_request(prompt, 40, 3, &output);
    request.top_logprobs = 5;
    request.wants_logprobs = true;
    submit(&fixture, &request);
    await(&output);
    cr_assert_eq(output.top_count, 5);
    double sum = 0.0;
    for (uint32_t i = 0; i < 5; i++) {
        if (i > 0) cr_assert_leq(output.top[i].logit, output.top[i - 1].logit);
        cr_assert_leq(output.top[i].logit, 0.0f);
        sum += exp((double)output.top[i].logit);
    }
    cr_assert_leq(sum, 1.0 + 1e-6);
    /* Greedy: the token is the likeliest one. */
    cr_assert_eq(output.top[0].id, output.tokens[0]);
    cr_assert_eq(output.top[0].logit, output.logprobs[0]);
    close_engine(&fixture);
}

/* A stop string that lies across a token border of the free-running output. */
Test(engine, a_stop_string_across_tokens_ends_the_text_before_it)
{
    struct ryz_engine_options options = default_options();
    static struct output freely, stopped;
    struct fixture fixture;
    uint32_t prompt[60];
    open_engine(&fixture, &options);
    const struct ryz_tokenizer *tokenizer = ryz_model_tokenizer(ryz_engine_model(fixture.engine));
    uint32_t tried = 0;
    for (uint64_t seed = 0; seed < 40 && tried < 5; seed++) {
        output_init(&freely);
        output_init(&stopped);
        make_prompt(fixture.engine, 300 + seed, prompt, 60);
        struct ryz_generate request = make_request(prompt, 60, 12, &freely);
        submit(&fixture, &request);
        await(&freely);
        cr_assert_not(freely.ragged);
        /* The last byte of token 5 and the first of token 6, when both are plain ASCII. */
        size_t border = 0, length = 0;
        for (uint32_t i = 0; i < 6; i++) {
            (void)ryz_tokenizer_bytes(tokenizer, freely.tokens[i], &length);
            border += length;
        }
        if (length == 0 || border + 1 >= freely.text_length) continue;
        char stop[3] = {freely.text[border - 1], freely.text[border], '\0'};
        if (stop[0] <= 0 || stop[1] <= 0 || memchr(freely.text, 0, freely.text_length) != NULL)
            continue;
        tried++;
        request = make_request(prompt, 60, 12, &stopped);
        request.stops[0] = stop;
        request.stop_count = 1;
        submit(&fixture, &request);
        await(&stopped);
        const char *hit = memmem(freely.text, freely.text_length, stop, 2);
        cr_assert_not_null(hit);
        cr_assert_eq(stopped.done_event.finish, RYZ_FINISH_STOP);
        cr_assert_eq(stopped.text_length, (size_t)(hit - freely.text));
        cr_assert_eq(memcmp(stopped.text, freely.text, stopped.text_length), 0);
        cr_assert_leq(stopped.token_count, 7);
    }
    cr_assert_eq(tried, 5, "no output had a border between two plain characters");
    close_engine(&fixture);
}

Test(engine, the_whole_text_is_the_bytes_of_the_tokens)
{
    struct ryz_engine_options options = default_options();
    static struct output output;
    struct fixture fixture;
    uint32_t prompt[30];
    open_engine(&fixture, &options);
    const struct ryz_tokenizer *tokenizer = ryz_model_tokenizer(ryz_engine_model(fixture.engine));
    output_init(&output);
    make_prompt(fixture.engine, 77, prompt, 30);
    /* Hot sampling gives odd bytes, so that characters are cut. */
    struct ryz_generate request = make_request(prompt, 30, 200, &output);
    request.sampling.temperature = 3.0f;
    submit(&fixture, &request);
    await(&output);
    char bytes[8192];
    size_t count = 0;
    for (uint32_t i = 0; i < output.token_count; i++) {
        size_t length = 0;
        const char *piece = ryz_tokenizer_bytes(tokenizer, output.tokens[i], &length);
        cr_assert_lt(count + length, sizeof bytes);
        memcpy(bytes + count, piece, length);
        count += length;
    }
    size_t whole = ryz_utf8_complete_prefix(bytes, count);
    cr_assert_geq(output.text_length, whole);
    cr_assert_eq(memcmp(output.text, bytes, whole), 0);
    close_engine(&fixture);
}

Test(engine, a_request_cancelled_from_its_callback_ends_once_and_frees_its_blocks)
{
    struct ryz_engine_options options = default_options();
    static struct output output;
    struct fixture fixture;
    uint32_t prompt[100];
    open_engine(&fixture, &options);
    output_init(&output);
    output.cancels_itself_on = fixture.engine;
    output.cancels_itself_after = 3;
    make_prompt(fixture.engine, 8, prompt, 100);
    struct ryz_generate request = make_request(prompt, 100, 200, &output);
    submit(&fixture, &request);
    await(&output);
    await_idle(&fixture);
    cr_assert_eq(output.done_event.status, RYZ_CANCELLED);
    cr_assert_eq(output.done_event.finish, RYZ_FINISH_ERROR);
    cr_assert_eq(output.token_count, 3);
    cr_assert_eq(output.done_event.output_tokens, 3);
    assert_all_free(&fixture);
    ryz_engine_cancel(fixture.engine, output.id); /* long gone: nothing happens */
    ryz_engine_cancel(fixture.engine, 0);
    ryz_engine_cancel(fixture.engine, UINT64_MAX);
    close_engine(&fixture);
}

struct submitter {
    struct fixture *fixture;
    struct output outputs[8];
    uint64_t seed;
};

/* Submits requests and cancels half of them at random moments. */
static void *submit_and_cancel(void *argument)
{
    struct submitter *s = argument;
    struct ryz_rng rng;
    uint32_t prompt[80];
    ryz_rng_init(&rng, s->seed, 0);
    for (uint32_t i = 0; i < 8; i++) {
        uint32_t length = 10 + (uint32_t)ryz_rng_below(&rng, 70);
        output_init(&s->outputs[i]);
        make_prompt(s->fixture->engine, s->seed * 100 + i, prompt, length);
        struct ryz_generate request =
            make_request(prompt, length, 5 + (uint32_t)ryz_rng_below(&rng, 40), &s->outputs[i]);
        submit(s->fixture, &request);
        struct timespec pause = {.tv_nsec = (long)ryz_rng_below(&rng, 4000000)};
        (void)nanosleep(&pause, NULL);
        uint32_t victim = (uint32_t)ryz_rng_below(&rng, i + 1);
        if (ryz_rng_below(&rng, 2) == 0)
            ryz_engine_cancel(s->fixture->engine, s->outputs[victim].id);
    }
    for (uint32_t i = 0; i < 8; i++) await(&s->outputs[i]);
    return NULL;
}

Test(engine, requests_of_several_threads_with_cancels_all_end_and_free_everything)
{
    struct ryz_engine_options options = default_options();
    static struct submitter submitters[THREADS];
    struct fixture fixture;
    pthread_t threads[THREADS];
    uint64_t cancelled = 0, finished = 0;
    options.kv_bytes = UINT64_C(1) << 20;
    open_engine(&fixture, &options);
    for (uint32_t t = 0; t < THREADS; t++) {
        submitters[t].fixture = &fixture;
        submitters[t].seed = t + 1;
        int rc = pthread_create(&threads[t], NULL, submit_and_cancel, &submitters[t]);
        cr_assert_eq(rc, 0);
    }
    for (uint32_t t = 0; t < THREADS; t++) (void)pthread_join(threads[t], NULL);
    await_idle(&fixture);
    for (uint32_t t = 0; t < THREADS; t++) {
        for (uint32_t i = 0; i < 8; i++) {
            enum ryz_status status = submitters[t].outputs[i].done_event.status;
            cr_assert(status == RYZ_OK || status == RYZ_CANCELLED);
            cr_assert_eq(submitters[t].outputs[i].dones, 1);
            cancelled += status == RYZ_CANCELLED;
            finished += status == RYZ_OK;
        }
    }
    struct ryz_core_stats stats = ryz_engine_stats(fixture.engine);
    cr_assert_eq(stats.finished, finished);
    cr_assert_leq(stats.cancelled, cancelled); /* some never reached the core */
    cr_assert_gt(cancelled, 0);
    cr_assert_gt(finished, 0);
    assert_all_free(&fixture);
    close_engine(&fixture);
}

Test(engine, a_full_queue_answers_full)
{
    struct ryz_engine_options options = default_options();
    static struct output outputs[40];
    struct fixture fixture;
    uint32_t prompt[100], full = 0, ok = 0;
    options.limits.batch_requests_max = 1;
    options.limits.queue_requests_max = 2;
    open_engine(&fixture, &options);
    make_prompt(fixture.engine, 3, prompt, 100);
    for (uint32_t i = 0; i < 40; i++) {
        output_init(&outputs[i]);
        struct ryz_generate request = make_request(prompt, 100, 40, &outputs[i]);
        submit(&fixture, &request);
    }
    for (uint32_t i = 0; i < 40; i++) {
        await(&outputs[i]);
        full += outputs[i].done_event.status == RYZ_FULL;
        cr_assert(!outputs[i].done_event.late, "there was no room, and no deadline");
        ok += outputs[i].done_event.status == RYZ_OK;
    }
    cr_assert_eq(ok + full, 40);
    cr_assert_gt(full, 0);
    cr_assert_geq(ok, 2);
    close_engine(&fixture);
}

Test(engine, a_deadline_out_of_reach_is_refused_with_an_estimate)
{
    struct fixture fixture;
    struct ryz_engine_options options = default_options();
    uint32_t prompt[100];
    options.limits.admit_late = false;
    open_engine(&fixture, &options);
    make_prompt(fixture.engine, 3, prompt, 100);
    for (uint32_t i = 0; i < 10; i++) { /* it has to see steps before it believes anything */
        struct output output;
        output_init(&output);
        struct ryz_generate request = make_request(prompt, 100, 10, &output);
        request.first_deadline_ns = ryz_clock_now_ns(test_clock()) + 100 * RYZ_NS_PER_S;
        submit(&fixture, &request);
        await(&output);
        cr_assert_eq(output.done_event.status, RYZ_OK);
    }
    struct output output;
    output_init(&output);
    struct ryz_generate request = make_request(prompt, 100, 10, &output);
    request.first_deadline_ns = ryz_clock_now_ns(test_clock());
    submit(&fixture, &request);
    await(&output);
    cr_assert_eq(output.done_event.status, RYZ_FULL);
    cr_assert(output.done_event.late);
    cr_assert_gt(output.done_event.estimate_ns, 0);
    cr_assert_lt(output.done_event.estimate_ns, 10 * RYZ_NS_PER_S);
    await_idle(&fixture);
    close_engine(&fixture);
}

Test(engine, the_scheduler_hears_of_priority_tenant_and_deadlines)
{
    struct fixture fixture;
    struct ryz_engine_options options = default_options();
    uint32_t prompt[10];
    open_engine(&fixture, &options);
    make_prompt(fixture.engine, 3, prompt, 10);
    int64_t now_ns = ryz_clock_now_ns(test_clock());
    struct output output;
    output_init(&output);
    struct ryz_generate request = make_request(prompt, 10, 2, &output);
    request.priority = 7;
    request.tenant = 200;
    request.first_deadline_ns = now_ns + 100 * RYZ_NS_PER_S;
    request.deadline_ns = now_ns + 200 * RYZ_NS_PER_S;
    submit(&fixture, &request);
    await(&output);
    cr_assert_eq(output.done_event.status, RYZ_OK);
    cr_assert(!output.done_event.late && output.done_event.estimate_ns == 0);
    await_idle(&fixture);
    const struct ryz_event *event = &fixture.log[0];
    cr_assert_eq(event->kind, RYZ_EV_ARRIVE);
    cr_assert_eq(event->priority, 7);
    cr_assert_eq(event->tenant, 200);
    cr_assert_eq(event->first_deadline_ns, request.first_deadline_ns);
    cr_assert_eq(event->deadline_ns, request.deadline_ns);
    close_engine(&fixture);
}

Test(engine, submit_refuses_what_cannot_be_answered)
{
    struct ryz_engine_options options = default_options();
    static struct output output;
    struct fixture fixture;
    uint32_t prompt[3] = {1, 2, 3};
    struct ryz_error error = {.text = ""};
    open_engine(&fixture, &options);
    output_init(&output);
    struct ryz_generate good = make_request(prompt, 3, 4, &output), bad = good;
    bad.token_count = 0;
    cr_assert_eq(ryz_engine_submit(fixture.engine, &bad, NULL, &error), RYZ_INVALID);
    bad = good;
    bad.max_tokens = 0;
    cr_assert_eq(ryz_engine_submit(fixture.engine, &bad, NULL, &error), RYZ_INVALID);
    bad = good;
    bad.sampling.temperature = -1.0f;
    cr_assert_eq(ryz_engine_submit(fixture.engine, &bad, NULL, &error), RYZ_INVALID);
    bad.sampling.temperature = (float)NAN;
    cr_assert_eq(ryz_engine_submit(fixture.engine, &bad, NULL, &error), RYZ_INVALID);
    bad = good;
    bad.top_logprobs = RYZ_TOP_LOGPROBS_MAX + 1;
    cr_assert_eq(ryz_engine_submit(fixture.engine, &bad, NULL, &error), RYZ_INVALID);
    prompt[1] = UINT32_MAX;
    cr_assert_eq(ryz_engine_submit(fixture.engine, &good, NULL, &error), RYZ_INVALID);
    cr_assert(strstr(error.text, "vocabulary") != NULL);
    cr_assert_eq(ryz_engine_active(fixture.engine), 0);
    cr_assert_eq(output.dones, 0);
    close_engine(&fixture);
}

Test(engine, a_request_beyond_the_context_ends_as_invalid)
{
    struct ryz_engine_options options = default_options();
    static struct output longest, wordy;
    struct fixture fixture;
    static uint32_t prompt[300];
    options.limits.context_tokens_max = 128;
    open_engine(&fixture, &options);
    make_prompt(fixture.engine, 3, prompt, 300);
    output_init(&longest);
    output_init(&wordy);
    struct ryz_generate request = make_request(prompt, 300, 4, &longest);
    submit(&fixture, &request);
    request = make_request(prompt, 100, 29, &wordy);
    submit(&fixture, &request);
    await(&longest);
    await(&wordy);
    cr_assert_eq(longest.done_event.status, RYZ_INVALID);
    cr_assert_eq(longest.done_event.prompt_tokens, 300);
    cr_assert_eq(wordy.done_event.status, RYZ_INVALID);
    close_engine(&fixture);
}

Test(engine, draining_refuses_new_requests_and_finishes_the_others)
{
    struct ryz_engine_options options = default_options();
    static struct output inside, late;
    struct fixture fixture;
    uint32_t prompt[50];
    struct ryz_error error;
    open_engine(&fixture, &options);
    make_prompt(fixture.engine, 3, prompt, 50);
    output_init(&inside);
    output_init(&late);
    struct ryz_generate request = make_request(prompt, 50, 30, &inside);
    submit(&fixture, &request);
    ryz_engine_drain(fixture.engine);
    struct ryz_generate refused = make_request(prompt, 50, 30, &late);
    cr_assert_eq(ryz_engine_submit(fixture.engine, &refused, NULL, &error), RYZ_CLOSED);
    await(&inside);
    cr_assert_eq(inside.done_event.status, RYZ_OK);
    cr_assert_eq(inside.done_event.finish, RYZ_FINISH_LENGTH);
    cr_assert_eq(inside.token_count, 30);
    cr_assert_eq(late.dones, 0);
    close_engine(&fixture);
}

Test(engine, closing_ends_what_is_inside)
{
    struct ryz_engine_options options = default_options();
    static struct output outputs[12];
    struct fixture fixture;
    uint32_t prompt[100];
    open_engine(&fixture, &options);
    make_prompt(fixture.engine, 3, prompt, 100);
    for (uint32_t i = 0; i < 12; i++) {
        output_init(&outputs[i]);
        struct ryz_generate request = make_request(prompt, 100, 150, &outputs[i]);
        submit(&fixture, &request);
    }
    close_engine(&fixture);
    uint32_t closed = 0;
    for (uint32_t i = 0; i < 12; i++) {
        cr_assert_eq(outputs[i].dones, 1);
        closed += outputs[i].done_event.status == RYZ_CLOSED;
    }
    cr_assert_gt(closed, 0);
}

Test(engine, open_says_what_is_wrong)
{
    struct ryz_engine_options options = default_options(), bad = options;
    struct ryz_engine *engine = NULL;
    struct ryz_error error = {.text = ""};
    bad.model_path = "/nonexistent/model.gguf";
    cr_assert_neq(ryz_engine_open(&bad, &engine, &error), RYZ_OK);
    cr_assert_null(engine);
    cr_assert(strstr(error.text, "/nonexistent/model.gguf") != NULL, "%s", error.text);
    bad = options;
    bad.policy = "clairvoyant";
    cr_assert_eq(ryz_engine_open(&bad, &engine, &error), RYZ_INVALID);
    cr_assert(strstr(error.text, "clairvoyant") != NULL);
    bad = options;
    bad.kv_bytes = 10;
    cr_assert_eq(ryz_engine_open(&bad, &engine, &error), RYZ_INVALID);
    cr_assert(strstr(error.text, "KV") != NULL);
    bad = options;
    bad.limits.context_tokens_max = 1u << 30;
    cr_assert_eq(ryz_engine_open(&bad, &engine, &error), RYZ_INVALID);
    cr_assert(strstr(error.text, "context") != NULL);
    bad = options;
    bad.limits.batch_requests_max = RYZ_BATCH_MAX + 1;
    cr_assert_eq(ryz_engine_open(&bad, &engine, &error), RYZ_INVALID);
}

/* One runs, one waits, the queue holds no more; an urgent one comes. */
Test(engine, a_full_queue_refuses_who_is_less_urgent)
{
    static struct fixture crowd;
    static struct output outputs[3];
    struct ryz_engine_options options = default_options();
    options.policy = "priority";
    options.limits.batch_requests_max = options.limits.queue_requests_max = 1;
    open_engine(&crowd, &options);
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t prompt[8];
        make_prompt(crowd.engine, i, prompt, 8);
        output_init(&outputs[i]);
        struct ryz_generate request = make_request(prompt, 8, 200, &outputs[i]);
        request.ignore_eos = true;
        request.priority = i < 2 ? 5 : 1;
        submit(&crowd, &request);
        /* The first must have its place before the others come. */
        while (i == 0 && ryz_engine_stats(crowd.engine).running == 0) sched_yield();
        while (i == 1 && ryz_engine_stats(crowd.engine).waiting == 0) sched_yield();
    }
    for (uint32_t i = 0; i < 3; i++) await(&outputs[i]);
    cr_assert_eq(outputs[1].done_event.status, RYZ_FULL);
    cr_assert_eq(outputs[1].token_count, 0);
    cr_assert_eq(outputs[0].done_event.status, RYZ_OK);
    cr_assert_eq(outputs[2].done_event.status, RYZ_OK);
    cr_assert_eq(outputs[2].token_count, 200);
    await_idle(&crowd);
    close_engine(&crowd);
}
