/* Goal: inputs are described truly, provenance knows this process. Method: texts with published
 * hashes; values that must be there on any Linux machine. */
#include "harness/record/provenance.h"
#include "harness/record/sha256.h"
#include "tests/unit/record/support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static void put(const char *path, const char *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(bytes, 1, size, file), size);
    cr_assert_eq(fclose(file), 0);
}

Test(record_inputs, sha256_of_a_file_is_that_of_fips_180)
{
    char hex[65], path[512];
    snprintf(path, sizeof path, "%s", support_path("input"));
    put(path, "abc", 3);
    cr_assert_eq(ryz_sha256_file(path, hex, NULL), RYZ_OK);
    cr_expect_str_eq(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    put(path, "", 0);
    cr_assert_eq(ryz_sha256_file(path, hex, NULL), RYZ_OK);
    cr_expect_str_eq(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

Test(record_inputs, a_text_is_described_by_its_lines)
{
    struct ryz_input_row row;
    char path[512];
    snprintf(path, sizeof path, "%s", support_path("input.csv"));
    put(path, "time,\ttokens\r\n1,2\n3,4", 21);
    cr_assert_eq(ryz_input_describe(path, "trace", &row, NULL), RYZ_OK);
    cr_expect_eq(row.rows, 3);
    cr_expect_eq(row.bytes, 21);
    cr_expect_str_eq(row.first_line, "time,tokens", "control characters are left out");
    cr_expect_str_eq(row.role, "trace");
}

Test(record_inputs, a_binary_has_no_lines)
{
    struct ryz_input_row row;
    char path[512];
    snprintf(path, sizeof path, "%s", support_path("model.gguf"));
    put(path, "GGUF\0\n\n", 7);
    cr_assert_eq(ryz_input_describe(path, "model", &row, NULL), RYZ_OK);
    cr_expect_eq(row.rows, 0);
    cr_expect_str_eq(row.first_line, "");
}

Test(record_inputs, an_absent_file_is_named)
{
    struct ryz_input_row row;
    struct ryz_error error = {0};
    cr_expect_eq(ryz_input_describe("/nonexistent/file", "model", &row, &error), RYZ_NOT_FOUND);
    cr_expect(strstr(error.text, "/nonexistent/file") != NULL);
}

Test(record_inputs, provenance_knows_process_and_machine)
{
    struct ryz_provenance p;
    char *argv[] = {"ryz", "run", "a scenario.ini"};
    ryz_provenance_collect(&p, 3, argv, 0);
    cr_expect_str_eq(p.argv, "ryz run a scenario.ini");
    cr_expect(p.git_commit[0] != '\0' && p.compiler[0] != '\0' && p.kernel[0] != '\0');
    cr_expect(strncmp(p.hdf5_version, "1.", 2) == 0);
    cr_expect(p.cores > 0 && p.ram_bytes > 0);
    cr_expect_eq(strlen(p.created_utc), 20);
    cr_expect_str_eq(p.host, "", "the host's name was not asked for");
}
