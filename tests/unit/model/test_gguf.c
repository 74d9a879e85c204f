/*
 * Goal: a GGUF file is read as written, and every way to be damaged or hostile that we could think
 * of is refused with a status and the byte offset of what is wrong. Method: files made in memory;
 * one mutation a case.
 */
#include "engine/model/gguf.h"

#include "engine/base/size.h"
#include "engine/base/utf8.h"
#include "tests/unit/model/support.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* Opens a file that must be refused. */
static void refused(struct bytes file, enum ryz_status wanted, const char *word)
{
    struct ryz_gguf *gguf = NULL;
    struct ryz_error error = {0};
    enum ryz_status status = ryz_gguf_open_memory(file.data, file.size, &gguf, &error);
    cr_assert_eq(status, wanted, "%s: %s", ryz_status_name(status), error.text);
    cr_assert_eq(error.status, wanted);
    cr_assert(error.byte_offset <= file.size, "%s", error.text);
    cr_assert_not_null(strstr(error.text, word), "\"%s\" lacks \"%s\"", error.text, word);
    bytes_free(&file);
}

static struct ryz_gguf *opened(const struct bytes *file)
{
    struct ryz_gguf *gguf = NULL;
    struct ryz_error error = {0};
    enum ryz_status status = ryz_gguf_open_memory(file->data, file->size, &gguf, &error);
    cr_assert_eq(status, RYZ_OK, "%s", error.text);
    return gguf;
}

static const float numbers[8] = {1, 2, 3, 4, 5, 6, 7, 8};

static void add_two_tensors(struct gguf_builder *builder)
{
    static const uint64_t first[4] = {4, 2}, second[4] = {3};
    builder_tensor(builder, "first", RYZ_DTYPE_F32, first, numbers, sizeof numbers);
    builder_tensor(builder, "second", RYZ_DTYPE_F32, second, numbers + 1, 12);
}

/* ---- reading ---- */

Test(gguf, reads_numbers_of_every_kind)
{
    struct gguf_builder builder;
    builder_init(&builder);
    int8_t i8 = -5;
    uint16_t u16 = 65535;
    int64_t i64 = -6000000000;
    uint64_t u64 = UINT64_MAX;
    double f64 = 0.1;
    builder_raw(&builder, "i8", RYZ_GGUF_I8, &i8, sizeof i8);
    builder_raw(&builder, "u16", RYZ_GGUF_U16, &u16, sizeof u16);
    builder_raw(&builder, "i64", RYZ_GGUF_I64, &i64, sizeof i64);
    builder_raw(&builder, "u64", RYZ_GGUF_U64, &u64, sizeof u64);
    builder_raw(&builder, "f64", RYZ_GGUF_F64, &f64, sizeof f64);
    builder_f32(&builder, "f32", 0.5F);
    builder_u32(&builder, "u32", 4000000000u);
    struct bytes file = builder_finish(&builder);
    struct ryz_gguf *gguf = opened(&file);
    cr_assert_eq(ryz_gguf_entry_count(gguf), 7);
    cr_assert_eq(ryz_gguf_integer(ryz_gguf_find(gguf, "i8"), 0), -5);
    cr_assert_eq(ryz_gguf_integer(ryz_gguf_find(gguf, "u16"), 0), 65535);
    cr_assert_eq(ryz_gguf_integer(ryz_gguf_find(gguf, "i64"), 0), -6000000000);
    cr_assert_eq(ryz_gguf_number(ryz_gguf_find(gguf, "u64"), 0), 0x1p64);
    cr_assert_eq(ryz_gguf_number(ryz_gguf_find(gguf, "f64"), 0), 0.1);
    uint32_t value = 0;
    float number = 0;
    cr_assert_eq(ryz_gguf_get_u32(gguf, "u16", &value, NULL), RYZ_OK);
    cr_assert_eq(value, 65535);
    cr_assert_eq(ryz_gguf_get_u32(gguf, "u32", &value, NULL), RYZ_OK);
    cr_assert_eq(value, 4000000000u);
    cr_assert_eq(ryz_gguf_get_f32(gguf, "f32", &number, NULL), RYZ_OK);
    cr_assert_eq(number, 0.5F);
    ryz_gguf_close(gguf);
    bytes_free(&file);
}

