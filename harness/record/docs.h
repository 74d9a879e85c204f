/* docs.h - the reference page of results files, made from the tables of columns. */
#ifndef RYZ_HARNESS_RECORD_DOCS_H
#define RYZ_HARNESS_RECORD_DOCS_H

#include <stdio.h>

/* Writes docs/results.md: groups, and a table of columns for each dataset. */
void ryz_results_write_docs(FILE *out);

#endif
