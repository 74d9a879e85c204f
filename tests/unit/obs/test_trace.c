/*
 * test_trace.c - trace contexts as text.
 *
 * Goal: what W3C allows is read, everything else is refused and leaves a zeroed context; what we
 * write can be read again; ids repeat for the same seed and are never zero. Method: tables, and
 * every one-character change of a valid header.
 */
#include "engine/base/size.h"
#include "engine/obs/trace.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define VALID "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

static bool is_zeroed(const struct ryz_trace_context *context)
{
    const struct ryz_trace_context zero = {0};
    return memcmp(context->trace_id, zero.trace_id, 16) == 0 && context->span_id == 0 &&
           !context->sampled;
}

Test(trace, a_valid_header_is_read)
{
    struct ryz_trace_context context;
    cr_assert(ryz_traceparent_parse(VALID, &context));
    cr_assert_eq(context.trace_id[0], 0x0a);
    cr_assert_eq(context.trace_id[15], 0x9c);
    cr_assert_eq(context.span_id, UINT64_C(0xb7ad6b7169203331));
    cr_assert(context.sampled);
    cr_assert(
        ryz_traceparent_parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", &context));
    cr_assert_not(context.sampled);
}

Test(trace, later_versions_are_read_as_far_as_they_are_known)
{
    struct ryz_trace_context context;
    cr_assert(
        ryz_traceparent_parse("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", &context));
    cr_assert(ryz_traceparent_parse("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03-more",
                                    &context));
    cr_assert(context.sampled);
}

Test(trace, invalid_headers_are_refused_and_zero_the_context)
{
    static const char *const bad[] = {
        NULL,
        "",
        "00",
        "00-",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 ",
        "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.more",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        " 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-0101",
        "\xff\xfe\xfd\xff\xfe\xfd\xff\xfe\xfd\xff\xfe\xfd\xff\xfe\xfd\xff\xfe\xfd\xff\xfe\xfd\xff"
        "\xfe\xfd\xff\xfe\xfd\xff\xfe\xfd\xff\xfe\xfd\xff\xfe\xfd\xff\xfe\xfd\xff\xfe\xfd\xff\xfe"
        "\xfd\xff\xfe\xfd\xff\xfe\xfd\xff\xfe\xfd\xff"};
    for (size_t i = 0; i < RYZ_COUNT_OF(bad); i++) {
        struct ryz_trace_context context;
        memset(&context, 0xa5, sizeof context);
        cr_assert_not(ryz_traceparent_parse(bad[i], &context), "%s", bad[i]);
        cr_assert(is_zeroed(&context), "%s", bad[i]);
    }
}

/* Each of the 55 characters replaced by each byte: whatever is accepted is written back equal. */
Test(trace, a_changed_character_never_yields_a_wrong_context)
{
    uint32_t accepted = 0;
    for (size_t at = 0; at < strlen(VALID); at++) {
        for (int byte = 0; byte < 256; byte++) {
            char text[64] = VALID, again[56];
            struct ryz_trace_context context;
            text[at] = (char)byte;
            if (!ryz_traceparent_parse(text, &context)) continue;
            accepted++;
            ryz_traceparent_format(&context, again);
            cr_assert_eq(strncmp(text + 2, again + 2, 51), 0, "%s became %s", text, again);
        }
    }
    /* 48 id digits of 16 values, 4 version and flag digits, less "ff": the rest is refused. */
    cr_assert_gt(accepted, 48 * 15);
    cr_assert_lt(accepted, 53 * 16);
}

Test(trace, what_is_written_can_be_read)
{
    for (uint64_t n = 0; n < 1000; n++) {
        struct ryz_trace_context out = {.span_id = ryz_span_id_make(5, n), .sampled = n % 2 == 0};
        struct ryz_trace_context in;
        char text[56];
        ryz_trace_id_make(5, n, out.trace_id);
        ryz_traceparent_format(&out, text);
        cr_assert_eq(strlen(text), 55);
        cr_assert(ryz_traceparent_parse(text, &in), "%s", text);
        cr_assert_eq(memcmp(in.trace_id, out.trace_id, 16), 0);
        cr_assert_eq(in.span_id, out.span_id);
        cr_assert_eq(in.sampled, out.sampled);
    }
}

Test(trace, ids_repeat_for_a_seed_and_differ_between_numbers)
{
    uint8_t first[16], again[16], other[16], seeded[16];
    ryz_trace_id_make(1, 2, first);
    ryz_trace_id_make(1, 2, again);
    ryz_trace_id_make(1, 3, other);
    ryz_trace_id_make(2, 2, seeded);
    cr_assert_eq(memcmp(first, again, 16), 0);
    cr_assert_neq(memcmp(first, other, 16), 0);
    cr_assert_neq(memcmp(first, seeded, 16), 0);
    cr_assert_eq(ryz_span_id_make(1, 2), ryz_span_id_make(1, 2));
    cr_assert_neq(ryz_span_id_make(1, 2), ryz_span_id_make(1, 3));
}

Test(trace, ids_are_written_most_significant_digit_first)
{
    const uint8_t trace_id[16] = {0x01, 0x23, 0x45, [15] = 0xef};
    char text[33], span[17];
    ryz_trace_id_format(trace_id, text);
    ryz_span_id_format(0x1f, span);
    cr_assert_str_eq(text, "012345000000000000000000000000ef");
    cr_assert_str_eq(span, "000000000000001f");
}

Test(trace, every_span_has_a_name)
{
    for (int i = 0; i < RYZ_SPAN_COUNT; i++)
        cr_assert_str_neq(ryz_span_name((enum ryz_span_name)i), "unknown");
    cr_assert_str_eq(ryz_span_name(RYZ_SPAN_COUNT), "unknown");
}
