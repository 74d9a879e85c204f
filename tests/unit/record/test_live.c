/*
 * Goal: what the recorder acknowledged is on disk, whatever happens to the process. Method: rows
 * whose content follows from their number are pushed by a child that is killed with SIGKILL at
 * random moments; every acknowledged row must come back equal.
 */
#include "harness/record/recorder.h"
#include "harness/record/results_file.h"
#include "harness/record/results_read.h"
#include "tests/unit/record/support.h"
#include "tests/unit/record/synthetic.h"

#include "engine/base/atomic.h"
#include "engine/base/rng.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct ryz_run_info info_of_test(void)
{
    struct ryz_run_info info = {.point = 3, .repeat = 2, .seed = UINT64_MAX, .phase_count = 2};
    info.t0_utc_ns = INT64_C(1790000000000000000);
    info.t0_mono_ns = 12345;
    strcpy(info.label, "engine.max_batch=4");
    strcpy(info.driver, "embedded");
    strcpy(info.model, "a model");
    strcpy(info.phases[0], "warmup");
    strcpy(info.phases[1], "main");
    return info;
}

static struct ryz_recorder *open_recorder(const char *path, size_t ring_rows, int64_t block_ns)
{
    struct ryz_run_info info = info_of_test();
    struct ryz_provenance provenance;
    struct ryz_error error = {0};
    struct ryz_recorder *recorder = NULL;
    synthetic_provenance(&provenance);
    struct ryz_recorder_options options = {.live_path = path,
                                           .info = &info,
                                           .provenance = &provenance,
                                           .ring_rows = ring_rows,
                                           .block_ns = block_ns};
    cr_assert_eq(ryz_recorder_open(&options, &recorder, &error), RYZ_OK, "%s", error.text);
    return recorder;
}

/* Tokens are sorted when finalised; ascending request numbers keep their order. */
static void fill(enum ryz_table table, uint64_t number, void *row)
{
    support_fill(table, number, row);
    if (table == RYZ_TABLE_TOKENS) ((struct ryz_token_row *)row)->request = number;
    if (table != RYZ_TABLE_REQUESTS) return;
    struct ryz_request_row *request = row;
    request->id = UINT64_C(1) << 40 | number;
    request->tok_first = request->tok_count = 0;
}

/* Every row of the table must be the one its place demands. */
static void expect_rows(const struct ryz_run_data *data, enum ryz_table table)
{
    union {
        char bytes[1024];
        uint64_t align;
    } want;
    const struct ryz_table_spec *spec = ryz_table_spec(table);
    size_t count = 0, wrong = 0;
    const char *rows = ryz_run_rows(data, table, &count);
    for (size_t i = 0; i < count; i++) {
        fill(table, i, &want);
        /* Where no token belongs to a request, tok_first is still set; it says nothing. */
        if (table == RYZ_TABLE_REQUESTS)
            ((struct ryz_request_row *)&want)->tok_first =
                ((const struct ryz_request_row *)(rows + i * spec->row_bytes))->tok_first;
        wrong += !support_equal(table, rows + i * spec->row_bytes, &want);
    }
    cr_assert_eq(wrong, 0, "%zu of %zu rows of %s are wrong", wrong, count, spec->name);
}

static void push(struct ryz_recorder *recorder, enum ryz_table table, uint64_t number)
{
    union {
        char bytes[1024];
        uint64_t align;
    } row;
    cr_assert(ryz_table_spec(table)->row_bytes <= sizeof row);
    fill(table, number, &row);
    cr_assert(ryz_recorder_push(recorder, table, &row));
}

Test(record_live, every_table_comes_back_row_by_row_with_info_and_provenance)
{
    const char *path = support_path("deep/er/run.h5");
    struct ryz_recorder *recorder = open_recorder(path, 0, 0);
    struct ryz_error error = {0};
    struct ryz_run_data data;
    struct ryz_provenance provenance;
    const uint64_t rows = 700; /* more than a live chunk of most tables */
    for (uint64_t i = 0; i < rows; i++)
        for (int t = 0; t < RYZ_TABLE_LIVE_COUNT; t++) push(recorder, (enum ryz_table)t, i);
    cr_assert_eq(ryz_recorder_dropped(recorder), 0);
    cr_assert_eq(ryz_recorder_close(recorder, &error), RYZ_OK, "%s", error.text);
    cr_assert_eq(ryz_run_data_open_live(path, &data, &provenance, &error), RYZ_OK, "%s",
                 error.text);
    for (int t = 0; t < RYZ_TABLE_LIVE_COUNT; t++) {
        cr_expect_eq(data.tables[t].count, rows);
        expect_rows(&data, (enum ryz_table)t);
    }
    struct ryz_run_info want = info_of_test();
    cr_expect(data.info.complete && data.info.valid);
    cr_expect_eq(data.info.seed, want.seed);
    cr_expect_eq(data.info.t0_utc_ns, want.t0_utc_ns);
    cr_expect_str_eq(data.info.label, want.label);
    cr_expect_eq(data.info.phase_count, 2);
    cr_expect_str_eq(data.info.phases[1], "main");
    cr_expect_str_eq(provenance.argv, "argv of a test");
    struct ryz_provenance original;
    synthetic_provenance(&original);
    cr_assert_eq(provenance.scenario_bytes, original.scenario_bytes);
    cr_expect(memcmp(provenance.scenario, original.scenario, original.scenario_bytes) == 0);
    ryz_provenance_deinit(&provenance);
    ryz_run_data_deinit(&data);
}