Test(gguf, refuses_a_value_that_the_question_does_not_fit)
{
    struct gguf_builder builder;
    builder_init(&builder);
    int32_t negative[] = {-1};
    builder_raw(&builder, "negative", RYZ_GGUF_I32, negative, sizeof negative);
    builder_i32s(&builder, "list", negative, 1);
    builder_text(&builder, "text", "x");
    struct bytes file = builder_finish(&builder);
    struct ryz_gguf *gguf = opened(&file);
    uint32_t value = 7;
    float number = 7;
    bool flag = true;
    struct ryz_gguf_text text = {"kept", 4};
    struct ryz_error error = {0};
    cr_assert_eq(ryz_gguf_get_u32(gguf, "negative", &value, &error), RYZ_CORRUPT);
    cr_assert_eq(error.byte_offset, ryz_gguf_find(gguf, "negative")->offset);
    cr_assert_eq(ryz_gguf_get_u32(gguf, "list", &value, NULL), RYZ_CORRUPT);
    cr_assert_eq(ryz_gguf_get_u32(gguf, "text", &value, NULL), RYZ_CORRUPT);
    cr_assert_eq(ryz_gguf_get_f32(gguf, "negative", &number, NULL), RYZ_CORRUPT);
    cr_assert_eq(ryz_gguf_get_bool(gguf, "negative", &flag, NULL), RYZ_CORRUPT);
    cr_assert_eq(ryz_gguf_get_text(gguf, "negative", &text, NULL), RYZ_CORRUPT);
    cr_assert_eq(ryz_gguf_get_u32(gguf, "absent", &value, &error), RYZ_NOT_FOUND);
    cr_assert_not_null(strstr(error.text, "absent"));
    cr_assert(value == 7 && number == 7 && flag && text.length == 4);
    ryz_gguf_close(gguf);
    bytes_free(&file);
}

Test(gguf, walks_lists_and_shows_values)
{
    struct gguf_builder builder;
    builder_init(&builder);
    const char *texts[] = {"one", "", "a\nb\"\x01"};
    int32_t many[20] = {-3, 2};
    builder_texts(&builder, "texts", texts, 3);
    builder_i32s(&builder, "many", many, 20);
    builder_bool(&builder, "flag", true);
    builder_f32(&builder, "number", 1.5F);
    builder_text(&builder, "odd", "é\xff語\xc2\x9b");
    struct bytes file = builder_finish(&builder);
    struct ryz_gguf *gguf = opened(&file);
    const struct ryz_gguf_entry *entry = ryz_gguf_find(gguf, "texts");
    cr_assert(entry->is_array && entry->count == 3);
    uint64_t cursor = 0;
    for (size_t i = 0; i < 3; i++) {
        cr_assert(ryz_gguf_text_equal(ryz_gguf_next_text(entry, &cursor), texts[i]));
    }
    cr_assert_eq(cursor, entry->value_bytes);
    char shown[128];
    ryz_gguf_format(entry, shown, sizeof shown);
    cr_assert_str_eq(shown, "[3] \"one\" \"\" \"a\\nb\\\"\\x01\"");
    ryz_gguf_format(ryz_gguf_find(gguf, "many"), shown, sizeof shown);
    cr_assert_str_eq(shown, "[20] -3 2 0 0 0 0 0 0 ...");
    ryz_gguf_format(ryz_gguf_find(gguf, "flag"), shown, sizeof shown);
    cr_assert_str_eq(shown, "true");
    ryz_gguf_format(ryz_gguf_find(gguf, "number"), shown, sizeof shown);
    cr_assert_str_eq(shown, "1.5");
    ryz_gguf_format(ryz_gguf_find(gguf, "odd"), shown, sizeof shown);
    cr_assert_str_eq(shown, "\"é\\xff語\\xc2\\x9b\"");
    for (size_t capacity = 1; capacity < 16; capacity++) { /* never half a character */
        ryz_gguf_format(ryz_gguf_find(gguf, "odd"), shown, capacity);
        cr_assert_lt(strlen(shown), capacity);
        cr_assert_eq(ryz_utf8_valid_bytes(shown, strlen(shown)), strlen(shown));
    }
    for (size_t capacity = 1; capacity < 12; capacity++) {
        memset(shown, 'x', sizeof shown);
        ryz_gguf_format(entry, shown, capacity);
        cr_assert_lt(strlen(shown), capacity);
        cr_assert_eq(shown[capacity], 'x');
    }
    ryz_gguf_close(gguf);
    bytes_free(&file);
}

