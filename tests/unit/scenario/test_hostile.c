/*
 * Goal: no input crashes the reader, and a plan that it accepts keeps the promises of plan.h.
 * Method: mutations of a rich scenario and of single values, random bytes; seeds are printed.
 */
#include "engine/base/clock.h"
#include "engine/base/rng.h"
#include "harness/scenario/check.h"
#include "harness/scenario/values.h"
#include "tests/unit/scenario/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

TestSuite(hostile, .init = support_open, .fini = support_close);

static const char rich[] =
    "; title\n[scenario]\nname = x\nschema = 1\nrepeats = 2\nmode = both\n"
    "[engine]\nmax_batch = 4\nkv = 64 MiB\nquant = bf16\n[model]\npath = model.gguf\n"
    "[traffic.a]\narrival = poisson\nrate = 5 /s\nduration = 3 s\n"
    "prompt = lognormal mean=18 sd=9 max=51\nslo = ttft<=400ms\n"
    "[traffic.b]\narrival = trace\ntrace = trace.csv\nformat = azure\nwindow = 0 s .. 3 s\n"
    "[fault.f]\nat = 1 s\nfor = 2 s\nwhere = engine.decode\ndo = delay 4 ms\nshare = 5 %\n"
    "[accuracy]\nset = text.txt\nagainst = bf16\n"
    "[sweep]\nengine.max_batch = 1 2\ntraffic.a.rate = 1/s 2/s\norder = shuffled\n"
    "[targets]\nttft.p99 = <= 1 s\n[output]\nplots = cdf\n";

static const char spice[] =
    "0123456789.eE+-=:;#[]{}%/|<> \t\n\r\"\\abcdefmnstxyz_\0\x01\xff\xc3\xa4";

static bool is_text(const char *field, size_t size)
{
    return memchr(field, '\0', size) != NULL;
}

static void check_traffic(const struct ryz_traffic_plan *t)
{
    cr_assert(is_text(t->name, sizeof t->name) && t->name[0] != '\0');
    cr_assert(is_text(t->trace, sizeof t->trace) && is_text(t->tenant, sizeof t->tenant));
    cr_assert(t->prompt.min >= 1 && t->prompt.min <= t->prompt.max);
    cr_assert(t->output.min >= 1 && t->output.min <= t->output.max);
    cr_assert(isfinite(t->speed) && t->speed > 0.0 && isfinite(t->scale_tokens));
    cr_assert(isfinite(t->rate_per_s) && t->rate_per_s >= 0.0);
    cr_assert(t->window_begin_ns >= 0 && t->window_begin_ns < t->window_end_ns);
    cr_assert(t->timeout_ns > 0 && t->start_ns >= 0 && t->duration_ns >= 0);
    cr_assert(t->slo.ttft_ns > 0 && t->slo.tpot_ns > 0 && t->slo.e2e_ns > 0);
    cr_assert(t->arrival != RYZ_ARRIVAL_CLOSED || t->concurrency > 0);
    cr_assert(t->arrival != RYZ_ARRIVAL_POISSON || t->rate_per_s > 0.0);
    cr_assert(t->arrival != RYZ_ARRIVAL_TRACE || t->trace[0] != '\0');
}

/* What the rest of the harness relies on. */
static void check_plan(const struct ryz_plan *plan)
{
    cr_assert(is_text(plan->name, sizeof plan->name) && plan->name[0] != '\0');
    cr_assert(is_text(plan->title, sizeof plan->title));
    cr_assert(plan->repeats >= 1 && plan->schema == 1);
    cr_assert(plan->engine.max_batch >= 1 && plan->engine.max_batch <= 256);
    cr_assert(plan->engine.prefill_chunk >= 1 &&
              plan->engine.prefill_chunk <= plan->engine.max_batch_tokens);
    cr_assert(plan->traffic_count <= RYZ_TRAFFIC_MAX && plan->fault_count <= RYZ_FAULTS_MAX);
    for (uint32_t i = 0; i < plan->traffic_count; i++) check_traffic(&plan->traffic[i]);
    for (uint32_t i = 0; i < plan->target_count; i++)
        cr_assert(isfinite(plan->targets[i].value) && plan->targets[i].value >= 0.0);
    struct ryz_faults *faults = NULL;
    struct ryz_error error = {.text = ""};
    cr_assert_eq(ryz_faults_open(plan->faults, plan->fault_count, 1, &faults, &error), RYZ_OK, "%s",
                 error.text);
    ryz_faults_close(faults);
}