Test(record_live, a_row_picks_its_table_by_its_type)
{
    const char *path = support_path("run.h5");
    struct ryz_recorder *recorder = open_recorder(path, 0, 0);
    struct ryz_run_data data;
    struct ryz_event event = {.kind = RYZ_EV_TOKEN, .request_id = 9};
    struct ryz_token_row token = {.request = 4, .n = 2};
    struct ryz_log_row line = {.level = 2};
    cr_assert(ryz_record(recorder, &event) && ryz_record(recorder, &token));
    cr_assert(ryz_record(recorder, &line));
    cr_assert_eq(ryz_recorder_close(recorder, NULL), RYZ_OK);
    cr_assert_eq(ryz_run_data_open_live(path, &data, NULL, NULL), RYZ_OK);
    cr_expect_eq(data.tables[RYZ_TABLE_SCHED_LOG].count, 1);
    cr_expect_eq(data.tables[RYZ_TABLE_TOKENS].count, 1);
    cr_expect_eq(data.tables[RYZ_TABLE_LOGS].count, 1);
    const struct ryz_event *back = data.tables[RYZ_TABLE_SCHED_LOG].rows;
    cr_expect(back->kind == RYZ_EV_TOKEN && back->request_id == 9);
    ryz_run_data_deinit(&data);
}

Test(record_live, no_recorder_takes_every_row)
{
    struct ryz_token_row token = {0};
    cr_expect(ryz_record((struct ryz_recorder *)NULL, &token));
    cr_expect_eq(ryz_recorder_dropped(NULL), 0);
    cr_expect_eq(ryz_recorder_close(NULL, NULL), RYZ_OK);
}

Test(record_live, an_existing_file_is_not_overwritten)
{
    const char *path = support_path("run.h5");
    struct ryz_run_info info = {0};
    struct ryz_provenance provenance = {0};
    struct ryz_error error = {0};
    struct ryz_recorder *second = NULL;
    struct ryz_recorder_options options = {
        .live_path = path, .info = &info, .provenance = &provenance};
    cr_assert_eq(ryz_recorder_close(open_recorder(path, 0, 0), NULL), RYZ_OK);
    cr_expect_eq(ryz_recorder_open(&options, &second, &error), RYZ_IO);
    cr_expect_null(second);
    cr_expect(strstr(error.text, path) != NULL);
}

/* ---- several producers ---- */

#define PRODUCERS 4u
#define EACH      20000u

struct producer {
    struct ryz_recorder *recorder;
    uint64_t number;
};

static void *produce(void *context)
{
    const struct producer *producer = context;
    for (uint64_t i = 0; i < EACH; i++) {
        struct ryz_token_row row = {.request = producer->number, .t_ns = (int64_t)i, .n = 1};
        if (!ryz_record(producer->recorder, &row)) return NULL;
    }
    return context;
}

Test(record_live, rows_of_several_threads_all_arrive_and_each_threads_in_order)
{
    const char *path = support_path("run.h5");
    /* A small ring, so that it does fill; long patience, so that nothing is dropped. */
    struct ryz_recorder *recorder = open_recorder(path, 64, INT64_C(60000000000));
    struct producer producers[PRODUCERS];
    pthread_t threads[PRODUCERS];
    struct ryz_run_data data;
    for (uint64_t p = 0; p < PRODUCERS; p++) {
        producers[p] = (struct producer){recorder, p};
        cr_assert_eq(pthread_create(&threads[p], NULL, produce, &producers[p]), 0);
    }
    for (size_t p = 0; p < PRODUCERS; p++) {
        void *done = NULL;
        cr_assert_eq(pthread_join(threads[p], &done), 0);
        cr_expect_not_null(done);
    }
    cr_assert_eq(ryz_recorder_close(recorder, NULL), RYZ_OK);
    cr_assert_eq(ryz_run_data_open_live(path, &data, NULL, NULL), RYZ_OK);
    size_t count = 0, wrong = 0;
    const struct ryz_token_row *rows = ryz_run_rows(&data, RYZ_TABLE_TOKENS, &count);
    cr_assert_eq(count, PRODUCERS * EACH);
    for (size_t i = 0; i < count; i++)
        wrong += rows[i].request != i / EACH || rows[i].t_ns != (int64_t)(i % EACH);
    cr_expect_eq(wrong, 0);
    ryz_run_data_deinit(&data);
}

