/*
 * Goal: our own server over HTTP and our engine in process are the same system: every request gets
 * the same tokens, counted exactly, and a client that leaves frees what its request held.
 * Method: one schedule, driven once through each target on engines of the same model; rows are
 * compared by their hashes.
 */
#include "engine/api/server.h"
#include "harness/drive/embedded.h"
#include "harness/drive/http.h"
#include "harness/drive/real_clock.h"
#include "tests/unit/drive/fake_target.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT 30

static struct fake_target inside, outside;

static struct ryz_engine *open_observed(struct ryz_engine_observer observer)
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
                   .queue_requests_max = 64,
                   .step_ns_max = RYZ_TIME_NEVER,
                   .admit_late = true},
        .kv_bytes = UINT64_C(8) << 20,
        .clock = ryz_real_clock_monotonic(),
        .observer = observer,
    };
    struct ryz_engine *engine = NULL;
    struct ryz_error error = {.text = ""};
    cr_assert_eq(ryz_engine_open(&options, &engine, &error), RYZ_OK, "%s", error.text);
    return engine;
}

static struct ryz_engine *open_engine(void)
{
    return open_observed((struct ryz_engine_observer){.context = NULL});
}

static struct ryz_server *open_server(struct ryz_engine *engine)
{
    const struct ryz_server_options options = {
        .host = "127.0.0.1",
        .model_name = "tiny",
        .engine = engine,
        .clock = ryz_real_clock_monotonic(),
        .wall = ryz_real_clock_wall(),
        .connections_max = 64,
        .body_bytes_max = 1 << 20,
        .seed = 1,
    };
    struct ryz_server *server = NULL;
    struct ryz_error error = {.text = ""};
    cr_assert_eq(ryz_server_open(&options, &server, &error), RYZ_OK, "%s", error.text);
    return server;
}

static struct ryz_target *open_http(const struct ryz_server *server)
{
    char url[64];
    struct ryz_target *target = NULL;
    struct ryz_error error = {.text = ""};
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u/v1", ryz_server_port(server));
    const struct ryz_http_options options = {.url = url, .clock = ryz_real_clock_monotonic()};
    cr_assert_eq(ryz_http_open(&options, &target, &error), RYZ_OK, "%s", error.text);
    return target;
}

static struct ryz_traffic_plan plan_of(uint32_t output)
{
    return (struct ryz_traffic_plan){
        .name = "own",
        .arrival = RYZ_ARRIVAL_POISSON,
        .rate_per_s = 200.0,
        .requests = COUNT,
        .prompt = {.kind = RYZ_LENGTH_UNIFORM, .min = 10, .max = 90},
        .output = {.kind = RYZ_LENGTH_UNIFORM, .min = output, .max = output + 8},
        .ignore_eos = true,
        .timeout_ns = 60 * RYZ_NS_PER_S,
        .priority = 1,
        .tenant = "default",
    };
}

static void drive_plan(struct ryz_target *target, struct fake_target *sink,
                       const struct ryz_traffic_plan *plan, struct ryz_faults *faults)
{
    const struct ryz_clock *clock = ryz_real_clock_monotonic();
    const struct ryz_prompts prompts = {.seed = 9, .bos = RYZ_PROMPT_NO_BOS, .ordinary_count = 256};
    const struct ryz_schedule_options schedule_options = {
        .traffic = plan, .traffic_count = 1, .seed = 4, .context_tokens = 512};
    struct ryz_schedule schedule;
    struct ryz_drive_summary summary;
    fake_open(sink);
    cr_assert_eq(ryz_schedule_open(&schedule_options, &schedule, NULL), RYZ_OK);
    const struct ryz_drive_options options = {.schedule = &schedule,
                                              .prompts = &prompts,
                                              .t0_ns = ryz_clock_now_ns(clock),
                                              .seed = 3,
                                              .faults = faults,
                                              .sink = fake_sink(sink)};
    cr_assert_eq(ryz_pacer_run(&options, target, clock, &summary, NULL), RYZ_OK);
    cr_assert_eq(summary.unreturned, 0);
    cr_assert_eq(sink->row_count, COUNT);
    ryz_schedule_close(&schedule);
    ryz_target_close(target);
}

static void drive(struct ryz_target *target, struct fake_target *sink, struct ryz_faults *faults,
                  uint32_t output)
{
    const struct ryz_traffic_plan plan = plan_of(output);
    drive_plan(target, sink, &plan, faults);
}

static const struct ryz_request_row *row_of(const struct fake_target *sink, uint64_t id)
{
    for (uint32_t i = 0; i < sink->row_count; i++) {
        if (sink->rows[i].id == id) return &sink->rows[i];
    }
    return NULL;
}

