/*
 * test_otlp_json.c - the JSON that a collector gets.
 *
 * Method: one golden text for a request span, and jansson for the rest.
 */
#include "engine/obs/otlp_json.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

static json_t *write_and_read(const struct ryz_span *spans, size_t count, char *text, size_t size)
{
    struct ryz_json json;
    ryz_json_init(&json, text, size);
    ryz_otlp_json(&json, "a \"service\"", 1000, spans, count);
    cr_assert_not(json.overflow);
    json_t *root = json_loadb(text, json.length, JSON_REJECT_DUPLICATES, NULL);
    cr_assert_not_null(root, "%s", text);
    return root;
}

static const json_t *spans_of(const json_t *root)
{
    const json_t *resource = json_array_get(json_object_get(root, "resourceSpans"), 0);
    const json_t *scope = json_array_get(json_object_get(resource, "scopeSpans"), 0);
    return json_object_get(scope, "spans");
}

Test(otlp_json, a_request_span_looks_like_this)
{
    const struct ryz_span span = {.trace_id = {0x5b, [15] = 1},
                                  .span_id = 0xeee,
                                  .parent = 0xabc,
                                  .request = UINT64_MAX,
                                  .t0_ns = 5,
                                  .t1_ns = INT64_C(1767323045000000000),
                                  .attr = 12,
                                  .name = RYZ_SPAN_REQUEST,
                                  .worker = 3,
                                  .status = RYZ_TIMEOUT};
    static const char golden[] =
        "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{"
        "\"stringValue\":\"a \\\"service\\\"\"}}]},\"scopeSpans\":[{\"scope\":{\"name\":\"ryz\"},"
        "\"spans\":[{\"traceId\":\"5b000000000000000000000000000001\",\"spanId\":"
        "\"0000000000000eee\",\"parentSpanId\":\"0000000000000abc\",\"name\":\"server.request\","
        "\"kind\":2,\"startTimeUnixNano\":\"1005\",\"endTimeUnixNano\":\"1767323045000001000\","
        "\"attributes\":[{\"key\":\"gen_ai.provider.name\",\"value\":{\"stringValue\":"
        "\"ryzanstein\"}},{\"key\":\"ryz.request\",\"value\":{\"intValue\":"
        "\"18446744073709551615\"}},{\"key\":\"ryz.worker\",\"value\":{\"intValue\":\"3\"}},{"
        "\"key\":\"gen_ai.usage.output_tokens\",\"value\":{\"intValue\":\"12\"}},{\"key\":"
        "\"error.type\",\"value\":{\"stringValue\":\"TIMEOUT\"}}],\"status\":{\"code\":2,"
        "\"message\":\"timed out\"}}]}]}]}";
    char text[4096];
    json_decref(write_and_read(&span, 1, text, sizeof text));
    cr_assert_str_eq(text, golden);
}

Test(otlp_json, a_root_span_has_no_parent_and_a_good_one_no_code)
{
    const struct ryz_span span = {.trace_id = {1}, .span_id = 2, .name = RYZ_SPAN_CLIENT};
    char text[4096];
    json_t *root = write_and_read(&span, 1, text, sizeof text);
    const json_t *first = json_array_get(spans_of(root), 0);
    cr_assert_null(json_object_get(first, "parentSpanId"));
    cr_assert_eq(json_integer_value(json_object_get(first, "kind")), 3);
    cr_assert_eq(json_object_size(json_object_get(first, "status")), 0);
    json_decref(root);
}

Test(otlp_json, impossible_times_and_numbers_stay_json)
{
    struct ryz_span spans[4] = {
        {.trace_id = {1}, .t0_ns = INT64_MIN, .t1_ns = INT64_MAX, .attr = NAN},
        {.trace_id = {1}, .attr = INFINITY, .name = RYZ_SPAN_FAULT},
        {.trace_id = {1}, .attr = -0.5, .name = RYZ_SPAN_STEP, .status = 127},
        {.trace_id = {1}, .attr = 1e300, .name = UINT16_MAX, .worker = -1, .status = -1}};
    char text[8192];
    json_t *root = write_and_read(spans, 4, text, sizeof text);
    const json_t *first = json_array_get(spans_of(root), 0);
    cr_assert_str_eq(json_string_value(json_object_get(first, "startTimeUnixNano")), "0");
    cr_assert_str_eq(json_string_value(json_object_get(first, "endTimeUnixNano")), "0");
    cr_assert_eq(json_array_size(spans_of(root)), 4);
    json_decref(root);
}

/* The exporter sizes its buffer by the bound, so no span may exceed it. */
Test(otlp_json, no_span_is_larger_than_the_bound)
{
    for (uint16_t name = 0; name < RYZ_SPAN_COUNT; name++) {
        for (int8_t status = 0; status < RYZ_STATUS_COUNT; status++) {
            const struct ryz_span span = {.trace_id = {0xff},
                                          .span_id = UINT64_MAX,
                                          .parent = UINT64_MAX,
                                          .request = UINT64_MAX,
                                          .t0_ns = INT64_MAX - 1000,
                                          .t1_ns = INT64_MAX - 1000,
                                          .attr = -1.2345678901234567e-300,
                                          .name = name,
                                          .worker = INT16_MAX,
                                          .status = status};
            char text[4096];
            struct ryz_json json;
            ryz_json_init(&json, text, sizeof text);
            ryz_otlp_json(&json, "", 0, &span, 1);
            cr_assert_not(json.overflow);
            cr_assert_lt(json.length, RYZ_OTLP_SPAN_BYTES);
        }
    }
}