/* ---- trouble ---- */

/* What the child of the next test found. It ends by SIGKILL: HDF5 cannot free what it failed to
 * write, and leak checkers need not hear of that. */
struct outcome {
    enum ryz_status status;
    char text[320];
};

static _Noreturn void fill_the_disk(const char *path, struct outcome *outcome)
{
    struct ryz_recorder *recorder = open_recorder(path, 0, 1000000);
    struct ryz_error error = {0};
    uint64_t acked[RYZ_TABLE_LIVE_COUNT] = {0};
    for (uint64_t i = 0; i < 1000; i++) push(recorder, RYZ_TABLE_REQUESTS, i);
    while (acked[RYZ_TABLE_REQUESTS] < 1000) ryz_recorder_acked(recorder, acked);
    struct rlimit limit = {support_file_bytes(path) + 4096, RLIM_INFINITY};
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    for (uint64_t i = 1000; i < 60000; i++) {
        struct ryz_request_row row;
        fill(RYZ_TABLE_REQUESTS, i, &row);
        ryz_record(recorder, &row);
    }
    outcome->status = ryz_recorder_close(recorder, &error);
    memcpy(outcome->text, error.text, sizeof outcome->text);
    for (;;) raise(SIGKILL);
}

Test(record_live, a_full_disk_is_told_and_what_was_acknowledged_is_still_there)
{
    char path[512];
    struct ryz_error error = {0};
    struct ryz_run_data data;
    int status = 0;
    struct outcome *outcome =
        mmap(NULL, sizeof *outcome, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(outcome, MAP_FAILED);
    snprintf(path, sizeof path, "%s", support_path("run.h5"));
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) fill_the_disk(path, outcome);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    cr_expect_eq(outcome->status, RYZ_IO);
    cr_expect(strstr(outcome->text, "disk full") != NULL, "%s", outcome->text);
    cr_assert_eq(ryz_run_data_open_live(path, &data, NULL, &error), RYZ_OK, "%s", error.text);
    cr_expect_geq(data.tables[RYZ_TABLE_REQUESTS].count, 1000);
    expect_rows(&data, RYZ_TABLE_REQUESTS);
    cr_expect_not(data.info.valid);
    ryz_run_data_deinit(&data);
}

/* ---- kill -9 ---- */

struct shared {
    _Atomic uint64_t acked[RYZ_TABLE_LIVE_COUNT];
};

/* Pushes rows as fast as it can and publishes what is acknowledged, until it is killed. */
static _Noreturn void child(const char *path, struct shared *shared)
{
    static const enum ryz_table tables[] = {RYZ_TABLE_REQUESTS, RYZ_TABLE_TOKENS, RYZ_TABLE_SPANS,
                                            RYZ_TABLE_ENGINE, RYZ_TABLE_SCHED_LOG};
    struct ryz_recorder *recorder = open_recorder(path, 4096, INT64_C(60000000000));
    for (uint64_t i = 0;; i++) {
        uint64_t acked[RYZ_TABLE_LIVE_COUNT];
        for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++) push(recorder, tables[t], i);
        ryz_recorder_acked(recorder, acked);
        for (int t = 0; t < RYZ_TABLE_LIVE_COUNT; t++)
            ryz_store_release(&shared->acked[t], acked[t]);
    }
}

static void kill_at_random(const char *path, struct shared *shared, uint64_t seed)
{
    memset(shared, 0, sizeof *shared);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) child(path, shared);
    struct timespec pause = {.tv_nsec = 1000000};
    /* Not before something was acknowledged: the test would prove nothing. */
    while (ryz_load_acquire(&shared->acked[RYZ_TABLE_TOKENS]) == 0) nanosleep(&pause, NULL);
    pause.tv_nsec = (long)(ryz_rng_at(seed, 1, 0) % 60000000);
    nanosleep(&pause, NULL);
    cr_assert_eq(kill(pid, SIGKILL), 0);
    int status = 0;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFSIGNALED(status), "the child ended by itself");
}

