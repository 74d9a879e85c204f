/*
 * Goal: recorded arrivals are read exactly, and a damaged file is refused with file and line.
 * Method: small files of every odd kind; the public traces where they are ($RYZ_DATA).
 */
#include "engine/base/clock.h"
#include "engine/base/rng.h"
#include "harness/traffic/trace_read.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEADER "TIMESTAMP,ContextTokens,GeneratedTokens"
#define ROW(length, ids)                                                                           \
    "{\"timestamp\":1,\"input_length\":" #length ",\"output_length\":1,\"hash_ids\":" ids "}\n"

static char path[] = "/tmp/ryz_trace_XXXXXX";

static void write_file(const char *bytes, size_t length)
{
    static bool made;
    int fd = made ? -1 : mkstemp(path);
    if (fd >= 0) (void)close(fd);
    made = true;
    FILE *file = fopen(path, "wb");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(bytes, 1, length, file), length);
    (void)fclose(file);
}

static enum ryz_status read_text(const char *text, enum ryz_trace_format format,
                                 struct ryz_trace *trace, struct ryz_error *error)
{
    write_file(text, strlen(text));
    enum ryz_status status = ryz_trace_open(path, format, trace, error);
    (void)remove(path);
    return status;
}

Test(trace_read, reads_azure_rows_with_either_line_end)
{
    struct ryz_trace trace;
    struct ryz_error error = {.text = ""};
    const char *text = HEADER "\r\n2023-11-16 23:59:59.9799600,374,44\r\n"
                              "2023-11-17 00:00:00.0000000,396,109\n"
                              "\r\n"
                              "2023-11-17 00:00:01,0,0"; /* no line end, no fraction */
    cr_assert_eq(read_text(text, RYZ_TRACE_AZURE, &trace, &error), RYZ_OK, "%s", error.text);
    cr_assert_eq(trace.count, 3);
    cr_assert_eq(trace.rows[0].t_ns, 0);
    cr_assert_eq(trace.rows[0].prompt_tokens, 374);
    cr_assert_eq(trace.rows[0].output_tokens, 44);
    cr_assert_eq(trace.rows[1].t_ns, 20040000);
    cr_assert_eq(trace.rows[2].t_ns, 1020040000);
    ryz_trace_close(&trace);
}

Test(trace_read, counts_days_over_months_and_leap_years)
{
    struct ryz_trace trace;
    struct ryz_error error = {.text = ""};
    const char *text = HEADER "\n2024-02-28 12:00:00.5,1,1\n2024-03-01 12:00:00.5,1,1\n";
    cr_assert_eq(read_text(text, RYZ_TRACE_AZURE, &trace, &error), RYZ_OK, "%s", error.text);
    cr_assert_eq(trace.rows[1].t_ns, 2 * 86400 * RYZ_NS_PER_S);
    ryz_trace_close(&trace);
}

Test(trace_read, reads_mooncake_and_sorts_by_time_keeping_the_order_of_equals)
{
    struct ryz_trace trace;
    struct ryz_error error = {.text = ""};
    const char *text =
        "{\"timestamp\": 3000, \"input_length\": 5, \"output_length\": 50, \"hash_ids\": [1]}\n"
        "{\"timestamp\": 1000, \"input_length\": 6, \"output_length\": 60, \"hash_ids\": []}\n"
        "{\"timestamp\": 3000, \"input_length\": 7, \"output_length\": 70}\n"
        "{\"timestamp\": 1000, \"input_length\": 8, \"output_length\": 80}\n";
    cr_assert_eq(read_text(text, RYZ_TRACE_MOONCAKE, &trace, &error), RYZ_OK, "%s", error.text);
    const uint32_t order[] = {6, 8, 5, 7};
    const int64_t times[] = {0, 0, 2, 2};
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(trace.rows[i].prompt_tokens, order[i]);
        cr_assert_eq(trace.rows[i].t_ns, times[i] * RYZ_NS_PER_S);
    }
    ryz_trace_close(&trace);
}

