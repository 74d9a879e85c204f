/*
 * Goal: arrivals follow their distributions, are the same for the same seed on every machine, and
 * closed traffic and traces keep their windows and limits.
 * Method: statistics of 10^5 draws against their theory with wide bounds (the seed is fixed, so a
 * test passes always or never); pinned checksums; the bundled trace.
 */
#include "engine/base/clock.h"
#include "harness/traffic/lengths.h"
#include "harness/traffic/schedule.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N 100000

static struct ryz_traffic_plan make_plan(enum ryz_arrival_kind arrival)
{
    struct ryz_traffic_plan plan = {
        .name = "main",
        .arrival = arrival,
        .rate_per_s = 50.0,
        .prompt = {.kind = RYZ_LENGTH_LOGNORMAL, .mean = 180, .sd = 90, .min = 1, .max = 512},
        .output = {.kind = RYZ_LENGTH_UNIFORM, .min = 64, .max = 128},
        .timeout_ns = RYZ_NS_PER_S,
    };
    return plan;
}

static struct ryz_schedule open_schedule(const struct ryz_traffic_plan *plans, uint32_t count,
                                         uint64_t seed, uint32_t context)
{
    const struct ryz_schedule_options options = {
        .traffic = plans, .traffic_count = count, .seed = seed, .context_tokens = context};
    struct ryz_schedule schedule;
    struct ryz_error error = {.text = ""};
    enum ryz_status status = ryz_schedule_open(&options, &schedule, &error);
    cr_assert_eq(status, RYZ_OK, "%s", error.text);
    return schedule;
}

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Largest distance between the empirical distribution of gaps and the exponential one. */
static double ks_distance(double *gaps, size_t count, double rate)
{
    double worst = 0.0;
    qsort(gaps, count, sizeof *gaps, by_value);
    for (size_t i = 0; i < count; i++) {
        double f = 1.0 - exp(-rate * gaps[i]);
        worst = fmax(worst, fabs(f - (double)i / (double)count));
        worst = fmax(worst, fabs(f - (double)(i + 1) / (double)count));
    }
    return worst;
}

Test(schedule, poisson_gaps_are_exponential)
{
    struct ryz_traffic_plan plan = make_plan(RYZ_ARRIVAL_POISSON);
    plan.requests = N;
    struct ryz_schedule schedule = open_schedule(&plan, 1, 1, 4096);
    static double gaps[N];
    cr_assert_eq(schedule.count, N);
    for (size_t i = 0; i < N; i++) {
        int64_t before_ns = i == 0 ? 0 : schedule.arrivals[i - 1].intended_ns;
        gaps[i] = (double)(schedule.arrivals[i].intended_ns - before_ns) / 1e9;
        cr_assert_geq(gaps[i], 0.0);
    }
    /* 1.63 / sqrt(n) is the 1 % point of the Kolmogorov-Smirnov distance. */
    cr_assert_lt(ks_distance(gaps, N, 50.0), 1.63 / sqrt(N));
    ryz_schedule_close(&schedule);
}

Test(schedule, poisson_counts_are_as_spread_as_they_should_be)
{
    struct ryz_traffic_plan plan = make_plan(RYZ_ARRIVAL_POISSON);
    plan.duration_ns = 2000 * RYZ_NS_PER_S;
    struct ryz_schedule schedule = open_schedule(&plan, 1, 2, 4096);
    static double counts[2000];
    double mean = 0.0, variance = 0.0;
    for (size_t i = 0; i < schedule.count; i++)
        counts[schedule.arrivals[i].intended_ns / RYZ_NS_PER_S] += 1.0;
    for (int i = 0; i < 2000; i++) mean += counts[i] / 2000.0;
    for (int i = 0; i < 2000; i++) variance += (counts[i] - mean) * (counts[i] - mean) / 1999.0;
    /* The mean has a standard error of 0.16, the dispersion one of 0.032. */
    cr_assert(fabs(mean - 50.0) < 0.6, "%f", mean);
    cr_assert(fabs(variance / mean - 1.0) < 0.1, "%f", variance / mean);
    ryz_schedule_close(&schedule);
}

