/* docs.h - the reference page of scenario files, made from the table of keys. */
#ifndef RYZ_HARNESS_SCENARIO_DOCS_H
#define RYZ_HARNESS_SCENARIO_DOCS_H

#include <stdio.h>

/* Writes docs/scenario.md: the grammar and a table of keys for each section. */
void ryz_scenario_write_docs(FILE *out);

#endif
