/*
 * Goal: whole files come back byte for byte, and what cannot be read is named.
 * Method: files of awkward sizes in a temporary folder.
 */
#include "engine/base/file.h"
#include "engine/base/size.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64], path[96];

static void make_folder(void)
{
    (void)snprintf(folder, sizeof folder, "/tmp/ryz-file-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/data", folder);
}

static void remove_folder(void)
{
    (void)unlink(path);
    (void)rmdir(folder);
}

TestSuite(file, .init = make_folder, .fini = remove_folder);

static void write_bytes(size_t count)
{
    FILE *file = fopen(path, "wb");
    cr_assert_not_null(file);
    for (size_t i = 0; i < count; i++) (void)fputc((int)(i * 7 % 256), file);
    cr_assert_eq(fclose(file), 0);
}

Test(file, comes_back_whole_with_a_nul_behind_it)
{
    const size_t sizes[] = {0, 1, 65535, 65536, 65537, 131072, 200000};
    for (size_t i = 0; i < RYZ_COUNT_OF(sizes); i++) {
        char *text = NULL;
        size_t size = 1;
        write_bytes(sizes[i]);
        cr_assert_eq(ryz_file_load(path, 200000, &text, &size, NULL), RYZ_OK);
        cr_assert_eq(size, sizes[i]);
        for (size_t k = 0; k < size; k++) cr_assert_eq((unsigned char)text[k], k * 7 % 256);
        cr_assert_eq(text[size], '\0');
        free(text);
    }
}

Test(file, larger_than_the_limit_is_refused)
{
    char *text = NULL;
    size_t size = 0;
    struct ryz_error error;
    write_bytes(4097);
    cr_assert_eq(ryz_file_load(path, 4096, &text, &size, &error), RYZ_INVALID);
    cr_assert_null(text);
    cr_assert_not_null(strstr(error.text, "larger than 4 KiB"), "%s", error.text);
}

Test(file, absent_files_and_folders_are_told_apart)
{
    char *text = NULL;
    size_t size = 0;
    struct ryz_error error;
    cr_assert_eq(ryz_file_load(path, 10, &text, &size, &error), RYZ_NOT_FOUND);
    cr_assert_not_null(strstr(error.text, path));
    cr_assert_eq(ryz_file_load(folder, 10, &text, &size, &error), RYZ_IO);
    cr_assert_null(text);
}