Test(schedule, constant_arrivals_are_even)
{
    struct ryz_traffic_plan plan = make_plan(RYZ_ARRIVAL_CONSTANT);
    plan.duration_ns = 10 * RYZ_NS_PER_S;
    plan.start_ns = 3 * RYZ_NS_PER_S;
    struct ryz_schedule schedule = open_schedule(&plan, 1, 1, 4096);
    cr_assert_eq(schedule.count, 500);
    for (size_t i = 0; i < 500; i++)
        cr_assert_leq(llabs(schedule.arrivals[i].intended_ns -
                            (3 * RYZ_NS_PER_S + (int64_t)i * 20 * RYZ_NS_PER_MS)),
                      1);
    ryz_schedule_close(&schedule);
}

Test(schedule, lengths_follow_their_distributions)
{
    struct ryz_traffic_plan plan = make_plan(RYZ_ARRIVAL_CONSTANT);
    plan.requests = N;
    plan.prompt.max = 100000; /* not clipped, so that the moments are the variate's own */
    struct ryz_schedule schedule = open_schedule(&plan, 1, 5, 1000000);
    double sum = 0.0, squares = 0.0, outputs = 0.0;
    uint32_t low = UINT32_MAX, high = 0;
    for (size_t i = 0; i < N; i++) {
        double prompt = schedule.arrivals[i].prompt_tokens;
        uint32_t output = schedule.arrivals[i].output_tokens;
        sum += prompt;
        squares += prompt * prompt;
        outputs += output;
        low = output < low ? output : low;
        high = output > high ? output : high;
    }
    double mean = sum / N, sd = sqrt(squares / N - mean * mean);
    cr_assert(fabs(mean - 180.0) < 2.0, "%f", mean);
    cr_assert(fabs(sd - 90.0) < 3.0, "%f", sd);
    cr_assert_eq(low, 64);
    cr_assert_eq(high, 128);
    cr_assert(fabs(outputs / N - 96.0) < 0.5, "%f", outputs / N);
    ryz_schedule_close(&schedule);
}

Test(schedule, lengths_keep_their_bounds)
{
    struct ryz_length_dist dist = {
        .kind = RYZ_LENGTH_LOGNORMAL, .mean = 50, .sd = 500, .min = 10, .max = 60};
    bool at_low = false, at_high = false;
    for (uint64_t i = 0; i < 10000; i++) {
        uint32_t length = ryz_lengths_draw(&dist, i * UINT64_C(0x68db8bac710cb));
        cr_assert(length >= 10 && length <= 60);
        at_low |= length == 10;
        at_high |= length == 60;
    }
    cr_assert(at_low && at_high);
    cr_assert_eq(ryz_lengths_draw(&dist, 0), 10);
    cr_assert_eq(ryz_lengths_draw(&dist, UINT64_MAX), 60);
    dist = (struct ryz_length_dist){.kind = RYZ_LENGTH_FIXED, .min = 7, .max = 7};
    cr_assert_eq(ryz_lengths_draw(&dist, 12345), 7);
}

/* The same seed gives the same schedule on every machine: a change of these numbers is a change of
 * every recorded experiment and needs a reason. */
Test(schedule, checksums_are_pinned)
{
    struct ryz_traffic_plan plans[3] = {make_plan(RYZ_ARRIVAL_POISSON),
                                        make_plan(RYZ_ARRIVAL_CONSTANT),
                                        make_plan(RYZ_ARRIVAL_CLOSED)};
    plans[0].requests = 5000;
    plans[1].requests = 1000;
    plans[2].requests = 300;
    plans[2].concurrency = 4;
    struct ryz_schedule schedule = open_schedule(plans, 3, 42, 600);
    cr_assert_eq(schedule.count, 6000);
    cr_assert_eq(schedule.checksum, UINT64_C(0xd6a7554e1023903a), "checksum %#lx",
                 (unsigned long)schedule.checksum);
    ryz_schedule_close(&schedule);
    struct ryz_schedule other = open_schedule(plans, 3, 43, 600);
    cr_assert_neq(other.checksum, schedule.checksum);
    ryz_schedule_close(&other);
}