Test(gguf, reads_tensors_where_they_lie)
{
    struct gguf_builder builder;
    builder_init(&builder);
    builder_u32(&builder, "general.alignment", 64);
    builder.alignment = 64;
    add_two_tensors(&builder);
    struct bytes file = builder_finish(&builder);
    struct ryz_gguf *gguf = opened(&file);
    cr_assert_eq(ryz_gguf_tensor_count(gguf), 2);
    const struct ryz_gguf_tensor *first = ryz_gguf_find_tensor(gguf, "first");
    const struct ryz_gguf_tensor *second = ryz_gguf_find_tensor(gguf, "second");
    cr_assert(first == ryz_gguf_tensor(gguf, 0) && second == ryz_gguf_tensor(gguf, 1));
    cr_assert_eq(first->n_dims, 2);
    cr_assert(first->dims[0] == 4 && first->dims[1] == 2 && first->dims[2] == 1);
    cr_assert_eq(first->bytes, sizeof numbers);
    cr_assert_eq(memcmp(first->data, numbers, sizeof numbers), 0);
    cr_assert_eq(memcmp(second->data, numbers + 1, 12), 0);
    cr_assert_eq(second->offset % 64, 0);
    cr_assert_eq((const unsigned char *)second->data - file.data, (ptrdiff_t)second->offset);
    cr_assert_null(ryz_gguf_find_tensor(gguf, "third"));
    ryz_gguf_close(gguf);
    bytes_free(&file);
}

Test(gguf, an_empty_file_has_nothing_in_it)
{
    struct gguf_builder builder;
    builder_init(&builder);
    struct bytes file = builder_finish(&builder);
    struct ryz_gguf *gguf = opened(&file);
    cr_assert_eq(ryz_gguf_entry_count(gguf), 0);
    cr_assert_eq(ryz_gguf_tensor_count(gguf), 0);
    cr_assert_null(ryz_gguf_find(gguf, "x"));
    cr_assert_null(ryz_gguf_find_tensor(gguf, "x"));
    ryz_gguf_close(gguf);
    bytes_free(&file);
}

Test(gguf, names_types_it_cannot_compute_with)
{
    cr_assert_str_eq(ryz_gguf_type_name(12), "q4_k");
    cr_assert_str_eq(ryz_gguf_type_name(RYZ_DTYPE_BF16), "bf16");
    cr_assert_null(ryz_gguf_type_name(4)); /* withdrawn */
    cr_assert_null(ryz_gguf_type_name(1000));
    cr_assert_str_eq(ryz_gguf_kind_name(RYZ_GGUF_STRING), "string");
}

/* ---- refusing ---- */

Test(gguf, refuses_a_file_cut_at_any_byte)
{
    struct gguf_builder builder;
    builder_init(&builder);
    const char *texts[] = {"one", "two"};
    builder_texts(&builder, "texts", texts, 2);
    builder_u32(&builder, "number", 1);
    add_two_tensors(&builder);
    struct bytes file = builder_finish(&builder);
    for (size_t size = 0; size < file.size; size++) {
        /* A copy of its own, so that a sanitizer sees a read past the end. */
        unsigned char *cut = aligned_alloc(64, (size + 64) / 64 * 64);
        memcpy(cut, file.data, size);
        struct ryz_gguf *gguf = NULL;
        struct ryz_error error = {0};
        enum ryz_status status = ryz_gguf_open_memory(cut, size, &gguf, &error);
        cr_assert_eq(status, RYZ_CORRUPT, "cut at %zu: %s", size, error.text);
        cr_assert(error.byte_offset <= size, "cut at %zu: %s", size, error.text);
        free(cut);
    }
    bytes_free(&file);
}

static struct bytes simple_file(void)
{
    struct gguf_builder builder;
    builder_init(&builder);
    builder_u32(&builder, "key", 1);
    add_two_tensors(&builder);
    return builder_finish(&builder);
}

static struct bytes patched(size_t offset, const void *patch, size_t size)
{
    struct bytes file = simple_file();
    cr_assert(offset + size <= file.size);
    memcpy(file.data + offset, patch, size);
    return file;
}

Test(gguf, refuses_another_format_or_version)
{
    uint32_t version = 2, swapped = 0x03000000;
    refused(patched(0, "GGML", 4), RYZ_CORRUPT, "GGUF");
    refused(patched(4, &version, 4), RYZ_UNSUPPORTED, "version 2");
    refused(patched(4, &swapped, 4), RYZ_UNSUPPORTED, "big-endian");
}

