/*
 * test_deadlines.c - goal: under twice the load that can be served, admission keeps its word to
 * those it takes and leaves no places empty for its caution, although the lengths are mixed.
 * Method: short requests with a near deadline and long ones with a far one, in order of deadlines,
 * for some seeds; the world's steps are known, so what could be served is.
 */
#include "engine/base/clock.h"
#include "engine/base/rng.h"
#include "simulators/sim.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#define MS           RYZ_NS_PER_MS
#define REQUESTS_MAX 2000u

/* 12 ms a step, whatever is in it: eight requests share it, so 667 request-steps a second. */
static int64_t step_ns(const void *context, const struct ryz_batch_shape *shape)
{
    (void)context;
    return 12 * MS + 1000 * (int64_t)shape->prefill_tokens;
}

static struct {
    int64_t first_due_ns[REQUESTS_MAX], due_ns[REQUESTS_MAX], first_ns[REQUESTS_MAX];
    bool measured[REQUESTS_MAX], is_long[REQUESTS_MAX];
    uint32_t count, taken[2], kept[2], offered[2]; /* short, long */
    uint64_t steps, runs;
} book;

static void on_token(void *context, uint64_t id, int64_t now_ns)
{
    (void)context;
    if (book.first_ns[id] == 0) book.first_ns[id] = now_ns;
}

static void on_done(void *context, uint64_t id, int64_t now_ns, enum ryz_status status,
                    const struct ryz_waste *waste)
{
    (void)context, (void)waste;
    if (!book.measured[id]) return;
    book.taken[book.is_long[id]] += status != RYZ_FULL;
    book.kept[book.is_long[id]] +=
        status == RYZ_OK && book.first_ns[id] <= book.first_due_ns[id] && now_ns <= book.due_ns[id];
}

static void on_step(void *context, const struct ryz_sim_step *step)
{
    (void)context;
    if (step->t_ns < 3000 * MS || step->t_ns > 15000 * MS) return;
    book.steps++;
    book.runs += step->run_count;
}

/* Poisson arrivals of one kind. */
static void submit(struct ryz_sim *sim, struct ryz_rng *rng, bool is_long, double per_s,
                   int64_t from_ns, int64_t to_ns)
{
    double at_ns = (double)from_ns;
    for (;;) {
        at_ns += -log(1.0 - ryz_rng_unit(rng)) / per_s * 1e9;
        if (at_ns >= (double)to_ns) return;
        uint32_t id = book.count++;
        cr_assert_lt(id, REQUESTS_MAX);
        int64_t at = (int64_t)at_ns;
        book.is_long[id] = is_long;
        book.measured[id] = from_ns > 0;
        book.first_due_ns[id] = book.measured[id] && !is_long ? at + 250 * MS : RYZ_TIME_NEVER;
        book.due_ns[id] = book.measured[id] && is_long ? at + 3000 * MS : RYZ_TIME_NEVER;
        book.offered[is_long] += book.measured[id];
        struct ryz_sim_request request = {
            .id = id,
            .at_ns = at,
            .first_deadline_ns =
                book.first_due_ns[id] == RYZ_TIME_NEVER ? 0 : book.first_due_ns[id],
            .deadline_ns = book.due_ns[id],
            .timeout_ns = RYZ_TIME_NEVER,
            .prompt_tokens = 16,
            .output_tokens = is_long ? 40 : 5,
            .output_tokens_max = is_long ? 40 : 5};
        cr_assert_eq(ryz_sim_submit(sim, &request, NULL), RYZ_OK);
    }
}

static void run(uint64_t seed)
{
    const struct ryz_sim_config config = {.core = {.limits = {.batch_requests_max = 8,
                                                              .batch_tokens_max = 512,
                                                              .prefill_chunk_max = 256,
                                                              .kv_block_tokens = 16,
                                                              .kv_blocks = 4096,
                                                              .queue_requests_max = 64,
                                                              .context_tokens_max = 1024,
                                                              .step_ns_max = RYZ_TIME_NEVER},
                                                   .policy = "edf"},
                                          .world = {.step_ns = step_ns},
                                          .noise_cv = 0.1,
                                          .seed = seed};
    const struct ryz_sim_callbacks callbacks = {
        .token = on_token, .done = on_done, .step = on_step};
    struct ryz_sim *sim = NULL;
    struct ryz_rng rng;
    memset(&book, 0, sizeof book);
    ryz_rng_init(&rng, seed, 1);
    cr_assert_eq(ryz_sim_open(&config, &callbacks, &sim, NULL), RYZ_OK);
    submit(sim, &rng, false, 40, 0, 3000 * MS); /* something must have been seen */
    submit(sim, &rng, true, 5, 0, 3000 * MS);
    submit(sim, &rng, false, 70, 3000 * MS, 15000 * MS); /* half of what can be served */
    submit(sim, &rng, true, 25, 3000 * MS, 15000 * MS);  /* three halves */
    ryz_sim_run(sim, RYZ_TIME_NEVER);
    ryz_sim_close(sim);
}

Test(deadlines, are_kept_under_overload_without_empty_places)
{
    for (uint64_t seed = 1; seed <= 10; seed++) {
        run(seed);
        uint32_t taken = book.taken[0] + book.taken[1], kept = book.kept[0] + book.kept[1];
        cr_expect_geq(kept * 100, taken * 98, "seed %llu: %u of %u kept", (unsigned long long)seed,
                      kept, taken);
        cr_expect_geq(book.runs * 10, book.steps * 72, "seed %llu: a batch of %g of 8",
                      (unsigned long long)seed, (double)book.runs / (double)book.steps);
        /* What the short ones leave serves 8 long ones a second, 96 in all. */
        cr_expect_geq(book.taken[1], 60u, "seed %llu: %u of %u long ones taken",
                      (unsigned long long)seed, book.taken[1], book.offered[1]);
        cr_expect_geq(book.taken[0] * 100, book.offered[0] * 80,
                      "seed %llu: %u of %u short ones taken", (unsigned long long)seed,
                      book.taken[0], book.offered[0]);
    }
}