Test(schedule, one_traffic_does_not_move_another_ones_draws)
{
    struct ryz_traffic_plan plans[2] = {make_plan(RYZ_ARRIVAL_POISSON),
                                        make_plan(RYZ_ARRIVAL_CONSTANT)};
    plans[0].requests = plans[1].requests = 100;
    struct ryz_schedule alone = open_schedule(plans, 1, 7, 4096);
    plans[1].rate_per_s = 77.0;
    struct ryz_schedule both = open_schedule(plans, 2, 7, 4096);
    size_t k = 0;
    for (size_t i = 0; i < both.count; i++) {
        if (i > 0) cr_assert_leq(both.arrivals[i - 1].intended_ns, both.arrivals[i].intended_ns);
        if (both.arrivals[i].traffic != 0) continue;
        cr_assert_eq(memcmp(&both.arrivals[i], &alone.arrivals[k], sizeof alone.arrivals[k]), 0);
        k++;
    }
    cr_assert_eq(k, 100);
    ryz_schedule_close(&alone);
    ryz_schedule_close(&both);
}

Test(schedule, closed_traffic_has_lengths_for_every_number)
{
    struct ryz_traffic_plan plan = make_plan(RYZ_ARRIVAL_CLOSED);
    struct ryz_arrival a, b;
    plan.concurrency = 3;
    plan.requests = 10;
    struct ryz_schedule schedule = open_schedule(&plan, 1, 7, 4096);
    cr_assert_eq(schedule.count, 0);
    cr_assert(ryz_schedule_closed(&schedule, 0, 9, &a, NULL));
    cr_assert_not(ryz_schedule_closed(&schedule, 0, 10, &a, NULL));
    cr_assert(ryz_schedule_closed(&schedule, 0, 9, &b, NULL));
    cr_assert_eq(a.prompt_tokens, b.prompt_tokens);
    ryz_schedule_close(&schedule);
    plan.requests = 0;
    plan.duration_ns = RYZ_NS_PER_S;
    schedule = open_schedule(&plan, 1, 7, 4096);
    cr_assert(ryz_schedule_closed(&schedule, 0, 123456, &a, NULL));
    ryz_schedule_close(&schedule);
}

