/*
 * Goal: whatever is written is valid JSON that reads back as what was meant, or overflow is set.
 * Method: jansson reads what the writer wrote; random trees, random bytes, every buffer size.
 */
#include "engine/base/json.h"
#include "engine/base/rng.h"
#include "engine/base/utf8.h"
#include "tests/unit/base/support.h"

#include <criterion/criterion.h>
#include <float.h>
#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

Test(json, nested_values_get_their_commas)
{
    char buffer[256];
    struct ryz_json json;
    ryz_json_init(&json, buffer, sizeof buffer);
    ryz_json_object_begin(&json);
    ryz_json_key(&json, "a");
    ryz_json_array_begin(&json);
    ryz_json_u64(&json, UINT64_MAX);
    ryz_json_i64(&json, INT64_MIN);
    ryz_json_array_begin(&json);
    ryz_json_array_end(&json);
    ryz_json_object_begin(&json);
    ryz_json_object_end(&json);
    ryz_json_array_end(&json);
    ryz_json_key(&json, "b");
    ryz_json_bool(&json, true);
    ryz_json_key(&json, "c");
    ryz_json_null(&json);
    ryz_json_key(&json, "d");
    ryz_json_raw(&json, "{\"x\":1}", 7);
    ryz_json_key(&json, "e");
    ryz_json_string(&json, "t");
    ryz_json_object_end(&json);
    cr_assert_not(json.overflow);
    cr_assert_str_eq(buffer, "{\"a\":[18446744073709551615,-9223372036854775808,[],{}],\"b\":true,"
                             "\"c\":null,\"d\":{\"x\":1},\"e\":\"t\"}");
    cr_assert_eq(json.length, strlen(buffer));
}

Test(json, special_characters_are_escaped)
{
    char buffer[128];
    struct ryz_json json;
    ryz_json_init(&json, buffer, sizeof buffer);
    ryz_json_string(&json, "\"\\\b\f\n\r\t\x01\x7f/\xc3\xa4");
    cr_assert_str_eq(buffer, "\"\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u007f/\xc3\xa4\"");
}

Test(json, a_nul_inside_a_counted_string_is_escaped)
{
    char buffer[64];
    struct ryz_json json;
    ryz_json_init(&json, buffer, sizeof buffer);
    ryz_json_string_n(&json, "a\0b", 3);
    cr_assert_str_eq(buffer, "\"a\\u0000b\"");
}

Test(json, invalid_utf8_becomes_replacement_characters)
{
    char buffer[128];
    struct ryz_json json;
    ryz_json_init(&json, buffer, sizeof buffer);
    ryz_json_string(&json, "a\xff\xc0\x80z\xe2\x82");
    cr_assert_str_eq(buffer, "\"a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz\xef\xbf\xbd\xef\xbf\xbd\"");
}

Test(json, random_bytes_always_read_back)
{
    struct ryz_rng rng;
    ryz_rng_init(&rng, test_seed("json"), 0);
    for (int round = 0; round < 3000; round++) {
        char text[40], buffer[512];
        size_t length = ryz_rng_below(&rng, sizeof text);
        for (size_t i = 0; i < length; i++) text[i] = (char)ryz_rng_below(&rng, 256);
        struct ryz_json json;
        ryz_json_init(&json, buffer, sizeof buffer);
        ryz_json_string_n(&json, text, length);
        cr_assert_not(json.overflow);
        json_t *read = json_loads(buffer, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        cr_assert_not_null(read, "%s", buffer);
        if (ryz_utf8_valid_bytes(text, length) == length) {
            cr_assert_eq(json_string_length(read), length);
            cr_assert_arr_eq(json_string_value(read), text, length);
        }
        json_decref(read);
    }
}

Test(json, numbers_read_back_as_the_same_number)
{
    const double fixed[] = {0.0, -0.0, 0.1, 1.0 / 3.0, DBL_MAX, DBL_MIN, 5e-324, -1e300, 1e15};
    struct ryz_rng rng;
    ryz_rng_init(&rng, test_seed("numbers"), 0);
    for (size_t i = 0; i < 5000; i++) {
        double value = 0.0;
        uint64_t bits = ryz_rng_u64(&rng);
        memcpy(&value, &bits, sizeof value);
        if (i < sizeof fixed / sizeof fixed[0]) value = fixed[i];
        char buffer[64];
        struct ryz_json json;
        ryz_json_init(&json, buffer, sizeof buffer);
        ryz_json_f64(&json, value);
        cr_assert_not(json.overflow);
        if (isfinite(value)) {
            cr_assert_eq(strtod(buffer, NULL), value, "%s", buffer);
        } else {
            cr_assert_str_eq(buffer, "null");
        }
    }
}

static void write_sample(struct ryz_json *json)
{
    ryz_json_object_begin(json);
    ryz_json_key(json, "name");
    ryz_json_string(json, "a \"long\" text\n\xc3\xa4");
    ryz_json_key(json, "list");
    ryz_json_array_begin(json);
    for (int i = 0; i < 5; i++) ryz_json_f64(json, i * 0.25);
    ryz_json_array_end(json);
    ryz_json_object_end(json);
}

Test(json, a_small_buffer_sets_overflow_and_is_never_overrun)
{
    char whole[128], buffer[130];
    struct ryz_json json;
    ryz_json_init(&json, whole, sizeof whole);
    write_sample(&json);
    size_t needed = json.length + 1;
    for (size_t capacity = 0; capacity <= needed; capacity++) {
        memset(buffer, 0x5a, sizeof buffer);
        ryz_json_init(&json, buffer, capacity);
        write_sample(&json);
        cr_assert_eq(json.overflow, capacity < needed);
        for (size_t i = capacity; i < sizeof buffer; i++) cr_assert_eq(buffer[i], 0x5a);
        if (capacity == 0) continue;
        cr_assert_eq(strlen(buffer), json.length);
        cr_assert_eq(strncmp(buffer, whole, json.length), 0, "not a prefix: %s", buffer);
    }
}
