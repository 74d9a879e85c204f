/*
 * test_fairness.c - goal: the bound that VTC promises between tenants that always queue, and the
 * promise to the starved. Method: random lengths, batches and tenants from a printed seed
 * (RYZ_PROPERTY_SEED); service is counted from the plans, not asked of the scheduler.
 */
#include "engine/base/clock.h"
#include "engine/base/rng.h"
#include "engine/base/size.h"
#include "engine/sched/core.h"
#include "engine/sched/fair_share.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TENANTS      4u
#define REQUESTS_MAX 4096u
#define PROMPT_MAX   60u
#define OUTPUT_MAX   30u

struct book {
    struct ryz_core *core;
    struct ryz_rng rng;
    int64_t now_ns;
    uint16_t tenant[REQUESTS_MAX];
    uint8_t priority[REQUESTS_MAX];
    uint32_t prompt[REQUESTS_MAX], output[REQUESTS_MAX], decoded[REQUESTS_MAX];
    bool started[REQUESTS_MAX];
    int64_t first_ns[REQUESTS_MAX], arrived_ns[REQUESTS_MAX];
    uint32_t arrived;
    uint32_t waiting[TENANTS];
    int64_t service[TENANTS]; /* weighted tokens */
};

static struct book book;

static uint64_t first_seed(void)
{
    const char *text = getenv("RYZ_PROPERTY_SEED");
    return text == NULL || text[0] == '\0' ? 20260101 : strtoull(text, NULL, 10);
}

static uint32_t below(uint32_t bound)
{
    return (uint32_t)ryz_rng_below(&book.rng, bound);
}

static void arrive(uint32_t tenant, uint32_t prompt, uint32_t output, uint8_t priority)
{
    uint32_t id = book.arrived++;
    cr_assert_lt(id, REQUESTS_MAX);
    book.tenant[id] = (uint16_t)tenant;
    book.priority[id] = priority;
    book.prompt[id] = prompt;
    book.output[id] = output;
    book.arrived_ns[id] = book.now_ns;
    struct ryz_event event = {.t_ns = book.now_ns,
                              .kind = RYZ_EV_ARRIVE,
                              .request_id = id,
                              .deadline_ns = RYZ_TIME_NEVER,
                              .prompt_tokens = prompt,
                              .output_tokens_max = output,
                              .tenant = (uint16_t)tenant,
                              .priority = priority};
    cr_assert_eq(ryz_core_feed(book.core, &event).kind, RYZ_EFFECT_ADMITTED);
    book.waiting[tenant]++;
}

/* Plans and executes one step; the book learns who was served. */
static void step(void)
{
    const struct ryz_sched_plan *plan = ryz_core_next(book.core, book.now_ns);
    cr_assert_not_null(plan);
    book.now_ns += RYZ_NS_PER_MS;
    struct ryz_event done = {
        .t_ns = book.now_ns, .kind = RYZ_EV_STEP_DONE, .duration_ns = RYZ_NS_PER_MS};
    (void)ryz_core_feed(book.core, &done);
    for (uint32_t i = 0; i < plan->item_count; i++) {
        const struct ryz_plan_item *item = &plan->items[i];
        uint64_t id = item->request_id;
        uint32_t tenant = book.tenant[id];
        if (item->action == RYZ_ACT_PREEMPT) {
            book.waiting[tenant]++;
            continue;
        }
        if (item->first_position == 0) book.waiting[tenant]--;
        if (!book.started[id]) book.service[tenant] += RYZ_FAIR_PROMPT_WEIGHT * book.prompt[id];
        book.started[id] = true;
        if (!item->samples) continue;
        if (book.decoded[id]++ == 0) book.first_ns[id] = book.now_ns;
        book.service[tenant] += RYZ_FAIR_OUTPUT_WEIGHT;
        struct ryz_event token = {.t_ns = book.now_ns,
                                  .kind = RYZ_EV_TOKEN,
                                  .request_id = id,
                                  .slot = item->slot,
                                  .flags = book.decoded[id] == book.output[id] ? RYZ_EVF_END : 0};
        (void)ryz_core_feed(book.core, &token);
    }
}

static struct ryz_sched_limits open_core(const char *policy, uint64_t seed, int64_t starve_ns)
{
    memset(&book, 0, sizeof book);
    ryz_rng_init(&book.rng, seed, 1);
    struct ryz_core_config config = {.policy = policy,
                                     .seed = seed,
                                     .limits = {.batch_requests_max = 1 + below(8),
                                                .batch_tokens_max = 8 + below(120),
                                                .prefill_chunk_max = 1 + below(64),
                                                .kv_block_tokens = 4,
                                                .kv_blocks = 1024,
                                                .queue_requests_max = 64,
                                                .context_tokens_max = PROMPT_MAX + OUTPUT_MAX,
                                                .step_ns_max = RYZ_TIME_NEVER,
                                                .starve_ns = starve_ns,
                                                .admit_late = true}};
    struct ryz_error error;
    cr_assert_eq(ryz_core_open(&config, &book.core, &error), RYZ_OK, "%s", error.text);
    return config.limits;
}

/* Tenants 0 and 1 always queue, tenants 2 and 3 come and go. */
static void keep_queues_full(void)
{
    for (uint32_t t = 0; t < 2; t++)
        while (book.waiting[t] < 3) arrive(t, 1 + below(PROMPT_MAX), 1 + below(OUTPUT_MAX), 0);
    for (uint32_t t = 2; t < TENANTS; t++)
        if (book.waiting[t] < 3 && below(20) == 0)
            arrive(t, 1 + below(PROMPT_MAX), 1 + below(OUTPUT_MAX), 0);
}