Test(own_server, gives_the_tokens_that_the_engine_in_process_gives)
{
    struct ryz_engine *engine = open_engine();
    struct ryz_target *target = NULL;
    cr_assert_eq(ryz_embedded_open(engine, ryz_real_clock_monotonic(), &target, NULL), RYZ_OK);
    drive(target, &inside, NULL, 3);
    struct ryz_server *server = open_server(engine);
    drive(open_http(server), &outside, NULL, 3);
    for (uint64_t id = 1; id <= COUNT; id++) {
        const struct ryz_request_row *a = row_of(&inside, id), *b = row_of(&outside, id);
        cr_assert(a != NULL && b != NULL);
        cr_assert_eq(a->status, RYZ_REQUEST_OK);
        cr_assert_eq(b->status, RYZ_REQUEST_OK);
        cr_assert_eq(a->prompt_hash, b->prompt_hash);
        cr_assert_eq(a->in_tok, b->in_tok);
        cr_assert_eq(a->out_tok, b->out_tok);
        cr_assert_eq(a->out_tok, a->want_tok);
        cr_assert_eq(a->output_hash, b->output_hash);
        cr_assert_neq(b->output_hash, 0);
        cr_assert_gt(b->bytes_in, 0);
        cr_assert_gt(b->bytes_out, b->in_tok);
    }
    ryz_server_close(server, 0);
    ryz_engine_close(engine);
}

Test(own_server, notices_clients_that_leave)
{
    struct ryz_engine *engine = open_engine();
    struct ryz_server *server = open_server(engine);
    struct ryz_fault fault = {.name = "leave",
                              .point = RYZ_FAULT_CLIENT,
                              .action = RYZ_FAULT_DISCONNECT,
                              .until_ns = RYZ_TIME_NEVER,
                              .permille = 1000};
    struct ryz_faults *faults = NULL;
    cr_assert_eq(ryz_faults_open(&fault, 1, 1, &faults, NULL), RYZ_OK);
    drive(open_http(server), &outside, faults, 300);
    for (uint32_t i = 0; i < COUNT; i++)
        cr_assert_eq(outside.rows[i].status, RYZ_REQUEST_CANCELLED);
    while (ryz_engine_active(engine) > 0) (void)usleep(1000);
    struct ryz_core_stats stats = ryz_engine_stats(engine);
    cr_assert_eq(stats.kv_blocks_used, 0);
    cr_assert_gt(stats.cancelled, 0, "no request was given up early");
    ryz_server_close(server, 0);
    ryz_engine_close(engine);
    ryz_faults_close(faults);
}

/* The scheduler's log of the requests that arrive. */
struct arrivals {
    struct ryz_event events[COUNT];
    uint32_t count;
};

static void keep_arrival(void *context, const struct ryz_event *event)
{
    struct arrivals *arrivals = context;
    if (event->kind != RYZ_EV_ARRIVE) return;
    cr_assert_lt(arrivals->count, COUNT);
    arrivals->events[arrivals->count++] = *event;
}

/* What the scheduler of an engine hears of the traffic, in process or over HTTP. */
static void hear(bool over_http, const struct ryz_traffic_plan *plan, struct arrivals *arrivals)
{
    const struct ryz_engine_observer observer = {.context = arrivals, .event = keep_arrival};
    struct ryz_engine *engine = open_observed(observer);
    struct ryz_server *server = open_server(engine);
    struct ryz_target *target = NULL;
    if (over_http)
        target = open_http(server);
    else
        cr_assert_eq(ryz_embedded_open(engine, ryz_real_clock_monotonic(), &target, NULL), RYZ_OK);
    drive_plan(target, &outside, plan, NULL);
    ryz_server_close(server, 0);
    ryz_engine_close(engine);
    cr_assert_eq(arrivals->count, COUNT);
}

Test(own_server, the_scheduler_hears_the_same_through_both_doors)
{
    static struct arrivals heard[2];
    struct ryz_traffic_plan plan = plan_of(3);
    plan.priority = 2;
    plan.first_deadline_ns = 30 * RYZ_NS_PER_S;
    plan.deadline_ns = 50 * RYZ_NS_PER_S;
    (void)strcpy(plan.tenant, "batch");
    for (int http = 0; http < 2; http++) {
        int64_t begin_ns = ryz_clock_now_ns(ryz_real_clock_monotonic());
        hear(http != 0, &plan, &heard[http]);
        int64_t end_ns = ryz_clock_now_ns(ryz_real_clock_monotonic());
        for (uint32_t i = 0; i < COUNT; i++) {
            const struct ryz_event *event = &heard[http].events[i];
            int64_t sched_ns = event->first_deadline_ns - plan.first_deadline_ns;
            cr_assert_eq(event->priority, 2);
            cr_assert(sched_ns >= begin_ns && sched_ns <= end_ns);
            /* Over HTTP both are rounded to the digits of a double. */
            int64_t apart_ns = event->deadline_ns - event->first_deadline_ns;
            cr_assert(llabs(apart_ns - 20 * RYZ_NS_PER_S) <= 2);
            cr_assert_eq(event->tenant, http != 0 ? 1 : 0, "the server's number, the traffic's");
        }
    }
}

Test(own_server, a_deadline_ends_requests_alike_through_both_doors)
{
    struct ryz_traffic_plan plan = plan_of(300);
    plan.deadline_ns = RYZ_NS_PER_MS;
    struct arrivals heard;
    for (int http = 0; http < 2; http++) {
        heard.count = 0;
        hear(http != 0, &plan, &heard);
        for (uint32_t i = 0; i < COUNT; i++)
            cr_assert_eq(outside.rows[i].status, RYZ_REQUEST_TIMEOUT, "%d",
                         (int)outside.rows[i].status);
    }
}
