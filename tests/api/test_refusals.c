/*
 * test_refusals.c - tenants, priorities and deadlines on their way in, refusals on their way out.
 *
 * Goal: what the scheduler decides by reaches the engine as numbers and absolute times; a refusal
 * of the queue tells when to come again. Method: a made-up engine, real sockets.
 */
#include "engine/api/tenants.h"
#include "engine/base/size.h"
#include "tests/api/fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct fixture f;

static void set_up(void)
{
    fixture_open(&f, 16);
}

static void tear_down(void)
{
    fixture_close(&f);
}

TestSuite(refusals, .init = set_up, .fini = tear_down, .timeout = 120);

/* Sends a prompt with some fields, hands what the engine got to the caller, and lets it end. */
static struct ryz_generate send(const char *fields)
{
    struct client client;
    struct answer answer;
    char body[256];
    (void)snprintf(body, sizeof body, "{\"prompt\":\"a\"%s}", fields);
    client_open(&client, f.port);
    client_post(&client, "/v1/completions", "", body);
    struct fake_job *job = fake_take(f.engine);
    struct ryz_generate generate = job->generate;
    fake_end(job, RYZ_OK, RYZ_FINISH_LENGTH, "");
    client_read(&client, &answer);
    cr_assert_eq(answer.status, 200);
    answer_deinit(&answer);
    client_close(&client);
    return generate;
}

Test(refusals, deadlines_count_from_the_arrival_at_the_server)
{
    int64_t before_ns = ryz_clock_now_ns(fixture_clock());
    struct ryz_generate g = send(",\"ttft_deadline_ms\":500,\"deadline_ms\":90000.5");
    int64_t after_ns = ryz_clock_now_ns(fixture_clock());
    int64_t first_ns = g.first_deadline_ns - 500 * RYZ_NS_PER_MS;
    cr_assert(first_ns >= before_ns && first_ns <= after_ns);
    cr_assert_eq(g.deadline_ns - first_ns, 90000 * RYZ_NS_PER_MS + 500 * RYZ_NS_PER_US);
    g = send("");
    cr_assert_eq(g.first_deadline_ns, 0);
    cr_assert_eq(g.deadline_ns, RYZ_TIME_NEVER);
}

Test(refusals, priority_is_normal_unless_a_request_says_otherwise)
{
    cr_assert_eq(send("").priority, RYZ_PRIORITY_NORMAL);
    cr_assert_eq(send(",\"priority\":0").priority, 0);
    cr_assert_eq(send(",\"priority\":9").priority, 9);
}

Test(refusals, tenants_are_told_apart)
{
    cr_assert_eq(send("").tenant, RYZ_TENANT_DEFAULT);
    uint16_t one = send(",\"tenant\":\"one\"").tenant, two = send(",\"tenant\":\"two\"").tenant;
    cr_assert(one != two && one != RYZ_TENANT_DEFAULT && two != RYZ_TENANT_DEFAULT);
    cr_assert_eq(send(",\"tenant\":\"one\"").tenant, one);
    cr_assert_eq(send(",\"tenant\":\"default\"").tenant, RYZ_TENANT_DEFAULT);
}

static void assert_refused(const struct answer *answer, const char *code, const char *message)
{
    cr_assert_eq(answer->status, 429, "%d %s", answer->status, answer->body);
    json_t *root = answer_json(answer);
    cr_assert_str_eq(text_at(root, "error.code"), code);
    cr_assert_str_eq(text_at(root, "error.type"), "rate_limit_error");
    cr_assert_str_eq(text_at(root, "error.message"), message);
    json_decref(root);
}

Test(refusals, one_tenant_too_many_is_refused_and_the_known_go_on)
{
    char name[40];
    for (uint32_t i = 1; i < RYZ_TENANTS_MAX; i++) { /* a bad body registers no tenant */
        struct answer answer;
        (void)snprintf(name, sizeof name, "{\"tenant\":\"t%u\"}", i + 1000);
        ask(f.port, "/v1/completions", name, &answer);
        cr_assert_eq(answer.status, 400);
        answer_deinit(&answer);
    }
    f.engine->refuse = RYZ_FULL; /* a refused request registers its tenant all the same */
    for (uint32_t i = 1; i < RYZ_TENANTS_MAX; i++) {
        struct answer answer;
        char body[64];
        (void)snprintf(body, sizeof body, "{\"prompt\":\"a\",\"tenant\":\"t%u\"}", i);
        ask(f.port, "/v1/completions", body, &answer);
        cr_assert_eq(answer.status, 429);
        answer_deinit(&answer);
    }
    f.engine->refuse = RYZ_OK;
    struct answer answer;
    ask(f.port, "/v1/completions", "{\"prompt\":\"a\",\"tenant\":\"new\"}", &answer);
    assert_refused(&answer, "too_many_tenants",
                   "The tenant 'new' is new, and this server keeps accounts of 256 tenants at "
                   "most.");
    cr_assert_not(answer_header(&answer, "Retry-After", (char[256]){0}));
    answer_deinit(&answer);
    cr_assert_eq(send(",\"tenant\":\"t255\"").tenant, 255);
}

struct refusal {
    const char *fields;
    bool late;
    int64_t estimate_ns;
    const char *code, *retry_after, *message;
};

static const struct refusal queue_refusals[] = {
    {"", false, 0, "queue_full", "1", "The queue is full; please try again later."},
    {"", false, 3200 * RYZ_NS_PER_MS, "queue_full", "4",
     "The queue is full: a first token is expected in 3.2 s; please try again later."},
    {"", false, 20 * RYZ_NS_PER_MS, "queue_full", "1",
     "The queue is full: a first token is expected in 20 ms; please try again later."},
    {"", false, INT64_MAX, "queue_full", "3600",
     "The queue is full: a first token is expected in 9223372036.9 s; please try again later."},
    {",\"ttft_deadline_ms\":1000", true, 3200 * RYZ_NS_PER_MS, "deadline_unreachable", "4",
     "The first token is expected in 3.2 s, after the deadline of 1.0 s."},
    {",\"ttft_deadline_ms\":250,\"deadline_ms\":9000", true, 2 * RYZ_NS_PER_S,
     "deadline_unreachable", "2",
     "The first token is expected in 2.0 s, after the deadline of 250 ms."},
    {",\"ttft_deadline_ms\":5000,\"deadline_ms\":9000", true, 4 * RYZ_NS_PER_S,
     "deadline_unreachable", "4",
     "The first token is expected in 4.0 s, too late for an end within the deadline of 9.0 s."},
    {",\"deadline_ms\":500", true, 0, "deadline_unreachable", "1", "The deadline cannot be kept."},
};

Test(refusals, the_queue_says_when_to_come_again)
{
    for (size_t i = 0; i < 2 * RYZ_COUNT_OF(queue_refusals); i++) {
        const struct refusal *r = &queue_refusals[i / 2];
        struct client client;
        struct answer answer;
        char body[256], value[256];
        (void)snprintf(body, sizeof body, "{\"prompt\":\"a\",\"stream\":%s%s}",
                       i % 2 != 0 ? "true" : "false", r->fields);
        client_open(&client, f.port);
        client_post(&client, "/v1/completions", "", body);
        fake_refuse(fake_take(f.engine), r->late, r->estimate_ns);
        client_read(&client, &answer);
        assert_refused(&answer, r->code, r->message);
        cr_assert(answer_header(&answer, "Retry-After", value));
        cr_assert_str_eq(value, r->retry_after, "case %zu", i);
        answer_deinit(&answer);
        client_close(&client);
    }
}
