/*
 * Goal: deadlines and injected faults end requests with the status that says so, and spans and
 * metrics tell what happened.
 * Method: fault plans that are always on, so that no test depends on how fast the machine is.
 */
#include "engine/obs/metrics.h"
#include "tests/unit/runtime/engine_fixture.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct ryz_faults *open_faults(const struct ryz_fault *faults, uint32_t count)
{
    struct ryz_faults *plan = NULL;
    struct ryz_error error = {.text = ""};
    cr_assert_eq(ryz_faults_open(faults, count, 1, &plan, &error), RYZ_OK, "%s", error.text);
    return plan;
}

static struct ryz_fault always(enum ryz_fault_point point, enum ryz_fault_action action)
{
    return (struct ryz_fault){.name = "test",
                              .point = point,
                              .action = action,
                              .until_ns = RYZ_TIME_NEVER,
                              .permille = 1000};
}

Test(engine_faults, a_deadline_ends_a_request_as_timeout)
{
    struct ryz_engine_options options = default_options();
    static struct output past, delayed;
    struct fixture fixture;
    uint32_t prompt[50];
    open_engine(&fixture, &options);
    make_prompt(fixture.engine, 3, prompt, 50);
    output_init(&past);
    struct ryz_generate request = make_request(prompt, 50, 30, &past);
    request.deadline_ns = ryz_clock_now_ns(test_clock()) - 1;
    submit(&fixture, &request);
    await(&past);
    cr_assert_eq(past.done_event.status, RYZ_TIMEOUT);
    cr_assert_eq(past.token_count, 0);

    /* Each step stands still for 50 ms: 200 tokens cannot be done in 120 ms. */
    struct ryz_fault slow = always(RYZ_FAULT_ENGINE_STEP, RYZ_FAULT_DELAY);
    slow.value_ns = 50 * RYZ_NS_PER_MS;
    struct ryz_faults *faults = open_faults(&slow, 1);
    ryz_engine_set_faults(fixture.engine, faults);
    output_init(&delayed);
    request = make_request(prompt, 50, 200, &delayed);
    request.deadline_ns = ryz_clock_now_ns(test_clock()) + 120 * RYZ_NS_PER_MS;
    submit(&fixture, &request);
    await(&delayed);
    cr_assert_eq(delayed.done_event.status, RYZ_TIMEOUT);
    cr_assert_lt(delayed.token_count, 200);
    cr_assert_geq(delayed.done_event.t_ns, request.deadline_ns);
    ryz_engine_set_faults(fixture.engine, NULL);
    cr_assert_gt(ryz_fault_hits(faults, 0), 0);
    ryz_faults_close(faults);
    await_idle(&fixture);
    cr_assert_eq(ryz_engine_stats(fixture.engine).kv_blocks_used, 0);
    close_engine(&fixture);
}

Test(engine_faults, a_failed_step_ends_its_requests_as_fault_and_the_engine_goes_on)
{
    struct ryz_engine_options options = default_options();
    static struct output failed[3], after;
    struct fixture fixture;
    uint32_t prompt[50];
    struct ryz_fault fault = always(RYZ_FAULT_ENGINE_PREFILL, RYZ_FAULT_FAIL);
    struct ryz_faults *faults = open_faults(&fault, 1);
    open_engine(&fixture, &options);
    ryz_engine_set_faults(fixture.engine, faults);
    make_prompt(fixture.engine, 3, prompt, 50);
    for (int i = 0; i < 3; i++) {
        output_init(&failed[i]);
        struct ryz_generate request = make_request(prompt, 50, 5, &failed[i]);
        submit(&fixture, &request);
    }
    for (int i = 0; i < 3; i++) {
        await(&failed[i]);
        cr_assert_eq(failed[i].done_event.status, RYZ_FAULT);
        cr_assert_eq(failed[i].done_event.finish, RYZ_FINISH_ERROR);
        cr_assert_eq(failed[i].token_count, 0);
    }
    ryz_engine_set_faults(fixture.engine, NULL);
    ryz_faults_close(faults);
    output_init(&after);
    struct ryz_generate request = make_request(prompt, 50, 5, &after);
    submit(&fixture, &request);
    await(&after);
    await_idle(&fixture);
    cr_assert_eq(after.done_event.status, RYZ_OK);
    cr_assert_gt(ryz_engine_stats(fixture.engine).failed_steps, 0);
    cr_assert_eq(ryz_engine_stats(fixture.engine).failed_steps, fixture.failed_steps);
    close_engine(&fixture);
}

