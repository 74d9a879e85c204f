/*
 * test_request_table.c - goal: both lists stay in order of arrival and no slot or block table is
 * lost. Method: the moves that a core makes, by hand.
 */
#include "engine/sched/request_table.h"

#include <criterion/criterion.h>

static struct ryz_request_table table;

static void open_table(void)
{
    cr_assert_eq(ryz_request_table_open(&table, 6, 3, NULL), RYZ_OK);
}

static void close_table(void)
{
    ryz_request_table_close(&table);
}

static void expect_waiting(const uint32_t *slots, uint32_t count)
{
    uint32_t slot = table.waiting_head, previous = RYZ_SLOT_NONE;
    cr_assert_eq(table.waiting_count, count);
    for (uint32_t i = 0; i < count; i++) {
        cr_assert_eq(slot, slots[i]);
        cr_assert_eq(table.requests[slot].previous, previous);
        previous = slot;
        slot = table.requests[slot].next;
    }
    cr_assert_eq(slot, RYZ_SLOT_NONE);
    cr_assert_eq(table.waiting_tail, previous);
}

TestSuite(request_table, .init = open_table, .fini = close_table);

Test(request_table, arrivals_queue_in_order_until_slots_run_out)
{
    for (uint32_t i = 0; i < 6; i++) cr_assert_eq(ryz_request_table_arrive(&table), i);
    cr_assert_eq(ryz_request_table_arrive(&table), RYZ_SLOT_NONE);
    expect_waiting((const uint32_t[]){0, 1, 2, 3, 4, 5}, 6);
}

Test(request_table, a_request_can_leave_from_anywhere_in_the_queue)
{
    for (uint32_t i = 0; i < 4; i++) (void)ryz_request_table_arrive(&table);
    ryz_request_table_end(&table, 1);
    expect_waiting((const uint32_t[]){0, 2, 3}, 3);
    ryz_request_table_end(&table, 0);
    ryz_request_table_end(&table, 3);
    expect_waiting((const uint32_t[]){2}, 1);
    ryz_request_table_end(&table, 2);
    expect_waiting(NULL, 0);
    cr_assert_eq(ryz_request_table_arrive(&table), 2u, "the slot freed last is used first");
}

Test(request_table, a_preempted_request_leads_the_queue)
{
    for (uint32_t i = 0; i < 4; i++) (void)ryz_request_table_arrive(&table);
    ryz_request_table_start(&table, 0);
    ryz_request_table_start(&table, 1);
    ryz_request_table_preempt(&table, 1);
    expect_waiting((const uint32_t[]){1, 2, 3}, 3);
    ryz_request_table_preempt(&table, 0);
    expect_waiting((const uint32_t[]){0, 1, 2, 3}, 4);
}

Test(request_table, running_requests_stay_in_order_of_arrival)
{
    for (uint32_t i = 0; i < 4; i++) (void)ryz_request_table_arrive(&table);
    ryz_request_table_start(&table, 2);
    ryz_request_table_start(&table, 0);
    ryz_request_table_start(&table, 3);
    ryz_request_table_start(&table, 1);
    for (uint32_t i = 0; i < 4; i++) cr_assert_eq(table.running[i], i);
    ryz_request_table_end(&table, 1);
    cr_assert_eq(table.running_count, 3u);
    cr_assert_eq(table.running[1], 2u);
    cr_assert_not(table.requests[1].view.running);
}

Test(request_table, a_preempted_request_goes_behind_older_waiting_ones)
{
    for (uint32_t i = 0; i < 3; i++) (void)ryz_request_table_arrive(&table);
    ryz_request_table_start(&table, 1); /* 0 was held back by an injected failure */
    ryz_request_table_preempt(&table, 1);
    expect_waiting((const uint32_t[]){0, 1, 2}, 3);
}

Test(request_table, block_tables_of_running_requests_do_not_overlap)
{
    for (uint32_t i = 0; i < 6; i++) {
        (void)ryz_request_table_arrive(&table);
        ryz_request_table_start(&table, i);
    }
    for (uint32_t i = 0; i < 6; i++)
        for (uint32_t k = 0; k < 3; k++) ryz_request_table_blocks(&table, i)[k] = 10 * i + k;
    for (uint32_t i = 0; i < 6; i++)
        for (uint32_t k = 0; k < 3; k++)
            cr_assert_eq(ryz_request_table_blocks(&table, i)[k], 10 * i + k);
}