Test(gguf, refuses_counts_that_the_file_cannot_hold)
{
    const uint64_t counts[] = {UINT64_MAX, UINT64_MAX / 33, 1u << 20, 9};
    for (size_t i = 0; i < RYZ_COUNT_OF(counts); i++) {
        refused(patched(8, &counts[i], 8), RYZ_CORRUPT, "");
        refused(patched(16, &counts[i], 8), RYZ_CORRUPT, "");
    }
}

/* Offsets in simple_file(): the key's length stands at 24, its text at 32, its kind at 35. */
Test(gguf, refuses_bad_keys)
{
    uint64_t lengths[] = {0, UINT64_MAX, 1000000};
    for (size_t i = 0; i < RYZ_COUNT_OF(lengths); i++) {
        refused(patched(24, &lengths[i], 8), RYZ_CORRUPT, "key");
    }
    refused(patched(32, "\x1b", 1), RYZ_CORRUPT, "0x1b");
    refused(patched(33, "\xc3", 1), RYZ_CORRUPT, "0xc3");
    uint32_t kind = 13;
    refused(patched(35, &kind, 4), RYZ_CORRUPT, "13");
}

Test(gguf, refuses_a_key_or_tensor_that_comes_twice)
{
    struct gguf_builder builder;
    builder_init(&builder);
    builder_u32(&builder, "same", 1);
    builder_u32(&builder, "other", 1);
    builder_u32(&builder, "same", 2);
    refused(builder_finish(&builder), RYZ_CORRUPT, "\"same\" comes twice");
    builder_init(&builder);
    add_two_tensors(&builder);
    static const uint64_t dims[4] = {2};
    builder_tensor(&builder, "first", RYZ_DTYPE_F32, dims, numbers, 8);
    refused(builder_finish(&builder), RYZ_CORRUPT, "\"first\" comes twice");
}

Test(gguf, refuses_arrays_of_arrays_and_long_arrays)
{
    struct gguf_builder builder;
    /* Kind of the elements, their count (two words), the first element. */
    uint32_t array[] = {RYZ_GGUF_ARRAY, 1, 0, 0, 0};
    builder_init(&builder);
    builder_raw(&builder, "nested", RYZ_GGUF_ARRAY, array, sizeof array);
    refused(builder_finish(&builder), RYZ_UNSUPPORTED, "array of arrays");
    static const uint32_t kinds[] = {RYZ_GGUF_U8, RYZ_GGUF_U64, RYZ_GGUF_STRING, RYZ_GGUF_BOOL};
    for (size_t i = 0; i < RYZ_COUNT_OF(kinds); i++) {
        array[0] = kinds[i];
        array[1] = array[2] = UINT32_MAX;
        builder_init(&builder);
        builder_raw(&builder, "long", RYZ_GGUF_ARRAY, array, sizeof array);
        refused(builder_finish(&builder), RYZ_CORRUPT, "");
    }
}

Test(gguf, refuses_a_boolean_of_two)
{
    struct gguf_builder builder;
    builder_init(&builder);
    builder_raw(&builder, "flag", RYZ_GGUF_BOOL, "\x02", 1);
    refused(builder_finish(&builder), RYZ_CORRUPT, "boolean");
}

Test(gguf, refuses_alignments_that_are_no_power_of_two_or_out_of_range)
{
    static const uint32_t alignments[] = {0, 1, 4, 24, 33, 1u << 21, UINT32_MAX};
    for (size_t i = 0; i < RYZ_COUNT_OF(alignments); i++) {
        struct gguf_builder builder;
        builder_init(&builder);
        builder_u32(&builder, "general.alignment", alignments[i]);
        add_two_tensors(&builder);
        refused(builder_finish(&builder), RYZ_CORRUPT, "alignment");
    }
    struct gguf_builder builder;
    builder_init(&builder);
    builder_text(&builder, "general.alignment", "32");
    refused(builder_finish(&builder), RYZ_CORRUPT, "alignment");
}

static struct bytes one_tensor(const char *name, uint32_t type, const uint64_t dims[4])
{
    struct gguf_builder builder;
    builder_init(&builder);
    builder_tensor(&builder, name, type, dims, numbers, sizeof numbers);
    return builder_finish(&builder);
}