/* Opens what was written to s.ini; true if it was a plan. */
static bool try_bytes(const char *bytes, size_t size)
{
    struct ryz_plan *plan = NULL, *point = NULL;
    struct ryz_error error = {.text = ""};
    support_write_bytes("s.ini", bytes, size);
    enum ryz_status status = ryz_plan_open("s.ini", NULL, &plan, &error);
    if (status != RYZ_OK) {
        cr_assert_null(plan);
        cr_assert_eq(strncmp(error.text, "s.ini", 5), 0, "%s", error.text);
        return false;
    }
    check_plan(plan);
    uint32_t last = ryz_plan_point_count(plan) - 1;
    cr_assert_eq(ryz_plan_point(plan, last, &point, NULL, 0, &error), RYZ_OK, "%s", error.text);
    check_plan(point);
    ryz_plan_close(point);
    ryz_plan_close(plan);
    return true;
}

Test(hostile, mutated_scenarios_are_refused_or_sound)
{
    struct ryz_rng rng;
    ryz_rng_init(&rng, support_seed("mutated scenarios"), 0);
    cr_assert(try_bytes(rich, sizeof rich - 1));
    uint32_t good = 0, rounds = 2000;
    for (uint32_t round = 0; round < rounds; round++) {
        char text[sizeof rich + 200];
        size_t size = sizeof rich - 1;
        memcpy(text, rich, size);
        for (uint64_t edits = 1 + (ryz_rng_below(&rng, 4) == 0); edits > 0; edits--) {
            size_t at = ryz_rng_below(&rng, size), run = 1 + ryz_rng_below(&rng, 20);
            char c = spice[ryz_rng_below(&rng, sizeof spice - 1)];
            uint64_t kind = ryz_rng_below(&rng, 4);
            if (kind == 0 && at + run < size) { /* cut a piece out */
                memmove(text + at, text + at + run, size - at - run);
                size -= run;
            } else if (kind == 1 && size + run < sizeof text) { /* repeat a piece */
                memmove(text + at + run, text + at, size - at);
                size += run;
            } else {
                text[at] = c;
            }
        }
        good += try_bytes(text, size);
    }
    cr_assert(good > rounds / 50 && good < rounds, "%u of %u were good", good, rounds);
}

Test(hostile, random_bytes_are_refused)
{
    struct ryz_rng rng;
    ryz_rng_init(&rng, support_seed("random bytes"), 1);
    static char bytes[3000];
    for (int round = 0; round < 500; round++) {
        size_t size = ryz_rng_below(&rng, sizeof bytes);
        for (size_t i = 0; i < size; i++) bytes[i] = (char)ryz_rng_u64(&rng);
        cr_assert_not(try_bytes(bytes, size));
    }
}

Test(hostile, random_values_are_refused_or_fit_their_field)
{
    struct ryz_rng rng;
    ryz_rng_init(&rng, support_seed("random values"), 2);
    static const char *const pieces[] = {"1",      "0",        "-1",         "99999999999999999999",
                                         "nan",    "inf",      " ",          "ms",
                                         " s",     "/s",       "%",          "MiB",
                                         "..",     "fixed ",   "x",          "1e9",
                                         "0x1",    "uniform ", "lognormal ", "mean=",
                                         "sd=",    "max=",     "delay ",     "fail ",
                                         "ttft<=", "none",     "auto"};
    static union {
        struct ryz_plan plan;
        unsigned char bytes[sizeof(struct ryz_plan) + 64];
    } scratch;
    uint32_t good = 0;
    for (int round = 0; round < 200000; round++) {
        char text[128] = "";
        for (uint64_t n = 1 + ryz_rng_below(&rng, 5); n > 0; n--)
            (void)strncat(text, pieces[ryz_rng_below(&rng, sizeof pieces / sizeof pieces[0])],
                          sizeof text - strlen(text) - 1);
        size_t index = ryz_rng_below(&rng, 60);
        const struct ryz_key *key = ryz_key_at(index);
        if (key == NULL) continue;
        good += ryz_value_set(key, text, &scratch, NULL) == RYZ_OK;
    }
    cr_assert_gt(good, 1000);
    for (size_t i = sizeof(struct ryz_plan); i < sizeof scratch.bytes; i++)
        cr_assert_eq(scratch.bytes[i], 0, "a setter wrote past the plan");
}

Test(hostile, long_lines_many_lines_and_huge_files_end_in_a_message)
{
    size_t size = (1u << 20) + 10;
    char *bytes = malloc(size);
    cr_assert_not_null(bytes);
    memset(bytes, 'x', size);
    cr_assert_not(try_bytes(bytes, 1000000));
    memset(bytes, '\n', size);
    cr_assert_not(try_bytes(bytes, 1000000));
    for (size_t i = 0; i + 6 <= 1000000; i += 6) memcpy(bytes + i, "[a]\nb\n", 6);
    cr_assert_not(try_bytes(bytes, 1000000));
    cr_assert_not(try_bytes(bytes, size));
    free(bytes);
}