Test(engine_faults, a_decode_fault_spares_prefills)
{
    struct ryz_engine_options options = default_options();
    static struct output output;
    struct fixture fixture;
    uint32_t prompt[50];
    struct ryz_fault fault = always(RYZ_FAULT_ENGINE_DECODE, RYZ_FAULT_FAIL);
    struct ryz_faults *faults = open_faults(&fault, 1);
    open_engine(&fixture, &options);
    ryz_engine_set_faults(fixture.engine, faults);
    make_prompt(fixture.engine, 3, prompt, 50);
    output_init(&output);
    struct ryz_generate request = make_request(prompt, 50, 5, &output);
    submit(&fixture, &request);
    await(&output);
    cr_assert_eq(output.done_event.status, RYZ_FAULT);
    cr_assert_eq(output.token_count, 1); /* the prefill's */
    ryz_engine_set_faults(fixture.engine, NULL);
    ryz_faults_close(faults);
    close_engine(&fixture);
}

Test(engine_faults, failing_allocations_delay_requests_but_all_finish)
{
    struct ryz_engine_options options = default_options();
    static struct output outputs[6];
    struct fixture fixture;
    uint32_t prompt[100];
    struct ryz_fault fault = always(RYZ_FAULT_KV_ALLOC, RYZ_FAULT_FAIL);
    fault.permille = 500;
    struct ryz_faults *faults = open_faults(&fault, 1);
    open_engine(&fixture, &options);
    ryz_engine_set_faults(fixture.engine, faults);
    make_prompt(fixture.engine, 3, prompt, 100);
    for (int i = 0; i < 6; i++) {
        output_init(&outputs[i]);
        struct ryz_generate request = make_request(prompt, 100, 20, &outputs[i]);
        submit(&fixture, &request);
    }
    for (int i = 0; i < 6; i++) {
        await(&outputs[i]);
        cr_assert_eq(outputs[i].done_event.status, RYZ_OK);
        cr_assert_arr_eq(outputs[i].tokens, outputs[0].tokens, 20 * sizeof(uint32_t));
    }
    await_idle(&fixture);
    cr_assert_gt(ryz_engine_stats(fixture.engine).kv_alloc_failures, 0);
    bool told = false;
    for (size_t i = 0; i < fixture.log_count; i++)
        told = told || (fixture.log[i].kind == RYZ_EV_FAULT && fixture.log[i].permille == 500);
    cr_assert(told, "the log does not hold the fault, so a replay could not draw it");
    ryz_engine_set_faults(fixture.engine, NULL);
    ryz_faults_close(faults);
    close_engine(&fixture);
}

Test(engine_faults, closing_ends_a_long_injected_delay)
{
    struct ryz_engine_options options = default_options();
    static struct output output;
    struct fixture fixture;
    uint32_t prompt[20];
    struct ryz_fault fault = always(RYZ_FAULT_ENGINE_STEP, RYZ_FAULT_DELAY);
    fault.value_ns = 3600 * RYZ_NS_PER_S;
    struct ryz_faults *faults = open_faults(&fault, 1);
    open_engine(&fixture, &options);
    ryz_engine_set_faults(fixture.engine, faults);
    make_prompt(fixture.engine, 3, prompt, 20);
    output_init(&output);
    struct ryz_generate request = make_request(prompt, 20, 5, &output);
    submit(&fixture, &request);
    while (ryz_fault_hits(faults, 0) == 0) continue;
    close_engine(&fixture); /* an hour, if it did not */
    ryz_faults_close(faults);
    cr_assert_eq(output.dones, 1);
}

static const struct ryz_span *find_span(const struct fixture *fixture, enum ryz_span_name name,
                                        uint64_t request)
{
    for (size_t i = 0; i < fixture->span_count; i++) {
        if (fixture->spans[i].name == name && fixture->spans[i].request == request)
            return &fixture->spans[i];
    }
    return NULL;
}

