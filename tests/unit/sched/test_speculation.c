/*
 * Goal: proposals are verified where they pay, and nowhere else. Method: views with known chances
 * and a cost of one's own choosing; the choice is compared with the best of all uniform ones.
 */
#include "engine/sched/speculation.h"

#include "engine/base/clock.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#define STREAMS 8u

/* fixed + row * (decodes + drafts), in ns. */
struct prices {
    double fixed, row, draft;
};

static int64_t price(const void *context, const struct ryz_batch_shape *shape)
{
    const struct prices *p = context;
    return (int64_t)(p->fixed + p->row * shape->decode_requests + p->draft * shape->draft_tokens);
}

static struct ryz_request_view requests[RYZ_BATCH_MAX];
static uint8_t drafts[RYZ_BATCH_MAX];

static struct ryz_sched_view view_of(const struct prices *prices, uint32_t count, uint32_t permille,
                                     uint32_t offered)
{
    for (uint32_t i = 0; i < count; i++)
        requests[i] = (struct ryz_request_view){.id = i,
                                                .prompt_tokens = 100,
                                                .decoded_tokens = 1,
                                                .computed_tokens = 100,
                                                .output_tokens_max = 50,
                                                .accept_permille = (uint16_t)permille,
                                                .draft_tokens = (uint8_t)offered,
                                                .running = true};
    return (struct ryz_sched_view){.requests = requests,
                                   .request_count = count,
                                   .running_count = count,
                                   .limits = {.step_ns_max = RYZ_TIME_NEVER},
                                   .cost = {.step_ns = price, .context = prices}};
}

static uint32_t choose(const struct ryz_sched_view *view, uint32_t most)
{
    struct ryz_batch_shape base = {.decode_requests = view->running_count,
                                   .context_tokens = (uint64_t)view->running_count * 101};
    uint32_t sum = 0;
    ryz_speculation_choose(view, view->running_count, &base, most, drafts);
    for (uint32_t i = 0; i < view->running_count; i++) sum += drafts[i];
    return sum;
}

Test(speculation, takes_all_when_a_step_costs_the_same_with_them)
{
    const struct prices free_rows = {1e6, 0.0, 0.0};
    struct ryz_sched_view view = view_of(&free_rows, 4, 800, 4);
    cr_assert_eq(choose(&view, 64), 16);
}

Test(speculation, keeps_the_length_that_a_step_may_have)
{
    const struct prices cheap = {1e6, 0.0, 1e4};
    struct ryz_sched_view view = view_of(&cheap, 4, 900, 4);
    cr_assert_eq(choose(&view, 64), 16);
    view.limits.step_ns_max = 1090000; /* eight of them, the first two of each request */
    cr_assert_eq(choose(&view, 64), 8);
    view.limits.step_ns_max = 1000000;
    cr_assert_eq(choose(&view, 64), 0);
}

Test(speculation, takes_none_when_a_row_costs_as_much_as_a_step)
{
    const struct prices rows_only = {0.0, 1e6, 1e6};
    struct ryz_sched_view view = view_of(&rows_only, 4, 900, 4);
    cr_assert_eq(choose(&view, 64), 0);
}

Test(speculation, is_as_good_as_the_best_uniform_choice)
{
    for (uint32_t permille = 100; permille <= 950; permille += 50) {
        for (double draft = 0.0; draft < 1e6; draft += 5e4) {
            const struct prices prices = {8e5, 5e4, draft};
            struct ryz_sched_view view = view_of(&prices, STREAMS, permille, RYZ_DRAFT_MAX);
            uint32_t chosen = choose(&view, RYZ_DRAFT_STEP_MAX);
            double p = permille / 1000.0, best = 0.0, rate = 0.0;
            for (uint32_t g = 0; g <= RYZ_DRAFT_MAX; g++) {
                double tokens = p < 1.0 ? (1.0 - pow(p, g + 1)) / (1.0 - p) : g + 1;
                double ns = prices.fixed + STREAMS * (prices.row + g * draft);
                double this = STREAMS * tokens / ns;
                if (this > best) best = this;
                if (g * STREAMS == chosen) rate = this;
            }
            /* It may leave alone what gains less than 2 %. */
            cr_assert_gt(rate, best * 0.97, "p %g, a proposal costs %g: %u", p, draft, chosen);
        }
    }
}

Test(speculation, prefers_the_request_that_is_right_more_often)
{
    const struct prices prices = {1e6, 1e5, 4e5};
    struct ryz_sched_view view = view_of(&prices, 2, 100, 4);
    requests[1].accept_permille = 950;
    (void)choose(&view, 64);
    cr_assert_eq(drafts[0], 0);
    cr_assert_gt(drafts[1], 0);
}

Test(speculation, keeps_to_what_is_offered_and_to_the_limit)
{
    const struct prices free_rows = {1e6, 0.0, 0.0};
    struct ryz_sched_view view = view_of(&free_rows, STREAMS, 900, 2);
    requests[3].draft_tokens = 0;
    (void)choose(&view, 64);
    for (uint32_t i = 0; i < STREAMS; i++) cr_assert_eq(drafts[i], i == 3 ? 0 : 2);
    for (uint32_t most = 0; most < 20; most++) cr_assert_leq(choose(&view, most), most);
}

Test(speculation, probes_one_where_it_would_take_none)
{
    const struct prices rows_only = {0.0, 1e6, 1e6};
    struct ryz_sched_view view = view_of(&rows_only, 3, 10, 4);
    requests[0].draft_tokens = 0;
    cr_assert_eq(choose(&view, 64), 0);
    view.probe_drafts = true;
    cr_assert_eq(choose(&view, 64), 1);
    cr_assert_eq(drafts[1], 1);
    cr_assert_eq(choose(&view, 0), 0);
}

Test(speculation, begins_before_it_knows_what_a_step_costs)
{
    const struct prices unknown = {0.0, 0.0, 0.0};
    struct ryz_sched_view view = view_of(&unknown, 2, 600, 4);
    cr_assert_gt(choose(&view, 64), 0);
}
