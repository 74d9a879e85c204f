/*
 * test_wait_queue.c - goal: the queue keeps its order through additions and removals anywhere, and
 * deals turns. Method: random operations against a sorted list kept the slow way; turns by hand.
 */
#include "engine/base/rng.h"
#include "engine/sched/fair_share.h"
#include "engine/sched/wait_queue.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define CAPACITY 100u

static struct ryz_wait_queue queue;

static void open_queue(bool fair)
{
    cr_assert_eq(ryz_wait_queue_open(&queue, CAPACITY, fair, NULL), RYZ_OK);
}

static struct ryz_wait_entry entry(uint64_t first, uint64_t second, uint16_t tenant,
                                   uint64_t arrival)
{
    return (struct ryz_wait_entry){.key = {first, second},
                                   .arrival = arrival,
                                   .slot = (uint32_t)arrival,
                                   .tokens = 10,
                                   .tenant = tenant};
}

static bool stands_before(const struct ryz_wait_entry *a, const struct ryz_wait_entry *b)
{
    if (a->key.first != b->key.first) return a->key.first < b->key.first;
    if (a->key.second != b->key.second) return a->key.second < b->key.second;
    return a->arrival < b->arrival;
}

static void expect_order(const struct ryz_wait_entry *book, uint32_t count)
{
    bool given[CAPACITY] = {false};
    cr_assert_eq(ryz_wait_queue_count(&queue), count);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t best = UINT32_MAX;
        for (uint32_t k = 0; k < count; k++)
            if (!given[k] && (best == UINT32_MAX || stands_before(&book[k], &book[best]))) best = k;
        given[best] = true;
        cr_assert_eq(ryz_wait_queue_at(&queue, i)->arrival, book[best].arrival);
    }
}

Test(wait_queue, random_additions_and_removals_keep_the_order)
{
    static struct ryz_wait_entry book[CAPACITY];
    struct ryz_rng rng;
    uint32_t count = 0;
    open_queue(false);
    ryz_rng_init(&rng, 5, 0);
    for (uint64_t i = 0; i < 20000; i++) {
        /* Now it fills, now it drains, so that the room wanders through the array. */
        bool grow = ryz_rng_below(&rng, 100) < (i / 500 % 2 == 0 ? 70 : 30);
        if (grow && count < CAPACITY) {
            book[count] = entry(1 + ryz_rng_below(&rng, 3), ryz_rng_below(&rng, 4),
                                (uint16_t)ryz_rng_below(&rng, 5), i);
            ryz_wait_queue_add(&queue, &book[count++]);
        } else if (!grow && count > 0) {
            uint32_t victim = (uint32_t)ryz_rng_below(&rng, count);
            ryz_wait_queue_remove(&queue, &book[victim]);
            book[victim] = book[--count];
        }
        if (i % 50 == 0) expect_order(book, count);
    }
    ryz_wait_queue_close(&queue);
}

static void expect_first(const uint64_t *service, const char *slots)
{
    uint32_t dealt[CAPACITY], wanted = (uint32_t)strlen(slots);
    cr_assert_eq(ryz_wait_queue_first(&queue, service, CAPACITY, dealt), wanted);
    for (uint32_t i = 0; i < wanted; i++)
        cr_assert_eq(dealt[i], (uint32_t)(slots[i] - '0'), "place %u", i);
    cr_assert_eq(ryz_wait_queue_first(&queue, service, 2, dealt), wanted < 2 ? wanted : 2);
}

Test(wait_queue, tenants_take_turns_inside_a_group_only)
{
    uint64_t service[RYZ_TENANTS_MAX] = {[3] = 5, [9] = 18};
    const struct ryz_wait_entry entries[] = {
        entry(2, 0, 3, 0), /* the later group: no turn before the first is through */
        entry(1, 0, 9, 1), entry(1, 0, 3, 2), entry(1, 0, 3, 3),
        entry(1, 0, 3, 4), entry(1, 0, 9, 5),
    };
    open_queue(true);
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++)
        ryz_wait_queue_add(&queue, &entries[i]);
    /* Served: tenant 3: 5, 15, 25, 35; tenant 9: 18, 28. */
    expect_first(service, "231450");
    ryz_wait_queue_close(&queue);
}