Test(schedule, lengths_are_cut_to_the_context_and_counted)
{
    static const struct {
        uint32_t context, prompt, output, new_prompt, new_output;
        bool cut;
    } cases[] = {
        {100, 60, 40, 60, 40, false}, {100, 90, 20, 80, 20, true}, {100, 90, 80, 50, 50, true},
        {100, 10, 200, 10, 90, true}, {100, 1, 100, 1, 99, true},  {2, 9, 9, 1, 1, true},
        {101, 500, 60, 50, 51, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t prompt = cases[i].prompt, output = cases[i].output;
        cr_assert_eq(ryz_schedule_fit(cases[i].context, &prompt, &output), cases[i].cut);
        cr_assert_eq(prompt, cases[i].new_prompt, "case %zu: %u", i, prompt);
        cr_assert_eq(output, cases[i].new_output, "case %zu: %u", i, output);
    }
    struct ryz_traffic_plan plan = make_plan(RYZ_ARRIVAL_CONSTANT);
    plan.requests = 1000;
    struct ryz_schedule schedule = open_schedule(&plan, 1, 1, 256);
    uint64_t full = 0;
    for (size_t i = 0; i < schedule.count; i++) {
        const struct ryz_arrival *a = &schedule.arrivals[i];
        cr_assert_leq(a->prompt_tokens + a->output_tokens, 256);
        full += a->prompt_tokens + a->output_tokens == 256;
    }
    cr_assert_gt(schedule.clipped, 100);
    cr_assert_geq(full, schedule.clipped);
    ryz_schedule_close(&schedule);
}

static struct ryz_traffic_plan trace_plan(void)
{
    struct ryz_traffic_plan plan = make_plan(RYZ_ARRIVAL_TRACE);
    (void)strcpy(plan.trace, RYZ_SOURCE_DIR "/scenarios/data/ryz_conv.csv");
    plan.format = RYZ_TRACE_AZURE;
    plan.window_end_ns = RYZ_TIME_NEVER;
    plan.speed = plan.scale_tokens = 1.0;
    return plan;
}

Test(schedule, replays_the_bundled_trace)
{
    struct ryz_traffic_plan plan = trace_plan();
    struct ryz_schedule schedule = open_schedule(&plan, 1, 1, 100000);
    cr_assert_eq(schedule.count, 2000);
    cr_assert_eq(schedule.clipped, 0);
    cr_assert(schedule.last_ns > 350 * RYZ_NS_PER_S && schedule.last_ns < 370 * RYZ_NS_PER_S);
    double mean = (double)schedule.last_ns / 1999.0, variance = 0.0;
    for (size_t i = 1; i < 2000; i++) {
        double gap =
            (double)(schedule.arrivals[i].intended_ns - schedule.arrivals[i - 1].intended_ns);
        variance += (gap - mean) * (gap - mean) / 1999.0;
    }
    cr_assert(fabs(sqrt(variance) / mean - 1.09) < 0.03, "gap CV %f", sqrt(variance) / mean);
    ryz_schedule_close(&schedule);
}

Test(schedule, a_window_is_a_slice_that_starts_at_once)
{
    struct ryz_traffic_plan plan = trace_plan();
    struct ryz_schedule whole = open_schedule(&plan, 1, 1, 100000);
    plan.window_begin_ns = 60 * RYZ_NS_PER_S;
    plan.window_end_ns = 120 * RYZ_NS_PER_S;
    plan.speed = 0.25;
    plan.scale_tokens = 0.125;
    plan.start_ns = RYZ_NS_PER_S;
    struct ryz_schedule slice = open_schedule(&plan, 1, 1, 100000);
    size_t k = 0;
    for (size_t i = 0; i < whole.count; i++) {
        const struct ryz_arrival *a = &whole.arrivals[i];
        if (a->intended_ns < plan.window_begin_ns || a->intended_ns >= plan.window_end_ns) continue;
        cr_assert_lt(k, slice.count);
        const struct ryz_arrival *b = &slice.arrivals[k++];
        cr_assert_eq(b->intended_ns, RYZ_NS_PER_S + (a->intended_ns - plan.window_begin_ns) * 4);
        uint32_t scaled = (uint32_t)(a->prompt_tokens * 0.125 + 0.5);
        cr_assert_eq(b->prompt_tokens, scaled > 0 ? scaled : 1);
    }
    cr_assert_eq(k, slice.count);
    cr_assert_gt(k, 200);
    ryz_schedule_close(&whole);
    ryz_schedule_close(&slice);

    plan.requests = 10;
    slice = open_schedule(&plan, 1, 1, 100000);
    cr_assert_eq(slice.count, 10);
    ryz_schedule_close(&slice);
}

/* Three rows; the third shares its first id with the first, its second one with nobody. */
static void write_shared(char *path, int last_id)
{
    char text[400];
    (void)snprintf(
        text, sizeof text,
        "{\"timestamp\": 0, \"input_length\": 1000, \"output_length\": 8, \"hash_ids\": [4, 5]}\n"
        "{\"timestamp\": 50, \"input_length\": 100, \"output_length\": 8}\n"
        "{\"timestamp\": 90, \"input_length\": 600, \"output_length\": 8, \"hash_ids\": [4, %d]}\n",
        last_id);
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    FILE *file = fdopen(fd, "wb");
    cr_assert_not_null(file);
    cr_assert_geq(fputs(text, file), 0);
    (void)fclose(file);
}

Test(schedule, tells_what_the_prompts_of_a_trace_share)
{
    char path[] = "/tmp/ryz_shared_XXXXXX", copy[] = "/tmp/ryz_shared_XXXXXX";
    write_shared(path, 6);
    write_shared(copy, 6);
    struct ryz_traffic_plan plans[] = {trace_plan(), trace_plan(), trace_plan(), trace_plan()};
    const char *files[] = {NULL, path, copy, path}; /* the first: Azure's, without hash ids */
    for (int i = 1; i < 4; i++) {
        (void)strcpy(plans[i].trace, files[i]);
        plans[i].format = RYZ_TRACE_MOONCAKE;
        plans[i].scale_tokens = 0.5;
    }
    plans[3].window_begin_ns = 10 * RYZ_NS_PER_MS;
    struct ryz_schedule schedule = open_schedule(plans, 4, 1, 100000);
    uint32_t with_ids = 0, sources[4] = {9, 9, 9, 9};
    cr_assert_eq(schedule.id_count, 4 + 4 + 2);
    for (size_t i = 0; i < schedule.count; i++) {
        const struct ryz_arrival *a = &schedule.arrivals[i];
        struct ryz_prompt_parts parts = ryz_schedule_parts(&schedule, a);
        if (parts.count == 0) continue;
        with_ids++;
        sources[a->traffic] = parts.source;
        cr_assert_eq(parts.tokens, 256.0);
        cr_assert_eq(parts.count, 2);
        cr_assert_eq(parts.ids[0], 4);
        cr_assert_eq(parts.ids[1], a->prompt_tokens == 500 ? 5 : 6);
    }
    cr_assert_eq(with_ids, 2 + 2 + 1);
    cr_assert(sources[0] == 9 && sources[1] == 1 && sources[2] == 2 && sources[3] == 1);
    ryz_schedule_close(&schedule);
    (void)remove(path);
    (void)remove(copy);
}

Test(schedule, its_checksum_covers_what_prompts_share)
{
    uint64_t checksums[3];
    for (int i = 0; i < 3; i++) {
        char path[] = "/tmp/ryz_shared_XXXXXX";
        struct ryz_traffic_plan plan = trace_plan();
        write_shared(path, i < 2 ? 6 : 7);
        (void)strcpy(plan.trace, path);
        plan.format = RYZ_TRACE_MOONCAKE;
        struct ryz_schedule schedule = open_schedule(&plan, 1, 1, 100000);
        checksums[i] = schedule.checksum;
        ryz_schedule_close(&schedule);
        (void)remove(path);
    }
    cr_assert_eq(checksums[0], checksums[1]);
    cr_assert_neq(checksums[0], checksums[2]);
}

Test(schedule, says_what_is_missing)
{
    struct ryz_traffic_plan plan = make_plan(RYZ_ARRIVAL_POISSON);
    struct ryz_schedule schedule;
    struct ryz_error error = {.text = ""};
    struct ryz_schedule_options options = {
        .traffic = &plan, .traffic_count = 1, .context_tokens = 512};
    cr_assert_eq(ryz_schedule_open(&options, &schedule, &error), RYZ_INVALID);
    cr_assert(strstr(error.text, "\"main\"") != NULL, "%s", error.text);
    plan.requests = 20;
    plan.rate_per_s = 0.0;
    cr_assert_eq(ryz_schedule_open(&options, &schedule, &error), RYZ_INVALID);
    plan.rate_per_s = 1e6;
    plan.requests = 0;
    plan.duration_ns = 86400 * RYZ_NS_PER_S;
    cr_assert_eq(ryz_schedule_open(&options, &schedule, &error), RYZ_FULL);
    plan = make_plan(RYZ_ARRIVAL_CLOSED);
    cr_assert_eq(ryz_schedule_open(&options, &schedule, &error), RYZ_INVALID);
    plan = trace_plan();
    plan.window_begin_ns = 10000 * RYZ_NS_PER_S;
    cr_assert_eq(ryz_schedule_open(&options, &schedule, &error), RYZ_INVALID);
    cr_assert(strstr(error.text, "361 s") != NULL, "%s", error.text);
    (void)strcpy(plan.trace, "/nonexistent.csv");
    cr_assert_eq(ryz_schedule_open(&options, &schedule, &error), RYZ_NOT_FOUND);
    options.context_tokens = 1;
    cr_assert_eq(ryz_schedule_open(&options, &schedule, &error), RYZ_INVALID);
}
