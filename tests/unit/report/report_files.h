/* report_files.h - made-up results files for the tests of report. */
#ifndef RYZ_TESTS_REPORT_REPORT_FILES_H
#define RYZ_TESTS_REPORT_REPORT_FILES_H

#include <stdbool.h>

/* One run with two traffics and a fault. */
void report_file_of_a_run(const char *path, const char *title);
/* Six points: quant x max_batch, with accuracy and sizes; or, with one_axis, max_batch only. */
void report_file_of_a_sweep(const char *path, bool one_axis);
/* A results file without any run. */
void report_file_empty(const char *path);

#endif