Test(trace_read, rows_keep_their_hash_ids_when_they_are_sorted)
{
    struct ryz_trace trace;
    struct ryz_error error = {.text = ""};
    const char *text = "{\"timestamp\": 9, \"input_length\": 1025, \"output_length\": 1, "
                       "\"hash_ids\": [7, 8, 9]}\n"
                       "{\"timestamp\": 5, \"input_length\": 512, \"output_length\": 1}\n"
                       "{\"timestamp\": 7, \"input_length\": 1024, \"output_length\": 1, "
                       "\"hash_ids\": [9223372036854775807]}\n";
    cr_assert_eq(read_text(text, RYZ_TRACE_MOONCAKE, &trace, &error), RYZ_OK, "%s", error.text);
    cr_assert_eq(trace.id_count, 4);
    cr_assert_eq(trace.rows[0].id_count, 0);
    cr_assert_eq(trace.rows[1].id_count, 1, "fewer than the length has are taken");
    cr_assert_eq(trace.ids[trace.rows[1].id_first], INT64_MAX);
    cr_assert_eq(trace.rows[2].id_count, 3);
    for (uint64_t i = 0; i < 3; i++) cr_assert_eq(trace.ids[trace.rows[2].id_first + i], 7 + i);
    ryz_trace_close(&trace);
}

Test(trace_read, names_the_line_of_what_is_wrong)
{
    static const struct {
        enum ryz_trace_format format;
        int line;
        const char *text;
    } bads[] = {
        {RYZ_TRACE_AZURE, 1, "2023-11-16 18:15:46.6805900,374,44\r\n"},
        {RYZ_TRACE_AZURE, 1, "TIMESTAMP;ContextTokens;GeneratedTokens\n"},
        {RYZ_TRACE_AZURE, 2, HEADER "\n2023-11-16T18:15:46,1,1\n"},
        {RYZ_TRACE_AZURE, 2, HEADER "\n2023-13-16 18:15:46,1,1\n"},
        {RYZ_TRACE_AZURE, 2, HEADER "\n2023-11-16 24:15:46,1,1\n"},
        {RYZ_TRACE_AZURE, 2, HEADER "\n2023-11-16 18:15:46.1234567890,1,1\n"},
        {RYZ_TRACE_AZURE, 3, HEADER "\n2023-11-16 18:15:46,1,1\n2023-11-16 18:15:46,1\n"},
        {RYZ_TRACE_AZURE, 2, HEADER "\n2023-11-16 18:15:46,1,1,1\n"},
        {RYZ_TRACE_AZURE, 2, HEADER "\n2023-11-16 18:15:46,-1,1\n"},
        {RYZ_TRACE_AZURE, 2, HEADER "\n2023-11-16 18:15:46,1.5,1\n"},
        {RYZ_TRACE_AZURE, 2, HEADER "\n2023-11-16 18:15:46,,1\n"},
        {RYZ_TRACE_AZURE, 2, HEADER "\n2023-11-16 18:15:46,99999999999999999999,1\n"},
        {RYZ_TRACE_MOONCAKE, 1, "timestamp\n"},
        {RYZ_TRACE_MOONCAKE, 1, "[1,2]\n"},
        {RYZ_TRACE_MOONCAKE, 1, "{\"timestamp\":-1,\"input_length\":1,\"output_length\":1}\n"},
        {RYZ_TRACE_MOONCAKE, 1, "{\"timestamp\":1.5,\"input_length\":1,\"output_length\":1}\n"},
        {RYZ_TRACE_MOONCAKE, 1, "{\"timestamp\":1,\"input_length\":1}\n"},
        {RYZ_TRACE_MOONCAKE, 1, ROW(512, "7")},
        {RYZ_TRACE_MOONCAKE, 1, ROW(512, "[0, 1]")},
        {RYZ_TRACE_MOONCAKE, 1, ROW(0, "[0]")},
        {RYZ_TRACE_MOONCAKE, 1, ROW(1024, "[0, -1]")},
        {RYZ_TRACE_MOONCAKE, 1, ROW(1024, "[0.5]")},
        {RYZ_TRACE_MOONCAKE, 1, ROW(1024, "[\"a\"]")},
        {RYZ_TRACE_MOONCAKE, 1, ROW(1024, "[9223372036854775808]")},
        {RYZ_TRACE_MOONCAKE, 2, ROW(512, "[0]") ROW(512, "[0, 1]")},
        {RYZ_TRACE_MOONCAKE, 2,
         "{\"timestamp\":1,\"input_length\":1,\"output_length\":1}\n"
         "{\"timestamp\":9223372036854775807,\"input_length\":1,\"output_length\":1}\n"},
    };
    for (size_t i = 0; i < sizeof bads / sizeof bads[0]; i++) {
        struct ryz_trace trace;
        struct ryz_error error = {.text = ""};
        char place[64];
        cr_assert_eq(read_text(bads[i].text, bads[i].format, &trace, &error), RYZ_CORRUPT, "%s",
                     bads[i].text);
        (void)snprintf(place, sizeof place, "%s:%d: ", path, bads[i].line);
        cr_assert(strstr(error.text, place) != NULL, "%s: %s", bads[i].text, error.text);
        cr_assert_null(trace.rows);
    }
}