static void note_slot(void *context, const struct ryz_wait_entry *visited)
{
    char *slots = context;
    size_t length = strlen(slots);
    slots[length] = (char)('0' + visited->slot);
    slots[length + 1] = '\0';
}

static void expect_before(const struct ryz_wait_newcomer *newcomer, const char *expected)
{
    char slots[CAPACITY + 1] = "";
    ryz_wait_queue_before(&queue, newcomer, note_slot, slots);
    cr_assert_str_eq(slots, expected);
}

Test(wait_queue, who_goes_before_a_newcomer_is_known_by_turns)
{
    uint64_t service[RYZ_TENANTS_MAX] = {[3] = 5, [9] = 18, [4] = 5};
    const struct ryz_wait_entry entries[] = {
        entry(2, 0, 3, 0), /* the later group */
        entry(1, 0, 9, 1), entry(1, 0, 3, 2), entry(1, 0, 3, 3),
        entry(1, 0, 3, 4), entry(1, 0, 9, 5), entry(0, 0, 9, 6), /* starved */
    };
    struct ryz_wait_newcomer newcomer = {
        .key = {1, 0}, .service = service, .own_service = 5, .tenant = 4};
    open_queue(true);
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++)
        ryz_wait_queue_add(&queue, &entries[i]);
    /* Turns: tenant 3 at 5, 15, 25; tenant 9 at 18, 28; a tie goes to the smaller number. */
    expect_before(&newcomer, "62");
    newcomer.own_service = 20;
    expect_before(&newcomer, "6231");
    newcomer.own_service = 1000;
    expect_before(&newcomer, "623415");
    /* Tenant 9 waits for both its own, so until 38. */
    newcomer.tenant = 9;
    newcomer.own_service = 18;
    expect_before(&newcomer, "623415");
    /* With an output of 20 believed, a turn costs 10 + 2 * 10. */
    newcomer.tenant = 4;
    newcomer.own_service = 30;
    newcomer.used_share = 0.5;
    for (uint32_t i = queue.begin; i < queue.end; i++) queue.entries[i].output_left = 20;
    expect_before(&newcomer, "621");
    newcomer.key.first = 2;
    expect_before(&newcomer, "6234150");
    newcomer.key.first = 1;
    queue.fair = false;
    expect_before(&newcomer, "623415");
    ryz_wait_queue_close(&queue);
}

Test(wait_queue, the_starved_come_first_and_by_arrival)
{
    uint64_t service[RYZ_TENANTS_MAX] = {[1] = 1000};
    const struct ryz_wait_entry entries[] = {entry(1, 0, 2, 0), entry(0, 0, 1, 1),
                                             entry(0, 0, 2, 2)};
    open_queue(true);
    for (size_t i = 0; i < 3; i++) ryz_wait_queue_add(&queue, &entries[i]);
    expect_first(service, "120");
    ryz_wait_queue_close(&queue);
}

Test(wait_queue, without_fairness_arrival_decides)
{
    uint64_t service[RYZ_TENANTS_MAX] = {[1] = 1000};
    const struct ryz_wait_entry entries[] = {entry(1, 0, 1, 0), entry(1, 0, 0, 1)};
    open_queue(false);
    for (size_t i = 0; i < 2; i++) ryz_wait_queue_add(&queue, &entries[i]);
    expect_first(service, "01");
    ryz_wait_queue_close(&queue);
}

Test(fair_share, a_new_tenant_starts_at_the_least_that_queue)
{
    struct ryz_fair_share share = {.service = {[0] = 100, [1] = 170, [2] = 500}};
    ryz_fair_share_queued(&share, 0);
    ryz_fair_share_queued(&share, 1);
    ryz_fair_share_queued(&share, 4);
    cr_assert_eq(share.service[4], 100);
    ryz_fair_share_queued(&share, 2);
    cr_assert_eq(share.service[2], 500, "nobody is lowered");
}

Test(fair_share, with_nobody_queued_the_last_that_left_counts)
{
    struct ryz_fair_share share = {.service = {[0] = 40}};
    ryz_fair_share_queued(&share, 0);
    ryz_fair_share_charge(&share, 0, 10, 3);
    ryz_fair_share_unqueued(&share, 0);
    ryz_fair_share_queued(&share, 1);
    cr_assert_eq(share.service[1], 40 + 10 * RYZ_FAIR_PROMPT_WEIGHT + 3 * RYZ_FAIR_OUTPUT_WEIGHT);
}
