/* support.h - a folder of its own for each test, and rows that are equal. */
#ifndef RYZ_TESTS_RECORD_SUPPORT_H
#define RYZ_TESTS_RECORD_SUPPORT_H

#include "harness/record/run_data.h"

#include <stddef.h>

/* Makes a fresh folder under $TMPDIR or /tmp and returns it; `name` is put behind it. Borrowed
 * until the next call but one. Folders are removed at exit. */
const char *support_path(const char *name);
/* Fills a row of the table with bytes that depend on `number`; enums and texts stay valid. */
void support_fill(enum ryz_table table, uint64_t number, void *row);
/* Are two rows equal, column by column (padding does not count)? */
bool support_equal(enum ryz_table table, const void *a, const void *b);
/* Size of a file, 0 if there is none. */
size_t support_file_bytes(const char *path);

#endif
