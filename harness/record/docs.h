/* docs.h - the reference page of results files, made from the tables in rows.h. */
#ifndef RYZ_HARNESS_RECORD_DOCS_H
#define RYZ_HARNESS_RECORD_DOCS_H

#include <stdio.h>

/* Writes docs/results.md: the layout, then every table with its columns. */
void ryz_results_write_docs(FILE *out);

#endif
