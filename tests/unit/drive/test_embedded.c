/*
 * Goal: the engine in process, driven by the pacer, answers every request with tokens that depend
 * on the request alone, and each row's times are in order. Method: a live engine on the test model;
 * two drives of the same schedule, one sparse and one dense, give the same output hashes.
 */
#include "harness/drive/embedded.h"
#include "harness/drive/real_clock.h"
#include "tests/unit/drive/fake_target.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT 40

static struct fake_target sparse, dense;

static struct ryz_engine *open_engine_by(const struct ryz_clock *clock, uint32_t queue)
{
    const char *path = getenv("RYZ_TEST_MODEL");
    if (path == NULL || path[0] == '\0') path = RYZ_SOURCE_DIR "/models/ryz-tiny.gguf";
    if (access(path, R_OK) != 0) cr_skip_test("no test model at %s; set RYZ_TEST_MODEL", path);
    const struct ryz_engine_options options = {
        .model_path = path,
        .backend = "cpu",
        .isa = "auto",
        .threads = 1,
        .policy = "fcfs",
        .limits = {.batch_requests_max = 8,
                   .batch_tokens_max = 128,
                   .prefill_chunk_max = 64,
                   .queue_requests_max = queue,
                   .step_ns_max = RYZ_TIME_NEVER,
                   .admit_late = true},
        .kv_bytes = UINT64_C(8) << 20,
        .clock = clock,
    };
    struct ryz_engine *engine = NULL;
    struct ryz_error error = {.text = ""};
    enum ryz_status status = ryz_engine_open(&options, &engine, &error);
    cr_assert_eq(status, RYZ_OK, "%s", error.text);
    return engine;
}

static struct ryz_engine *open_engine(uint32_t queue)
{
    return open_engine_by(ryz_real_clock_monotonic(), queue);
}

/* Every thread but the test's is held up between reading the time and using it. */
static int64_t now_with_a_pause(void *context)
{
    const pthread_t *tester = context;
    int64_t t_ns = ryz_clock_now_ns(ryz_real_clock_monotonic());
    if (!pthread_equal(pthread_self(), *tester)) (void)usleep(500);
    return t_ns;
}

static void drive(struct ryz_engine *engine, struct fake_target *sink,
                  const struct ryz_traffic_plan *plan)
{
    const struct ryz_clock *clock = ryz_real_clock_monotonic();
    const struct ryz_prompts prompts = {.seed = 9, .bos = RYZ_PROMPT_NO_BOS, .ordinary_count = 256};
    const struct ryz_schedule_options schedule_options = {
        .traffic = plan, .traffic_count = 1, .seed = 4, .context_tokens = 512};
    struct ryz_schedule schedule;
    struct ryz_target *target = NULL;
    struct ryz_drive_summary summary;
    struct ryz_error error = {.text = ""};
    fake_open(sink);
    cr_assert_eq(ryz_schedule_open(&schedule_options, &schedule, &error), RYZ_OK, "%s", error.text);
    cr_assert_eq(ryz_embedded_open(engine, clock, &target, &error), RYZ_OK, "%s", error.text);
    const struct ryz_drive_options options = {.schedule = &schedule,
                                              .prompts = &prompts,
                                              .t0_ns = ryz_clock_now_ns(clock),
                                              .seed = 3,
                                              .sink = fake_sink(sink)};
    cr_assert_eq(ryz_pacer_run(&options, target, clock, &summary, &error), RYZ_OK);
    ryz_target_close(target);
    ryz_schedule_close(&schedule);
    cr_assert_eq(summary.unreturned, 0);
    while (ryz_engine_active(engine) > 0) continue; /* its figures follow the last answer */
    cr_assert_eq(ryz_engine_stats(engine).kv_blocks_used, 0);
}

static struct ryz_traffic_plan plan_at(double rate)
{
    return (struct ryz_traffic_plan){
        .name = "e",
        .arrival = RYZ_ARRIVAL_POISSON,
        .rate_per_s = rate,
        .requests = COUNT,
        .prompt = {.kind = RYZ_LENGTH_UNIFORM, .min = 10, .max = 90},
        .output = {.kind = RYZ_LENGTH_UNIFORM, .min = 3, .max = 12},
        .ignore_eos = true,
        .timeout_ns = 60 * RYZ_NS_PER_S,
    };
}