Test(fairness, backlogged_tenants_are_served_alike)
{
    uint64_t seed = first_seed();
    (void)printf("fairness: first seed %llu\n", (unsigned long long)seed);
    int64_t widest = 0;
    for (uint32_t round = 0; round < 200; round++, seed++) {
        struct ryz_sched_limits limits = open_core("vtc", seed, 0);
        int64_t batch = (int64_t)limits.batch_requests_max * (PROMPT_MAX + OUTPUT_MAX);
        int64_t prompt = (int64_t)RYZ_FAIR_PROMPT_WEIGHT * PROMPT_MAX;
        int64_t bound = 2 * ((int64_t)RYZ_FAIR_OUTPUT_WEIGHT * batch > prompt
                                 ? (int64_t)RYZ_FAIR_OUTPUT_WEIGHT * batch
                                 : prompt);
        while (book.arrived < REQUESTS_MAX / 4) {
            keep_queues_full();
            step();
            int64_t gap = llabs(book.service[0] - book.service[1]);
            if (gap * 1000 / bound > widest) widest = gap * 1000 / bound;
            cr_assert_leq(gap, bound, "seed %llu", (unsigned long long)seed);
        }
        ryz_core_close(book.core);
    }
    (void)printf("fairness: the widest gap is %lld permille of the bound\n", (long long)widest);
}

/* Without turns the same traffic is not served alike: the test above can fail. */
Test(fairness, first_come_first_served_favours_who_asks_for_more)
{
    (void)open_core("fcfs", 7, 0);
    while (book.arrived < REQUESTS_MAX / 4) {
        while (book.waiting[0] < 20) arrive(0, PROMPT_MAX, OUTPUT_MAX, 0);
        while (book.waiting[1] < 1) arrive(1, PROMPT_MAX / 4, OUTPUT_MAX / 4, 0);
        step();
    }
    cr_assert_gt(book.service[0], 5 * book.service[1]);
    ryz_core_close(book.core);
}

/* A tenant that was away gets no credit for it. */
Test(fairness, a_tenant_that_comes_back_is_lifted)
{
    (void)open_core("vtc", 3, 0);
    while (book.arrived < 400) {
        while (book.waiting[0] < 3) arrive(0, 30, 20, 0);
        step();
    }
    int64_t before[2] = {book.service[0], book.service[1]};
    while (book.arrived < 800) {
        for (uint32_t t = 0; t < 2; t++)
            while (book.waiting[t] < 3) arrive(t, 30, 20, 0);
        step();
    }
    int64_t gained[2] = {book.service[0] - before[0], book.service[1] - before[1]};
    cr_assert_gt(gained[0] * 10, gained[1] * 8, "%lld and %lld", (long long)gained[0],
                 (long long)gained[1]);
    ryz_core_close(book.core);
}

/* Urgent requests alone fill the engine; a plain one still gets its turn. */
Test(fairness, who_waits_too_long_goes_first)
{
    const int64_t starve_ns = 500 * RYZ_NS_PER_MS;
    const char *const policies[] = {"priority", "tiered"};
    for (uint32_t p = 0; p < 2 * RYZ_COUNT_OF(policies); p++) {
        int64_t promise_ns = p < 2 ? starve_ns : 0;
        (void)open_core(policies[p % 2], 11, promise_ns);
        for (uint32_t i = 0; i < 1000; i++) {
            while (book.waiting[0] < 10) arrive(0, PROMPT_MAX, OUTPUT_MAX, 0);
            if (i == 100) arrive(1, PROMPT_MAX, OUTPUT_MAX, 7);
            step();
        }
        for (uint32_t id = 0; id < book.arrived; id++) {
            if (book.priority[id] != 7) continue;
            int64_t waited_ns = book.first_ns[id] - book.arrived_ns[id];
            if (promise_ns == 0)
                cr_assert_eq(book.first_ns[id], 0, "nobody promised it anything");
            else
                cr_assert(book.first_ns[id] > 0 && waited_ns < starve_ns + 80 * RYZ_NS_PER_MS,
                          "waited %lld ns", (long long)waited_ns);
        }
        ryz_core_close(book.core);
    }
}

/* More starve than can be served: they get half of the places, and the urgent keep the others. */
Test(fairness, a_backlog_of_starved_leaves_the_urgent_half)
{
    uint32_t rounds = 0;
    for (uint64_t seed = first_seed(); rounds < 20; seed++) {
        struct ryz_sched_limits limits = open_core("priority", seed, 100 * RYZ_NS_PER_MS);
        int64_t before[2] = {0, 0};
        if (limits.batch_requests_max % 2 == 0) {
            rounds++;
            for (uint32_t i = 0; i < 1200; i++) {
                while (book.waiting[0] < 2) arrive(0, 8, OUTPUT_MAX, 0);
                while (book.waiting[1] < 50) arrive(1, 8, OUTPUT_MAX, 7);
                if (i == 400) memcpy(before, book.service, sizeof before);
                step();
            }
            int64_t urgent = book.service[0] - before[0], plain = book.service[1] - before[1];
            cr_assert(urgent * 10 >= plain * 9 && plain * 10 >= urgent * 9,
                      "seed %llu: %lld urgent, %lld plain", (unsigned long long)seed,
                      (long long)urgent, (long long)plain);
        }
        ryz_core_close(book.core);
    }
}