Test(trace_read, refuses_empty_binary_and_absent_files)
{
    struct ryz_trace trace;
    struct ryz_error error;
    cr_assert_eq(read_text("", RYZ_TRACE_AZURE, &trace, &error), RYZ_CORRUPT);
    cr_assert_eq(read_text(HEADER "\n", RYZ_TRACE_AZURE, &trace, &error), RYZ_CORRUPT);
    write_file("TIME\0STAMP\n", 11);
    cr_assert_eq(ryz_trace_open(path, RYZ_TRACE_AZURE, &trace, &error), RYZ_CORRUPT);
    char *line = malloc(100000);
    memset(line, '[', 100000);
    write_file(line, 100000);
    cr_assert_eq(ryz_trace_open(path, RYZ_TRACE_MOONCAKE, &trace, &error), RYZ_CORRUPT);
    write_file(line, 60000); /* deep nesting within the limit of a line */
    cr_assert_eq(ryz_trace_open(path, RYZ_TRACE_MOONCAKE, &trace, &error), RYZ_CORRUPT);
    free(line);
    (void)remove(path);
    cr_assert_eq(ryz_trace_open(path, RYZ_TRACE_AZURE, &trace, &error), RYZ_NOT_FOUND);
    cr_assert_neq(ryz_trace_open("/", RYZ_TRACE_AZURE, &trace, &error), RYZ_OK);
}

Test(trace_read, survives_damage)
{
    const char *good[2] = {
        HEADER "\r\n2023-11-16 18:15:46.6805900,374,44\r\n2023-11-16 18:15:50.9951690,396,109\r\n",
        "{\"timestamp\": 27482, \"input_length\": 6955, \"output_length\": 52, \"hash_ids\": "
        "[46, 47]}\n"};
    struct ryz_rng rng;
    uint32_t refused = 0;
    ryz_rng_init(&rng, 9, 0);
    for (int round = 0; round < 600; round++) {
        char bytes[256];
        int which = round % 2;
        size_t length = strlen(good[which]);
        struct ryz_trace trace;
        memcpy(bytes, good[which], length);
        for (int k = 0; k < 2; k++)
            bytes[ryz_rng_below(&rng, length)] = (char)ryz_rng_below(&rng, 256);
        write_file(bytes, length);
        enum ryz_status status =
            ryz_trace_open(path, which == 0 ? RYZ_TRACE_AZURE : RYZ_TRACE_MOONCAKE, &trace, NULL);
        refused += status != RYZ_OK;
        if (status == RYZ_OK) ryz_trace_close(&trace);
    }
    (void)remove(path);
    cr_assert_gt(refused, 100);
}

static void check_public(const char *name, enum ryz_trace_format format, size_t rows, size_t ids)
{
    const char *data = getenv("RYZ_DATA");
    char public_path[512];
    if (data == NULL) cr_skip_test("RYZ_DATA is not set: no public traces");
    (void)snprintf(public_path, sizeof public_path, "%s/traces/%s", data, name);
    if (access(public_path, R_OK) != 0) cr_skip_test("%s is not there", public_path);
    struct ryz_trace trace;
    struct ryz_error error = {.text = ""};
    cr_assert_eq(ryz_trace_open(public_path, format, &trace, &error), RYZ_OK, "%s", error.text);
    cr_assert_eq(trace.count, rows);
    cr_assert_eq(trace.id_count, ids);
    cr_assert_eq(trace.rows[0].t_ns, 0);
    ryz_trace_close(&trace);
}

Test(trace_read, reads_the_public_azure_trace)
{
    check_public("azure_llm_2023_conv.csv", RYZ_TRACE_AZURE, 19366, 0);
}

Test(trace_read, reads_the_public_mooncake_trace)
{
    check_public("mooncake_fast25_conversation.jsonl", RYZ_TRACE_MOONCAKE, 12031, 288500);
}
