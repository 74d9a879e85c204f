/*
 * runtime_races.c - the live engine and the embedded target under many threads.
 *
 * Goal: no race and no lost request. Method: threads submit, cancel, arm and disarm faults, read
 * statistics and at last drain, all at once; a pacer drives the same engine through the embedded
 * target meanwhile. Every request must end once; a thread-sanitizer build reports the races that
 * happened to do no harm.
 */
#include "engine/base/atomic.h"
#include "engine/base/rng.h"
#include "harness/drive/embedded.h"
#include "harness/drive/pacer.h"
#include "harness/drive/real_clock.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define SUBMITTERS 3u
#define REQUESTS   25u
#define SKIPPED    77

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition);          \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static struct ryz_engine *engine;
static _Atomic uint32_t asked, ended, running; /* asked: choices; ended: of them */

static void pause_ns(uint64_t ns)
{
    const struct timespec pause = {.tv_nsec = (long)ns};
    (void)nanosleep(&pause, NULL);
}

static void on_event(void *context, const struct ryz_stream_event *event)
{
    (void)context;
    if (event->done) (void)ryz_add_acq_rel(&ended, 1);
}

static void *submit(void *argument)
{
    struct ryz_rng rng;
    uint64_t ids[REQUESTS];
    uint32_t prompt[60];
    ryz_rng_init(&rng, (uint64_t)(uintptr_t)argument, 0);
    for (uint32_t i = 0; i < REQUESTS; i++) {
        uint32_t length = 5 + (uint32_t)ryz_rng_below(&rng, 55);
        for (uint32_t k = 0; k < length; k++) prompt[k] = (uint32_t)ryz_rng_below(&rng, 256);
        const struct ryz_generate request = {.tokens = prompt,
                                             .token_count = length,
                                             .max_tokens = 1 + (uint32_t)ryz_rng_below(&rng, 20),
                                             .choices = 1 + i % 3,
                                             .sampling = {.top_p = 1.0f},
                                             .ignore_eos = true,
                                             .wants_text = true,
                                             .deadline_ns = RYZ_TIME_NEVER,
                                             .arrived_ns = RYZ_TIME_NONE,
                                             .on_event = on_event};
        CHECK(ryz_engine_submit(engine, &request, &ids[i], NULL) == RYZ_OK);
        (void)ryz_add_acq_rel(&asked, request.choices);
        pause_ns(ryz_rng_below(&rng, 2000000));
        ryz_engine_cancel(engine, ids[ryz_rng_below(&rng, i + 1)]);
    }
    return NULL;
}

static void *meddle(void *argument)
{
    struct ryz_faults *faults = argument;
    while (ryz_load_acquire(&running) != 0) {
        ryz_engine_set_faults(engine, faults);
        (void)ryz_engine_stats(engine);
        (void)ryz_engine_digest(engine);
        CHECK(ryz_engine_heartbeat_ns(engine) <= ryz_clock_now_ns(ryz_real_clock_monotonic()));
        pause_ns(500000);
        ryz_engine_set_faults(engine, NULL);
    }
    return NULL;
}

static void count_row(void *context, const struct ryz_request_row *row)
{
    uint32_t *rows = context;
    CHECK(row->t_done >= row->t_sched);
    ++*rows;
}

static void *drive(void *argument)
{
    static const struct ryz_prompts prompts = {.bos = RYZ_PROMPT_NO_BOS, .ordinary_count = 256};
    const struct ryz_traffic_plan plan = {
        .name = "t",
        .arrival = RYZ_ARRIVAL_CLOSED,
        .concurrency = 4,
        .requests = 40,
        .prompt = {.kind = RYZ_LENGTH_FIXED, .min = 30, .max = 30},
        .output = {.kind = RYZ_LENGTH_UNIFORM, .min = 2, .max = 10},
        .ignore_eos = true,
        .timeout_ns = 40 * RYZ_NS_PER_MS, /* some time out */
    };
    const struct ryz_clock *clock = ryz_real_clock_monotonic();
    struct ryz_schedule schedule;
    struct ryz_target *target = NULL;
    struct ryz_drive_summary summary;
    CHECK(ryz_schedule_open(&(struct ryz_schedule_options){.traffic = &plan,
                                                           .traffic_count = 1,
                                                           .context_tokens = 256},
                            &schedule, NULL) == RYZ_OK);
    CHECK(ryz_embedded_open(engine, clock, &target, NULL) == RYZ_OK);
    const struct ryz_drive_options options = {
        .schedule = &schedule,
        .prompts = &prompts,
        .t0_ns = ryz_clock_now_ns(clock),
        .sink = {.context = argument, .request = count_row},
    };
    CHECK(ryz_pacer_run(&options, target, clock, &summary, NULL) == RYZ_OK);
    ryz_target_close(target);
    ryz_schedule_close(&schedule);
    return NULL;
}

int main(void)
{
    const char *path = getenv("RYZ_TEST_MODEL");
    if (path == NULL || path[0] == '\0') path = RYZ_SOURCE_DIR "/models/ryz-tiny.gguf";
    if (access(path, R_OK) != 0) {
        (void)fprintf(stderr, "skipped: no test model at %s; set RYZ_TEST_MODEL\n", path);
        return SKIPPED;
    }
    const struct ryz_engine_options options = {.model_path = path,
                                               .backend = "cpu",
                                               .isa = "auto",
                                               .threads = 2,
                                               .policy = "fcfs",
                                               .limits = {.batch_requests_max = 4,
                                                          .batch_tokens_max = 64,
                                                          .prefill_chunk_max = 32,
                                                          .queue_requests_max = 400,
                                                          .step_ns_max = RYZ_TIME_NEVER,
                                                          .admit_late = true},
                                               .kv_bytes = UINT64_C(2) << 20,
                                               .clock = ryz_real_clock_monotonic()};
    const struct ryz_fault fault = {.name = "f",
                                    .point = RYZ_FAULT_ENGINE_STEP,
                                    .action = RYZ_FAULT_DELAY,
                                    .until_ns = RYZ_TIME_NEVER,
                                    .permille = 200,
                                    .value_ns = RYZ_NS_PER_MS};
    struct ryz_faults *faults = NULL;
    struct ryz_error error = {.text = ""};
    if (ryz_engine_open(&options, &engine, &error) != RYZ_OK) {
        (void)fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    CHECK(ryz_faults_open(&fault, 1, 1, &faults, NULL) == RYZ_OK);
    pthread_t submitters[SUBMITTERS], meddler, driver;
    uint32_t rows = 0;
    ryz_store_release(&running, 1);
    CHECK(pthread_create(&meddler, NULL, meddle, faults) == 0);
    CHECK(pthread_create(&driver, NULL, drive, &rows) == 0);
    for (uintptr_t i = 0; i < SUBMITTERS; i++)
        CHECK(pthread_create(&submitters[i], NULL, submit, (void *)i) == 0);
    for (uint32_t i = 0; i < SUBMITTERS; i++) (void)pthread_join(submitters[i], NULL);
    (void)pthread_join(driver, NULL);
    ryz_store_release(&running, 0);
    (void)pthread_join(meddler, NULL);
    ryz_engine_drain(engine);
    while (ryz_engine_active(engine) > 0) pause_ns(1000000);
    CHECK(ryz_engine_stats(engine).kv_blocks_used == 0);
    ryz_engine_close(engine);
    ryz_faults_close(faults);
    CHECK(ryz_load_acquire(&ended) == ryz_load_acquire(&asked));
    CHECK(rows == 40);
    return 0;
}