Test(record_live, every_acknowledged_row_survives_kill_nine, .timeout = 240)
{
    struct shared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(shared, MAP_FAILED);
    for (uint64_t round = 0; round < 20; round++) {
        struct ryz_run_data data;
        struct ryz_error error = {0};
        char name[32];
        snprintf(name, sizeof name, "killed%llu.h5", (unsigned long long)round);
        const char *path = support_path(name);
        kill_at_random(path, shared, round);
        cr_assert_eq(ryz_run_data_open_live(path, &data, NULL, &error), RYZ_OK, "round %llu: %s",
                     (unsigned long long)round, error.text);
        for (int t = 0; t < RYZ_TABLE_LIVE_COUNT; t++) {
            cr_assert_geq(data.tables[t].count, ryz_load_acquire(&shared->acked[t]));
            expect_rows(&data, (enum ryz_table)t);
        }
        cr_expect(!data.info.complete && !data.info.valid);
        ryz_run_data_deinit(&data);
        cr_assert_eq(unlink(path), 0);
    }
}

Test(record_live, a_killed_run_becomes_an_ordinary_results_file)
{
    struct shared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    char live[512], out[512];
    struct ryz_error error = {0};
    struct ryz_results *results = NULL;
    struct ryz_run_data data;
    uint32_t recovered = 0;
    cr_assert_neq(shared, MAP_FAILED);
    snprintf(live, sizeof live, "%s", support_path("killed.h5"));
    snprintf(out, sizeof out, "%s", support_path("recovered.h5"));
    kill_at_random(live, shared, 77);
    cr_expect_eq(ryz_results_open(live, &results, &error), RYZ_INVALID);
    cr_expect(strstr(error.text, "recover") != NULL, "%s", error.text);
    const char *paths[] = {"/nonexistent.h5", live};
    cr_assert_eq(ryz_results_recover(paths, 2, out, &recovered, &error), RYZ_OK, "%s", error.text);
    cr_expect_eq(recovered, 1);
    cr_expect(strstr(error.text, "/nonexistent.h5") != NULL,
              "no word of the file that was skipped");
    cr_assert_eq(ryz_results_open(out, &results, &error), RYZ_OK, "%s", error.text);
    cr_expect_not(ryz_results_complete(results));
    cr_expect_str_eq(ryz_results_provenance(results)->cpu, "cpu of a test");
    cr_assert_eq(ryz_results_read_run(results, 0, RYZ_TABLES_ALL, &data, &error), RYZ_OK, "%s",
                 error.text);
    cr_expect_geq(data.tables[RYZ_TABLE_ENGINE].count,
                  ryz_load_acquire(&shared->acked[RYZ_TABLE_ENGINE]));
    expect_rows(&data, RYZ_TABLE_ENGINE);
    cr_expect_not(data.info.valid);
    cr_expect(strstr(data.info.invalid_reason, "interrupted") != NULL);
    ryz_run_data_deinit(&data);
    ryz_results_close(results);
}

Test(record_live, a_file_can_be_read_while_it_is_written, .timeout = 120)
{
    struct shared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    char path[512];
    size_t last = 0;
    int status = 0;
    cr_assert_neq(shared, MAP_FAILED);
    snprintf(path, sizeof path, "%s", support_path("growing.h5"));
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) child(path, shared);
    struct timespec pause = {.tv_nsec = 30000000};
    while (ryz_load_acquire(&shared->acked[RYZ_TABLE_TOKENS]) == 0) nanosleep(&pause, NULL);
    for (int round = 0; round < 6; round++) {
        struct ryz_run_data data;
        struct ryz_error error = {0};
        uint64_t acked = ryz_load_acquire(&shared->acked[RYZ_TABLE_TOKENS]);
        cr_assert_eq(ryz_run_data_open_live(path, &data, NULL, &error), RYZ_OK, "round %d: %s",
                     round, error.text);
        cr_expect_geq(data.tables[RYZ_TABLE_TOKENS].count, acked);
        cr_expect_geq(data.tables[RYZ_TABLE_TOKENS].count, last);
        expect_rows(&data, RYZ_TABLE_TOKENS);
        expect_rows(&data, RYZ_TABLE_REQUESTS);
        last = data.tables[RYZ_TABLE_TOKENS].count;
        ryz_run_data_deinit(&data);
        nanosleep(&pause, NULL);
    }
    cr_expect_gt(last, 0);
    cr_assert_eq(kill(pid, SIGKILL), 0);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "the child ended by itself");
}