static const struct ryz_request_row *row_of(const struct fake_target *sink, uint64_t id)
{
    for (uint32_t i = 0; i < sink->row_count; i++) {
        if (sink->rows[i].id == id) return &sink->rows[i];
    }
    return NULL;
}

Test(embedded, answers_depend_on_the_request_alone)
{
    struct ryz_engine *engine = open_engine(64);
    struct ryz_traffic_plan plan = plan_at(400.0);
    drive(engine, &sparse, &plan);
    plan.rate_per_s = 100000.0;
    drive(engine, &dense, &plan);
    cr_assert_eq(sparse.row_count, COUNT);
    cr_assert_eq(dense.row_count, COUNT);
    for (uint64_t id = 1; id <= COUNT; id++) {
        const struct ryz_request_row *a = row_of(&sparse, id), *b = row_of(&dense, id);
        cr_assert_eq(a->computed_tok,
                     a->in_tok - a->cached_tok + a->out_tok - 1 + a->recomputed_tok);
        cr_assert(a != NULL && b != NULL);
        cr_assert_eq(a->status, RYZ_REQUEST_OK);
        cr_assert_eq(a->prompt_hash, b->prompt_hash);
        cr_assert_eq(a->output_hash, b->output_hash);
        cr_assert_neq(a->output_hash, 0);
        cr_assert_eq(a->out_tok, a->want_tok);
        cr_assert_leq(a->t_sched, a->t_send);
        cr_assert_leq(a->t_send, a->t_accept);
        cr_assert_leq(a->t_accept, a->t_first);
        cr_assert_leq(a->t_first, a->t_last);
        cr_assert_leq(a->t_last, a->t_done);
    }
    ryz_engine_close(engine);
}

Test(embedded, a_full_engine_sheds)
{
    struct ryz_engine *engine = open_engine(2);
    struct ryz_traffic_plan plan = plan_at(100000.0);
    uint32_t shed = 0;
    drive(engine, &dense, &plan);
    cr_assert_eq(dense.row_count, COUNT);
    for (uint32_t i = 0; i < COUNT; i++) {
        cr_assert(dense.rows[i].status == RYZ_REQUEST_OK ||
                  dense.rows[i].status == RYZ_REQUEST_SHED);
        shed += dense.rows[i].status == RYZ_REQUEST_SHED;
    }
    cr_assert_gt(shed, 0);
    cr_assert_lt(shed, COUNT);
    ryz_engine_close(engine);
}

/* What arrives between the engine's look at the clock and its look at the ring was not answered
 * before it came (the sink holds every span's end against its beginning). */
Test(embedded, no_answer_is_older_than_its_request)
{
    pthread_t tester = pthread_self();
    const struct ryz_clock clock = {.now_ns = now_with_a_pause, .context = &tester};
    struct ryz_engine *engine = open_engine_by(&clock, 2);
    struct ryz_traffic_plan plan = plan_at(5000.0);
    drive(engine, &dense, &plan);
    cr_assert_eq(dense.row_count, COUNT);
    for (uint32_t i = 0; i < COUNT; i++) cr_assert_leq(dense.rows[i].t_sched, dense.rows[i].t_done);
    ryz_engine_close(engine);
}

Test(embedded, closing_the_target_lets_go_of_what_is_inside)
{
    struct ryz_engine *engine = open_engine(64);
    const struct ryz_clock *clock = ryz_real_clock_monotonic();
    struct ryz_target *target = NULL;
    uint32_t prompt[50];
    void *handle = NULL;
    for (uint32_t i = 0; i < 50; i++) prompt[i] = i + 1;
    cr_assert_eq(ryz_embedded_open(engine, clock, &target, NULL), RYZ_OK);
    for (uint32_t i = 0; i < 20; i++) {
        const struct ryz_ask ask = {
            .tokens = prompt, .prompt_tokens = 50, .output_tokens = 400, .ignore_eos = true};
        cr_assert_eq(target->ops->submit(target, &ask, &handle, NULL), RYZ_OK);
    }
    ryz_target_close(target);
    while (ryz_engine_active(engine) > 0) continue;
    cr_assert_eq(ryz_engine_stats(engine).kv_blocks_used, 0);
    ryz_engine_close(engine);
}