Test(engine_faults, spans_of_a_request_follow_each_other_under_its_parent)
{
    struct ryz_engine_options options = default_options();
    static struct output output, untraced;
    struct fixture fixture;
    uint32_t prompt[100];
    open_engine(&fixture, &options);
    make_prompt(fixture.engine, 3, prompt, 100);
    output_init(&output);
    struct ryz_generate request = make_request(prompt, 100, 6, &output);
    ryz_trace_id_make(1, 2, request.trace.trace_id);
    request.trace.span_id = 4711;
    request.number = 815;
    submit(&fixture, &request);
    output_init(&untraced);
    struct ryz_generate other = make_request(prompt, 100, 6, &untraced);
    other.number = 816;
    submit(&fixture, &other);
    await(&output);
    await(&untraced);
    await_idle(&fixture);
    const struct ryz_span *queue = find_span(&fixture, RYZ_SPAN_QUEUE, 815);
    const struct ryz_span *prefill = find_span(&fixture, RYZ_SPAN_PREFILL, 815);
    const struct ryz_span *decode = find_span(&fixture, RYZ_SPAN_DECODE, 815);
    cr_assert(queue != NULL && prefill != NULL && decode != NULL);
    cr_assert_eq(queue->t1_ns, prefill->t0_ns);
    cr_assert_eq(prefill->t1_ns, decode->t0_ns);
    cr_assert_eq(decode->t1_ns, output.done_event.t_ns);
    cr_assert_eq(decode->attr, 6.0);
    cr_assert_eq(prefill->attr, 100.0);
    const struct ryz_span *spans[] = {queue, prefill, decode};
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(spans[i]->parent, 4711);
        cr_assert_arr_eq(spans[i]->trace_id, request.trace.trace_id, 16);
        cr_assert_eq(spans[i]->status, RYZ_OK);
        for (int j = 0; j < i; j++) cr_assert_neq(spans[i]->span_id, spans[j]->span_id);
    }
    cr_assert_null(find_span(&fixture, RYZ_SPAN_QUEUE, 816), "no trace id, no spans");
    cr_assert_not_null(find_span(&fixture, RYZ_SPAN_LOAD, 0));
    cr_assert_not_null(find_span(&fixture, RYZ_SPAN_STEP, 0));
    close_engine(&fixture);
}

Test(engine_faults, metrics_count_what_happened)
{
    struct ryz_engine_options options = default_options();
    static struct output output;
    struct fixture fixture;
    uint32_t prompt[100];
    struct ryz_error error;
    size_t length = 0;
    cr_assert_eq(ryz_metrics_open(&options.metrics, &error), RYZ_OK);
    open_engine(&fixture, &options);
    make_prompt(fixture.engine, 3, prompt, 100);
    output_init(&output);
    struct ryz_generate request = make_request(prompt, 100, 6, &output);
    submit(&fixture, &request);
    await(&output);
    /* What a client gives up was computed for nothing. */
    static struct output late;
    output_init(&late);
    request = make_request(prompt, 100, 200, &late);
    late.cancels_itself_on = fixture.engine;
    late.cancels_itself_after = 1;
    submit(&fixture, &request);
    await(&late);
    await_idle(&fixture);
    cr_assert_eq(late.done_event.waste.computed_tokens, 100);
    char *text = ryz_metrics_render(options.metrics, "m", &length);
    cr_assert_not_null(text);
    cr_assert(strstr(text, "ryz_requests_finished_total{model_name=\"m\"} 1\n") != NULL, "%s",
              text);
    cr_assert(strstr(text, "ryz_generation_tokens_total{model_name=\"m\"} 7\n") != NULL);
    cr_assert(strstr(text, "ryz_inter_token_latency_seconds_count{model_name=\"m\"} 5\n") != NULL);
    cr_assert(strstr(text, "ryz_unused_tokens_total{model_name=\"m\"} 100\n") != NULL);
    cr_assert(strstr(text, "ryz_recomputed_tokens_total{model_name=\"m\"} 0\n") != NULL);
    cr_assert(strstr(text, "ryz_prompt_tokens_total{model_name=\"m\"} 200\n") != NULL);
    cr_assert(strstr(text, "ryz_time_to_first_token_seconds_count{model_name=\"m\"} 2\n") != NULL);
    free(text);
    close_engine(&fixture);
    ryz_metrics_close(options.metrics);
}
