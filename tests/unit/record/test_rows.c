/* Goal: tables are well formed, rows are put in their final order. Method: looking at every column
 * of every table; small hand-made rows. */
#include "harness/record/rows.h"
#include "harness/record/run_data.h"

#include <criterion/criterion.h>
#include <string.h>

Test(record_rows, every_column_has_a_unique_lower_case_name_a_unit_and_a_meaning)
{
    for (int t = 0; t < RYZ_TABLE_COUNT; t++) {
        const struct ryz_table_spec *spec = ryz_table_spec((enum ryz_table)t);
        cr_assert(spec->column_count > 0 && spec->chunk_rows > 0 && spec->help[0] != '\0');
        for (uint32_t i = 0; i < spec->column_count; i++) {
            const struct ryz_column *column = &spec->columns[i];
            cr_expect(column->name[strspn(column->name, "abcdefghijklmnopqrstuvwxyz0123456789_")] ==
                          '\0',
                      "%s.%s", spec->name, column->name);
            cr_expect(column->unit[0] != '\0' && column->meaning[0] != '\0');
            cr_expect(column->offset < spec->row_bytes);
            for (uint32_t j = 0; j < i; j++)
                cr_expect_str_neq(column->name, spec->columns[j].name, "in %s", spec->name);
        }
    }
}

Test(record_rows, table_names_are_unique)
{
    for (int i = 0; i < RYZ_TABLE_COUNT; i++)
        for (int j = 0; j < i; j++)
            cr_expect_str_neq(ryz_table_spec((enum ryz_table)i)->name,
                              ryz_table_spec((enum ryz_table)j)->name);
}

Test(record_rows, enums_have_names_and_unknown_values_say_so)
{
    cr_expect_str_eq(ryz_request_status_name(RYZ_REQUEST_OK), "ok");
    cr_expect_str_eq(ryz_request_status_name(RYZ_REQUEST_DROPPED_BY_HARNESS), "dropped_by_harness");
    cr_expect_str_eq(ryz_request_status_name((enum ryz_request_status)99), "unknown");
    cr_expect_str_eq(ryz_run_event_name(RYZ_RUN_EVENT_FAULT_ON), "fault_on");
}

static void add_request(struct ryz_run_data *data, uint64_t id, uint32_t mark)
{
    struct ryz_request_row row = ryz_request_row_blank(id);
    row.in_tok = mark;
    cr_assert_eq(ryz_run_data_add(data, RYZ_TABLE_REQUESTS, &row, NULL), RYZ_OK);
}

static void add_token(struct ryz_run_data *data, uint64_t request, int64_t t_ns)
{
    struct ryz_token_row row = {.request = request, .t_ns = t_ns, .n = 1};
    cr_assert_eq(ryz_run_data_add(data, RYZ_TABLE_TOKENS, &row, NULL), RYZ_OK);
}

Test(record_rows, finalising_sorts_requests_by_id_and_keeps_the_order_of_equal_ids)
{
    struct ryz_run_data data = {0};
    add_request(&data, 3, 0);
    add_request(&data, 1, 1);
    add_request(&data, 3, 2);
    add_request(&data, 2, 3);
    cr_assert_eq(ryz_run_data_finalise(&data, NULL), RYZ_OK);
    size_t count = 0;
    const struct ryz_request_row *rows = ryz_run_rows(&data, RYZ_TABLE_REQUESTS, &count);
    static const uint32_t marks[] = {1, 3, 0, 2};
    cr_assert_eq(count, 4);
    for (size_t i = 0; i < 4; i++) cr_expect_eq(rows[i].in_tok, marks[i]);
    ryz_run_data_deinit(&data);
}

Test(record_rows, finalising_gathers_each_requests_tokens_in_their_order)
{
    struct ryz_run_data data = {0};
    add_request(&data, 7, 0);
    add_request(&data, 5, 0);
    add_request(&data, 6, 0);
    static const uint64_t owner[] = {5, 7, 9, 5, 7, 8, 5, 8};
    for (int64_t i = 0; i < 8; i++) add_token(&data, owner[i], i);
    cr_assert_eq(ryz_run_data_finalise(&data, NULL), RYZ_OK);
    size_t count = 0;
    const struct ryz_token_row *tokens = ryz_run_rows(&data, RYZ_TABLE_TOKENS, &count);
    static const int64_t order[] = {0, 3, 6, 1, 4, 5, 7, 2}; /* 5, 7, then the orphans 8, 9 */
    cr_assert_eq(count, 8);
    for (size_t i = 0; i < 8; i++) cr_expect_eq(tokens[i].t_ns, order[i], "at %zu", i);
    const struct ryz_request_row *five = ryz_run_data_request(&data, 5);
    const struct ryz_request_row *six = ryz_run_data_request(&data, 6);
    const struct ryz_request_row *seven = ryz_run_data_request(&data, 7);
    cr_expect(five->tok_first == 0 && five->tok_count == 3);
    cr_expect(six->tok_count == 0);
    cr_expect(seven->tok_first == 3 && seven->tok_count == 2);
    cr_expect_null(ryz_run_data_request(&data, 8));
    ryz_run_data_deinit(&data);
}

Test(record_rows, finalising_twice_changes_nothing)
{
    struct ryz_run_data data = {0};
    add_request(&data, 2, 0);
    add_request(&data, 1, 0);
    add_token(&data, 2, 10);
    add_token(&data, 1, 20);
    cr_assert_eq(ryz_run_data_finalise(&data, NULL), RYZ_OK);
    cr_assert_eq(ryz_run_data_finalise(&data, NULL), RYZ_OK);
    cr_expect_eq(ryz_run_data_request(&data, 1)->tok_count, 1);
    cr_expect_eq(ryz_run_data_request(&data, 2)->tok_first, 1);
    ryz_run_data_deinit(&data);
}

Test(record_rows, the_first_reason_of_an_invalid_run_stays)
{
    struct ryz_run_data data = {.info.valid = true};
    ryz_run_data_invalidate(&data, "reason %d", 1);
    ryz_run_data_invalidate(&data, "reason %d", 2);
    cr_expect_not(data.info.valid);
    cr_expect_str_eq(data.info.invalid_reason, "reason 1");
}