Test(gguf, refuses_impossible_shapes)
{
    static const uint64_t huge[4] = {UINT64_MAX / 2, 4};
    static const uint64_t large[4] = {1u << 31, 1u << 31};
    static const uint64_t beyond[4] = {9};
    static const uint64_t uneven[4] = {33};
    static const uint64_t none[4] = {0};
    refused(one_tensor("t", RYZ_DTYPE_F32, huge), RYZ_CORRUPT, "dimension");
    refused(one_tensor("t", RYZ_DTYPE_F32, large), RYZ_CORRUPT, "");
    refused(one_tensor("t", RYZ_DTYPE_F32, beyond), RYZ_CORRUPT, "truncated");
    refused(one_tensor("t", RYZ_DTYPE_Q8_0, uneven), RYZ_CORRUPT, "q8_0");
    refused(one_tensor("t", RYZ_DTYPE_F32, none), RYZ_CORRUPT, "dimensions");
    static const uint64_t fine[4] = {8};
    refused(one_tensor("t", 4, fine), RYZ_UNSUPPORTED, "type 4");
    refused(one_tensor("", RYZ_DTYPE_F32, fine), RYZ_CORRUPT, "name");
    char long_name[66];
    memset(long_name, 'n', 65);
    long_name[65] = '\0';
    refused(one_tensor(long_name, RYZ_DTYPE_F32, fine), RYZ_CORRUPT, "name");
}

Test(gguf, refuses_a_dimension_of_zero_and_a_fifth)
{
    /* In one_tensor's file the name's length is at 24, "t" at 32, n_dims at 33, dims from 37. */
    static const uint64_t dims[4] = {4, 2};
    uint64_t zero = 0;
    uint32_t five = 5;
    struct bytes file = one_tensor("t", RYZ_DTYPE_F32, dims);
    memcpy(file.data + 45, &zero, sizeof zero);
    refused(file, RYZ_CORRUPT, "dimension of 0");
    file = one_tensor("t", RYZ_DTYPE_F32, dims);
    memcpy(file.data + 33, &five, sizeof five);
    refused(file, RYZ_CORRUPT, "5 dimensions");
}

Test(gguf, refuses_tensors_that_are_misplaced)
{
    /* The offset of the one tensor of one dimension stands at 49. */
    static const uint64_t dims[4] = {8};
    static const uint64_t offsets[] = {1, 31, 32, UINT64_MAX, UINT64_MAX - 31};
    for (size_t i = 0; i < RYZ_COUNT_OF(offsets); i++) {
        struct bytes file = one_tensor("t", RYZ_DTYPE_F32, dims);
        memcpy(file.data + 49, &offsets[i], sizeof offsets[i]);
        refused(file, RYZ_CORRUPT, "\"t\"");
    }
}

Test(gguf, refuses_tensors_that_overlap)
{
    struct bytes file = simple_file();
    uint64_t offset = 32, same = 0;
    /* The second tensor's offset is the last field of the header: find it by its value. */
    unsigned char *field = memmem(file.data + 60, 120, &offset, sizeof offset);
    cr_assert_not_null(field);
    memcpy(field, &same, sizeof same);
    refused(file, RYZ_CORRUPT, "overlap");
}

Test(gguf, says_why_a_path_cannot_be_read)
{
    struct ryz_gguf *gguf = NULL;
    struct ryz_error error = {0};
    cr_assert_eq(ryz_gguf_open("/nowhere/x.gguf", &gguf, &error), RYZ_NOT_FOUND);
    cr_assert_not_null(strstr(error.text, "/nowhere/x.gguf"));
    cr_assert_eq(ryz_gguf_open("/", &gguf, &error), RYZ_INVALID);
    struct temporary_file empty = write_temporary("", 0);
    cr_assert_eq(ryz_gguf_open(empty.path, &gguf, &error), RYZ_INVALID);
    struct temporary_file text = write_temporary("no model", 8);
    cr_assert_neq(ryz_gguf_open(text.path, &gguf, &error), RYZ_OK);
    cr_assert_not_null(strstr(error.text, text.path), "no word of the file: %s", error.text);
    ryz_gguf_close(NULL);
}

Test(gguf, reads_a_file_as_it_reads_memory)
{
    struct bytes file = simple_file();
    struct temporary_file temporary = write_temporary(file.data, file.size);
    struct ryz_gguf *gguf = NULL;
    cr_assert_eq(ryz_gguf_open(temporary.path, &gguf, NULL), RYZ_OK);
    cr_assert_eq(ryz_gguf_file_bytes(gguf), file.size);
    cr_assert_eq(memcmp(ryz_gguf_find_tensor(gguf, "first")->data, numbers, sizeof numbers), 0);
    ryz_gguf_close(gguf);
    bytes_free(&file);
}
